"""A program whose functions are called from outside: this runs inside the sandbox, around the program that is judged.

    in:  {"program": text}                                      out: {"nonce": ..., "value": null}
    in:  {"nonce": ..., "name": ..., "args": ..., "kwargs": ...}   out: {"nonce": ..., "value": data}
                                                                  or {"nonce": ..., "raised": [type, message]}
                                                                  or {"nonce": ..., "not_plain": type}

Every line is JSON; arguments and values are as in `plain_data.py`. The program shares this process and may do to it what it
likes, forged replies included: a reply is only ever taken for what the function returned, and no expected value is in here.
"""

import json
import os
import sys
import types
from typing import Any

from verifiers.plain_data import NotPlainError, decode, encode


def main() -> None:
    """Load the program, then answer calls until there are no more."""
    calls = os.fdopen(os.dup(0), "rb")
    replies = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # what the program prints is not an answer
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    vars(module).update(__file__="main.py", __builtins__=__builtins__)
    for line in calls:
        request = json.loads(line)
        try:
            reply = {"value": _serve(request, vars(module))}
        except NotPlainError as error:
            reply = {"not_plain": str(error)}
        except BaseException as error:  # noqa: BLE001  # the program's, reported as what the call did
            reply = {"raised": [type(error).__name__, _text(error)]}
        data = memoryview(json.dumps({"nonce": request["nonce"], **reply}).encode() + b"\n")
        while data:
            data = data[os.write(replies, data) :]


def _serve(request: dict[str, Any], names: dict[str, Any]) -> Any:
    if "program" in request:
        exec(compile(request["program"], "main.py", "exec"), names)  # noqa: S102  # inside the sandbox
        return None
    function = _find(request["name"], names)
    return encode(function(*decode(request["args"]), **decode(request["kwargs"])))


def _find(name: str, names: dict[str, Any]) -> Any:
    """The function of that name, or the method of a class `Solution`, as some sites have it."""
    if name not in names and "Solution" in names:
        return getattr(names["Solution"](), name)
    if name not in names:
        raise NameError(f"the program defines no {name}")
    return names[name]


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except BaseException:  # noqa: BLE001  # the program's own __str__
        return ""
