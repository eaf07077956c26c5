"""The problems of a run and their golds: what every command does with them that samples, before it loads a model."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from recipes.setup.problem_mixture import parts_of
from verifiers.input_error import InputError
from verifiers.problem import Problem

if TYPE_CHECKING:
    from rollout.player import Verify

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."


@dataclass(frozen=True)
class Given:
    """What a Python program has as objects, where options would name it."""

    problems: Sequence[Problem]
    held_out: Sequence[Problem] = ()
    verify: "Verify | None" = None
    """In place of the verifier pool; the golds are then not checked."""


def with_good_golds(
    config: Any, problems: Sequence[Problem], held_out: Sequence[Problem], pool: Any
) -> tuple[list[Problem], list[Problem]]:
    """Every verifier accepts its own gold, checked over all the data: each problem's own, or those that read answers in the rewards.

    A reward of the user's own need not accept the bare gold answer, and neither must one of format or length.
    """
    from verifiers.worker_pool.gold_check import audit_golds, gold_judges
    from verifiers.worker_pool.verifier_pool import VerifierPool

    every, places = [*problems, *held_out], " and ".join(part.place for part in parts_of(config.data))
    if config.reward:
        judged = [replace(problem, verifier=judge) for judge in gold_judges(config.reward) for problem in every]
        with VerifierPool(workers=config.workers, deadline=config.deadline) as own:
            found = audit_golds(judged, own)
    else:
        found = audit_golds(every, pool)
    bad = list({problem.id: (problem, verdict) for problem, verdict in reversed(found)}.values())[::-1]
    if bad and not config.skip_bad_gold:
        listed = "; ".join(f"{problem.answer!r:.60} ({verdict.status}: {verdict.detail:.80})" for problem, verdict in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"--data {places}: {len(bad)} of {len(every)} gold answers are rejected by their own verifier: {listed}{more}; "
            "mend them, or drop them with --skip-bad-gold"
        )
    if bad:
        print(f"{places}: left out {len(bad)} problems whose gold answer its own verifier rejects", file=sys.stderr)
    rejected = {problem.id for problem, _ in bad}
    kept = [problem for problem in problems if problem.id not in rejected]
    if not kept:
        raise InputError(f"--data {places}: no gold answer is accepted by its own verifier; nothing is left to train on")
    return kept, [problem for problem in held_out if problem.id not in rejected]


def resolve_dtype(config: Any) -> Any:
    import torch

    return ("bf16" if torch.cuda.is_available() else "fp32") if config.dtype == "auto" else config.dtype
