"""Problems from documents: each structure that a page can have, and everything that must not become a problem."""

import json
from collections import Counter
from pathlib import Path

import pytest

from data_pipeline.documents.document import Doc, Origin
from data_pipeline.problems.answer_finding import last_step
from data_pipeline.problems.problem_blocks import Candidate, blocks
from data_pipeline.problems.problem_mining import problems_of, prompt_key, write_problems
from data_pipeline.problems.question_checks import LETTER_REQUEST, checked_candidate
from data_pipeline.problems.solve_rates import Difficulty, read_solve_rates
from tests.clock import stopwatch
from verifiers.input_error import InputError
from verifiers.mathematics.equality.math_answer import verify
from verifiers.rewards.gold_answers import gold_response
from verifiers.rewards.problem_file import read_problems
from verifiers.verdict import Status


def doc(text: str, url: str = "https://a.example/x") -> Doc:
    return Doc(f"{abs(hash(text)):016x}"[:16], url, text, Origin("a.warc", 7))


def pairs(text: str, url: str = "https://a.example/x") -> list[tuple[str, str]]:
    return [(found.prompt, found.answer) for found in problems_of(doc(text, url)) if not found.dropped]


def reasons(text: str) -> list[str | None]:
    return [found.dropped for found in problems_of(doc(text))]


def ask(question: str, solution: str = "Answer: $7$") -> list[str | None]:
    """What becomes of one exercise."""
    return reasons(f"**Exercise 1.** {question}\n\n**Solution.** {solution}\n")


# ---------------------------------------------------------------- structures


@pytest.mark.parametrize(
    "text",
    [
        "### Exercise 3.2\n\nFind the sum of the roots of $x^2 - 7x + 2$.\n\n**Solution.** By Vieta's formulas the sum is $7$.",
        "**Exercise 3.2.**\n\nFind the sum of the roots of $x^2 - 7x + 2$.\n\n**Solution.**\n\nBy Vieta's formulas the sum is $7$.",
        "**Exercise 3.2.** Find the sum of the roots of $x^2 - 7x + 2$.\n\n**Hint.** Vieta.\n\n**Answer:** 7",
        "Problem 4: Find the sum of the roots of $x^2 - 7x + 2$.\nSolution: Vieta says that the answer is 7.",
        "#### Example $\\PageIndex{2}$\n\nFind the sum of the roots of $x^2 - 7x + 2$.\n\nSolution\n\nBy "
        "Vieta's formulas, the sum equals\n\n$$7.$$",
        "Example 4. Find the sum of the roots of $x^2 - 7x + 2$.\n\nSolution. We see that $a = 1$ and $b = "
        "-7$. Therefore the sum of the roots is $7$.",
        "Q: Find the sum of the roots of $x^2 - 7x + 2$.\n\nA: The answer is $7$.",
        "## Problem 12\n\nFind the sum of the roots of $x^2 - 7x + 2$.\n\n## Solution\n\nVieta: "
        "$\\boxed{7}$.\n\n## See also\n\nMore problems",
        "**Question 5**\n\nFind the sum of the roots of $x^2 - 7x + 2$.\n\n**Explanation**\n\nVieta gives 7.\n#### 7",
        "- **Problem 1.** Find the sum of the roots of $x^2 - 7x + 2$.\n- **Answer:** $7$",
        "> **Exercise 2 (Vieta).** Find the sum of the roots of $x^2 - 7x + 2$.\n>\n> **Solution.** It is "
        "$7$. $\\square$\n\n**Theorem 3.** So $8$.",
    ],
)  # fmt: skip
def test_a_labelled_question_with_its_solution_is_a_problem(text: str) -> None:
    ((prompt, answer),) = pairs(text)
    assert prompt.startswith("Find the sum of the roots of $x^2 - 7x + 2$")
    assert "Hint" not in prompt
    assert answer == "7"


def test_the_text_behind_a_closed_answer_is_no_part_of_it() -> None:
    text = (
        "**Try It 3.** Multiply $3 \\cdot 13$.\n\nAnswer\n\n$39$\n\nIn the next lines we multiply by $-1$, so $-1a = -a$.\n\n## Division\n"
    )
    assert pairs(text) == [("Multiply $3 \\cdot 13$.", "39")]


def test_answers_listed_at_the_end_are_matched_by_number() -> None:
    text = """## Exercises

1. Find the value of $3^4$.
2. Prove that $\\sqrt{2}$ is irrational.
3. How many subsets does a set of $5$ elements have?
4. Solve $2x + 3 = 11$ for $x$.

## Answers

1. $81$
3. 32
4. $x = 4$
5. $99$
"""
    assert pairs(text) == [
        ("Find the value of $3^4$.", "81"),
        ("How many subsets does a set of $5$ elements have?", "32"),
        ("Solve $2x + 3 = 11$ for $x$.", "x = 4"),
    ]


def test_an_instruction_stands_before_each_item_of_its_list() -> None:
    text = (
        "### Practice problems\n\nEvaluate each of the following:\n\n1. $2 + 3 \\cdot 4$\n2. $(2 + 3) "
        "\\cdot 4$\n\n### Answers\n\n1. 14\n\n2. 20\n"
    )
    assert pairs(text) == [
        ("Evaluate each of the following:\n\n$2 + 3 \\cdot 4$", "14"),
        ("Evaluate each of the following:\n\n$(2 + 3) \\cdot 4$", "20"),
    ]


def test_a_number_that_stands_in_two_lists_is_given_up() -> None:
    text = "## Exercises A\n\n1. Find the value of $3^4$.\n\n## Exercises B\n\n1. Find the value of $2^4$.\n\n## Answers\n\n1. $16$\n"
    assert reasons(text) == ["ambiguous number"]


def test_sections_with_their_own_answers_do_not_mix() -> None:
    text = (
        "## Exercises\n\n1. Find the value of $3^4$.\n\n## Answers\n\n1. $81$\n\n## More exercises\n\n1. "
        "Find the value of $2^4$.\n\n## Solutions\n\n1. $16$\n"
    )
    assert [answer for _, answer in pairs(text)] == ["81", "16"]


def test_parts_that_are_formulas_become_questions_of_their_own() -> None:
    text = (
        "##### Try It $\\PageIndex{2}$\n\nMultiply:\n\n1. $-6\\cdot 8$\n2. $-4(-7)$\n\nAnswer\n\n1. "
        "$-48$\n2. $28$\n\nNow to division, where $-1a = -a$.\n"
    )
    assert pairs(text) == [("Multiply: $-6\\cdot 8$", "-48"), ("Multiply: $-4(-7)$", "28")]


def test_other_parts_keep_together_and_are_dropped() -> None:
    assert ask("Let $f(x) = x^2$. (a) Find $f(3)$. (b) Hence find the area.", "(a) $9$ (b) $7$") == ["several parts"]
    assert ask("What is $2 + 5$? And what is $3 + 5$?", "The answer is $8$.") == ["several parts"]


def test_the_first_answer_of_a_question_site() -> None:
    text = """# How many ways are there to tile a $2 \\times 6$ board with dominoes?

asked Mar 16, 2021 at 8:42

I want to count the tilings of the board. In how many ways can it be done?

A User

1158 bronze badges

Add a comment |

## 2 Answers

Let $t_n$ be the number of tilings. Then $t_n = t_{n-1} + t_{n-2}$, so the answer is $13$.

answered Mar 16, 2021 at 9:07

Somebody Else

- Thanks, I had the answer is $12$.

Add a comment |

I think the answer is $14$.
"""
    ((prompt, answer),) = pairs(text.replace("board. In how", "board. in how").replace(" in how many ways can it be done?", ""))
    assert answer == "13"
    assert "badges" not in prompt
    assert "asked" not in prompt
    assert "A User" not in prompt


def test_a_page_with_the_word_answer_is_no_site() -> None:
    assert reasons("# On what is the sum of $2$ and $3$?\n\nSome text.\n\n## Answer\n\nThe answer is $5$.") == []


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("We multiply. The answer is $\\frac{3}{4}$.", "\\frac{3}{4}"),
        ("So $\\boxed{x = \\frac{3}{4}}$ and we are done.", "x = \\frac{3}{4}"),
        ("Divide by $4$. Hence $x = \\frac{6}{8} = \\frac{3}{4}$.", "x = \\frac{3}{4}"),
        ("Divide, and we get\n\n$$x = \\frac{3}{4}.$$", "x = \\frac{3}{4}"),
        ("Working...\n#### 3/4", "3/4"),
        ("Thus it takes $12$ hours.", "12"),
        ("Adding gives $2 + 3 = 5$.", "5"),
        ("By the chain rule $\\frac{d}{dx} \\sin(x^2) = 2x\\cos(x^2)$.", "2x\\cos(x^2)"),
    ],
)
def test_where_the_answer_is_said(solution: str, answer: str) -> None:
    (found,) = problems_of(doc(f"**Exercise 1.** Find the number that solves this riddle.\n\n**Solution.** {solution}\n"))
    assert (found.dropped, found.answer) == (None, answer)


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("It follows from the definition of the limit.", "no answer"),
        ("The answer is left to the reader as a further exercise.", "answer is prose"),
        ("The answer is yes.", "answer is a guess"),
        ("The values are $3$ and $4$; we have used $x = 3$ where $y > 0$ is an assumption about the sign.", "no answer"),
        ("Hence it is $3$ if $n$ is odd and $4$ if $n = 2$.", "no answer"),
        ("Answer: $14 - (-23); 38$", "several answers"),
        ("The answer is $1 + 2 + \\dots$", "answer is prose"),
        ("Then $x^2 + y^2 = 9$.", "answer is prose"),
        ("By the chain rule $\\frac{d}{dx} \\sin(x^2) = 3x\\cos(x^2)$.", "answer is prose"),
    ],
)
def test_no_answer_is_guessed(solution: str, reason: str) -> None:
    assert ask("Find the number that solves this riddle of mine.", solution) == [reason]


def test_an_equation_is_an_answer_where_one_is_asked_for() -> None:
    (found,) = problems_of(
        doc("**Exercise 1.** Find the equation of the circle of radius $3$ at the origin.\n\n**Solution.** It is $x^2 + y^2 = 9$.")
    )
    assert found.answer == "x^2 + y^2 = 9"


def test_what_goes_on_behind_the_solution_is_not_its_conclusion() -> None:
    solution = "The power rule gives $f'(x) = 2x$.\n\nMore generally, for $g(x) = x^3$ the rule gives $g'(x) = 3x^2$."
    (found,) = problems_of(doc(f"**Example 1.** Find the derivative of $f(x) = x^2$.\n\n**Solution.** {solution}\n"))
    assert found.dropped == "no answer"


# ---------------------------------------------------------------- multiple choice

CHOICE = "**Problem 3.** What is the value of $2 + 3 \\cdot 4$?\n\n(A) $20$ (B) $14$ (C) $24$ (D) $9$\n\n"


@pytest.mark.parametrize(
    "solution",
    ["**Answer:** (B)", "**Answer:** B", "**Solution.** Products first, so the answer is (B).", "**Solution.** We get $\\boxed{14}$.",
     "**Solution.** Products first: $\\boxed{\\textbf{(B)}\\ 14}$", "**Solution.** Products first. The correct option is B."],
)  # fmt: skip
def test_a_multiple_choice_keeps_its_options_and_answers_with_the_letter(solution: str) -> None:
    (found,) = problems_of(doc(CHOICE + solution))
    assert (found.dropped, found.answer) == (None, "B")
    assert "(D) $9$" in found.prompt
    assert found.prompt.endswith(LETTER_REQUEST)
    assert found.choices == ("$20$", "$14$", "$24$", "$9$")


@pytest.mark.parametrize(
    "solution",
    [
        "**Answer:** A or B",
        "**Answer:** A number of them",
        "**Solution.** The answer is A number.",
        "**Solution.** Option A is wrong and option B is right.",
        "**Solution.** $\\boxed{15}$",
    ],
)
def test_a_choice_without_one_clear_letter_is_dropped(solution: str) -> None:
    (found,) = problems_of(doc(CHOICE + solution))
    assert found.dropped == "no answer"


def test_small_letters_are_options_where_the_answer_is_one() -> None:
    text = "# Quiz\n\n1. What is $4!$?\n\n   a. 24\n   b. 12\n   c. 16\n\n# Answer key\n\n1. a\n"
    ((prompt, answer),) = pairs(text)
    assert (answer, "b. 12" in prompt) == ("A", True)


# ---------------------------------------------------------------- questions that are none


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Prove that the sum of the roots is $7$.", "asks for words"),
        ("Show that $x = 7$ solves the equation.", "asks for words"),
        ("Explain what a limit is. What is it?", "asks for words"),
        ("Sketch the curve and find its area.", "asks for words"),
        ("Find the area of the triangle in Figure 3.", "refers elsewhere"),
        ("Find the area of the triangle shown below.", "refers elsewhere"),
        ("Using the previous exercise, find the limit.", "refers elsewhere"),
        ("Find the roots of equation (4).", "refers elsewhere"),
        ("Compute the limit of the sequence above.", "refers elsewhere"),
        ("Use Theorem 2.3 to find the limit of $a_n$.", "refers elsewhere"),
        ("Find the limit as in the last section.", "refers elsewhere"),
        ("Consider the group of order $7$ and its action.", "asks nothing"),
        ("Find $x$.", "too short"),
        ("Find the output of this:\n\n```\nprint(7)\n```", "code"),
        ("Find the number " + "very " * 800 + "fast.", "too long"),
        ("Find the sum of the roots, which is $n^2 + 6$.", "answer in prompt"),
        ("Is it true or false that $7$ is odd?", "asks for words"),
    ],
)
def test_questions_that_cannot_be_asked_alone_are_dropped(question: str, reason: str) -> None:
    solution = "Answer: $n^2 + 6$" if reason == "answer in prompt" else "Answer: $7$"
    assert ask(question, solution) == [reason]


@pytest.mark.parametrize(
    "question",
    [
        "Solve the equation 2x + 3 = 17 for x.",
        "Find the root of the equation x - 7 = 0.",
        "Which number solves the problem of the 7 bridges?",
    ],
)
def test_an_equation_is_no_reference(question: str) -> None:
    assert ask(question) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "The problem is that we do not know $x$. The solution is to guess. The answer is 5.",
        "# News\n\nThe answer to everything is 42.",
        "**Theorem 1.** Find it.\n\n**Proof.** The answer is $3$.",
        "Problem solving is an art. How many artists are there?\n\nAnswer phones are rare: $5$.",
        "**Exercise 1.** Find the sum of $2$ and $3$.\n\n## Another chapter\n\n**Solution.** $x = 5$",
        "```\nProblem 1. Find the sum of $2$ and $3$.\nAnswer: 5\n```",
        "",
        "\n\n$$\n\n",
    ],
)
def test_text_without_the_structure_gives_nothing(text: str) -> None:
    assert pairs(text) == []


def test_the_solution_must_hold_its_answer_by_the_verifiers_own_reading() -> None:
    found = checked_candidate(
        Candidate("exercise", "Find the sum of all the numbers.", "The answer is $5$. Wait, no: after a check we have $\\boxed{6}$.")
    )
    assert (found.dropped, found.answer) == (None, "6")
    found = checked_candidate(Candidate("exercise", "Find the sum of all the numbers.", "Then it is $5$ or, on Sundays, is $6$."))
    assert found.dropped is not None


# ---------------------------------------------------------------- the file


def exercise(number: int, question: str, answer: str) -> str:
    return f"**Exercise {number}.** {question}\n\n**Answer:** ${answer}$\n\n"


def test_what_is_written_is_read_back_and_every_gold_is_accepted(tmp_path: Path) -> None:
    text = (
        exercise(1, "Find the sum of $2$ and $3$.", "5")
        + CHOICE
        + "**Answer:** (B)\n\n"
        + exercise(4, "Solve $x^2 = 2$ for $x > 0$.", "\\sqrt{2}")
    )
    counts = write_problems([doc(text), doc(text + " ").drop("quality: too short")], tmp_path / "p.jsonl")
    problems = read_problems(tmp_path / "p.jsonl")
    assert [problem.answer for problem in problems] == ["5", "B", "\\sqrt{2}"]
    assert all(verify(problem, gold_response(problem)).status is Status.RIGHT for problem in problems)
    assert counts == Counter({"found": 3, "kept": 3})
    meta = problems[0].meta
    assert (meta["url"], meta["archive"], meta["offset"], meta["kind"]) == ("https://a.example/x", "a.warc", 7, "exercise")
    assert "5" in meta["solution"]


def test_duplicates_near_ones_and_disagreements(tmp_path: Path) -> None:
    docs = [
        doc(exercise(1, "Find the sum of the numbers $2$ and $3$.", "5")),
        doc(exercise(9, "find the sum of the  numbers $ 2 $ and $3$", "5")),
        doc(exercise(1, "Please find the sum of the numbers $2$ and $3$ now.", "5")),
        doc(exercise(1, "Find the sum of the numbers $2$ and $4$.", "6")),
        doc(exercise(1, "Find the product of $7$ and $8$.", "56")),
        doc(exercise(2, "Find the product of $7$ and $8$.", "54")),
        doc(exercise(3, "Find the product of $7$ and $8$.", "56")),
    ]
    counts = write_problems(docs, tmp_path / "p.jsonl")
    assert [problem.answer for problem in read_problems(tmp_path / "p.jsonl")] == ["5", "6"]
    assert counts["found"] == 7
    assert counts["problems: duplicate: exact"] == 2
    assert counts["problems: duplicate: near"] == 1
    assert counts["problems: answers differ"] == 2
    assert sum(counts.values()) - counts["found"] == counts["found"]


def test_questions_with_other_signs_or_numbers_are_other_questions() -> None:
    keys = {prompt_key(text) for text in ("Find $x+1$", "Find $x-1$", "Find $x + 1 $.", "Find $x+2$", "Find $\\left x+1$")}
    assert len(keys) == 3


def test_benchmark_questions_are_left_out(tmp_path: Path) -> None:
    def hits(text: str) -> list[str]:
        return ["gsm8k"] if "eggs" in text else []

    text = exercise(1, "How many eggs are $3 + 4$ eggs?", "7") + exercise(2, "How many cups are $3 + 5$ cups?", "8")
    counts = write_problems([doc(text)], tmp_path / "p.jsonl", hits)
    assert counts["problems: in a benchmark"] == 1
    assert [problem.answer for problem in read_problems(tmp_path / "p.jsonl")] == ["8"]


def test_a_policys_solve_rate_chooses_problems(tmp_path: Path) -> None:
    text = "".join(exercise(n, f"Find the sum of $1$ and ${n}$.", str(n + 1)) for n in range(4))
    write_problems([doc(text)], tmp_path / "p.jsonl")
    easy, middle, hard, unrated = read_problems(tmp_path / "p.jsonl")
    rows = [{"id": easy.id, "solve_rate": 1.0}, {"problem_id": hard.id, "score": 0}]
    rows += [{"problem_id": middle.id, "score": score} for score in (1, 0, 0, 1)]
    (tmp_path / "rates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rates = read_solve_rates(tmp_path / "rates.jsonl")
    assert rates == {easy.id: 1.0, hard.id: 0.0, middle.id: 0.5}
    chosen = Difficulty(rates, least=0.1, most=0.9)
    counts = write_problems([doc(text)], tmp_path / "q.jsonl", difficulty=chosen)
    kept = read_problems(tmp_path / "q.jsonl")
    assert [problem.id for problem in kept] == [middle.id, unrated.id]
    assert (kept[0].meta["solve_rate"], "solve_rate" in kept[1].meta) == (0.5, False)
    assert (counts["problems: too easy"], counts["problems: too hard"]) == (1, 1)


@pytest.mark.parametrize(
    "line", ['{"id": "a"}', '{"id": "a", "solve_rate": 1.5}', '{"solve_rate": 0.5}', "no json", '{"id": "a", "score": true, "samples": 0}']
)
def test_bad_solve_rates_are_refused_in_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "rates.jsonl").write_text('{"id": "x", "solve_rate": 0.5}\n' + line + "\n")
    with pytest.raises(InputError, match="line 2") as caught:
        read_solve_rates(tmp_path / "rates.jsonl")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_solve_rates(tmp_path / "missing.jsonl")


def test_nothing_found_is_an_empty_file(tmp_path: Path) -> None:
    assert write_problems([doc("Nothing here.")], tmp_path / "p.jsonl")["kept"] == 0
    assert (tmp_path / "p.jsonl").read_text() == ""


def test_hostile_text_takes_linear_time() -> None:
    for text in (
        "Problem 1. " * 10_000,
        "**Exercise 1.** Find $x$?\n\n" * 5_000,
        "# Exercises\n\n" + "1. Find it.\n" * 8_000 + "# Answers\n\n" + "1. $2$\n" * 8_000,
        "**Problem 1.** Find $x$ now (a) " + "(a) " * 30_000 + "\n\n**Answer:** $2$",
        "**Problem 1.** Find the " + "$" * 2500 + "\n\n**Solution.** " + "$" * 19_000,
        "**Problem 1.** Find the number.\n\n**Solution.** " + "\\boxed{" * 2500,
        "**" * 60_000, "> " * 60_000, "```\n" * 30_000, "$$\n" * 30_000, "Problem " * 30_000, " " * 200_000, "1. " * 60_000,
    ):  # fmt: skip
        took = stopwatch()
        for _ in problems_of(doc(text)):
            pass
        assert took() < 5, text[:30]


def test_blocks_hold_every_line_once() -> None:
    text = "# Exercises\n\n1. One $a$\n   goes on\n2. Two\n\n```\ncode\n\nmore\n```\nAfter\n\n$$\nx\n\ny\n$$"
    assert [block.text for block in blocks(doc(text))][:3] == ["# Exercises", "1. One $a$\ngoes on", "2. Two"]
    assert "".join("".join(block.text.split()) for block in blocks(doc(text))) == "".join(text.split())


STEPS = r"""$$\begin{array} {ll} {} &{7(-2)+4(-7)-6} \\ {\text{Multiply first.}} &{-14+(-28)-6} \\ {\text{Add.}} &{ \color{red}{-42}-6}
\\[2pt] {\text{Subtract; this is}} &{-48} \\ {\text{negative.}} &{} \end{array}$$"""


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (STEPS, "-48"),
        (STEPS.replace("array} {ll}", "aligned}").replace("{array}", "{aligned}").replace("&{-48}", "&= {{-48}}."), "-48"),
        (STEPS.replace("-48", "48"), None),  # a step that does not follow
        (STEPS.replace("negative", "check"), None),
        (STEPS + " " + STEPS, None),
        (r"$$\begin{array}{ll} x + 2 & = 5 \\ x & = 3 \end{array}$$", None),
        (r"$$\begin{array}{ll} 3 & 4 \\ 5 & 6 \end{array}$$", None),
        (r"$$\begin{array}{ll} {{{{{{3}}}}}} & {3 \\ } & 4} \end{array}$$", None),
        ("Answer: $14 - (-23); 37$", "37"),
    ],
)
def test_the_last_of_steps_that_follow_from_each_other_is_the_answer(solution: str, answer: str | None) -> None:
    text = f"## Example 3\n\nSimplify: $7(-2)+4(-7)-6$ as far as you can.\n\n**Solution**\n\n{solution}"
    assert [found for _, found in pairs(text)] == ([answer] if answer else [])


def test_steps_without_end_take_no_time() -> None:
    took = stopwatch()
    for hostile in (r"\begin{array}" * 50_000, r"\begin{array}" + "{" * 500_000, r"\begin{array}" + r"\\&" * 200_000 + r"\end{array}"):
        assert last_step(hostile) is None
    assert took() < 1


def test_solve_rates_come_from_the_rollouts_of_a_run(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "run" / "rollouts"
    folder.mkdir(parents=True)
    for step, scores in enumerate([[1.0, 0.0], [None, 1.0], [0.5, 0.0]]):
        table = pa.table({"problem_id": ["a", "b"], "score": pa.array(scores, pa.float64()), "response": ["x", "y"]})
        pq.write_table(table, folder / f"step-{step:06d}.parquet")
    for given in (tmp_path / "run", folder):
        assert read_solve_rates(given) == {"a": 0.75, "b": pytest.approx(1 / 3)}
    assert read_solve_rates(folder / "step-000000.parquet") == {"a": 1.0, "b": 0.0}
    (tmp_path / "other.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="holds no rollouts"):
        read_solve_rates(tmp_path / "other.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="give the folder of a run"):
        read_solve_rates(tmp_path / "empty")
