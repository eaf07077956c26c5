"""Functions of a program that runs in a sandbox, to be called from here; `in_sandbox_functions.py` is the other side.

Each call's arguments go in, and the returned value comes out as plain data behind a nonce drawn for that call. Whatever else the
program sends, and a record that does not come, ends it: all its later calls are answered with why.

`LocalServed` talks with a program on this machine, and keeps the time of each test. A server that runs one program to its end
cannot be talked with, and `RemoteServed` sends the calls together: those that the tests are seen to make, and where a test makes
another one, all calls made so far and the new one, in a program started afresh. That is the same to a program whose functions
depend on their arguments and on earlier calls, and not to one that draws numbers or looks at the clock. Where so many batches take
all the time that the tests have, there is no verdict: it may be the server that is slow, and not the program. The time for one test
is, there, that for a batch.
"""

import ast
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from verifiers.programs.judging_sandbox import SERVED
from verifiers.programs.plain_data import NotPlainError, NotRecordError, check_plain, encode, parse_json
from verifiers.programs.test_budget import SandboxFailedError, within
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.running_program import Limits, Outcome, Run

_SHIPPED = ("programs/in_sandbox_completion", "programs/plain_data", "programs/in_sandbox_functions", "protocol_streams")
"""To a server, for each program."""
_LONGEST_LINE = 8 << 20
_MOST_REQUESTS = 200
_TOO_OFTEN = "the tests call the program with computed arguments too often for a server over HTTP; run them with RECKON_SANDBOX=strict"
_DRIVER = f"import os, sys\nsys.path.insert(0, os.getcwd())\nimport {SERVED} as served\nserved.main()\n"

FunctionCall = tuple[str, Any, Any]
"""A name, and the arguments as `encode` writes them: a list and a dict."""


class Source(NamedTuple):
    """A program. With `function`, it completes the prompt, which begins that function (`in_sandbox_completion.py`)."""

    program: str
    prompt: str = ""
    function: str = ""

    def request(self) -> dict[str, Any]:
        return {"program": self.program, "prompt": self.prompt, "function": self.function}


def json_line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


class LocalServed:
    """A program on this machine that waits for calls. It loads in the time of one test, and each test has as much again."""

    def __init__(self, sandbox: Sandbox, source: Source, limits: Limits, deadline: float) -> None:
        self._each = limits.wall
        limits = Limits(wall=max(0.01, deadline - time.monotonic()), memory=limits.memory, output=_LONGEST_LINE)
        self._program = sandbox.start("", entry=SERVED, limits=limits)
        self._ended = False
        self.next_test()
        self._lost = _why_not_loaded(self._ask_program(source.request()))
        self.next_test()

    def next_test(self) -> None:
        """The calls that follow belong to another test, which has the time of one to itself."""
        self._until = time.monotonic() + self._each

    def call(self, name: str, args: Any, kwargs: Any) -> dict[str, Any]:
        """{"value": data}, {"raised": [type, message]}, or {"lost": why} where there is nothing that can be used.

        The data have passed `check_plain`: they are of the shape that `encode` writes and of bounded size, and no more is known.
        """
        if self._lost:
            return {"lost": self._lost}
        reply = self._ask_program({"name": name, "args": args, "kwargs": kwargs})
        if "lost" in reply and not reply.pop("goes_on", False):
            self._lost = str(reply["lost"])
        return reply

    def _ask_program(self, request: dict[str, Any]) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        self._program.write(json_line({"nonce": nonce, **request}))
        try:
            answer = self._program.read_line(until=self._until)
        except TimeoutError:
            self.end()
            return {"lost": f"{Outcome.TIMEOUT}: not done after {self._each:g} s"}
        if answer is not None:
            return _read_reply(answer, nonce)
        self._ended = True
        return {"lost": _why_ended(self._program.finish())}

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._program.stop()
            self._program.finish()


class RemoteServed:
    """The same for a program at a server, started anew for each batch of calls."""

    def __init__(self, sandbox: RemoteSandbox, source: Source, limits: Limits, deadline: float, expected: Sequence[FunctionCall]) -> None:
        self._sandbox, self._source, self._limits, self._deadline = sandbox, source, limits, deadline
        self._made: list[FunctionCall] = []
        self._asked = list(expected)
        self._requests = 0
        self._lost = ""
        self._replies = self._ask_all(self._asked)

    def call(self, name: str, args: Any, kwargs: Any) -> dict[str, Any]:
        call = (name, args, kwargs)
        self._made.append(call)
        index = len(self._made) - 1
        if not self._lost and (index >= len(self._asked) or self._asked[index] != call):
            self._asked = list(self._made)
            self._replies = self._ask_all(self._asked)
        return {"lost": self._lost} if self._lost else self._replies[index]

    def _ask_all(self, calls: Sequence[FunctionCall]) -> list[dict[str, Any]]:
        """A reply for each call. Sets `_lost` where the program does not even load."""
        self._requests += 1
        left = self._deadline - time.monotonic()
        again = self._requests > 1
        if again and (self._requests > _MOST_REQUESTS or left <= 0):
            raise SandboxFailedError(_TOO_OFTEN)
        requests = [self._source.request(), *({"name": name, "args": args, "kwargs": kwargs} for name, args, kwargs in calls)]
        nonces = [secrets.token_hex(16) for _ in requests]
        stdin = b"".join(json_line({"nonce": nonce, **request}) for nonce, request in zip(nonces, requests, strict=True))
        run = self._sandbox.run(_DRIVER, stdin, limits=within(self._limits, self._deadline), files=_driver_files())
        if run.status is Outcome.SANDBOX_ERROR:
            raise SandboxFailedError(run.detail)
        if run.status is Outcome.TIMEOUT and again and left < self._limits.wall:
            raise SandboxFailedError(_TOO_OFTEN)
        answers = run.stdout.split(b"\n")[:-1]
        replies = [_read_reply(answer, nonce) for answer, nonce in zip(answers, nonces, strict=False)]
        for index, reply in enumerate(replies):
            if "lost" in reply and not reply.pop("goes_on", False):
                del replies[index + 1 :]
                break
        replies += [replies[-1] if replies and "lost" in replies[-1] else {"lost": _why_ended(run)}] * (len(requests) - len(replies))
        self._lost = _why_not_loaded(replies[0])
        return replies[1:]

    def next_test(self) -> None:
        """The server has one time for all calls of a batch."""

    def end(self) -> None:
        """Nothing runs."""


def serve(
    sandbox: Sandbox | RemoteSandbox, source: Source, limits: Limits, deadline: float, expected: Sequence[FunctionCall] = ()
) -> LocalServed | RemoteServed:
    """A program, started. `expected` are calls that will probably be made, in that order. Raises SandboxFailedError."""
    if isinstance(sandbox, RemoteSandbox):
        return RemoteServed(sandbox, source, limits, deadline, expected)
    return LocalServed(sandbox, source, limits, deadline)


def _driver_files() -> dict[str, bytes]:
    own = Path(__file__).parents[1]
    files = {f"verifiers/{name}.py": (own / f"{name}.py").read_bytes() for name in _SHIPPED}
    return {"verifiers/__init__.py": b"\n", "verifiers/programs/__init__.py": b"\n"} | files


def _why_not_loaded(reply: dict[str, Any]) -> str:
    """Why a program did not load, from the reply to it; "" if it did."""
    if "value" in reply:
        return ""
    return "the program raised {}: {}".format(*reply["raised"]) if "raised" in reply else str(reply["lost"])


def _why_ended(run: Run) -> str:
    """Why a program is gone. Raises SandboxFailedError where it is not the program's doing."""
    if run.status is Outcome.SANDBOX_ERROR:
        raise SandboxFailedError(run.detail)
    return f"{run.status}: {run.detail}" if run.detail else "the program ended before the call returned"


def _read_reply(answer: bytes, nonce: str) -> dict[str, Any]:
    """The reply on a line. What `in_sandbox_functions.py` does not write is lost; a value that is not plain data too, but the program
    goes on.
    """
    try:
        reply = parse_json(answer)
        if not secrets.compare_digest(reply["nonce"].encode(), nonce.encode()):
            raise ValueError("another nonce")
        if "value" in reply:
            check_plain(reply["value"])
            return {"value": reply["value"]}
        if "not_plain" in reply:
            return {"lost": f"returned a {str(reply['not_plain'])[:60]}, which is not plain data", "goes_on": True}
        kind, message = reply["raised"]
        return {"raised": [str(kind)[:100], str(message)[:300]]}
    except NotRecordError as error:
        return {"lost": f"the program sent something that is no record: {error}"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        return {"lost": "the program sent something that is no record"}


def literal_calls(sources: Sequence[str], names: Sequence[str], alias: str = "") -> list[FunctionCall]:
    """The calls of `names` with constant arguments in the tests' text, in its order: what they will make if they run straight through.

    With `alias`, the first of `names` is called by whatever name the function of that name gives its first parameter.
    """
    calls = []
    for source in sources:
        tree = ast.parse(source)
        known = {name: name for name in names}
        for node in ast.walk(tree):
            if alias and isinstance(node, ast.FunctionDef) and node.name == alias and node.args.args:
                known[node.args.args[0].arg] = names[0]
        for node in _in_order(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                try:
                    args = encode([ast.literal_eval(argument) for argument in node.args])
                    kwargs = encode({keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords})
                except (ValueError, TypeError, SyntaxError, NotPlainError, MemoryError, RecursionError):
                    continue
                calls.append((known[node.func.id], args, kwargs))
    return calls


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree, each after those inside it, as they are evaluated."""
    waiting = [(tree, False)]
    while waiting:
        node, entered = waiting.pop()
        if entered:
            yield node
        else:
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(list(ast.iter_child_nodes(node)))]
