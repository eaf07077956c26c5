"""Nested options under flat names, which a command line, a tracker and the runs of before speak in.

Settings that belong together are a dataclass of their own, and an option whose type is a choice of such dataclasses holds one of them:
a setting that would be ignored has no place. Its flat name is its own behind its dataclass's `prefix` (VLLM's `memory`: engine_memory), or
the one that `spelt` gives it. The option itself says which is meant (engine: vllm); one that is off is switched on by its settings.

It decides what is refused: a setting that no chosen dataclass has, and a dataclass that lacks what it requires.
"""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from recipes.spelling.foreign_names import dotted, here
from recipes.spelling.option_values import checked, default_of, flag_of
from verifiers.input_error import InputError, did_you_mean

NAME = "name"
"""Under which a group of settings in a file says what they are settings of."""


def spelt(flat: str, **settings: Any) -> Any:
    """A dataclass's field whose flat name is this one."""
    return dataclasses.field(metadata={"flat": flat}, **settings)


@dataclass(frozen=True)
class Choice:
    """An option that holds one of several groups of settings."""

    field: str
    flat: str
    kinds: Mapping[str, Any]
    """Dataclasses by the word that means them."""
    default: Any

    @property
    def said(self) -> bool:
        """Whether there is a flat option that says which: a single one is meant by its settings."""
        return len(self.kinds) > 1


@dataclass(frozen=True)
class FlatOption:
    """One option under its flat name."""

    hint: Any
    default: Any
    doc: str
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of a setting in a group: what it is where it is not given, by the word of the group."""
    groups: tuple[tuple[str, str], ...] = ()
    """The groups that have it: the flat name of the choice ("" where nothing says which), and the word."""


def word_of(kind: Any) -> str:
    """What means this group: its `word`, or its name in small letters."""
    return str(getattr(kind, "word", kind.__name__.lower()))


def choices_of(kind: Any) -> dict[str, Choice]:
    """The options of a dataclass that hold a group, by field."""
    hints, found = _hints(kind), {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        inner = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
        groups = [each for each in inner if dataclasses.is_dataclass(each)]
        if groups:
            kinds = {word_of(each): each for each in groups}
            found[field.name] = Choice(field.name, _flat_name(kind, field), kinds, default_of(field))
    return found


@lru_cache
def flat_options(kind: Any) -> dict[str, FlatOption]:
    """Every option of a dataclass by its flat name, in the order of the fields."""
    found: dict[str, FlatOption] = {}
    for name, option in _walk(kind, None):
        if before := found.get(name):
            groups = tuple(dict.fromkeys(before.groups + option.groups))
            option = dataclasses.replace(before, defaults={**before.defaults, **option.defaults}, groups=groups)
        found[name] = option
    return found


def _walk(kind: Any, group: tuple[str, str] | None) -> Iterator[tuple[str, FlatOption]]:
    hints, docs, choices = _hints(kind), _docs(kind), choices_of(kind)
    for field in dataclasses.fields(kind):
        name, choice = _flat_name(kind, field), choices.get(field.name)
        hint, default = hints[field.name], default_of(field)
        if choice:
            hint, default = Literal[tuple(choice.kinds)], None if choice.default is None else word_of(type(choice.default))
            hint = hint if default else hint | None
        if choice is None or choice.said:
            doc = docs.get(field.name, "")
            if group is None:
                yield name, FlatOption(hint, default, doc)
            else:
                yield name, FlatOption(*_unset(hint), doc, {group[1]: default}, (group,))
        for word, each in choice.kinds.items() if choice else ():
            yield from _walk(each, (choice.flat if choice and choice.said else "", word))


def _unset(hint: Any) -> tuple[Any, Any]:
    """The type of a setting that may not be given, and what it is then."""
    bare = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    return (hint, ()) if typing.get_origin(bare) is tuple else (hint | None, None)


def _flat_name(kind: Any, field: "dataclasses.Field[Any]") -> str:
    return str(field.metadata.get("flat") or getattr(kind, "prefix", "") + field.name)


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@lru_cache
def _docs(kind: Any) -> dict[str, str]:
    """The text under each field."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(each):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]
        for node, following in itertools.pairwise(body):
            text = following.value.value if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant) else None
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(text, str):
                found[node.target.id] = " ".join(text.split())
    return found


# --- from nested to flat -----------------------------------------------------------------------------------------------------


def flat_values(options: Any) -> dict[str, Any]:
    """What a dataclass holds, by flat names; settings of groups that are not chosen are not there."""
    found, choices = {}, choices_of(type(options))
    for field in dataclasses.fields(options):
        value, choice = getattr(options, field.name), choices.get(field.name)
        if choice is None:
            found[_flat_name(type(options), field)] = value
            continue
        if choice.said:
            found[choice.flat] = None if value is None else word_of(type(value))
        if value is not None:
            found |= flat_values(value)
    return found


def in_groups(options: Any) -> dict[str, Any]:
    """What a dataclass holds as a file has it: groups as mappings, with the name of what they are settings of."""
    found: dict[str, Any] = {}
    choices = choices_of(type(options))
    for field in dataclasses.fields(options):
        value, choice = getattr(options, field.name), choices.get(field.name)
        if choice and value is not None:
            found[field.name] = ({NAME: word_of(type(value))} if choice.said else {}) | in_groups(value)
        else:
            found[field.name] = value
    return found


# --- from flat to nested -----------------------------------------------------------------------------------------------------


def flattened(kind: Any, values: Mapping[str, Any], place: str) -> dict[str, tuple[str, Any]]:
    """A file's values by flat names, each with the name that the file has for it; a group that is null is left out.

    A file may write either: engine: {name: vllm, memory: 0.4}, or engine: vllm and engine_memory: 0.4. Raises InputError, in one line with
    the place, for names that are none.
    """
    found: dict[str, tuple[str, Any]] = {}
    choices, known = choices_of(kind), flat_options(kind)
    for name, value in values.items():
        choice = choices.get(name)
        if choice and isinstance(value, dict):
            found |= _flat_group(choice, value, name, place)
        elif (name not in known and not choice) or isinstance(value, dict):
            said = next(filter(None, (here(path, known) for path in dotted(name, value))), None)
            said = said or (f"{name} is one value, not a group of names" if name in known else None)
            raise InputError(f"{place}: {said or f'there is no option {name}{did_you_mean(name, known)} (--help lists all)'}")
        elif not (value is None and (choice or known[name].groups)):
            found.setdefault(name, (name, value))
    return found


def from_file(kind: Any, values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A file's values as options hold them, by flat names. Raises InputError, in one line, for names and values that cannot be."""
    hints = {name: option.hint for name, option in flat_options(kind).items()}
    return checked(flattened(kind, values, place), hints, place)


def _flat_group(choice: Choice, values: Mapping[str, Any], path: str, place: str) -> dict[str, tuple[str, Any]]:
    word = values.get(NAME, next(iter(choice.kinds)) if not choice.said else None)
    if not isinstance(word, str) or word not in choice.kinds:
        raise InputError(f"{place}: {path} must have a {NAME}, one of {', '.join(choice.kinds)}{f', not {word!r:.60}' if word else ''}")
    kind = choice.kinds[word]
    found: dict[str, tuple[str, Any]] = {choice.flat: (f"{path}.{NAME}", word)} if choice.said else {}
    fields, inner = {field.name: field for field in dataclasses.fields(kind)}, choices_of(kind)
    for written, value in values.items():
        name = str(written).replace("-", "_")
        if name == NAME:
            continue
        if name not in fields:
            raise InputError(f"{place}: {path} of {word} has no {written}{did_you_mean(name, fields)}")
        if name in inner and isinstance(value, dict):
            found |= _flat_group(inner[name], value, f"{path}.{name}", place)
        elif not (value is None and (name in inner or default_of(fields[name]) is None)):
            found[_flat_name(kind, fields[name])] = (f"{path}.{name}", value)
    return found


def merged(kind: Any, below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Flat values over others. Another choice than the one below comes without the settings of that one."""
    kept = dict(below)
    for choice in choices_of(kind).values():
        if choice.said and choice.flat in kept and above.get(choice.flat, kept[choice.flat]) != kept[choice.flat]:
            kept = {name: value for name, value in kept.items() if name not in names_of(kind, choice.field)}
    return kept | dict(above)


def names_of(kind: Any, field: str) -> frozenset[str]:
    """The flat names of an option that holds a group, and of its settings."""
    choice = choices_of(kind).get(field)
    if choice is None:
        return frozenset()
    inner = [name for each in choice.kinds.values() for name in _names_in(each)]
    return frozenset([choice.flat, *inner] if choice.said else inner)


def built(kind: Any, given: Mapping[str, Any], said: Callable[[str], str] = flag_of) -> Any:
    """The dataclass from flat values, as far as they are given; `said`: how a name is written where it came from.

    Raises InputError for a setting that what is chosen would ignore, and for a choice without what it requires.
    """
    left, chosen, choices, values = dict(given), dict[str, str](), choices_of(kind), dict[str, Any]()
    for field in dataclasses.fields(kind):
        if choice := choices.get(field.name):
            values[field.name] = _chosen(choice, left, chosen, said)
        elif field.name in left:
            values[field.name] = left.pop(field.name)
    if left:
        raise InputError(_ignored(kind, list(left), chosen, said))
    return kind(**values)


def _chosen(choice: Choice, left: dict[str, Any], chosen: dict[str, str], said: Callable[[str], str]) -> Any:
    """The group that is meant, with its settings, which are taken out of `left`."""
    word = left.pop(choice.flat, None) if choice.said else None
    if word is None and choice.default is not None:
        word = word_of(type(choice.default))
    if word is None:  # it is off, unless a setting of it is given; the first group that has most of them is meant
        counts = {name: len(left.keys() & {*_names_in(each)}) for name, each in choice.kinds.items()}
        word = max(counts, key=lambda name: counts[name])
        if not counts[word]:
            chosen[choice.flat] = ""
            return None
    if word not in choice.kinds:
        raise InputError(
            f"{said(choice.flat)} must be one of {', '.join(choice.kinds)}, not {word!r:.60}{did_you_mean(str(word), choice.kinds)}"
        )
    kind, chosen[choice.flat] = choice.kinds[word], word
    settings, inner, missing = {}, choices_of(kind), []
    begun = [name for name in _names_in(kind) if name in left]
    for field in dataclasses.fields(kind):
        flat = _flat_name(kind, field)
        if field.name in inner:
            settings[field.name] = _chosen(inner[field.name], left, chosen, said)
        elif flat in left:
            settings[field.name] = left.pop(flat)
        elif default_of(field) is dataclasses.MISSING:
            missing.append(flat)
    if missing:
        by = said(begun[0]) if begun else f"{said(choice.flat)} {word}"
        raise InputError(f"{by} would be ignored without {said(missing[0])}; leave it out, or give that too")
    found = kind(**settings) if type(choice.default) is not kind else dataclasses.replace(choice.default, **settings)
    if getattr(found, "off", False):
        if idle := begun[1:]:
            raise InputError(f"{' and '.join(map(said, idle))} would be ignored with {said(begun[0])} 0; leave it out")
        return None
    return found


@lru_cache
def _names_in(kind: Any) -> tuple[str, ...]:
    """The flat names of a group's settings, in the order of its fields."""
    return tuple(dict.fromkeys(name for name, _ in _walk(kind, ("", ""))))


def _ignored(kind: Any, names: list[str], chosen: Mapping[str, str], said: Callable[[str], str]) -> str:
    """Says which of the given settings nothing obeys, and what would."""
    options, order = flat_options(kind), list(chosen)
    groups = sorted((group for group in options[names[0]].groups if group[0] in chosen), key=lambda group: order.index(group[0]))
    groups = groups or list(options[names[0]].groups)  # of a group within a group that is not chosen
    selector = groups[-1][0]  # the choice that was made last decides
    same = [name for name in names if selector in {group[0] for group in options[name].groups}]
    flags = " and ".join(said(name) for name in same)
    obeying = " or ".join(dict.fromkeys(word for where, word in groups if where == selector))
    now = f"with {said(selector)} {chosen[selector]}" if chosen.get(selector) else f"without {said(selector)} {obeying}"
    return f"{flags} would be ignored {now}; leave it out, or use {said(selector)} {obeying}"
