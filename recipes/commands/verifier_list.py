"""`reckon verifiers`: what can judge a response, with a line and the parameters of each; `docs/rewards.md` has more.

    reckon verifiers            all
    reckon verifiers length     one of them: its whole docstring

A verifier's line is the first of its docstring; its parameters, with their defaults, are what a reward's text may set (`reward_text.py`).
"""

import importlib
from collections.abc import Sequence
from typing import Any

from verifiers.input_error import InputError, did_you_mean
from verifiers.rewards.named_functions import own_modules, own_names
from verifiers.rewards.reward_text import settable

_OTHERS = {
    "gate(A, B, refused=0.0)": "B's score where A is right, else `refused`; B then does not run",
    "minimum(A, B, ...)": "the smallest score; A decides what is right",
    "FILE.py:FUNCTION, package.module:FUNCTION": "your own: takes (problem, response), or TRL's (completions, **columns)",
}


def command(arguments: Sequence[str]) -> int:
    """The command line. Returns the exit code; raises InputError for a name that is none."""
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    if not arguments:
        print(listed())
        return 0
    if arguments[0] not in own_names():
        hint = did_you_mean(arguments[0], own_names()) or "; `reckon verifiers` lists them"
        raise InputError(f"no verifier is called {arguments[0]!r}{hint}")
    print(f"{signature(arguments[0])}\n\n{(_verifier_module(arguments[0]).__doc__ or '').strip()}")
    return 0


def command_names() -> list[str]:
    return list(own_names())


def listed() -> str:
    """Two lines for each: how it is written, and what it says."""
    rows = {signature(name): (_verifier_module(name).__doc__ or "").strip().partition("\n")[0] for name in own_names()} | _OTHERS
    return "\n".join(f"{written}\n    {line}" for written, line in rows.items())


def signature(name: str) -> str:
    """A verifier with its parameters and their defaults, as a reward is written."""
    parameters = [f"{key}={_default_text(default)}" for key, (_, default) in settable(_verifier_module(name).verify).items()]
    return f"{name}({', '.join(parameters)})" if parameters else name


def _verifier_module(name: str) -> Any:
    return importlib.import_module(own_modules()[name])


def _default_text(default: object) -> str:
    if callable(default):
        return default.__module__.rpartition(".")[2]
    return str(default).lower() if isinstance(default, bool) or default is None else str(default)
