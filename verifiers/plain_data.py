"""Python values as JSON and back, by their exact types: what crosses between a program that is judged and who judges it.

A value of any other type, a subclass of a builtin one included, is not plain data and is refused: its methods would be the
program's. Exceptions to this are four containers of the standard library, which travel as the list or dict that they equal.
"""

import math
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any


class NotPlainError(TypeError):
    """A value of a type that does not travel; its message is the type's name."""


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


def decode(data: Any) -> Any:
    """The value that JSON stands for. Raises ValueError, TypeError, KeyError or RecursionError for what `encode` does not write."""
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
