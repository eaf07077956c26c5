"""The theorem that a problem states, and the text that a response's proof makes with it: what is sent to Lean behind the imports.

The statement that Lean sees is always the problem's own. A proof that restates the theorem must do so token by token; what it says before
and of the theorem is dropped.
"""

import re
from dataclasses import dataclass

from verifiers.input_error import InputError
from verifiers.proofs.lean_screen import COMMANDS, HASH_COMMANDS, screen
from verifiers.proofs.lean_tokens import MAX_PROOF, LeanToken, ScreenError, read_tokens

_IMPORT = re.compile(r"[ \t]*import[ \t][^\n]*|[ \t]*(?:--[^\n]*)?")


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


def read_statement(text: object) -> Statement:
    """The parts of a problem's statement. Raises InputError in one line."""
    if not isinstance(text, str) or not text.strip():
        raise InputError('meta has no "statement": give imports and a theorem that ends with := or := by')
    text = text.replace("\r\n", "\n").rstrip()
    try:
        read = read_tokens(re.sub(r"/-[-!]", "/- ", text))  # doc comments are a problem's right
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
    read = read_tokens(proof)
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
        read = read_tokens(block)
    except ScreenError:
        # a doc comment before the restated theorem is read over; all else comes up again when the proof is screened
        read = read_tokens(re.sub(r"/-[-!]", "/- ", block))
    if read and read[0].text == ":=":
        return read[0].end
    declared = [index for index, token in enumerate(read) if _is_declaration(token)]
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
        read = read_tokens(proof)
    except ScreenError:  # says it again, with the line, when the proof is screened
        return proof
    for token in read[1:]:
        command = (token.kind == "word" and token.text == "end") or (token.kind == "hash" and token.text[1:] in HASH_COMMANDS)
        if command and proof[token.begin - 1] == "\n":
            return proof[: token.begin]
    return proof


def _is_declaration(token: LeanToken) -> bool:
    return token.kind == "word" and token.text in COMMANDS
