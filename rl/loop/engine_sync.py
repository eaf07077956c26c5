"""The engine kept in step with the policy, and the proof of it: every sync and every sampling is followed by the canary.

What the policy was when a rollout was begun one step ahead is gone when it arrives, so only rollouts of the current policy are
held against it; the first of a run always is, and every sync is, whenever it was made.
"""

import time
from collections.abc import Sequence

from rl.learning.policy import Policy
from rollout.canary import Canary, bound_of, fixed_sequences
from rollout.player import Group, Player
from verifiers.problem import Problem


class EngineSync:
    def __init__(self, policy: Policy, player: Player, problems: Sequence[Problem]):
        self.policy, self.engine = policy, player.engine
        prompts = [player.chat.render(problem) for problem in problems[:8]]
        sequences = fixed_sequences(prompts, policy.vocabulary)
        self.canary = Canary(policy.score_sequences, sequences, bound=bound_of(policy.autocast, policy.device.type))
        self._facts: dict[str, float] = {}
        self._delivered: tuple[int, dict[str, float]] | None = None

    def sync(self) -> None:
        """The engine samples from the policy as it is now. A version that it has does not travel again; the facts are those of its sync."""
        if not self._delivered or self._delivered[0] != self.policy.version:
            self._delivered = None
            self._delivered = self.policy.version, self._deliver()
        self._facts |= self._delivered[1]

    def _deliver(self) -> dict[str, float]:
        began = time.monotonic()
        moved = self.engine.load_policy(self.policy.weights(), self.policy.version)
        delivered = time.monotonic()
        gap = self.canary.check_weights(self.engine, self.policy.version)
        return {
            "sync/seconds": delivered - began, "sync/bytes": float(moved), "sync/canary_seconds": time.monotonic() - delivered,
            "canary/weights_worst": gap.worst, "canary/weights_high": gap.high, "canary/weights_mean": gap.mean,
        }  # fmt: skip

    def check_samples(self, groups: Sequence[Group], temperature: float, step: int) -> None:
        """What was sampled came from the policy."""
        began = time.monotonic()
        sampled = [(group.prompt, group.completions) for group in groups]
        gap = self.canary.check_samples(sampled, temperature=temperature, version=self.policy.version, first=step)
        self._facts |= {
            "sync/samples_seconds": time.monotonic() - began,
            "canary/samples_worst": gap.worst,
            "canary/samples_high": gap.high,
            "canary/samples_mean": gap.mean,
        }

    def rest(self) -> None:
        """The engine gives its memory back until it is asked again."""
        self._facts["sync/bytes_given_back"] = float(self.engine.sleep())

    def facts(self) -> dict[str, float]:
        """What the syncs and checks since the last call cost and saw."""
        facts, self._facts = self._facts, {}
        return facts
