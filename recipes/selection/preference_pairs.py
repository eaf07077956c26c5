"""Right answers against wrong ones of the same group, for DPO and its relatives; or each with its label, for KTO.

Both sides of a pair answer one prompt under one policy. No response is in two pairs, and no two pairs have the same texts. Which meet is
drawn by the seed and the problem, so the same store gives the same pairs.

With `length_balanced` lengths decide: wrong answers are longer as a rule, and DPO learns from such pairs that short is better
(arXiv:2403.19159). Each pair is then the one that brings the sum of the differences in length (chosen minus rejected, in tokens, over all
pairs so far) nearest to 0, and in the end the most one-sided pairs go, until the mean difference is within 2 % of the mean length or no
pair can go without tipping it over. What that costs is counted.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from recipes.selection.stored_responses import StoredResponse
from recipes.selection.tally import Tally
from recipes.selection.training_text import completion_of, facts_of, prompt_of
from verifiers.input_error import InputError
from verifiers.problem import Problem

Stored = Iterable[tuple[Problem, Sequence[StoredResponse]]]
_BALANCED = 0.02  # of the mean length


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Which pairs are made."""

    margin: float = 0.0
    """The right answer's score must be above the wrong one's, and by at least this."""
    per_problem: int = 4
    """Pairs, or for KTO responses of either label, at most."""
    length_balanced: bool = False
    """Choose pairs so that chosen and rejected responses are equally long in the mean."""
    keep_truncated: bool = False
    """Also responses that were cut off at the token limit."""
    seed: int = 0
    """Which answers meet is drawn by it."""
    format: Literal["pairs", "kto"] = "pairs"
    """kto: rows of prompt, completion and label instead, no pairs."""

    def check(self) -> None:
        """Raises InputError for numbers that cannot be, and for what KTO would ignore."""
        if self.per_problem < 1:
            raise InputError(f"--per-problem must be at least 1, not {self.per_problem}")
        if not 0 <= self.margin < math.inf:
            raise InputError(f"--margin must be 0 or more, not {self.margin}")
        if self.format == "kto" and (self.margin or self.length_balanced):
            ignored = "--margin" if self.margin else "--length-balanced"
            raise InputError(f"{ignored} would be ignored with --format kto, which makes no pairs; leave it out")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    chosen: StoredResponse
    rejected: StoredResponse

    @property
    def excess(self) -> int:
        """Tokens by which the chosen response is longer."""
        return self.chosen.length - self.rejected.length


def preference_pairs(stored: Stored, rules: Pairing, tally: Tally) -> list[Pair]:
    """The pairs, problem by problem. Every response of the store is in one of them or counted by the tally."""
    pairs: list[Pair] = []
    balance = 0
    for problem, responses in tally.watch(stored):
        fit = [response for response in responses if tally.fits(response, keep_truncated=rules.keep_truncated)]
        possible = [pair for _, group in groupby(fit, key=lambda response: response.group) for pair in _pairs_of(list(group), rules, tally)]
        random.Random(f"{rules.seed}/{problem.id}").shuffle(possible)
        chosen = _matched(possible, rules, balance)
        able = {id(response) for pair in possible for response in (pair.chosen, pair.rejected)}
        tally.leave_out("over the cap of their problem, or whose partners are taken", len(able) - 2 * len(chosen))
        balance += sum(pair.excess for pair in chosen)
        pairs += chosen
    if rules.length_balanced:
        kept = _balanced(pairs)
        tally.leave_out("to balance the lengths", 2 * (len(pairs) - len(kept)))
        pairs = kept
    tally.written = len(pairs)
    return pairs


def pair_row(pair: Pair) -> dict[str, Any]:
    """A row of a file for DPO and its relatives."""
    return {
        "prompt": prompt_of(pair.chosen),
        "chosen": completion_of(pair.chosen),
        "rejected": completion_of(pair.rejected),
        "score_chosen": pair.chosen.score,
        "score_rejected": pair.rejected.score,
        **facts_of(pair.chosen),
    }


def labelled(stored: Stored, rules: Pairing, tally: Tally) -> Iterator[StoredResponse]:
    """Right and wrong answers for KTO, of each problem at most `per_problem` of either, no text twice."""
    for problem, responses in tally.watch(stored):
        fit = _once([response for response in responses if tally.fits(response, keep_truncated=rules.keep_truncated)], tally)
        random.Random(f"{rules.seed}/{problem.id}").shuffle(fit)
        given: Counter[bool] = Counter()
        for response in fit:
            given[is_right(response)] += 1
            if given[is_right(response)] > rules.per_problem:
                tally.leave_out("over the cap of their problem")
                continue
            tally.written += 1
            yield response


def labelled_row(response: StoredResponse) -> dict[str, Any]:
    """A row of a file for KTO."""
    text = {"prompt": prompt_of(response), "completion": completion_of(response), "label": is_right(response)}
    return {**text, "score": response.score, **facts_of(response)}


def is_right(response: StoredResponse) -> bool:
    return response.status == "right"


def _once(responses: Sequence[StoredResponse], tally: Tally) -> list[StoredResponse]:
    """Each text once, the first of its kind."""
    first = list({response.text.strip(): response for response in reversed(responses)}.values())[::-1]
    tally.leave_out("with a text that is there already", len(responses) - len(first))
    return first


def _pairs_of(group: Sequence[StoredResponse], rules: Pairing, tally: Tally) -> list[Pair]:
    """All pairs that a group allows."""
    sides = [[response for response in group if is_right(response) is side] for side in (True, False)]
    if not all(sides):
        tally.leave_out("in groups that are all right or all wrong", len(group))
        return []
    right, wrong = (_once(side, tally) for side in sides)
    pairs = [Pair(one, other) for one in right for other in wrong if _is_apart(one, other, rules.margin)]
    able = {id(response) for pair in pairs for response in (pair.chosen, pair.rejected)}
    tally.leave_out("without a partner at that margin", len(right) + len(wrong) - len(able))
    return pairs


def _is_apart(one: StoredResponse, other: StoredResponse, margin: float) -> bool:
    assert one.score is not None
    assert other.score is not None
    gap = one.score - other.score
    return gap > 0 and gap >= margin and one.text.strip() != other.text.strip()


def _matched(possible: Sequence[Pair], rules: Pairing, balance: int) -> list[Pair]:
    """Pairs of which no two share a response or have the same texts, at most so many."""
    left = list(possible)
    chosen: list[Pair] = []
    while left and len(chosen) < rules.per_problem:
        pair = min(left, key=lambda each: abs(balance + each.excess)) if rules.length_balanced else left[0]
        balance += pair.excess
        chosen.append(pair)
        left = [each for each in left if not _meet(each, pair)]
    return chosen


def _meet(one: Pair, other: Pair) -> bool:
    same_texts = one.chosen.text == other.chosen.text and one.rejected.text == other.rejected.text
    return one.chosen is other.chosen or one.rejected is other.rejected or same_texts


def _balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """Without the most one-sided pairs, until chosen and rejected responses are as long in the mean."""
    total = sum(pair.excess for pair in pairs)
    length = sum(pair.chosen.length + pair.rejected.length for pair in pairs) / 2
    sign, gone = (1 if total > 0 else -1), set()
    for pair in sorted(pairs, key=lambda pair: -sign * pair.excess):
        if sign * total <= _BALANCED * length or pair.excess * sign <= 0:
            break
        if sign * (total - pair.excess) >= -_BALANCED * length:
            gone.add(pair)
            total -= pair.excess
            length -= (pair.chosen.length + pair.rejected.length) / 2
    return [pair for pair in pairs if pair not in gone]
