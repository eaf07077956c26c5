"""The optimiser that the options say: AdamW, with moments of 8 bits, or of low-rank gradients; one rate for all, or LoRA+'s two."""

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rl.saving.savings import Savings
from verifiers.input_error import InputError

FEWEST_IN_8_BITS, IN_A_BLOCK = 4096, 256
"""bitsandbytes keeps smaller parameters' moments in float32, and a factor for each block of the others."""
_OF_BITSANDBYTES = "__bnb_optimizer_quant_state__"
"""Where its saved state keeps what is not of torch's own kind."""


def check_installed(savings: Savings) -> None:
    """Raises InputError, before anything heavy, where a package is missing."""
    if savings.optimizer == "adamw-8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("--optimizer adamw-8bit: bitsandbytes is not installed; pip install 'reckon-rl[bits]', or use adamw")


def make_optimizer(groups: list[dict[str, Any]], savings: Savings, **settings: Any) -> Any:
    """`groups`: as torch takes them; `settings`: AdamW's. Raises InputError where its package is missing."""
    check_installed(savings)
    if savings.optimizer == "adamw-8bit":
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(groups, lr=0.0, **settings)
    if savings.optimizer == "galore":
        return GaLoreAdamW(
            groups, lr=0.0, rank=savings.galore_rank, every=savings.galore_every, scale=savings.galore_scale, **settings
        )  # fmt: skip
    return torch.optim.AdamW(groups, lr=0.0, **settings)


def parameter_groups(trainable: Mapping[str, nn.Parameter], *, lora_plus: float = 1.0) -> list[dict[str, Any]]:
    """LoRA+ (arXiv:2402.12354): the matrices B of an adapter learn `lora_plus` times as fast as the matrices A; else one group.

    `lr_scale` is what a group's rate is of the step's.
    """
    if lora_plus == 1.0:
        return [{"params": list(trainable.values())}]
    grown = {name: p for name, p in trainable.items() if is_grown(name)}
    return [
        {"params": [p for name, p in trainable.items() if name not in grown], "lr_scale": 1.0},
        {"params": list(grown.values()), "lr_scale": lora_plus},
    ]


def is_grown(name: str) -> bool:
    """Whether a parameter is an adapter's B, which begins as 0."""
    return "lora_B" in name or "lora_embedding_B" in name


def moment_bytes(shape: torch.Size, savings: Savings) -> int:
    """What the optimiser keeps of a float32 parameter between steps."""
    numbers = shape.numel()
    if savings.optimizer == "adamw-8bit" and numbers >= FEWEST_IN_8_BITS:
        return 2 * numbers + 2 * 4 * -(-numbers // IN_A_BLOCK)
    if savings.optimizer == "galore" and len(shape) == 2 and min(shape) > savings.galore_rank:
        return 4 * savings.galore_rank * (2 * max(shape) + min(shape))
    return 8 * numbers


class GaLoreAdamW(torch.optim.Optimizer):
    """AdamW in a low-rank space (GaLore, arXiv:2403.03507, algorithm 2): a matrix's gradient is projected onto leading singular vectors.

    Of a matrix [m n] with the smaller side above `rank`, moments are [rank n] or [m rank]; the vectors are found anew every `every` steps,
    and the moments stay as they are, as in the paper. Everything else is plain AdamW. The step that a projected gradient makes counts
    `scale`; decay is of the parameter itself.
    """

    def __init__(
        self, params: Iterable[Any], *, lr: float, rank: int, every: int, scale: float, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0,
    ):  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "rank": rank, "every": every, "scale": scale}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_of(parameter, group)

    def _step_of(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None, "asked by `step`"
        projects = gradient.dim() == 2 and min(gradient.shape) > group["rank"]
        step = int(state.get("step", torch.tensor(0.0)).item())
        if projects and step % group["every"] == 0:
            state["basis"] = leading_vectors(gradient, group["rank"])
        small = projected(gradient, state["basis"]) if projects else gradient
        if not step:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(small), exp_avg_sq=torch.zeros_like(small))
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(small, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(small, small, value=1 - second)
        corrected = state["exp_avg"] / (1 - first ** (step + 1))
        change = corrected / ((state["exp_avg_sq"] / (1 - second ** (step + 1))).sqrt_() + group["eps"])
        if projects:
            change = group["scale"] * unprojected(change, state["basis"], parameter.shape)
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(change, alpha=group["lr"])


def leading_vectors(gradient: Tensor, rank: int) -> Tensor:
    """Of the smaller side: [m rank] where there are fewer rows than columns, else [n rank]."""
    whole = gradient.float()
    left, _, right = torch.linalg.svd(whole, full_matrices=False)
    return (left[:, :rank] if whole.shape[0] <= whole.shape[1] else right[:rank].t()).contiguous().to(gradient.dtype)


def projected(gradient: Tensor, basis: Tensor) -> Tensor:
    return basis.t() @ gradient if gradient.shape[0] <= gradient.shape[1] else gradient @ basis


def unprojected(small: Tensor, basis: Tensor, shape: torch.Size) -> Tensor:
    return basis @ small if shape[0] <= shape[1] else small @ basis.t()


def fits(moments: Mapping[str, Any], shape: torch.Size) -> bool:
    """Whether a parameter's saved state can be that of one of this shape, of any optimiser above."""
    moments = moments.get(_OF_BITSANDBYTES, moments)
    if "basis" in moments:
        return len(shape) == 2 and moments["basis"].shape[0] == min(shape) and moments["exp_avg"].shape == moments["exp_avg_sq"].shape
    names = ("state1", "state2") if "state1" in moments else ("exp_avg", "exp_avg_sq")
    return all(name in moments and moments[name].shape == shape for name in names)


class InBackward:
    """Each parameter's step as soon as its gradient is whole, which is then dropped: no two large gradients are there at once.

    torch's own hook (`register_post_accumulate_grad_hook`), and the optimiser's own step, with all other gradients out of its sight.
    """

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.optimizer = optimizer
        self._rate: float | None = None
        self._left_out = 0
        self._norms: list[Tensor] = []
        self._heard: set[int] = set()

    def _listen(self) -> None:
        """To whatever the optimiser has by now: a value head comes later than the model."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if id(parameter) not in self._heard:
                    parameter.register_post_accumulate_grad_hook(self._take)
                    self._heard.add(id(parameter))

    def run(self, loss: Tensor, lr: float) -> tuple[float, int, int]:
        """(square of the gradient's norm, parameters that stepped, those that stayed as they were, their gradient not being finite)."""
        self._listen()
        self._rate, self._norms, self._left_out = lr, [], 0
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        try:
            loss.backward()  # type: ignore[no-untyped-call]
            for group in self.optimizer.param_groups:
                for parameter in group["params"]:
                    self._take(parameter)  # what only earlier micro-batches reached, such as an expert that no token here was sent to
        finally:
            self._rate = None
        square = float(torch.stack(self._norms).double().square().sum()) if self._norms else 0.0
        return square, len(self._norms), self._left_out

    def _take(self, parameter: Tensor) -> None:
        if self._rate is None or parameter.grad is None:
            return
        norm = torch.linalg.vector_norm(parameter.grad)
        if not bool(torch.isfinite(norm)):
            self._left_out += 1
        else:
            self._norms.append(norm)
            whole = self.optimizer.param_groups
            own = next(group for group in whole if any(each is parameter for each in group["params"]))
            try:
                self.optimizer.param_groups = [{**own, "params": [parameter]}]
                self.optimizer.step()
            finally:
                self.optimizer.param_groups = whole
        parameter.grad = None
