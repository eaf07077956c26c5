"""Generalised advantage estimation over ragged sequences: credit for every token from a critic's values.

Only tokens that the policy sampled take part; a tool's output between them is passed over, as if the next sampled token followed at once
(verl and NeMo carry the running values over it to the same effect). Nothing here loops over tokens.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rl.objectives.batch import Batch, ends, trained
from rl.objectives.credit import Credit, Signal, whitened
from rl.objectives.process_credit import step_rewards

Truncation = Literal["zero", "bootstrap"]


def suffix_sums(x: Float[Tensor, "M"], row: Int[Tensor, "M"], decay: Float[Tensor, "M"]) -> Float[Tensor, "M"]:
    """y[t] = x[t] + decay x[t+1] + decay² x[t+2] + ... within each row; `row` rising, `decay` in [0, 1], the same throughout a row.

    By doubling, log2(longest) sweeps: after the k-th, y[t] holds its first 2^k terms.
    """
    longest = int(torch.bincount(row).max()) if len(row) else 0
    total, factor, reach = x.clone(), decay.clone(), 1
    while reach < longest:
        same = row[reach:] == row[:-reach]
        total = torch.cat([total[:-reach] + torch.where(same, factor[:-reach] * total[reach:], 0.0), total[-reach:]])
        factor, reach = factor.square(), 2 * reach
    return total


@dataclass(frozen=True)
class GAE:
    """A = Σ_k (γλ)^k δ_{t+k}, δ_t = r_t + γ V_{t+1} - V_t, arXiv:1506.02438; V_t is of the text before token t was chosen.

    Rewards: the outcome on the last sampled token, process scores on the last token of their steps, and a KL to the reference on each.
    Gives `advantage`, and `returns` for the critic: its own advantage (`critic_lam`), not whitened, + the value it was scored with.
    """

    gamma: float = 1.0
    lam: float = 1.0
    """Of the policy's advantage."""
    critic_lam: float = 1.0
    """Of the critic's target: 1 keeps it unbiased whatever the policy's is (decoupled GAE, VC-PPO, arXiv:2503.01491)."""
    length_adaptive: float = 0.0
    """α > 0: the policy's λ of a sequence of l sampled tokens is 1 - 1/(α l) (VAPO, arXiv:2504.05118, α = 0.05), instead of `lam`."""
    truncation: Truncation = "zero"
    """What follows the last token of a completion that reached the length limit: nothing, or the value there (column `value_after`)."""
    kl_coef: float = 0.0
    """k1 of each sampled token, subtracted from its reward (columns `policy_logp`, `ref_logp`)."""
    process_weight: float = 1.0
    outcome_weight: float = 1.0
    whiten: bool = True
    """Advantages to mean 0 and standard deviation 1 over all sampled tokens of the rollout (ddof 1)."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that must have been scored before credit is given."""
        kl, after = ("policy_logp", "ref_logp") if self.kl_coef else (), ("value_after",) if self.truncation == "bootstrap" else ()
        return ("value", *after, *kl)

    def __call__(self, signal: Signal) -> Credit:
        batch = signal.batch
        mask, row = batch.mask, batch.row[batch.mask]
        reward, value = self._rewards(signal)[mask].double(), batch.column("value")[mask].double()
        delta = reward + self.gamma * self._following(value, row, batch) - value
        critic = suffix_sums(delta, row, torch.full_like(delta, self.gamma * self.critic_lam))
        policy = suffix_sums(delta, row, self.gamma * self._lam(batch)[row])
        spread = {"advantage": policy, "returns": critic + value}
        dtype = batch.column("value").dtype
        columns = {name: torch.zeros(len(mask), dtype=dtype).masked_scatter(mask, x.to(dtype)) for name, x in spread.items()}
        return columns | {"advantage": whitened(columns["advantage"], mask)} if self.whiten else columns

    def _rewards(self, signal: Signal) -> Float[Tensor, "N"]:
        batch = signal.batch
        given = step_rewards(signal, process_weight=self.process_weight, outcome_weight=self.outcome_weight)
        return given - self.kl_coef * (batch.column("policy_logp") - batch.column("ref_logp")) if self.kl_coef else given

    def _following(self, value: Float[Tensor, "M"], row: Int[Tensor, "M"], batch: Batch) -> Float[Tensor, "M"]:
        """The value of what comes after each token."""
        after = value.new_zeros(len(batch))
        if self.truncation == "bootstrap":
            after = torch.where(batch.column("truncated"), batch.column("value_after").double(), 0.0)
        return torch.where(ends(batch)[batch.mask], after[row], value.roll(-1))

    def _lam(self, batch: Batch) -> Float[Tensor, "B"]:
        lengths = trained(batch).double()
        if not self.length_adaptive:
            return torch.full_like(lengths, self.lam)
        return (1 - 1 / (self.length_adaptive * lengths.clamp(min=1))).clamp(min=0)

    def formula(self) -> str:
        lam = f"1 - 1/({self.length_adaptive} length)" if self.length_adaptive else f"{self.lam}"
        shaped = f" - {self.kl_coef} (lp - ref)" if self.kl_coef else ""
        end = "V of the end" if self.truncation == "bootstrap" else "0"
        weights = f"{self.process_weight} score of a step on its last token + {self.outcome_weight} outcome on the last token"
        first = f"A = {'whiten(' if self.whiten else ''}Σ_k ({self.gamma} λ)^k δ_(t+k){')' if self.whiten else ''},  λ = {lam}"
        return "\n".join([
            first, f"δ_t = r_t{shaped} + {self.gamma} V_(t+1) - V_t,  after a cut completion V = {end}",
            f"r = {weights}",
            f"R = V + Σ_k ({self.gamma} {self.critic_lam})^k δ_(t+k)",
        ])  # fmt: skip
