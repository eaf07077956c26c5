"""From a name to a verifier: `load("math_answer")`, `load("package.module:function")`, `load("path/to/file.py:function")`.

A name may have parameters, `load("math_answer(percent=strict)")`; `reward_text.py` says how they are written. `gate(a, b)` and
`minimum(a, b, ...)` make one verifier of several (`combined_rewards.py`).

A name alone is one of our own, by its file's stem. Such a module may define `check` beside `verify`: called when the verifier is loaded,
it refuses parameters that no response could be judged with, and says which service or package is missing. A reward that a user
writes is a plain function of one of three kinds (`reward_kinds.py`).

The user's code is imported in the process that calls `load` (`named_functions.py`); the worker is the boundary that turns what it
raises into a verdict.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from verifiers.input_error import InputError
from verifiers.rewards.combined_rewards import gate, minimum, weighted_sum
from verifiers.rewards.named_functions import find_function, find_step_scorer, own_names, own_source, own_verifier
from verifiers.rewards.reward_kinds import as_step_scorer, as_verifier
from verifiers.rewards.reward_text import Spec, bind, inner, parse, short_name, split_weight
from verifiers.verdict import StepScorer, Verifier


def load(spec: str) -> Verifier:
    """The verifier that `spec` names. Raises InputError, in one line, when there is none or it has an unknown signature."""
    return _load(parse(spec))


def load_step_scorer(spec: str) -> StepScorer:
    """What scores the steps of a response, as it is written inside `steps(...)`. Raises InputError, in one line, when there is none."""
    return _load_step_scorer(parse(spec))


def _load(spec: Spec) -> Verifier:
    if spec.name in _COMPOSITIONS:
        return _load_composition(spec)
    return as_verifier(_with_parameters(find_function(spec.name), spec), spec.name)


def _load_step_scorer(spec: Spec) -> StepScorer:
    return as_step_scorer(_with_parameters(find_step_scorer(spec.name), spec, check="check_steps"), spec.name)


def _load_part(spec: Spec, kind: Any) -> Verifier | StepScorer:
    return _load_step_scorer(spec) if kind == StepScorer else _load(spec)


def _with_parameters(function: Callable[..., Any], spec: Spec, check: str = "check") -> Callable[..., Any]:
    parameters = bind(function, spec, _load_part)
    _check_parameters(function, spec.name, parameters, check)
    return partial(function, **parameters) if parameters else function


def _check_parameters(function: Callable[..., Any], name: str, parameters: Mapping[str, Any], checks: str) -> None:
    """Let one of our verifiers object to its parameters, and to a service that is missing, now and not at every response.

    Its module may define `check` (where it scores steps, `check_steps`), which is called with all parameters of the function, those left at
    their defaults included.
    """
    check = None if ":" in name else getattr(sys.modules[function.__module__], checks, None)
    if check is not None:
        defaults = {key: p.default for key, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY}
        check(**defaults | dict(parameters))


_COMPOSITIONS = ("gate", "minimum")
_FUNCTION = re.compile(r"[^\s:]+\.py:\w+|[A-Za-z_]\w*(?:\.\w+)+:\w+")


def _load_composition(spec: Spec) -> Verifier:
    if spec.parameters and spec.name != "gate":
        raise InputError(f"reward {spec.name}: {spec.parameters[0][0]!r} is no parameter of it; it takes rewards, without weights")
    if spec.name == "gate":
        if len(spec.parts) != 2:
            raise InputError(f"reward gate takes two rewards, gate(GATEKEEPER, REWARD), not {len(spec.parts)}")
        return gate(_load(spec.parts[0]), _load(spec.parts[1]), **bind(gate, Spec("gate", (), spec.parameters), _load_part))
    if not spec.parts:
        raise InputError("reward minimum takes rewards, e.g. minimum(math_answer, language)")
    parts: list[tuple[str, Verifier]] = []
    for part in spec.parts:
        parts.append((_unused_name(short_name(part.name), [name for name, _ in parts]), _load(part)))
    return minimum(parts)


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
        parts.append((_unused_name(short_name(name), [part[0] for part in parts]), load(name), weight))
    if len(parts) == 1 and parts[0][2] == 1.0:
        return parts[0][1]
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
    for part in inner(own_verifier(spec.name), spec) if spec.name in own_names() else spec.parts:
        yield from _rewards_in(part)


def functions_in(text: str) -> list[str]:
    """The names of all functions that a spec runs: its rewards, what scores steps, and functions of a user's that are a parameter.

    Nothing is imported, but for our own. Raises InputError for text that is no spec.
    """
    spec = parse(split_weight(text)[0])
    return list(dict.fromkeys([*(reward.name for reward in rewards_in(text)), *_named_in(spec)]))


def _named_in(spec: Spec) -> Iterator[str]:
    if spec.name not in _COMPOSITIONS:
        yield spec.name
    for part in spec.parts:
        yield from _named_in(part)
    yield from (bare for _, value in spec.parameters if _FUNCTION.fullmatch(bare := value.strip("\"'")))


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


def _unused_name(name: str, taken: Sequence[str]) -> str:
    candidates = (name if n == 1 else f"{name}_{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)
