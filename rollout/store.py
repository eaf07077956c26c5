"""Every rollout of a run on disk, one Parquet file a step: for reading, and as the log that a resumed run is replayed from.

A rollout costs far more than the update it feeds. After a crash the steps since the last checkpoint are computed again from
these files, without sampling or verifying anything again, to the same bits.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rollout.engine import Completion
from rollout.player import Group
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line
from verifiers.problem import Problem
from verifiers.verdict import Status, StepScore, Verdict

SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("group", pa.int32()),
        ("problem_id", pa.string()),
        ("problem", pa.string()),
        ("answer", pa.string()),
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


def _as_utf8(value: str) -> str:
    return value.encode("utf-8", "replace").decode()  # a lone surrogate is no UTF-8; tokens keep the truth


class RolloutStore:
    """`folder/step-000012.parquet`, each written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.parquet"

    def write(self, step: int, groups: Sequence[Group], *, cursor: int, replaced: Sequence[Group] = ()) -> None:
        """The groups that train, then those that dynamic sampling replaced (group < 0). `cursor`: position in the problem stream after."""
        rows = [row for index, group in enumerate(groups) for row in _rows_of_group(step, index, group)]
        rows += [row for index, group in enumerate(replaced) for row in _rows_of_group(step, -1 - index, group)]
        table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata({"cursor": str(cursor)}))
        with atomic_path(self.path(step)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def read(self, step: int, problems: Mapping[str, Problem]) -> tuple[list[Group], list[Group], int] | None:
        """(groups, replaced groups, cursor) as they were written; None where the step was not. `problems`: by id.

        Raises InputError for a file that is damaged or another run's.
        """
        path = self.path(step)
        if not path.exists():
            return None
        try:
            if not path.is_file():
                raise ValueError("it is not a regular file")
            return _read_rollout(path, problems)
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            what = first_line(error)[:200]
            what = f"no column or problem {what}" if isinstance(error, KeyError) else what
            raise InputError(f"{path} is damaged or another run's: {what}; remove it, and the step is sampled again") from error


def _read_rollout(path: Path, problems: Mapping[str, Problem]) -> tuple[list[Group], list[Group], int]:
    table = pq.read_table(path)
    by_group: dict[int, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_group.setdefault(row["group"], []).append(row)
    groups = [_group_of_rows(by_group[index], problems) for index in sorted(i for i in by_group if i >= 0)]
    replaced = [_group_of_rows(by_group[index], problems) for index in sorted((i for i in by_group if i < 0), reverse=True)]
    if len({len(group.completions) for group in [*groups, *replaced]}) != 1 or not groups:
        raise ValueError("its groups are not whole")
    return groups, replaced, int((table.schema.metadata or {})[b"cursor"])


def _rows_of_group(step: int, index: int, group: Group) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "group": index,
            "problem_id": group.problem.id,
            "problem": _as_utf8(group.problem.prompt if isinstance(group.problem.prompt, str) else json.dumps(group.problem.prompt)),
            "answer": _as_utf8(group.problem.answer),
            "prompt": group.prompt,
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


def _group_of_rows(rows: Sequence[dict[str, Any]], problems: Mapping[str, Problem]) -> Group:
    completions = [
        Completion(r["tokens"], r["logprobs"], r["sampled"], r["finish"], r["policy_version"], r.get("tool_errors", 0)) for r in rows
    ]
    verdicts = [
        Verdict(r["score"], Status(r["status"]), r["detail"], dict(r["parts"]), tuple(StepScore(**s) for s in r["steps"])) for r in rows
    ]
    responses = tuple(row["response"] for row in rows)
    if any(not len(c.tokens) == len(c.logprobs) == len(c.sampled) for c in completions):
        raise ValueError("a completion's tokens and their log-probabilities are not equally many")
    return Group(problems[rows[0]["problem_id"]], rows[0]["prompt"], tuple(completions), responses, tuple(verdicts))
