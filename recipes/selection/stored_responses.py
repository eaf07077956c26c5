"""Stores of rollouts to responses, problem by problem: which files are meant, what a row says, and the query that brings them in order.

A store is what `rollout/store.py` writes, a run's rollouts or `reckon sample`'s. DuckDB reads the files, as many as there are and larger
than memory, and takes a condition in SQL over their columns (`--where 'step >= 100 and temperature = 1'`). The order is fixed: by
problem, then by file, step, group and place, so that the same store gives the same training data to the byte.

Rows of the schema's version 1 do not say what they were sampled from: their problem is found again by its id, and their prompt is taken
to be what was given, without a system prompt.
"""

import glob
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from rollout.engine import Finish
from rollout.store import SCHEMA, misfit, refuse_newer
from verifiers.input_error import InputError, first_line, missing_place
from verifiers.problem import Problem, make_problem
from verifiers.rewards.named_functions import own_names
from verifiers.verdict import Status, Verdict

_NEEDED = ("problem_id", "problem", "answer", "response", "score", "status", "finish", "tokens", "sampled", "step", "group")
_READ = (*_NEEDED, "model", "policy_version", "system_prompt", "templated", "template_arguments", "problem_row")
_NEVER_NULL = ("problem_id", "problem", "answer", "step", "group", "response", "length", "finish", "status")
_FETCHED = 256  # rows at a time: a row may hold a text of megabytes
_QUERY = """
WITH stored AS (
    SELECT * REPLACE (list_position($files, filename) AS filename)
    FROM read_parquet($patterns, union_by_name = true, filename = true, file_row_number = true)
    UNION ALL BY NAME SELECT * FROM nothing_stored
)
SELECT problem_id, filename - 1 AS file, step, "group", response, len(tokens) AS length, finish, score, status,
       len(sampled) AS marks, list_contains(sampled, false) AS spoken_to,
       model, policy_version, system_prompt, templated, template_arguments, problem, answer, verifier, problem_row
FROM stored
WHERE {condition}
ORDER BY problem_id, file, step, "group", file_row_number
"""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response of a store."""

    problem: Problem
    text: str
    length: int
    """Tokens of the completion."""
    finish: str
    score: float | None
    status: str
    spoken_to: bool
    """A tool or an environment spoke in between: the text lacks what it said."""
    group: tuple[int, int, int]
    """Place of the file, step, number: what was sampled together."""
    model: str
    policy_version: int
    system_prompt: str
    templated: bool | None
    """None: the row does not say."""
    template_arguments: Mapping[str, Any] = field(default_factory=dict)


def store_files(places: Sequence[Path | str]) -> list[Path]:
    """The Parquet files that these mean: a run's folder, its `rollouts/`, files, or patterns. Raises InputError for a place without any."""
    if not places:
        raise InputError("no store is given; give the folder of a run or of `reckon sample`, or Parquet files of one")
    files = [file for place in places for file in _files_of(str(place))]
    return list({file.resolve(): file for file in files}.values())


def _files_of(place: str) -> list[Path]:
    path = Path(place).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        folder = path / "rollouts" if (path / "rollouts").is_dir() else path
        found = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("."))
        if found:
            return found
        raise InputError(f"{place} holds no rollouts (*.parquet); give the folder of a run or of `reckon sample`, or its rollouts folder")
    matches = sorted(glob.glob(str(path)))
    if matches:
        return [file for match in matches for file in _files_of(match)]
    raise InputError(missing_place(place, tried=True) or f"nothing matches {place}; give the folder of a run, or Parquet files of one")


def stored_responses(files: Sequence[Path], *, where: str = "") -> Iterator[tuple[Problem, list[StoredResponse]]]:
    """(problem, its responses) for every problem of these files, by id. `where`: a condition in SQL over the columns of `SCHEMA`.

    Raises InputError for a file that is damaged or of a newer version, and a condition that is none.
    """
    count_responses(files)
    responses = _read_all(files, where)
    for _, found in groupby(responses, key=lambda response: response.problem.id):
        group = list(found)
        yield group[0].problem, group


def count_responses(files: Sequence[Path]) -> int:
    """How many responses these files hold. Raises InputError for one that is damaged, something else or of a newer version."""
    return sum(map(_count_in, files))


def _count_in(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, int(file.metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as rollouts ({_said(error)}); remove it, or give other files") from None
    refuse_newer(path, schema.metadata)
    if said := misfit(schema, _READ):
        raise InputError(f"{path} cannot be read as rollouts ({said}); remove it, or give other files")
    if missing := [name for name in _NEEDED if name not in schema.names]:
        raise InputError(f"{path} holds no rollouts (it has no column {missing[0]!r}); give the folder of a run of ours")
    return count


def _read_all(files: Sequence[Path], where: str) -> Iterator[StoredResponse]:
    import duckdb

    names = [str(file) for file in files]
    with tempfile.TemporaryDirectory(prefix="reckon-select-") as scratch:
        connection = duckdb.connect(
            config={"temp_directory": scratch, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        connection.execute("SET enable_progress_bar = false")  # whoever selects shows how far it is
        connection.register("nothing_stored", SCHEMA.empty_table())
        query = _QUERY.format(condition=f"({_one_condition(where)}\n)" if where.strip() else "true")
        try:
            # a file's name may hold what a pattern gives a meaning to
            cursor = connection.execute(query, {"files": names, "patterns": [glob.escape(name) for name in names]})
            columns = [column[0] for column in cursor.description or ()]
            while rows := cursor.fetchmany(_FETCHED):
                yield from (_whole_response(dict(zip(columns, row, strict=True)), files) for row in rows)
        except duckdb.Error as error:
            what = _said(error)
            if where.strip() and not isinstance(error, duckdb.IOException):
                what = f"--where {where!r} is no condition over its columns ({what}); such as --where 'step >= 100 and temperature = 1'"
                raise InputError(f"the store cannot be read: {what}") from None
            raise InputError(f"the store cannot be read: {what}; one of its files is damaged: remove it, or give others") from None
        finally:
            connection.close()


def _one_condition(where: str) -> str:
    """The condition. Raises InputError for text that would end it and begin another statement."""
    import duckdb

    try:
        whole = len(duckdb.extract_statements(f"SELECT 1 WHERE ({where}\n)")) == 1
    except duckdb.Error as error:
        raise InputError(f"--where {where!r} is no condition ({first_line(error)[:160]}); such as --where 'step >= 100'") from None
    if not whole:
        raise InputError(f"--where {where!r} is more than one condition; such as --where 'step >= 100'")
    return where


def _said(error: BaseException) -> str:
    """What a reader of bytes says of them, without those that a terminal would obey."""
    return "".join(letter for letter in first_line(error)[:160] if letter.isprintable())


def _whole_response(row: dict[str, Any], files: Sequence[Path]) -> StoredResponse:
    """Raises InputError for a row that no run writes."""
    try:
        if hole := next((name for name in _NEVER_NULL if row[name] is None), None):
            raise ValueError(f"a row has no {hole}")
        if row["marks"] != row["length"]:
            raise ValueError(f"a row has {row['length']} tokens and {row['marks']} marks of which were sampled")
        if row["finish"] not in get_args(Finish):
            raise ValueError(f"a completion ended by {row['finish']!r:.40}")
        Verdict(row["score"], Status(row["status"]))
        return _response_of(row)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"the row of a problem has no {error}" if isinstance(error, KeyError) else _said(error)
        raise InputError(f"{files[row['file'] or 0]} is damaged: {what}; remove it, or give other files") from error


def _response_of(row: dict[str, Any]) -> StoredResponse:
    problem = _problem_of(row["problem_id"], row["problem_row"], row["problem"], row["answer"])
    return StoredResponse(
        problem=problem, text=row["response"], length=row["length"], finish=row["finish"], score=row["score"], status=row["status"],
        spoken_to=bool(row["spoken_to"]), group=(row["file"], row["step"], row["group"]), model=row["model"] or "",
        policy_version=row["policy_version"] or 0, system_prompt=row["system_prompt"] or "", templated=row["templated"],
        template_arguments=_object_of(row["template_arguments"] or "{}"),
    )  # fmt: skip


@lru_cache(maxsize=2)
def _problem_of(name: str, whole: str | None, text: str, answer: str) -> Problem:
    if whole is None:
        return _problem_of_version_1(name, text, answer)
    row = _object_of(whole)
    prompt, meta = row["prompt"], row["meta"]
    if not (isinstance(prompt, str) or (isinstance(prompt, list) and all(map(_is_message, prompt)))) or not isinstance(meta, dict):
        raise ValueError("a problem's prompt is neither a text nor messages, or its meta is no object")
    if not (isinstance(row["answer"], str) and isinstance(row["verifier"], str)):
        raise ValueError("a problem's answer or verifier is no text")
    problem = make_problem(prompt, row["answer"], verifier=row["verifier"], meta=meta)
    return replace(problem, id=name)  # as it was sampled: a user's own problems may have ids of their own


def _object_of(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text!r:.40} is no object")
    return found


def _is_message(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)


def _problem_of_version_1(name: str, text: str, answer: str) -> Problem:
    """The problem whose id this is: a hash of its content, so that the verifier can be told, and messages from a text that looks alike."""
    prompts: list[Any] = [text]
    with suppress(ValueError):
        messages = json.loads(text)
        prompts += [messages] if isinstance(messages, list) else []
    tried = [make_problem(prompt, answer, verifier=verifier) for prompt in prompts for verifier in own_names()]
    known = next((problem for problem in tried if problem.id == name), None)
    return known or replace(make_problem(text, answer), id=name)
