"""Which responses get labels, where their roll-outs begin, and what labels come of them."""

import json
from pathlib import Path

import pytest

from recipes.labelling.label_rows import labelled_row, score_of, stepwise_row
from recipes.labelling.step_states import Cut, Estimate, cut_responses, estimates_of, next_states, state_name
from recipes.selection.stored_responses import store_files, stored_responses
from recipes.selection.tally import Tally
from recipes.selection.training_text import write_rows
from tests.recipes.selection.written_store import CHAT, LOST, PLAIN, R, Said, W, group_of, problem_of, write_store
from verifiers.steps.step_text import splitter

GOOD, BAD = "3 * 4 = 12\n\n12 + 5 = 17\n\nSo 17.", "3 * 4 = 12\n\n12 + 5 = 18\n\nSo 18."


def cuts_of(folder: Path, *said: Said, per_problem: int | None = None, seed: int = 0, source=CHAT) -> tuple[list[Cut], Tally]:
    store = write_store(folder, [group_of(problem_of(), list(said))], source=source)
    tally = Tally("responses")
    stored = stored_responses(store_files([store]))
    return list(cut_responses(stored, splitter("blank"), tally, per_problem=per_problem, seed=seed)), tally


def test_what_is_labelled_and_what_is_left_out(tmp_path: Path) -> None:
    cuts, tally = cuts_of(
        tmp_path,
        (GOOD, R),
        (GOOD, R),
        (BAD, W),
        ("lost", LOST),
        ("cut", W, {"finish": "length"}),
        ("tool", W, {"sampled": False}),
        ("--", W),
    )
    assert [cut.response.text for cut in cuts] == [GOOD, BAD]
    assert [cut.ends for cut in cuts] == [(12, 25, 31)] * 2
    assert cuts[0].begun == ["3 * 4 = 12\n\n", "3 * 4 = 12\n\n12 + 5 = 17\n\n"]  # the last step's end is no state
    assert dict(tally.reasons) == {
        "without a verdict": 1, "cut off at the token limit": 1, "with a tool's words in between, which the text lacks": 1,
        "the same text again": 1, "without a step": 1,
    }  # fmt: skip


def test_so_many_of_each_problem_by_the_seed(tmp_path: Path) -> None:
    said = [(f"Step one.\n\nIt is {n}.", W) for n in range(8)]
    found = {seed: [cut.response.text for cut in cuts_of(tmp_path / str(seed), *said, per_problem=3, seed=seed)[0]] for seed in range(4)}
    assert all(len(texts) == 3 and texts == sorted(texts) for texts in found.values())
    assert len({tuple(texts) for texts in found.values()}) > 1
    again, tally = cuts_of(tmp_path / "again", *said, per_problem=3, seed=1)
    assert [cut.response.text for cut in again] == found[1]
    assert tally.reasons["over --per-problem"] == 5


def test_beginnings_that_are_shared_are_sampled_once(tmp_path: Path) -> None:
    cuts, _ = cuts_of(tmp_path, (GOOD, R), (BAD, W), ("12 + 5 = 17", R))
    states = next_states(cuts, {}, stop_at_lost=False)
    assert [beginning for _, beginning in states.values()] == [GOOD[:12], GOOD[:25], BAD[:25]]
    assert all(problem.id == name and problem.answer == "17" for name, (problem, _) in states.items())
    assert len({problem.prompt for problem, _ in states.values()}) == 1
    known = {name: Estimate(1, 4) for name in states}
    assert next_states(cuts, known, stop_at_lost=False) == {}
    assert [estimates_of(cut, known, stop_at_lost=False) for cut in cuts] == [[Estimate(1, 4)] * 2, [Estimate(1, 4)] * 2, []]


def test_after_a_lost_beginning_nothing_is_sampled(tmp_path: Path) -> None:
    long = "a one\n\nb two\n\nc three\n\nd four"
    cuts, _ = cuts_of(tmp_path, (long, W), (BAD, W))
    known: dict[str, Estimate] = {}
    waves = []
    outcomes = {"a one\n\n": Estimate(2, 4), "a one\n\nb two\n\n": Estimate(0, 4), BAD[:12]: Estimate(0, 0), BAD[:25]: Estimate(1, 4)}
    while states := next_states(cuts, known, stop_at_lost=True):
        waves.append([beginning for _, beginning in states.values()])
        known |= {name: outcomes[beginning] for name, (_, beginning) in states.items()}
    assert waves == [["a one\n\n", BAD[:12]], ["a one\n\nb two\n\n", BAD[:25]]]  # no verdict at all is not lost
    assert estimates_of(cuts[0], known, stop_at_lost=True) == [Estimate(2, 4), Estimate(0, 4), Estimate(0, 0, lost=True)]
    assert estimates_of(cuts[0], known, stop_at_lost=False)[2] is None
    assert state_name(cuts[0].response.problem, "a") != state_name(cuts[0].response.problem, "b")


@pytest.mark.parametrize(
    ("estimate", "hard", "soft"),
    [
        (Estimate(0, 4), 0, 0),
        (Estimate(1, 4), 1, 0.25),
        (Estimate(4, 4), 1, 1),
        (Estimate(0, 0, lost=True), 0, 0),
        (Estimate(2, 3), 1, 2 / 3),
    ],
)
def test_hard_and_soft(estimate: Estimate, hard: float, soft: float) -> None:
    assert (score_of(estimate, "hard"), score_of(estimate, "soft")) == (hard, pytest.approx(soft))


def test_rows(tmp_path: Path) -> None:
    cuts, _ = cuts_of(tmp_path, (BAD, W))
    estimates = [Estimate(3, 4), Estimate(0, 4), Estimate(0, 1)]
    row = labelled_row(cuts[0], estimates, "soft")
    assert row["prompt"] == [{"role": "system", "content": "Think."}, {"role": "user", "content": "What is 3 * 4 + 5?"}]
    assert (row["response"], row["answer"], row["sampled_by"]) == (BAD, "17", "tiny/model")
    assert row["steps"] == [
        {"end": 12, "score": 0.75, "right": 3, "judged": 4}, {"end": 25, "score": 0.0, "right": 0, "judged": 4},
        {"end": 31, "score": 0.0, "right": 0, "judged": 1},
    ]  # fmt: skip
    assert stepwise_row(cuts[0], estimates) == {
        "prompt": "Think.\n\nWhat is 3 * 4 + 5?",
        "completions": ["3 * 4 = 12", "12 + 5 = 18", "So 18."],
        "labels": [True, False, False],
    }
    plain, _ = cuts_of(tmp_path / "plain", (BAD, W), source=PLAIN)
    assert stepwise_row(plain[0], estimates)["prompt"] == "What is 3 * 4 + 5?"


@pytest.mark.slow  # imports datasets
def test_both_forms_load_with_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    cuts, _ = cuts_of(tmp_path, (BAD, W), (GOOD, R))
    estimates = [Estimate(3, 4), Estimate(0, 4), Estimate(0, 1)]
    for name, rows in (
        ("ours", [labelled_row(cut, estimates, "hard") for cut in cuts]), ("trl", [stepwise_row(cut, estimates) for cut in cuts])
    ):  # fmt: skip
        file = tmp_path / f"{name}.jsonl"
        write_rows(file, rows)
        loaded = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        assert json.loads(json.dumps(loaded.to_list())) == json.loads(json.dumps(rows))
