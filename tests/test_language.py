"""R1's language consistency: shares of words counted by hand, masks, short texts, and texts made to take long."""

import time

import pytest

from verifiers.language import cut, verify
from verifiers.problem import make_problem
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
    assert {piece.language for piece in cut(text)} == {code}


@pytest.mark.parametrize("text", ["$", "\\(", "<a", "`", "$ a", "\\boxed{", "我a", "a.", "\ud800"])
def test_a_hostile_megabyte_is_read_in_bounded_time(text: str) -> None:
    start = time.perf_counter()
    verify(ENGLISH, text * (300_000 // len(text)))
    assert time.perf_counter() - start < 10
