"""Does `metamath_proof` judge as Debian's `metamath` program does? `python -m benchmarks.metamath`, about 40 seconds, one core.

Samples proofs of set.mm (`apt install metamath metamath-databases`), which must all be accepted, and mutants of others. All mutants
go into one copy of the database, each in a theorem of its own, since a proof is checked against statements and not against other
proofs; `metamath` reads the copy once and verifies the mutated theorems by name. A mutant may still be a proof: what counts is that
both say the same. A text that is not what the sample was drawn for (no dummy variable to rename, no `$d` to remove) draws again.
"""

import argparse
import itertools
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.parts import ended
from verifiers.problem import Problem, make_problem
from verifiers.proofs.metamath_database import COMMENT, Database, Frame, load
from verifiers.proofs.metamath_proof import verify
from verifiers.rewards.gold_answers import gold_response
from verifiers.verdict import Status

_THEOREM = re.compile(r"(?<!\S)(\S+)\s+\$p\s[^$]*\$=\s([^$]*)\$\.")
_TOKEN = re.compile(r"[U-Y]*[A-T]|Z")
_LONGEST_NORMAL = 400
_TRIES = 40  # theorems in a row that a mutation is tried on: there are databases without dummy variables


class Compressed(NamedTuple):
    labels: list[str]
    tokens: list[str]

    @property
    def text(self) -> str:
        return f"( {' '.join(self.labels)} ) {''.join(self.tokens)}"


def split(proof: str) -> Compressed:
    labels, _, letters = proof.strip().removeprefix("(").partition(")")
    return Compressed(labels.split(), _TOKEN.findall("".join(letters.split())))


def normal(database: Database, label: str, proof: Compressed) -> list[str] | None:
    """The steps of a proof as labels, or None if they are more than `_LONGEST_NORMAL`: what is used again is written again."""
    names = [hypothesis.label for hypothesis in database.goal(label).mandatory] + proof.labels
    stack: list[list[str]] = []
    saved: list[list[str]] = []
    for token in proof.tokens:
        if token == "Z":
            saved.append(stack[-1])
            continue
        number = ord(token[-1]) - ord("A")
        number += 20 * sum((ord(digit) - ord("T")) * 5**place for place, digit in enumerate(reversed(token[:-1])))
        if number >= len(names):
            stack.append(saved[number - len(names)])
        else:
            count = arity(database, names[number])
            taken = stack[len(stack) - count :]
            stack = [*stack[: len(stack) - count], [*(step for part in taken for step in part), names[number]]]
        if len(stack[-1]) > _LONGEST_NORMAL:
            return None
    return stack[0]


def arity(database: Database, label: str) -> int:
    return 0 if database.kind_and_number(label)[0] in "ef" else len(database.frame(label).hypotheses)


# ---------------------------------------------------------------- mutations: (database, label, proof, random) -> text or None

Mutation = Callable[[Database, str, Compressed, random.Random], str | None]


def letter(_: Database, __: str, proof: Compressed, draw: random.Random) -> str | None:
    """One character of the compressed part becomes another."""
    text = "".join(proof.tokens)
    place = draw.randrange(len(text))
    changed = draw.choice([c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c != text[place]])
    return Compressed(proof.labels, [text[:place] + changed + text[place + 1 :]]).text


def nearby(_: Database, __: str, proof: Compressed, draw: random.Random) -> str | None:
    """One step refers to something listed next to what it referred to."""
    tokens = list(proof.tokens)
    place = draw.choice([i for i, token in enumerate(tokens) if token != "Z"])
    last = ord(tokens[place][-1]) + draw.choice((-1, 1))
    tokens[place] = tokens[place][:-1] + chr(min(max(last, ord("A")), ord("T")))
    return Compressed(proof.labels, tokens).text if tokens != proof.tokens else None


def swap(_: Database, __: str, proof: Compressed, draw: random.Random) -> str | None:
    tokens = list(proof.tokens)
    i = draw.randrange(len(tokens))
    j = min(i + 1, len(tokens) - 1) if draw.random() < 0.5 else draw.randrange(len(tokens))
    tokens[i], tokens[j] = tokens[j], tokens[i]
    return Compressed(proof.labels, tokens).text if tokens != proof.tokens else None


def drop(_: Database, __: str, proof: Compressed, draw: random.Random) -> str | None:
    place = draw.randrange(len(proof.tokens))
    return Compressed(proof.labels, proof.tokens[:place] + proof.tokens[place + 1 :]).text


def repeat(_: Database, __: str, proof: Compressed, draw: random.Random) -> str | None:
    place = draw.randrange(len(proof.tokens))
    return Compressed(proof.labels, proof.tokens[: place + 1] + proof.tokens[place:]).text


def other_label(database: Database, label: str, proof: Compressed, draw: random.Random) -> str | None:
    """A label of the list becomes one that stands near it in the database: often with the same hypotheses, sometimes later."""
    theorems = [name for name in proof.labels if database.kind_and_number(name)[0] == "p"]
    if not theorems:
        return None
    old = draw.choice(theorems)
    everything = database.theorems()
    place = everything.index(old) + draw.choice((-3, -2, -1, 1, 2, 3))
    new = everything[min(max(place, 0), len(everything) - 1)]
    return Compressed([new if name == old else name for name in proof.labels], proof.tokens).text if new != old else None


def no_future(database: Database, label: str, proof: Compressed, draw: random.Random) -> str | None:
    """A label becomes the theorem's own or a later one, an unknown one, or one of a hypothesis that is not active."""
    if not proof.labels:
        return None
    everything = database.theorems()
    later = everything[draw.randrange(everything.index(label), len(everything))]
    labels = list(proof.labels)
    labels[draw.randrange(len(labels))] = draw.choice([label, later, "no-such-label", "mp2.1", f"{label}.1"])
    return Compressed(labels, proof.tokens).text


def same_frame(database: Database, label: str, proof: Compressed, draw: random.Random) -> str | None:
    """An assertion becomes another of as many hypotheses and the same type code: the stack stays right, the mathematics does not."""
    assertions = [name for name in proof.labels if database.kind_and_number(name)[0] in "ap"]
    if not assertions:
        return None
    old = draw.choice(assertions)
    shape = _shape(database.frame(old))
    earlier = database.theorems()[: database.theorems().index(label)]
    found = [name for name in draw.sample(earlier, min(len(earlier), 60)) if name != old and _shape(database.frame(name)) == shape]
    return Compressed([found[0] if name == old else name for name in proof.labels], proof.tokens).text if found else None


def _shape(frame: Frame) -> tuple[str, ...]:
    return (frame.typecode, *(hypothesis.typecode for hypothesis in frame.hypotheses))


def rename_variable(database: Database, label: str, proof: Compressed, draw: random.Random) -> str | None:
    """A dummy variable becomes another variable throughout: only `$d` can tell."""
    goal = database.goal(label)
    dummies = [name for name in proof.labels if name in goal.active]
    if not dummies:
        return None
    old = draw.choice(dummies)
    typecode = goal.active[old].typecode
    mandatory = [i for i, hypothesis in enumerate(goal.mandatory) if hypothesis.variable and hypothesis.typecode == typecode]
    if mandatory and draw.random() < 0.7:  # the letters of a mandatory one take the place of the dummy's, whose label is left unused
        place = len(goal.mandatory) + proof.labels.index(old)
        return Compressed(proof.labels, [_spell(draw.choice(mandatory)) if t == _spell(place) else t for t in proof.tokens]).text
    taken = {hypothesis.label for hypothesis in goal.mandatory} | {old}
    others = sorted(h.label for h in goal.active.values() if h.variable and h.typecode == typecode and h.label not in taken)
    return Compressed([draw.choice(others) if name == old else name for name in proof.labels], proof.tokens).text if others else None


def _spell(number: int) -> str:
    high, text = number // 20, chr(ord("A") + number % 20)
    while high:
        text = chr(ord("U") + (high - 1) % 5) + text
        high = (high - 1) // 5
    return text


def normal_form(database: Database, label: str, proof: Compressed, draw: random.Random) -> str | None:
    """Without compression: as it is, or with two steps swapped, one dropped, or one replaced."""
    steps = normal(database, label, proof)
    if steps is None:
        return None
    i, j = draw.randrange(len(steps)), draw.randrange(len(steps))
    change = draw.randrange(4)
    if change == 1:
        steps[i], steps[j] = steps[j], steps[i]
    elif change == 2:
        del steps[i]
    elif change == 3:
        steps[i] = steps[j]
    return " ".join(steps) or None


def keep(_: Database, __: str, proof: Compressed, ___: random.Random) -> str | None:
    """The proof stays; `mutate` takes a `$d` away from the theorem."""
    return proof.text


MUTATIONS: tuple[Mutation, ...] = (
    letter, nearby, swap, drop, repeat, other_label, same_frame, no_future, rename_variable, normal_form, keep,
)  # fmt: skip


def without_one_disjoint(block: str, draw: random.Random) -> str | None:
    """The text of a block with one variable of a `$d` taken out, or all of it if two are left; None if there is no `$d`."""
    found = list(re.finditer(r"\$d\s([^$]*)\$\.", block))
    if not found:
        return None
    match = draw.choice(found)
    variables = match[1].split()
    variables.remove(draw.choice(variables))
    new = f"$d {' '.join(variables)} $." if len(variables) > 1 else ""
    return block[: match.start()] + new + block[match.end() :]


def mutate(database: Database, count: int, draw: random.Random, copy: Path) -> dict[str, str]:
    """Write a copy of the database with `count` mutated theorems. Returns the name of the mutation of each."""
    text = COMMENT.sub(" ", database.path.read_text("ascii"))
    statements = list(_THEOREM.finditer(text))
    draw.shuffle(statements)
    edits: list[tuple[int, int, str]] = []
    blocks: set[int] = set()
    chosen: dict[str, str] = {}
    turns = itertools.cycle(MUTATIONS)
    mutation, tries = next(turns), 0
    for statement in statements:
        if len(chosen) == count:
            break
        tries += 1
        if tries > _TRIES:
            mutation, tries = next(turns), 0
        label, proof = statement[1], split(statement[2])
        new = mutation(database, label, proof, draw) if proof.tokens else None
        if new is None:
            continue
        if mutation is keep:
            start = text.rfind("${", 0, statement.start())
            block = without_one_disjoint(text[start : statement.start()], draw)
            if block is None or start in blocks or "$}" in block or "$=" in block:
                continue
            blocks.add(start)
            edits.append((start, statement.start(), block))
        chosen[label] = mutation.__name__
        edits.append((statement.start(2), statement.end(2), f"{new}\n"))
        mutation, tries = next(turns), 0
    parts, end = [], 0
    for start, stop, new in sorted(edits):
        parts += [text[end:start], new]
        end = stop
    copy.write_text("".join([*parts, text[end:]]), "ascii")
    return chosen


def metamath_verdicts(database: Path, labels: list[str]) -> dict[str, bool]:
    """Whether the `metamath` program finds no error in the proof of each theorem. Raises RuntimeError if it does not read the file.

    One `verify proof *` and a look at whom its errors name: `verify proof LABEL` says the same, but searches all labels each time.
    """
    commands = ["set scroll continuous", f'read "{database}"', "verify proof *", "exit"]
    done = subprocess.run(["metamath"], input="\n".join(commands) + "\n", text=True, stdout=subprocess.PIPE, check=True)
    _, _, reading, verifying, *_ = done.stdout.split("MM> ")
    if "No errors were found" not in reading:
        raise RuntimeError(f"metamath does not accept the database: {reading:.600}")
    words = " ".join(verifying.split())
    named = re.findall(r'\?Error on line \d+ of file "[^"]*" at statement \d+, label "([^"]+)", type "\$p"', words)
    if len(named) != words.count("?Error"):
        raise RuntimeError(f"metamath's answer cannot be read: {words:.600}")
    unproved = re.search(r"were not proved: ([\w., -]*)", words)
    refused = {*named, *(unproved[1].replace(",", " ").split() if unproved else ())}
    return {label: label not in refused for label in labels}


def theorem_problem(database: Path, theorem: str) -> Problem:
    """The problem of proving a theorem of a database, with the database's own proof as its answer.

    The prompt states the theorem, its hypotheses and `$d` conditions. Raises InputError for what cannot be read.
    """
    loaded = load(database)
    goal = loaded.goal(theorem)
    essential = [f"{h.label} $e {h.typecode}{h.body} $." for h in goal.mandatory if not h.variable]
    apart = [f"$d {a} {b} $." for a, b in sorted(goal.disjoint) if a < b]
    lines = [*apart, *essential, f"{theorem} $p {goal.typecode}{goal.body} $= ? $."]
    task = f"Prove this Metamath theorem with what stands before it in {database.name}. End with its proof, between $= and $."
    prompt = f"{task}\n\n" + "\n".join(lines)
    meta = {"database": str(database), "theorem": theorem}
    return make_problem(prompt, " ".join(loaded.proof(theorem).split()), verifier="metamath_proof", meta=meta)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, default=Path("/usr/share/metamath/databases/set.mm"))
    parser.add_argument("--proofs", type=int, default=2000)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    start = time.perf_counter()
    database = load(options.database)
    index_seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    problems = [theorem_problem(options.database, label) for label in draw.sample(database.theorems(), options.proofs)]
    start = time.perf_counter()
    verdicts = [verify(problem, gold_response(problem)) for problem in problems]
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    for problem in problems:
        verify(problem, gold_response(problem))
    again = time.perf_counter() - start
    accepted = sum(verdict.status is Status.RIGHT for verdict in verdicts)
    for problem, verdict in zip(problems, verdicts, strict=True):
        if verdict.status is not Status.RIGHT:
            print(f"not accepted: {problem.meta['theorem']}: {verdict.detail}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "mutants.mm"
        kinds = mutate(database, options.mutants, draw, copy)
        theirs = metamath_verdicts(copy, list(kinds))
        mutants = {label: theorem_problem(copy, label) for label in kinds}
        ours = {label: verify(problem, f"$= {problem.answer} $.") for label, problem in mutants.items()}
    agree = valid = 0
    table: dict[str, Counter[str]] = {mutation.__name__: Counter() for mutation in MUTATIONS}
    for label, kind in kinds.items():
        accepts = ours[label].status is Status.RIGHT
        agree += accepts is theirs[label]
        valid += theirs[label]
        table[kind]["still a proof" if theirs[label] else "rejected"] += 1
        if accepts is not theirs[label]:
            table[kind]["disagree"] += 1
            print(f"disagree: {label} ({kind}): metamath {theirs[label]}, here {ours[label].status}: {ours[label].detail}")
    for kind, counts in table.items():
        print(f"{kind:16} " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())))
    result = {
        "proofs": options.proofs, "accepted": accepted, "mutants": len(kinds), "agree": agree, "mutants_still_proofs": valid,
        "proofs_per_second": round(options.proofs / seconds), "proofs_per_second_warm": round(options.proofs / again),
        "index_seconds": round(index_seconds, 2), "index_megabytes": memory,
    }  # fmt: skip
    bars = {"accepted": accepted == options.proofs, "agree": agree == len(kinds) == options.mutants}
    return ended(result, [name for name, holds in bars.items() if not holds])


if __name__ == "__main__":
    sys.exit(main())
