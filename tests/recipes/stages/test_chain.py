"""A chain of stages: each is done once, in order, whatever ends it in between, and an option that changes is refused by its name."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from recipes.setup.choices import HF
from recipes.setup.command_line import guarded
from recipes.stages.chain import Chain, Stage, made, run_chain, write_rows
from recipes.stages.story_options import StoryOptions, require_whole
from tests.kills import killed_when
from tests.progress_lines import without_progress
from verifiers.input_error import InputError


@dataclass(frozen=True, kw_only=True)
class Options(StoryOptions):
    """A story's, with one option of its own."""

    rounds: int = 2


def counting(calls: list[str], *, fails: str = "") -> list[Stage]:
    """Three stages that each add the numbers before them; `fails`: one that cannot."""

    def work(name: str, before: Sequence[str]) -> Any:
        def does(options: Options, chain: Chain) -> dict[str, Any]:
            calls.append(name)
            if name == fails:
                raise InputError(f"no pairs; continue with --resume {chain.place(name)}/run; then go on")
            made(chain.place(name) / "rows.jsonl", lambda path: write_rows(path, [{"n": len(before)}]))
            return {"sum": options.rounds + sum(chain.numbers(each)["sum"] for each in before)}

        return does

    names = ["one", "two", "three"]
    return [Stage(name, f"the {name}", work(name, names[:place])) for place, name in enumerate(names)]


def result(chain: Chain) -> dict[str, Any]:
    return {"last": chain.numbers("three")["sum"]}


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = capsys.readouterr().out.splitlines()[-1]
    return {name: value for name, value in json.loads(line.removeprefix("RESULT ")).items() if not name.endswith("seconds")}


def test_stages_are_done_once_and_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []
    options = Options(run=tmp_path / "run")
    assert guarded(lambda: run_chain(options, counting(calls), result=result)) == 0
    assert calls == ["one", "two", "three"]
    assert last_line(capsys) == {"last": 8}  # 2, then 2 + 2, then 2 + 2 + 4
    assert guarded(lambda: run_chain(options, counting(calls), result=result)) == 0
    assert calls == ["one", "two", "three"]
    assert last_line(capsys) == {"last": 8}


def test_it_goes_on_where_a_stage_failed_and_says_so_of_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []
    options = Options(run=tmp_path / "run")
    with pytest.raises(InputError, match="stage two: no pairs; give the same command again, without --overwrite; then go on"):
        run_chain(options, counting(calls, fails="two"), result=result)
    chain = Chain(tmp_path / "run", ("one", "two", "three"))
    assert [chain.done(name) for name in chain.names] == [True, False, False]
    assert chain.next() == "two"
    assert run_chain(options, counting(calls), result=result) == 0
    assert calls == ["one", "two", "two", "three"]
    said = capsys.readouterr().err
    assert " 1  one    done  the one" in said
    assert " 2  two    next  the two" in said
    assert chain.next() is None


def test_a_changed_option_is_refused_by_name(tmp_path: Path) -> None:
    options = Options(run=tmp_path / "run", seed=3)
    run_chain(options, counting([]), result=result)
    with pytest.raises(InputError, match=r"was begun with --rounds 2 and --seed 3, which cannot change within it"):
        run_chain(replace(options, rounds=5, seed=4), counting([]), result=result)
    calls: list[str] = []
    assert run_chain(replace(options, engine=HF()), counting(calls), result=result) == 0  # what samples may change
    assert calls == []
    assert run_chain(replace(options, rounds=5, overwrite=True), counting(calls), result=result) == 0
    assert calls == ["one", "two", "three"]


def test_a_stage_that_is_gone_from_the_middle_is_one_line(tmp_path: Path) -> None:
    options = Options(run=tmp_path / "run")
    run_chain(options, counting([]), result=result)
    (tmp_path / "run" / "02-two" / "stage.json").unlink()
    with pytest.raises(InputError, match="the stage two is not done and three, which follows from it, is; remove 03-three too"):
        run_chain(options, counting([]), result=result)


def test_another_folder_is_neither_taken_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"exists|not a run folder"):
            run_chain(Options(run=tmp_path / "mine", overwrite=overwrite), counting([]), result=result)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_killed_within_a_stage_it_is_begun_again_and_nothing_before_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"

    def noted(number: int) -> Any:
        def work(options: Options, chain: Chain) -> dict[str, int]:
            with log.open("a") as file:
                file.write(f"{number} begins\n")
            if number == 2 and not (tmp_path / "second life").exists():
                time.sleep(60)
            return {"n": number}

        return work

    stages = [Stage(f"s{number}", "notes its number", noted(number)) for number in (1, 2, 3)]
    options = Options(run=tmp_path / "run")

    def live() -> None:
        os._exit(run_chain(options, stages, result=lambda chain: {}))

    killed_when(lambda: log.exists() and "2 begins" in log.read_text(), live)
    (tmp_path / "second life").touch()
    assert guarded(lambda: run_chain(options, stages, result=lambda chain: chain.numbers("s3"))) == 0
    assert log.read_text().split(" begins\n")[:-1] == ["1", "2", "2", "3"]
    assert last_line(capsys) == {"n": 3}
    assert "stage 1 of 3" not in without_progress(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "--model and --data and --eval-data missing; or give --tiny"),
        ({"model": "m", "data": "d"}, "--eval-data missing"),
        ({"tiny": True, "eval_data": "e.jsonl"}, "--eval-data would be ignored with --tiny"),
        ({"model": "./no/where", "data": "d", "eval_data": "e.jsonl"}, "--model: "),
    ],
)
def test_a_story_that_is_not_whole_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as raised:
        require_whole(Options(**given))
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
