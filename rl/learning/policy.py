"""The only owner of parameters, gradients and optimiser state.

`update` knows nothing of any algorithm but weight * (correction * token loss + kl) - entropy bonus. Precision: "fp32" is plain;
"bf16" computes under autocast with float32 parameters where they train (a full policy's master weights, a LoRA's adapter) and
bfloat16 where they do not (a LoRA's base). Dropout is off everywhere: the sampler has none, and the two must agree.
"""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig

from rl.learning.log_probabilities import TokenLogProbs
from rl.learning.update_stats import UpdateStats
from rl.objectives.algorithms import Algorithm
from rl.objectives.batch import Batch, micro_batches
from rollout.chat import own_code
from rollout.engine import PolicyWeights
from rollout.interruption import raise_if_interrupted, uninterrupted
from rollout.progress import in_progress
from verifiers.input_error import InputError, first_line

Dtype = Literal["fp32", "bf16"]
Reference = Literal["initial", "ema"]
STEPS_BEFORE_GIVING_UP = 3


class Diverged(RuntimeError):
    """The policy is broken, or three steps in a row had a loss or gradient that is not finite; the message says what was seen."""


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter (arXiv:2106.09685); `dora` decomposes weights into direction and magnitude (arXiv:2402.09353)."""

    rank: int = 16
    alpha: float = 32.0
    target_modules: str | tuple[str, ...] = "all-linear"
    dora: bool = False


@dataclass(frozen=True)
class Optimizer:
    """AdamW's settings. The learning rate is given to each update."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


def load_model(name: str, dtype: Dtype = "fp32", *, lora: bool = False) -> nn.Module:
    """Any AutoModelForCausalLM of a hub id or folder. Raises InputError in one line where there is none, or not all of its weights."""
    width = torch.bfloat16 if dtype == "bf16" and lora else torch.float32
    remedy = "give a hub id, or a folder that save_pretrained wrote"
    try:
        model, seen = AutoModelForCausalLM.from_pretrained(name, dtype=width, trust_remote_code=False, output_loading_info=True)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers, safetensors and each model's own code have each theirs for files that are not a model's
        raise InputError(own_code(name, error) or f"cannot load a model from {name!r}: {first_line(error)} ({remedy})") from error
    if lost := sorted(seen["missing_keys"]):  # transformers makes random ones, and warns
        raise InputError(f"the model {name!r} lacks {len(lost)} of its tensors, such as {lost[0]}, which would be random; {remedy}")
    return model


class Policy:
    """A causal language model with what is needed to train it."""

    def __init__(
        self,
        model: nn.Module,
        *,
        lora: Lora | None = None,
        dtype: Dtype = "fp32",
        optimizer: Optimizer | None = None,
        reference: Reference | None = None,
        ema_decay: float = 0.99,
        gradient_checkpointing: bool = False,
        tokens_per_micro_batch: int = 16_384,
        device: str | torch.device | None = None,
    ):
        """`reference`: what KL is measured against, None for algorithms without KL. `device`: default CUDA where there is one."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model: Any = with_adapter(model, lora) if lora else model
        self.model.to(self.device)
        self.lora, self.ema_decay, self.tokens_per_micro_batch = lora, ema_decay, tokens_per_micro_batch
        self.autocast = "bfloat16" if dtype == "bf16" else None
        self.settings = optimizer or Optimizer()
        _switch_off_dropout(self.model)
        _let_backward_be_interrupted(self.model)
        _make_generation_defaults_saveable(self.model)
        if gradient_checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            self.model.enable_input_require_grads()  # with frozen embeddings nothing would reach the checkpoints otherwise
        self.trainable: dict[str, nn.Parameter] = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        fields = {key: value for key, value in asdict(self.settings).items() if key != "max_grad_norm"}
        self.optimizer = torch.optim.AdamW(list(self.trainable.values()), lr=0.0, **fields)
        self.reference = reference
        # a LoRA's initial policy is the adapter switched off; every other reference is a copy of what trains
        needs_copy = reference == "ema" or (reference == "initial" and lora is None)
        self.shadow = {name: p.detach().clone() for name, p in self.trainable.items()} if needs_copy else {}
        self.logprobs = TokenLogProbs(self.model)
        self.version = 0
        self.skipped_in_a_row = 0

    # --- looking ---

    @property
    def name(self) -> str:
        """The hub id or folder that the model came from; "" where it was made here."""
        return str(getattr(self.model.config, "name_or_path", "") or "")

    @property
    def vocabulary(self) -> int:
        """Token ids that the model has; some may be unused by its tokenizer."""
        return int(self.model.config.get_text_config().vocab_size)

    def weights(self) -> PolicyWeights:
        return PolicyWeights(self.model, self.autocast)

    def score(self, batch: Batch) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """(log-probabilities, entropies) of the masked tokens, without gradient."""
        logp, entropy = torch.zeros(batch.tokens.shape), torch.zeros(batch.tokens.shape)
        rows = batch.mask.any(1).nonzero().squeeze(1)
        with torch.no_grad():
            for index in micro_batches(batch.attention.sum(1), rows, 2 * self.tokens_per_micro_batch):
                part = batch.rows(index).to(self.device)
                width = part.tokens.shape[1]
                logp[index, :width], entropy[index, :width] = (x.cpu() for x in self._forward(part))
        return logp, entropy

    def score_sequences(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token given those before it, 0.0 for the first: what an engine's `score` must agree with."""
        lengths = [len(sequence) for sequence in sequences]
        tokens = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            tokens[row, : len(sequence)] = torch.tensor(list(sequence))
        attention = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        mask = attention & (torch.arange(max(lengths)) > 0)
        nothing = torch.zeros(tokens.shape)
        logp, _ = self.score(Batch(tokens, attention, mask, nothing, nothing, temperature))
        return [row[:length].tolist() for row, length in zip(logp, lengths, strict=True)]

    def score_reference(self, batch: Batch) -> Float[Tensor, "B T"]:
        """Log-probabilities of the masked tokens under the reference."""
        with self._as_reference():
            return self.score(batch)[0]

    def _forward(self, part: Batch, *, entropy_gradient: bool = False) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        with self._autocast():
            return self.logprobs(part.tokens, part.attention, part.mask, temperature=part.temperature, entropy_gradient=entropy_gradient)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, getattr(torch, self.autocast)) if self.autocast else nullcontext()

    @contextmanager
    def _as_reference(self) -> Iterator[None]:
        if self.reference is None:
            raise ValueError("this policy was built without a reference; pass reference='initial' or 'ema' for a KL term")
        if not self.shadow:
            with self.model.disable_adapter():
                yield
            return
        self._swap_with_shadow()
        try:
            yield
        finally:
            self._swap_with_shadow()

    def _swap_with_shadow(self) -> None:
        with uninterrupted():
            for name, parameter in self.trainable.items():
                parameter.data, self.shadow[name] = self.shadow[name], parameter.data

    # --- learning ---

    def update(self, batch: Batch, algorithm: Algorithm, *, lr: float) -> UpdateStats:
        """One optimiser step on the whole batch. A step that is not finite is skipped and counted; the third in a row raises Diverged."""
        stats = UpdateStats(lr=lr)
        weight = algorithm.weight(batch.mask)
        stats.effective_batch = int(((batch.advantage != 0) & batch.mask).any(1).sum())
        plan = self._plan_micro_batches(batch, algorithm)
        progress = in_progress()
        if progress:
            progress.total -= len(batch.tokens) - sum(map(len, plan))
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        for index in plan:
            part = batch.rows(index).to(self.device)
            part_weight = weight[index, : part.tokens.shape[1]].to(self.device)
            raise_if_interrupted()
            loss = self._loss(part, part_weight, algorithm, stats)
            loss.backward()
            stats.loss += loss.item()
            if progress:
                progress.finished(len(index))
        if plan:
            with uninterrupted():
                self._step(stats, lr)
        return stats

    def _plan_micro_batches(self, batch: Batch, algorithm: Algorithm) -> list[Int[Tensor, "M"]]:
        """The micro-batches of an update: rows that have something to teach, or all where other terms teach too."""
        taught = ((batch.advantage != 0) & batch.mask).any(1)
        rows = (taught if algorithm.zero_advantage_is_free else batch.mask.any(1)).nonzero().squeeze(1)
        return micro_batches(batch.attention.sum(1), rows, self.tokens_per_micro_batch)

    def old_logprobs(self, batch: Batch, algorithm: Algorithm) -> Float[Tensor, "B T"]:
        """What an update on this batch would take for `logp` now, in its own micro-batches: in bf16 others differ by up to 0.01 a token.

        Nothing changed in between, the update's ratios are exactly 1. Rows that it leaves out have 0.
        """
        logp = torch.zeros(batch.tokens.shape)
        self.model.train()  # as `update`
        with torch.no_grad():
            for index in self._plan_micro_batches(batch, algorithm):
                raise_if_interrupted()
                part = batch.rows(index).to(self.device)
                logp[index, : part.tokens.shape[1]] = self._forward(part)[0].cpu()
        return logp

    def _loss(self, part: Batch, weight: Float[Tensor, "B T"], algorithm: Algorithm, stats: UpdateStats) -> Float[Tensor, ""]:
        logp, entropy = self._forward(part, entropy_gradient=algorithm.entropy_coef != 0)
        old = logp.detach() if part.old_logp is None else part.old_logp
        per_token = algorithm.loss(logp, old, part.advantage, part.mask)
        if algorithm.correction:
            per_token = per_token * algorithm.correction(old, part.sampler_logp, part.mask)
        if algorithm.kl:
            if part.ref_logp is None:
                raise ValueError("the algorithm has a KL term but the batch has no reference log-probabilities; see score_reference")
            per_token = per_token + algorithm.kl.coef * algorithm.kl.estimator(logp, part.ref_logp)
        per_token = per_token - algorithm.entropy_coef * entropy
        stats.add(part, algorithm, logp=logp.detach(), old=old, entropy=entropy.detach())
        return torch.where(part.mask, weight * per_token, 0.0).sum()

    def learn(self, tokens: Int[Tensor, "B T"], attention: Bool[Tensor, "B T"], weight: Float[Tensor, "B T"], *, lr: float) -> UpdateStats:
        """One optimiser step of maximum likelihood: loss = -sum(weight * log p). Supervised fine-tuning."""
        stats = UpdateStats(lr=lr)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        for index in micro_batches(attention.sum(1), torch.arange(len(tokens)), self.tokens_per_micro_batch):
            width = int(attention[index].sum(1).max())
            part = [x[index, :width].to(self.device) for x in (tokens, attention, weight)]
            with self._autocast():
                logp, _ = self.logprobs(part[0], part[1], part[2] != 0, temperature=1.0)
            loss = -(part[2] * logp).sum()
            loss.backward()
            stats.loss += loss.item()
            stats.trained_tokens += int((part[2] != 0).sum())
        with uninterrupted():
            self._step(stats, lr)
        return stats

    def _step(self, stats: UpdateStats, lr: float) -> None:
        gradients = [p.grad for p in self.trainable.values() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        stats.grad_norm = float(norm)
        if not (math.isfinite(stats.loss) and math.isfinite(stats.grad_norm)):
            self._skip_step(stats)  # before clipping, which would spread one tensor's nan over all
            return
        nn.utils.clip_grads_with_norm_(self.trainable.values(), self.settings.max_grad_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.version += 1
        self.skipped_in_a_row = 0
        stats.updates = 1
        if self.reference == "ema":
            for name, parameter in self.trainable.items():
                self.shadow[name].lerp_(parameter.detach(), 1 - self.ema_decay)

    def _skip_step(self, stats: UpdateStats) -> None:
        broken = [name for name, p in self.trainable.items() if p.grad is not None and not torch.isfinite(p.grad).all()]
        self.optimizer.zero_grad(set_to_none=True)
        stats.skipped = 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= STEPS_BEFORE_GIVING_UP:
            where = f"{len(broken)} of {len(self.trainable)} tensors, first {broken[0]}" if broken else "none"
            if not broken:
                where += "; the loss itself" if not math.isfinite(stats.loss) else "; their norm is too large for a float"
            raise Diverged(
                f"{self.skipped_in_a_row} steps in a row were not finite and were skipped: loss {stats.loss}, gradient norm "
                f"{stats.grad_norm}, learning rate {stats.lr:g}, policy version {self.version}; gradients not finite in {where}. "
                "Lower the learning rate or the precision's risk (fp32), and look at the last rollouts of the run."
            )

    # --- on disk ---

    def save_model(self, folder: Path) -> None:
        """In the format of transformers (full) or peft (adapter), loadable by `from_pretrained`."""
        self.model.save_pretrained(folder)

    def save(self, folder: Path) -> None:
        """The model as `save_model`, and what else a bit-exact continuation needs."""
        self.save_model(folder / "model")
        state = {"optimizer": self.optimizer.state_dict(), "version": self.version, "skipped": self.skipped_in_a_row}
        if self.reference == "ema":
            state["shadow"] = self.shadow
        torch.save(state, folder / "trainer.pt")

    def checkpoint_bytes(self) -> int:
        """About what `save` writes: what trains (a LoRA) or the whole model, and two moments of what trains."""
        trained = sum(p.numel() * p.element_size() for p in self.trainable.values())
        return trained * (3 + (self.reference == "ema"))

    def load(self, folder: Path) -> None:
        """Into a policy that was built the same way as the saved one. Raises ValueError, or what reads the files, if it is another's."""
        if self.lora:
            from peft import get_peft_model_state_dict, set_peft_model_state_dict
            from safetensors.torch import load_file

            tensors = load_file(folder / "model" / "adapter_model.safetensors", device=str(self.device))
            _require_same(get_peft_model_state_dict(self.model, save_embedding_layers=False), tensors, "the adapter")
            set_peft_model_state_dict(self.model, tensors)
        else:
            saved, seen = AutoModelForCausalLM.from_pretrained(
                folder / "model", dtype=torch.float32, trust_remote_code=False, local_files_only=True, output_loading_info=True
            )
            if lost := [*seen["missing_keys"], *seen["unexpected_keys"], *seen["mismatched_keys"]]:
                raise ValueError(f"its weights are not this model's ({len(lost)} differ, first {lost[0]})")
            self.model.load_state_dict(saved.state_dict())
        # to the CPU: the optimiser moves its moments to the parameters and leaves its counters there, where reading them waits for no GPU
        state = torch.load(folder / "trainer.pt", map_location="cpu", weights_only=True)
        self._require_own(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.version, self.skipped_in_a_row = state["version"], state["skipped"]
        if "shadow" in state:
            self.shadow = {name: tensor.to(self.device) for name, tensor in state["shadow"].items()}

    def _require_own(self, state: Any) -> None:
        if not isinstance(state, dict) or not isinstance(state.get("version"), int) or not isinstance(state.get("skipped"), int):
            raise ValueError("trainer.pt holds no trainer's state")
        shapes = [parameter.shape for parameter in self.trainable.values()]
        for place, moments in state["optimizer"]["state"].items():
            if place >= len(shapes) or not moments["exp_avg"].shape == moments["exp_avg_sq"].shape == shapes[place]:
                raise ValueError("trainer.pt is another policy's")
        if self.reference == "ema":
            _require_same(self.shadow, state["shadow"], "trainer.pt's moving average")


def _require_same(own: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    wrong = [name for name, tensor in own.items() if name not in given or given[name].shape != tensor.shape]
    if wrong:
        raise ValueError(f"{what} is another policy's ({len(wrong)} of {len(own)} tensors, first {wrong[0]})")


def with_adapter(model: nn.Module, lora: Lora) -> nn.Module:
    """The model with its parameters frozen and a fresh adapter that changes nothing yet.

    Raises InputError for an adapter on weights that two modules share: merged, it would change both, trained it changed one.
    """
    from peft import LoraConfig, get_peft_model

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    shared = _shared_modules(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # that is refused below
        adapted = get_peft_model(
            model,  # type: ignore[arg-type]  # any PreTrainedModel
            LoraConfig(
                r=lora.rank, lora_alpha=_as_int_if_whole(lora.alpha), target_modules=targets, use_dora=lora.dora, task_type="CAUSAL_LM"
            ),
        )
    if tied := sorted(shared & set(getattr(adapted.base_model, "targeted_module_names", ()))):
        raise InputError(
            f"--lora-targets: {tied[0]} shares its weights with another module of this model (a tied output head), so its adapter could "
            "not be merged into them; leave it out, or use --tune full"
        )
    return adapted


def _shared_modules(model: nn.Module) -> set[str]:
    """Names of the modules whose weight is another module's too."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor):
            owners.setdefault(id(weight), []).append(name)
    return {name for names in owners.values() if len(names) > 1 for name in names}


def _switch_off_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):  # many layers keep a rate and call F.dropout themselves
            if isinstance(value, float) and any(word in name for word in ("dropout", "pdrop", "layerdrop")):
                setattr(module, name, 0.0)


def _let_backward_be_interrupted(model: nn.Module) -> None:
    """A backward pass is one call, in which Python hears no signal, and on a CPU it may take minutes; a hook at each layer lets it."""

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) and output else output
        if isinstance(hidden, Tensor) and hidden.requires_grad:
            hidden.register_hook(lambda gradient: raise_if_interrupted())

    for layers in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
        for layer in layers:
            layer.register_forward_hook(hook)


def _make_generation_defaults_saveable(model: Any) -> None:
    """Of the model's sampling defaults, all that hold together: transformers loads `{"top_k": 20}` and then refuses to save it.

    Defaults that only sampling obeys make it the default; whatever contradicts the rest even then is left out.
    """
    given = getattr(model, "generation_config", None)
    if given is None or _saveable(given):
        return
    kept = GenerationConfig(do_sample=True)
    switches = ("num_beams", "return_dict_in_generate", "use_cache")  # first: others are valid or not beside them
    for name, value in sorted(given.to_diff_dict().items(), key=lambda item: item[0] not in switches):
        tried = copy.deepcopy(kept)
        setattr(tried, name, value)
        if name != "do_sample" and _saveable(tried):
            kept = tried
    model.generation_config = kept


def _saveable(config: GenerationConfig) -> bool:
    try:
        config.validate(strict=True)
    except (ValueError, TypeError):
        return False
    return True


def _as_int_if_whole(alpha: float) -> Any:
    """peft documents an int and computes with any number: whole ones stay ints in the saved adapter's config."""
    return int(alpha) if alpha == int(alpha) else alpha
