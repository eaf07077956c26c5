r"""Answers in prose, in many languages, without delimiters, taken back, or in a thought: what is read, and what must not be."""

import pytest

from verifiers.mathematics.equality.math_answer import explain, verify
from verifiers.problem import make_problem
from verifiers.response_text.final_answer import extract_answer
from verifiers.verdict import Status


def judged(gold: str, response: str) -> Status:
    return verify(make_problem("?", gold), response).status


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("Let's think step by step. It's not A because it doesn't make sense, therefore I think it's B", "B"),
        ("The answer: D, it doesn't make sense for it to be A or B", "D"),
        ("B。 不是 A", "B"),
        ("B不是 A", "B"),
        ("I think it's (D).", "D"),
        ("**C**", "C"),
        ("After weighing the options,\n\n**(E)**", "E"),
        ("D", "D"),
        ("(A)", "A"),
        ("The correct option is B.", "B"),
        ("The right choice is (C) because the others fail.", "C"),
        ("We can rule out A and eliminate C. So it must be D.", "D"),
        ("I'd go with option A.", "A"),
        ("The correct answer is not A but B.", "B"),
        ("选B。", "B"),
        ("La bonne réponse est C.", "C"),
        ("Die richtige Antwort ist B, weil A falsch ist.", "B"),
        ("I think it's B. Actually, it's C.", "C"),
        ("It could be A or B, but C is out, therefore I choose (A).", "A"),
        ("\n<|begin_of_box|>A<|end_of_box|>", "A"),
        ("Option C is correct.", "C"),
        ("Therefore, C is the answer.", "C"),
        ("A is correct. No, B is correct.", "B"),
        ("So the answer is (B), since (A) is false.", "B"),
    ],
)
def test_choice_letter_in_prose(response: str, letter: str) -> None:
    for other in "ABCDE":
        assert (judged(other, response) is Status.RIGHT) is (other == letter)


@pytest.mark.parametrize(
    "response",
    [
        "It's B or C.",
        "I think it's (A) or (B).",
        "It's not A.",
        "It is definitely not (A).",
        "I think it's A. But no, it is not A.",
        "We can rule out A.",
        "不是 A",
        "A or B",
        "So A, B and C are collinear.",
        "Therefore I think so.",
        "Let A be a set. So A is finite",
        "So it's A, or maybe B.",
        "Option A is wrong.",
        "The answer is A or B.",
        "If C is correct, then it fails.",
        "A or B is correct.",
        "C is not the correct answer.",
        "The claim that A is correct is false.",
        "Hence A is the right triangle.",
    ],
)
def test_choice_letter_that_is_not_claimed(response: str) -> None:
    assert all(judged(letter, response) is not Status.RIGHT for letter in "ABCDI")


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("Réponse: Janeth aura encore 220 $ à payer d'ici 12 mois.", "220"),
        ("La réponse finale est 42.", "42"),
        ("答案：5", "5"),
        ("所以答案是 12 个。", "12"),
        ("最终答案为 $\\frac{1}{2}$。", "1/2"),
        ("Die Antwort lautet 17.", "17"),
        ("La respuesta correcta es $x=3$.", "3"),
        ("A resposta é 9.", "9"),
        ("La risposta è 8", "8"),
        ("Ответ: 17", "17"),
        ("Правильный ответ — 25.", "25"),
        ("答えは 8 です。", "8"),
        ("答えは15個です。", "15"),
        ("정답은 12입니다.", "12"),
        ("उत्तर: 15", "15"),
        ("উত্তর: 6", "6"),
        ("คำตอบคือ: 7", "7"),
        ("Jibu ni 30.", "30"),
        ("Cevap: 64", "64"),
        ("Đáp án: 14", "14"),
        ("Odpowiedź: 77", "77"),
        ("答：小明有15个苹果。", "15"),
        ("उत्तर 12 है", "12"),
    ],
)
def test_answer_word_in_another_language(response: str, gold: str) -> None:
    assert judged(gold, response) is Status.RIGHT
    assert judged("999", response) is Status.WRONG


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("Réponse: 3 ou 4.", "4"),
        ("答：他需要15天完成3个工程。", "15"),
        ("Réponse: ce n'est pas 5.", "5"),
        ("答案不是 5。", "5"),
        ("答案：至少 5 个。", "5"),
        ("Die Antwort ist mehr als 5 Äpfel.", "5"),
        ("La respuesta no es 5.", "5"),
        ("Ответ: больше 17 рублей.", "17"),
        ("答えは 5 または 6 です。", "6"),
        ("Réponse: il paiera le reste dans 12 mois.", "12"),
        ("Réponse: Jean a 3 pommes et Paul a 4 pommes.", "4"),
    ],
)
def test_answer_word_in_another_language_with_no_single_value(response: str, gold: str) -> None:
    assert judged(gold, response) is not Status.RIGHT


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("Final Answer: Jane started growing Sphere 3 hours ago. I hope it is correct.", "3"),
        ("The final answer is 3 hours after Jane started.", "3"),
        ("The answer is that she has 12 apples left.", "12"),
        ("Answer: The train arrives in 5 of the cases within 40 minutes of 7 trains, leaving 9 trains", "9"),
        ("The final answer: Maria will pay $45 for them.", "45"),
        ("Final answer: the farmer needs 250 feet of fence.", "250"),
        ("**Final Answer**\n\n72", "72"),
        ("### Final Answer\n$x = 7$", "7"),
        ("The answer must be 12.", "12"),
        ("The answer we get is 6.", "6"),
        ("The answer is\n\\[\n\\frac{1}{2}\n\\]", "1/2"),
        ("The answer is 5, not 6.", "5"),
        ("Yes", "Yes"),
    ],
)
def test_final_answer_phrase_that_is_a_sentence(response: str, gold: str) -> None:
    assert judged(gold, response) is Status.RIGHT


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("The answer is that he needs at least 5 coins.", "5"),
        ("The answer is that she has 2 cats and 3 dogs.", "3"),
        ("The answer is that Bob will meet player 2 again.", "2"),
        ("The answer is that three of the 5 boys left.", "5"),
        ("The answer is that half the total cost comes to 8 dollars.", "8"),
        ("The final answer is 3 hours after 5.", "3"),
        ("The answer is that he is not 7 years old.", "7"),
        ("Answer: from 1 to 2 days of work", "2"),
        ("Answer: they need 5 to 7 days", "7"),
        ("The answer is that they met on June 3 again.", "3"),
        ("The final answer is 3 miles farther away", "3 km"),
        ("Final answer: my estimate of the cost would be 40 dollars", "40"),
    ],
)
def test_final_answer_phrase_that_gives_no_single_value(response: str, gold: str) -> None:
    assert judged(gold, response) is not Status.RIGHT


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        (r"\frac{4}{23}", "8/46"),
        (r"-\frac{10}{9}", "-10/9"),
        ("After simplifying we get\n\\frac{1}{2}", r"\frac{1}{2}"),
        ("1 000", "1000"),
        ("3+2", "5"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        ("x^2+2x+1", "(x+1)^2"),
        ("limit d_n = −g(1)\n= − (2026 ln 2026)/2\n= −1013 ln 2026.\n\n□", r"-1013\ln(2026)"),
        ("So we find\n= \\frac{2}{4} = \\frac{1}{2}", "1/2"),
        ("(3, 4)", "(3,4)"),
    ],
)
def test_bare_latex_in_a_response(response: str, gold: str) -> None:
    assert judged(gold, response) is Status.RIGHT


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("\\frac{1}{2} + 3", "3"),
        ("The ratio\n\\frac{1}{2}, 5", "5"),
        ("2x + 7", "7"),
        ("3√2", "2"),
        ("2^{10}", "10"),
        ("(3, 4)", "4"),
        ("10 - 7", "7"),
    ],
)
def test_a_part_of_a_bare_formula_is_no_answer(response: str, gold: str) -> None:
    assert judged(gold, response) is not Status.RIGHT


INTERMEDIATE = "The interest is $0.05 \\cdot 10200 \\cdot \\frac12 = \\boxed{255}$. After six months, she has $10,200 + $255 = $10,455. "


@pytest.mark.parametrize(
    ("response", "right", "wrong"),
    [
        (INTERMEDIATE + "Final Answer: The final answer is $10,455$.", "10455", "255"),
        ("\\boxed{5}. Wait, I made a mistake: it should be 6.", "6", "5"),
        ("The answer is 5. No wait, it's 6.", "6", "5"),
        ("The answer is 5. Actually, it is $\\frac{1}{2}$.", "1/2", "5"),
        ("\\boxed{5}. Actually the other root is 6.", "5", "6"),
        ("\\boxed{5}. Wait, the correct value is 6.", "6", "5"),
        ("\\boxed{8} The final answer is 7", "8", "7"),  # side by side, the box is the deliberate one
        ("\\boxed{8}. We check this: the sum of all its parts was 3 + 5, which indeed holds for it. I hope the answer is clear.", "8", "5"),
        ("<|begin_of_box|>4<|end_of_box|>", "4", "5"),
    ],
)
def test_box_of_an_intermediate_step_and_later_contradictions(response: str, right: str, wrong: str) -> None:
    assert judged(right, response) is Status.RIGHT
    assert judged(wrong, response) is Status.WRONG


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        (r"So he pays $\$18$", "18"),
        (r"The answer is $\$18$.", "18"),
        (r"It costs $\$1,200.50$.", "1200.5"),
        (r"It is $\$\frac{3}{4}$", "3/4"),
        ("how many $? just about 1$", "1"),
        (r"\boxed{185\}", "185"),
        ("The answer is 185\\", "185"),
        (r"\boxed{\frac{737}{39} \approx 18.9}", r"\frac{737}{39}"),
        (r"$\frac{9.5}{3.14159} \approx 3.01$", r"\frac{9.5}{3.14159}"),
        (r"$x=1/3\approx1.3$", "1/3"),
        (r"\boxed{C is not invertible}", "$C$ is not invertible"),
        (r"\boxed{local min. (0,0) }", "local min. $(0,0) $"),
        (r"\boxed{\ 3000 @ 11 \%; \ 24000 @ 7 \%}", r"$\$ 3000 @ 11 \%$; $\$ 24000 @ 7 \%$"),
    ],
)
def test_stray_dollars_backslashes_and_roundings(response: str, gold: str) -> None:
    assert judged(gold, response) is Status.RIGHT


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        (r"So he pays $\$18$", "\\"),
        (r"\boxed{C is not invertible}", "$D$ is not invertible"),
        (r"\boxed{1 2}", "$12$ is"),
        (r"\boxed{x \approx 0.33}", "x"),
        (r"\boxed{\frac14 \approx 0.33}", "0.33"),
        (r"\boxed{\frac14 \approx 0.3333}", "1/3"),
        (r"\boxed{1\{2\}", "1"),
    ],
)
def test_stray_dollars_backslashes_and_roundings_make_nothing_right(response: str, gold: str) -> None:
    assert judged(gold, response) is not Status.RIGHT


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (r"<think>so \boxed{5}", Status.NO_ANSWER),
        (r"<think>a</think> \boxed{4} <think>hm \boxed{5}", Status.NO_ANSWER),
        (r"<thinking>the answer is 5", Status.NO_ANSWER),
        (r"<|begin_of_thought|>the answer is 5", Status.NO_ANSWER),
        (r"[THINK] the answer is 5", Status.NO_ANSWER),
        (r"<think>\boxed{4}</think> \boxed{5}", Status.RIGHT),
        (r"\boxed{4}</think> The answer is 5.", Status.RIGHT),  # the prompt opened it
        (r"\boxed{5}</think> The answer is 4.", Status.WRONG),
        (r"I think \boxed{5}", Status.RIGHT),
    ],
)
def test_a_thought_that_never_ended_holds_no_final_answer(response: str, status: Status) -> None:
    assert judged("5", response) is status


def test_a_thought_that_never_ended_may_be_allowed() -> None:
    problem, response = make_problem("?", "5"), r"<think>so \boxed{5}"
    assert verify(problem, response, open_thought=True).status is Status.RIGHT
    assert "thought never ends" in verify(problem, response).detail
    assert "place: boxed" in explain(problem, response, open_thought=True).detail
    assert extract_answer(response) is None


SOLUTION = "We factor the left side and see that every root of it lies on the unit circle, as its coefficients are palindromic and real. "


@pytest.mark.parametrize(
    ("gold", "response", "status"),
    [
        (r"Factoring gives $A=-6$, so $(A, B) = \boxed{(-6, 10)}.$", r"\boxed{(-6,10)}", Status.RIGHT),
        (r"\(\boxed{6 \text{ and } 8}\)", r"$\boxed{6,8}$", Status.RIGHT),
        (r"x \in \boxed{\{-1\} \cup [0,7)}.$", r"x \in \boxed{\{-1\} \cup [0,7)}.$", Status.RIGHT),
        ("Alina and the answer is\n(C) Cecile", "C", Status.RIGHT),
        ("She sold 48/2 = 24 clips. #### 72", r"\boxed{72}", Status.RIGHT),
        ("She sold 48/2 = 24 clips. #### 72", r"\boxed{24}", Status.WRONG),
        (SOLUTION + "Therefore the answer is 12.", r"\boxed{12}", Status.RIGHT),
        (SOLUTION + SOLUTION, r"\boxed{12}", Status.BAD_GOLD),
        (SOLUTION + SOLUTION, rf"\boxed{{{SOLUTION + SOLUTION}}}", Status.RIGHT),
        ("NaN", r"\boxed{12}", Status.BAD_GOLD),
        ("185\\", r"\boxed{185}", Status.RIGHT),
    ],
)
def test_gold_inside_a_box_or_text(gold: str, response: str, status: Status) -> None:
    assert judged(gold, response) is status
