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

from data_pipeline.problems.answer_finding import LONE_LETTER, LONGEST_ANSWER, chosen_letter, last_step, stated_answer, tidied_answer
from data_pipeline.problems.problem_blocks import Candidate
from verifiers.mathematics.answer_reading.answer_in_words import read_answer
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import Named, Unparsed
from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem
from verifiers.rewards.gold_answers import answer_as_response
from verifiers.verdict import Status

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
_QED = re.compile(r"[\s■□∎*]{1,20}\Z|(?<=[.\s$])\$\\(?:black|Box|big)?(?:square|qed)\$\s{0,4}\Z")
_GUESS = frozenset(["yes", "no", "true", "false", "correct", "incorrect", "always", "never", "sometimes"])
_SPACE = re.compile(r"\s|\\[,;:! ]|\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|[${}]")
_PROMPT_WORDS, _PROMPT, _SOLUTION = 2, (12, 3000), 20_000


def checked_candidate(candidate: Candidate) -> Candidate:
    """The candidate with its answer, or with the reason why it is dropped."""
    if candidate.dropped:
        return candidate
    candidate = replace(candidate, prompt=candidate.prompt.strip(), solution=_QED.sub("", candidate.solution.strip()).strip())
    starts = choices_of(candidate)
    if reason := _why_unfit(candidate, bool(starts)):
        return replace(candidate, dropped=reason)
    if starts:
        return _checked_choice(candidate, starts)
    said = stated_answer(candidate)
    steps = last_step(candidate.solution) if said is None or "\\begin{" in said else None
    if said is None and steps is None:
        return replace(candidate, dropped="no answer")
    answer, proven = (steps, True) if steps else tidied_answer(said or "", candidate.prompt)
    if answer is None or (reason := _why_bad_answer(answer)):
        return replace(candidate, dropped="answer is prose" if answer is None else reason)
    if _is_in_prompt(answer, candidate.prompt):
        return replace(candidate, dropped="answer in prompt")
    return _verify_answer(replace(candidate, answer=answer), said=not proven)


# ---------------------------------------------------------------- the question


def _why_unfit(candidate: Candidate, choice: bool) -> str | None:
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
    if len(found) < 3 or (lower and not LONE_LETTER.fullmatch(candidate.solution)):
        return []  # (a), (b), (c) are mostly parts of one exercise
    return found


# ---------------------------------------------------------------- the answer


def _checked_choice(candidate: Candidate, starts: list[tuple[str, int, int]]) -> Candidate:
    prompt = candidate.prompt
    ends = [start for _, start, _ in starts[1:]] + [len(prompt)]
    options = tuple(prompt[begin:end].strip(" \n;,|*") for (_, _, begin), end in zip(starts, ends, strict=True))
    if len(set(options)) < len(options) or not all(options) or len(options[-1]) > 300:
        return replace(candidate, dropped="unclear choices")
    letters = {letter for letter, _, _ in starts}
    letter = chosen_letter(candidate, letters, options)
    if letter is None or letter not in letters:
        return replace(candidate, dropped="no answer")
    asked = prompt if "letter" in prompt else f"{prompt}\n\n{LETTER_REQUEST}"
    return _verify_answer(replace(candidate, prompt=asked, answer=letter, choices=options), said=False)


def _why_bad_answer(answer: str) -> str | None:
    if answer.strip(" .").lower() in _GUESS:
        return "answer is a guess"
    if ";" in answer.replace("\\;", ""):
        return "several answers"
    value = read_answer(answer)
    if isinstance(value, Named):
        value = value.value
    return "answer is prose" if isinstance(value, Unparsed) or isinstance(parse(answer), Unparsed) else None


def _is_in_prompt(answer: str, prompt: str) -> bool:
    """Whether the question states its answer. Short numbers and letters are in many prompts and give nothing away."""
    squeezed = _SPACE.sub("", answer).lower()
    return (len(squeezed) > 3 and not squeezed.isdigit()) and squeezed in _SPACE.sub("", prompt).lower()


# ---------------------------------------------------------------- the verifier


def _verify_answer(candidate: Candidate, *, said: bool = True) -> Candidate:
    """Its own verifier must accept the answer, and find it in the solution where it was `said` there."""
    problem = make_problem(candidate.prompt, candidate.answer)
    responses = [answer_as_response(candidate.answer, "math_answer")]
    if said:
        solution = candidate.solution
        responses.append(f"Answer: {solution}" if candidate.listed and len(solution) <= LONGEST_ANSWER else solution)
    right = all(_is_right(problem.prompt, problem.answer, response) for response in responses)
    return candidate if right else replace(candidate, dropped="not verified")


@lru_cache(maxsize=256)
def _is_right(prompt: str, answer: str, response: str) -> bool:
    return verify(make_problem(prompt, answer), response).status is Status.RIGHT
