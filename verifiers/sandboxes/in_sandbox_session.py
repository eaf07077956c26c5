"""An interpreter that keeps its state from one piece of code to the next: this runs inside the sandbox, around that code.

    in:   {"nonce": ..., "code": text, "seconds": number}
    out:  {"nonce": ..., "ended": "ok" or "error" or "timeout"}, after everything that the code printed has been written

Lines are JSON. What the code prints, on either stream and from whatever process, goes out on standard error as it comes, with the
value of a last expression and the traceback of an exception, as at a prompt. Code that takes too long is interrupted, once; to
insist is the business of the other side. The code shares this process and may do to it what it likes.
"""

import ast
import contextlib
import json
import linecache
import os
import signal
import sys
import traceback
import types
from typing import Any

from verifiers.protocol_streams import take_streams, write_all

_CELL = "<cell {}>"


class Interrupt(BaseException):
    """Raised in the code when its time is over."""


def main() -> None:
    """Answer until there is nothing more to run."""
    requests, replies = take_streams()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that both streams come in the order of writing
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    vars(module).update(__builtins__=__builtins__)
    signal.signal(signal.SIGALRM, _interrupt)
    streams = sys.stdout, sys.stderr
    for count, line in enumerate(requests, 1):
        request = json.loads(line)
        sys.stdout, sys.stderr = streams = tuple(map(_usable_stream, streams, (1, 2)))
        ended = _run_cell(request["code"], _CELL.format(count), vars(module), request["seconds"])
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):  # the code may have put anything in its place
                stream.flush()
        write_all(replies, json.dumps({"nonce": request["nonce"], "ended": ended}).encode() + b"\n")


def _usable_stream(stream: Any, descriptor: int) -> Any:
    """The stream, or a new one if the code has closed it: what one cell does to it must not silence the next."""
    if not stream.closed:
        return stream
    with contextlib.suppress(OSError):
        os.fstat(descriptor)
        return os.fdopen(descriptor, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace")
    return open(os.devnull, "w", encoding="utf-8")


def _interrupt(number: int, frame: Any) -> None:
    raise Interrupt


def _run_cell(code: str, name: str, names: dict[str, Any], seconds: float) -> str:
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # so that a traceback can quote it
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            _evaluate(code, name, names)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:
        return "timeout"
    except BaseException as error:  # noqa: BLE001  # whatever the code raises is shown, SystemExit too
        try:
            _print_error(error)
        except BaseException:  # noqa: BLE001  # its own __str__, or a patched module
            os.write(2, b"an exception that cannot be shown\n")
        return "error"
    return "ok"


def _evaluate(code: str, name: str, names: dict[str, Any]) -> None:
    """Run the statements; a last one that is an expression has its value shown, unless it ends in a semicolon."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";") else None
    exec(compile(tree, name, "exec"), names)  # noqa: S102  # inside the sandbox
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307  # inside the sandbox
        if value is not None:
            names["_"] = value
            print(repr(value))


def _print_error(error: BaseException) -> None:
    """The traceback from the code's first frame on; a syntax error in it has none."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_CELL[:5]):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
