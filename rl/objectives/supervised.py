"""Maximum likelihood of what is written: supervised fine-tuning, and rejection sampling, which is the same on chosen samples."""

from jaxtyping import Float
from torch import Tensor

from rl.objectives.batch import Batch
from rl.objectives.objective import Objective, Terms, WeightFn, formula
from rl.objectives.weights import token_mean


@formula("-lp")
def nll(terms: Terms, batch: Batch) -> Float[Tensor, "N"]:
    """-logp of each trained token."""
    return -terms["logp"]


def sft(*, weight: WeightFn = token_mean) -> Objective:
    """Every trained token of the step counts the same, as in TRL and transformers; `sequence_mean` is LLaMA-Factory's convention."""
    return Objective(nll, weight)
