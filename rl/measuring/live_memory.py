"""Bytes of tensors that are alive, counted where torch makes them: the same number at each run, with or without storage behind them.

What a process takes of its machine is more: the allocator rounds, and keeps what was freed. Of what an operator makes for itself while it
runs only oneDNN's second copy of an input that lies the other way round is counted.
"""

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Within, `live` counts the tensors that operators made and nobody has dropped yet, each storage once, and `peak` their most."""

    def __init__(self, known: Iterable[Tensor] = ()):
        """`known`: tensors that were there before, which count as nothing."""
        super().__init__()
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {tensor.untyped_storage()._cdata: 0 for tensor in known}

    def from_here(self) -> None:
        """The peak begins anew."""
        self.peak = self.live

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if "_linear_pointwise" in func.__name__ and not args[0].is_contiguous():
            self.peak = max(self.peak, self.live + args[0].nbytes + found.nbytes)
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return found

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._dropped, key)

    def _dropped(self, key: int) -> None:
        self.live -= self._sizes.pop(key)
