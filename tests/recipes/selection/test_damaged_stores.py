"""Stores as accidents, other programs and bad intent leave them: one line for `reckon data`, one error for a run that is resumed."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.commands.cli import main
from rollout.store import SCHEMA, RolloutStore
from tests.progress_lines import without_progress
from tests.recipes.selection.written_store import LOST, NO, R, W, group_of, problem_of, write_store
from verifiers.input_error import InputError

ONE, TWO = problem_of(), problem_of("2*3?", "6")
COMMANDS = {"sft": [], "pairs": [], "kto": ["--format", "kto"], "difficulty": []}
READ = ("step", "group", "problem_id", "problem", "answer", "problem_row", "model", "system_prompt", "templated", "template_arguments",
        "tokens", "sampled", "finish", "policy_version", "response", "score", "status")  # fmt: skip
REPLAYED = ("group", "problem_id", "prompt", "tokens", "logprobs", "sampled", "finish", "policy_version", "response", "score", "status",
            "detail", "parts", "steps")  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Path:
    groups = [group_of(ONE, [("17", R), ("18", W), ("x", NO), ("17.", R)]), group_of(TWO, [("6", R), ("5", W), ("a", LOST), ("b", W)])]
    return write_store(tmp_path / "run", groups)


def step_file(store: Path) -> Path:
    return store / "rollouts" / "step-000001.parquet"


def rewrite(store: Path, column: str, kind: pa.DataType, change: Callable[[Any], Any]) -> None:
    """The store with another column in the place of one."""
    table = pq.read_table(step_file(store))
    values = pa.array([change(row[column]) for row in table.to_pylist()], type=kind)
    changed = table.set_column(table.schema.get_field_index(column), pa.field(column, kind), values)
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), step_file(store))


def refused(store: Path, capsys: pytest.CaptureFixture[str], *commands: str) -> str:
    """What every command says of it: the same one line, naming the file."""
    said = set()
    for command in commands or COMMANDS:
        out = store.parent / "out.jsonl"
        words = ["data", "pairs" if command == "kto" else command, str(store), "--out", str(out), *COMMANDS[command]]
        capsys.readouterr()
        assert main(words) == 2, command
        (line,) = without_progress(capsys.readouterr().err).splitlines()
        assert line.startswith("error: ")
        assert len(line) < 600
        assert not out.exists()
        said.add(line)
    assert len(said) == 1
    return said.pop()


def replayed(store: Path) -> Any:
    return RolloutStore(store / "rollouts").read(1, {problem.id: problem for problem in (ONE, TWO)})


def not_replayed(store: Path) -> str:
    with pytest.raises(InputError, match="damaged or another run's") as caught:
        replayed(store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


OTHERS: dict[str, tuple[pa.DataType, Any]] = {
    "text": (pa.string(), "abc"),
    "bytes": (pa.binary(), b"\xff\xfe"),
    "texts": (pa.list_(pa.string()), ["a", None]),
    "a struct": (pa.struct([("a", pa.int32())]), {"a": 1}),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("column", READ)
def test_a_column_of_another_type_is_one_line(column: str, other: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind, value = OTHERS[other]
    if kind == SCHEMA.field(column).type:
        kind, value = pa.int64(), 7
    rewrite(store, column, kind, lambda _: value)
    assert f"step-000001.parquet cannot be read as rollouts (its column {column!r} is of type" in refused(store, capsys)
    if column in REPLAYED:
        assert f"its column {column!r} is of type" in not_replayed(store)


@pytest.mark.parametrize(
    "column", ["step", "group", "problem_id", "problem", "answer", "tokens", "sampled", "finish", "response", "status"]
)
def test_a_column_without_values_or_that_is_not_there_is_one_line(column: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = pq.read_table(step_file(store))
    rewrite(store, column, SCHEMA.field(column).type, lambda _: None)
    assert "step-000001.parquet is damaged: a row " in refused(store, capsys)
    if column in REPLAYED:
        not_replayed(store)
    pq.write_table(whole.drop_columns([column]), step_file(store))
    assert f"has no column {column!r}" in refused(store, capsys)
    if column in REPLAYED:
        not_replayed(store)


@pytest.mark.parametrize("column", ["tokens", "sampled"])
@pytest.mark.parametrize("change", [lambda values: values[:-1], lambda values: []])
def test_lists_that_disagree_are_one_line(column: str, change: Any, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(store, column, SCHEMA.field(column).type, change)
    assert "marks of which were sampled" in refused(store, capsys)
    assert "not equally many" in not_replayed(store)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting property name"),
        ("[1, 2]", "is no object"),
        ("null", "is no object"),
        ("{}", "has no 'prompt'"),
        ("[" * 100_000, "recursion"),
        ('{"a": ' + "9" * 10_000 + "}", "limit"),
        ("x" * (4 << 20), "Expecting value"),
        ('{"prompt": NaN, "answer": "1", "verifier": "v", "meta": {}}', "neither a text nor messages"),
        ('{"prompt": [1, {}], "answer": "1", "verifier": "v", "meta": {}}', "neither a text nor messages"),
        ('{"prompt": "q", "answer": [], "verifier": "v", "meta": {}}', "is no text"),
        ('{"prompt": "q", "answer": "1", "verifier": "v", "meta": []}', "its meta is no object"),
    ],
)
def test_a_problem_that_is_none_is_one_line(text: str, said: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(store, "problem_row", pa.string(), lambda _: text)
    line = refused(store, capsys, "sft", "difficulty")
    assert f"{step_file(store)} is damaged: " in line
    assert said in line


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("status", "maybe", "'maybe' is not a valid Status"),
        ("finish", "tired", "ended by 'tired'"),
        ("score", math.nan, "a score must be a finite number"),
        ("score", None, "cannot have score None"),
        ("template_arguments", "[1]", "'[1]' is no object"),
    ],
)
def test_values_that_no_run_writes_are_one_line(
    column: str, value: Any, said: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(store, column, SCHEMA.field(column).type, lambda _: value)
    assert said in refused(store, capsys)


@pytest.mark.parametrize(
    ("column", "value"),
    [("prompt", []), ("prompt", [-1]), ("prompt", [None]), ("tokens", [1, 2, -3]), ("tokens", [None] * 3), ("logprobs", [None] * 3),
     ("sampled", [None] * 3), ("policy_version", None), ("response", None), ("group", 7), ("finish", "tired"), ("score", math.inf)],
)  # fmt: skip
def test_a_rollout_with_holes_is_not_replayed(column: str, value: Any, store: Path) -> None:
    assert replayed(store) is not None
    rewrite(store, column, SCHEMA.field(column).type, lambda _: value)
    not_replayed(store)


def test_a_huge_text_is_a_text(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(store, "response", pa.large_string(), lambda text: text * (4 << 20))
    assert main(["data", "sft", str(store), "--out", str(store.parent / "out.jsonl"), "--keep", "random"]) == 0
    rows = [json.loads(line) for line in (store.parent / "out.jsonl").read_text().splitlines()]
    assert {len(row["completion"][0]["content"]) for row in rows} >= {2 * (4 << 20)}


def test_widths_and_layouts_of_other_programs_are_read(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = replayed(store)
    for column in ("step", "group", "policy_version"):
        rewrite(store, column, pa.int64(), lambda value: value)
    for column in ("response", "status"):
        rewrite(store, column, pa.large_string(), lambda value: value)
    rewrite(store, "tokens", pa.large_list(pa.uint16()), lambda value: value)
    assert replayed(store) == began
    assert main(["data", "sft", str(store), "--out", str(store.parent / "out.jsonl")]) == 0


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_and_cuts_never_end_in_a_traceback(seed: int, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw, data = random.Random(seed), bytearray(step_file(store).read_bytes())
    for _ in range(draw.choice([1, 5, 20])):
        data[draw.randrange(4, len(data) - 8)] = draw.randrange(256)
    step_file(store).write_bytes(bytes(data[: draw.choice([len(data), len(data) // 2, 8, 0])]))
    for command in ("sft", "difficulty"):
        assert main(["data", command, str(store), "--out", str(store.parent / "out.jsonl")]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err


def test_what_cannot_be_shown_is_said(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(store)
    assert main(["show", run]) == 0
    assert "17" in capsys.readouterr().out
    rewrite(store, "score", pa.binary(), lambda _: b"\xff")
    assert main(["show", run]) == 0
    assert "step-000001.parquet cannot be read as rollouts (its column 'score' is of type binary" in capsys.readouterr().err
    pq.write_table(pq.read_table(step_file(store)).drop_columns(["score"]), step_file(store))
    assert main(["show", run]) == 0
    assert "it has no column 'score'" in capsys.readouterr().err
