"""One file of rollouts to what the page needs of it: a line of numbers a rollout for its index, and slices with texts and tokens.

A slice holds whole groups, so that what was sampled together is looked at together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from recipes.looking.stored_steps import TRAINING, StoredStep
from recipes.viewer.packs import pack, smallest
from rollout.engine import Finish
from rollout.token_store import TokenStore
from verifiers.verdict import Status

COLUMNS = (
    "step", "group", "problem_id", "problem", "answer", "verifier", "temperature", "tokens", "logprobs", "sampled", "finish",
    "tool_errors", "response", "score", "status", "detail", "parts", "steps",
)  # fmt: skip
STATUSES = tuple(status.value for status in Status)
FINISHES = get_args(Finish)
ROWS, TEXT = 256, 1 << 20
"""Of a slice at most, unless one group has more: rollouts, characters."""
Explain = Callable[[int], Sequence[str] | None]


@dataclass
class StepRows:
    """What the index says of a file's rollouts, a number each."""

    columns: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    """Rewards by their names; nan where a rollout has none."""
    problems: list[tuple[str, str, str, str]]
    """Of each rollout: id, text, answer, verifier of its problem."""
    slices: list[tuple[int, int]]
    """[begin, end) of rows."""
    tokens: np.ndarray
    """Ids that occur, each once."""
    colours: set[str]
    """Numbers of tokens that there are."""


def step_rows(stored: StoredStep, table: Any, tokens: TokenStore, explain: Explain, put: Callable[[int, str], None]) -> StepRows:
    """Reads a table of `read_step`; `put` is given the packed slices, by number. `explain`: the lines of a row's explanation, or None."""
    rows = table.num_rows
    lists = {name: _flat(table, name) for name in ("tokens", "logprobs", "sampled")}
    lengths = lists["tokens"][1]
    texts = {
        name: _texts(table, name) for name in ("response", "detail", "status", "finish", "problem_id", "problem", "answer", "verifier")
    }
    group = _numbers(table, "group", np.int32)
    begins = np.concatenate([[0], np.cumsum(lengths)])
    numbers = _token_numbers(lists, tokens, stored, lengths, group)
    cuts = list(_cuts(group, [len(text) for text in texts["response"]]))
    slice_of = np.zeros(rows, np.int32)
    for number, (begin, end) in enumerate(cuts):
        slice_of[begin:end] = number
        facts = {
            **{name: texts[name][begin:end] for name in ("response", "detail")},
            "problems": {texts["problem_id"][n]: [texts[name][n] for name in ("problem", "answer", "verifier")] for n in range(begin, end)},
            "steps": _steps(table, begin, end),
            "explained": [explain(n) for n in range(begin, end)],
        }
        own = slice(begins[begin], begins[end])
        put(number, pack(facts, {"length": smallest(lengths[begin:end]), **{name: each[own] for name, each in numbers.items()}}))
    columns = {
        "step": _numbers(table, "step", np.int32), "group": group, "length": smallest(lengths),
        "score": _numbers(table, "score", np.float32),
        "status": _coded(texts["status"], STATUSES), "finish": _coded(texts["finish"], FINISHES), "slice": slice_of,
        "row": smallest(np.arange(rows) - np.array([begin for begin, _ in cuts], int)[slice_of]) if rows else np.zeros(0, np.uint8),
    }  # fmt: skip
    problems = list(zip(*(texts[name] for name in ("problem_id", "problem", "answer", "verifier")), strict=True))
    return StepRows(columns, _parts(table), problems, cuts, np.unique(lists["tokens"][0]), set(numbers) - {"tokens", "sampled"})


def _token_numbers(
    lists: Mapping[str, tuple[np.ndarray, np.ndarray]], tokens: TokenStore, stored: StoredStep, lengths: np.ndarray, group: np.ndarray
) -> dict[str, np.ndarray]:
    """Of all tokens of the file, by name; only what fits the tokens."""
    count = int(lengths.sum())
    found = {"tokens": smallest(lists["tokens"][0])} if count else {}
    if np.array_equal(lists["sampled"][1], lengths) and not lists["sampled"][0].all():
        found["sampled"] = lists["sampled"][0].astype(np.uint8)
    if np.array_equal(lists["logprobs"][1], lengths):
        found["logp"] = _half(lists["logprobs"][0])
    if stored.part == TRAINING:
        kept = group >= 0  # those that dynamic sampling replaced are in no update
        of_tokens = np.repeat(kept, lengths)
        for name, values in tokens.read(stored.step, lengths[kept].tolist()).items():
            whole = np.full(count, np.nan, np.float32)
            whole[of_tokens] = values
            found[name] = np.nan_to_num(whole).astype(np.uint8) if name == "trains" else _half(whole)
    return found


def _half(values: np.ndarray) -> np.ndarray:
    most = float(np.finfo(np.float16).max)
    return np.clip(values.astype(np.float32), -most, most).astype(np.float16)


def _cuts(group: np.ndarray, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    begin = text = 0
    for row in range(len(group)):
        if row and group[row] != group[row - 1] and (row - begin >= ROWS or text >= TEXT):
            yield begin, row
            begin, text = row, 0
        text += sizes[row]
    if len(group):
        yield begin, len(group)


def _flat(table: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(what the lists of a column hold, end to end; how many each has)."""
    import pyarrow.compute as pc

    if name not in table.schema.names or table.num_rows == 0 or table.column(name).null_count == table.num_rows:
        return np.zeros(0, np.int64), np.zeros(table.num_rows, np.int64)
    column = table.column(name)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    values = pc.list_flatten(column)
    if name == "sampled":
        values = pc.fill_null(values, False)
    return values.to_numpy(), lengths


def _texts(table: Any, name: str) -> list[str]:
    if name not in table.schema.names:
        return [""] * table.num_rows
    return [value or "" for value in table.column(name).to_pylist()]


def _numbers(table: Any, name: str, kind: Any) -> np.ndarray:
    values = table.column(name).to_pylist()
    return np.array([np.nan if value is None else value for value in values], np.float64).astype(kind) if values else np.zeros(0, kind)


def _coded(values: Sequence[str], known: Sequence[str]) -> np.ndarray:
    codes = {name: number for number, name in enumerate(known)}
    return np.array([codes.get(value, len(known)) for value in values], np.uint8)


def _parts(table: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for row, parts in enumerate(table.column("parts").to_pylist() if "parts" in table.schema.names else ()):
        for name, value in parts or ():
            found.setdefault(name, np.full(table.num_rows, np.nan, np.float32))[row] = value
    return found


def _steps(table: Any, begin: int, end: int) -> list[list[list[float]]]:
    """[end, score] of the steps of each row."""
    if "steps" not in table.schema.names:
        return []
    rows = table.column("steps").slice(begin, end - begin).to_pylist()
    found = [[[step["end"], step["score"]] for step in steps or ()] for steps in rows]
    return found if any(found) else []
