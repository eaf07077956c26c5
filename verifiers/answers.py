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

from verifiers.answer_names import names_a_quantity


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
_LOOK = 60  # characters around a number that say whether it is one
_SINGLE_IS = r"([^\d=<>]{1,120}?) is (.+)"
_JOINING = r"\s*(?:%|\\%|,?\s*(?:or|and|if|unless|minus|plus|times|thousand|million|billion|trillion)\b|,\s*\$|[-+*/^:])"
_EXTRACTED = r"\s(?:or|and|if|unless|not|never)\s"
_PART_BEFORE = (  # what stands before a number that is only a part of the answer
    r"(?:[\^√{<≤≥≠~≈]|(?<=[^\s=\->])>|[<>!]=|\\(?:le|ge|ne|leq|geq|neq|lt|gt|approx|sim|pm|sqrt))\s?$"  # x < 4, 2^{10}, √2
    r"|[A-Za-z\d)}\]]_\s?$|(?:\d[,;:]|\d\s[:;])\s?$"  # (3, 4), 3:4
    r"|(?:[\d)}\]]\s?|(?<![A-Za-z])[A-Za-z]\s?|[A-Za-z])[-−–+*/×·÷]\s?$"  # 10 - 7, x - 4
    r"|\b(?:minus|negative|not|never|cannot|than|least|most|nor|or|times|plus|over)\s{1,3}\$?$|n't\s$"
)
_NEAR_WORDS = 14
_FAR_BEFORE = (  # looked for only behind one of these words
    r"\b(?:not|never|cannot|can't|isn't)(?:\s[a-z]{1,12}){1,2}\s$"  # not equal to 5
    r"|\d[^\s\w]{0,4}\s(?:and|or)\s(?:\$|\\\(|\\\[)?\s?(?:[A-Za-z]\s?=\s?)?$|\d[^.\d\n]{0,20}\sor\s[^.\d\n]{0,20}$"  # x = 3 or x = 4
)
_FAR_WORDS = ("not", "never", "can", "isn", "and", "or")
_PART_BEHIND = r"\s?(?:√|\^|\\(?:sqrt|pi|times|cdot)|π|[xyzn](?![A-Za-z])|:\s?\d|(?:is|was)\s(?:not|wrong|incorrect))"
_MINUS = r"(?:^|=|\bis)[\s$(]{0,4}[-−]\s{0,3}$"
_MARKUP = r"</?[A-Za-z]{1,10}>$"
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
def _searched(source: str) -> re.Pattern[str]:
    """Compiled when first used."""
    return re.compile(source, re.ASCII | re.DOTALL)


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
        return text if _searched(_JOINING).match(text, closing + 1) else text[1:closing]
    named = None if _searched(_EXTRACTED).search(text) or text.count(" is ") != 1 else _searched(_SINGLE_IS).fullmatch(text)
    if named and names_a_quantity(re.sub(r"\\[()]|\$", "", named[1]).strip().lower()):
        return named[2]  # "Final answer: the largest n is 34"
    return text


def last_formula(response: str) -> str | None:
    r"""The last \[...\], \(...\), $$...$$ or $...$ of the last 2000 characters, if no number comes after it.

    A dollar sign that could be money (white space inside, a digit behind) sets no formula.
    """
    tail = response[-_TAIL:]
    last = max(tail.rfind("$"), tail.rfind("\\)"), tail.rfind("\\]"))
    if last < 0 or _NUMBER.search(tail, last + 1):
        return None
    found, before = None, 0
    for match in _FORMULA.finditer(tail):
        found, before = match, 0 if found is None else found.end()
    if found is None or _NUMBER.search(tail, found.end()):
        return None
    if before and _between("joined", tail[before : found.start()]):
        return None  # $x=3$ or $x=4$
    return next((part for part in found.groups() if part), None)


def last_number(response: str) -> str | None:
    """The last number of the last 2000 characters, with its sign, denominator, percent sign or "million".

    None where it is a part of something else (2^{10}, (3, 4), x - 4, n < 4) or is denied: no other number is taken in its place.
    """
    tail = response[-_TAIL:]
    for begin in (max(0, len(tail) - _NEAR), 0):  # mostly it stands at the very end
        found = None
        for match in _NUMBER.finditer(tail, begin):
            found = match
        if found is not None and (begin == 0 or found.start() > begin + _NEAR // 4):
            return _whole_number(tail, found)
    return None


def _whole_number(text: str, found: re.Match[str]) -> str | None:
    """The number, with a minus sign that stands apart; None where what is around it shows that it is not the answer."""
    before = text[max(0, found.start() - _LOOK) : found.start()]
    if found[0][0] not in "-−" and _searched(_MINUS).search(before) and (found.start() <= _LOOK or "=" in before or "is" in before):
        return "-" + found[0]
    if found[0][0] in "-−" and before[-1:].isalnum():
        before += "-"
    if _searched(_PART_BEHIND).match(text, found.end()):
        return None
    near = before[-_NEAR_WORDS:]
    if _searched(_PART_BEFORE).search(near) and not _searched(_MARKUP).search(near):
        return None
    if any(word in before for word in _FAR_WORDS) and _searched(_FAR_BEFORE).search(before):
        return None
    return found[0]


DEFAULT_EXTRACTORS: tuple[Extractor, ...] = (boxed, tagged, hashes, phrase, last_formula, last_number)


def extract_answer(response: str, extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS) -> Answer | None:
    """The answer of the first extractor that finds one which is not blank."""
    after_thought = response.rpartition("</think>")[2]
    for extractor in extractors:
        text = extractor(after_thought)
        if text is not None and (text := text.strip()):
            return Answer(text, extractor.__name__)
    return None
