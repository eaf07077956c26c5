"""Memory that was freed, back to the system.

glibc keeps it, in pieces between what is still held; the next phase of a step, whose tensors have other sizes, then takes new memory beside
them, and a run grows until every phase has pieces of its own. What is given back costs a page fault when it is needed again. Tensors on a
GPU are torch's own business.
"""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> bool:
    """Whether there was something to give back; False where the C library has no such call."""
    trim = _malloc_trim()
    return bool(trim and trim(0))


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, another system
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return found  # type: ignore[no-any-return]
