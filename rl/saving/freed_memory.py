"""What a process keeps of the memory that it has freed, on a CPU: the C library's habit, changed where that costs little.

glibc keeps freed blocks of up to 32 MB for later. Activations of several sizes that come and go leave holes between those that stay, so
that a process grows to half as much again as its tensors take. Given back at once, a block costs the kernel a cleared page for every 4 KiB
when it is asked for again: about 1.2 ns a float32 number, where a layer of width H takes H / 120 ns to compute one. That is a small share
for wide layers only, so narrow models are left as they are. Not covered: other C libraries and allocators, which have habits of their own.
"""

import ctypes
import os
from typing import Any

NARROWEST = 512
"""Hidden size from which freed blocks are given back."""
SMALLEST_BLOCK = 2**18
"""Bytes; smaller blocks stay on the heap, as before."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""`mallopt`'s names of what is set (malloc.h)."""
_MOST_FREE_ON_TOP = 2**24


def give_back_freed(width: int) -> bool:
    """From now on this process gives freed blocks back at once, if a model of this width is computed on its CPU. Whether it was done.

    Whoever has set the C library's threshold in the environment has decided it already.
    """
    decided = "MALLOC_MMAP_THRESHOLD_" in os.environ or "mmap_threshold" in os.environ.get("GLIBC_TUNABLES", "")
    if width < NARROWEST or decided:
        return False
    try:
        library: Any = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # others have none, and other names of what is set
        return bool(library.mallopt(_MMAP_THRESHOLD, SMALLEST_BLOCK) and library.mallopt(_TRIM_THRESHOLD, _MOST_FREE_ON_TOP))
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
