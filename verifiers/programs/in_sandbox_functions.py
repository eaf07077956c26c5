"""A program whose functions are called from outside: this runs inside the sandbox, around the program that is judged.

    in:  {"nonce": ..., "program": text, "prompt": text, "function": name or ""}   out: {"nonce": ..., "value": null}
    in:  {"nonce": ..., "name": ..., "args": ..., "kwargs": ...}   out: {"nonce": ..., "value": data}
                                                                  or {"nonce": ..., "raised": [type, message]}
                                                                  or {"nonce": ..., "not_plain": type}

The program is imported rather than run: its `__name__` is not `__main__`, so that what it would do with standard input at a judge does
not happen. The names that judges import for such programs (typing's, the usual modules and what is in them) are there unless it
defines them itself.

Every line is JSON; arguments and values are as in `plain_data.py`. The program shares this process and may do to it what it
likes, forged replies included: a reply is only ever taken for what the function returned, and no expected value is in here.
"""

import bisect
import builtins
import collections
import copy
import functools
import heapq
import itertools
import json
import math
import operator
import random
import re
import string
import sys
import types
import typing
from typing import Any

from verifiers.programs.in_sandbox_completion import complete
from verifiers.programs.plain_data import NotPlainError, decode, encode
from verifiers.protocol_streams import take_streams, write_all

_MODULES = (bisect, collections, copy, functools, heapq, itertools, json, math, operator, random, re, string, sys, typing)
_OPENED = (collections, functools, heapq, itertools, math, bisect, typing)  # of one name in two, the first is meant


def main() -> None:
    """Load the program, then answer calls until there are no more."""
    calls, replies = take_streams()  # what the program prints is not an answer
    module = types.ModuleType("main")
    sys.modules["main"] = sys.modules["__main__"] = module  # dataclasses and pickle look for it
    _preset_names()
    vars(module).update(__file__="main.py", __builtins__=__builtins__)
    for line in calls:
        request = json.loads(line)
        try:
            reply = {"value": _serve(request, vars(module))}
        except NotPlainError as error:
            reply = {"not_plain": str(error)}
        except BaseException as error:  # noqa: BLE001  # the program's, reported as what the call did
            reply = {"raised": [type(error).__name__, _message_of(error)]}
        write_all(replies, json.dumps({"nonce": request["nonce"], **reply}).encode() + b"\n")


def _preset_names() -> None:
    """Put the usual names where a program's own come first, and where `_find_function` does not take them for functions of the program."""
    names = {module.__name__: module for module in _MODULES}
    for module in _OPENED:
        for name in getattr(module, "__all__", dir(module)):
            if not name.startswith("_"):
                names.setdefault(name, getattr(module, name))
    for name, value in names.items():
        vars(builtins).setdefault(name, value)


def _serve(request: dict[str, Any], names: dict[str, Any]) -> Any:
    if "program" in request:
        source = request["program"]
        if request["function"]:
            source = complete(request["prompt"], source, request["function"])
        exec(compile(source, "main.py", "exec"), names)  # noqa: S102  # inside the sandbox
        return None
    function = _find_function(request["name"], names)
    return encode(function(*decode(request["args"]), **decode(request["kwargs"])))


def _find_function(name: str, names: dict[str, Any]) -> Any:
    """The function of that name, or the method of a class `Solution`, as some sites have it."""
    if name not in names and "Solution" in names:
        return getattr(names["Solution"](), name)
    if name not in names:
        raise NameError(f"the program defines no {name}")
    return names[name]


def _message_of(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except BaseException:  # noqa: BLE001  # the program's own __str__
        return ""
