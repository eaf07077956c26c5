"""Options that are a choice with settings of its own: what samples, what trains, which algorithm, and the terms beside its loss.

    Config(engine=VLLM(memory=0.5), tune=Lora(rank=8), algorithm=DAPO(clip_high=0.3), kl=KL(0.04, reference=MovingAverage(0.99)))

Each is a dataclass that holds only what it obeys. Nothing is computed here: `engines.py` and `online.py` make the objects.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from recipes.spelling.flat_options import spelt

EngineOption = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


# --- what samples ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HF:
    """transformers' generate, from the policy in place."""


@dataclass(frozen=True, kw_only=True)
class VLLM:
    """vLLM in this process."""

    prefix: ClassVar[str] = "engine_"
    memory: float = 0.4
    """vLLM: share of the GPU's memory, which the policy needs too."""
    sleep: bool = False
    """vLLM on a GPU: give that memory back while the policy updates."""
    option: EngineOption = ()
    """vLLM: any argument of vllm.LLM as name=value, such as quantization=fp8; repeatable."""


@dataclass(frozen=True, kw_only=True)
class Auto(VLLM):
    """vLLM with these settings where it is installed, else transformers' generate."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running vLLM server."""

    prefix: ClassVar[str] = "server_"
    url: str = "http://127.0.0.1:8000"
    """Server: its address."""
    folder: Path | None = None
    """Server: a folder that it sees too, where weights are handed over (default: this machine's memory)."""


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Several engines, each an actor with a GPU or a core of its own."""

    prefix: ClassVar[str] = "ray_"
    count: int = spelt("engines", default=2)
    """Ray: how many engines."""
    engine: HF | VLLM | Auto = Auto()
    """Ray: what each of them is."""
    address: str | None = None
    """Ray: a running cluster's address, or "auto" for this machine's; default: Ray starts here, for this run."""


Engine = HF | VLLM | Server | Ray | Auto


# --- what trains -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A low-rank adapter, arXiv:2106.09685. What is None is the default, or that of the adapter which goes on."""

    prefix: ClassVar[str] = "lora_"
    rank: int | None = None
    """Rank of the adapter (default 16)."""
    alpha: float | None = None
    """Scale of the adapter (default twice the rank)."""
    targets: str | None = None
    """Modules that get an adapter: comma-separated names, or all-linear (default)."""
    dora: bool | None = spelt("dora", default=None)
    """Weight-decomposed adapter (DoRA), arXiv:2402.09353."""
    rslora: bool | None = spelt("rslora", default=None)
    """Scale of the adapter by the root of its rank (rsLoRA), arXiv:2312.03732."""
    plus: float | None = None
    """Learning rate of the adapter's B over that of its A (LoRA+, arXiv:2402.12354, which takes 16; default 1)."""
    quantization: Literal["nf4"] | None = spelt("quantization", default=None)
    """Hold the frozen base in 4 bits under the adapter (QLoRA, arXiv:2305.14314; bitsandbytes' NF4, double quantisation)."""


@dataclass(frozen=True, kw_only=True)
class Full:
    """All parameters."""


Tune = Lora | Full


# --- which algorithm: each is a factory's parameters in `rl/objectives/algorithms.py`, with the same defaults ----------------------


@dataclass(frozen=True, kw_only=True)
class GRPO:
    """Group-relative policy optimisation, arXiv:2402.03300."""

    clip_low: float = 0.2
    """Lower clip distance of the ratio."""
    clip_high: float = 0.2
    """Upper clip distance of the ratio."""


@dataclass(frozen=True, kw_only=True)
class DrGRPO(GRPO):
    """GRPO without division by standard deviation or length, arXiv:2503.20783."""

    word: ClassVar[str] = "dr_grpo"


@dataclass(frozen=True, kw_only=True)
class DAPO(GRPO):
    """Clip-higher, token weights, soft overlong punishment, dynamic sampling, arXiv:2503.14476."""

    clip_high: float = 0.28
    overlong_cache: int | None = None
    """Tokens before the limit over which the length penalty grows (default: a fifth of the limit; 0: off)."""
    max_refills: int = 3
    """Further rounds of sampling to replace groups whose verdicts agree; 0: off."""


@dataclass(frozen=True, kw_only=True)
class GSPO(GRPO):
    """One ratio a sequence, arXiv:2507.18071."""

    clip_low: float = 3e-4
    clip_high: float = 4e-4


@dataclass(frozen=True, kw_only=True)
class CISPO:
    """Clipped importance-sampling weights, arXiv:2506.13585."""

    ratio_cap: float = 5.0
    """Largest ratio."""


@dataclass(frozen=True, kw_only=True)
class RLOO:
    """REINFORCE with a leave-one-out baseline, arXiv:2402.14740."""


@dataclass(frozen=True, kw_only=True)
class ReinforcePP(GRPO):
    """Returns whitened over the rollout, no group baseline, arXiv:2501.03262."""

    word: ClassVar[str] = "reinforce++"


@dataclass(frozen=True, kw_only=True)
class ReinforcePPBaseline(GRPO):
    """The group's mean subtracted, then whitened over the rollout, arXiv:2501.03262."""

    word: ClassVar[str] = "reinforce++-baseline"


@dataclass(frozen=True, kw_only=True)
class MaxRL:
    """The group's mean divides, so that rare right answers weigh more."""


@dataclass(frozen=True, kw_only=True)
class RAFT:
    """Online rejection sampling: maximum likelihood of the policy's own right answers, arXiv:2304.06767, 2402.03300."""

    accept_score: float = 1.0
    """A response whose score is at least this is learnt from."""


@dataclass(frozen=True, kw_only=True)
class PassAtK(GRPO):
    """The best of k answers, unbiased over the group (PKPO), arXiv:2505.15201."""

    word: ClassVar[str] = "pass-at-k"
    k: int = 4
    """Tries of which the best counts; at most --completions-per-problem."""
    baseline: Literal["k-1", "leave-one-out", "z-score"] = "k-1"
    """What the best of k is compared with: the best of k-1 others, of k others, or GRPO over subsets (Pass@k Training)."""


@dataclass(frozen=True, kw_only=True)
class BestOfN(GRPO):
    """Towards the policy's own best of n answers (the forward KL of BOND), arXiv:2407.14622, 2412.15287."""

    word: ClassVar[str] = "best-of-n"
    n: int = 4
    """Answers among which the best is imitated; at most --completions-per-problem."""


@dataclass(frozen=True, kw_only=True)
class Sampled(GRPO):
    """Distillation by what the teacher thinks of the sampled token."""

    to_go: bool = False
    """A token answers for what follows it too: without bias for whole sequences, and noisier."""


@dataclass(frozen=True, kw_only=True)
class TopK:
    """Distillation by the KL over the teacher's most likely tokens, and all others as one."""

    word: ClassVar[str] = "top-k"
    k: int = 64
    """Tokens of the teacher that are singled out."""


@dataclass(frozen=True, kw_only=True)
class GRPOPS(GRPO):
    """GRPO with process supervision: a reward such as steps(arithmetic) scores each step, arXiv:2402.03300, section 4.1.3."""

    word: ClassVar[str] = "grpo-ps"
    process_weight: float = 1.0
    """Weight of the advantages by step."""
    outcome_weight: float = 0.0
    """Weight of GRPO's advantage of the whole response beside them; 0: the paper's process supervision."""


@dataclass(frozen=True, kw_only=True)
class TrunkCritic:
    """A value head on the policy: one forward and backward pass for both."""

    word: ClassVar[str] = "trunk"
    prefix: ClassVar[str] = "critic_"
    coef: float = 0.1
    """Critic on the policy's trunk: what its loss counts beside the policy's."""
    lr: float | None = None
    """Peak learning rate of the critic (default: ten times --lr; on the policy's trunk, of its head alone)."""
    clip: float = 0.2
    """The critic's new value may differ so much from the old before its loss is clipped; 0: off."""
    warmup: int = 0
    """In so many steps only the critic learns, and the policy stays as it is."""


@dataclass(frozen=True, kw_only=True)
class AdapterCritic:
    """A second adapter and a value head on the base under the policy's adapter."""

    word: ClassVar[str] = "adapter"
    prefix: ClassVar[str] = "critic_"
    lr: float | None = None
    clip: float = 0.2
    warmup: int = 0
    rank: int | None = None
    """Rank of the critic's adapter (default: the policy's)."""


@dataclass(frozen=True, kw_only=True)
class SeparateCritic:
    """A model of its own with a value head, tuned as the policy is: an adapter or all parameters."""

    word: ClassVar[str] = "separate"
    prefix: ClassVar[str] = "critic_"
    lr: float | None = None
    clip: float = 0.2
    warmup: int = 0
    model: str | None = None
    """Separate critic: hub id, folder or run that it begins as (default: as the policy does); a reward model brings its head."""


@dataclass(frozen=True, kw_only=True)
class PPO(GRPO):
    """Proximal policy optimisation with a critic, arXiv:1707.06347."""

    dual_clip: float = 0.0
    """Bound on the ratio of tokens that were bad, arXiv:1912.09729 (3); 0: off."""
    gamma: float = 1.0
    """Discount of GAE."""
    lam: float = 1.0
    """λ of the policy's GAE, arXiv:1506.02438."""
    critic_lam: float = 1.0
    """λ of the critic's target (decoupled GAE, arXiv:2503.01491)."""
    length_adaptive: float = 0.0
    """α of λ = 1 - 1/(α length) for the policy, instead of --lam (VAPO, arXiv:2504.05118: 0.05); 0: off."""
    truncation: Literal["zero", "bootstrap"] = "zero"
    """What a completion that was cut at the length limit is followed by: nothing, or the critic's value there."""
    process_weight: float = 1.0
    outcome_weight: float = 1.0
    whiten: bool = True
    """Advantages to mean 0 and standard deviation 1 over the rollout's tokens."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Where the KL of --kl-coef is: a term of the loss, or subtracted from each token's reward (k1)."""
    critic: TrunkCritic | AdapterCritic | SeparateCritic = TrunkCritic()
    """Who says what a text is worth: a head on the policy (trunk), a second adapter on its base, or a model of its own (separate)."""


Algorithm = GRPO | DrGRPO | DAPO | GSPO | CISPO | RLOO | ReinforcePP | ReinforcePPBaseline | MaxRL | RAFT | PassAtK | BestOfN | GRPOPS | PPO


# --- terms beside the loss ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Initial:
    """The policy as it began."""


@dataclass(frozen=True)
class MovingAverage:
    """The policy's moving average."""

    word: ClassVar[str] = "ema"
    prefix: ClassVar[str] = "ema_"
    decay: float = 0.99
    """Decay of the moving average, a step."""


@dataclass(frozen=True)
class Renewed:
    """The policy as it was some updates ago, renewed after so many."""

    prefix: ClassVar[str] = "reference_"
    every: int = 100
    """Updates after which the reference becomes the policy as it is then."""


@dataclass(frozen=True)
class KL:
    """A KL to a reference, as a term of the loss."""

    prefix: ClassVar[str] = "kl_"
    coef: float
    """Coefficient of the KL to the reference; 0, or none, computes none (DeepSeekMath: 0.04)."""
    estimator: Literal["k1", "k2", "k3"] = spelt("kl", default="k3")
    """Estimator of that KL."""
    reference: Initial | MovingAverage | Renewed = spelt("reference", default=Initial())
    """What that KL is measured against: the policy as it began, its moving average, or a copy that is renewed after so many updates."""

    @property
    def off(self) -> bool:
        """What --kl-coef 0 says."""
        return self.coef == 0


@dataclass(frozen=True, kw_only=True)
class Truncate:
    """TIS: the trainer/sampler ratio multiplies the loss, at most `high`."""

    prefix: ClassVar[str] = "correction_"
    level: Literal["token", "sequence"] = "token"
    """One ratio a token or a sequence."""
    high: float = 2.0
    """Upper bound of the ratio."""


@dataclass(frozen=True, kw_only=True)
class Mask(Truncate):
    """IcePop: the same, and a ratio outside the bounds counts as 0."""

    low: float = 0.0
    """Lower bound of a masked ratio."""


Correction = Truncate | Mask


# --- who else is told the numbers --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TensorBoard:
    """TensorBoard's files, in the run's folder."""

    run_name: str | None = None
    """Name of the run there (default: the algorithm's; of wandb and trackio, the run folder's)."""


@dataclass(frozen=True, kw_only=True)
class WandB(TensorBoard):
    """Weights & Biases."""

    project: str | None = None
    """Project there (default: the algorithm's name)."""


@dataclass(frozen=True, kw_only=True)
class Trackio(WandB):
    """Trackio."""


Track = TensorBoard | WandB | Trackio
