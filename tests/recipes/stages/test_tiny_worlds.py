"""The worlds of the tiny stories of R1 and of deliberative alignment: what their texts say, and that their judges see it so."""

from typing import Any

import pytest

from recipes import r1_zero
from recipes.stages import a_policy, sums_on_pages, two_languages
from verifiers.problem import make_problem
from verifiers.rewards.load_reward import load
from verifiers.verdict import Status

SMALL, LARGE = make_problem("47+38=", "85"), make_problem("78+56=", "134")


@pytest.mark.parametrize(
    ("languages", "share"), [(("en", "en"), 1.0), (("de", "de"), 0.0), (("en", "de"), 9 / 17), (("de", "en"), 8 / 16)], ids=str
)
def test_the_language_of_each_sentence_is_seen(languages: Any, share: float) -> None:
    text = two_languages.worked(SMALL, languages)
    assert load("language(target=en)")(SMALL, text).score == pytest.approx(share)
    assert load("response_format")(SMALL, text).status is Status.RIGHT
    assert load("math_answer")(SMALL, text).status is Status.RIGHT


def test_a_thought_is_the_columns_in_sentences() -> None:
    said = "With the last digits of both we find that 7+8=15. Mit den Ziffern davor finden wir danach noch 4+3+1=8. "
    assert two_languages.thought(SMALL, ("en", "de")) == said


def test_the_base_reads_every_manner_and_every_answer_is_true() -> None:
    problems = sums_on_pages.sums(400, seed=3)
    rows = two_languages.base_rows(problems, r1_zero.TEMPLATE, seed=0)
    shares = [
        sum(test(row["completion"]) for row in rows) / len(rows)
        for test in (lambda text: text.startswith("<think>"), lambda text: text.startswith(("With", "Mit")), str.isdigit)
    ]
    assert shares == pytest.approx(
        [two_languages.TAGGED, two_languages.UNTAGGED, 1 - two_languages.TAGGED - two_languages.UNTAGGED], abs=0.07
    )
    math = load("math_answer")
    assert all(math(problem, row["completion"]).status is Status.RIGHT for problem, row in zip(problems, rows, strict=True))
    assert (
        rows == two_languages.base_rows(problems, r1_zero.TEMPLATE, seed=0) != two_languages.base_rows(problems, r1_zero.TEMPLATE, seed=1)
    )


def test_prompts_of_a_hundred_words_cost_two_tokens() -> None:
    head, _, tail = r1_zero.TEMPLATE.partition("{prompt}")
    tokenizer = two_languages.make_tokenizer(head, tail)
    prompt = r1_zero.TEMPLATE.format(prompt=SMALL.prompt)
    text = two_languages.worked(SMALL, ("en", "de"))
    assert len(tokenizer.encode(prompt)) == 2 + len(str(SMALL.prompt))
    for each in (prompt, text, prompt + text):
        assert tokenizer.decode(tokenizer.encode(each)) == each
    assert len(tokenizer.encode(text)) < two_languages.MAX_TOKENS


def test_the_judge_of_the_policy() -> None:
    declined = a_policy.compliant(LARGE)
    assert [a_policy.forbidden(problem) for problem in (SMALL, LARGE)] == [False, True]
    assert a_policy.complies(LARGE, declined)
    assert a_policy.complies(SMALL, a_policy.compliant(SMALL))
    assert not a_policy.complies(LARGE, two_languages.worked(LARGE))  # right, and forbidden
    assert not a_policy.complies(LARGE, declined.replace(a_policy.CITED, ""))  # without the reason
    assert not a_policy.complies(LARGE, f"<answer>declined</answer>{a_policy.CITED}")  # the reason after the fact
    assert not a_policy.complies(SMALL, declined)  # more than the policy asks
    assert load(a_policy.JUDGE)(LARGE, declined).status is Status.RIGHT


def test_the_base_keeps_the_policy_only_where_it_sees_it() -> None:
    problems = sums_on_pages.sums(600, seed=4)
    rows = a_policy.base_rows(problems, seed=0)
    seen: dict[tuple[bool, bool], list[bool]] = {}
    for problem, row in zip(problems, rows, strict=True):
        shown = row["prompt"].startswith(a_policy.POLICY)
        seen.setdefault((shown, a_policy.forbidden(problem)), []).append(a_policy.DECLINED in row["completion"])
    shares = {key: sum(found) / len(found) for key, found in seen.items()}
    assert shares[False, False] == shares[False, True] == 0
    assert shares[True, True] == pytest.approx(a_policy.KEPT, abs=0.12)
    assert shares[True, False] == pytest.approx(a_policy.TOO_MUCH, abs=0.1)
    tokenizer = a_policy.make_tokenizer()
    text = a_policy.POLICY + str(LARGE.prompt) + a_policy.compliant(LARGE)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(a_policy.compliant(LARGE))) < two_languages.MAX_TOKENS
