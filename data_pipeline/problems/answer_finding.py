r"""What a solution says the answer is, and the answer without its sentence's signs; None wherever that is doubtful.

It is said in a box, behind ####, as "the answer is", as an entry of a list, in the last sentence, or by a letter of a multiple choice.
Or it is what a displayed table of steps comes to, as textbooks set their worked examples:

    \begin{array}{ll} {} & {7(-2)-6} \\ {\text{Multiply first.}} & {-14-6} \\ {\text{Subtract.}} & {-20} \end{array}

The last row with a value gives the answer, and only where the verifier finds it equal to the row before: a step that cannot be followed, a
table of something else or the check of an answer gives none. Whether the answer is one to train on is for `question_checks.py` to say.
"""

import re

from data_pipeline.documents.formula_spans import FORMULA_SPAN, formula_in
from data_pipeline.problems.problem_blocks import Candidate
from verifiers.mathematics.answer_reading.answer_in_words import read_answer
from verifiers.mathematics.answer_reading.values import Unparsed
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.response_text.final_answer import boxed, hashes, phrase

LONGEST_ANSWER = 150
_CLOSED = r"(?:\)|(?=[\s*$}]{0,4}(?:[.,:;(}\\–—-]|\Z|\n|because\b|since\b)))"  # "A" is also a word
_LETTER = re.compile(rf"[\s*$]{{0,4}}(?:\\text(?:bf)?\{{)?\(?([A-E]){_CLOSED}")
_LETTER_SAID = re.compile(
    rf"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?: is)?(?: option| choice)?:?[ ]?\**\$?(?:\\text(?:bf)?\{{)?\(?([A-E]){_CLOSED}"
)
LONE_LETTER = re.compile(r"(?:Answer: ?)?[\s*]{0,3}\(?([A-Ea-e])\)?[.\s*]{0,3}")
_SEVERAL_LETTERS = re.compile(r"\(?[A-E]\)?,? (?:or|and|&) (?:option |choice )?\(?[A-E](?![\w'’])")
_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|then|we (?:get|have|obtain|find|conclude|see)|gives?|yields?|equals?|is|are|was)\b|∴|\\therefore|=",
    re.IGNORECASE,
)
_UNIT_BEHIND = re.compile(r"[\s.,;!)*]{0,4}(?:(?:\\?[A-Za-z²³°/%]{1,14})(?: [A-Za-z²³/]{1,14}){0,2}[\s.,;!)*■□∎]{0,6})?")
_AFTERWORD = re.compile(
    r"\n\n(?:\*\*)?(?:Note|Notice|Remark|In general|More generally|Similarly|This (?:example|problem|exercise)|In the (?:next|following)|"
    r"The next|The following|Let us now|We now|Another|As (?:an|another)|A (?:similar|different))\b"
)
"""A paragraph that may go on to something else than the question."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z$\\])")
_NAME = re.compile(
    r"[A-Za-z](?:_\{?\w{1,4}\}?)?'{0,2}(?:\([\w, ]{1,6}\))?|\\[a-z]{2,8}(?:_\{?\w{1,4}\}?)?|\([A-Za-z](?:, ?[A-Za-z]){1,3}\)"
)
_EQUATION = re.compile(r"\b(?:equations?|relation|identity|locus|line|circle|curve|plane|parabola|ellipse|tangent)\b", re.IGNORECASE)
_OPEN = re.compile(r"\.\.\.|…|\\(?:dots|ldots|cdots)|_{3,}|\?")
_ENVIRONMENT = re.compile(
    r"\\begin\{(array|aligned|align\*?|split|eqnarray\*?|alignedat|gathered)\} {0,4}(?:\{[^{}]{0,40}\})?(.{0,4000}?)\\end\{\1\}", re.DOTALL
)
_ROW = re.compile(r"\\\\(?:\[[^\]]{0,20}\])?|\\cr\b")
_COLOUR = re.compile(r"\\(?:color|textcolor)\{[a-zA-Z]{1,20}\}")
_WORDS = re.compile(r"\\(?:text|mbox|mathrm|hbox)[a-z]{0,4}\{")
_CHECK = re.compile(r"\bcheck", re.IGNORECASE)
_STEPS, _BRACES = 30, 4


def chosen_letter(candidate: Candidate, letters: set[str], options: tuple[str, ...]) -> str | None:
    """The option that the solution names, or else the only one that is its answer's value."""
    return _named_letter(candidate, letters) or _letter_of_value(candidate, options)


def _named_letter(candidate: Candidate, letters: set[str]) -> str | None:
    """The one letter that the solution names as its choice."""
    solution = candidate.solution.removeprefix("Answer:").strip()
    if lone := LONE_LETTER.fullmatch(solution):
        return str(lone[1]).upper()
    if _SEVERAL_LETTERS.search(solution):
        return None
    content = boxed(solution)
    if content is not None and (found := _LETTER.match(content)):
        return str(found[1])
    said: set[str] = set(_LETTER_SAID.findall(candidate.solution)) & letters
    opening = _LETTER.match(solution)
    if not said and opening and (candidate.listed or candidate.solution.startswith("Answer:")):
        return str(opening[1])
    return said.pop() if len(said) == 1 else None


def _letter_of_value(candidate: Candidate, options: tuple[str, ...]) -> str | None:
    answer = stated_answer(candidate)
    if answer is None or not (answer := answer.strip(" $.*")):
        return None
    same = [i for i, option in enumerate(options) if equivalent(option.strip(" $.*"), answer)]
    return "ABCDE"[same[0]] if len(same) == 1 else None


def stated_answer(candidate: Candidate) -> str | None:
    """What the solution says the answer is: in a box, behind ####, as "the answer is", as an entry of a list, or in its last sentence."""
    solution = candidate.solution
    if (found := boxed(solution)) is not None or (found := hashes(solution)) is not None:
        return found
    if re.search(r"\banswer\b", solution[-2000:], re.IGNORECASE) and (found := phrase(solution)) is not None and found.strip():
        return found
    entry = candidate.listed and len(solution) <= LONGEST_ANSWER and "\n" not in solution
    return solution if entry and not isinstance(read_answer(_bare_answer(solution)), Unparsed) else _conclusion(solution)


def _conclusion(solution: str) -> str | None:
    """The formula that ends the last sentence, with nothing but a unit behind it."""
    if _AFTERWORD.search(solution):
        return None
    tail = _SENTENCE.split(solution[-1500:])[-1]
    formulas = list(FORMULA_SPAN.finditer(tail))
    if not formulas or not _UNIT_BEHIND.fullmatch(tail, formulas[-1].end()):
        return None
    formula = formulas[-1]
    content = formula_in(formula).strip()
    if len(formulas) > 1 and re.search(r"\b(?:or|and|but|where|if|when|for|since|because)\b[^.]{0,40}$", tail[: formula.start()]):
        return None  # one of several, or a condition
    return content if _CONCLUDES.search(tail[: formula.start()]) or "=" in content else None


def tidied_answer(answer: str, prompt: str) -> tuple[str | None, bool]:
    """The answer without its sentence's signs, or None; of a computation x = 2 + 3 = 5 the last value, with the name if there is one.

    And whether the verifier has shown that both ends of the computation are the same.
    """
    answer = _bare_answer(answer)
    if len(answer) > LONGEST_ANSWER or not answer or _OPEN.search(answer):
        return None, False
    if answer.count(";") == 1 and "=" not in answer and equivalent(*answer.split(";"), require_closed_form=False):
        return answer.partition(";")[2].strip(), True  # "14 - (-23); 37": translated, then simplified
    sides = [side.strip(" &\\") if side.strip().endswith("\\\\") else side.strip(" &") for side in answer.split("=")]
    plain = all(side and not side.endswith(("<", ">", "!", ":", "\\")) and side.count("{") == side.count("}") for side in sides)
    if len(sides) < 2 or not plain:
        return answer, False
    if _NAME.fullmatch(sides[0]):
        return f"{sides[0]} = {sides[-1]}", False
    if equivalent(sides[0], sides[-1], require_closed_form=False):
        return sides[-1], True
    return (answer if _EQUATION.search(prompt) and len(sides) == 2 else None), False


def _bare_answer(answer: str) -> str:
    answer = answer.strip().strip("*").strip()
    if answer.endswith((".", ",", ";")):
        answer = answer[:-1].rstrip()
    for mark in ("$$", "$"):
        inside = answer[len(mark) : -len(mark)]
        if answer.startswith(mark) and answer.endswith(mark) and "$" not in inside and inside.strip():
            answer = inside.strip()
    return answer.rstrip(".,; ") if answer[-1:] in ".,;" else answer


def last_step(solution: str) -> str | None:
    """What the only table of steps of a solution, at its end, comes to."""
    tables = list(_ENVIRONMENT.finditer(solution[-8000:]))
    if len(tables) != 1 or _CHECK.search(solution) or tables[0].string[tables[0].end() :].strip(" \t\n$.]\\"):
        return None
    rows = _ROW.split(tables[0][2])
    values = [value for row in rows if (value := _value_of_row(row))]
    if not 2 <= len(values) <= _STEPS or "=" in values[-1] or not any(sign.isdigit() for sign in values[-1]):
        return None
    return values[-1] if values[-1] != values[-2] and equivalent(values[-2], values[-1], require_closed_form=False) else None


def _value_of_row(row: str) -> str:
    """The formula in the last cell of a row; "" for a row that ends in words or nothing."""
    cell = next((cell for part in reversed(row.split("&")) if (cell := _bare_cell(part))), "")
    return "" if _WORDS.search(cell) else cell


def _bare_cell(cell: str) -> str:
    """A cell without its colours, the equals sign before it and the braces around it."""
    cell = _COLOUR.sub("", cell).strip().removeprefix("=").strip(" \t\n.,")
    for _ in range(_BRACES):
        if not (cell.startswith("{") and _closing(cell) == len(cell) - 1):
            break
        cell = cell[1:-1].strip()
    return cell


def _closing(cell: str) -> int:
    """Where the brace closes with which it begins."""
    depth = 0
    for place, sign in enumerate(cell):
        depth += (sign == "{") - (sign == "}")
        if not depth:
            return place
    return -1
