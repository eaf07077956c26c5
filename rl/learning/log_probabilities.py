"""Log-probabilities and entropy of given tokens, without ever holding B x T x V.

The backbone gives hidden states; the output head runs over the wanted tokens only, a chunk at a time, and is run again in the
backward pass. Models whose head does more than one linear map (soft-capped or scaled logits) are recognised by comparing with
the model's own logits once; the few that this file cannot reproduce fall back to the model's whole forward pass.

This is the one place where the shift by one lives: logits at position t - 1 describe the token of column t.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

MAX_LOGITS = 2**25
"""Elements of the largest logits tensor: 128 MiB in float32."""


class TokenLogProbs:
    """Callable on a causal model (transformers, or peft around one)."""

    def __init__(self, model: nn.Module):
        self.model = model
        causal: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.backbone = getattr(causal, causal.base_model_prefix, None)
        self.head = causal.get_output_embeddings()
        config = causal.config.get_text_config()
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        # Cohere multiplies by logit_scale, Granite divides by logits_scaling
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        self.chunked = self.backbone is not None and self.head is not None and self._reproduces_the_model(config.vocab_size)

    def _reproduces_the_model(self, vocabulary: int) -> bool:
        device = next(self.model.parameters()).device
        tokens = (torch.arange(8, device=device) * 7 % vocabulary)[None]
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            own = self._logits(self.backbone(input_ids=tokens, use_cache=False).last_hidden_state)
            theirs = self.model(input_ids=tokens, use_cache=False).logits.float()
        self.model.train(was_training)
        return own.shape == theirs.shape and torch.allclose(own, theirs, atol=1e-3, rtol=1e-3)

    def _logits(self, hidden: Float[Tensor, "... H"]) -> Float[Tensor, "... V"]:
        logits = self.head(hidden).float() * self.scale
        return self.softcap * torch.tanh(logits / self.softcap) if self.softcap else logits

    def __call__(
        self,
        tokens: Int[Tensor, "B T"],
        attention: Bool[Tensor, "B T"],
        wanted: Bool[Tensor, "B T"],
        *,
        temperature: float,
        entropy_gradient: bool = False,
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """(log-probability, entropy) under softmax(logits / temperature), float32; 0 where not `wanted`. Column 0 is never wanted."""
        inputs = {"input_ids": tokens, "attention_mask": attention.long(), "use_cache": False}
        places, targets = wanted[:, 1:], tokens[:, 1:][wanted[:, 1:]]
        if self.chunked:
            hidden = self.backbone(**inputs).last_hidden_state[:, :-1][places]
            logp, entropy = self._by_chunks(hidden, targets, temperature, entropy_gradient)
        else:
            logits = self.model(**inputs).logits[:, :-1][places].float()
            logp, entropy = _of_logits(logits, targets, temperature, entropy_gradient)
        blank = logp.new_zeros(tokens.shape)
        return blank.masked_scatter(wanted, logp), blank.masked_scatter(wanted, entropy)

    def _by_chunks(
        self, hidden: Float[Tensor, "N H"], targets: Int[Tensor, "N"], temperature: float, entropy_gradient: bool
    ) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
        size = max(1, MAX_LOGITS // max(1, self.head.weight.shape[0]))
        if len(targets) <= size:
            return _of_logits(self._logits(hidden), targets, temperature, entropy_gradient)

        def run(hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            return _of_logits(self._logits(hidden), targets, temperature, entropy_gradient)

        # recomputing the head in the backward pass is what keeps one chunk of logits alive instead of all of them
        parts = [
            checkpoint(run, h, t, use_reentrant=False) if torch.is_grad_enabled() else run(h, t)
            for h, t in zip(hidden.split(size), targets.split(size), strict=True)
        ]
        logp, entropy = zip(*parts, strict=True)
        return torch.cat(logp), torch.cat(entropy)


def _of_logits(
    logits: Float[Tensor, "N V"], targets: Int[Tensor, "N"], temperature: float, entropy_gradient: bool
) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
    logp = torch.log_softmax(logits / temperature, dim=-1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy = -(logp.exp() * logp).sum(-1)
    return logp.gather(1, targets[:, None]).squeeze(1), entropy
