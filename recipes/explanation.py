"""Why a verdict is what it is, for a reader: what was extracted, how both answers were read, which step decided, the parts of a reward.

An own verifier that can tell has a second function `explain(problem, response) -> Verdict`, with the signature of `verify` and a
detail of several lines "key: value". Rewards without one, users' own among them, are explained by the detail of their verdict.
`explain` judges the response once more, alone and with the verifier's default parameters; a note says where it disagrees.
"""

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import verifiers
from verifiers.pool import VerifierPool
from verifiers.problem import Problem
from verifiers.reward_function import own_verifiers
from verifiers.verdict import Verdict


def judges_answers(specs: Sequence[str]) -> bool:
    """Whether a bare answer must be boxed for these rewards: `math_answer` looks for an answer in a text, the others take it whole."""
    return "math_answer" in own_verifiers(specs)


class Explainer:
    """Explains verdicts of the rewards `specs`, with a pool of its own, which starts no process before it is needed."""

    def __init__(self, specs: Sequence[str], *, deadline: float) -> None:
        self._explaining = {name: spec for name in own_verifiers(specs) if (spec := explaining(name)) is not None}
        self._alone = list(self._explaining) == list(specs)
        self._pool = VerifierPool(workers=1, deadline=deadline)  # each problem's own verifier: here, the function that explains

    def __enter__(self) -> "Explainer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def lines(self, problem: Problem, response: str, verdict: Verdict) -> list[str]:
        """The explanation as lines "key: value"."""
        told = self._pool.verify_many([(dataclasses.replace(problem, verifier=spec), response) for spec in self._explaining.values()])
        lines = [f"gold text: {problem.answer!r:.200}"]
        if not self._alone:
            lines += [f"detail: {line}" for line in verdict.detail.splitlines()]
        for name, explained in zip(self._explaining, told, strict=True):
            prefix = "" if self._alone else f"{name} "
            lines += [prefix + line for line in explained.detail.splitlines()]
            if explained.status is not verdict.status:
                lines.append(f"note: {name} alone, with its default parameters, says {explained.status}")
        return lines + [f"part {name}: {score:g}" for name, score in verdict.parts.items()]


def explaining(name: str) -> str | None:
    """The function that explains one of our verifiers, as a spec; None where its source, which is not imported, defines none."""
    source = Path(next(iter(verifiers.__path__))) / f"{name}.py"
    return f"verifiers.{name}:explain" if "\ndef explain(" in source.read_text(encoding="utf-8") else None


def block(title: str, verdict: Verdict, lines: Sequence[str]) -> str:
    """An explanation as a block of text for a terminal, whose control characters are made harmless."""
    score = "" if verdict.score is None else f", score {verdict.score:g}"
    pairs = [line.partition(": ") for line in lines]
    width = max((len(key) for key, _, _ in pairs), default=0)
    body = [f"  {printable(key).ljust(width)}  {printable(value)}" for key, _, value in pairs]
    return "\n".join([f"{printable(title)}: {verdict.status}{score}", *body, ""])


def printable(text: str) -> str:
    """The text without what a terminal would obey: escape sequences, line ends, marks that turn the direction of writing."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_anywhere() -> None:
    """Standard output escapes the characters that its encoding lacks: a log or a terminal may know ASCII only."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
