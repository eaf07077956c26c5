"""Each alarm names its own pathology, with what was measured, and nothing else; a run that goes well hears none."""

from collections.abc import Mapping, Sequence

import pytest

from rl.loop.alarms import ALARMS, Watch

CALM = {
    "reward": 0.5, "reward_std": 0.4, "accuracy": 0.5, "length": 100.0, "completions": 64.0, "entropy": 0.5, "groups_dead": 0.3,
    "groups_all_right": 0.1, "groups_all_wrong": 0.2, "effective_batch": 40.0, "clipped_share": 0.01, "truncated_share": 0.05,
    "verdicts/no_answer": 2.0, "verdicts/timeout": 0.0, "verdicts/crash": 0.0, "verdicts/bad_gold": 0.0, "kl_reference": 0.02,
    "sampler_kl": 1e-6, "critic/explained": 0.4, "value_square_error": 0.2, "skipped_updates": 0.0, "lr": 1e-5,
}  # fmt: skip


def course(steps: int, **to: float) -> list[Mapping[str, float]]:
    """Numbers that go in a straight line from calm ones to these."""
    change = {name.replace("__", "/"): value for name, value in to.items()}
    return [
        {**CALM, **{name: CALM.get(name, 0.0) + (value - CALM.get(name, 0.0)) * step / (steps - 1) for name, value in change.items()}}
        for step in range(steps)
    ]


def lines(rows: Sequence[Mapping[str, float]]) -> list[str]:
    watch = Watch()
    return [line for row in rows for line in watch.note(row)]


def test_a_run_that_learns_hears_nothing() -> None:
    assert lines(course(60, reward=0.95, accuracy=0.95, length=220.0, entropy=0.02, groups_dead=0.7, value_square_error=0.05)) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (course(30, reward=1.5, reward__length=1.0, length=400.0), "most of it in length"),
        (course(30, reward=1.5, length=400.0), "responses grew from"),
        (course(30, reward=1.5, accuracy=0.1, verdicts__no_answer=40.0), "answers that nobody can read went from 7%"),
        (course(30, entropy=0.001, accuracy=0.3), "entropy fell from"),
        (course(30, groups_dead=0.9, groups_all_wrong=0.9), "too hard"),
        (course(30, groups_dead=0.9, groups_all_right=0.9, groups_all_wrong=0.0), "too easy"),
        (course(30, clipped_share=0.6), "were clipped"),
        (course(30, truncated_share=0.9), "length limit"),
        (course(30, verdicts__timeout=30.0), "raise --deadline"),
        (course(30, verdicts__crash=30.0), "`detail`"),
        ([{**CALM, "kl_reference": 0.4}, *[CALM] * 8], "before anything was learnt"),
        ([CALM] + [{**CALM, "accuracy": 0.01, "groups_dead": 0.95, "groups_all_wrong": 0.95, "truncated_share": 0.9}] * 8, "lower --lr"),
        (course(30) + [{**CALM, "kl_reference": 0.1 * 1.6**n} for n in range(10)], "runs away"),
        (course(30, sampler_kl=0.1), "sampler and trainer differ"),
        ([{**CALM, "critic/explained": -0.2}] * 25, "the critic explains"),
        ([CALM] * 3 + [{**CALM, "skipped_updates": 1.0, "lr": 0.5}], "learning rate 0.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_pathology_is_named_once(rows: Sequence[Mapping[str, float]], said: str) -> None:
    found = lines(rows)
    assert len(found) == 1
    assert said in found[0]


def test_an_alarm_that_comes_back_is_said_again() -> None:
    bad, calm = [{**CALM, "clipped_share": 0.6}] * 6, [CALM] * 6
    assert len(lines(bad + calm + bad)) == 2


def test_numbers_that_a_method_lacks_are_no_alarm() -> None:
    few = {name: CALM[name] for name in ("reward", "accuracy", "completions", "effective_batch")}
    assert [alarm.__name__ for alarm in ALARMS if alarm([few] * 30)] == []
