"""Asserts about a program that runs elsewhere: this runs in a sandbox of its own, with the tests and without the program.

    in:   {"setup": text, "tests": [text, ...], "check": name or null, "names": [...]}
    out:  {"call": name, "args": ..., "kwargs": ...}        in: {"value": data} or {"raised": [type, message]} or {"lost": why}
          where "tell" is in the reply, {"read": true} as soon as it has been read
    out:  {"test": index, "passed": bool, "detail": text}, one for each test
          or {"test": index, "cannot": why}, where it is the test that cannot be run here, whatever the program
    out:  {"done": true}

Under each of `names` the tests find a function that asks the other side; what it returns is plain data of exact builtin types,
so that nothing of the program's runs in here. What a function does to its arguments is not seen.
"""

import builtins
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

from verifiers.programs.plain_data import NotPlainError, decode, encode
from verifiers.protocol_streams import take_streams, write_all

_NEVER = (StopIteration, StopAsyncIteration)  # would end a `map` over the function early, and with it the test


class ProgramError(RuntimeError):
    """An exception of the program's that is not a builtin one."""


class Lost(BaseException):
    """No value came back, which no test may take for anything else."""


class Cannot(BaseException):
    """The test asks for what does not travel, or fails before it asks anything: the program is not to blame."""


class _Link:
    def __init__(self) -> None:
        self._inlet, self._outlet = take_streams()  # tests may print
        self.asked = 0

    def receive(self) -> dict[str, Any]:
        return dict(json.loads(self._inlet.readline()))

    def send(self, **message: Any) -> None:
        write_all(self._outlet, json.dumps(message).encode() + b"\n")


def main() -> None:
    """Run every test, whatever became of the others, and say how each went."""
    link = _Link()
    task = link.receive()
    for index, test in enumerate(task["tests"]):
        names = _names_of_tests(task, link)
        passed, detail, asked = False, "", link.asked
        try:
            _set_up(task["setup"], names)
            names |= {name: _calling(name, link) for name in task["names"]}  # the setup may hold a stub of that name
            _run_tests(test, names)
            if task["check"]:
                names[task["check"]](_calling(task["names"][0], link))
            passed = True
        except Cannot as error:
            link.send(test=index, cannot=str(error)[:300])
            continue
        except AssertionError as error:
            detail = f"assertion failed: {_message_of(error)}" if _message_of(error) else "assertion failed"
        except BaseException as error:  # noqa: BLE001  # whatever ends a test early fails it
            detail = f"{type(error).__name__}: {_message_of(error)}"
        if passed or link.asked > asked:
            link.send(test=index, passed=passed, detail=detail[:300])
        else:
            link.send(test=index, cannot=f"it fails before it calls the program: {detail}"[:300])
    link.send(done=True)


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except ValueError:  # about an integer of more digits than Python will write
        return "a message that cannot be shown"


def _names_of_tests(task: dict[str, Any], link: _Link) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    for name in task["modules"]:
        names[name] = importlib.import_module(name)
    return names


def _set_up(source: str, names: dict[str, Any]) -> None:
    try:
        _run_tests(source, names)
    except BaseException as error:  # noqa: BLE001  # the problem's own
        raise Cannot(f"the setup of the tests raised {type(error).__name__}: {error}") from None


def _run_tests(source: str, names: dict[str, Any]) -> None:
    exec(compile(source, "tests.py", "exec"), names)  # noqa: S102  # the problem's tests, inside a sandbox


def _calling(name: str, link: _Link) -> Callable[..., Any]:
    def candidate(*args: Any, **kwargs: Any) -> Any:
        try:
            request = {"call": name, "args": encode(list(args)), "kwargs": encode(kwargs)}
        except NotPlainError as error:
            raise Cannot(f"{name} is called with a {error}, which is not plain data") from None
        link.asked += 1
        link.send(**request)
        reply = link.receive()
        if "lost" in reply:
            raise Lost(reply["lost"])
        if "raised" in reply:
            kind, message = reply["raised"]
            found = getattr(builtins, kind, None)
            builtin = isinstance(found, type) and issubclass(found, Exception) and not issubclass(found, _NEVER)
            raise (
                found(message)
                if builtin and found is not None and not issubclass(found, UnicodeError)
                else ProgramError(f"{kind}: {message}")
            )
        try:
            return decode(reply["value"])
        finally:
            if "tell" in reply:
                link.send(read=True)

    candidate.__name__ = candidate.__qualname__ = name
    return candidate


if sys.flags.optimize:
    raise RuntimeError("asserts are turned off")
