"""Which files a store is, and its responses in order."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipes.selection.stored_responses import count_responses, store_files, stored_responses
from tests.recipes.selection.written_store import CHAT, PLAIN, R, W, group_of, problem_of, write_store
from verifiers.input_error import InputError
from verifiers.problem import Message, make_problem

ONE, TWO = problem_of(), problem_of("1 + 1?", "2")


def texts(place: Path, where: str = "") -> list[str]:
    return [response.text for _, found in stored_responses(store_files([place]), where=where) for response in found]


def test_a_store_is_a_run_its_rollouts_a_file_or_a_pattern(tmp_path: Path) -> None:
    run = write_store(tmp_path / "a[1]*b?", [group_of(ONE, [("x", R)])], [group_of(ONE, [("y", W)])])
    write_store(tmp_path / "a1xb?", [group_of(ONE, [("other", R)])])  # what those signs would match in a pattern
    (run / "rollouts" / ".tmp-12-0-step-000003.parquet").write_bytes(b"half")  # what a killed run leaves
    for place in (run, run / "rollouts"):
        assert texts(place) == ["x", "y"]
    assert texts(run / "rollouts" / "step-000002.parquet") == ["y"]
    plain = write_store(tmp_path / "plain", [group_of(ONE, [("x", R)])], [group_of(ONE, [("y", W)])])
    assert texts(tmp_path / "pl*") == texts(plain / "rollouts" / "*.parquet") == ["x", "y"]
    assert len(store_files([plain, plain / "rollouts", *(plain / "rollouts").iterdir()])) == 2
    assert count_responses(store_files([plain])) == 2


def test_the_order_is_by_problem_step_group_and_place(tmp_path: Path) -> None:
    first, second = sorted([ONE, TWO], key=lambda problem: problem.id)
    steps = [
        [group_of(second, [("s1", R)]), group_of(first, [("a", R), ("b", W)]), group_of(first, [("c", R)])],
        [group_of(first, [("d", R)]), group_of(second, [("s2", R)])],
    ]
    run = write_store(tmp_path, *steps)
    found = list(stored_responses(store_files([run])))
    assert [problem.id for problem, _ in found] == [first.id, second.id]
    assert [response.text for response in found[0][1]] == ["a", "b", "c", "d"]
    assert [response.group for response in found[0][1]] == [(0, 1, 1), (0, 1, 1), (0, 1, 2), (1, 2, 0)]
    assert [response.text for response in found[1][1]] == ["s1", "s2"]


def test_a_response_says_what_it_was_sampled_from(tmp_path: Path) -> None:
    said = group_of(ONE, [("a", R, {"length": 4, "finish": "length", "sampled": False}), ("b", R, {"score": 0.5})])
    ((problem, (one, other)),) = stored_responses(store_files([write_store(tmp_path, [said])]))
    assert problem == ONE
    assert (one.length, one.finish, one.spoken_to, one.score, one.status) == (4, "length", True, 1.0, "right")
    assert (other.length, other.finish, other.spoken_to, other.score) == (3, "stop", False, 0.5)
    assert (one.model, one.system_prompt, one.templated, one.policy_version) == ("tiny/model", "Think.", True, 3)


def test_a_condition_in_sql_chooses_rows(tmp_path: Path) -> None:
    run = write_store(tmp_path, [group_of(ONE, [("x", R), ("y", W)])], [group_of(TWO, [("z", R)])])
    assert texts(run, "step >= 2") == ["z"]
    assert texts(run, "score = 1 and temperature = 1 -- a remark") == [found for found in texts(run) if found != "y"]
    assert texts(run, "json_extract_string(problem_row, '$.meta.level') = '2' and status = 'wrong'") == ["y"]
    for wrong in ("stepp > 1", "step >", "1=1); select (1", "cast(response as int) > 1", "score = 1; drop table x"):
        with pytest.raises(InputError, match="--where") as refused:
            texts(run, wrong)
        assert "\n" not in str(refused.value)


def old_rows(run: Path) -> Path:
    """The same rows as version 1 wrote them."""
    new = ("verifier", "problem_row", "model", "system_prompt", "templated", "temperature")
    for file in (run / "rollouts").iterdir():
        table = pq.read_table(file)
        pq.write_table(table.drop_columns(list(new)).replace_schema_metadata({"cursor": "1"}), file)
    return run


def test_rows_without_the_problem_find_it_by_its_id(tmp_path: Path) -> None:
    messages = [Message(role="user", content="1 + 1?")]
    asked = [make_problem("x?", "5", verifier="exact"), make_problem(messages, "2"), make_problem(json.dumps(messages), "2"), ONE]
    run = old_rows(write_store(tmp_path / "old", [group_of(problem, [("a", R)]) for problem in asked], source=None))
    found = {problem.id: problem for problem, _ in stored_responses(store_files([run]))}
    assert {name: (problem.prompt, problem.answer, problem.verifier) for name, problem in found.items()} == {
        problem.id: (problem.prompt, problem.answer, problem.verifier) for problem in asked
    }
    both = store_files([run, write_store(tmp_path / "new", [group_of(ONE, [("b", R)])], source=PLAIN)])
    ((_, mixed),) = [(problem, rows) for problem, rows in stored_responses(both) if problem.id == ONE.id]
    assert [(response.text, response.templated) for response in mixed] == [("a", None), ("b", False)]


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    run = write_store(tmp_path / "my-run", [group_of(ONE, [("a", R)])], source=CHAT)
    file = run / "rollouts" / "step-000001.parquet"
    table = pq.read_table(file)

    def refused(place: Path) -> str:
        with pytest.raises(InputError) as error:
            texts(place)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert f"did you mean {run}?" in refused(tmp_path / "my-rum")
    (tmp_path / "empty").mkdir()
    assert "holds no rollouts" in refused(tmp_path / "empty")
    pq.write_table(table.replace_schema_metadata({"reckon_store": "3"}), file)
    assert "written by a newer Reckon" in refused(run)
    pq.write_table(pa.table({"a": [1]}), file)
    assert "has no column 'problem_id'" in refused(run)
    file.write_bytes(b"PAR1 no table")
    assert "cannot be read as rollouts" in refused(run)
