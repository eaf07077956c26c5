"""A file of options (YAML, TOML or JSON) as plain values: names to numbers, texts, lists and nested names.

It decides what such a file may be: small, a regular file, one mapping, each name once, YAML's plain kinds only (no anchors, no tags, no
dates; `1e-6` is a number and `no` is a text, as in YAML 1.2). It leaves out what the names mean.
"""

import json
import re
import tomllib
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from verifiers.atomic_files import read_file
from verifiers.input_error import InputError, first_line, missing_place

MOST_BYTES = 256 * 1024
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_PLAIN = (  # YAML 1.2's core schema: tag, pattern, first characters
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9][0-9_]*", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)  # fmt: skip


def read_config(path: Path) -> dict[str, Any]:
    """The options in a file, by name. Of a run's config.json, those that the run was made with.

    Raises InputError in one line for a file that is missing, too large, or holds no options.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"--config {path}: options are read from a .yaml, .json or .toml file")
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES // 1024} KiB, which no file of options needs")
        values = reader(read_file(path).removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError) as error:
        missing = missing_place(str(path), tried=True)
        raise InputError(f"--config {path}: {missing or _reason(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"--config {path}: it must hold options by name, such as `steps: 100`")
    if isinstance(values.get("options"), dict) and "fingerprint" in values:  # a run's config.json
        values = values["options"]
    return _named_once(values, path)


def _named_once(values: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """Names with dashes are names with underscores, which they are in the program."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise InputError(f"--config {path}: {key!r:.60} is no option's name")
        name = key.replace("-", "_")
        if name in found:
            raise InputError(f"--config {path}: {key} is given twice; leave one of them out")
        found[name] = value
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply for options"
    where = getattr(error, "problem_mark", None)
    if where is not None:  # yaml's own words are spread over lines
        return f"line {where.line + 1}: {getattr(error, 'problem', None) or 'it is no YAML'}"
    return first_line(error)


# --- JSON and YAML, each name once ---


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key} is given twice; leave one of them out")
        found[key] = value
    return found


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_pairs)


def _from_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_yaml_loader())
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from error


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


@lru_cache
def _yaml_loader() -> Any:
    """PyYAML's safe loader without what a file of options never needs and can be harmful or surprising."""
    import yaml

    class Plain(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- PyYAML's name and kind; `add_implicit_resolver` fills it

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read; write the value out", event.start_mark)
            if getattr(event, "tag", None) is not None:
                raise yaml.composer.ComposerError(None, None, f"the tag {event.tag} is not read; leave it out", event.start_mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            found: dict[Hashable, Any] = {}
            for key_node, value_node in node.value:
                key = self.construct_object(key_node, deep=True)
                said = "a name must be a text" if not isinstance(key, str) else f"{key} is given twice; leave one of them out"
                if not isinstance(key, str) or key in found:
                    raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
                found[key] = self.construct_object(value_node, deep=deep)
            return found

    for tag, pattern, first in _PLAIN:
        Plain.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    Plain.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
    Plain.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _float(loader.construct_scalar(node)))
    return Plain


_READERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
    ".json": _from_json,
    ".toml": tomllib.loads,
}
