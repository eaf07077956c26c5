"""A response cut into steps: where each ends, in characters.

    blank            after each blank line
    line             after each line
    after:TEXT       after each TEXT, as where a special text closes a step
    before:TEXT      before each TEXT, as where "Step 2" or "###" opens one
    FILE.py:FUNCTION, package.module:FUNCTION       your own: response -> list of ends, rising

Steps lie end to end: what parts two of them belongs to the first, so that the last one ends where the response does. A piece without a
letter or a digit beside tags (a lone <think>, a rule, a bracket) is no step: it belongs to the one before it, or at the beginning to the
one after. Your own function's ends are taken as they are.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from verifiers.input_error import InputError, did_you_mean
from verifiers.rewards.named_functions import find_function
from verifiers.rewards.reward_kinds import WrongReturnError

Splitter = Callable[[str], list[int]]

_RULES = {"blank": r"(?:[ \t\r]*\n){2,}", "line": r"(?:[ \t\r]*\n)+"}
_TAG = re.compile(r"</?[A-Za-z_]+>")


@lru_cache(maxsize=64)
def splitter(split: str) -> Splitter:
    """The function that cuts as `split` says. Raises InputError where that is none of the ways above."""
    way, colon, text = split.partition(":")
    if split in _RULES:
        return partial(_cut, re.compile(_RULES[split]), False)
    if colon and way in ("after", "before"):
        if not text:
            raise InputError(f'split={split!r} names no text; write split="{way}:TEXT"')
        return partial(_cut, re.compile(re.escape(text) + (r"\s*" if way == "after" else "")), way == "before")
    if not colon:
        hint = did_you_mean(split, _RULES) or '; it is blank, line, "after:TEXT", "before:TEXT" or FILE.py:FUNCTION'
        raise InputError(f"split is {split!r:.60}, which is no way to cut a response into steps{hint}")
    return partial(_called, find_function(split), split)


def texts(response: str, ends: Sequence[int]) -> list[str]:
    """The steps that end there, each from where the last one ended."""
    return [response[start:end] for start, end in pairwise([0, *ends])]


def _cut(between: re.Pattern[str], opens: bool, response: str) -> list[int]:
    found = (match.start() if opens else match.end() for match in between.finditer(response))
    ends: list[int] = []
    for end in [*(place for place in found if 0 < place < len(response)), len(response)]:
        begin = ends[-1] if ends else 0
        if _says_something(response[begin:end]):
            ends.append(end)
        elif ends:
            ends[-1] = end
    return ends


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in _TAG.sub("", text))


def _called(function: Callable[[str], Any], name: str, response: str) -> list[int]:
    """The ends that a user's function gives, checked."""
    value = function(response)
    try:
        ends = [int(end.__index__()) for end in value]
    except (TypeError, AttributeError):
        raise WrongReturnError(f"{name} returned {value!r:.80}; expected a list of ends, in characters of the response") from None
    for before, end in pairwise([0, *ends]):
        if not 0 < end <= len(response):
            raise WrongReturnError(f"{name} returned the end {end}, outside of the response, which has {len(response)} characters")
        if end <= before:
            raise WrongReturnError(f"{name} returned the end {end} after the end {before}; the ends of steps rise")
    return ends
