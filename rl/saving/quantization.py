"""A frozen base in 4 bits under an adapter (QLoRA, arXiv:2305.14314): bitsandbytes' NF4, its factors quantised once more.

The model is read as wide as ever and narrowed a layer at a time, so that whatever it is made of (merged adapters, a GGUF file) is narrowed
alike, and again to the same bits when a run goes on. Embeddings, output head, norms, biases and fused experts stay as they are, and so do
layers whose inputs are no multiple of 64, which bitsandbytes 0.50 reads wrongly on a CPU (a block there lies over two rows).
"""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn

from verifiers.input_error import InputError

Quantization = Literal["nf4"]
BLOCK, OUTER_BLOCK = 64, 256
"""Numbers that share a factor of 8 bits; factors that share one of 32."""
TABLES = 4 * (16 + 256 + 1)
"""Bytes a layer: the values that codes stand for, and the factors' mean."""


def check_quantization_installed(name: Quantization) -> None:
    """Raises InputError where the package is missing."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"--quantization {name}: bitsandbytes is not installed; pip install 'reckon-rl[bits]', or leave it out")


def quantize_base(model: nn.Module, *, device: torch.device, compute: torch.dtype) -> int:
    """Every frozen linear layer that can be, but the output head, in 4 bits on `device`, computing in `compute`. Gives their number.

    Raises InputError where there is none.
    """
    from bitsandbytes.nn import Linear4bit, Params4bit

    if not (found := list(quantizable(model))):
        raise InputError(f"--quantization: no frozen linear layer of this model has a multiple of {BLOCK} inputs; leave it out")
    for parent, name, layer in found:
        bias = layer.bias is not None
        with torch.device("meta"):  # its own weight would be drawn, and thrown away
            narrow: Any = Linear4bit(layer.in_features, layer.out_features, bias, compute, compress_statistics=True, quant_type="nf4")
        # else it packs its weight anew for a pass without gradient, and a pass with one then has none
        narrow.support_avx512bf16_for_cpu = False
        narrow.weight = Params4bit(layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=narrow)
        narrow.bias = layer.bias
        setattr(parent, name, narrow.to(device).train(layer.training))
        layer.weight.data = torch.empty(0)
    for parameter in model.parameters():  # what was read lies in one mapping of the file, which stays as long as any of it is used
        if not isinstance(parameter, Params4bit):
            parameter.data = parameter.data.clone()
    return len(found)


def quantizable(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """(parent, name in it, layer) of what `quantize_base` narrows; of an adapted model, the layers under the adapter."""
    head: Any = model.get_output_embeddings()  # type: ignore[operator]
    head = head.get_base_layer() if hasattr(head, "get_base_layer") else head
    uses = Counter(id(p) for each in model.modules() for p in each._parameters.values() if p is not None)
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            plain = type(layer) is nn.Linear and layer is not head and not layer.in_features % BLOCK and uses[id(layer.weight)] == 1
            if plain and not layer.weight.requires_grad:  # an adapter's own train
                yield parent, name, layer  # type: ignore[misc]


def narrow_bytes(numbers: int) -> int:
    """Bytes of a layer's weight in 4 bits."""
    blocks = -(-numbers // BLOCK)
    return -(-numbers // 2) + blocks + 4 * -(-blocks // OUTER_BLOCK) + TABLES
