"""`--resume`: an earlier run's options out of its config.json, and what may be given beside it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from recipes.setup.command_line import flag_of
from recipes.setup.options import from_json
from verifiers.atomic_files import read_file
from verifiers.input_error import InputError


def resumed(options: Any) -> Any:
    """With --resume, the options of that run; nothing else may be given with it."""
    if options.resume is None:
        return options
    path = options.resume
    others = [f.name for f in dataclasses.fields(options) if f.name != "resume" and getattr(options, f.name) != _default_of(f)]
    if others:
        raise InputError(f"--resume takes every option from {path}/config.json; leave out {', '.join(map(flag_of, others))}")
    stored = stored_run(path)["options"]
    return dataclasses.replace(from_json(type(options), stored, path), run=path, resume=path, overwrite=False)


def stored_run(path: Path) -> dict[str, Any]:
    """What an earlier run's config.json holds. Raises InputError where there is no run, or nothing that can be read."""
    config = path / "config.json"
    if not config.exists():
        raise InputError(f"--resume {path}: no run is there (config.json is missing); give the folder that an earlier run printed")
    try:
        stored = json.loads(read_file(config))
        if not isinstance(stored, dict) or not isinstance(stored.get("options"), dict):
            raise ValueError("it holds no options")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--resume {path}: its config.json cannot be read ({error}); restore it, or start a new run") from error
    return stored


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
