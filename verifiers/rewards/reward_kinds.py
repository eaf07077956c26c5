"""The three kinds of reward function that a user writes, told apart by their signatures, each made a verifier:

* ours, `(problem, response) -> float | bool | Verdict | None`;
* the same as `async def`: awaited on one event loop per thread, so that a client kept between calls stays usable;
* TRL's, `fn(completions, **columns) -> list[float | None]`: called with one completion at a time.

What a function raises is not caught here.
"""

import ast
import inspect
import threading
import typing
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.reward_text import short_name
from verifiers.verdict import StepScorer, Verdict, Verifier, as_verdict

# What a TRL trainer has and a lone verdict has not. Its two loggers are not here: they have a stand-in that does nothing.
_ONLY_A_TRAINER_HAS = ("completion_ids", "trainer_state", "environments")
_LOGGERS = ("log_extra", "log_metric")
# TRL does not pass these columns on, under these names.
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")


class WrongReturnError(TypeError):
    """A reward function returned something that is no reward; the text names the function and quotes the value."""


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
            verdict = as_verdict(value)
        except TypeError as error:
            raise WrongReturnError(f"{name} {error}") from None
        if verdict.steps and (end := max(step.end for step in verdict.steps)) > len(response):
            raise WrongReturnError(f"{name} scored a step that ends at character {end} of a response that has {len(response)}")
        return verdict

    verify.__name__ = verify.__qualname__ = short_name(name)
    return verify


def as_step_scorer(function: Callable[..., Any], name: str) -> StepScorer:
    """What scores steps, from a function `(problem, steps)`; `name` is how messages call it. Raises InputError for another signature.

    The scorer raises WrongReturnError for what is no list of one number, or None, for each step.
    """
    try:
        _signature(function, name).bind(None, None)
    except TypeError:
        raise InputError(f"{name} takes {_signature(function, name)}; what scores steps takes (problem, steps)") from None

    def score(problem: Problem, steps: Sequence[str]) -> list[float | None]:
        value = _run_if_awaitable(function(problem, list(steps)))
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
            raise WrongReturnError(f"{name} returned {value!r:.80} ({type(value).__name__}); expected a list of one score for each step")
        scores = list(value)
        if len(scores) != len(steps):
            raise WrongReturnError(
                f"{name} returned {len(scores)} scores for {len(steps)} steps; expected one for each, None where it has none"
            )
        return [None if each is None else _step_score(each, name) for each in scores]

    score.__name__ = score.__qualname__ = short_name(name)
    return score


def _step_score(value: object, name: str) -> float:
    verdict = None
    with suppress(TypeError):
        verdict = as_verdict(value)
    if verdict is None or verdict.score is None:
        raise WrongReturnError(f"{name} returned {value!r:.40} ({type(value).__name__}) among its scores; expected finite numbers or None")
    return float(verdict.score)


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
        return lambda problem, response: _run_if_awaitable(function(problem=problem, response=response))
    return lambda problem, response: _run_if_awaitable(function(problem, response))


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
        values = _run_if_awaitable(function(**(columns if takes_all else {key: columns[key] for key in parameters if key in columns})))
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


def _run_if_awaitable(value: Any) -> Any:
    if not inspect.isawaitable(value):
        return value
    if not hasattr(_local, "loop"):
        _local.loop = _Loop()
    return _local.loop.runner.run(_wait_for(value))


async def _wait_for(value: Awaitable[Any]) -> Any:
    return await value
