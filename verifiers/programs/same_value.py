"""Whether the value that a program returned, still as `plain_data.encode` writes it, is the one that a test expects.

What is expected comes from the tests, what was returned from a program that may want to do harm: no set or dict is made of its
keys, which it may have chosen to collide; each is looked up among those expected. A tuple is a list, as in the JSON that tests come
in; True is not 1; a key is spelled as in JSON, so that 1 and "1" are the same key but not two in one dict.
"""

import json
from typing import Any

from verifiers.programs.output_tests import nearly_equal
from verifiers.programs.plain_data import decode

_NONE = object()


def same_value(data: Any, wanted: Any, tolerance: float) -> bool:
    """Equality of data that passed `plain_data.check_plain` with a value. Numbers may differ by the tolerance, unless both are integers."""
    waiting = [(data, wanted)]
    while waiting:
        got, expected = waiting.pop()
        kind, content = _kind_and_content(got)
        if isinstance(expected, list | tuple):
            if kind not in ("list", "tuple") or len(content) != len(expected):
                return False
            waiting += zip(content, expected, strict=True)
        elif isinstance(expected, dict):
            if kind != "dict" or len(content) != len(expected):
                return False
            longest = max((len(key) for key in expected if isinstance(key, str)), default=0)
            found: dict[str, Any] = {}
            for key, value in content:
                spelled = _spell_key(key, longest)
                if spelled is None or spelled not in expected or spelled in found:
                    return False
                found[spelled] = value
            waiting += [(value, expected[key]) for key, value in found.items()]
        elif isinstance(expected, set | frozenset):
            if kind != type(expected).__name__ or not _same_set(content, expected):
                return False
        elif not _same_scalar(kind, content, got, expected, tolerance):
            return False
    return True


def _kind_and_content(data: Any) -> tuple[str, Any]:
    """The kind of a value and what is in it."""
    if type(data) is list:
        return "list", data
    if type(data) is dict:
        [(kind, content)] = data.items()
        return kind, content
    return "", data


def _spell_key(key: Any, longest: int) -> str | None:
    """A key as JSON has it; None where it is longer than any that is expected, or no key."""
    if isinstance(key, str):
        return key if len(key) <= longest else None
    value = _hashable_value(key, 4 * longest + 8)
    try:
        return json.dumps(value) if isinstance(value, int | float) else None if value is _NONE else repr(value)
    except ValueError:  # an integer of more digits than Python will write
        return None


def _hashable_value(data: Any, most: int) -> Any:
    """The value of data of at most so many characters in which nothing need be hashed; `_NONE` for any other."""
    waiting, left = [data], most
    while waiting:
        kind, content = _kind_and_content(waiting.pop())
        left -= len(content) + 1 if isinstance(content, list | str) else 1
        if left < 0 or kind in ("dict", "set", "frozenset"):
            return _NONE
        if isinstance(content, list):
            waiting += content
    return decode(data)


def _same_set(content: list[Any], expected: set[Any] | frozenset[Any]) -> bool:
    """Whether the items are exactly the expected ones."""
    if len(content) != len(expected):
        return False
    longest = max((len(repr(item)) for item in expected), default=0)
    found = []
    for item in content:
        value = _hashable_value(item, 4 * longest + 8)
        try:
            if value is _NONE or value not in expected:
                return False
        except TypeError:  # a list, which is in no set
            return False
        found.append(value)
    return len(set(found)) == len(found)


def _same_scalar(kind: str, content: Any, data: Any, expected: Any, tolerance: float) -> bool:
    got = content if not kind else decode(data) if kind in ("int", "float", "complex", "bytes") else _NONE
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return got == expected or (bool(tolerance) and nearly_equal(got, expected, tolerance))
    return type(got) is type(expected) and bool(got == expected)
