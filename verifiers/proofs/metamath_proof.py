r"""Is this a proof of the theorem? A complete Metamath verifier in pure Python, for proofs that a policy wrote.

The policy supplies the proof and nothing else. What is to be proved, its hypotheses and `$d` conditions come from the problem, and
whatever a response says of them is passed over. A proof may use the assertions that stand before the theorem in the database and
the hypotheses active there: not the theorem itself, nothing later, no axiom of its own, no unknown step `?`. The rules are those
of the Metamath book, 2nd edition (Megill and Wheeler 2019), sections 4.1 to 4.4 and appendix B; where these are silent, those of
the `metamath` program 0.195: two Z in a row are two names for one step, a Z after a hypothesis or a backreference is an error.

A problem says in `meta` what is to be proved:

    {"database": "set.mm", "theorem": "id"}                 a theorem of the database, before which everything may be used
    {"database": "set.mm", "statement": "|- ( x = y -> y = x )", "hypotheses": {"h1": "|- ..."}, "disjoint": ["x y z"],
     "before": "equcom"}                                    a statement of one's own; all but the statement may be left out

and its `answer` is a proof that is known, so that it can be audited like any other gold.
`"dummies_distinct": true` spares a proof the `$d` conditions of variables that the theorem does not mention. That is sound, for
they are nowhere in the result, and it is the rule for a statement, which has no place to declare them; for a theorem of the
database the rule is the database's own `$d`, as for the `metamath` program.

A proof is hostile text: its length, the length of every expression and the characters written in all are bounded before they are
spent (substitution doubles a formula in three letters). Left out: definitional soundness of the database itself, and proofs in
the program's own formats (`/EXPLICIT`, `/PACKED`), which are not part of the language.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.proofs.metamath_database import COMMENT, LABEL, Database, Frame, Goal, Hypothesis, Template, load
from verifiers.response_text.fenced_blocks import last_block
from verifiers.response_text.final_answer import tagged
from verifiers.verdict import Verdict, bad_gold, no_answer, right, wrong

MAX_PROOF = 200_000
"""Characters of a proof; the longest of set.mm has 35,623. A step takes at least one, so this bounds the steps too."""
MAX_STACK = 5_000
"""Expressions that wait to be used."""
MAX_EXPRESSION = 250_000
"""Characters of one expression; the longest that set.mm needs has 24,032."""
MAX_WORK = 20_000_000
"""Characters written and looked through in all; the dearest proof of set.mm needs 509,267. It bounds memory too."""
_PAIR_WORK = 20  # what looking at one $d pair is charged: about as long as copying so many characters

_LETTERS = re.compile(r"([U-Y]*)([A-T])|Z|.", re.DOTALL)
_FOREIGN = re.compile(r"[^\t\n\f\r -~]")
_BARE = re.compile(r"\([A-Za-z0-9._\-\s]*\)[A-Z?\s]*|[A-Za-z0-9._\-?\s]+", re.ASCII)

Entry = tuple[str, str]
"""Type code and body: what the stack holds."""


class ProofError(Exception):
    """Why a text is not a proof of its goal, with the step."""


def verify(problem: Problem, response: str) -> Verdict:
    """RIGHT if the response holds a proof of what the problem's `meta` names; WRONG says at which step it fails, and how."""
    try:
        database, goal = _goal(problem.meta)
        proof = extract_proof(response, database)
        if proof is None:
            return no_answer("no proof found: neither $= ... $., nor tags, nor a fenced block, nor labels alone")
        steps = check_proof(database, goal, proof)
    except InputError as error:
        return bad_gold(str(error))
    except ProofError as error:
        return wrong(str(error))
    return right(f"{goal.label}: proved in {steps} steps")


def _goal(meta: Mapping[str, Any]) -> tuple[Database, Goal]:
    """What the problem asks to prove. Raises InputError in one line."""
    path, theorem, statement = meta.get("database"), meta.get("theorem"), meta.get("statement")
    if not isinstance(path, str) or not path or "\0" in path or not _encodable(path):
        raise InputError('meta has no "database": give the path of a .mm file (`apt install metamath-databases` has some)')
    if isinstance(theorem, str) is isinstance(statement, str):
        raise InputError('meta needs either "theorem", a label of the database, or "statement", an expression')
    given = meta.get("dummies_distinct")
    if given is not None and not isinstance(given, bool):
        raise InputError(f'"dummies_distinct" in meta must be true or false, not {given!r:.40}')
    database = load(Path(path))
    if isinstance(theorem, str):
        if extra := {"hypotheses", "disjoint", "before"} & meta.keys():
            raise InputError(f'meta has "theorem" and {min(extra)!r}: these come from the database; leave one out')
        return database, database.goal(theorem, dummies_distinct=given is True)
    hypotheses, disjoint, before = meta.get("hypotheses", {}), meta.get("disjoint", []), meta.get("before", "")
    if not isinstance(hypotheses, Mapping) or not _all_texts([*hypotheses, *hypotheses.values()]):
        raise InputError('"hypotheses" in meta must be an object of labels and statements')
    if not isinstance(disjoint, list | tuple) or not _all_texts(disjoint) or not isinstance(before, str):
        raise InputError('"disjoint" in meta must be a list of texts such as "x y", and "before" a label')
    return database, database.goal_of(str(statement), hypotheses, disjoint, before=before, dummies_distinct=given is not False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _all_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


# ---------------------------------------------------------------- finding the proof


def extract_proof(response: str, database: Database | None = None) -> str | None:
    """The text of the last proof in a response, or None.

    Between the last `$=` and its `$.`; else inside the last <answer> tag; else in the last fenced block; else all of it, if it is
    nothing but labels and, where `database` is given, begins with one that it has.
    """
    text = response.rpartition("</think>")[2]
    _, mark, rest = text.rpartition("$=")
    if mark:
        return rest.partition("$.")[0].partition("```")[0].partition("</answer>")[0]
    if (found := tagged(text)) is None:
        found = last_block(text, (), any_other=True)
    if found is not None:
        return found.strip().removesuffix("$.") if found.strip() else None
    text = COMMENT.sub(" ", text).strip().removesuffix("$.").strip()
    if not _BARE.fullmatch(text):
        return None
    first = text.split()[0]
    return text if database is None or first[0] in "(?" or first in database else None


# ---------------------------------------------------------------- checking it


def check_proof(database: Database, goal: Goal, proof: str) -> int:
    """The number of steps, if `proof` proves `goal` from what precedes it in `database`. Raises ProofError otherwise.

    Both forms are read: labels (the book, 4.3), and compressed (appendix B).
    """
    if len(proof) > MAX_PROOF:
        raise ProofError(f"the proof has {len(proof)} characters, more than {MAX_PROOF}")
    if foreign := _FOREIGN.search(proof):
        raise ProofError(f"the proof holds the character {foreign[0]!r}; Metamath is printable ASCII")
    text = COMMENT.sub(" ", proof)
    if "$" in text:
        keyword = text[text.index("$") :][:2]
        raise ProofError(f"{keyword} in the proof: a proof is labels only, without statements, includes or comments that do not close")
    tokens = text.replace("(", " ( ").replace(")", " ) ").split()
    if not tokens:
        raise ProofError("the proof is empty")
    machine = _Machine(database, goal)
    if tokens[0] == "(":
        machine.run_compressed(tokens)
    else:
        for label in tokens:
            machine.step(machine.resolve(label))
    machine.finish()
    return machine.steps


class _Machine:
    """The stack of one proof (the book, 4.3.1), and what it has cost."""

    def __init__(self, database: Database, goal: Goal) -> None:
        self.steps = 0
        self._database = database
        self._goal = goal
        self._stack: list[Entry] = []
        self._work = 0
        self._resolved: dict[str, str | Hypothesis] = {}
        self._variables = {h.variable for h in goal.active.values() if h.variable}
        self._occurring: dict[str, frozenset[str]] = {}
        self._apart: dict[str, frozenset[str]] = {}

    def resolve(self, label: str) -> str | Hypothesis:
        """What a label stands for, if the goal may use it: an active hypothesis, or an assertion, by its label.

        Frames are built when a step needs them, or a list of all labels would cost seconds.
        """
        found = self._resolved.get(label)
        if found is None:
            found = self._goal.active.get(label) or self._assertion(label)
            self._resolved[label] = found
        return found

    def _assertion(self, label: str) -> str:
        if label not in self._database:
            if label == "?":
                self._fail("the proof is not complete: it has the unknown step ?")
            self._fail(
                f"{label!r:.60} is not a label of {self._database.path.name}" + ("" if LABEL.fullmatch(label) else ", nor can it be")
            )
        kind, number = self._database.kind_and_number(label)
        if label == self._goal.label:
            self._fail(f"{label} is the theorem itself")
        if number >= self._goal.number:
            self._fail(f"{label} comes later in the database than {self._goal.label}")
        if kind in "ef":
            self._fail(f"{label} is a hypothesis that is not active for {self._goal.label}")
        return label

    def run_compressed(self, tokens: list[str]) -> None:
        """Appendix B: ( labels ) letters, where A..T end a number, U..Y precede its last digit and Z names the step before it."""
        if ")" not in tokens:
            self._fail("the label list of a compressed proof is not closed by )")
        close = tokens.index(")")
        mandatory = {hypothesis.label for hypothesis in self._goal.mandatory}
        for label in tokens[1:close]:
            if label in mandatory:
                self._fail(f"{label} is a mandatory hypothesis, which a compressed proof may not list")
        named: list[str | Hypothesis] = [*self._goal.mandatory, *(self.resolve(label) for label in tokens[1:close])]
        saved: list[Entry] = []
        fresh = False  # whether the step before was an assertion, which is what Z can name
        for number in _numbers("".join(tokens[close + 1 :])):
            if isinstance(number, str):
                self._fail(number)
            if number < 0:
                if not fresh:
                    self._fail("Z must follow an assertion's step, not a hypothesis, a backreference or nothing")
                saved.append(self._stack[-1])
            elif number < len(named):
                self.step(named[number])
                fresh = isinstance(named[number], str)
            elif number - len(named) < len(saved):
                self.steps += 1
                self._push(saved[number - len(named)])
                fresh = False
            else:
                self._fail(f"the proof refers to label {number + 1} of {len(named) + len(saved)}")

    def step(self, reference: str | Hypothesis) -> None:
        """Push a hypothesis, or replace the hypotheses of an assertion by what it concludes (the book, 4.2.6 and 4.3.1)."""
        self.steps += 1
        stack = self._stack
        if isinstance(reference, Hypothesis):
            self._push((reference.typecode, reference.body))
            return
        frame = self._database.frame(reference)
        count = len(frame.hypotheses)
        if count > len(stack):
            self._fail(f"it needs {count} hypotheses but the stack holds {len(stack)}", frame.label)
        given = stack[len(stack) - count :]
        bodies = [body for _, body in given]
        for hypothesis, (typecode, body) in zip(frame.hypotheses, given, strict=True):
            if typecode != hypothesis.typecode:
                self._fail(f"{hypothesis.label} must be a {hypothesis.typecode} but is {_short(typecode + body)}", frame.label)
        for place, template in frame.essential:
            wanted = self._substitute(template, bodies, frame)
            if wanted != bodies[place]:
                label, typecode = frame.hypotheses[place].label, frame.hypotheses[place].typecode
                self._fail(f"{label} must be {_short(typecode + wanted)} but is {_short(typecode + bodies[place])}", frame.label)
        for first, second in frame.disjoint:
            self._check_disjoint(frame, first, second, bodies)
        del stack[len(stack) - count :]
        self._push((frame.typecode, self._substitute(frame.body, bodies, frame)))

    def _push(self, entry: Entry) -> None:
        self._stack.append(entry)
        if len(self._stack) > MAX_STACK:
            self._fail(f"the stack holds more than {MAX_STACK} expressions")

    def _substitute(self, template: Template, bodies: list[str], frame: Frame) -> str:
        """The expression, its size paid for before it is built."""
        values = [bodies[slot] for slot in template.slots]
        size = template.size + sum(map(len, values))
        if size > MAX_EXPRESSION:
            self._fail(f"the expression would have {size} characters, more than {MAX_EXPRESSION}", frame.label)
        self._pay(size, frame)
        return template.text % tuple(values)

    def _pay(self, characters: int, frame: Frame) -> None:
        self._work += characters
        if self._work > MAX_WORK:
            self._fail(f"the proof writes more than {MAX_WORK} characters in all", frame.label)

    def _check_disjoint(self, frame: Frame, first: int, second: int, bodies: list[str]) -> None:
        """The book, 4.2.5: the two expressions share no variable, and each pair of their variables has a `$d` in the goal."""
        self._pay(_PAIR_WORK, frame)
        mine, others = self._variables_of(bodies[first], frame), self._variables_of(bodies[second], frame)
        why = f"both hold {min(mine & others)}" if mine & others else ""
        for variable in () if why else sorted(mine):
            self._pay(len(others), frame)
            if far := others - self._apart_from(variable):
                why = f"{variable} and {min(far)} have no $d"
                break
        if why:
            a, b = frame.hypotheses[first].variable, frame.hypotheses[second].variable
            self._fail(f"the expressions for {a} and {b} must be disjoint but {why}", frame.label)

    def _variables_of(self, body: str, frame: Frame) -> frozenset[str]:
        found = self._occurring.get(body)
        if found is None:
            self._pay(4 * len(body), frame)
            found = self._occurring[body] = frozenset(self._variables.intersection(body.split()))
        return found

    def _apart_from(self, variable: str) -> frozenset[str]:
        """The variables that may be taken as distinct from this one."""
        found = self._apart.get(variable)
        if found is None:
            goal = self._goal
            apart = {b for a, b in goal.disjoint if a == variable}
            if goal.dummies_distinct:
                mentioned = {hypothesis.variable for hypothesis in goal.mandatory}
                apart |= self._variables - (mentioned if variable in mentioned else set()) - {variable}
            found = self._apart[variable] = frozenset(apart)
        return found

    def finish(self) -> None:
        """One entry must be left, and it must be the goal."""
        goal = self._goal
        if len(self._stack) != 1:
            raise ProofError(f"{len(self._stack)} expressions are left on the stack after step {self.steps}, instead of one")
        typecode, body = self._stack[0]
        if (typecode, body) != (goal.typecode, goal.body):
            raise ProofError(f"the proof proves {_short(typecode + body)} instead of {_short(goal.typecode + goal.body)}")

    def _fail(self, why: str, label: str = "") -> NoReturn:
        raise ProofError(f"step {self.steps} ({label}): {why}" if label else f"after step {self.steps}: {why}")


def _numbers(letters: str) -> Iterator[int | str]:
    """The numbers that the letters of a compressed proof spell, from 0; -1 for Z; and last, what is wrong with them if anything is.

    Appendix B: A..T are the digits 1 to 20 of the ones, U..Y the digits 1 to 5 of higher places, in base 5.
    """
    known: dict[str, int] = {"Z": -1}
    for match in _LETTERS.finditer(letters):
        token = match[0]
        number = known.get(token)
        if number is None:
            if match[2] is None:
                yield _bad_letter(token)
                return
            if len(token) > 10:
                yield f"the number {token!r:.40} is larger than any list of labels"
                return
            number = 0
            for high in match[1]:
                number = 5 * number + ord(high) - ord("T")
            number = known[token] = 20 * number + ord(match[2]) - ord("A")
        yield number


def _bad_letter(letter: str) -> str:
    if letter == "?":
        return "the proof is not complete: it has the unknown step ?"
    if letter in "UVWXY":
        return f"{letter} begins a number that no letter from A to T ends"
    return f"{letter!r} is no letter of a compressed proof (A to Z)"


def _short(expression: str) -> str:
    return repr(expression if len(expression) <= 120 else f"{expression[:80]} ... {expression[-30:]}")
