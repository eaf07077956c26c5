"""R1's language consistency: shares of words counted by hand, masks, short texts, and texts made to take long."""

import json
from itertools import islice
from pathlib import Path

import pytest

from tests.clock import stopwatch
from verifiers.problem import make_problem
from verifiers.response_text.language import pieces_of, verify
from verifiers.verdict import Status

ENGLISH = make_problem("What is the sum of the first ten numbers?", "55")
CHINESE = make_problem("前十个正整数的和是多少?", "55")
SYMBOLS = make_problem("$1 + 1 = $ ?", "2")
TEN_WORDS = "We add all the numbers and then find the sum."  # ten
TEN_CHINESE = "我们先把所有的数字全都相加然后得到最终答案。"  # 21 characters: 11 words


@pytest.mark.parametrize(
    ("response", "good", "total"),
    [
        (TEN_WORDS, 10, 10),
        (TEN_WORDS + TEN_CHINESE, 10, 21),
        (TEN_CHINESE, 0, 11),
        (TEN_WORDS + " Wir addieren die Zahlen und erhalten am Ende das richtige Ergebnis.", 10, 21),
        (TEN_WORDS + " $x + y = z$ `für alle` \\[ 设 \\] 12 https://例.cn/说明 \\frac{1}{2}", 10, 10),
        (TEN_WORDS + "</think>" + TEN_CHINESE, 10, 10),
    ],
)
def test_the_score_is_the_share_of_words_in_the_prompts_language(response: str, good: int, total: int) -> None:
    verdict = verify(ENGLISH, response)
    assert verdict.score == pytest.approx(good / total)
    assert verdict.detail == f"{good} of {total} words in en"
    assert verdict.status is (Status.RIGHT if good == total else Status.WRONG)


def test_the_target_is_the_prompts_language_or_the_one_asked_for() -> None:
    assert verify(CHINESE, TEN_CHINESE).score == 1.0
    assert verify(CHINESE, TEN_WORDS).score == 0.0
    assert verify(CHINESE, TEN_WORDS, target="en").score == 1.0
    chat = make_problem([{"role": "system", "content": "Think step by step, please."}, {"role": "user", "content": CHINESE.prompt}], "55")  # type: ignore[typeddict-item]
    assert verify(chat, TEN_CHINESE).score == 1.0


def test_a_prompt_without_words_asks_only_for_one_language() -> None:
    assert verify(SYMBOLS, TEN_CHINESE).score == 1.0
    assert verify(SYMBOLS, TEN_WORDS + TEN_CHINESE).score == pytest.approx(11 / 21)


def test_few_words_count_by_their_script() -> None:
    assert verify(ENGLISH, "Wait.").score == 1.0
    assert verify(ENGLISH, "等等").score == 0.0
    assert verify(CHINESE, "等等").score == 1.0


@pytest.mark.parametrize("response", ["", "$x^2$", "12 = 12", "</think>" + TEN_WORDS, "```python\nprint(1)\n```"])
def test_no_words_are_no_answer_and_not_a_full_mark(response: str) -> None:
    verdict = verify(ENGLISH, response)
    assert (verdict.score, verdict.status) == (0.0, Status.NO_ANSWER)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "Daher sind die beiden Dreiecke ähnlich und das Verhältnis ist konstant."),
        ("fr", "Les deux triangles sont donc semblables et le rapport est constant."),
        ("ja", "まず値を計算します。したがって答えは七です。"),
        ("ru", "Следовательно, треугольники подобны, и ответ равен семи."),
        ("ko", "먼저 값을 계산합니다. 따라서 답은 일곱입니다."),
        ("ar", "نحسب القيمة أولا ثم نجد أن الجواب هو سبعة."),
    ],
)
def test_languages_are_told_apart(code: str, text: str) -> None:
    assert {piece.language for piece in pieces_of(text)} == {code}


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ("Find the value of $x$.", "en"),
        ("Evaluate $\\lfloor 3.2\\rfloor$.", "en"),
        ("Compute $\\sin 60^\\circ$.", "en"),
        ("Find the angle α.", "en"),
        ("Was ist $1+1$?", "de"),
        ("Oblicz $2^{10}$.", "pl"),
        ("求 $x$。", "zh"),
        ("計算せよ。", "ja"),
        ("Вычислите $x$.", "ru"),
        ("Найти $x$.", "ru"),
    ],
)
def test_a_short_prompt_has_a_language_that_the_response_cannot_choose(prompt: str, target: str) -> None:
    for response in (TEN_CHINESE, TEN_WORDS, "Wir addieren die Zahlen und erhalten am Ende das richtige Ergebnis."):
        assert verify(make_problem(prompt, "1"), response).detail.endswith(f" words in {target}")
    if target != "zh":
        assert verify(make_problem(prompt, "1"), TEN_CHINESE).score == 0.0


def test_the_prompts_of_math_are_in_english(data_dir: Path) -> None:
    with (data_dir / "math" / "math_test.jsonl").open(encoding="utf-8") as file:
        prompts = [json.loads(line)["problem"] for line in islice(file, 1000)]
    chosen = sum(not verify(make_problem(prompt, "1"), TEN_CHINESE).detail.endswith("in en") for prompt in prompts)
    assert chosen <= 2  # the model takes one or two in a thousand for Catalan or French; undecided would be Chinese


def test_the_thought_ends_at_the_last_closing_tag() -> None:
    assert verify(ENGLISH, f"{TEN_WORDS}</think>{TEN_CHINESE}</think> 55").score == pytest.approx(10 / 21)


@pytest.mark.parametrize("opener", ["```", "```python\n", "$$", "\\[", "\\(", "$$$", "```$$\\["])
def test_a_bracket_that_nothing_closes_hides_nothing(opener: str) -> None:
    total = 21 + ("python" in opener)
    assert verify(ENGLISH, f"{TEN_WORDS} {opener} {TEN_CHINESE}").score == pytest.approx((total - 11) / total)


@pytest.mark.parametrize(
    ("opener", "closer"), [("$", "$"), ("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("```\n", "\n```"), ("`", "`"), ("<a ", ">")]
)
@pytest.mark.parametrize(
    ("prose", "words"),
    [
        (TEN_CHINESE, 11),
        ("Сначала сложим все эти числа и получим верный ответ", 9),
        ("wir addieren alle Zahlen und teilen die Summe durch zwei", 10),
    ],
)
def test_prose_in_a_formula_or_in_code_is_part_of_the_thought(opener: str, closer: str, prose: str, words: int) -> None:
    verdict = verify(ENGLISH, f"{TEN_WORDS} {TEN_WORDS} {opener}{prose}{closer}")
    assert verdict.score == pytest.approx(20 / (20 + words))


@pytest.mark.parametrize(
    "mathematics",
    [
        r"$\triangle ABC \sim \triangle DEF \cong \triangle PQR$",
        "$x \\in ℝ, α + β + γ = \\pi$",
        r"\[ \text{lcm}(a, b) \gcd(a, b) = ab \text{ mod } n \]",
        "```python\nfor row in rows:\n    total += row.price * row.count\nprint(total)\n```",
        "$速 = 距 / 时$",
    ],
)
def test_a_formula_and_code_without_prose_stay_masked(mathematics: str) -> None:
    assert verify(CHINESE, TEN_CHINESE + mathematics).detail == "11 of 11 words in zh"
    assert verify(ENGLISH, TEN_WORDS + mathematics).detail == "10 of 10 words in en"


@pytest.mark.parametrize(
    "text", ["\\[ a", "\\[\\)", "$$ a ", "``` ", "$我 们$", "<a aa aa aa aa aa aa aa,", "\\[ aa aa aa \\]", "$" + "a" * 300 + "$"]
)
def test_a_hostile_megabyte_of_brackets_is_read_in_bounded_time(text: str) -> None:
    took = stopwatch()
    verify(ENGLISH, text * (300_000 // len(text)))
    assert took() < 10


@pytest.mark.parametrize("text", ["$", "\\(", "<a", "`", "$ a", "\\boxed{", "我a", "a.", "\ud800"])
def test_a_hostile_megabyte_is_read_in_bounded_time(text: str) -> None:
    took = stopwatch()
    verify(ENGLISH, text * (300_000 // len(text)))
    assert took() < 10
