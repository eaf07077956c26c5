"""How much of a rollout could teach anything, and, where nothing could, why: in numbers every step; `silence.py` says it in words."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rl.evaluation.accuracy import accuracy
from rl.learning.update_stats import UpdateStats
from rl.learning.update_stats import metrics as update_metrics
from rl.objectives.batch import Batch
from rollout.engine import Completion
from rollout.player import Group
from verifiers.verdict import Status


def rollout_metrics(groups: Sequence[Group], replaced: Sequence[Group]) -> dict[str, float]:
    """A rollout as shares and means.

    Rewards, verdicts and lengths are those of all groups sampled, the `replaced` ones (dynamic sampling) too: those that train were
    chosen by their verdicts, and their mean says nothing of the policy. The shares of groups are of those that train.
    """
    sampled_groups = [*groups, *replaced]
    completions = [completion for group in sampled_groups for completion in group.completions]
    verdicts = [verdict for group in sampled_groups for verdict in group.verdicts]
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    statuses = Counter(verdict.status for verdict in verdicts)
    kinds = Counter(map(_group_kind, groups))
    lengths = [sum(completion.sampled) for completion in completions]
    result = accuracy(sampled_groups)
    low, high = result.interval
    mean = sum(scores) / len(scores) if scores else 0.0
    sampled = [logp for c in completions for logp, own in zip(c.logprobs, c.sampled, strict=True) if own]
    parts: dict[str, list[float]] = {}
    for verdict in verdicts:
        for name, value in verdict.parts.items():
            parts.setdefault(name, []).append(value)
    return {
        "reward": mean,
        "reward_std": (sum((s - mean) ** 2 for s in scores) / max(1, len(scores) - 1)) ** 0.5,
        "accuracy": result.value,
        "accuracy_low": low,
        "accuracy_high": high,
        **{f"reward/{name}": sum(values) / len(values) for name, values in sorted(parts.items())},
        **{f"verdicts/{status.value}": statuses[status] for status in Status},
        **{f"groups_{kind}": kinds[kind] / len(groups) for kind in ("all_right", "all_wrong", "no_verdict", "equal", "mixed")},
        "groups_dead": sum(not group.informative for group in groups) / len(groups),
        "groups_replaced": len(replaced),
        "completions": sum(len(group.completions) for group in groups),
        "length": sum(lengths) / len(lengths),
        "length_max": max(lengths),
        "truncated_share": sum(c.finish == "length" for c in completions) / len(completions),
        # -log p of what was sampled: an unbiased estimate of the policy's entropy over all tokens, for nothing
        "entropy": -sum(sampled) / max(1, len(sampled)),
        **_tool_metrics(completions),
    }


def _tool_metrics(completions: Sequence[Completion]) -> dict[str, float]:
    """Where any completion holds tokens that it was given: replies and failed calls a completion, their share of the tokens."""
    given = [token for completion in completions for token in completion.sampled].count(False)
    if not given:
        return {}
    replies = sum(last and not now for c in completions for last, now in pairwise([True, *c.sampled]))
    return {
        "tools/replies": replies / len(completions),
        "tools/errors": sum(completion.tool_errors for completion in completions) / len(completions),
        "tools/token_share": given / sum(len(completion.tokens) for completion in completions),
        "tools/aborted": sum(completion.finish == "abort" for completion in completions),
    }


def _group_kind(group: Group) -> str:
    statuses = {verdict.status for verdict in group.verdicts if verdict.valid}
    if not statuses:
        return "no_verdict"
    if group.informative:
        return "mixed"
    if statuses == {Status.RIGHT}:
        return "all_right"
    return "all_wrong" if Status.RIGHT not in statuses else "equal"


def critic_metrics(batch: Batch, updates: Sequence[UpdateStats]) -> dict[str, float]:
    """What the critic knew of this rollout before it learnt from it, and how its own `updates` went; nothing without one.

    `critic/explained`: 1 - Var(R - V) / Var(R) over sampled tokens: 1 where it knew all, 0 where it knew no more than their mean.
    """
    if not {"value", "returns"} <= batch.columns.keys():
        return {}
    value, returns = (batch.columns[name][batch.mask].double() for name in ("value", "returns"))
    spread = float(returns.var()) if len(returns) > 1 else 0.0
    known = {"critic/value": float(value.mean()) if len(value) else 0.0, "critic/return": float(returns.mean()) if len(returns) else 0.0}
    if spread:
        known["critic/explained"] = 1 - float((returns - value).var()) / spread
    own = update_metrics(list(updates)) if updates else {}
    return known | {f"critic/{name}": own[name] for name in ("loss", "grad_norm", "skipped_updates") if name in own}
