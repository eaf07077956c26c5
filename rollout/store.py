"""Every rollout on disk, one Parquet file a step: for reading and training on, and as the log that a resumed run is replayed from.

A rollout costs far more than the update it feeds. After a crash the steps since the last checkpoint are computed again from
these files, without sampling or verifying anything again, to the same bits. `reckon sample` writes the same files, a chunk of problems
each, and `reckon data` makes training data of either.

A row is enough by itself: the whole problem, what it was sampled from and how, the response, its tokens and its verdict. The schema has
a version, in each file's metadata; files of an earlier one are read, those of a newer one refused. Left out: what was never sampled
(evaluations), and how a template rendered the prompt but for the tokens that came of it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from rollout.engine import Completion, Finish
from rollout.player import Group, Player
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line
from verifiers.problem import Problem
from verifiers.verdict import Status, StepScore, Verdict

VERSION = 2
"""Of the schema. 1 had neither the whole problem nor what it was sampled from, and no version in its metadata."""
_VERSION_KEY = b"reckon_store"

SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("group", pa.int32()),
        ("problem_id", pa.string()),
        ("problem", pa.string()),  # the prompt, to be read: messages are JSON
        ("answer", pa.string()),
        ("verifier", pa.string()),
        ("problem_row", pa.string()),  # the problem whole, a line of JSON as `--data` reads it: prompt as given, answer, verifier, meta
        ("model", pa.string()),
        ("system_prompt", pa.string()),
        ("templated", pa.bool_()),
        ("template_arguments", pa.string()),  # JSON; null for none
        ("temperature", pa.float64()),
        ("prompt", pa.list_(pa.int32())),
        ("tokens", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float64())),  # float64: what the engine said, to the bit
        ("sampled", pa.list_(pa.bool_())),
        ("finish", pa.string()),
        ("policy_version", pa.int32()),
        ("tool_errors", pa.int32()),
        ("response", pa.string()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("detail", pa.string()),
        ("parts", pa.map_(pa.string(), pa.float64())),
        ("steps", pa.list_(pa.struct([("end", pa.int32()), ("score", pa.float64())]))),
    ]
)


@dataclass(frozen=True, slots=True)
class Source:
    """What the rollouts of a store are sampled from, and how: said in every row."""

    model: str
    """Hub id or folder; "" for one that has no name."""
    system_prompt: str
    """That prompts got which have none of their own; "" for none."""
    templated: bool
    """Whether prompts went through the model's chat template, as messages, or stand as plain text."""
    temperature: float
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the template was given besides the messages."""

    @classmethod
    def of(cls, model: str, player: Player) -> "Source":
        """What a player samples from, of the model of that name."""
        chat = player.chat
        return cls(model, chat.system_prompt, chat.has_template, player.sampling.temperature, dict(chat.template_arguments))


def refuse_newer(path: Path, metadata: Mapping[bytes, bytes] | None) -> None:
    """Raises InputError for a file that a later Reckon wrote: what its columns mean is not known here."""
    version = (metadata or {}).get(_VERSION_KEY, b"1")
    if not version.isdigit() or int(version) > VERSION:
        raise InputError(
            f"{path} was written by a newer Reckon (its store has version {version.decode('utf-8', 'replace')!r:.20}, this one reads up to "
            f"{VERSION}); read it with that, or update this one"
        )


def misfit(schema: pa.Schema, columns: Collection[str] = SCHEMA.names) -> str | None:
    """Says which of these columns holds something else than ours does; None where all that are there fit.

    Widths of numbers and how texts and lists are laid out are free: other programs write them as they like.
    """
    for own in SCHEMA:
        for place in schema.get_all_field_indices(own.name) if own.name in columns else ():
            found = schema.field(place).type
            if not pa.types.is_null(found) and _kind(found) not in (_kind(own.type), *_TAKEN_FOR.get(_kind(own.type), ())):
                return f"its column {own.name!r} is of type {found}, not {own.type}"
    return None


_TAKEN_FOR = {"number": ("whole",)}


def _kind(kind: pa.DataType) -> Any:
    """What values of a type are, whatever their width."""
    ask = pa.types
    if ask.is_dictionary(kind):
        return _kind(kind.value_type)
    if ask.is_map(kind):
        return ("map", _kind(kind.key_type), _kind(kind.item_type))
    if ask.is_list(kind) or ask.is_large_list(kind) or ask.is_fixed_size_list(kind):
        return ("list", _kind(kind.value_type))
    if ask.is_struct(kind):
        return ("struct", *sorted((part.name, _kind(part.type)) for part in kind))
    names = {"text": (ask.is_string, ask.is_large_string, ask.is_string_view), "whole": (ask.is_integer,), "number": (ask.is_floating,)}
    return next((name for name, tests in names.items() if any(test(kind) for test in tests)), str(kind))


def _as_utf8(value: str) -> str:
    return value.encode("utf-8", "replace").decode()  # a lone surrogate is no UTF-8; tokens keep the truth


class RolloutStore:
    """`folder/step-000012.parquet`, each written whole or not at all."""

    def __init__(self, folder: Path, source: Source | None = None):
        """`source` may be set later, by who knows it; rows that are written without one do not say what they were sampled from."""
        self.folder, self.source = folder, source

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.parquet"

    def write(self, step: int, groups: Sequence[Group], *, cursor: int, replaced: Sequence[Group] = ()) -> None:
        """The groups that train, then those that dynamic sampling replaced (group < 0). `cursor`: position in the problem stream after."""
        rows = [row for index, group in enumerate(groups) for row in _rows_of_group(step, index, group, self.source)]
        rows += [row for index, group in enumerate(replaced) for row in _rows_of_group(step, -1 - index, group, self.source)]
        table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata({"cursor": str(cursor), _VERSION_KEY: str(VERSION)}))
        with atomic_path(self.path(step)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def read(self, step: int, problems: Mapping[str, Problem]) -> tuple[list[Group], list[Group], int] | None:
        """(groups, replaced groups, cursor) as they were written; None where the step was not. `problems`: by id.

        Raises InputError for a file that is damaged, another run's or a newer Reckon's.
        """
        path = self.path(step)
        if not path.exists():
            return None
        try:
            if not path.is_file():
                raise ValueError("it is not a regular file")
            return _read_rollout(path, problems)
        except InputError:
            raise
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            what = first_line(error)[:200]
            what = f"no column or problem {what}" if isinstance(error, KeyError) else what
            raise InputError(f"{path} is damaged or another run's: {what}; remove it, and the step is sampled again") from error


def _read_rollout(path: Path, problems: Mapping[str, Problem]) -> tuple[list[Group], list[Group], int]:
    table = pq.read_table(path)
    refuse_newer(path, table.schema.metadata)
    if said := misfit(table.schema):
        raise ValueError(said)
    by_group: dict[int, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_group.setdefault(row["group"], []).append(row)
    groups = [_group_of_rows(by_group[index], problems) for index in sorted(i for i in by_group if i >= 0)]
    replaced = [_group_of_rows(by_group[index], problems) for index in sorted((i for i in by_group if i < 0), reverse=True)]
    if len({len(group.completions) for group in [*groups, *replaced]}) != 1 or not groups:
        raise ValueError("its groups are not whole")
    return groups, replaced, int((table.schema.metadata or {})[b"cursor"])


def _rows_of_group(step: int, index: int, group: Group, source: Source | None) -> list[dict[str, Any]]:
    shared = {"step": step, "group": index, "prompt": group.prompt, **_problem_columns(group.problem), **_source_columns(source)}
    return [
        {
            **shared,
            "tokens": completion.tokens,
            "logprobs": completion.logprobs,
            "sampled": completion.sampled,
            "finish": completion.finish,
            "policy_version": completion.policy_version,
            "tool_errors": completion.tool_errors,
            "response": _as_utf8(response),
            "score": verdict.score,
            "status": verdict.status.value,
            "detail": _as_utf8(verdict.detail),
            "parts": [(_as_utf8(name), part) for name, part in verdict.parts.items()],
            "steps": [{"end": s.end, "score": s.score} for s in verdict.steps],
        }
        for completion, response, verdict in zip(group.completions, group.responses, group.verdicts, strict=True)
    ]


def _problem_columns(problem: Problem) -> dict[str, Any]:
    whole = {"prompt": problem.prompt, "answer": problem.answer, "verifier": problem.verifier, "meta": dict(problem.meta)}
    return {
        "problem_id": problem.id,
        "problem": _as_utf8(problem.prompt if isinstance(problem.prompt, str) else json.dumps(problem.prompt)),
        "answer": _as_utf8(problem.answer),
        "verifier": _as_utf8(problem.verifier),
        "problem_row": json.dumps(
            whole, default=str
        ),  # ASCII, so that it carries what UTF-8 cannot; `meta` of a user's own may hold anything
    }


def _source_columns(source: Source | None) -> dict[str, Any]:
    if source is None:
        return {}
    return {
        "model": _as_utf8(source.model),
        "system_prompt": _as_utf8(source.system_prompt),
        "templated": source.templated,
        "template_arguments": json.dumps(dict(source.template_arguments), default=str) if source.template_arguments else None,
        "temperature": source.temperature,
    }


def _group_of_rows(rows: Sequence[dict[str, Any]], problems: Mapping[str, Problem]) -> Group:
    for row in rows:
        _require_whole(row, rows[0])
    completions = [
        Completion(r["tokens"], r["logprobs"], r["sampled"], r["finish"], r["policy_version"], r.get("tool_errors") or 0) for r in rows
    ]
    verdicts = [
        Verdict(r["score"], Status(r["status"]), r["detail"], dict(r["parts"]), tuple(StepScore(**s) for s in r["steps"])) for r in rows
    ]
    responses = tuple(row["response"] for row in rows)
    if any(not len(c.tokens) == len(c.logprobs) == len(c.sampled) for c in completions):
        raise ValueError("a completion's tokens and their log-probabilities are not equally many")
    return Group(problems[rows[0]["problem_id"]], rows[0]["prompt"], tuple(completions), responses, tuple(verdicts))


def _require_whole(row: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """Raises ValueError for a row with holes in it, or of another group than the first row's."""
    if any(row[name] != first[name] for name in ("problem_id", "prompt")):
        raise ValueError("a group's rows are of several problems")
    if any(row[name] is None for name in ("response", "policy_version", "detail")) or None in row["logprobs"] or None in row["sampled"]:
        raise ValueError("a row has holes in it")
    if not row["prompt"] or any(token is None or token < 0 for name in ("prompt", "tokens") for token in row[name]):
        raise ValueError("a prompt is empty, or a token no number from 0 on")
    if row["finish"] not in get_args(Finish):
        raise ValueError(f"a completion ended by {row['finish']!r:.40}")
