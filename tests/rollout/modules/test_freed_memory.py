"""What was freed between pieces that are held goes back to the system."""

import subprocess
import sys

import pytest

from rollout.modules.freed_memory import _malloc_trim

PROGRAM = """
import torch
from rollout.modules.freed_memory import give_back

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

del_me = torch.ones(2**22)  # 16 MiB: once freed, smaller ones come from the heap
del del_me
held = [torch.ones(2**18) for _ in range(200)]
held = held[::10]
before = resident()
assert give_back()
print(before - resident())
"""


@pytest.mark.skipif(_malloc_trim() is None, reason="another C library")
def test_holes_between_what_is_held_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert float(done.stdout) > 100
