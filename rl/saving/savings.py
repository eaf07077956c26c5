"""Ways to train with less memory, as options: the same for every command, online and offline. What they cost is in docs/memory.md."""

from dataclasses import dataclass
from typing import Literal

from verifiers.input_error import InputError


@dataclass(frozen=True, kw_only=True)
class Savings:
    """None of them changes what is learnt, but for the optimiser's."""

    recompute: Literal["all", "all-but-attention", "all-but-products"] = "all"
    """With --gradient-checkpointing: all of a layer is computed again, or all but attention, or all but matrix products and attention."""
    recompute_every: int = 1
    """With --gradient-checkpointing: of every so many layers one is computed again; 1: each."""
    offload_activations: bool = False
    """On a GPU: what the backward pass needs waits in the machine's memory."""
    optimizer: Literal["adamw", "adamw-8bit", "galore"] = "adamw"
    """AdamW; with moments of 8 bits (bitsandbytes, arXiv:2110.02861); of gradients projected to a low rank (GaLore, arXiv:2403.03507)."""
    galore_rank: int = 128
    """galore: rank to which the gradients of matrices are projected."""
    galore_every: int = 200
    """galore: steps after which the projection is made anew."""
    galore_scale: float = 0.25
    """galore: what a projected step counts."""
    update_in_backward: bool = False
    """With --tune full: each parameter is updated in the backward pass and its gradient dropped. Gradients are not scaled down to a norm,
    and a step should be one micro-batch: of several only the last can do so."""

    def check(self, *, gradient_checkpointing: bool, full: bool, one_process: bool = True, clips: bool = False) -> None:
        """Raises InputError for what would be ignored or cannot be. `clips`: somebody asked for a largest norm of the gradient."""
        for flag, changed in (("--recompute", self.recompute != "all"), ("--recompute-every", self.recompute_every != 1)):
            if changed and not gradient_checkpointing:
                raise InputError(f"{flag} would be ignored without --gradient-checkpointing; give that too, or leave it out")
        plain = Savings()
        for name in ("galore_rank", "galore_every", "galore_scale"):
            if getattr(self, name) != getattr(plain, name) and self.optimizer != "galore":
                raise InputError(f"--{name.replace('_', '-')} would be ignored with --optimizer {self.optimizer}; leave it out")
        if self.optimizer == "galore" and not full:
            raise InputError(
                "--optimizer galore projects the gradients of whole matrices, and an adapter's are small already; use --tune full"
            )
        if not one_process and self.optimizer != "adamw":
            raise InputError(f"--optimizer {self.optimizer}: its state is of whole parameters, which --policy-workers cuts; use adamw")
        if self.update_in_backward:
            self._check_in_backward(full=full, one_process=one_process, clips=clips)

    def _check_in_backward(self, *, full: bool, one_process: bool, clips: bool) -> None:
        if not full:
            raise InputError("--update-in-backward saves the gradients of all parameters, and an adapter has few; use --tune full")
        if not one_process:
            raise InputError("--update-in-backward: with --policy-workers a gradient is whole only when all processes have added theirs")
        if clips:
            raise InputError(
                "--update-in-backward and --max-grad-norm: the norm is known when all gradients are, which never are there at once"
            )
