"""When two responses are one solution."""

import pytest

from recipes.selection.same_solution import NEARLY_SAME, SAME_EQUATIONS, SAME_TEXT, equations, similarity, solution_of, why_same

LONG = "First we add the two numbers that are given, which makes a sum of seventeen apples, and then we take away the five that were eaten"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 * 4 = 12. 12 + 5 = 17.", ("3*4=12", "12+5=17")),
        (r"So $3 \times 4 = 12$, and $12 + 5 = 17$: \boxed{17}", ("3*4=12", "12+5=17")),
        ("3×4=12 then 12+5=17!", ("3*4=12", "12+5=17!")),
        ("Step 1: 1,000 / 4 = 250", ("1000/4=250",)),
        ("x = 5 and y=6", ("x=5", "y=6")),
        ("x = 1, y = 2, 3 = 12,345", ("x=1", "y=2", "3=12345")),
        ("The answer is 17", ()),
        ("= = ==", ()),
        ("", ()),
    ],
)
def test_equations_of_a_text(text: str, found: tuple[str, ...]) -> None:
    assert equations(text) == found


def same(one: str, other: str, near: float = 0.75) -> str | None:
    there, back = (why_same(solution_of(a), solution_of(b), near=near) for a, b in ((one, other), (other, one)))
    assert there == back
    return there


def test_same_solutions() -> None:
    assert same("The answer is 17.", "the  answer\nis 17.") == SAME_TEXT
    assert same(r"3 * 4 = 12, so \boxed{12}", r"We know that $3 \times 4 = 12$. The answer is \boxed{12}") == SAME_EQUATIONS
    assert same(f"{LONG}.", f"{LONG}.\nDone") == NEARLY_SAME


def test_different_solutions() -> None:
    assert same(r"3 * 4 = 12 \boxed{12}", r"4 * 3 = 12 \boxed{12}") is None
    assert same(r"\boxed{12}", r"It is \boxed{12}") is None  # no equations, and not alike in words
    assert same(LONG, LONG[:90]) is None
    assert same(f"{LONG}.", f"{LONG}.\nDone", near=1.0) is None


def test_equal_words_with_another_answer_are_another_solution() -> None:
    assert same(LONG + r" \boxed{0.5}", LONG + r" \boxed{1/2}") == NEARLY_SAME
    assert same(LONG + r" \boxed{12}", LONG + r" \boxed{13}") is None
    assert same(r"3 * 4 = 12. \boxed{12}", r"3 * 4 = 12! \boxed{13}") is None


def test_similarity_by_hand() -> None:
    one, other = solution_of("a b c d e f g"), solution_of("a b c d e f h")  # grams 1-5, 2-6, 3-7: two of four in common
    assert similarity(one, other) == 0.5
    assert similarity(solution_of(""), solution_of(" ")) == 1.0


@pytest.mark.parametrize("text", ["\x00" * 50, "= " * 20_000, "1" * 500_000, "\\frac{" * 5_000, "$" * 10_000, "1=" * 50_000])
def test_hostile_texts_end(text: str) -> None:
    assert why_same(solution_of(text), solution_of(text + "x"), near=0.75) in (None, SAME_EQUATIONS, NEARLY_SAME)
