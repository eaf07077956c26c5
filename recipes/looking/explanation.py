"""Why a verdict is what it is, for a reader: what was extracted, how both answers were read, which step decided, the parts of a reward.

An own verifier that can tell has a second function `explain(problem, response) -> Verdict`, with the signature of `verify` and a
detail of several lines "key: value". Rewards without one, users' own among them, are explained by the detail of their verdict.
`explain` judges the response once more, alone, with the parameters that the verdict had; a note says where it disagrees, as it may about a
reward inside another.
"""

import dataclasses
import io
import sys
from collections.abc import Sequence
from functools import lru_cache

from verifiers.problem import Problem
from verifiers.rewards.load_reward import own_verifiers, rewards_in
from verifiers.rewards.named_functions import own_modules, own_source
from verifiers.verdict import Verdict, quoted
from verifiers.worker_pool.verifier_pool import VerifierPool


def judges_answers(specs: Sequence[str]) -> bool:
    """Whether a bare answer must be boxed for these rewards: `math_answer` looks for an answer in a text, the others take it whole."""
    return "math_answer" in own_verifiers(specs)


class Explainer:
    """Explains verdicts of the rewards `specs`, with a pool of its own, which starts no process before it is needed."""

    def __init__(self, specs: Sequence[str], *, deadline: float) -> None:
        """Without `specs`, each problem's own verifier gave the verdict."""
        self._specs = tuple(specs)
        self._pool = VerifierPool(workers=1, deadline=deadline)  # each problem's own verifier: here, the function that explains

    def __enter__(self) -> "Explainer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def lines(self, problem: Problem, response: str, verdict: Verdict) -> list[str]:
        """The explanation as lines "key: value"."""
        specs = self._specs or (problem.verifier,)
        explaining_ = explainers(specs)
        told = self._pool.verify_many([(dataclasses.replace(problem, verifier=spec), response) for _, spec in explaining_])
        lines = [f"gold text: {quoted(problem.answer, 200)}"]
        alone = len(specs) == len(explaining_) == len(rewards_in(specs[0])) == 1
        if not alone:
            lines += [f"detail: {line}" for line in verdict.detail.splitlines()]
        for (name, _), explained in zip(explaining_, told, strict=True):
            prefix = "" if alone else f"{name} "
            lines += [prefix + line for line in explained.detail.splitlines()]
            if explained.status is not verdict.status:
                lines.append(f"note: {name} alone says {explained.status}")
        return lines + [f"part {name}: {score:g}" for name, score in verdict.parts.items()]


@lru_cache(maxsize=256)
def explainers(specs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Of the rewards that specs run, those that can explain themselves: a name, and the function that explains, with their parameters."""
    found: dict[str, str] = {}
    for reward in (reward for text in specs for reward in rewards_in(text)):
        if reward.name in own_verifiers([str(reward)]) and (place := explaining(reward.name)) is not None:
            found.setdefault(str(dataclasses.replace(reward, name=place)), reward.name)
    return tuple((name, spec) for spec, name in found.items())


def explaining(name: str) -> str | None:
    """The function that explains one of our verifiers, as a spec; None where its source, which is not imported, defines none."""
    return f"{own_modules()[name]}:explain" if "\ndef explain(" in own_source(name) else None


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
