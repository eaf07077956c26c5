"""The comparison's own arithmetic: intervals by hand, what each method types, one budget for all, and a run that is not run again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import __main__ as compare
from benchmarks.compare import contest
from benchmarks.compare.intervals import difference, over_seeds, verdict, wilson
from benchmarks.compare.picture import draw
from benchmarks.recipe import chains
from benchmarks.recipe.methods import Missing
from benchmarks.recipe.worlds import World
from rl.evaluation.accuracy import Accuracy


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "sft" / "final").mkdir(parents=True)  # stands for a warm start
    return contest.sums(tmp_path, 3)


def value(words: Sequence[str], name: str) -> int:
    return int(words[list(words).index(name) + 1])


def test_samples_of_different_problems_have_wilsons_interval() -> None:
    right = [1, 0] * 30 + [1] * 20
    low, high = Accuracy(50, 80).interval
    assert wilson(right, 1) == {"accuracy": 0.625, "ci95": [round(low, 4), round(high, 4)], "n": 80}


def test_samples_of_one_problem_that_agree_count_once() -> None:
    assert wilson([4, 0] * 20, 4)["n"] == pytest.approx(40, abs=1)
    assert wilson([2, 2] * 20, 4)["n"] == 160  # less spread than chance gives does not count for more
    assert wilson([4] * 5, 4)["ci95"][1] == 1.0


def test_differences_are_paired_by_seed_and_by_problem() -> None:
    """Two seeds of four problems; by hand: gaps 1, 0, 0, 1 and 0, 1, 0, 0 halves."""
    one, other = [[2, 1, 1, 2], [1, 2, 0, 1]], [[1, 1, 1, 1], [1, 1, 0, 1]]
    found = difference(one, other, 2)
    assert found["over_seeds"]["mean"] == 0.1875  # of 0.25 and 0.125
    assert found["over_seeds"]["ci95"] == pytest.approx([0.1875 - 12.706 * 0.0625, 0.1875 + 12.706 * 0.0625], abs=1e-4)
    half = 1.959964 * ((0.083333 / 4 + 0.0625 / 4) ** 0.5) / 2
    assert found["over_problems"] == pytest.approx([0.1875 - half, 0.1875 + half], abs=1e-4)
    back = difference(other, one, 2)
    assert back["over_problems"] == pytest.approx([-end for end in reversed(found["over_problems"])])


@pytest.mark.parametrize(
    ("seeds", "problems", "said"),
    [
        ([0.01, 0.1], [0.02, 0.08], "above"),
        ([-0.1, -0.01], [-0.1, -0.02], "below"),
        ([-0.01, 0.1], [0.02, 0.08], "above, of these seeds"),
        ([0.01, 0.1], [-0.02, 0.08], "undecided"),
        (None, [0.02, 0.08], "above, of these seeds"),
    ],
)
def test_a_verdict_needs_both_kinds_of_luck_excluded(seeds: Any, problems: list[float], said: str) -> None:
    mean = sum(problems) / 2
    assert verdict({"over_seeds": {"mean": mean} | ({"ci95": seeds} if seeds else {}), "over_problems": problems}) == said


def test_one_seed_has_no_interval() -> None:
    assert over_seeds([0.25]) == {"mean": 0.25}


@pytest.mark.parametrize("name", list(contest.METHODS))
def test_every_method_samples_the_same_number_of_completions(name: str, world: World, tmp_path: Path) -> None:
    """A store counts once for those that learn from it; a reward model's samples count too."""
    ((words, run),) = contest.METHODS[name](world, tmp_path, tmp_path / "run")
    assert run == tmp_path / "run"
    assert words.count("--lr") == 1, "an option twice would be whichever wins"
    if words[0] in ("sft", "dpo", "orpo"):
        assert value(world.store, "--limit") * value(world.store, "--completions-per-problem") == contest.BUDGET
        return
    rounds = value(words, "--rounds") if "--rounds" in words else 1
    if words[0] == "rft":
        assert rounds * value(words, "--limit") * value(words, "--completions-per-problem") == contest.BUDGET
        return
    each = value(words, "--steps") * value(words, "--problems-per-step") * value(words, "--completions-per-problem")
    if words[0] == "iterate":
        each += value(words, "--reward-problems") * value(words, "--reward-samples")
    assert rounds * each == contest.BUDGET


def test_the_store_fits_into_the_problems() -> None:
    assert len(chains.make_problems(0)[0]) >= 960


def row(*right: int) -> dict[str, Any]:
    """As `said` has it, of four samples a problem."""
    shares = wilson(list(right), 4)
    return {**shares, "right": list(right), "lines": 0.5, "careful": 0.5, "greedy": {"accuracy": 0.5}}


def test_what_is_done_is_not_run_again_and_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measure(name: str, world: World, folder: Path) -> dict[str, Any]:
        asked.append(name)
        if name == "DPO, store":
            raise Missing("no such command")
        return {} if name == "store" else row(1, 2, 3, 0)

    monkeypatch.setattr(compare, "sums", lambda folder, seed: World(f"seed {seed}", "m", folder, folder, "", 8, seed, (), (), (), ()))
    monkeypatch.setattr(compare, "_measure", measure)
    first = compare.measured(tmp_path, 0, ["SFT, store", "DPO, store"])
    assert first["DPO, store"] == {"missing": "no such command"}
    assert "DPO, store" not in json.loads((tmp_path / "results.json").read_text())
    compare.measured(tmp_path, 0, ["SFT, store", "DPO, store", "ORPO, store"])
    assert asked == ["start", "store", "SFT, store", "DPO, store", "DPO, store", "ORPO, store"]


def test_the_tables_and_the_bar(tmp_path: Path) -> None:
    start, better = row(1, 2, 3, 0, 2), row(2, 3, 4, 1, 3)
    results = {
        seed: {"start": start, "GRPO, outcome": better, "PPO, trunk": start, contest.CONTROL: start, "DPO, store": {"missing": "why"}}
        for seed in (0, 1)
    }
    methods = ["GRPO, outcome", "PPO, trunk", contest.CONTROL, "DPO, store"]
    rows, told = compare.rows_of(results, methods), compare.pairs_of(results, contest.BESIDE)
    assert compare.failures(results, methods) == [
        text for seed in (0, 1) for text in (f"PPO, trunk, seed {seed}: no better than its start", f"DPO, store, seed {seed}: why")
    ]
    assert [(pair["one"], pair["other"]) for pair in told] == [("PPO, trunk", "GRPO, outcome")]
    assert told[0]["over_seeds"]["mean"] == -0.25
    assert rows["GRPO, outcome"]["mean"] == pytest.approx(13 / 20)
    shown = compare.markdown(results, rows, told)
    assert "| GRPO, outcome | 65.0% (" in shown
    assert "| PPO, trunk | GRPO, outcome | -25.0 |" in shown
    draw(rows, tmp_path / "a.svg")
    draw(rows, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b">GRPO, outcome<" in (tmp_path / "a.svg").read_bytes()
