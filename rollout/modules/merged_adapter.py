"""A LoRA in its base's weights for as long as a block lasts, so that sampling pays for no products besides the model's own.

Every touched weight is replaced by a new tensor, W + s B A, and then by the very tensor that was there before: nothing is added and taken
away again, so that no rounding is left behind, whatever ends the block. The copies take as much memory as the weights that the adapter
touches. Layers of another kind (DoRA, embeddings, a weight that other layers share, bases that are not float32 or wider, whose rounding
would swallow the adapter) go on computing as they do.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rollout.interruption import uninterrupted


@contextmanager
def merged(module: nn.Module) -> Iterator[int]:
    """Within, the active adapter is in the weights. Gives the number of layers that it is in. No gradient may be taken within."""
    layers = list(_mergeable_layers(module))
    kept: list[tuple[Any, torch.Tensor]] = []
    try:
        for layer in layers:
            weight, adapter = layer.get_base_layer().weight, layer.active_adapters[0]
            with torch.no_grad():
                whole = layer.get_delta_weight(adapter).to(weight.dtype).add_(weight)
            with uninterrupted():
                kept.append((layer, weight.data))
                weight.data = whole
                layer.merged_adapters.append(adapter)  # what its forward pass goes by
        yield len(layers)
    finally:
        with uninterrupted():
            for layer, data in kept:
                layer.get_base_layer().weight.data = data
                layer.merged_adapters.clear()


def _mergeable_layers(module: nn.Module) -> Iterator[Any]:
    try:
        from peft.tuners.lora.layer import Linear
    except ImportError:  # then nothing has an adapter
        return
    uses = Counter(id(p) for each in module.modules() for p in each._parameters.values() if p is not None)
    for layer in module.modules():
        if isinstance(layer, Linear) and _is_plain(layer) and uses[id(layer.get_base_layer().weight)] == 1:
            yield layer


def _is_plain(layer: Any) -> bool:
    base, active = layer.get_base_layer(), layer.active_adapters
    if not isinstance(base, nn.Linear) or layer.merged or layer.disable_adapters or len(active) != 1:
        return False
    if active[0] not in layer.lora_A or active[0] in layer.lora_variant or layer.lora_bias.get(active[0]):
        return False
    return base.weight.dtype in (torch.float32, torch.float64)
