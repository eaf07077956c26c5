"""Is anything accepted that differs, and how much that is equal? `python -m benchmarks.soundness [--seeds 1 2 ...] [--pairs N]`

For each seed N pairs of LaTeX expressions that differ in one place (a constant, a sign, an addition that is 0 up to 10^6, at all
integers but one, or in one of two variables), each with a point found at which both sides, evaluated independently of the verifier, are
defined and differ; and as many equal pairs, rewritten by true identities inside the same surroundings. Each goes through
`math_answer.verify`, with open forms compared by value, as otherwise many would be refused for their form alone. Any seed may be run; those
used are printed. What was accepted wrongly, and samples of what was refused, are listed; the last line is `RESULT {json}`.
"""

import argparse
import random
import sys
import time
from collections import Counter
from typing import Any, NamedTuple

from benchmarks.parts import ended
from benchmarks.soundness.identities import IDENTITIES
from benchmarks.soundness.pairs import EXPRESSIONS, KINDS, WHOLE_KINDS, changed, in_context
from benchmarks.soundness.trees import Tree, latex, num, witness
from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem
from verifiers.verdict import Status

SEEDS = (1, 2, 3, 4)
LEAST_UNEQUAL = 20_000
LEAST_ACCEPTED = 0.85
_SHOWN = 12


class Pair(NamedTuple):
    kind: str
    gold: str
    answer: str
    where: str
    """The point at which an unequal pair differs."""


def unequal(draw: random.Random, kind: str) -> Pair:
    """Two expressions of a kind that differ in one place, and where one can see it."""
    while True:
        whole = kind in WHOLE_KINDS
        inner = EXPRESSIONS[kind](draw)
        around = in_context(draw, kind, inner)
        other, shows = changed(draw, kind, inner)
        left, right = around(inner), around(other)
        if (found := witness(draw, left, right, whole, shows)) is not None:
            return _pair(draw, kind, left, right, ", ".join(f"{name}={value}" for name, value in found.items()))


def equal(draw: random.Random, kind: str) -> Pair:
    """Two sides of an identity in the same surroundings; ValueError if they are found to differ after all."""
    left, right = IDENTITIES[kind](draw)
    around = in_context(draw, kind, left)
    left, right = around(left), around(right)
    if draw.random() < 0.01 and (found := witness(draw, left, right, kind in WHOLE_KINDS, num(1), 400)) is not None:
        raise ValueError(f"no identity: {latex(left)} and {latex(right)} at {found}")
    return _pair(draw, kind, left, right, "")


def _pair(draw: random.Random, kind: str, left: Tree, right: Tree, where: str) -> Pair:
    sides = [latex(left), latex(right)]
    draw.shuffle(sides)
    return Pair(kind, sides[0], sides[1], where)


def accepted(pair: Pair) -> bool:
    """Whether the verifier calls the answer right."""
    return verify(make_problem("?", pair.gold), rf"\boxed{{{pair.answer}}}", require_closed_form=False).status is Status.RIGHT


def run(seed: int, pairs: int) -> dict[str, Any]:
    """One seed: as many pairs of either sort, the kinds in turn."""
    draw = random.Random(seed)
    wrong: list[Pair] = []
    refused: list[Pair] = []
    by_kind: Counter[str] = Counter()
    seconds = 0.0
    for at in range(pairs):
        kind = KINDS[at % len(KINDS)]
        for make, missed, expected in ((unequal, wrong, False), (equal, refused, True)):
            pair = make(draw, kind)
            start = time.process_time()
            found = accepted(pair)
            seconds += time.process_time() - start
            if found is not expected:
                missed.append(pair)
        by_kind[kind] += 1
    return {"wrong": wrong, "refused": refused, "by_kind": by_kind, "seconds": seconds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--pairs", type=int, help=f"unequal pairs for each seed, as many equal ones; by default {LEAST_UNEQUAL:,} in all")
    parser.add_argument("--show", type=int, default=_SHOWN, help="refused pairs that are listed")
    options = parser.parse_args()
    pairs = options.pairs or -(-LEAST_UNEQUAL // len(options.seeds))
    wrong: list[Pair] = []
    refused: list[Pair] = []
    total: Counter[str] = Counter()
    seconds = 0.0
    for seed in options.seeds:
        found = run(seed, pairs)
        wrong += found["wrong"]
        refused += found["refused"]
        total += found["by_kind"]
        seconds += found["seconds"]
        share = 1 - len(found["refused"]) / pairs
        print(f"seed {seed}: {pairs} unequal pairs, {len(found['wrong'])} accepted; {pairs} equal pairs, {share:.3f} accepted", flush=True)
    missed = Counter(pair.kind for pair in refused)
    shares = {kind: round(1 - missed[kind] / total[kind], 3) for kind in KINDS if total[kind]}
    for pair in wrong:
        print(f"ACCEPTED ({pair.kind}), although they differ at {pair.where}: {pair.gold}  |  {pair.answer}")
    for pair in refused[:: max(1, len(refused) // max(1, options.show))][: options.show]:
        print(f"refused ({pair.kind}), although equal: {pair.gold}  |  {pair.answer}")
    for kind, share in shares.items():
        print(f"{kind:12} {share:.3f} of the equal pairs accepted")
    count = total.total()
    share = round(1 - len(refused) / count, 4)
    bars = {
        "unequal_accepted": not wrong, "equal_accepted_share": share >= LEAST_ACCEPTED,
        "unequal": options.pairs is not None or count >= LEAST_UNEQUAL,
    }  # fmt: skip
    result = {
        "seeds": options.seeds, "unequal": count, "unequal_accepted": len(wrong), "equal": count, "equal_accepted_share": share,
        "equal_accepted_by_kind": shares, "milliseconds_each": round(1000 * seconds / (2 * count), 2),
    }  # fmt: skip
    return ended(result, [name for name, holds in bars.items() if not holds])


if __name__ == "__main__":
    sys.exit(main())
