"""What goes wrong with a run that still runs, said in words: what was seen, its measured cause, and what usually helps.

Each alarm is a pure function of the steps' numbers, which it compares over windows of five steps, and says nothing until it has seen
enough. Each is said once, and again only when it had gone and comes back. That nothing at all is learnt is `silence.py`'s to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from statistics import fmean

Row = Mapping[str, float]
Alarm = Callable[[Sequence[Row]], str]
"""Of the numbers of every step so far: a line, or ""."""

WINDOW = 5
"""Steps that are averaged: one step's numbers are noise."""
PATIENCE = 20
"""Steps that a critic has to explain anything."""


def after(steps: int) -> Callable[[Alarm], Alarm]:
    """Of an alarm: silent until it has seen so many."""

    def waiting(alarm: Alarm) -> Alarm:
        @wraps(alarm)
        def say(rows: Sequence[Row]) -> str:
            return alarm(rows) if len(rows) >= steps else ""

        return say

    return waiting


def _mean(rows: Sequence[Row], name: str) -> float:
    return fmean(row.get(name, 0.0) for row in rows)


def _taught(rows: Sequence[Row]) -> bool:
    """Whether any of these steps did: where none does, that is a silence, whose reasons are told there."""
    return any(row.get("effective_batch") for row in rows)


def _ends(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """The first window and the last, which do not overlap."""
    return rows[:WINDOW], rows[-WINDOW:]


@after(2 * WINDOW)
def reward_without_answers(rows: Sequence[Row]) -> str:
    """The reward rises while accuracy does not, and what rises beside it: length, repetition, answers that nobody can read."""
    first, last = _ends(rows)
    before, now = _mean(first, "reward"), _mean(last, "reward")
    right_before, right_now = _mean(first, "accuracy"), _mean(last, "accuracy")
    spread = max(_mean(first, "reward_std"), 1e-6)
    if now - before < 0.25 * spread or right_now > right_before + 0.02:
        return ""
    causes = []
    if _mean(last, "length") > 1.3 * _mean(first, "length"):
        causes.append(f"responses grew from {_mean(first, 'length'):,.0f} to {_mean(last, 'length'):,.0f} tokens")
    if _mean(last, "length") < 0.7 * _mean(first, "length"):
        causes.append(f"responses shrank from {_mean(first, 'length'):,.0f} to {_mean(last, 'length'):,.0f} tokens")
    if _unread(last) > _unread(first) + 0.1:
        causes.append(f"answers that nobody can read went from {_unread(first):.0%} to {_unread(last):.0%}")
    parts = {name for row in last for name in row if name.startswith("reward/")}
    gains = {name: _mean(last, name) - _mean(first, name) for name in parts}
    if gains and max(gains.values()) > 0:
        causes.append(f"most of it in {max(gains, key=lambda name: gains[name]).removeprefix('reward/')}")
    why = f" ({', '.join(causes)})" if causes else ""
    return (
        f"the reward rose from {before:.3g} to {now:.3g} while accuracy went from {right_before:.1%} to {right_now:.1%}{why}: the policy "
        "learns what the reward pays for beside right answers; put that part behind gate(...), lower its weight, or cap it"
    )


def _unread(rows: Sequence[Row]) -> float:
    return _mean(rows, "verdicts/no_answer") / max(1.0, _mean(rows, "completions"))


@after(WINDOW)
def collapsed(rows: Sequence[Row]) -> str:
    """What the policy could do is lost: fewer than half as many right answers as before the first update, and not by chance."""
    before, now = rows[0].get("accuracy", 0.0), _mean(rows[-WINDOW:], "accuracy")
    chance = 3 * (before * (1 - before) / max(1.0, rows[0].get("completions", 0.0))) ** 0.5
    if now > 0.5 * before or before - now < chance or before == 0 or _mean(rows[-WINDOW:], "reward") > rows[0].get("reward", 0.0):
        return ""  # a reward that rises meanwhile is told of as such
    return (
        f"accuracy fell from {before:.1%} before the first update to {now:.1%} over the last {WINDOW} steps at learning rate "
        f"{rows[-1].get('lr', 0.0):g}: what the policy could do is lost; lower --lr (by ten, to begin with) and begin again, or continue "
        "from an earlier checkpoint"
    )


@after(2 * WINDOW)
def entropy_collapse(rows: Sequence[Row]) -> str:
    """The policy has stopped trying things before it is good."""
    first, last = _ends(rows)
    before, now = _mean(first, "entropy"), _mean(last, "entropy")
    if before <= 0 or now > 0.1 * before or _mean(last, "accuracy") > 0.8:
        return ""
    return (
        f"entropy fell from {before:.2g} to {now:.2g} nats a token at {_mean(last, 'accuracy'):.0%} accuracy, and "
        f"{_mean(last, 'groups_dead'):.0%} "
        "of the groups say the same: little is left to choose from; lower --lr, raise --clip-high (--algorithm dapo), give --kl-coef or "
        "--entropy-coef, or start again from an earlier checkpoint"
    )


@after(WINDOW)
def dead_groups(rows: Sequence[Row]) -> str:
    """Most of what is sampled teaches nothing."""
    last = rows[-WINDOW:]
    dead, right, wrong = (_mean(last, name) for name in ("groups_dead", "groups_all_right", "groups_all_wrong"))
    if dead < 0.8 or not _taught(last) or collapsed(rows):
        return ""
    what = (
        "the problems are too easy: give harder ones, or leave out those with a high solve_rate (`reckon data difficulty`)"
        if right > wrong
        else "the problems are too hard: give easier ones, --order easy-first, or more --completions-per-problem"
    )
    return f"{dead:.0%} of the groups of the last {WINDOW} steps taught nothing ({right:.0%} all right, {wrong:.0%} all wrong): {what}"


@after(WINDOW)
def clipped(rows: Sequence[Row]) -> str:
    """Updates run against the clip."""
    share = _mean(rows[-WINDOW:], "clipped_share")
    if share < 0.3:
        return ""
    return (
        f"{share:.0%} of the tokens were clipped in the last {WINDOW} steps: the policy moves away from its samples within a step; lower "
        "--lr, --updates-per-rollout or --epochs-per-rollout"
    )


@after(WINDOW)
def cut_off(rows: Sequence[Row]) -> str:
    """Responses have no room."""
    share = _mean(rows[-WINDOW:], "truncated_share")
    if share < 0.5 or not _taught(rows[-WINDOW:]) or collapsed(rows):
        return ""
    return (
        f"{share:.0%} of the responses of the last {WINDOW} steps ended at the length limit: give them room with --max-completion-length, "
        "or ask for shorter ones"
    )


@after(WINDOW)
def without_verdict(rows: Sequence[Row]) -> str:
    """The verifier fails too often."""
    last = rows[-WINDOW:]
    kinds = {name: _mean(last, f"verdicts/{name}") for name in ("timeout", "crash", "bad_gold")}
    share = sum(kinds.values()) / max(1.0, _mean(last, "completions"))
    if share < 0.2 or not _taught(last):
        return ""
    most = max(kinds, key=lambda name: kinds[name])
    remedy = {
        "timeout": "raise --deadline, or make the reward quicker",
        "crash": "read `detail` in the run's rollouts",
        "bad_gold": "`reckon audit` finds these problems",
    }[most]
    return f"{share:.0%} of the responses of the last {WINDOW} steps got no verdict, most of them {most}: {remedy}"


@after(2 * WINDOW)
def kl_runs_away(rows: Sequence[Row]) -> str:
    """The policy leaves its reference faster and faster."""
    if "kl_reference" not in rows[-1]:
        return ""
    middle, last = _mean(rows[-2 * WINDOW : -WINDOW], "kl_reference"), _mean(rows[-WINDOW:], "kl_reference")
    if last < 0.5 or last < 2 * middle:
        return ""
    return (
        f"the KL to the reference went from {middle:.2g} to {last:.2g} nats a token within {WINDOW} steps: the policy runs away from where "
        "it began; raise --kl-coef, lower --lr, or renew the reference (--reference renewed)"
    )


def another_reference(rows: Sequence[Row]) -> str:
    """The reference is not what the policy began as: before the first update the two are one, up to the precision of either."""
    kl = rows[0].get("kl_reference", 0.0)
    if kl < 0.1:
        return ""
    return (
        f"at the first step the KL to the reference was {kl:.2g} nats a token, before anything was learnt: the reference is not what the "
        "policy began as; look at its weights, its --dtype, and what the policy was continued from"
    )


@after(WINDOW)
def sampler_drift(rows: Sequence[Row]) -> str:
    """The sampler's probabilities are not the trainer's, though less so than the canary forbids."""
    kl = _mean(rows[-WINDOW:], "sampler_kl")
    if kl < 0.01:
        return ""
    return (
        f"sampler and trainer differ by a KL of {kl:.2g} nats a token over the last {WINDOW} steps: give --correction truncate, "
        "sample in the trainer's precision, or lower --ahead and --updates-per-rollout"
    )


def critic_explains_nothing(rows: Sequence[Row]) -> str:
    """A critic that is no better than none."""
    known = [row for row in rows if "critic/explained" in row]
    if len(known) < PATIENCE:
        return ""
    last = known[-WINDOW:]
    explained, first = _mean(last, "critic/explained"), _mean(known[:WINDOW], "value_square_error")
    error = _mean(last, "value_square_error")
    if explained > 0 or error < 0.9 * first:
        return ""
    return (
        f"after {len(known)} steps the critic explains {explained:.0%} of the returns and its error has gone from {first:.2g} to "
        f"{error:.2g}: raise --critic-lr or --critic-coef, give it --critic-warmup steps alone, or do without (--algorithm grpo)"
    )


def skipped(rows: Sequence[Row]) -> str:
    """A step that was not finite."""
    if not rows[-1].get("skipped_updates"):
        return ""
    return (
        f"an update was not finite at learning rate {rows[-1].get('lr', 0.0):g} and was skipped; the third in a row ends the run: lower "
        "--lr, or train in --dtype fp32"
    )


ALARMS: tuple[Alarm, ...] = (
    reward_without_answers, collapsed, entropy_collapse, dead_groups, clipped, cut_off, without_verdict, kl_runs_away, another_reference,
    sampler_drift, critic_explains_nothing, skipped,
)  # fmt: skip


@dataclass
class Watch:
    """A run's numbers so far, and which alarms are on."""

    alarms: Sequence[Alarm] = ALARMS
    rows: list[Row] = field(default_factory=list)
    on: set[str] = field(default_factory=set)

    def note(self, row: Row) -> list[str]:
        """After each step. What to tell the user: a line for each alarm that has come on."""
        self.rows.append(row)
        found = {alarm.__name__: line for alarm in self.alarms if (line := alarm(self.rows))}
        fresh = [line for name, line in found.items() if name not in self.on]
        self.on = set(found)
        return fresh
