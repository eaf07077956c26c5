"""Freed memory goes back to the system where a model is wide, and its owner has not said otherwise."""

import os
import subprocess
import sys

import pytest

GROW_AND_FREE = """
import ctypes, sys
from rl.saving.freed_memory import give_back_freed
done = give_back_freed(int(sys.argv[1]))
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
if not done:
    libc.free(libc.malloc(2**24))  # glibc learns of large blocks, as any process that reads a model's weights does
def resident():
    return 1024 * int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS:")).split()[1])
before = resident()
blocks = [libc.malloc(2**20) for _ in range(64)]
for block in blocks:
    ctypes.memset(block, 1, 2**20)
for block in blocks[:-1]:  # the last, on top of a heap, would hold all of them
    libc.free(block)
print(int(done), (resident() - before) // 2**20)
"""


def run(width: int, environment: dict[str, str] | None = None) -> tuple[int, int]:
    """(whether it was done, MiB that are resident after 63 of 64 were freed) in a fresh process."""
    own = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    words = [sys.executable, "-c", GROW_AND_FREE, str(width)]
    done, kept = subprocess.run(words, capture_output=True, text=True, check=True, env=own | (environment or {})).stdout.split()
    return int(done), int(kept)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's habit")
def test_a_wide_model_gives_back_and_a_narrow_one_keeps() -> None:
    done, kept = run(576)
    if not done:
        pytest.skip("another C library")
    assert kept <= 4
    assert run(64)[0] == 0
    assert run(64)[1] >= 48, "what it is measured against: the default keeps"


def test_whoever_has_decided_is_obeyed() -> None:
    assert run(576, {"MALLOC_MMAP_THRESHOLD_": "33554432"})[0] == 0
    assert run(576, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432"})[0] == 0
