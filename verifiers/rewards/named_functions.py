"""From a name to a function: one of our verifiers by its file's stem, one of a file of the user's, or one of an importable module.

One of ours is in whatever room of `verifiers/` it lies: the package is walked once, and nothing imported. The user's code is imported in
the process that asks. Whatever that code raises while it is imported is not caught here, except for what has a clear cause (no such
file, a syntax error, a missing module).
"""

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError, did_you_mean, nearest


def find_function(spec: str) -> Callable[..., Any]:
    place, colon, name = spec.rpartition(":")
    if not colon:
        return own_verifier(spec)
    if not place or not name:
        raise InputError(f"reward {spec!r}: write FILE.py:FUNCTION or package.module:FUNCTION")
    module = _module_at(place)
    function = getattr(module, name, None)
    if function is None:
        raise InputError(f"{place} has no function {name!r}; {_offer_functions(module, name)}")
    if inspect.isclass(function) or not callable(function):
        kind = "a class: name an instance of it" if inspect.isclass(function) else f"not a function but {function!r:.60}"
        raise InputError(f"{spec} is {kind}; a reward is called as (problem, response)")
    return function  # type: ignore[no-any-return]  # callable() was just asked


def find_object(spec: str, form: str) -> Any:
    """Whatever is called so in a file or a module, not only a function. `form` is the sentence that says how it is written."""
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise InputError(f"{spec!r}: {form}, or package.module:NAME")
    module = _module_at(place, form)
    if not hasattr(module, name):
        named = [key for key in vars(module) if not key.startswith("_")]
        raise InputError(f"{place} has no {name!r}{did_you_mean(name, named) or f'; {form}'}")
    return getattr(module, name)


def _module_at(place: str, form: str = "a reward is FILE.py:FUNCTION") -> ModuleType:
    """The module in a file, or an importable one."""
    if place.endswith(".py"):
        return import_file(Path(place), form)
    _make_importable(Path.cwd())
    package, _, stem = place.partition(".")  # written so before our verifiers had rooms
    return _import_module(own_modules().get(stem, place) if package == "verifiers" else place)


def own_verifier(name: str) -> Callable[..., Any]:
    if name.endswith(".py") or os.sep in name:
        raise InputError(f"reward {name!r}: say which function of the file, as {name}:FUNCTION")
    if "." in name:
        raise InputError(f"reward {name!r}: put a colon before the function, as {':'.join(name.rsplit('.', 1))}")
    known = own_names()
    if name not in known:
        near = nearest(name, known)
        hint = f" (did you mean {near!r}?)" if near else ""
        raise InputError(
            f"no verifier is called {name!r}{hint}; there are {', '.join(known)} (see `reckon verifiers`); your own is FILE.py:FUNCTION"
        )
    return _import_module(own_modules()[name]).verify  # type: ignore[no-any-return]  # the source was seen to define it


def find_step_scorer(spec: str) -> Callable[..., Any]:
    """The function that scores steps: one of ours by its file's stem, or the user's."""
    if ":" in spec:
        return find_function(spec)
    known = own_step_scorers()
    if spec not in known:
        near = nearest(spec, known)
        hint = f" (did you mean {near!r}?)" if near else ""
        raise InputError(f"nothing that scores steps is called {spec!r}{hint}; there are {', '.join(known)}; your own is FILE.py:FUNCTION")
    return _import_module(known[spec]).score_steps  # type: ignore[no-any-return]  # the source was seen to define it


def own_modules() -> Mapping[str, str]:
    """Our verifiers: the stem of every file of this package that defines `verify(problem, response)`, to the module's name; nothing is
    imported."""
    return _modules_that_define("verify")


def own_step_scorers() -> Mapping[str, str]:
    """The same of `score_steps(problem, steps)`."""
    return _modules_that_define("score_steps")


@lru_cache
def _modules_that_define(function: str) -> Mapping[str, str]:
    root = Path(PACKAGE_ROOT)
    files = sorted(((path.stem, path) for path in (root / "verifiers").rglob("*.py")), key=lambda found: found[0])
    return {
        stem: ".".join(path.relative_to(root).with_suffix("").parts)
        for stem, path in files if f"\ndef {function}(" in path.read_text(encoding="utf-8")
    }  # fmt: skip


def own_names() -> tuple[str, ...]:
    """What our verifiers are called."""
    return tuple(own_modules())


@lru_cache
def own_source(name: str) -> str:
    """The source of one of our verifiers."""
    return Path(PACKAGE_ROOT, *own_modules()[name].split(".")).with_suffix(".py").read_text(encoding="utf-8")


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise InputError(f"no module {name!r} in {Path.cwd()} or among the installed packages (no {error.name!r})") from None
        raise _cannot_import(name, error) from error
    except (ImportError, SyntaxError) as error:
        raise _cannot_import(name, error) from error
    except (TypeError, ValueError) as error:
        if name.isascii() and name.replace(".", "a").isidentifier() and not name.startswith("."):
            raise
        raise InputError(f"{name!r} is not a module's name; write FILE.py:FUNCTION or package.module:FUNCTION") from error


def import_file(path: Path, form: str = "a reward is FILE.py:FUNCTION") -> ModuleType:
    """The module in a file. Two functions of one file share the module; its neighbours are importable, after everything else."""
    path = path.expanduser().resolve()
    if not path.is_file():
        raise InputError(f"no file {path}; {form}, relative to the current folder")
    name = f"{path.stem}_{hashlib.blake2b(os.fsencode(path), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    _make_importable(path.parent)
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # before it runs: dataclasses and pickling look a module up by name
    loaded = False
    try:
        found.loader.exec_module(module)
        loaded = True
    except (ImportError, SyntaxError, OSError) as error:
        raise _cannot_import(str(path), error) from error
    finally:
        if not loaded:
            del sys.modules[name]
    return module


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last, so that a user's `json.py` shadows nothing


def _cannot_import(what: str, error: Exception) -> InputError:
    if isinstance(error, SyntaxError) and error.filename:
        return InputError(f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}; mend the file")
    return InputError(f"{what} cannot be imported: {type(error).__name__}: {error}{where_raised(error)}")


def where_raised(error: BaseException) -> str:
    """The innermost frame outside the import system, as " (file:line: source)"; empty when there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    if not frames:
        return ""
    last = frames[-1]
    return f" ({last.filename}:{last.lineno}: {last.line})" if last.line else f" ({last.filename}:{last.lineno})"


def _offer_functions(module: ModuleType, name: str) -> str:
    functions = [
        key
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    if not functions:
        return "it defines none"
    near = nearest(name, functions)
    return f"did you mean {near!r}?" if near else f"it defines {', '.join(functions[:8])}"
