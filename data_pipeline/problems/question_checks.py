r"""Is a question with its solution a problem that a policy can be trained on? Each check that says no has a reason that is counted.

Kept is a question that asks for one thing, stands alone, and whose answer was said outright: in a box, after "the answer is", as an entry
of a list of answers, as what the last sentence of the solution concludes, or at the end of a table of steps (`answer_finding.py`). The
answer must be mathematics that `math_answer` reads, and that verifier must find it in the solution itself, or find the last step right.
Precision before recall: what is doubtful is dropped.

A multiple choice keeps its options in the prompt, with a line that asks for the letter, and its answer is the letter: the solution's
values are often rounded or explained, and its letter never is. Yes or no, true or false are dropped, as half of all guesses are right.
"""

import re
from dataclasses import replace
from functools import lru_cache

from data_pipeline.problems.answer_finding import last_step
from data_pipeline.problems.problem_blocks import Candidate
from verifiers.mathematics.answer_reading.answer_in_words import read
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import Named, Unparsed
from verifiers.mathematics.equality.math_answer import equivalent, verify
from verifiers.problem import make_problem
from verifiers.response_text.final_answer import boxed, hashes, phrase
from verifiers.rewards.problem_file import answer_as_response
from verifiers.verdict import Status

REASONS = frozenset(
    ["ambiguous number", "too short", "too long", "asks nothing", "asks for words", "refers elsewhere", "several parts", "code",
     "no answer",
     "answer is prose", "answer is a guess", "answer in prompt", "several answers", "not verified", "unclear choices"]
)  # fmt: skip

LETTER_REQUEST = "Answer with the letter of the correct option."
_ASKS = re.compile(
    r"\?|\b(?:find|compute|calculate|evaluate|determine|solve|simplify|factori[sz]e|factor|express|convert|differentiate|integrate|expand|"
    r"multiply|divide|add|subtract|round|translate|what|how (?:many|much|long|far|old|fast|often)|which|estimate|"
    r"obtain|work out|write down|reduce|count)\b",
    re.IGNORECASE,
)
_WORDS_WANTED = re.compile(
    r"\b(?:prove|proof|show (?:that|how|why)|verify|demonstrate|explain|describe|discuss|sketch|draw|graph the|plot|justify|derive|deduce|"
    r"give (?:an?|two|three|some) |why|interpret|compare|construct|define|state|list (?:all|the)|write (?:an?|"
    r"the) (?:program|function|code|"
    r"essay|script)|implement|suggest|conjecture|convince|what (?:happens|went wrong|is wrong|do you (?:notice|"
    r"think|observe))|in your own words|"
    r"true or false|if and only if)\b",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"\b(?:figure|fig\.|table|exercise|problem|example|theorem|lemma|definition|equation|eq\.|eqn\.?|section|chapter|part|question|page|"
    r"property|formula|rule|proposition|corollary|activity|appendix)s? ?(?:\$?\\(?:PageIndex|ref|eqref)|"
    r"\(?\d+(?:[.-]\d+){0,4}(?!\w|\.\d|\s?[-+*/^=])|\([a-z]\)|(?-i:[A-Z])\b(?!\s?[-+*/^=(]))|"
    r"\\(?:ref|eqref|cref)\b|!\[|\b(?:above|aforementioned|preceding|earlier|previously)\b|\bprevious (?!term|year|"
    r"day|month|number|one\b)\w|"
    r"\b(?:shown|pictured|illustrated|depicted|given|drawn) (?:below|here|above|at (?:the )?(?:right|left)|on the (?:right|left)|in the "
    r"(?:figure|diagram|picture|graph|image|table|video))|\b(?:the|this|following) (?:figure|diagram|picture|image|"
    r"video|graph (?:below|at|on)|"
    r"photo|photograph|chart|map|plot|drawing)\b|\bsee (?:the |also )?\w|\bas (?:in|before)\b|\bclick\b|\bin class\b|\bthe (?:last|same) "
    r"(?:exercise|problem|example|question|part|section)\b|\bour (?:earlier|last)\b",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"(?:^|[\s:;.,])\((?:a|i|1)\)[\s\S]{1,3000}?[\s:;.,]\((?:b|ii|2)\)\s|(?:^|\s)(?:a|i|1)\)\s[\s\S]{1,3000}?\s(?:b|ii|2)\)\s"
    r"|^[ \t]*[a1]\. [\s\S]{1,3000}?^[ \t]*[b2]\. |^[ \t]*[-*•] [\s\S]{1,3000}?^[ \t]*[-*•] ",
    re.MULTILINE,
)
_OPTION = re.compile(
    r"(?:^|[\s;,|-])(?:\*\*)?(?:\(([A-Ea-e])\)|\$?\\(?:textbf|text|mathrm)\{\s?\(([A-E])\)\s?\}|"
    r"(?<![^\n*])([A-Ea-e])[.)])(?:\*\*)?[ \t~\\$]",
    re.MULTILINE,
)
_CLOSED = r"(?:\)|(?=[\s*$}]{0,4}(?:[.,:;(}\\–—-]|\Z|\n|because\b|since\b)))"  # "A" is also a word
_LETTER = re.compile(rf"[\s*$]{{0,4}}(?:\\text(?:bf)?\{{)?\(?([A-E]){_CLOSED}")
_LETTER_SAID = re.compile(
    rf"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)(?: is)?(?: option| choice)?:?[ ]?\**\$?(?:\\text(?:bf)?\{{)?\(?([A-E]){_CLOSED}"
)
_LONE_LETTER = re.compile(r"(?:Answer: ?)?[\s*]{0,3}\(?([A-Ea-e])\)?[.\s*]{0,3}")
_SEVERAL_LETTERS = re.compile(r"\(?[A-E]\)?,? (?:or|and|&) (?:option |choice )?\(?[A-E](?![\w'’])")
_QED = re.compile(r"[\s■□∎*]{1,20}\Z|(?<=[.\s$])\$\\(?:black|Box|big)?(?:square|qed)\$\s{0,4}\Z")
_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|then|we (?:get|have|obtain|find|conclude|see)|gives?|yields?|equals?|is|are|was)\b|∴|\\therefore|=",
    re.IGNORECASE,
)
_LAST_FORMULA = re.compile(r"\$\$([^$]{1,600})\$\$|\$([^$\n]{1,300})\$")
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
_GUESS = frozenset(["yes", "no", "true", "false", "correct", "incorrect", "always", "never", "sometimes"])
_OPEN = re.compile(r"\.\.\.|…|\\(?:dots|ldots|cdots)|_{3,}|\?")
_SPACE = re.compile(r"\s|\\[,;:! ]|\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|[${}]")
_PROMPT_WORDS, _PROMPT, _SOLUTION, _ANSWER = 2, (12, 3000), 20_000, 150


def check(candidate: Candidate) -> Candidate:
    """The candidate with its answer, or with the reason why it is dropped."""
    if candidate.dropped:
        return candidate
    candidate = replace(candidate, prompt=candidate.prompt.strip(), solution=_QED.sub("", candidate.solution.strip()).strip())
    starts = choices_of(candidate)
    if reason := _unfit(candidate, bool(starts)):
        return replace(candidate, dropped=reason)
    if starts:
        return _choice(candidate, starts)
    said = _answer(candidate)
    steps = last_step(candidate.solution) if said is None or "\\begin{" in said else None
    if said is None and steps is None:
        return replace(candidate, dropped="no answer")
    answer, proven = (steps, True) if steps else _tidy(said or "", candidate.prompt)
    if answer is None or (reason := _bad_answer(answer)):
        return replace(candidate, dropped="answer is prose" if answer is None else reason)
    if _in_prompt(answer, candidate.prompt):
        return replace(candidate, dropped="answer in prompt")
    return _verified(replace(candidate, answer=answer), said=not proven)


# ---------------------------------------------------------------- the question


def _unfit(candidate: Candidate, choice: bool) -> str | None:
    prompt = candidate.prompt
    if len(prompt) < _PROMPT[0] or len(prompt.split()) < _PROMPT_WORDS:
        return "too short"
    if len(prompt) > _PROMPT[1] or len(candidate.solution) > _SOLUTION:
        return "too long"
    if "```" in prompt or ">>>" in prompt:
        return "code"
    if _WORDS_WANTED.search(prompt):
        return "asks for words"
    if not _ASKS.search(prompt):
        return "asks nothing"
    if _ELSEWHERE.search(prompt):
        return "refers elsewhere"
    if not choice and (prompt.count("?") > 1 or _PARTS.search(prompt)):
        return "several parts"
    return None


def choices_of(candidate: Candidate) -> list[tuple[str, int, int]]:
    """(letter, where the option's mark begins, where its text does) of options A, B, C, ... in order; none where there are not three."""
    prompt = candidate.prompt
    found: list[tuple[str, int, int]] = []
    for match in _OPTION.finditer(prompt):
        letter = (match[1] or match[2] or match[3]).upper()
        if letter == "ABCDE"[len(found) : len(found) + 1]:
            found.append((letter, match.start(), match.end()))
    lower = any(prompt[start:end].strip(" (*\n").startswith(("a", "b")) for _, start, end in found[:2])
    if len(found) < 3 or (lower and not _LONE_LETTER.fullmatch(candidate.solution)):
        return []  # (a), (b), (c) are mostly parts of one exercise
    return found


# ---------------------------------------------------------------- the answer


def _choice(candidate: Candidate, starts: list[tuple[str, int, int]]) -> Candidate:
    prompt = candidate.prompt
    ends = [start for _, start, _ in starts[1:]] + [len(prompt)]
    options = tuple(prompt[begin:end].strip(" \n;,|*") for (_, _, begin), end in zip(starts, ends, strict=True))
    if len(set(options)) < len(options) or not all(options) or len(options[-1]) > 300:
        return replace(candidate, dropped="unclear choices")
    letters = {letter for letter, _, _ in starts}
    letter = _letter(candidate, letters) or _letter_of_value(candidate, options)
    if letter is None or letter not in letters:
        return replace(candidate, dropped="no answer")
    asked = prompt if "letter" in prompt else f"{prompt}\n\n{LETTER_REQUEST}"
    return _verified(replace(candidate, prompt=asked, answer=letter, choices=options), said=False)


def _letter(candidate: Candidate, letters: set[str]) -> str | None:
    """The one letter that the solution names as its choice."""
    solution = candidate.solution.removeprefix("Answer:").strip()
    if lone := _LONE_LETTER.fullmatch(solution):
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
    answer = _answer(candidate)
    if answer is None or not (answer := answer.strip(" $.*")):
        return None
    same = [i for i, option in enumerate(options) if equivalent(option.strip(" $.*"), answer)]
    return "ABCDE"[same[0]] if len(same) == 1 else None


def _answer(candidate: Candidate) -> str | None:
    """What the solution says the answer is: in a box, behind ####, as "the answer is", as an entry of a list, or in its last sentence."""
    solution = candidate.solution
    if (found := boxed(solution)) is not None or (found := hashes(solution)) is not None:
        return found
    if re.search(r"\banswer\b", solution[-2000:], re.IGNORECASE) and (found := phrase(solution)) is not None and found.strip():
        return found
    if candidate.listed and len(solution) <= _ANSWER and "\n" not in solution and not isinstance(read(_bare(solution)), Unparsed):
        return solution
    return _conclusion(solution)


def _conclusion(solution: str) -> str | None:
    """The formula that ends the last sentence, with nothing but a unit behind it."""
    if _AFTERWORD.search(solution):
        return None
    tail = _SENTENCE.split(solution[-1500:])[-1]
    formulas = list(_LAST_FORMULA.finditer(tail))
    if not formulas or not _UNIT_BEHIND.fullmatch(tail, formulas[-1].end()):
        return None
    formula = formulas[-1]
    content = (formula[1] or formula[2]).strip()
    if len(formulas) > 1 and re.search(r"\b(?:or|and|but|where|if|when|for|since|because)\b[^.]{0,40}$", tail[: formula.start()]):
        return None  # one of several, or a condition
    return content if _CONCLUDES.search(tail[: formula.start()]) or "=" in content else None


def _tidy(answer: str, prompt: str) -> tuple[str | None, bool]:
    """The answer without its sentence's signs, or None; of a computation x = 2 + 3 = 5 the last value, with the name if there is one.

    And whether the verifier has shown that both ends of the computation are the same.
    """
    answer = _bare(answer)
    if len(answer) > _ANSWER or not answer or _OPEN.search(answer):
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


def _bare(answer: str) -> str:
    answer = answer.strip().strip("*").strip()
    if answer.endswith((".", ",", ";")):
        answer = answer[:-1].rstrip()
    for mark in ("$$", "$"):
        inside = answer[len(mark) : -len(mark)]
        if answer.startswith(mark) and answer.endswith(mark) and "$" not in inside and inside.strip():
            answer = inside.strip()
    return answer.rstrip(".,; ") if answer[-1:] in ".,;" else answer


def _bad_answer(answer: str) -> str | None:
    if answer.strip(" .").lower() in _GUESS:
        return "answer is a guess"
    if ";" in answer.replace("\\;", ""):
        return "several answers"
    value = read(answer)
    if isinstance(value, Named):
        value = value.value
    return "answer is prose" if isinstance(value, Unparsed) or isinstance(parse(answer), Unparsed) else None


def _in_prompt(answer: str, prompt: str) -> bool:
    """Whether the question states its answer. Short numbers and letters are in many prompts and give nothing away."""
    squeezed = _SPACE.sub("", answer).lower()
    return (len(squeezed) > 3 and not squeezed.isdigit()) and squeezed in _SPACE.sub("", prompt).lower()


# ---------------------------------------------------------------- the verifier


def _verified(candidate: Candidate, *, said: bool = True) -> Candidate:
    """Its own verifier must accept the answer, and find it in the solution where it was `said` there."""
    problem = make_problem(candidate.prompt, candidate.answer)
    responses = [answer_as_response(candidate.answer, "math_answer")]
    if said:
        solution = candidate.solution
        responses.append(f"Answer: {solution}" if candidate.listed and len(solution) <= _ANSWER else solution)
    right = all(_judge(problem.prompt, problem.answer, response) for response in responses)
    return candidate if right else replace(candidate, dropped="not verified")


@lru_cache(maxsize=256)
def _judge(prompt: str, answer: str, response: str) -> bool:
    return verify(make_problem(prompt, answer), response).status is Status.RIGHT
