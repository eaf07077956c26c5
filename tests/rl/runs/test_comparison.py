"""Runs beside each other: what is read from them, the table's arithmetic, and runs that cannot be compared."""

import json
from pathlib import Path

import pytest

from rl.runs.comparison import draw, markdown, read_curve, summarised
from verifiers.input_error import InputError


def run_of(folder: Path, accuracies: list[float], *, algorithm: dict | None = None, fingerprint: str = "f") -> Path:
    """A run that measured its accuracy before the first step and after each; a step takes 2 s and samples 10 completions of 3 tokens."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"options": {"algorithm": algorithm or {"name": "grpo"}}, "fingerprint": fingerprint}))
    rows = [
        {"step": n, "eval/accuracy": a, "eval/low": a - 0.1, "eval/high": a + 0.1}
        | ({"time/step": 2.0, "length": 3.0, "completions": 10} if n else {})
        for n, a in enumerate(accuracies)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_course_adds_up_what_was_spent(tmp_path):
    curve = read_curve(run_of(tmp_path / "a", [0.1, 0.2, 0.4], algorithm={"name": "ppo", "critic": {"name": "trunk"}}))
    assert curve.label == "ppo, trunk"
    assert read_curve(run_of(tmp_path / "b", [0.1, 0.2], algorithm={"lam": 1.0, "critic": {"name": "adapter"}})).label == "ppo, adapter"
    place = run_of(tmp_path / "c", [0.1, 0.2])
    (place / "config.json").write_text(json.dumps({"options": {"algorithm": {"name": "grpo"}, "rounds": 2}}))
    assert read_curve(place).label == "grpo, 2 rounds"
    assert [(p.steps, p.tokens, p.seconds, p.accuracy) for p in curve.points] == [(0, 0, 0, 0.1), (1, 30, 2, 0.2), (2, 60, 4, 0.4)]


def test_groups_that_dynamic_sampling_replaced_were_sampled_too(tmp_path):
    folder = run_of(tmp_path / "a", [0.1, 0.2])
    (folder / "config.json").write_text(json.dumps({"options": {"algorithm": {"name": "dapo"}, "completions_per_problem": 5}}))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines[1]["groups_replaced"] = 3  # length is the mean over all that was sampled
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert read_curve(folder).points[-1].tokens == 3.0 * (10 + 3 * 5)


def test_one_seed_has_the_interval_of_its_problems_and_several_that_of_their_mean(tmp_path):
    alone = summarised([read_curve(run_of(tmp_path / "a", [0.1, 0.5]))])[0]
    assert (alone.seeds, alone.before, alone.after, alone.low, alone.high) == (1, 0.1, 0.5, 0.4, 0.6)
    both = summarised([read_curve(run_of(tmp_path / name, [0.1, a])) for name, a in (("b", 0.5), ("c", 0.6))])[0]
    # two values 0.1 apart: mean .55, standard error .05, t of one degree of freedom 12.706
    assert both.after == pytest.approx(0.55)
    assert (both.low, both.high) == (0.0, 1.0)
    three = summarised([read_curve(run_of(tmp_path / f"d{n}", [0.1, a])) for n, a in enumerate((0.50, 0.55, 0.60))])[0]
    assert (three.low, three.high) == pytest.approx((0.55 - 4.303 * 0.05 / 3**0.5, 0.55 + 4.303 * 0.05 / 3**0.5))


def test_the_picture_is_the_same_bytes_for_the_same_runs(tmp_path):
    curves = [
        read_curve(run_of(tmp_path / name, [0.1, a]), label) for name, a, label in (("a", 0.5, "_x$"), ("b", 0.6, "_x$"), ("c", 0.4, "y"))
    ]
    draw(curves, tmp_path / "one.svg")
    draw(curves, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "| y | 1 | 10.0% | 40.0% |" in markdown(summarised(curves))


def test_what_is_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no run is there \(config.json is missing\)"):
        read_curve(tmp_path / "none")
    with pytest.raises(InputError, match="no finished step yet"):
        read_curve(run_of(tmp_path / "young", [0.1]))
    (run_of(tmp_path / "bad", [0.1, 0.2]) / "config.json").write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        read_curve(tmp_path / "bad")


def test_a_run_without_an_accuracy_says_what_it_spent(tmp_path):
    folder = run_of(tmp_path / "a", [0.1, 0.2])
    (folder / "metrics.jsonl").write_text('{"step": 0, "loss": 1}\n{"step": 1, "loss": 0.5, "time/step": 3.0}\n')
    curve = read_curve(folder)
    assert curve.points == ()
    assert (curve.spent.steps, curve.spent.tokens, curve.spent.seconds) == (1, 0, 3)
