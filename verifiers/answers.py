r"""Final answers as text: where they stand in a response.

The last answer counts: the last box, the last tag, the last phrase. Two answers with words of reasoning between them are a correction, and
the second counts; two different boxes side by side are both the answer, and so equal to neither. Which places count, and in which order,
is a tuple of extractors, so a recipe that asks for tags can trust tags alone. When a response closes a thought (`</think>`), only what
follows can hold the answer. All searches take linear time on any input. Left out: reading an answer's meaning (`latex_parse.py`).
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple


class Answer(NamedTuple):
    text: str
    place: str
    """Which extractor found it."""


Extractor = Callable[[str], str | None]

_BOX_PART = re.compile(r"\\{1,2}(?:boxed|fbox)\s{0,4}\{|\\boxed\s{1,4}([^\s\\{}$]{1,80})|\\.|[{}]", re.DOTALL | re.ASCII)
_PHRASE = re.compile(r"\banswer\s{0,4}(?:\*\*\s{0,4})?(?:is\b|:|=)[\s:*]{0,8}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?:[\s*]|$)|\n")
_NUMBER = re.compile(
    r"(?:(?<![\w)\]}])[-−])?\$?(?<![A-Za-z\d])(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:,\d\d?(?=\s?\$(?!\s?\d))\s?\$)?)(?:\.\d+)?|\.\d+)"
    r"(?:\s?/\s?\d+)?(?:\s?\\?%|\s(?:thousand|million|billion|trillion)\b)?",
    re.ASCII,
)
_SPACING = r"\s|[$.]|\\[()\[\];, !]|\\q?quad"
_BETWEEN_BOXES = {
    "joined": rf"(?:{_SPACING})*(?:,|;|and|or|\\text\s?\{{\s*(?:and|or)\s*\}})(?:{_SPACING}|,|and|or)*",
    "adjacent": rf"(?:{_SPACING}|[-+*/|]|\\)*",
    "named": r"(?:\s|[$]|\\[()\[\];, !]|\\text\s?\{)*(?:[A-Za-z]{1,12}[ ]|\([a-z]\)[ ]){0,5}and[ }]{0,3}(?:\s|[$]|\\[()\[\];, !])*"
    r"(?:[A-Za-z](?:_\{?\w{1,3}\}?)?\s?=\s?)?",
}
_FORMULA = re.compile(
    r"\\\[(.{1,400}?)\\\]|\\\((.{1,400}?)\\\)|\$\$([^$]{1,400})\$\$"
    r"|(?<![\\$\d])\$(?!\s)([^$]{0,399}[^$\s])\$(?![\d$])|\$(\s{0,4}\\[a-z](?:[^$\\]|\\.){0,399})\$",
    re.DOTALL,
)
_MAX_BOXES = 32
_BETWEEN = 200  # characters from one box of a list to the next
_PHRASE_LENGTH = 300
_TAIL = 2000
_NEAR = 120


@cache
def _compiled(name: str) -> re.Pattern[str]:
    return re.compile(_BETWEEN_BOXES[name])


def _between(name: str, text: str) -> bool:
    return _compiled(name).fullmatch(text) is not None


def boxed(response: str) -> str | None:
    r"""Inside the last \boxed{} or \fbox{} to open among those that close, so the inner one of two nested boxes.

    Boxes with nothing but commas, "and" or "or" between them are one list: \boxed{1} and \boxed{2} is 1, 2. So are boxes that "and" joins
    in one sentence (\boxed{1} papers and \boxed{2} bins), and different boxes without a word between them, which leave the choice open.
    """
    begin = min((at for at in (response.find("\\boxed"), response.find("\\fbox")) if at >= 0), default=-1)
    if begin < 0:
        return None
    open_braces: list[tuple[int, int]] = []  # where the content begins, and where its box does or -1
    boxes: list[tuple[int, int, int, int]] = []  # box begin, content begin, content end, box end
    for match in _BOX_PART.finditer(response, begin):
        part = match[0]
        if part == "}":
            start, opened = open_braces.pop() if open_braces else (0, -1)
            if opened >= 0:
                boxes.append((opened, start, match.start(), match.end()))
        elif part == "{" or (part[-1] == "{" and len(part) > 2):
            open_braces.append((match.end(), match.start() if len(part) > 2 else -1))
        elif match[1]:
            boxes.append((match.start(), match.start(1), match.end(1), match.end(1)))
    if not boxes:
        return None
    boxes = sorted(boxes[-_MAX_BOXES:])
    found = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = response[box[3] : found[-1][0]] if box[3] <= found[-1][0] else "nested"
        if len(between) > _BETWEEN:
            break
        if _between("adjacent", between):
            if response[box[1] : box[2]].strip() == response[found[-1][1] : found[-1][2]].strip():
                continue  # the same answer once more
        elif not (_between("joined", between) or _between("named", between)):
            break
        found.append(box)
    return ", ".join(response[start:end] for _, start, end, _ in reversed(found))


def tagged(response: str) -> str | None:
    """Between the last <answer> and its </answer>; to the end if the end tag was cut off as a stop string."""
    start = response.rfind("<answer>")
    if start < 0:
        return None
    return response[start + len("<answer>") :].partition("</answer>")[0]


def hashes(response: str) -> str | None:
    """Behind the last #### to the end of its line, as in GSM8K's solutions."""
    _, mark, rest = response.rpartition("####")
    return rest.strip().partition("\n")[0] if mark else None


def phrase(response: str) -> str | None:
    """Behind the last "answer is", "answer:" or "answer =", to the end of the sentence."""
    end = -1
    for match in _PHRASE.finditer(response):
        end = match.end()
    if end < 0:
        return None
    text = response[end : end + _PHRASE_LENGTH]
    stop = _SENTENCE_END.search(text)
    text = (text[: stop.start()] if stop else text).strip("* ")
    if text.startswith("$") and (closing := text.find("$", 1)) > 1:
        return text[1:closing]
    return text.rpartition(" is ")[2]  # "Final answer: the largest n is 34"


def last_formula(response: str) -> str | None:
    r"""The last \[...\], \(...\), $$...$$ or $...$ of the last 2000 characters, if no number comes after it.

    A dollar sign that could be money (white space inside, a digit behind) sets no formula.
    """
    tail = response[-_TAIL:]
    last = max(tail.rfind("$"), tail.rfind("\\)"), tail.rfind("\\]"))
    if last < 0 or _NUMBER.search(tail, last + 1):
        return None
    found = None
    for match in _FORMULA.finditer(tail):
        found = match
    if found is None or _NUMBER.search(tail, found.end()):
        return None
    return next((part for part in found.groups() if part), None)


def last_number(response: str) -> str | None:
    """The last number of the last 2000 characters, with its sign, denominator, percent sign or "million"."""
    tail = response[-_TAIL:]
    for begin in (max(0, len(tail) - _NEAR), 0):  # mostly it stands at the very end
        found = None
        for match in _NUMBER.finditer(tail, begin):
            found = match
        if found is not None and (begin == 0 or found.start() > begin + _NEAR // 4):
            return found[0]
    return None


DEFAULT_EXTRACTORS: tuple[Extractor, ...] = (boxed, tagged, hashes, phrase, last_formula, last_number)


def extract_answer(response: str, extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS) -> Answer | None:
    """The answer of the first extractor that finds one which is not blank."""
    after_thought = response.rpartition("</think>")[2]
    for extractor in extractors:
        text = extractor(after_thought)
        if text is not None and (text := text.strip()):
            return Answer(text, extractor.__name__)
    return None
