"""Where the roll-outs of `reckon data steps` begin: the responses of a store that get labels, cut at the ends of their steps.

A state is a problem and the beginning of a response to it. Two responses that begin alike share their states, which are sampled once. The
end of the last step is no state: what comes of a response that has ended is known. Left out, each counted by its reason: what has no
verdict or no text, what was cut at the token limit, what a tool spoke in, and the same text again.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recipes.selection.stored_responses import StoredResponse
from recipes.selection.tally import Tally
from verifiers.problem import Problem
from verifiers.steps.step_text import Splitter


@dataclass(frozen=True, slots=True)
class Cut:
    """A response and where its steps end, in characters."""

    response: StoredResponse
    ends: tuple[int, ...]

    @property
    def begun(self) -> list[str]:
        """The beginnings that end with a step and leave something to say, shortest first."""
        text = self.response.text
        return [text[:end] for end in self.ends if text[end:].strip()]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What came of a state: `right` of `judged` roll-outs; none is judged where it was taken to be lost."""

    right: int
    judged: int
    lost: bool = False
    """A state before it led nowhere, and it was not sampled."""


def cut_responses(
    stored: Iterable[tuple[Problem, Sequence[StoredResponse]]], split: Splitter, tally: Tally, *, per_problem: int | None, seed: int
) -> Iterator[Cut]:
    """Different responses of each problem, at most so many, drawn by the seed, in their order."""
    for problem, responses in tally.watch(stored):
        fit = [response for response in responses if tally.fits(response, keep_truncated=False)]
        different = list({response.text: response for response in reversed(fit)}.values())[::-1]
        tally.leave_out("the same text again", len(fit) - len(different))
        cuts = [Cut(response, tuple(split(response.text))) for response in different]
        whole = [cut for cut in cuts if cut.ends]
        tally.leave_out("without a step", len(cuts) - len(whole))
        kept = sorted(random.Random(f"{seed}/{problem.id}").sample(range(len(whole)), min(per_problem or len(whole), len(whole))))
        tally.leave_out("over --per-problem", len(whole) - len(kept))
        yield from (whole[place] for place in kept)


def state_name(problem: Problem, beginning: str) -> str:
    """The id of a state: another for every beginning of every problem."""
    text = beginning.encode("utf-8", "surrogatepass")
    return f"{problem.id}/{hashlib.blake2b(text, digest_size=8).hexdigest()}"


def estimates_of(cut: Cut, known: Mapping[str, Estimate], *, stop_at_lost: bool) -> list[Estimate | None]:
    """Of each state of a response, in order; None where it is not known. With `stop_at_lost`, all after one that led nowhere are lost."""
    found: list[Estimate | None] = []
    lost = False
    for beginning in cut.begun:
        estimate = Estimate(0, 0, lost=True) if lost else known.get(state_name(cut.response.problem, beginning))
        lost = lost or (stop_at_lost and estimate is not None and estimate.judged > 0 and not estimate.right)
        found.append(estimate)
    return found


def next_states(cuts: Iterable[Cut], known: Mapping[str, Estimate], *, stop_at_lost: bool) -> dict[str, tuple[Problem, str]]:
    """What is to be sampled next, by name: (the problem under that name, the beginning). Each but once, in the order of the responses.

    With `stop_at_lost` one state of each response at a time, since what comes of it decides on the next.
    """
    found: dict[str, tuple[Problem, str]] = {}
    for cut in cuts:
        for beginning, estimate in zip(cut.begun, estimates_of(cut, known, stop_at_lost=stop_at_lost), strict=True):
            if estimate is None:
                name = state_name(cut.response.problem, beginning)
                found.setdefault(name, (replace(cut.response.problem, id=name), beginning))
                if stop_at_lost:
                    break
    return found
