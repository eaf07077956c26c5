"""The store of rollouts: its versions, and rows that are enough by themselves."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rollout.engine import Completion
from rollout.player import Group
from rollout.store import VERSION, RolloutStore, Source
from verifiers.input_error import InputError
from verifiers.problem import Message, Problem, make_problem
from verifiers.rewards.problem_file import read_problems
from verifiers.verdict import right

OF_VERSION_1 = pa.schema(  # word for word what the store wrote before it had a version
    [
        ("step", pa.int32()), ("group", pa.int32()), ("problem_id", pa.string()), ("problem", pa.string()), ("answer", pa.string()),
        ("prompt", pa.list_(pa.int32())), ("tokens", pa.list_(pa.int32())), ("logprobs", pa.list_(pa.float64())),
        ("sampled", pa.list_(pa.bool_())), ("finish", pa.string()), ("policy_version", pa.int32()), ("tool_errors", pa.int32()),
        ("response", pa.string()), ("score", pa.float64()), ("status", pa.string()), ("detail", pa.string()),
        ("parts", pa.map_(pa.string(), pa.float64())),
        ("steps", pa.list_(pa.struct([("end", pa.int32()), ("score", pa.float64())]))),
    ]
)  # fmt: skip


def group_of(problem: Problem, response: str = "5") -> Group:
    return Group(problem, [7, 8], (Completion([1], [-0.5], [True], "stop", 3),), (response,), (right("plain: '5' equals '5'"),))


def test_a_row_holds_the_whole_problem_and_what_it_was_sampled_from(tmp_path: Path) -> None:
    odd = make_problem([Message(role="user", content="2 + \ud800 3 =")], "5", verifier="exact", meta={"level": 3, "made": Path("x")})
    RolloutStore(tmp_path, Source("some/model", "Be brief.", True, 0.7, {"enable_thinking": False})).write(2, [group_of(odd)], cursor=1)
    (row,) = pq.read_table(tmp_path / "step-000002.parquet").to_pylist()
    assert (row["model"], row["system_prompt"], row["templated"], row["temperature"]) == ("some/model", "Be brief.", True, 0.7)
    assert row["template_arguments"] == '{"enable_thinking": false}'
    assert (row["step"], row["group"], row["policy_version"], row["verifier"]) == (2, 0, 3, "exact")
    (tmp_path / "data.jsonl").write_text(row["problem_row"] + "\n")
    (again,) = read_problems(tmp_path / "data.jsonl")
    assert again.id == odd.id == row["problem_id"]  # a hash of prompt, answer and verifier: half a surrogate pair came through
    assert again.meta == {"level": 3, "made": "x"}


def test_a_run_of_before_the_versions_is_read(tmp_path: Path) -> None:
    problem = make_problem("2 + 3 =", "5")
    row = {
        "step": 1, "group": 0, "problem_id": problem.id, "problem": "2 + 3 =", "answer": "5", "prompt": [7, 8], "tokens": [1],
        "logprobs": [-0.5], "sampled": [True], "finish": "stop", "policy_version": 3, "tool_errors": 0, "response": "5", "score": 1.0,
        "status": "right", "detail": "plain: '5' equals '5'", "parts": [], "steps": [],
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row], schema=OF_VERSION_1.with_metadata({"cursor": "4"})), tmp_path / "step-000001.parquet")
    assert RolloutStore(tmp_path).read(1, {problem.id: problem}) == ([group_of(problem)], [], 4)


@pytest.mark.parametrize("version", [str(VERSION + 1), "x", "\xff"])
def test_what_a_newer_reckon_wrote_is_refused_and_not_called_damaged(tmp_path: Path, version: str) -> None:
    problem, store = make_problem("2 + 3 =", "5"), RolloutStore(tmp_path)
    store.write(1, [group_of(problem)], cursor=1)
    table = pq.read_table(store.path(1))
    newer = table.replace_schema_metadata({**(table.schema.metadata or {}), b"reckon_store": version.encode("latin-1")})
    pq.write_table(newer, store.path(1))
    with pytest.raises(InputError, match="written by a newer Reckon") as refused:
        store.read(1, {problem.id: problem})
    assert "damaged" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("response", ["\ud800", "a\x00b", "one\ntwo\r\n\u2028three", "x" * 3_000_000, ""])
def test_hostile_responses_are_stored(tmp_path: Path, response: str) -> None:
    problem, store = make_problem("2 + 3 =", "5"), RolloutStore(tmp_path)
    store.write(1, [group_of(problem, response)], cursor=1)
    found = store.read(1, {problem.id: problem})
    assert found is not None
    assert found[0][0].responses[0] == response.encode("utf-8", "replace").decode()
    assert json.loads(pq.read_table(store.path(1))["problem_row"][0].as_py())["answer"] == "5"
