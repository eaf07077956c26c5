"""The fenced blocks of a response, by the one parser that all verifiers share. One pass over the lines, whatever they hold.

As in CommonMark: a fence is three or more backticks or tildes at the start of a line; what follows names the language, and holds no
backtick after backticks. A block ends at a line with nothing but as many of the same character or more, and its lines lose the
indentation of its fence, as in a list. Fences may be indented by any number of columns, but a block whose fence is indented by less
than four is ended only by such a one: what is deeper belongs to the program. A block that does not end is none, unless it is asked
for, and what follows its first line is looked at again.
"""

import re
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

_OPENING = re.compile(r"(?P<indent>[ \t]*)(?P<fence>```+(?=[^`]*$)|~~~+)[ \t]*(?P<language>[\w+.#-]*)")
_CLOSING = re.compile(r"([ \t]*)(```+|~~~+)[ \t\r]*")
_DEEP = 4
_PLAIN = ""


class _Fence(NamedTuple):
    """A line that is nothing but a fence."""

    mark: str
    length: int
    deep: bool


def fenced_blocks(text: str, *, unfinished: bool = False) -> Iterator[tuple[str, str]]:
    """(language in lower case, "" if none is given; content) of each block, in order.

    With `unfinished`, the first fence after the last block that no line ends opens one that goes on to the end.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    closings = [_closing(line) for line in lines]
    longest_later = _longest_later(closings)
    cut: tuple[re.Match[str], int] | None = None
    index = 0
    while index < len(lines):
        opening = _OPENING.match(lines[index])
        index += 1
        if not opening:
            continue
        mark, length, indent = opening["fence"][0], len(opening["fence"]), len(opening["indent"])
        if longest_later[mark, indent >= _DEEP][index] < length:
            cut = cut or (opening, index)
            continue
        cut, start = None, index
        while not _ends(closings[index], mark, length, deep=indent >= _DEEP):
            index += 1
        yield opening["language"].lower(), _content(lines[start:index], indent)
        index += 1
    if unfinished and cut:
        yield cut[0]["language"].lower(), _content(lines[cut[1] :], len(cut[0]["indent"])).removesuffix("\n")


def _longest_later(closings: list[_Fence | None]) -> dict[tuple[str, bool], list[int]]:
    """By character, and whether deep ones count: the length of the longest closing fence from each line on."""
    table = {(mark, deep): [0] * (len(closings) + 1) for mark in "`~" for deep in (False, True)}
    for (mark, deep), longest in table.items():
        best = 0
        for index in range(len(closings) - 1, -1, -1):
            closing = closings[index]
            if closing and closing.length > best and _ends(closing, mark, 0, deep=deep):
                best = closing.length
            longest[index] = best
    return table


def _closing(line: str) -> _Fence | None:
    found = _CLOSING.fullmatch(line)
    return _Fence(found[2][0], len(found[2]), len(found[1]) >= _DEEP) if found else None


def _ends(closing: _Fence | None, mark: str, length: int, *, deep: bool) -> bool:
    return closing is not None and closing.mark == mark and closing.length >= length and (deep or not closing.deep)


def _content(lines: Iterable[str], indent: int) -> str:
    if not indent:
        return "".join(line + "\n" for line in lines)
    return "".join(line[min(indent, len(line) - len(line.lstrip(" \t"))) :] + "\n" for line in lines)


def last_block(text: str, languages: Container[str], *, unfinished: bool = False, any_other: bool = False) -> str | None:
    """The content of the last block in one of the languages, else of the last that names none, or that names `any_other`; else None."""
    blocks = list(fenced_blocks(text, unfinished=unfinished))
    named = [content for language, content in blocks if language in languages]
    others = [content for language, content in blocks if any_other or language == _PLAIN]
    return next(iter(named[-1:] or others[-1:]), None)


def fence(language: str, program: str) -> str:
    """A response that holds nothing but the program, in a block that its own lines do not end."""
    longest = max((closing.length for line in program.split("\n") if (closing := _closing(line))), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{program.rstrip(chr(10))}\n{marks}"
