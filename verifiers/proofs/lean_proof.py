r"""Is this a Lean 4 proof of the theorem? The policy supplies the proof and nothing else.

A problem says in `meta` what is to be proved, and its `answer` is a proof that is known, so that it can be audited:

    {"statement": "import Mathlib\n\ntheorem two : 1 + 1 = 2 := by"}      imports, whatever else is needed, and last the theorem
    {..., "axioms": ["propext"], "time_limit": 120}                       the axioms allowed, and the seconds (60), if not the usual

The statement ends with `:=`, and the proof is a term; or with `:= by`, and the proof is tactics, or a term that begins with `by`
(a `sorry` at its end is taken off). The proof is looked for in the last ```lean block, else in the last block of any kind, the
last <answer>, or is the whole response. One that restates the theorem must do so token by token, and what it says before and of the
theorem is dropped, and so is what follows from a line that begins with `#check` (any such command) or `end`; a restatement that
differs is WRONG. The statement that Lean sees is always the problem's own text.

Then, in this order: `lean_screen.py` refuses words that a proof has no use for; Lean must report no error, no `sorry` (by its
list of sorries, and by the warning in both its spellings) and, asked by us for the axioms of the theorem, none but those allowed.
That is a list of what may be, not of what may not: `sorryAx` and the axioms that `native_decide` makes up for each use are not on it.

Lean is reached as the environment says, by one of
    RECKON_LEAN_REPL      the command that starts a Lean REPL, as "lake env /path/to/repl"; RECKON_LEAN_MEMORY is its limit in MB
    RECKON_LEAN_URL       the address of a server with Kimina's interface; RECKON_LEAN_API_KEY, if it wants one
    RECKON_LEAN_REPLAY    a folder of recorded replies

No Lean, a crash or no answer in time are ours and give no verdict (CRASH, TIMEOUT): a proof that may run for ever does not train,
so let the statement set `maxHeartbeats`, which makes running out of it an error, and WRONG. A pool's deadline must be longer than
`time_limit`.

Not covered: whether the statement says what was meant; and a Lean whose kernel, or environment as the proof leaves it, lies. The
screen bars every known way to that; for results that matter, replay the compiled proof in an independent checker.
"""

import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.proofs.lean_kimina import LeanKimina
from verifiers.proofs.lean_repl import LeanRepl
from verifiers.proofs.lean_replay import LeanReplay
from verifiers.proofs.lean_statement import attach, read_statement
from verifiers.proofs.lean_tokens import ScreenError
from verifiers.proofs.lean_transport import LeanFailure, LeanMissing, LeanTimeout, Message, Reply, Transport
from verifiers.response_text.fenced_blocks import last_block
from verifiers.response_text.final_answer import tagged
from verifiers.verdict import Status, Verdict, bad_gold, no_answer, right, wrong

USUAL_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""What ordinary mathematics in Lean rests on."""
TIME_LIMIT = 60.0
REMEDY = (
    'no Lean to ask: set RECKON_LEAN_REPL to the command of a Lean REPL ("lake env /path/to/repl"), or RECKON_LEAN_URL to a Kimina '
    "Lean server's address; metamath_proof works without either"
)

_SORRY_WARNING = re.compile(r"declaration uses ['`]sorry['`]")
_AXIOMS = re.compile(r"'([^\n]{1,400})' (?:(does not depend on any axioms)|depends on axioms:\s*\[([^\[\]]*)\])\s*")
_LEAN = {"lean", "lean4"}

_lock = threading.Lock()
_transports: dict[tuple[Any, ...], Transport] = {}


def verify(problem: Problem, response: str) -> Verdict:
    """RIGHT if Lean accepts the response's proof of the problem's statement, from the allowed axioms; WRONG says why not.

    CRASH and TIMEOUT, without a score, if Lean could not be asked. Any number of threads may call it.
    """
    try:
        statement = read_statement(problem.meta.get("statement"))
        allowed, limit = _read_settings(problem.meta)
    except InputError as error:
        return bad_gold(str(error))
    block = extract_block(response)
    if not block.strip():
        return no_answer("the response holds no proof")
    try:
        body = attach(statement, block)
    except ScreenError as error:
        return wrong(f"not sent to Lean: {error}")
    try:
        reply = transport().elaborate(statement.header, body, f"#print axioms {statement.name}", time.monotonic() + limit)
        return judge(reply, statement.name, allowed)
    except LeanTimeout as error:
        return Verdict(None, Status.TIMEOUT, f"{error} ({limit:g} s)")
    except LeanFailure as error:
        return Verdict(None, Status.CRASH, str(error))
    except InputError as error:
        return Verdict(None, Status.CRASH, str(error))


def transport() -> Transport:
    """The way to Lean that the environment names: made once for a process. Raises LeanMissing (none) and InputError (unusable)."""
    keys = ("RECKON_LEAN_REPLAY", "RECKON_LEAN_URL", "RECKON_LEAN_REPL", "RECKON_LEAN_API_KEY", "RECKON_LEAN_MEMORY")
    replay, url, command, api_key, memory = (os.environ.get(key, "") for key in keys)
    if not (replay or url or command):
        raise LeanMissing(REMEDY)
    if sum(map(bool, (replay, url, command))) > 1:
        raise InputError("set one of RECKON_LEAN_REPL, RECKON_LEAN_URL and RECKON_LEAN_REPLAY, not several")
    if memory and not (memory.isascii() and memory.isdigit() and int(memory)):
        raise InputError(f"RECKON_LEAN_MEMORY is {memory!r}; it should be a number of MB")
    key = (os.getpid(), replay, url, command, api_key, memory)
    with _lock:
        if key not in _transports:
            if replay:
                _transports[key] = LeanReplay(Path(replay))
            elif url:
                _transports[key] = LeanKimina(url, api_key=api_key)
            else:
                _transports[key] = LeanRepl(command, memory=int(memory or 16 << 10) << 20)
        return _transports[key]


def check() -> None:
    """Raises InputError where it can be seen without starting Lean or asking a server that there is none to ask."""
    try:
        transport()
    except LeanMissing as error:
        raise InputError(str(error)) from None
    command = shlex.split(os.environ.get("RECKON_LEAN_REPL", ""))
    if command and shutil.which(command[0]) is None:
        raise InputError(f"RECKON_LEAN_REPL: there is no program {command[0]!r} to start; give the whole path, or install it")


def _read_settings(meta: Mapping[str, Any]) -> tuple[frozenset[str], float]:
    axioms, limit = meta.get("axioms", USUAL_AXIOMS), meta.get("time_limit", TIME_LIMIT)
    if not isinstance(axioms, list | tuple | frozenset) or not all(isinstance(name, str) for name in axioms):
        raise InputError('"axioms" in meta must be a list of names')
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e6:
        raise InputError('"time_limit" in meta must be a number of seconds')
    return frozenset(axioms), float(limit)


def extract_block(response: str) -> str:
    """The last fenced block that says it is Lean; else the last one; else the last <answer>; else the whole response."""
    text = response.replace("\r\n", "\n").rpartition("</think>")[2]
    block = last_block(text, _LEAN, unfinished=True, any_other=True)  # the last one may be cut off by a stop string
    found = tagged(text) if block is None else block
    return text if found is None else found


def judge(reply: Reply, name: str, allowed: frozenset[str]) -> Verdict:
    """The verdict on a reply to a body that ends with the theorem `name`, audited by `#print axioms`. Raises LeanFailure."""
    for message in reply.messages:
        if message.severity == "error":
            return wrong(f"Lean, line {message.line}: {message.text[:400]}")
    if reply.sorries:
        return wrong(f"the proof leaves {reply.sorries} goals to sorry")
    for message in reply.messages:
        if message.severity == "warning" and _SORRY_WARNING.search(message.text[:4000]):
            return wrong("Lean warns that the declaration uses sorry")
    axioms = read_axioms(reply.audit, name)
    if extra := sorted(axioms - allowed):
        return wrong(f"the proof depends on {', '.join(extra[:5])[:300]}")
    return right(f"{name}: proved from {', '.join(sorted(axioms)) or 'no axioms'}")


def read_axioms(audit: tuple[Message, ...], name: str) -> frozenset[str]:
    """The axioms in Lean's answer to `#print axioms name`. Raises LeanFailure unless it is that answer, the whole and nothing else."""
    told = [message for message in audit if message.severity == "info"]
    if len(audit) != 1 or not told:
        texts = "; ".join(message.text[:120] for message in audit[:3])
        raise LeanFailure(f"Lean accepted the proof but did not list its axioms once: {texts or 'no answer'}")
    match = _AXIOMS.fullmatch(told[0].text)
    if match is None or not f".{match[1]}".endswith(f".{name}"):
        raise LeanFailure(f"Lean's list of axioms cannot be read: {told[0].text[:200]!r}")
    names = frozenset(match[3].replace(",", " ").split()) if match[2] is None else frozenset()
    if match[2] is None and not names:
        raise LeanFailure("Lean's list of axioms is empty")
    return names
