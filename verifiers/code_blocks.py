"""The program in a response: the last fenced block in the language asked for. One pass over the lines, whatever they hold.

A fence is three or more backticks or tildes at the start of a line; a block ends at a line with nothing but as many of them or
more. A block that does not end is none, and what follows its first line is looked at again.
"""

import re
from collections.abc import Iterable, Iterator

_OPENING = re.compile(r"(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+.#-]*)")
_PLAIN = ""


def fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language in lower case, "" if none is given; content) of each block, in order."""
    lines = text.removeprefix("\ufeff").split("\n")
    closing = [_closing(line) for line in lines]
    longest_later = {"`": [0] * (len(lines) + 1), "~": [0] * (len(lines) + 1)}
    for index in range(len(lines) - 1, -1, -1):
        for character, longest in longest_later.items():
            own = len(closing[index]) if closing[index].startswith(character) else 0
            longest[index] = max(longest[index + 1], own)
    index = 0
    while index < len(lines):
        opening = _OPENING.match(lines[index])
        index += 1
        if not opening or longest_later[opening["fence"][0]][index] < len(opening["fence"]):
            continue
        start = index
        while not closing[index].startswith(opening["fence"]):
            index += 1
        yield opening["language"].lower(), "".join(line + "\n" for line in lines[start:index])
        index += 1


def _closing(line: str) -> str:
    """The fence that a line consists of, or ""."""
    bare = line.rstrip(" \t\r")
    return bare if len(bare) >= 3 and bare in ("`" * len(bare), "~" * len(bare)) else ""


def last_block(text: str, languages: Iterable[str]) -> str | None:
    """The content of the last block in one of the languages, else of the last that names none; None if there is neither."""
    blocks = list(fenced_blocks(text))
    for wanted in (set(languages), {_PLAIN}):
        for language, content in reversed(blocks):
            if language in wanted:
                return content
    return None


def fence(language: str, program: str) -> str:
    """A response that holds nothing but the program, in a block that its own lines do not end."""
    longest = max((len(_closing(line)) for line in program.split("\n")), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{program.rstrip(chr(10))}\n{marks}"
