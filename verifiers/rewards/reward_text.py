"""How a reward is written on the command line and in data: `name`, `name(parameter=value)`, `gate(first, second)`, each with `=weight`.

    math_answer                                            a verifier as it is
    math_answer(percent=strict, tolerance=exact)           with two of its parameters
    length(limit=4096, unit=words)=0.2                     with a parameter and a weight in the sum
    gate(response_format(think_prefilled=true), math_answer)
    my_rewards.py:brief(limit=500)

A parameter is a keyword of the function; what its annotation says decides how the text is read. Text with commas, parentheses or
equals signs is quoted ("a, b"). Parts without a keyword are rewards themselves. Only the writing is known here: `load_reward.py`
finds what is named. Nothing is evaluated. Left out: weights inside parentheses, and values other than text, numbers, true and false.
"""

import inspect
import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.input_error import InputError, nearest
from verifiers.verdict import StepScorer, Verifier

_KEYWORD = re.compile(r"([A-Za-z_]\w{0,80})\s*=\s*", re.ASCII)
_CALL = re.compile(r"[\w.:/-]+\(")
_OF_A_PLACE = {"reward_model": "model"}
"""Rewards whose first argument is a place, without its keyword, and no reward."""
_MOST = 4000  # characters of a spec
_DEEPEST = 8
_LONGEST_INTEGER = 30  # characters


@dataclass(frozen=True, slots=True)
class Spec:
    """One reward as it was written, without its weight."""

    name: str
    parts: tuple["Spec", ...] = ()
    """Rewards inside its parentheses."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Keyword and value, as text; quotes are still there."""

    def __str__(self) -> str:
        given = dict(self.parameters)
        place = [given.pop(_OF_A_PLACE[self.name])] if _OF_A_PLACE.get(self.name) in given else []
        inside = [*place, *map(str, self.parts), *(f"{name}={value}" for name, value in given.items())]
        return f"{self.name}({', '.join(inside)})" if inside else self.name


def split_weight(text: str) -> tuple[str, float]:
    """A spec and its weight, 1 unless it ends in `=number`. Raises InputError for a weight that is no finite number."""
    name, equals, tail = text.rpartition("=")
    if not equals or ":" in tail or tail.endswith((".py", ")")):  # no weight, or the sign is part of a path or inside parentheses
        return text, 1.0
    if _CALL.match(name) and not name.endswith(")") and name.count("(") > name.count(")"):
        return text, 1.0  # a parenthesis that is not closed, which `parse` says: the sign is a parameter's
    try:
        weight = float(tail)
    except ValueError:
        weight = math.nan
    if not name or not math.isfinite(weight):
        raise InputError(f"reward {text!r}: {tail!r} is not a finite number; write NAME=WEIGHT, e.g. math_answer=1.0")
    return name, weight


def parse(text: str, depth: int = 0) -> Spec:
    """The Spec of a text without weight. Raises InputError, in one line, for text that is none."""
    text = text.strip()
    if len(text) > _MOST or depth > _DEEPEST:
        raise InputError(f"reward {text[:60]!r}: longer than {_MOST} characters, or nested deeper than {_DEEPEST}; write it as a function")
    found = _cut(text)
    if found is None:
        if depth and not text:
            raise InputError("an empty part between commas or parentheses; name a reward there, or remove the comma")
        return Spec(text)
    parts: list[Spec] = []
    parameters: list[tuple[str, str]] = []
    name, arguments = found
    if name in _OF_A_PLACE and arguments and not _KEYWORD.match(arguments[0]):
        parameters.append((_OF_A_PLACE[name], arguments.pop(0)))
    for argument in arguments:
        if keyword := _KEYWORD.match(argument):
            if keyword[1] in dict(parameters):
                raise InputError(f"reward {text!r}: {keyword[1]!r} is given twice; leave one out")
            parameters.append((keyword[1], argument[keyword.end() :].strip()))
        else:
            parts.append(parse(argument, depth + 1))
    return Spec(name, tuple(parts), tuple(parameters))


def short_name(spec: str) -> str:
    """The function's name, or the module's where no function is named; without parameters and weight."""
    name = parse(split_weight(spec)[0]).name
    return name.rpartition(":")[2] or name


def bind(function: Callable[..., Any], spec: Spec, load: Callable[[Spec, Any], Any]) -> dict[str, Any]:
    """The spec's parts and parameters as keyword arguments of `function`, converted; `load` makes of a part what its parameter takes.

    Parts go, in order, to the parameters that are annotated as a `Verifier` or a `StepScorer`. Raises InputError for a keyword that the
    function does not have (naming the nearest one) or a value that is not of its kind.
    """
    if not (spec.parts or spec.parameters):
        return {}
    known = settable(function)
    takes = ", ".join(known) or "none"
    values: dict[str, Any] = {}
    slots = [(name, kind) for name, (hint, _) in known.items() if (kind := _part_kind(hint)) and name not in dict(spec.parameters)]
    if len(spec.parts) > len(slots):
        extra = spec.parts[len(slots)].name
        raise InputError(
            f"reward {spec.name}: {extra!r} has no place; it takes {len(slots)} reward(s); write parameters as name=value ({takes})"
        )
    for (slot, kind), part in zip(slots, spec.parts, strict=False):  # the slots left over keep their defaults
        values[slot] = load(part, kind)
    for name, text in spec.parameters:
        if name not in known:
            near = nearest(name, known)
            raise InputError(
                f"reward {spec.name} has no parameter {name!r}" + (f"; did you mean {near!r}?" if near else f"; it has {takes}")
            )
        hint, default = known[name]
        if kind := _part_kind(hint):
            values[name] = load(parse(text, 1), kind)
        else:
            values[name] = _read_value(text, hint, default, f"reward {spec.name}: {name}")
    return values


def inner(function: Callable[..., Any], spec: Spec) -> list[Spec]:
    """The rewards that `function` would call: those in the spec, and for the rest its defaults that are verifiers of ours."""
    slots = {name: (kind, default) for name, (hint, default) in settable(function).items() if (kind := _part_kind(hint))}
    given = dict(spec.parameters)
    open_ = [name for name in slots if name not in given]
    judging = {name for name, (kind, _) in slots.items() if kind == Verifier}
    parts = [part for name, part in zip(open_, spec.parts, strict=False) if name in judging]
    unset = [slots[name][1] for name in open_[len(spec.parts) :] if name in judging]
    defaults = [getattr(default, "__module__", "") for default in unset if getattr(default, "__name__", "") == "verify"]
    named = [parse(given[name], 1) for name in slots if name in given and name in judging]
    return [*parts, *named, *(Spec(module.rpartition(".")[2]) for module in defaults)]


# Cutting the text


def _cut(text: str) -> tuple[str, list[str]] | None:
    """The name, and what the commas part in the parenthesis that the last character closes; None for a bare name.

    Quotes hide commas and parentheses. Raises InputError where parentheses or quotes do not match.
    """
    if not text.endswith(")"):
        if _CALL.match(text) and "=" in text:
            raise InputError(f"reward {text!r}: the parenthesis is not closed, or something stands behind it; write NAME(PARAMETER=VALUE)")
        return None
    depth, opening, start, quote = 0, -1, 0, ""
    pieces: list[str] = []
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif depth and character in "\"'":
            quote = character
        elif character == "(":
            depth += 1
            if depth == 1:
                opening, start, pieces = at, at + 1, []
        elif character == ")":
            depth -= 1
            if depth < 0:
                break
        elif character == "," and depth == 1:
            pieces.append(text[start:at].strip())
            start = at + 1
    if depth or quote or opening < 1:
        raise InputError(f"reward {text!r}: parentheses or quotes do not match; write NAME(PARAMETER=VALUE, ...)")
    last = text[start:-1].strip()
    return text[:opening].strip(), [*pieces, last] if pieces or last else []


# Reading values


def settable(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """What a spec may set: annotation and default of each parameter that has a default, but for problem and response."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError, AttributeError):
        hints = {}
    return {
        name: (hints.get(name, parameter.empty), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and (parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY)
        and name not in ("problem", "response")
    }


def _part_kind(hint: Any) -> Any:
    """`Verifier` or `StepScorer`, whichever a parameter takes; None for one that takes a value."""
    return next((kind for kind in (Verifier, StepScorer) if hint == kind or kind in typing.get_args(hint)), None)


def _read_value(text: str, hint: Any, default: Any, where: str) -> Any:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    bare = text[1:-1] if quoted else text
    if hint is inspect.Parameter.empty or hint is Any:
        hint = type(default) if isinstance(default, bool | int | float | str) else str if quoted else float | int | bool | str
    if typing.get_origin(hint) is Literal:
        choices = [str(choice) for choice in typing.get_args(hint)]
        if bare not in choices:
            near = nearest(bare, choices)
            hint_ = f"; did you mean {near!r}?" if near else ""
            raise InputError(f"{where} is one of {', '.join(choices)}, not {bare!r:.60}{hint_}")
        return typing.get_args(hint)[choices.index(bare)]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union else (hint,)
    for kind in (type(None), bool, int, float, str):
        if kind in kinds:
            try:
                return _read_as(kind, bare)
            except ValueError:
                continue
    wanted = [_NAMES[kind] for kind in kinds if kind in _NAMES]
    if not wanted:
        raise InputError(f"{where} cannot be set in a reward's text; write a function of your own that calls the verifier")
    raise InputError(f"{where} must be {' or '.join(wanted)}, not {bare!r:.60}")


_NAMES: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}


def _read_as(kind: type, text: str) -> Any:
    """Raises ValueError if `text` does not denote a value of the kind."""
    low = text.lower()
    if kind is type(None) and low == "none":
        return None
    if kind is bool and low in ("true", "false"):
        return low == "true"
    if kind is int and len(text) < _LONGEST_INTEGER:
        return int(text)
    if kind is float and math.isfinite(number := float(text)):
        return number
    if kind is str:
        return text
    raise ValueError
