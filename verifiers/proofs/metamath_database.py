"""Metamath databases: one fast pass finds every statement, and what a proof refers to is parsed when it is first needed.

The language is that of the Metamath book, 2nd edition (Megill and Wheeler 2019), chapter 4: constants, variables, `$f` and `$e`
hypotheses, `$d` conditions, scopes, assertions, comments and includes. The pass decides what is well formed as a sequence of
statements (labels unique, scopes closed, symbols declared once); whether a single statement uses active symbols is checked when it
is used, so that a broken statement far away costs nothing. Nothing here judges a proof: that is `metamath_proof.py`'s business.

An expression is a type code and a body, in which every symbol is preceded by one blank (" ( ph -> ps )"): substitution is
then string formatting, equality is string equality, and an empty body, which the book allows, needs no special case.

Left out: the markup inside comments (`$t`, discouraged statements), and proofs in the databases, which nobody needs to read twice.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from verifiers.input_error import InputError

COMMENT = re.compile(r"(?<!\S)\$\(\s[^$]*(?:\$(?![()])[^$]*)*(?<=\s)\$\)(?=\s|\Z)", re.ASCII)
"""The book, 4.1.2 and 4.4.1: delimited by white space, and neither `$(` nor `$)` inside."""
LABEL = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_STATEMENT = re.compile(
    r"\s*(?:\$([{}])|([A-Za-z0-9._-]+)\s+\$([aefp])\s([^$]*)(?:(?<=\s)\$=\s([^$]*))?(?<=\s)\$\.|\$([cvd])\s([^$]*)(?<=\s)\$\.)(?=\s|\Z)",
    re.ASCII,
)
_INCLUDE = re.compile(r"(?<!\S)\$\[\s+(\S+)\s+\$\](?!\S)", re.ASCII)
_ALLOWED = bytes([*b"\t\n\f\r", *range(32, 127)])
_KEPT = 4  # databases held by one process


class Hypothesis(NamedTuple):
    """A `$f` (`variable` is its variable, `body` that variable) or a `$e` (`variable` is empty)."""

    number: int
    label: str
    typecode: str
    body: str
    variable: str


class Template(NamedTuple):
    """An expression to substitute in: `text % values`, where the values are those of the hypotheses `slots`."""

    text: str
    slots: tuple[int, ...]
    size: int
    """Characters that are not substituted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What an assertion needs and gives: its mandatory hypotheses in order and their templates (4.2.7 of the book)."""

    label: str
    typecode: str
    body: Template
    hypotheses: tuple[Hypothesis, ...]
    essential: tuple[tuple[int, Template], ...]
    """The place of each `$e` among the hypotheses, and its template."""
    disjoint: tuple[tuple[int, int], ...]
    """Places of the `$f` hypotheses whose variables must be substituted by expressions without a common variable."""


@dataclass(eq=False, slots=True)
class Scope:
    """What `${` opened. Inner scopes see outer ones, and a statement sees what has a lower number than its own."""

    parent: "Scope | None"
    variables: dict[str, int]
    floating: dict[str, Hypothesis]
    essential: list[str]
    disjoint: list[tuple[int, tuple[str, ...]]]

    def chain(self) -> Iterator["Scope"]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class _Record(NamedTuple):
    number: int
    kind: str
    scope: Scope
    math: tuple[int, int]
    proof: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be proved: an expression, and everything that a proof of it may refer to."""

    label: str
    number: int
    """Assertions with a lower number may be used."""
    typecode: str
    body: str
    mandatory: tuple[Hypothesis, ...]
    active: Mapping[str, Hypothesis]
    """All active hypotheses by label, the mandatory ones and those of other variables (dummies)."""
    disjoint: frozenset[tuple[str, str]]
    """Active `$d` pairs, both ways round."""
    dummies_distinct: bool
    """Whether a variable that the goal does not mention counts as distinct from all others. Sound: it is nowhere in the result."""


class Database:
    """An indexed database. Methods raise InputError, in one line, for labels that are not there and statements that are malformed."""

    def __init__(self, path: Path, *, text: str | None = None) -> None:
        self.path = path
        self.files: list[Path] = []
        self._text = self._read(path, text)
        self._labels: dict[str, _Record] = {}
        self._theorems: list[str] = []
        self._constants: dict[str, int] = {}
        self._variables: set[str] = set()  # of all scopes, also those that are closed
        self._outermost = Scope(None, {}, {}, [], [])
        self._frames: dict[str, Frame] = {}
        self._index()

    def _read(self, path: Path, text: str | None = None) -> str:
        """The file without comments, its includes (4.1.2: each file once) put in their places."""
        self.files.append(path.resolve())
        if text is None:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise InputError(
                    f"the Metamath database {path} cannot be read ({error.strerror}); give the path of a .mm file, or get some with "
                    "`apt install metamath-databases` (they are then in /usr/share/metamath/databases)"
                ) from None
            if bad := data.translate(None, _ALLOWED):
                raise InputError(f"{path} holds the byte 0x{bad[0]:02x}; a Metamath database is printable ASCII and white space only")
            text = data.decode("ascii")
        text = COMMENT.sub(" ", text)
        parts, end = [], 0
        for match in _INCLUDE.finditer(text) if "$[" in text else ():
            included = self.files[0].parent / match[1]
            parts += [text[end : match.start()], "" if included.resolve() in self.files else self._read(included)]
            end = match.end()
        return "".join([*parts, text[end:]]) if parts else text

    def _index(self) -> None:
        """Where every statement is, and what is declared where."""
        text, scope, number, end = self._text, self._outermost, 0, 0
        match = _STATEMENT.match(text)
        while match is not None:
            number += 1
            bracket, label, kind, _, _, declaration, _ = match.groups()
            if label is not None:
                if (kind == "p") is (match.start(5) < 0):
                    raise self._malformed(f"{label} ${kind} has " + ("no $= proof" if kind == "p" else "a proof"))
                if label in self._labels:
                    raise self._malformed(f"the label {label} is used twice")
                self._labels[label] = _Record(number, kind, scope, match.span(4), match.span(5))
                if kind == "p":
                    self._theorems.append(label)
                elif kind == "f":
                    self._float(scope, self._labels[label], label)
                elif kind == "e":
                    scope.essential.append(label)
            elif declaration is not None:
                self._declare(scope, declaration, match[7].split(), number)
            elif bracket == "{":
                scope = Scope(scope, {}, {}, [], [])
            elif scope.parent is None:
                raise self._malformed("$} without ${")
            else:
                scope = scope.parent
            end = match.end()
            match = _STATEMENT.match(text, end)
        if rest := text[end : end + 80].strip():
            raise self._malformed(f"no statement can be read at {' '.join(rest.split())!r}")
        if scope.parent is not None:
            raise self._malformed("a ${ is not closed")
        if clash := self._labels.keys() & (self._constants.keys() | self._variables):
            raise self._malformed(f"{min(clash)} is a label and a symbol")

    def _malformed(self, what: str) -> InputError:
        return InputError(f"{self.path}: {what}; it is not a valid Metamath database")

    def _declare(self, scope: Scope, kind: str, symbols: list[str], number: int) -> None:
        if not symbols or len(set(symbols)) < len(symbols):
            raise self._malformed(f"${kind} {' '.join(symbols[:20])} $. is empty or names a symbol twice")
        if kind == "d":
            for symbol in symbols:
                if not any(symbol in outer.variables for outer in scope.chain()):
                    raise self._malformed(f"{symbol} in a $d is not an active variable")
            if len(symbols) < 2:
                raise self._malformed(f"$d {symbols[0]} $. names one variable only")
            scope.disjoint.append((number, tuple(symbols)))
            return
        if kind == "c" and scope.parent is not None:
            raise self._malformed(f"$c {symbols[0]} ... $. is not in the outermost scope")
        for symbol in symbols:
            if symbol in self._constants or any(symbol in outer.variables for outer in scope.chain()):
                raise self._malformed(f"{symbol} is declared twice")
            if kind == "c":
                if symbol in self._variables:
                    raise self._malformed(f"{symbol} is declared a variable and a constant")
                self._constants[symbol] = number
            else:
                self._variables.add(symbol)
                scope.variables[symbol] = number

    def _float(self, scope: Scope, record: _Record, label: str) -> None:
        symbols = self._text[slice(*record.math)].split()
        if len(symbols) != 2 or symbols[0] not in self._constants or not any(symbols[1] in outer.variables for outer in scope.chain()):
            raise self._malformed(f"{label} $f {' '.join(symbols[:9])} $. is not a constant and an active variable")
        typecode, variable = symbols
        if any(variable in outer.floating for outer in scope.chain()):
            raise self._malformed(f"{label} $f types the variable {variable} again")
        scope.floating[variable] = Hypothesis(record.number, label, typecode, " " + variable, variable)

    # ---------------------------------------------------------------- on demand

    def theorems(self) -> Sequence[str]:
        """The labels of all `$p` statements, in order."""
        return self._theorems

    def __contains__(self, label: str) -> bool:
        return label in self._labels

    def proof(self, label: str) -> str:
        """The proof that the database has for a theorem, as it stands there."""
        return self._text[slice(*self._record(label, "p").proof)]

    def kind_and_number(self, label: str) -> tuple[str, int]:
        """The keyword's letter and the place of a labelled statement. Raises KeyError if there is none."""
        record = self._labels[label]
        return record.kind, record.number

    def frame(self, label: str) -> Frame:
        """The frame of an assertion."""
        frame = self._frames.get(label)
        if frame is None:
            record = self._record(label, "ap")
            typecode, symbols = self._expression(label, self._text[slice(*record.math)], record.scope, record.number)
            essential = self._essential(record.scope, record.number)
            hypotheses = self._mandatory([symbols, *(hypothesis.body.split() for hypothesis in essential)], essential, record)
            frame = _frame(label, typecode, symbols, hypotheses, self._pairs(record.scope, record.number))
            self._frames[label] = frame
        return frame

    def goal(self, label: str, *, dummies_distinct: bool = False) -> Goal:
        """What a proof of the theorem `label` has to show, and may use."""
        record = self._record(label, "p")
        frame = self.frame(label)
        essential = self._essential(record.scope, record.number)
        _, symbols = self._expression(label, self._text[slice(*record.math)], record.scope, record.number)
        active = {h.label: h for h in [*self._floating(record.scope, record.number), *essential]}
        pairs = frozenset(self._pairs(record.scope, record.number))
        return Goal(label, record.number, frame.typecode, _body(symbols), frame.hypotheses, active, pairs, dummies_distinct)

    def goal_of(
        self, statement: str, hypotheses: Mapping[str, str], disjoint: Sequence[str], *, before: str = "", dummies_distinct: bool = True
    ) -> Goal:
        """The goal of a statement that the database lacks, in its outermost scope.

        `hypotheses` maps labels to `$e` statements, `disjoint` lists groups of variables as `$d` does, and only what stands before
        the label `before` (or, if it is empty, anywhere) may be used.
        """
        number = self._record(before, "apef").number if before else 1 << 60
        scope = self._outermost
        typecode, symbols = self._expression("the statement", statement, scope, number)
        essential: list[Hypothesis] = []
        for n, (label, text) in enumerate(hypotheses.items()):
            if label in self._labels or not LABEL.fullmatch(label):
                raise InputError(f"{label!r:.60} cannot be a hypothesis's label: use a new one of letters, digits, '.', '_' and '-'")
            first, rest = self._expression(label, text, scope, number)
            essential.append(Hypothesis(number + 1 + n, label, first, _body(rest), ""))
        place = _Record(number, "p", scope, (0, 0), (0, 0))
        mandatory = self._mandatory([symbols, *(hypothesis.body.split() for hypothesis in essential)], essential, place)
        groups = [group.split() for group in disjoint]
        for symbol in (symbol for group in groups for symbol in group):
            self._variable(symbol, place)
        if any(len(set(group)) < max(len(group), 2) for group in groups):
            raise InputError("each group of 'disjoint' is at least two different variables, as in a $d statement")
        pairs = frozenset(pair for group in groups for pair in _ordered_pairs(group))
        active = {h.label: h for h in [*self._floating(scope, number), *essential]}
        return Goal("the statement", number, typecode, _body(symbols), tuple(mandatory), active, pairs, dummies_distinct)

    def _record(self, label: str, kinds: str) -> _Record:
        record = self._labels.get(label)
        if record is None or record.kind not in kinds:
            what = "theorem" if kinds == "p" else "statement"
            raise InputError(f"{self.path} has no {what} {label!r:.60}; give a label of it")
        return record

    def _expression(self, label: str, text: str, scope: Scope, number: int) -> tuple[str, list[str]]:
        """Type code and the symbols after it, each of which must be active (4.2.3)."""
        typecode, *symbols = text.split() or [""]
        if self._constants.get(typecode, number) >= number:
            raise InputError(f"{self.path}: {label} starts with {typecode!r:.60}, not with a declared constant")
        for symbol in symbols:
            if self._constants.get(symbol, number) >= number and self._floating_of(symbol, scope, number) is None:
                raise InputError(f"{self.path}: {symbol!r:.60} in {label} is neither a declared constant nor a variable with an active $f")
        return typecode, symbols

    def _floating_of(self, variable: str, scope: Scope, number: int) -> Hypothesis | None:
        for outer in scope.chain():
            found = outer.floating.get(variable)
            if found is not None and found.number < number:
                return found
        return None

    def _variable(self, symbol: str, place: _Record) -> Hypothesis:
        found = self._floating_of(symbol, place.scope, place.number)
        if found is None:
            raise InputError(f"{self.path}: {symbol!r:.60} is no variable with an active $f")
        return found

    def _floating(self, scope: Scope, number: int) -> list[Hypothesis]:
        return [h for outer in scope.chain() for h in outer.floating.values() if h.number < number]

    def _essential(self, scope: Scope, number: int) -> list[Hypothesis]:
        found = []
        for label in (label for outer in scope.chain() for label in outer.essential):
            record = self._labels[label]
            if record.number < number:
                typecode, symbols = self._expression(label, self._text[slice(*record.math)], record.scope, record.number)
                found.append(Hypothesis(record.number, label, typecode, _body(symbols), ""))
        return sorted(found)

    def _mandatory(self, expressions: list[list[str]], essential: list[Hypothesis], place: _Record) -> tuple[Hypothesis, ...]:
        """The `$f` of every variable that occurs, and all `$e`, in the order of the database."""
        symbols = {symbol for expression in expressions for symbol in expression if symbol not in self._constants}
        return tuple(sorted([self._variable(symbol, place) for symbol in symbols] + essential))

    def _pairs(self, scope: Scope, number: int) -> list[tuple[str, str]]:
        """Both ways round, the pairs of variables that active `$d` statements name."""
        groups = (group for outer in scope.chain() for place, group in outer.disjoint if place < number)
        return [pair for group in groups for pair in _ordered_pairs(group)]


def _ordered_pairs(group: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for a in group for b in group if a != b]


def _body(symbols: Sequence[str]) -> str:
    return "".join(" " + symbol for symbol in symbols)


def _frame(label: str, typecode: str, symbols: list[str], hypotheses: tuple[Hypothesis, ...], pairs: list[tuple[str, str]]) -> Frame:
    place = {hypothesis.variable: i for i, hypothesis in enumerate(hypotheses) if hypothesis.variable}
    essential = tuple((i, _template(h.body.split(), place)) for i, h in enumerate(hypotheses) if not h.variable)
    disjoint = {(place[a], place[b]) for a, b in pairs if a in place and b in place and place[a] < place[b]}
    return Frame(label, typecode, _template(symbols, place), hypotheses, essential, tuple(sorted(disjoint)))


def _template(symbols: Sequence[str], place: Mapping[str, int]) -> Template:
    """Variables become %s without a blank, as every substituted body brings its own."""
    constants = [symbol for symbol in symbols if symbol not in place]
    text = "".join("%s" if symbol in place else " " + symbol.replace("%", "%%") for symbol in symbols)
    return Template(text, tuple(place[symbol] for symbol in symbols if symbol in place), len(_body(constants)))


# ---------------------------------------------------------------- one copy a process

_lock = threading.Lock()
_loaded: dict[Path, tuple[tuple[tuple[int, int], ...], Database]] = {}


def load(path: Path) -> Database:
    """The database at `path`, read again only if one of its files has changed (size or time of change)."""
    path = path.absolute()
    with _lock:
        if path in _loaded:
            stamp, database = _loaded[path]
            if stamp == _stamp(database.files):
                return database
        database = Database(path)
        _loaded.pop(path, None)
        while len(_loaded) >= _KEPT:
            _loaded.pop(next(iter(_loaded)))
        _loaded[path] = (_stamp(database.files), database)
        return database


def _stamp(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((status.st_mtime_ns, status.st_size) for status in (file.stat() for file in files))
    except OSError:
        return ()
