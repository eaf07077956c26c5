"""`reckon data`: what is selected, why the rest is not, and files that others read."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import disable_progress_bars, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.problems.solve_rates import read_solve_rates
from recipes.commands.cli import main
from recipes.selection.accepted_responses import Acceptance, accepted
from recipes.selection.preference_pairs import Pairing, labelled, preference_pairs
from recipes.selection.stored_responses import StoredResponse, store_files, stored_responses
from recipes.selection.tally import Tally
from rl.evaluation.subsets import pass_at_k
from rollout.store import Source
from tests.recipes.selection.written_store import LOST, NO, PLAIN, R, W, group_of, problem_of, write_store
from verifiers.problem import Message, Problem, make_problem
from verifiers.rewards.problem_file import read_problems

ONE, TWO = problem_of(), problem_of("1 + 1?", "2")
WAY, SAME_WAY, OTHER_WAY = (
    r"3 * 4 = 12. 12 + 5 = 17. \boxed{17}", r"We get $3 \times 4 = 12$ and $12 + 5 = 17$; \boxed{17}", r"5 + 12 = 17 \boxed{17}",
)  # fmt: skip


def data(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[str, str]:
    """(standard output, standard error) of a command that succeeds."""
    assert main(["data", *map(str, words)]) == 0
    return capsys.readouterr()


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["data", *map(str, words)]) == 2
    out, said = capsys.readouterr()
    assert (out, said.count("\n")) == ("", 1)
    return said


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def selected(run: Path, **rules: Any) -> tuple[list[str], Tally]:
    tally = Tally("examples")
    found = accepted(stored_responses(store_files([run])), Acceptance(**rules), tally)
    return [response.text for response in found], tally


def test_right_answers_are_taken_each_solution_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [
        (SAME_WAY, R, {"length": 9}), (WAY, R), ("a guess", W), ("", NO), (OTHER_WAY, R, {"length": 30}), ("late", LOST),
        (OTHER_WAY + " and so on", R, {"finish": "length"}), ("the tool said 17", R, {"sampled": False}),
    ]  # fmt: skip
    run = write_store(tmp_path / "run", [group_of(ONE, said)])
    out = tmp_path / "sft.jsonl"
    _, told = data(capsys, "sft", run, "--out", out)
    rows = rows_of(out)
    assert [row["completion"] for row in rows] == [[{"role": "assistant", "content": text}] for text in (WAY, OTHER_WAY)]
    assert rows[0]["prompt"] == [{"role": "system", "content": "Think."}, {"role": "user", "content": "What is 3 * 4 + 5?"}]
    assert (rows[0]["problem_id"], rows[0]["answer"], rows[0]["score"], rows[0]["meta"]) == (ONE.id, "17", 1.0, '{"level": 2}')
    assert told.startswith(f"{out}: 2 examples of 8 responses to 1 problems; left out: ")
    assert set(re.findall(r"(\d+ [a-z' ]+)", told.partition("left out: ")[2])) == {
        "1 not right", "1 empty", "1 without a verdict", "1 cut off at the token limit", "1 with a tool's words in between",
        "1 the same equations again",
    }  # fmt: skip


def test_a_prompt_of_plain_text_stays_one(tmp_path: Path) -> None:
    from recipes.selection.training_text import completion_of, prompt_of

    thinking = make_problem("1 + 1? <think>\n", "2")
    run = write_store(tmp_path, [group_of(TWO, [("2", R)]), group_of(thinking, [("<think>\nhm</think> 2", R)])], source=PLAIN)
    found = {problem.id: rows[0] for problem, rows in stored_responses(store_files([run]))}
    assert (prompt_of(found[TWO.id]), completion_of(found[TWO.id])) == ("1 + 1?", "2")
    assert completion_of(found[thinking.id]) == "hm</think> 2"  # the policy began after what the prompt opened


def test_messages_keep_their_own_system_prompt(tmp_path: Path) -> None:
    from recipes.selection.training_text import prompt_of

    own = [Message(role="system", content="Mine."), Message(role="user", content="1 + 1?")]
    run = write_store(tmp_path, [group_of(make_problem(own, "2"), [("2", R)])])
    ((_, (response,)),) = stored_responses(store_files([run]))
    assert prompt_of(response) == own


def test_what_the_template_was_given_is_a_column(tmp_path: Path) -> None:
    from recipes.selection.training_text import facts_of

    source = Source("m", "", True, 1.0, {"enable_thinking": False})
    run = write_store(tmp_path, [group_of(TWO, [("2", R)])], source=source)
    ((_, (response,)),) = stored_responses(store_files([run]))
    assert facts_of(response)["chat_template_kwargs"] == {"enable_thinking": False}


def test_which_solutions_are_kept(tmp_path: Path) -> None:
    texts = [f"{n} + {17 - n} = 17, after {'much ' * n}thought" for n in range(8)]
    said = [(text, R, {"length": 10 + n}) for n, text in enumerate(texts)]
    random.Random(1).shuffle(said)
    run = write_store(tmp_path, [group_of(ONE, said)])
    assert selected(run, per_problem=3)[0] == texts[:3]
    drawn = [set(selected(run, per_problem=3, keep="random", seed=seed)[0]) for seed in range(4)]
    assert selected(run, per_problem=3, keep="random")[0] == selected(run, per_problem=3, keep="random")[0]
    assert len({frozenset(each) for each in drawn}) > 1
    assert len(selected(run, per_problem=20)[0]) == 8


def test_diverse_takes_what_is_least_alike(tmp_path: Path) -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    near = [" ".join(words), " ".join([*words[:10], "x", "y"]), " ".join([*words[:9], "x", "y", "z"])]
    far = "altogether another way of saying that it is seventeen"
    run = write_store(tmp_path, [group_of(ONE, [(text, R) for text in [*near, far]])])
    for seed in range(5):
        assert far in selected(run, keep="diverse", per_problem=2, seed=seed)[0]


def test_a_least_score_takes_the_place_of_right(tmp_path: Path) -> None:
    run = write_store(tmp_path, [group_of(ONE, [("a", R, {"score": 0.2}), ("b", W, {"score": 0.9}), ("c", R)])])
    texts, tally = selected(run, min_score=0.5)
    assert texts == ["b", "c"]
    assert tally.reasons == {"below --min-score": 1}


def test_pairs_are_of_one_group_and_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = [
        group_of(ONE, [("r1", R), ("w1", W), ("w2", NO), ("r1 ", R)]),
        group_of(ONE, [("r3", R), ("r4", R)]),
        group_of(TWO, [("r5", R, {"score": 0.6}), ("w5", W, {"score": 0.5})]),
    ]
    run, out = write_store(tmp_path / "run", groups), tmp_path / "pairs.jsonl"
    _, told = data(capsys, "pairs", run, "--out", out, "--margin", 0.3)
    (row,) = rows_of(out)
    assert row["chosen"] == [{"role": "assistant", "content": "r1"}]
    assert row["rejected"][0]["content"] in ("w1", "w2")
    assert row["prompt"][1] == {"role": "user", "content": "What is 3 * 4 + 5?"}
    assert (row["score_chosen"], row["score_rejected"]) == (1.0, 0.0)
    assert "2 in groups that are all right or all wrong" in told
    assert "2 without a partner at that margin" in told
    assert "1 with a text that is there already" in told


def test_labels_for_kto(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = (
        write_store(tmp_path / "run", [group_of(ONE, [("r", R), ("w", W), ("n", NO), ("w", W), ("t", LOST)])]),
        tmp_path / "kto.jsonl",
    )
    _, told = data(capsys, "pairs", run, "--out", out, "--format", "kto")
    assert {(row["completion"][0]["content"], row["label"]) for row in rows_of(out)} == {("r", True), ("w", False), ("n", False)}
    assert "1 with label true, 2 with label false" in told


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one() -> None:
    from itertools import combinations

    for n in range(1, 8):
        for right in range(n + 1):
            for k in range(1, n + 1):
                draws = list(combinations([True] * right + [False] * (n - right), k))
                assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    with pytest.raises(ValueError, match="k lies between"):
        pass_at_k(3, 1, 4)


def test_difficulty_is_read_again_as_problems_and_as_solve_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = make_problem("\ud800?", "5", verifier="exact", meta={"solve_rate": 0.1, "level": 1})
    groups = [
        group_of(ONE, [("a", R), ("b", W), ("c", NO), ("d", R)]),
        group_of(TWO, [("a", R), ("b", LOST)]),
        group_of(odd, [("a", W), ("b", W, {"finish": "length"})]),
        group_of(problem_of("lost?"), [("a", LOST)]),
    ]
    run, out = write_store(tmp_path / "run", groups), tmp_path / "problems.jsonl"
    shown, told = data(capsys, "difficulty", run, "--out", out)
    problems = read_problems(out)
    assert [problem.id for problem in problems] == [TWO.id, ONE.id, odd.id]  # easiest first
    assert [problem.meta["solve_rate"] for problem in problems] == [1.0, 0.5, 0.0]
    assert problems[1].meta["pass_at_k"] == {"1": 0.5, "2": 0.833333, "4": 1.0}  # 1 - 1/6: of six pairs one has no right answer
    assert (problems[1].meta["samples"], problems[1].meta["level"]) == (4, 2)
    low, high = problems[1].meta["solve_rate_low"], problems[1].meta["solve_rate_high"]
    assert (low, high) == (pytest.approx(0.1500, abs=1e-4), pytest.approx(0.8500, abs=1e-4))  # Wilson, 2 of 4, from a table
    assert read_solve_rates(out) == {TWO.id: 1.0, ONE.id: 0.5, odd.id: 0.0}
    assert "3 of 7 responses right: 42.9%" in shown
    assert "of 3 problems never solved 1, always 1, now and then 1" in shown
    assert "2 without a verdict" in told
    data(capsys, "difficulty", run, "--out", out, "--min-rate", 0.1, "--max-rate", 0.9)
    assert [problem.id for problem in read_problems(out)] == [ONE.id]
    data(capsys, "difficulty", run, "--out", out, "--order", "hardest")
    assert [row["solve_rate"] for row in rows_of(out)] == [0.0, 0.5, 1.0]


def test_bad_input_is_one_line_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = write_store(tmp_path / "run", [group_of(ONE, [("w", W), ("v", W), ("u", LOST)])]), tmp_path / "out.jsonl"
    out.write_text("as it was")
    said = refused(capsys, "sft", run, "--out", out)
    assert "nothing is selected: 0 examples of 3 responses to 1 problems; left out: 2 not right, 1 without a verdict" in said
    assert "0 pairs of 3 responses" in refused(capsys, "pairs", run, "--out", out)
    assert "no response of the store fulfils --where" in refused(capsys, "pairs", run, "--out", out, "--where", "step = 7")
    assert "--out is missing" in refused(capsys, "sft", run)
    assert "no store is given" in refused(capsys, "sft", "--out", out)
    assert "did you mean pairs?" in refused(capsys, "pair", run)
    assert "there are sft, pairs, difficulty" in refused(capsys, "zzz")
    assert "--margin would be ignored with --format kto" in refused(capsys, "pairs", run, "--out", out, "--format", "kto", "--margin", 1)
    assert "--near must be above 0" in refused(capsys, "sft", run, "--out", out, "--near", 0)
    assert "--per-problem must be at least 1" in refused(capsys, "sft", run, "--out", out, "--per-problem", 0)
    assert "is a folder" in refused(capsys, "sft", run, "--out", tmp_path)
    assert "is a file of the store" in refused(capsys, "sft", run, "--out", run / "rollouts" / "step-000001.parquet")
    assert "--min-rate 0.9 and --max-rate 0.5" in refused(capsys, "difficulty", run, "--min-rate", 0.9, "--max-rate", 0.5)
    assert out.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "run"]


def test_the_same_store_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [(f"{n} words of {n % 3}", (R, W)[n % 2], {"length": 3 + n}) for n in range(12)]
    groups = [group_of(problem_of(str(n), "17"), said) for n in range(6)]
    here, there = write_store(tmp_path / "z", groups[:3], groups[3:]), write_store(tmp_path / "a", groups[:3], groups[3:])
    for words in (["sft", "--keep", "random"], ["sft", "--keep", "diverse"], ["pairs"], ["pairs", "--format", "kto"], ["difficulty"]):
        data(capsys, *words, here, "--out", tmp_path / "one.jsonl")
        data(capsys, *words, there / "rollouts", "--out", tmp_path / "two.jsonl")
        assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_hostile_texts_come_through_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    hostile = ["\ud800 half", "a\x00b", "one\ntwo\r\n\u2028three\x85four", "x" * 1_000_000, '"}{\\', "\ufeff", "🙂 ünï"]
    problems = [problem_of(f"{n} {text[:50]}") for n, text in enumerate(hostile)]
    groups = [group_of(problem, [(text, R), ("wrong " + text, W)]) for problem, text in zip(problems, hostile, strict=True)]
    run = write_store(tmp_path / "run", groups)
    expected = {text.encode("utf-8", "replace").decode() for text in hostile}
    disable_progress_bars()
    for words, column in ((["sft"], "completion"), (["pairs"], "chosen"), (["pairs", "--format", "kto"], "completion")):
        out = tmp_path / "out.jsonl"
        data(capsys, *words, run, "--out", out)
        loaded = load_dataset("json", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
        assert expected <= {row[column][0]["content"] for row in loaded}


STATUSES = st.sampled_from([(R, 1.0), (R, 0.5), (W, 0.0), (W, 0.25), (NO, 0.0), (LOST, None)])
RESPONSES = st.builds(
    lambda text, status, **facts: (text, status[0], {"score": status[1], **facts}),
    st.sampled_from(["", "a", "a ", "b", "c = 5", "so c = 5", "d"]),
    STATUSES,
    length=st.integers(1, 40),
    finish=st.sampled_from(["stop", "stop", "stop", "length"]),
    sampled=st.sampled_from([True, True, True, False]),
)
GROUPS = st.lists(st.tuples(st.integers(0, 2), st.lists(RESPONSES, min_size=1, max_size=6)), min_size=1, max_size=6)


def stored(groups: Any) -> list[tuple[Problem, list[StoredResponse]]]:
    """As a store would give them, without the files."""
    by_problem: dict[int, list[StoredResponse]] = {}
    for place, (number, said) in enumerate(groups):
        for text, status, facts in said:
            by_problem.setdefault(number, []).append(
                StoredResponse(
                    problem_of(str(number)), text, facts["length"], facts["finish"], facts["score"], status.value, not facts["sampled"],
                    (0, 1, place), "m", 0, "", True,
                )
            )  # fmt: skip
    return [(rows[0].problem, rows) for rows in by_problem.values()]


@settings(deadline=None, max_examples=150)
@given(GROUPS, st.booleans(), st.integers(1, 3), st.sampled_from([0.0, 0.6]))
def test_pairs_of_any_store(groups: Any, balanced: bool, cap: int, margin: float) -> None:
    rows, tally = stored(groups), Tally("pairs")
    pairs = preference_pairs(rows, Pairing(per_problem=cap, length_balanced=balanced, margin=margin), tally)
    for pair in pairs:
        assert pair.chosen.group == pair.rejected.group
        assert (pair.chosen.status, pair.rejected.status) in {("right", "wrong"), ("right", "no_answer")}
        assert pair.chosen.text.strip() != pair.rejected.text.strip()
        assert (pair.chosen.score or 0) - (pair.rejected.score or 0) >= max(margin, 1e-9)
    used = [id(response) for pair in pairs for response in (pair.chosen, pair.rejected)]
    assert len(used) == len(set(used))
    assert len({(p.chosen.problem.id, p.chosen.text, p.rejected.text) for p in pairs}) == len(pairs)
    assert all(sum(p.chosen.problem.id == problem.id for p in pairs) <= cap for problem, _ in rows)
    assert 2 * len(pairs) + sum(tally.reasons.values()) == tally.responses == sum(len(said) for _, said in groups)


@settings(deadline=None, max_examples=100)
@given(GROUPS, st.sampled_from(["shortest", "diverse", "random"]), st.integers(1, 3), st.booleans())
def test_every_response_is_written_or_counted(groups: Any, keep: Any, cap: int, truncated: bool) -> None:
    rows, tally = stored(groups), Tally("examples")
    found = list(accepted(rows, Acceptance(keep=keep, per_problem=cap, keep_truncated=truncated), tally))
    assert all(response.status == "right" for response in found)
    assert len(found) == tally.written == tally.responses - sum(tally.reasons.values())
    assert all(sum(r.problem.id == problem.id for r in found) <= cap for problem, _ in rows)
    ours = Tally("examples")
    given_ = list(labelled(rows, Pairing(per_problem=cap), ours))
    assert len(given_) == ours.written == ours.responses - sum(ours.reasons.values())


def test_balanced_lengths(tmp_path: Path) -> None:
    """Wrong answers are longer, as a rule: by chance the sides differ by a fifth, balanced by 2 % at most."""
    draw = random.Random(3)
    groups = []
    for number in range(60):
        right = [(f"r{n}", R, {"length": draw.randint(20, 60)}) for n in range(4)]
        wrong = [(f"w{n}", W, {"length": draw.randint(25, 90)}) for n in range(4)]
        groups.append(
            (number, [(text, status, {**facts, "finish": "stop", "score": None, "sampled": True}) for text, status, facts in right + wrong])
        )
    for _, said in groups:
        for _, status, facts in said:
            facts["score"] = 1.0 if status is R else 0.0

    def difference(balanced: bool) -> tuple[float, int]:
        pairs = preference_pairs(stored(groups), Pairing(per_problem=2, length_balanced=balanced), Tally("pairs"))
        chosen, rejected = (sum(lengths) for lengths in ([p.chosen.length for p in pairs], [p.rejected.length for p in pairs]))
        return abs(chosen - rejected) / (chosen + rejected) * 2, len(pairs)

    plain, all_pairs = difference(False)
    even, kept = difference(True)
    assert plain > 0.2
    assert even <= 0.02
    assert kept > 0.9 * all_pairs
