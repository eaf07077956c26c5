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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.proofs.lean_kimina import LeanKimina
from verifiers.proofs.lean_repl import LeanRepl
from verifiers.proofs.lean_replay import LeanReplay
from verifiers.proofs.lean_screen import COMMANDS, HASH_COMMANDS, MAX_PROOF, ScreenError, screen, tokens
from verifiers.proofs.lean_settings import Token
from verifiers.proofs.lean_transport import LeanFailure, LeanMissing, LeanTimeout, Message, Reply, Transport
from verifiers.response_text.fenced_blocks import fenced_blocks
from verifiers.response_text.final_answer import tagged
from verifiers.verdict import Status, Verdict, bad_gold, no_answer, right, wrong

USUAL_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""What ordinary mathematics in Lean rests on."""
TIME_LIMIT = 60.0
REMEDY = (
    'no Lean to ask: set RECKON_LEAN_REPL to the command of a Lean REPL ("lake env /path/to/repl"), or RECKON_LEAN_URL to a Kimina '
    "Lean server's address; metamath_proof works without either"
)

_IMPORT = re.compile(r"[ \t]*import[ \t][^\n]*|[ \t]*(?:--[^\n]*)?")
_SORRY_WARNING = re.compile(r"declaration uses ['`]sorry['`]")
_AXIOMS = re.compile(r"'([^\n]{1,400})' (?:(does not depend on any axioms)|depends on axioms:\s*\[([^\[\]]*)\])\s*")
_LEAN = {"lean", "lean4"}

_lock = threading.Lock()
_transports: dict[tuple[Any, ...], Transport] = {}


@dataclass(frozen=True, slots=True)
class Statement:
    """A problem's theorem, in the parts that are sent and compared."""

    header: str
    """The import lines, which transports keep a warm Lean for."""
    rest: str
    """Everything else up to and with `:=`."""
    name: str
    theorem: tuple[str, ...]
    """The tokens from `theorem` to `:=`."""
    tactics: bool
    """Whether `by` follows, so that the proof may be bare tactics."""


def verify(problem: Problem, response: str) -> Verdict:
    """RIGHT if Lean accepts the response's proof of the problem's statement, from the allowed axioms; WRONG says why not.

    CRASH and TIMEOUT, without a score, if Lean could not be asked. Any number of threads may call it.
    """
    try:
        statement = read_statement(problem.meta.get("statement"))
        allowed, limit = _settings(problem.meta)
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
        reply = transport().check(statement.header, body, f"#print axioms {statement.name}", time.monotonic() + limit)
        return judge(reply, statement.name, allowed)
    except LeanTimeout as error:
        return Verdict(None, Status.TIMEOUT, f"{error} ({limit:g} s)")
    except LeanFailure as error:
        return Verdict(None, Status.CRASH, str(error))
    except InputError as error:
        return Verdict(None, Status.CRASH, str(error))


def theorem_problem(statement: str, proof: str, *, prompt: str = "", **meta: Any) -> Problem:
    """The problem of proving a Lean theorem, with a known proof as its answer. Raises InputError for a statement that is none."""
    read_statement(statement)
    task = "Prove this Lean 4 theorem. End with the proof, and nothing else, in a ```lean block; sorry and new axioms do not count."
    text = prompt or f"{task}\n\n```lean\n{statement.rstrip()}\n```"
    return make_problem(text, proof, verifier="lean_proof", meta={"statement": statement, **meta})


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


def check_available(header: str = "", *, limit: float = 120.0) -> None:
    """Raises InputError, in one line with what to do, unless Lean answers here and proves `True` after the imports in `header`."""
    try:
        reply = transport().check(
            header, "theorem reckon_probe : True :=\n  trivial\n", "#print axioms reckon_probe", time.monotonic() + limit
        )
    except (LeanFailure, LeanTimeout) as error:
        raise InputError(str(error)) from None
    verdict = judge(reply, "reckon_probe", USUAL_AXIOMS)
    if verdict.status is not Status.RIGHT:
        raise InputError(f"Lean does not prove True here: {verdict.detail}")


def check() -> None:
    """Raises InputError where it can be seen without starting Lean or asking a server that there is none to ask."""
    try:
        transport()
    except LeanMissing as error:
        raise InputError(str(error)) from None
    command = shlex.split(os.environ.get("RECKON_LEAN_REPL", ""))
    if command and shutil.which(command[0]) is None:
        raise InputError(f"RECKON_LEAN_REPL: there is no program {command[0]!r} to start; give the whole path, or install it")


# ---------------------------------------------------------------- what is to be proved


def read_statement(text: object) -> Statement:
    """The parts of a problem's statement. Raises InputError in one line."""
    if not isinstance(text, str) or not text.strip():
        raise InputError('meta has no "statement": give imports and a theorem that ends with := or := by')
    text = text.replace("\r\n", "\n").rstrip()
    try:
        read = tokens(re.sub(r"/-[-!]", "/- ", text))  # doc comments are a problem's right
    except ScreenError as error:
        raise InputError(f'"statement" in meta cannot be read: {error}') from None
    while read and read[-1].text == "sorry":
        read.pop()
    tactics = bool(read) and read[-1].text == "by"
    if tactics:
        read.pop()
    starts = [index for index, token in enumerate(read) if token.kind == "word" and token.text in ("theorem", "lemma")]
    if not starts or read[-1].text != ":=" or len(read) < starts[-1] + 4:
        raise InputError('"statement" in meta must end with a theorem and := or := by')
    theorem = read[starts[-1] :]
    if theorem[1].kind != "word":
        raise InputError('the theorem in "statement" in meta must have a name')
    header, rest = split_header(text[: theorem[-1].end])
    return Statement(header, rest, theorem[1].text, tuple(token.text for token in theorem), tactics)


def split_header(text: str) -> tuple[str, str]:
    """The import lines at the beginning, and the rest. Blank lines and line comments between imports go with them."""
    lines = text.split("\n")
    last = 0
    for index, line in enumerate(lines):
        if not _IMPORT.fullmatch(line):
            break
        if line.lstrip().startswith("import"):
            last = index + 1
    return "\n".join(line for line in lines[:last] if "import" in line), "\n".join(lines[last:]).lstrip("\n")


def _settings(meta: Mapping[str, Any]) -> tuple[frozenset[str], float]:
    axioms, limit = meta.get("axioms", USUAL_AXIOMS), meta.get("time_limit", TIME_LIMIT)
    if not isinstance(axioms, list | tuple | frozenset) or not all(isinstance(name, str) for name in axioms):
        raise InputError('"axioms" in meta must be a list of names')
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e6:
        raise InputError('"time_limit" in meta must be a number of seconds')
    return frozenset(axioms), float(limit)


# ---------------------------------------------------------------- what the response adds


def extract_block(response: str) -> str:
    """The last fenced block that says it is Lean; else the last one; else the last <answer>; else the whole response."""
    text = response.replace("\r\n", "\n").rpartition("</think>")[2]
    blocks = list(fenced_blocks(text, unfinished=True))  # the last one may be cut off by a stop string
    for languages in (_LEAN, None):
        for language, code in reversed(blocks):
            if languages is None or language in languages:
                return code
    found = tagged(text)
    return text if found is None else found


def attach(statement: Statement, block: str) -> str:
    """The problem's theorem with the proof in `block`: the text that is sent behind the imports.

    Columns matter in Lean, so the lines of the proof keep theirs: the first one too, by spaces in place of what stood before it.
    Bare tactics are indented. Raises ScreenError for what is refused.
    """
    if len(block) > MAX_PROOF:
        raise ScreenError(f"{len(block)} characters, more than {MAX_PROOF}")
    begin = _proof_begin(statement, block)
    proof = (_without_tail(block[begin:]) if begin else block).rstrip()
    start = len(proof) - len(proof.lstrip(" \n"))
    begin, proof = begin + start, proof[start:]
    screen(proof)
    read = tokens(proof)
    if not read:
        raise ScreenError("there is no proof, only comments")
    column = begin - (block.rfind("\n", 0, begin) + 1)
    if statement.tactics and read[0].text != "by":
        lines = (" " * column + proof).split("\n")
        return f"{statement.rest} by\n" + "".join(f"  {line}".rstrip() + "\n" for line in lines)
    return f"{statement.rest}\n{' ' * max(1, column)}{proof}\n"


def _proof_begin(statement: Statement, block: str) -> int:
    """Where in a block the proof begins: behind a `:=` at its start, or behind the restated theorem. Raises ScreenError."""
    try:
        read = tokens(block)
    except ScreenError:
        # a doc comment before the restated theorem is read over; all else comes up again when the proof is screened
        read = tokens(re.sub(r"/-[-!]", "/- ", block))
    if read and read[0].text == ":=":
        return read[0].end
    declared = [index for index, token in enumerate(read) if _declares(token)]
    if not declared:
        return 0
    length = len(statement.theorem)
    for index in declared:
        if tuple(token.text for token in read[index : index + length]) == statement.theorem:
            return read[index + length - 1].end
    token = read[declared[0]]
    if any(read[index].text in ("theorem", "lemma", "example") for index in declared):
        raise ScreenError(f"it states another theorem than {statement.name}: a restatement must be the problem's, token by token")
    raise ScreenError(f"{token.text} is not allowed in a proof")


def _without_tail(proof: str) -> str:
    """The proof up to a `#check`, `#print` or `end Name` at the beginning of a line, as often follows a restated theorem.

    Such a word there ends the declaration, whatever comes after it, and Lean is never sent what is cut off.
    """
    try:
        read = tokens(proof)
    except ScreenError:  # says it again, with the line, when the proof is screened
        return proof
    for token in read[1:]:
        command = (token.kind == "word" and token.text == "end") or (token.kind == "hash" and token.text[1:] in HASH_COMMANDS)
        if command and proof[token.begin - 1] == "\n":
            return proof[: token.begin]
    return proof


def _declares(token: Token) -> bool:
    return token.kind == "word" and token.text in COMMANDS


# ---------------------------------------------------------------- what Lean says of it


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
