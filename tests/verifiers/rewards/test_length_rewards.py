"""Length, cosine, budget and repetition against numbers worked out by hand."""

import json
import math
from pathlib import Path

import pytest

from tests.clock import stopwatch
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.response_text import length, regex, repetition
from verifiers.response_text.exact import verify as exact
from verifiers.rewards import length_budget, length_cosine
from verifiers.verdict import Status, Verdict

ONE = make_problem("?", "1")


@pytest.mark.parametrize(("n", "score"), [(0, 0.0), (60, 0.0), (61, -0.025), (80, -0.5), (100, -1.0), (1000, -1.0)])
def test_soft_overlong_punishment_by_hand(n: int, score: float) -> None:
    verdict = length.verify(ONE, "x" * n, limit=100, cache=40)
    assert verdict.score == pytest.approx(score)
    assert verdict.status is (Status.RIGHT if score == 0 else Status.WRONG)


def test_a_length_is_in_characters_words_or_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Split("", "isolated")])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert length.measure("two words", "characters") == 9
    assert length.measure("two words", "words") == 2
    assert length.measure("设x为 a number", "words") == 5  # 设, x, 为, a, number
    assert length.measure("a b ab", str(tmp_path)) == length.measure("a b ab", str(tmp_path / "tokenizer.json")) == 4
    assert length.measure("a\ud800", str(tmp_path)) == 2  # half a character, which only a broken decoder gives


def test_a_tokenizers_truncation_and_padding_do_not_change_a_length(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=12, pad_token="?", pad_id=1)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert length.measure("a " * 1000, str(tmp_path)) == 1000
    assert length.measure("a", str(tmp_path)) == 1


def test_a_word_has_at_most_twenty_characters() -> None:
    assert [length.measure("x" * n, "words") for n in (1, 20, 21, 40, 41)] == [1, 1, 2, 2, 3]
    assert length.measure("a-b_" * 1000, "words") == 200
    assert length.measure("incomprehensibilities 设 " + "y" * 30, "words") == 5  # 21, 1 and 30 characters


def test_a_unit_that_is_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    for unit, said in (("wrods", "neither characters nor words"), (str(tmp_path), "is no tokenizer")):
        with pytest.raises(InputError, match=said):
            length.measure("a", unit)
    with pytest.raises(InputError, match="cache must be"):
        length.verify(ONE, "", limit=10, cache=11)


def cosine(response: str) -> float | None:
    return length_cosine.verify(ONE, response, verifier=exact, limit=8).score


def test_cosine_length_reward_by_hand() -> None:
    at_quarter = (1 + math.cos(math.pi / 4)) / 2  # a quarter of the way: 0.8536
    assert cosine("1 ") == pytest.approx(0.5 + 0.5 * at_quarter)
    assert cosine("2 ") == pytest.approx(-0.5 - 0.5 * at_quarter)
    assert cosine("1   ") == pytest.approx(0.75)  # half way: the mean of 1 and 0.5
    assert cosine("2   ") == pytest.approx(-0.75)
    assert cosine("1       ") == cosine("1" + " " * 50) == -1.0
    verdict = length_cosine.verify(ONE, "1 ", verifier=exact, limit=8)
    assert (verdict.status, dict(verdict.parts)) == (Status.RIGHT, {"score": 1.0, "length": 2.0})


@pytest.mark.parametrize(
    ("mode", "response", "score"),
    [
        ("exact", "1" + " " * 99, 1.0),
        ("exact", "1" + " " * 199, 1 - 0.001 * 100),
        ("exact", "1", 1 - 0.001 * 99),
        ("exact", "2", -0.099),
        ("max", "1" + " " * 99, 0.5),
        ("max", "1" + " " * 199, 0.4),
        ("max", "1", 0.599),
        ("max", "1" + " " * 799, 0.0),
        ("max", "2", 0.0),
    ],
)
def test_l1_by_hand(mode: str, response: str, score: float) -> None:
    problem = make_problem("?", "1", meta={"budget": 100})
    verdict = length_budget.verify(problem, response, verifier=exact, mode=mode, alpha=0.001, budget=7)  # type: ignore[arg-type]
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize("n", [1, 100, 5000])
def test_no_length_makes_a_penalty_smaller(n: int) -> None:
    def penalty(problem: object, response: str) -> Verdict:
        return Verdict(-0.75, Status.WRONG)

    assert length_budget.verify(ONE, "x" * n, verifier=penalty, budget=100).score == -0.75


def test_length_rewards_pass_on_that_there_is_no_verdict() -> None:
    def crash(problem: object, response: str) -> Verdict:
        return Verdict(None, Status.CRASH, "boom")

    assert length_cosine.verify(ONE, "1", verifier=crash).detail == "boom"
    assert length_budget.verify(ONE, "1", verifier=crash).detail == "boom"
    assert length_budget.verify(make_problem("?", "1", meta={"budget": "long"}), "1").status is Status.BAD_GOLD


@pytest.mark.parametrize(
    ("text", "n", "total", "distinct"),
    [
        ("a b c a b c a b c", 3, 7, 3),
        ("A b a B", 2, 3, 2),
        ("one two", 3, 0, 0),
        ("", 1, 0, 0),
        ("我们算我们算", 3, 4, 3),
        ("ab" * 30, 2, 59, 2),  # longer than any word: its characters
    ],
)
def test_repetition_by_hand(text: str, n: int, total: int, distinct: int) -> None:
    assert repetition.count_ngrams(text, n) == (total, distinct)
    score = repetition.verify(ONE, text, n=n).score
    assert score == pytest.approx(distinct / total - 1 if total else 0.0)


def test_the_rolling_hash_counts_as_a_set_of_tuples_does() -> None:
    import random

    draw = random.Random(0)
    for _ in range(50):
        words = [draw.choice("abc") for _ in range(draw.randrange(60))]
        n = draw.randrange(1, 6)
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        assert repetition.count_ngrams(" ".join(words), n) == (len(grams), len(set(grams)))


def test_solutions_people_wrote_do_not_count_as_loops(data_dir: Path) -> None:
    path = next(data_dir.rglob("*gsm8k*.jsonl"), None)
    if path is None:
        pytest.skip("no GSM8K file in the data")
    with path.open() as file:
        rows = [json.loads(line) for _, line in zip(range(300), file, strict=False)]
    texts = [max((value for value in row.values() if isinstance(value, str)), key=len) for row in rows]
    assert sum(repetition.verify(ONE, text).status is not Status.RIGHT for text in texts) <= 3


def test_a_megabyte_of_repetition_is_read_in_bounded_time() -> None:
    took = stopwatch()
    assert repetition.verify(ONE, "a " * 500_000).score == pytest.approx(-1, abs=1e-4)
    assert took() < 10


@pytest.mark.parametrize(
    ("pattern", "flags", "response", "status"),
    [
        (r"\d+ apples", "", "so \\boxed{12 apples}", Status.RIGHT),
        (r"\d+ apples", "", "12 apples, I think", Status.WRONG),
        (r"\d+ Apples", "i", "<answer> 12 apples </answer>", Status.RIGHT),
        (r"a.b", "s", "a\nb", Status.RIGHT),
        (r"a.b", "", "a\nb", Status.WRONG),
        ("", "", "x", Status.BAD_GOLD),
        ("(", "", "x", Status.BAD_GOLD),
        ("a{99999999999999999999}", "", "x", Status.BAD_GOLD),
        ("x" * 10_001, "", "x", Status.BAD_GOLD),
        ("x*", "", "  ", Status.NO_ANSWER),
        ("x*", "", "x" * 100_001, Status.WRONG),
    ],
)
def test_a_gold_pattern_must_match_the_whole_answer(pattern: str, flags: str, response: str, status: Status) -> None:
    assert regex.verify(make_problem("?", pattern), response, flags=flags).status is status


def test_regex_can_look_at_the_whole_response_and_refuses_unknown_flags() -> None:
    assert regex.verify(make_problem("?", r"so .*"), r"so \boxed{1}", within="response").status is Status.RIGHT
    with pytest.raises(InputError, match="no flag is called 'q'"):
        regex.verify(ONE, "1", flags="iq")
