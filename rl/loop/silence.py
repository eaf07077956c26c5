"""Steps that teach nothing, said early: why, in counts, and what usually helps."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rollout.player import Group
from verifiers.problem import Problem
from verifiers.verdict import JUDGED, Status, Verdict

FIRST, LATER = 3, 20  # steps without a signal, after which it is said, and said again
_LOOKED_AT = 256  # refused answers that are judged again, at most

SecondLook = Callable[[Sequence[tuple[Problem, str]]], int]
"""Of (problem, response) pairs that a gate refused, how many are right by the reward behind it."""


@dataclass
class Silence:
    """The steps since the last that taught anything."""

    second_look: SecondLook | None = None
    mask_truncated: bool = False
    """Whether completions that reached the length limit do not train."""
    by_steps: bool = False
    """Whether only the scores of steps teach."""
    steps: int = 0
    patience: int = FIRST
    statuses: Counter[Status] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    scored: int = 0
    """Completions of which some step has a score."""
    cut: int = 0
    """Completions that reached the length limit."""
    refused: list[tuple[Problem, str]] = field(default_factory=list)
    whys: Counter[str] = field(default_factory=Counter)

    def note(self, groups: Sequence[Group], *, taught: bool) -> str:
        """After each step. What to tell the user: a line, or "" ."""
        if taught:
            self.__init__(self.second_look, self.mask_truncated, self.by_steps)  # type: ignore[misc]
            return ""
        self.steps += 1
        for group in groups:
            self._count_group(group)
        if self.steps < self.patience:
            return ""
        text = self.reason()
        self.__init__(self.second_look, self.mask_truncated, self.by_steps, patience=LATER)  # type: ignore[misc]
        return text

    def _count_group(self, group: Group) -> None:
        self.statuses.update(verdict.status for verdict in group.verdicts)
        self.scored += sum(bool(verdict.steps) for verdict in group.verdicts)
        self.cut += sum(completion.finish == "length" for completion in group.completions)
        statuses = {verdict.status is Status.RIGHT for verdict in group.verdicts if verdict.valid}
        self.groups[
            "without a verdict" if not statuses else "mixed" if len(statuses) > 1 else "right" if True in statuses else "wrong"
        ] += 1
        for response, verdict in zip(group.responses, group.verdicts, strict=True):
            if refused_by_a_gate(verdict):
                self.refused.append((group.problem, response))
                self.whys[verdict.detail[:80]] += 1

    def reason(self) -> str:
        """One line: why nothing was learnt in these steps, and what helps."""
        total = sum(self.statuses.values())
        why = self._stepless_reason(total) or self._masked_reason(total) or self._gate_reason(total) or self._other_reason(total)
        return f"No group had a signal in the last {self.steps} steps, so nothing was learnt: {why}"

    def _stepless_reason(self, total: int) -> str:
        if not self.by_steps or self.scored or not any(self.statuses[status] for status in JUDGED):
            return ""
        return (
            f"none of {total} answers has a step with a score, from which alone grpo-ps learns; take a reward that scores the steps of "
            "such answers, or give --outcome-weight"
        )

    def _masked_reason(self, total: int) -> str:
        if not self.mask_truncated or 2 * self.cut < total:
            return ""
        return (
            f"{self.cut} of {total} answers were cut at the length limit, which --mask-truncated keeps from training; give them room with "
            "--max-completion-length, or leave --mask-truncated out"
        )

    def _gate_reason(self, total: int) -> str:
        if 2 * len(self.refused) < total or not self.refused:
            return ""
        looked = self.refused[:_LOOKED_AT]
        right = self.second_look(looked) if self.second_look else 0
        often = self.whys.most_common(1)[0][0]
        if not right:
            return (
                f"{len(self.refused)} of {total} answers were refused by the gate (most often: {often}); ask for what it wants in "
                "--system-prompt, or leave the gate out until the policy writes so"
            )
        among = total if len(looked) == len(self.refused) else len(looked)
        return (
            f"{right} of {among} answers were right but refused by the gate (most often: {often}); ask for what it wants in "
            "--system-prompt, give its beginning with --prefill, or leave the gate out"
        )

    def _other_reason(self, total: int) -> str:
        lost = {status.value: self.statuses[status] for status in (Status.TIMEOUT, Status.CRASH, Status.BAD_GOLD) if self.statuses[status]}
        right, silent = self.statuses[Status.RIGHT], self.statuses[Status.NO_ANSWER]
        if 2 * sum(lost.values()) >= total:
            kinds = ", ".join(f"{count} {status}" for status, count in lost.items())
            return f"{sum(lost.values())} of {total} answers got no verdict ({kinds}); read `status` and `detail` in the run's rollouts"
        wrong = total - right - sum(lost.values())
        if not right:
            unread = f", {silent} of them without a final answer" if silent else ""
            if 2 * self.cut >= total:
                cut = f"all {total}" if self.cut == total else f"{self.cut} of {total}"
                return (
                    f"{cut} answers were cut at the length limit, and none was right; give them room with --max-completion-length, or "
                    "ask for shorter ones in --system-prompt"
                )
            return (
                f"all {wrong} answers were wrong{unread}; the problems are too hard for this policy: warm it up by SFT, give easier ones, "
                "allow longer completions, or check with `reckon verify` that the verifier can read its answers"
            )
        if not wrong:
            return f"all {right} answers were right; the problems are too easy for this policy: give harder ones"
        if self.groups["mixed"]:
            return (
                f"{right} of {total} answers were right, and yet the reward gives all of a group the same score: it cannot tell them apart"
            )
        return (
            f"no problem was answered both ways: in {self.groups['right']} groups all answers were right, in {self.groups['wrong']} "
            "all were wrong; sample more with --completions-per-problem, or give problems between the two"
        )


def refused_by_a_gate(verdict: Verdict) -> bool:
    """Whether a gate said no, so that the reward behind it did not run: its part is there and that reward's is not."""
    for name in verdict.parts:
        if name.rpartition("/")[2] == "gate" and f"{name}/gate" not in verdict.parts:
            behind = f"{name.rpartition('/')[0]}/score".lstrip("/")
            if behind not in verdict.parts:
                return True
    return False
