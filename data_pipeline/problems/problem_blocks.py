r"""What problem mining reads: a document's Markdown as blocks, some of which announce a question or an answer.

A block is a paragraph, a heading, a listing or a numbered item. Its label is the word that it begins with, where its place says that it is
one: in a heading, in bold, with a number, alone on its line, or with a colon or full stop behind it ("Exercise 3.2. Find", "**Solution.**",
"Answer: 5"; not "Problem is that"). Left out: labels in other languages than English.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_pipeline.documents.document import Doc

QUESTIONS = (
    "exercise", "problem", "question", "practice problem", "worked example", "example", "check your understanding", "try it", "q", "ex",
)  # fmt: skip
ANSWERS = ("solution", "answer", "final answer", "correct answer", "ans", "sol", "explanation", "a", "answer key", "key")
ASIDES = ("hint", "note", "remark", "comment", "warning", "tip", "figure", "table", "discussion", "strategy", "analysis")
ENDS = (
    "theorem", "lemma", "definition", "corollary", "proposition", "summary", "exercises", "problems", "conjecture", "section", "chapter",
    "proof",
)  # fmt: skip
_WORDS = "|".join(sorted({*QUESTIONS, *ANSWERS, *ASIDES, *ENDS}, key=len, reverse=True))
_NUMBER = (
    r"\$?\\PageIndex\s?\{(?P<index>\d{1,4}[A-Za-z]?)\}\$?"
    r"|(?:[A-Z][.-])?\d{1,4}(?:[.-]\d{1,4}){0,4}(?:\([a-z]\)|[a-z])?(?![\w%])|[IVX]{1,6}(?![\w])"
)
_LABEL = re.compile(
    r"(?P<heading>#{1,6}[ ]+)?(?P<bold>\*\*|__)?[ ]?(?:Worked[ ]|Practice[ ]|Sample[ ])?"
    rf"(?P<word>{_WORDS})(?![\w'’-])(?:[ ]to[ ](?:exercise|problem|question|example))?"
    rf"(?:[ ](?:\#|no\.?[ ]|number[ ])?(?P<number>{_NUMBER}))?(?:[ ]?\((?P<name>[^()\n]{{1,80}})\))?"
    r"(?P<end>[ ]?(?:\*\*|__)?[ ]?[.:)–—]?(?:\*\*|__)?[.:]?)(?P<rest>[ ]+\S.*|[ ]*)",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_ITEM = re.compile(r"(?:\*\*)?\(?(?P<number>\d{1,3})(?:[.)]|\*\*[.)]?)(?:\*\*)?[ \t]+(?=\S)")
_HEADING = re.compile(r"#{1,6}[ \t](?!\s{0,4}[-$]?[\d,./]{1,20}\$?\s*\Z)")  # "#### 72" is an answer
_QUOTE = re.compile(r"^(?:>[ \t]?){1,4}", re.MULTILINE)
_BULLET_LABEL = re.compile(rf"\A[-*•][ \t]+(?=(?:\*\*)?(?:{_WORDS})\b)", re.IGNORECASE)
_MAX_TEXT = 1_000_000


@dataclass(frozen=True, slots=True)
class Block:
    text: str
    label: str = ""
    """"question", "answer", "aside", "end" or ""."""
    word: str = ""
    number: str = ""
    """As printed after the label ("3.2"), or of a numbered item."""
    rest: str = ""
    """What follows the label or the item's number."""
    heading: bool = False
    item: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question and what is said to answer it; `dropped` says why it is no problem, `answer` what it comes to."""

    kind: str
    """"exercise", "example", "list" (answers listed elsewhere by number) or "site" (a question-and-answer page)."""
    prompt: str
    solution: str
    listed: bool = False
    """Whether the solution is the entry of a list of answers, so that all of it may be the answer."""
    answer: str = ""
    choices: tuple[str, ...] = ()
    """Options of a multiple choice; the answer is then a letter."""
    dropped: str | None = None


def blocks(doc: Doc) -> Iterator[Block]:
    """The document's blocks in order. A listing is one; blank lines, headings, labels and numbered items begin others."""
    for part in _text_parts(doc.text[:_MAX_TEXT]):
        if part.startswith(("```", "~~~")):
            yield Block(part)
        else:
            yield _labelled_block(part)


def _text_parts(text: str) -> Iterator[str]:
    lines: list[str] = []
    fence, display = "", False
    for line in _QUOTE.sub("", text).split("\n"):
        bare = line.strip()
        if fence or bare.startswith(("```", "~~~")):
            if not fence:
                if lines:
                    yield "\n".join(lines)
                lines, fence = [], bare[:3]
                lines.append(line)
                continue
            lines.append(line)
            if bare.startswith(fence):
                yield "\n".join(lines)
                lines, fence = [], ""
            continue
        begins = bare and not display and (_HEADING.match(bare) or _ITEM.match(bare) or _is_label(bare))
        if lines and ((not bare and not display) or begins):
            yield "\n".join(lines)
            lines = []
        if bare:
            lines.append(bare)
            display ^= bare.count("$$") % 2 == 1
            if _HEADING.match(bare):
                yield "\n".join(lines)
                lines, display = [], False
        else:
            display = False
    if lines:
        yield "\n".join(lines)


def _is_label(line: str) -> bool:
    return line.lstrip("#*_ -•\t")[:1].isupper() and bool(_labelled_block(line).label)


def _labelled_block(text: str) -> Block:
    """The block of a part, with its label or number."""
    bare = _BULLET_LABEL.sub("", text, count=1) if text[:1] in "-*•" else text
    heading = bool(_HEADING.match(text))
    found = _LABEL.match(bare)
    if found and (label := _label_kind(found, heading)):
        number = (found["index"] or found["number"] or "").rstrip(".")
        rest = found["rest"].strip()
        return Block(text, label, found["word"].lower(), number, rest, heading)
    if not heading and (item := _ITEM.match(text)):
        return Block(text, number=item["number"], rest=text[item.end() :].strip(), item=True)
    return Block(text, heading=heading)


def _label_kind(found: re.Match[str], heading: bool) -> str:
    """Which label it is, where it is one at all."""
    word, end, rest = found["word"].lower(), found["end"].strip(" "), found["rest"].strip()
    if len(word) <= 3 and not (found["word"][0].isupper() and end[:1] and end[-1] in ".:)" and (rest or found["number"])):
        return ""  # "A." and "Q:" need their sign; "Ex 3" hers
    if word in ("a", "q") and ":" not in end:
        return ""
    strong = heading or bool(found["bold"]) or bool(found["number"]) or end.endswith((":", ".")) or not rest
    if not strong or not found["word"][0].isupper():
        return ""
    if word in QUESTIONS:
        return "question"
    return "answer" if word in ANSWERS else "aside" if word in ASIDES else "end"
