"""From a name to a verifier: `load("math_answer")`, `load("package.module:function")`, `load("path/to/file.py:function")`.

A name may have parameters, `load("math_answer(percent=strict)")`; `reward_text.py` says how they are written. `gate(a, b)` and
`minimum(a, b, ...)` make one verifier of several (`combined_rewards.py`).

A reward that a user writes is a plain function, and its signature says which of three kinds it is:

* ours, `(problem, response) -> float | bool | Verdict | None`;
* the same as `async def`: awaited on one event loop per thread, so that a client kept between calls stays usable;
* TRL's, `fn(completions, **columns) -> list[float | None]`: called with one completion at a time.

A name alone is one of our own: the file with that stem, in whatever room of `verifiers/` it lies. Such a module may define `check`
beside `verify`: called when the verifier is loaded, it refuses parameters that no response could be judged with, and says which
service or package is missing.

This module imports the user's code in the process that calls `load`. Whatever that code raises while it is imported or run is
not caught here, except for what has a clear cause (no such file, a syntax error, a missing module); the worker is the boundary
that turns the rest into a verdict.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import threading
import traceback
import typing
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError, nearest
from verifiers.problem import Problem
from verifiers.rewards.reward_text import Spec, bind, inner, parse, split_weight
from verifiers.verdict import Verdict, Verifier, as_verdict

# What a TRL trainer has and a lone verdict has not. Its two loggers are not here: they have a stand-in that does nothing.
_ONLY_A_TRAINER_HAS = ("completion_ids", "trainer_state", "environments")
_LOGGERS = ("log_extra", "log_metric")
# TRL does not pass these columns on, under these names.
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")


class WrongReturnError(TypeError):
    """A reward function returned something that is no reward; the text names the function and quotes the value."""


def load(spec: str) -> Verifier:
    """The verifier that `spec` names. Raises InputError, in one line, when there is none or it has an unknown signature."""
    return _load(parse(spec))


def _load(spec: Spec) -> Verifier:
    if spec.name in _COMPOSITIONS:
        return _composed(spec)
    function = _find(spec.name)
    parameters = bind(function, spec, _load)
    _check(function, spec.name, parameters)
    return as_verifier(partial(function, **parameters) if parameters else function, spec.name)


def _check(function: Callable[..., Any], name: str, parameters: Mapping[str, Any]) -> None:
    """Let one of our verifiers object to its parameters, and to a service that is missing, now and not at every response.

    Its module may define `check`, which is called with all parameters of `verify`, those left at their defaults included.
    """
    check = None if ":" in name else getattr(sys.modules[function.__module__], "check", None)
    if check is not None:
        defaults = {key: p.default for key, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
        check(**defaults | dict(parameters))


_COMPOSITIONS = ("gate", "minimum")


def _composed(spec: Spec) -> Verifier:
    from verifiers.rewards.combined_rewards import gate, minimum

    if spec.parameters and spec.name != "gate":
        raise InputError(f"reward {spec.name}: {spec.parameters[0][0]!r} is no parameter of it; it takes rewards, without weights")
    if spec.name == "gate":
        if len(spec.parts) != 2:
            raise InputError(f"reward gate takes two rewards, gate(GATEKEEPER, REWARD), not {len(spec.parts)}")
        return gate(_load(spec.parts[0]), _load(spec.parts[1]), **bind(gate, Spec("gate", (), spec.parameters), _load))
    if not spec.parts:
        raise InputError("reward minimum takes rewards, e.g. minimum(math_answer, language)")
    parts: list[tuple[str, Verifier]] = []
    for part in spec.parts:
        parts.append((_unique(short_name(part.name), [name for name, _ in parts]), _load(part)))
    return minimum(parts)


def as_verifier(function: Callable[..., Any], name: str) -> Verifier:
    """A verifier from a reward function of any of the three kinds; `name` is how messages call it.

    The verifier raises WrongReturnError for a value that is no reward, InputError for a TRL column that the problem lacks, and
    whatever the function itself raises.
    """
    signature = _signature(function, name)
    call = _plain_call(function, signature, name)
    if call is None:
        call = _trl_call(function, signature, name)

    def verify(problem: Problem, response: str) -> Verdict:
        value = call(problem, response)
        try:
            return as_verdict(value)
        except TypeError as error:
            raise WrongReturnError(f"{name} {error}") from None

    verify.__name__ = verify.__qualname__ = short_name(name)
    return verify


def compose_rewards(specs: Sequence[str]) -> Verifier:
    """One verifier from specs such as `name`, `name=weight` or `name(parameter=value)=weight`: their weighted sum.

    The first is the primary one, whose status counts.

    Raises InputError for an empty list, a weight that is no number, and whatever `load` objects to.
    """
    if not specs:
        raise InputError("no reward was named: give at least one, e.g. math_answer or my_rewards.py:my_function")
    parts: list[tuple[str, Verifier, float]] = []
    for spec in specs:
        name, weight = split_weight(spec)
        parts.append((_unique(short_name(name), [part[0] for part in parts]), load(name), weight))
    if len(parts) == 1 and parts[0][2] == 1.0:
        return parts[0][1]
    from verifiers.rewards.combined_rewards import weighted_sum

    return weighted_sum(parts)


def spec_of(function: object) -> str:
    """The name by which another process finds a function. Raises InputError, with what to give instead, where it has none."""
    if not callable(function):
        raise InputError(f"a reward is a name, such as 'math_answer' or 'FILE.py:FUNCTION', or a function, not {function!r:.60}")
    module, name = getattr(function, "__module__", "") or "", getattr(function, "__qualname__", "")
    if name == "verify" and module.startswith("verifiers.") and module.rpartition(".")[2] in own_names():
        return module.rpartition(".")[2]
    if module in ("", "__main__") or not name.isidentifier() or getattr(sys.modules.get(module), name, None) is not function:
        raise InputError(
            f"the reward {name or repr(function):.60} cannot be found by another process: write it as a function of a file and give "
            "'FILE.py:FUNCTION', or of an importable module"
        )
    return f"{module}:{name}"


def short_name(spec: str) -> str:
    """The function's name, or the module's where no function is named; without parameters and weight."""
    name = parse(split_weight(spec)[0]).name
    return name.rpartition(":")[2] or name


@lru_cache(maxsize=1024)
def rewards_in(text: str) -> tuple[Spec, ...]:
    """The rewards that `name`, `name(...)=weight` and the like run, outermost first; gate and minimum are none themselves.

    Those that one of our verifiers has as a default are among them. The user's code is not imported, so of what stands in its
    parentheses only rewards without a keyword are seen. Raises InputError for text that is no spec.
    """
    return tuple(_rewards_in(parse(split_weight(text)[0])))


def _rewards_in(spec: Spec) -> Iterator[Spec]:
    if spec.name not in _COMPOSITIONS:
        yield spec
    for part in inner(_own_verifier(spec.name), spec) if spec.name in own_names() else spec.parts:
        yield from _rewards_in(part)


def own_verifiers(specs: Iterable[str]) -> list[str]:
    """Those of our verifiers that specs run, however weighted or combined; text that is no spec names none."""
    return list(dict.fromkeys(name for text in specs for name in _own_verifiers_in(text)))


@lru_cache(maxsize=256)  # asked for every row of a file
def _own_verifiers_in(spec: str) -> tuple[str, ...]:
    try:
        return tuple(reward.name for reward in rewards_in(spec) if reward.name in own_names())
    except InputError:  # loading it says what is wrong
        return ()


def reads_golds(specs: Iterable[str]) -> bool:
    """Whether one of our verifiers among these compares with a gold answer: its source, the only place that can, says `problem.answer`."""
    return any("problem.answer" in own_source(name) for name in own_verifiers(specs))


def _unique(name: str, taken: Sequence[str]) -> str:
    candidates = (name if n == 1 else f"{name}_{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


# Finding the function


def _find(spec: str) -> Callable[..., Any]:
    place, colon, name = spec.rpartition(":")
    if not colon:
        return _own_verifier(spec)
    if not place or not name:
        raise InputError(f"reward {spec!r}: write FILE.py:FUNCTION or package.module:FUNCTION")
    if place.endswith(".py"):
        module = import_file(Path(place))
    else:
        _make_importable(Path.cwd())
        package, _, stem = place.partition(".")  # written so before our verifiers had rooms
        module = _import_module(own_modules().get(stem, place) if package == "verifiers" else place)
    function = getattr(module, name, None)
    if function is None:
        raise InputError(f"{place} has no function {name!r}; {_offer(module, name)}")
    if inspect.isclass(function) or not callable(function):
        kind = "a class: name an instance of it" if inspect.isclass(function) else f"not a function but {function!r:.60}"
        raise InputError(f"{spec} is {kind}; a reward is called as (problem, response)")
    return function  # type: ignore[no-any-return]  # callable() was just asked


def _own_verifier(name: str) -> Callable[..., Any]:
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


@lru_cache
def own_modules() -> Mapping[str, str]:
    """Our verifiers: the stem of every file of this package that defines `verify(problem, response)`, to the module's name; nothing is
    imported."""
    root = Path(PACKAGE_ROOT)
    files = sorted(((path.stem, path) for path in (root / "verifiers").rglob("*.py")), key=lambda found: found[0])
    return {
        stem: ".".join(path.relative_to(root).with_suffix("").parts)
        for stem, path in files if "\ndef verify(" in path.read_text(encoding="utf-8")
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


def _offer(module: ModuleType, name: str) -> str:
    functions = [
        key
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    if not functions:
        return "it defines none"
    near = nearest(name, functions)
    return f"did you mean {near!r}?" if near else f"it defines {', '.join(functions[:8])}"


# Calling it


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        raise InputError(f"{name} has no signature that Python can read; wrap it in a function (problem, response)") from None


def _plain_call(function: Callable[..., Any], signature: inspect.Signature, name: str) -> Callable[[Problem, str], Any] | None:
    """How to call a function of our kind, or None when it is TRL's."""
    parameters = signature.parameters
    if "completions" in parameters:
        return None
    by_name = {"problem", "response"} <= parameters.keys()  # then the order is of no importance
    try:
        signature.bind(problem=None, response=None) if by_name else signature.bind(None, None)
    except TypeError:
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and not by_name:
            return None
        raise InputError(
            f"{name} takes {signature}; a reward takes (problem, response), or TRL's (completions, **columns)",
        ) from None
    if by_name:
        return lambda problem, response: _awaited(function(problem=problem, response=response))
    return lambda problem, response: _awaited(function(problem, response))


def _trl_call(function: Callable[..., Any], signature: inspect.Signature, name: str) -> Callable[[Problem, str], Any]:
    """How to call TRL's kind on one completion, with what a trainer would pass and a problem can supply.

    Completions are strings where the prompt is a string and lists of one message where it is a list of messages, as in TRL;
    a function whose annotation says that it wants messages (as TRL's own do) gets them for a string prompt as well.
    """
    parameters = signature.parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    required = [key for key, p in parameters.items() if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    impossible = [key for key in required if key in _ONLY_A_TRAINER_HAS]
    if impossible:
        raise InputError(f"{name} requires {impossible[0]!r}, which only a trainer has; give it a default value")
    stand_ins = {key: _log_nothing for key in required if key in _LOGGERS}
    wants_messages = "completions" in parameters and _holds_mappings(_annotation(function, "completions"))

    def call(problem: Problem, response: str) -> Any:
        columns = {**_trl_columns(problem, response, wants_messages), **stand_ins}
        missing = [key for key in required if key not in columns]
        if missing:
            has = ", ".join(key for key in columns if key not in ("prompts", "completions", *_LOGGERS))
            raise InputError(f"{name} requires the column {missing[0]!r}, which the problem does not have (it has {has})")
        values = _awaited(function(**(columns if takes_all else {key: columns[key] for key in parameters if key in columns})))
        return _only_value(values, name)

    return call


def _annotation(function: Callable[..., Any], name: str) -> Any:
    """A parameter's annotation; as its text where that names what cannot be found."""
    with suppress(Exception):  # the user's own code, which is imported already: whatever looking up its names raises
        return inspect.signature(function, eval_str=True).parameters[name].annotation
    return inspect.signature(function).parameters[name].annotation


def _holds_mappings(annotation: Any) -> bool:
    """Whether values of this type hold dicts, as messages are."""
    if isinstance(annotation, str):
        try:
            nodes = list(ast.walk(ast.parse(annotation, mode="eval")))
        except (SyntaxError, ValueError, RecursionError):
            return False
        names = {node.id if isinstance(node, ast.Name) else node.attr for node in nodes if isinstance(node, ast.Name | ast.Attribute)}
        return bool(names & {"dict", "Dict", "Mapping", "MutableMapping"})
    if isinstance(annotation, typing.ForwardRef):
        return _holds_mappings(annotation.__forward_arg__)
    kind = typing.get_origin(annotation) or annotation
    return (isinstance(kind, type) and issubclass(kind, Mapping)) or any(map(_holds_mappings, typing.get_args(annotation)))


def _trl_columns(problem: Problem, response: str, wants_messages: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {key: [value] for key, value in problem.meta.items() if key not in _NOT_COLUMNS}
    columns["answer"] = [problem.answer]
    if isinstance(problem.prompt, str) and not wants_messages:
        return {**columns, "prompts": [problem.prompt], "completions": [response]}
    messages: Iterable[Mapping[str, Any]]
    messages = [{"role": "user", "content": problem.prompt}] if isinstance(problem.prompt, str) else problem.prompt
    return {
        **columns,
        "prompts": [[dict(message) for message in messages]],
        "completions": [[{"role": "assistant", "content": response}]],
    }


def _only_value(values: object, name: str) -> object:
    items = list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else None
    if items is None or len(items) != 1:
        raise WrongReturnError(f"{name} returned {values!r:.80} ({type(values).__name__}); expected a list of one reward per completion")
    return items[0]


def _log_nothing(*_: object) -> None:
    """Stands in for TRL's `log_extra` and `log_metric` where a function cannot do without: what it logs is lost."""


class _Loop:
    """This thread's event loop, closed with the thread or the process."""

    def __init__(self) -> None:
        import asyncio  # slow to import, and most rewards are not async

        self.runner = asyncio.Runner()
        weakref.finalize(self, self.runner.close)


_local = threading.local()


def _awaited(value: Any) -> Any:
    if not inspect.isawaitable(value):
        return value
    if not hasattr(_local, "loop"):
        _local.loop = _Loop()
    return _local.loop.runner.run(_wait_for(value))


async def _wait_for(value: Awaitable[Any]) -> Any:
    return await value
