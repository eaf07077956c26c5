"""`reckon show`: what it prints is what the files hold, and nothing that a terminal obeys."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.viewer import make_run
from recipes.commands.cli import main
from rl.runs.run_folder import RunFolder
from rollout.engine import Completion
from rollout.player import Group
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("show") / "run", steps=3, groups=4, completions=3, tokens=(2, 9))


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[dict[str, object]], str]:
    capsys.readouterr()
    assert main(["show", *words, "--json"]) == 0
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def test_filters_choose_rows_of_the_files(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pq.read_table(RunFolder(run).rollouts.path(3)).to_pylist()
    found, said = shown(capsys, str(run), "--limit", "0")
    assert [row["response"] for row in found] == [row["response"] for row in rows], "the last step, all of it"
    assert said == "12 of 12 shown\n"
    found, said = shown(capsys, str(run), "--step", "3", "--wrong", "--limit", "2")
    wrong = [row["response"] for row in rows if row["status"] != "right"]
    assert [row["response"] for row in found] == wrong[:2]
    assert said == f"2 of {len(wrong)} shown; --limit 0 shows all\n"
    found, _ = shown(capsys, str(run), "--reward-part", "format<0.5", "--limit", "0")
    assert [row["response"] for row in found] == [row["response"] for row in rows if dict(row["parts"]).get("format", 1.0) < 0.5]
    name = rows[0]["problem_id"]
    found, _ = shown(capsys, str(run), "--problem", name, "--step", "all", "--limit", "0")
    assert {row["problem_id"] for row in found} == {name}
    held_out = pq.read_table(RunFolder(run).held_out().path(2)).to_pylist()
    found, _ = shown(capsys, str(run), "--held-out", "--step", "2", "--right", "--limit", "0")
    assert [row["response"] for row in found] == [row["response"] for row in held_out if row["status"] == "right"]
    assert {row["set"] for row in found} == {"held-out"}


def test_a_terminal_is_told_nothing_but_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.create(tmp_path / "run", {"options": {}})
    text = "one\x1b[2J\nstep 9: right \u202e desrever \x00\r" + "x" * 5000
    completion = Completion([1], [-1.0], [True], "length", 0)
    group = Group(make_problem("p\x1b]0;title\x07", "4"), [1], (completion,), (text,), (Verdict(0.0, Status.WRONG, "d\x9b"),))
    run.rollouts.write(1, [group], cursor=1)
    run.close()
    assert main(["show", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "cut at the limit" in out
    assert "... and 3,0" in out
    assert "\n           step 9: right" in out, "a line that looks like ours is set in"
    assert main(["show", str(run.path), "--characters", "0"]) == 0
    assert "x" * 5000 in capsys.readouterr().out


def test_it_says_why_where_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.create(tmp_path / "run", {"options": {}})
    texts = {r"so \boxed{0.5}": Verdict(1.0, Status.RIGHT), "I give up": Verdict(0.0, Status.NO_ANSWER)}
    completions = tuple(Completion([1], [-1.0], [True], "stop", 0) for _ in texts)
    group = Group(make_problem("half of one?", "1/2"), [1], completions, tuple(texts), tuple(texts.values()))
    run.rollouts.write(1, [group], cursor=1)
    run.close()
    assert main(["show", str(run.path), "--explain"]) == 0
    out = capsys.readouterr().out
    assert out.count("gold text: '1/2'") == 2
    found, _ = shown(capsys, str(run.path), "--explain", "--right")
    (row,) = found
    assert any("0.5" in line for line in row["explained"])
    assert "problem_row" not in row


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "77"], "nothing is stored of it; there are 3 steps from 1 to 3"),
        (["--step", "first"], 'must be a step, "last" or "all"'),
        (["--set", "hard"], "no such set"),
        (["--wrong", "--right"], "give one of them"),
        (["--reward-part", "format"], "must be like format<0.5"),
    ],
)
def test_what_is_not_there_is_said(run: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["show", str(run), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--reward-part", "x<1.2.3"), ("--limit", "-1"), ("--characters", "-5")])
def test_numbers_that_mean_nothing_are_refused(words: tuple[str, ...], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run), *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_of_a_run_of_rounds_the_rounds_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "round-01" / "samples" / "rollouts").mkdir(parents=True)
    assert main(["show", str(tmp_path)]) == 2
    assert str(tmp_path / "round-01" / "samples") in capsys.readouterr().err
