"""Python values as JSON and back, by their exact types: what crosses between a program that is judged and who judges it.

A value of any other type, a subclass of a builtin one included, is not plain data and is refused: its methods would be the
program's. Exceptions to this are four containers of the standard library, which travel as the list or dict that they equal.
"""

import json
import math
import re
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

MOST_ITEMS = 1 << 21
"""Of a value that a program hands over, nested ones included."""
DEEPEST = 700
"""Levels of JSON, of which a value has up to two for each of its own."""
_SHOWN = 100
_HOLDERS = ("tuple", "set", "frozenset")
_WITHOUT_NUMBER = ("inf", "-inf", "nan")
_HEX = {"int": re.compile(r"-?0x[0-9a-f]+"), "bytes": re.compile(r"(?:[0-9a-f]{2})*")}
_SCALARS = (str, bool, type(None))


class NotPlainError(TypeError):
    """A value of a type that does not travel; its message is the type's name."""


class NotRecordError(ValueError):
    """What came from a program is not what `encode` writes, or is too much of it."""


def encode(value: Any) -> Any:
    """JSON for a value. Raises NotPlainError; RecursionError if it is nested too deeply."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return [encode(item) for item in value]
    if kind is dict:
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if kind is tuple or kind is set or kind is frozenset:
        return {kind.__name__: [encode(item) for item in value]}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is complex:
        return {"complex": [encode(value.real), encode(value.imag)]}
    if kind is deque:
        return [encode(item) for item in value]
    if kind is Counter or kind is OrderedDict or kind is defaultdict:
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    raise NotPlainError(kind.__name__)


def parse_json(text: bytes) -> Any:
    """JSON that a program sent, whose bytes somebody has counted. Raises NotRecordError for what is none, or is nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotRecordError(f"{type(error).__name__}: {error}"[:200]) from None


def check_plain(data: Any) -> None:
    """Raises NotRecordError unless this is JSON as `encode` writes it, within bounds.

    Nothing is made of it: a set or dict of keys that were chosen to collide takes the square of their number.
    """
    waiting, count = [(data, 1)], 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if count > MOST_ITEMS or depth > DEEPEST:
            raise NotRecordError("too many items" if count > MOST_ITEMS else "nested too deeply")
        kind = type(item)
        if kind in _SCALARS or (kind is int and -(1 << 63) <= item < 1 << 63) or (kind is float and math.isfinite(item)):
            continue
        if kind is list:
            waiting += [(part, depth + 1) for part in item]
        elif kind is dict and len(item) == 1:
            waiting += [(part, depth + 2) for part in _parts_of(item)]
        else:
            raise NotRecordError(f"a {kind.__name__} that nobody wrote")


def _parts_of(item: dict[str, Any]) -> list[Any]:
    """The parts of a container; [] for a scalar that has an object of its own. Raises NotRecordError for what is neither."""
    [(kind, content)] = item.items()
    if kind in _HOLDERS and type(content) is list:
        return content
    if kind == "dict" and type(content) is list and all(type(pair) is list and len(pair) == 2 for pair in content):
        return [part for pair in content for part in pair]
    if kind == "complex" and type(content) is list and len(content) == 2 and all(map(_is_float, content)):
        return content
    if type(content) is str and (content in _WITHOUT_NUMBER if kind == "float" else kind in _HEX and _HEX[kind].fullmatch(content)):
        return []
    raise NotRecordError(f"no such value: {kind[:40]!r}")


def _is_float(data: Any) -> bool:
    return type(data) is float or (type(data) is dict and data.keys() == {"float"})


def beginning(data: Any) -> str:
    """The beginning of a value that passed `check_plain`, as Python writes it, for a message; made of no more than is shown."""
    text = ""
    waiting: list[Any] = [data]
    while waiting and len(text) <= _SHOWN:
        item = waiting.pop()
        if type(item) is _Text:
            text += item.text
        elif type(item) is list:
            waiting += _in_brackets("[", item, "]")
        elif type(item) is not dict:
            text += repr(item[: _SHOWN + 1] if type(item) is str else item)
        else:
            [(kind, content)] = item.items()
            if kind == "dict":
                pairs = [part for key, value in content[:_SHOWN] for part in (key, _Text(": "), value, _Text(", "))][:-1]
                waiting += [_Text("}"), *reversed(pairs), _Text("{")]
            elif kind == "tuple":
                waiting += _in_brackets("(", content, ",)" if len(content) == 1 else ")")
            elif kind in _HOLDERS:
                waiting += _in_brackets(f"{kind}([", content, "])")
            elif kind == "complex":
                waiting += _in_brackets("complex(", content, ")")
            else:
                short = len(content) <= _SHOWN
                text += str(decode(item)) if short and kind != "bytes" else f"{kind} {content[:_SHOWN]}"
    return text[:_SHOWN]


class _Text:
    """A piece of text among the values that wait to be shown."""

    def __init__(self, text: str) -> None:
        self.text = text


def _in_brackets(begin: str, items: list[Any], end: str) -> list[Any]:
    """What to show, the first last."""
    parts = [part for item in items[:_SHOWN] for part in (item, _Text(", "))][:-1]
    return [_Text(end), *reversed(parts), _Text(begin)]


def decode(data: Any) -> Any:
    """The value that JSON stands for. Raises ValueError, TypeError, KeyError or RecursionError for what `encode` does not write.

    For what is trusted or, in a process that may be killed, for what passed `check_plain`: see there.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    [(kind, content)] = data.items()
    match kind:
        case "dict":
            return {decode(key): decode(item) for key, item in content}
        case "tuple":
            return tuple(decode(item) for item in content)
        case "set":
            return {decode(item) for item in content}
        case "frozenset":
            return frozenset(decode(item) for item in content)
        case "int":
            return int(content, 16)
        case "float":
            return float(content)
        case "bytes":
            return bytes.fromhex(content)
        case "complex":
            real, imaginary = content
            return complex(decode(real), decode(imaginary))
    raise ValueError(f"no such kind of value: {kind}")
