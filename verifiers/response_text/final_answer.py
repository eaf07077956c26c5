r"""Final answers as text: where they stand in a response.

The last answer counts: the last box, the last tag, the last phrase. Two answers with words of reasoning between them are a correction, and
the second counts, also where the first is boxed and the second is "the answer is"; two different boxes side by side are both the answer,
and so equal to neither. Which places count, and in which order, is a tuple of extractors: a recipe that asks for tags can trust tags alone.
When a response closes a thought (`</think>`), only what follows can hold the answer; a thought that never ends holds none, unless
`open_thought` says so. All searches take linear time on any input. Left out: reading an answer's meaning (`answer_parser.py`).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.short_phrases import is_derived, is_unsafe, names_a_quantity
from verifiers.response_text.answer_claims import claimed_choice, cue_end, leading_choice, retraction, value_in_sentence


class Answer(NamedTuple):
    text: str
    place: str
    """Which extractor found it."""


Extractor = Callable[[str], str | None]

_BOX_PART = compiled(r"(?as)\\{1,2}(?:boxed|fbox)\s{0,4}\{|\\boxed\s{1,4}([^\s\\{}$]{1,80})|\\.|[{}]")
_SENTENCE_END = compiled(r"[.!?](?:[\s*]|$)|[。！？।]|\n")
_NUMBER = compiled(
    r"(?a)(?:(?<![\w)\]}])[-−])?\$?(?<![A-Za-z\d])(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:,\d\d?(?=\s?\$(?!\s?\d))\s?\$)?)(?:\.\d+)?|\.\d+)"
    r"(?:\s?/\s?\d+)?(?:\s?\\?%|\s(?:thousand|million|billion|trillion)\b)?"
)
_LOOK = 60  # characters around a number that say whether it is one
_SINGLE_IS = compiled(r"(?as)([^\d=<>]{1,120}?) is (.+)")
_JOINING = compiled(r"(?a)\s*(?:%|\\%|,?\s*(?:or|and|if|unless|minus|plus|times|thousand|million|billion|trillion)\b|,\s*\$|[-+*/^:])")
_EXTRACTED = compiled(r"(?a)\s(?:or|and|if|unless|not|never)\s")
_PART_BEFORE = compiled(  # what stands before a number that is only a part of the answer
    r"(?a)(?:[\^√{<≤≥≠~≈]|(?<=[^\s=\->])>|[<>!]=|\\(?:le|ge|ne|leq|geq|neq|lt|gt|approx|sim|pm|sqrt))\s?$"  # x < 4, 2^{10}, √2
    r"|[A-Za-z\d)}\]]_\s?$|(?:\d[,;:]|\d\s[:;])\s?$"  # (3, 4), 3:4
    r"|(?:[\d)}\]]\s?|(?<![A-Za-z])[A-Za-z]\s?|[A-Za-z])[-−–+*/×·÷]\s?$"  # 10 - 7, x - 4
    r"|(?:no es|est pas|nicht|kein\w{0,3}|o é|non è|не|niet|inte|ikke|nie jest|nu este|ei ole|bukan|phải(?: là)?|ليس"
    r"|不是|不等于|不等於)\s{0,3}\$?$"  # La respuesta no es 5
    r"|\b(?:[Ss]teps?|[Ee]quations?|[Ee]q\.|[Cc]hapter|[Pp]roblem|[Qq]uestion|[Ee]xercise|[Ss]ection|[Ff]igure|[Tt]heorem|[Ll]emma|AIME|AMC)"
    r"\s?\(?\s?$|\bexceeds?\s$"  # names of steps and problems
    r"|\b(?:minus|negative|not|never|cannot|than|least|most|nor|or|times|plus|over)\s{1,3}\$?$|n't\s$"
)
_NEAR_WORDS = 14
_JOINTS = frozenset("^{<>=~_,-+*/(.")  # and what is no ASCII
_FAR_BEFORE = compiled(  # looked for only behind one of these words
    r"(?a)\b(?:not|never|cannot|can't|isn't)(?:\s[a-z]{1,12}){1,2}\s$"  # not equal to 5
    r"|\d[^\s\w]{0,4}\s(?:and|or)\s(?:\$|\\\(|\\\[)?\s?(?:[A-Za-z]\s?=\s?)?$|\d[^.\d\n]{0,20}\sor\s[^.\d\n]{0,20}$"
)
_FAR_WORDS = ("not", "never", "can", "isn", "and", "or")
_PART_BEHIND = compiled(
    r"(?a)\s?(?:√|\^|\\(?:sqrt|pi|times|cdot)|π|[xyzn](?![A-Za-z])|:\s?\d|(?:is|was)\s(?:not|wrong|incorrect)"
    r"|değil|नहीं|[가이은는]\s?아[니닌닙]|ではな|じゃな|でない)"
)
_MINUS = compiled(r"(?a)(?:^|=|\bis)[\s$(]{0,4}[-−]\s{0,3}$")
_MARKUP = compiled(r"</?[A-Za-z]{1,10}>$")
_SPACING = r"\s|[$.]|\\[()\[\];, !]|\\q?quad"
_JOINED_BOXES = compiled(rf"(?:{_SPACING})*(?:,|;|and|or|\\text\s?\{{\s*(?:and|or)\s*\}})(?:{_SPACING}|,|and|or)*")
_ADJACENT_BOXES = compiled(rf"(?:{_SPACING}|[-+*/|]|\\)*")
_NAMED_BOXES = compiled(
    r"(?:\s|[$]|\\[()\[\];, !]|\\text\s?\{)*(?:[A-Za-z]{1,12}[ ]|\([a-z]\)[ ]){0,5}and[ }]{0,3}(?:\s|[$]|\\[()\[\];, !])*"
    r"(?:[A-Za-z](?:_\{?\w{1,3}\}?)?\s?=\s?)?"
)
_FORMULA = compiled(
    r"(?s)\\\[(.{1,400}?)\\\]|\\\((.{1,400}?)\\\)|\$\$([^$]{1,400})\$\$"
    r"|(?<![\\$\d])\$(?!\s)((?:[^$\\]|\\.){0,399}?(?:[^$\s\\]|\\.))\$(?![\d$])|\$(\s{0,4}\\[a-z](?:[^$\\]|\\.){0,399})\$"
)
_BLOCK = compiled(r"(?s)\\\[(.{1,400}?)\\\]|\$\$([^$]{1,400})\$\$")
_NOT_THE_OTHER = compiled(r"(?a)([^,;]{1,60}),\s(?:and\s)?not\s[^,;]{1,60}")
_ONE_WORD = compiled(r"[A-Za-z]{2,20}|\(?[a-h]\)?")
_HEADING = compiled(
    r"(?a)[*_\s\d.]{0,8}(?:Steps?|Final|Answer|Conclusion|Solution|Case|Part|Check|Verif\w+|Explanation|Summary|Result|Given)\b"
)
_THOUGHT = r"<(/?)(?:\w{1,12}:)?(?:think|thinking|thought|reasoning)>|<\|(?:begin|(end))_of_thought\|>|\[(/?)THINK\]|◁(/?)think▷"
_PROSE = compiled(
    r"(?a)(?<![\\A-Za-z{])(?!(?:sin|cos|tan|cot|sec|csc|ln|log|exp|sqrt|pi|mod|gcd|lcm|max|min|arc\w+|and|or|x\d)\b)[A-Za-z]{2,}"
)
_MARKS_OF_END = " \t\r\n□■∎◻▢"
_QED = ("$\\square$", "$\\blacksquare$", "\\square", "\\blacksquare", "\\Box", "\\qed", "QED", "Q.E.D.", "∎")
_WORDS_BEFORE = compiled(r"(?a)((?:[A-Za-z]+,?\s){1,6}(?:at|is|are|be|when|have|get)\s)\$([^$=]{1,100}=[^$]{1,100})\$\.?")
_OR_ELSE = compiled(
    r"(?a)[\s$)\\]{0,4}(?:\\text\s?\{\s?or\s?\}|\bor\b)[\s$(\\,]{0,4}(?<!\\)"
    r"(-?\d[\d.,]{0,20}(?<![.,])|\\[a-z]?frac\{\d{1,9}\}\{\d{1,9}\})(?![\w^])"
)
_ROUNDED = compiled(  # an exact value, and one decimal that rounds it
    r"(?a)(?!\s*\$?\s*[A-Za-z\d.]*\s*(?:\\approx|≈))([^,;]*?[\dπ\\][^,;]*?)\s*(?:\\approx|≈)\s*(?:\\\$|\$)?-?(?:\d[\d,]*)?\.?\d+(?:\\?%|\s?\\?\$)?\.?"
)
_COMMAND = compiled(r"\\[a-zA-Z]")
_LINE_OF_TEXT = compiled(
    r"(?a)^\\end|\\(?:boxed|fbox|begin|item|text\s?\{[^}]{12})|(?:\\\\|&|:|\\\])$|^[-*+#]+\s|^[A-Za-z]:|^\d{1,2}[.)]\s"
)
_PLAIN_LINE = compiled(r"(?a)[<>_≈]|^[A-Za-z]\s?=\s?[-−]?\s?[\d.,]+$")  # markup, bounds; and what `last_number` reads
_TOO_LONG = 160  # characters of a line that is nothing but a formula
_STATED = 60  # characters of reasoning behind a box that make what follows a correction
_MAX_BOXES = 32
_BETWEEN = 200  # characters from one box of a list to the next
_PHRASE_LENGTH = 300
_TAIL = 2000
_NEAR = 64


def boxed(response: str) -> str | None:
    r"""Inside the last \boxed{} or \fbox{} to open among those that close, so the inner one of two nested boxes.

    Boxes with nothing but commas, "and" or "or" between them are one list: \boxed{1} and \boxed{2} is 1, 2. So are boxes that "and" joins
    in one sentence (\boxed{1} papers and \boxed{2} bins), and different boxes without a word between them, which leave the choice open.
    Some models write <|begin_of_box|>...<|end_of_box|>.
    """
    if "box" not in response:
        return None
    found = _last_boxes(response)
    if found is None:
        return None
    other = _OR_ELSE.match(response, found[1])  # \\boxed{5} or 6
    return found[0] if other is None or other[1] == found[0].strip() else f"{found[0]}, {other[1]}"


def correction(response: str) -> str | None:
    """What a response says instead of its last box: behind more reasoning, "the answer is 7", or, taking it back, "wait, it is 7"."""
    if "box" not in response:
        return None
    begin = max(response.rfind("\\boxed"), response.rfind("<|begin_of_box|>"))
    if begin < 0 or len(response) - begin < _STATED // 2 or (box := _last_boxes(response)) is None:
        return None
    if (other := retraction(response, box[1])) is not None:
        return other
    at = cue_end(response[box[1] :])
    said = said_at(response, box[1] + at) if at > _STATED else None
    return said if said and any(map(str.isalnum, said)) and not _PROSE.search(said) else None


@lru_cache(maxsize=1)  # both extractors of boxes ask
def _last_boxes(response: str) -> tuple[str, int] | None:
    """What `boxed` reads in boxes, and where the last of them ends."""
    token = response.rfind("<|begin_of_box|>")
    if token > response.rfind("\\boxed"):
        text, mark, _ = response[token + len("<|begin_of_box|>") :].partition("<|end_of_box|>")
        return text, token + len("<|begin_of_box|>") + len(text) + len(mark and "<|end_of_box|>")
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
        return _unclosed(response, open_braces)
    boxes = sorted(boxes[-_MAX_BOXES:])
    found = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = response[box[3] : found[-1][0]] if box[3] <= found[-1][0] else "nested"
        if len(between) > _BETWEEN:
            break
        if _ADJACENT_BOXES.fullmatch(between):
            if response[box[1] : box[2]].strip() == response[found[-1][1] : found[-1][2]].strip():
                continue  # the same answer once more
        elif not (_JOINED_BOXES.fullmatch(between) or _NAMED_BOXES.fullmatch(between)):
            break
        found.append(box)
    return ", ".join(response[start:end] for _, start, end, _ in reversed(found)), found[0][3]


def _unclosed(response: str, open_braces: list[tuple[int, int]]) -> tuple[str, int] | None:
    r"""\boxed{185\}, where a stray backslash took the closing brace, as 185; a box that was merely cut off is none."""
    start = next((start for start, opened in open_braces if opened >= 0), -1)
    end = response.rfind("\\}")
    content = response[start:end]
    if start < 0 or end < start or len(open_braces) > 1 or "\\{" in content or "\n" in content or content.count("{") != content.count("}"):
        return None
    return content, end + 2


def tagged(response: str) -> str | None:
    """Between the last <answer> and its </answer>; to the end if the end tag was cut off as a stop string."""
    start = response.rfind("<answer>")
    if start < 0:
        return None
    return response[start + len("<answer>") :].partition("</answer>")[0]


def hashes(response: str) -> str | None:
    """Behind the last #### to the end of its line, as in GSM8K's solutions; a heading ("#### Step 3") is none."""
    if "####" not in response:
        return None
    line = response.rpartition("####")[2].strip().partition("\n")[0]
    return line if not _HEADING.match(line) else None


def phrase(response: str) -> str | None:
    """Behind the last "answer is", "answer:" or "answer =", in English or another language, to the end of the sentence.

    A sentence that gives one number, or a choice with a remark, is that number or choice. What is taken back behind it does not count.
    """
    end = cue_end(response)
    if end < 0:
        return None
    return retraction(response, end) or said_at(response, end)


def said_at(response: str, end: int) -> str | None:
    """The answer in the sentence that begins at `end`, where its cue ends."""
    text = response[end : end + _PHRASE_LENGTH]
    stop = _SENTENCE_END.search(text)
    text = (text[: stop.start()] if stop else text).strip("* ")
    if text.startswith("$") and (closing := _closing_dollar(text)) > 1:
        return text if _JOINING.match(text, closing + 1) else text[1:closing]
    if text.startswith("\\(") and (closing := text.find("\\)")) > 2 and not _JOINING.match(text, closing + 2):
        return text[2:closing]
    if (block := _BLOCK.match(response, end)) is not None:
        return block[1] or block[2]
    if (choice := leading_choice(text)) != text:
        return choice
    if (denied := _NOT_THE_OTHER.fullmatch(text)) is not None:
        text = denied[1]  # "5, not 6"
    named = None if _EXTRACTED.search(text) or text.count(" is ") != 1 else _SINGLE_IS.fullmatch(text)
    if named and names_a_quantity(re.sub(r"\\[()]|\$", "", named[1]).strip().lower()):
        return named[2]  # "Final answer: the largest n is 34"
    return value_in_sentence(text, english="answer" in response[max(0, end - 80) : end].lower())


def _closing_dollar(text: str) -> int:
    """Where the formula ends that the first character opens; -1 where it does not."""
    at = 1
    while (at := text.find("$", at)) > 0 and text[at - 1] == "\\":
        at += 1
    return at


def choice(response: str) -> str | None:
    """The letter that a response claims in prose ("I think it's (D)"), or that is all it says."""
    return claimed_choice(response)


def bare_formula(response: str) -> str | None:
    r"""A formula without delimiters that is all of a response or its last line: \frac{1}{2}; or a word that is all, as Yes.

    Of "= \frac{2}{4} = \frac{1}{2}" its end.
    """
    tail = response[-_TAIL:].rstrip(_MARKS_OF_END)
    for mark in _QED:
        tail = tail.removesuffix(mark)
    tail = tail.rstrip()
    before, _, line = tail.rpartition("\n")
    line = line.strip().removesuffix(".").replace("**", "").strip("* ")
    if not before.strip() and _ONE_WORD.fullmatch(line):
        return line  # "Yes"
    alone = line.startswith("=") or not before.strip()  # else the line must be LaTeX
    if not 0 < len(line) <= _TOO_LONG or "$" in line or "\\(" in line or "\\[" in line or not (alone or "\\" in line):
        return None
    if _PROSE.search(line) or _LINE_OF_TEXT.search(line):
        return None
    plain = alone and any(map(str.isdigit, line)) and not _PLAIN_LINE.search(line)
    if not plain and not _COMMAND.search(line):
        return None
    return line.rpartition("=")[2] if line.startswith("=") else line


def last_formula(response: str) -> str | None:
    r"""The last \[...\], \(...\), $$...$$ or $...$ of the last 2000 characters, if no number comes after it.

    A dollar sign that could be money (white space inside, a digit behind) or stray (a sentence inside) sets no formula.
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
    if found[4] and found[4][0] in "?!.,;" and len(_PROSE.findall(found[4])) > 1:
        return None  # "how many $? just about 1$"
    if before and _JOINED_BOXES.fullmatch(tail[before : found.start()]):
        return None  # $x=3$ or $x=4$
    return next((part for part in found.groups() if part), None)


def last_number(response: str) -> str | None:
    """The last number of the last 2000 characters, with its sign, denominator, percent sign or "million".

    None where it is a part of something else (2^{10}, (3, 4), x - 4, n < 4) or is denied: no other number is taken in its place.
    """
    tail = response[-_TAIL:]
    for near in (_NEAR, 5 * _NEAR, _TAIL):  # mostly it stands at the very end
        begin, found = max(0, len(tail) - near), None
        for match in _NUMBER.finditer(tail, begin):
            found = match
        if found is not None and (begin == 0 or found.start() > begin + _NEAR // 2):
            return _whole_number(tail, found)
    return None


def _whole_number(text: str, found: re.Match[str]) -> str | None:
    """The number, with a minus sign that stands apart; None where what is around it shows that it is not the answer."""
    before = text[max(0, found.start() - _LOOK) : found.start()]
    apart = found[0][0] not in "-−" and before.rstrip()[-1:] in ("-", "−") and _MINUS.search(before)
    if apart and (found.start() <= _LOOK or "=" in before or "is" in before):
        return "-" + found[0]
    if found[0][0] in "-−" and before[-1:].isalnum():
        before += "-"
    if _PART_BEHIND.match(text, found.end()):
        return None
    near = before[-_NEAR_WORDS:]
    if _may_join(near) and _PART_BEFORE.search(near) and not _MARKUP.search(near):
        return None
    if any(word in before for word in _FAR_WORDS) and _FAR_BEFORE.search(before):
        return None
    return found[0]


def _may_join(before: str) -> bool:
    """Whether the last sign before a number is one that `_PART_BEFORE` ends with, but for white space and a dollar sign."""
    before = before.rstrip().removesuffix("$").rstrip()
    last = before[-1:]
    if last in (":", ";"):
        return before[:-1].rstrip()[-1:].isdigit()
    return last.isalpha() or last in _JOINTS or not last.isascii()


DEFAULT_EXTRACTORS: tuple[Extractor, ...] = (correction, boxed, tagged, hashes, phrase, choice, last_formula, bare_formula, last_number)


def extract_answer(response: str, extractors: tuple[Extractor, ...] = DEFAULT_EXTRACTORS, *, open_thought: bool = False) -> Answer | None:
    """The answer of the first extractor that finds one which is not blank; nothing in a thought that never ends, unless `open_thought`."""
    said = without_thought(response)
    if said is None:
        if not open_thought:
            return None
        said = response
    for extractor in extractors:
        text = extractor(said)
        if text is not None and (text := text.strip()) and (text := tidy(text)):
            return Answer(text, extractor.__name__)
    return None


def stated_gold(text: str) -> str | None:
    """The gold answer in a solution: behind the #### of its last line, or in its last box; None where the text has neither."""
    if "####" not in text and "box" not in text:
        return None
    before, mark, behind = text.rstrip().rpartition("####")
    if mark and not before.endswith("#") and "\n" not in behind:
        return behind.strip()
    content = boxed(text)
    return None if content is None else content.strip()


def without_thought(response: str) -> str | None:
    """What follows the last thought that ends (`</think>` and its like); None where one is still open at the end."""
    if "think" not in response and "hought" not in response and "THINK" not in response and "reasoning>" not in response:
        return response
    end, is_open = 0, False
    for match in re.finditer(_THOUGHT, response, re.IGNORECASE):
        is_open = not (match[1] or match[2] or match[3] or match[4])
        end = match.end()
    return None if is_open else response[end:]


def tidy(text: str) -> str:
    r"""An answer without a stray backslash at its end, and without what only surrounds its value.

    That is the rounding behind an exact value (\frac13 \approx 0.33 is \frac13), and words before "at" or "is" and one equation.
    """
    if text.endswith("\\"):
        text = text.rstrip("\\ ")
    if text[-1:] in "$." and " $" in text and (value := _WORDS_BEFORE.fullmatch(text)):
        return text if is_unsafe(value[1]) or is_derived(value[1]) else f"${value[2]}$"
    if ("approx" in text or "≈" in text) and (exact := _ROUNDED.fullmatch(text)):
        return exact[1].strip() + "$" * (text.startswith("$") and text.endswith("$"))
    return text
