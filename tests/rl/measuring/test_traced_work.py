"""A trace read by phase: seconds by the innermost range, arithmetic from shapes, memory from its events; and phases as they are told."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.measuring.machine_limits import Limits, measured_limits
from rl.measuring.profile import Profile, page_of
from rl.measuring.traced_work import PREFIX, Called, Phase, bytes_of, flops_of, read_by_phase
from rollout import phases


@dataclass
class Event:
    """One of the profiler's."""

    _name: str
    _start: int
    _length: int = 0
    _shapes: tuple[Any, ...] = ()
    _types: tuple[str, ...] = ()
    _bytes: int = 0

    name = property(lambda self: lambda: self._name)
    start_ns = property(lambda self: lambda: self._start)
    duration_ns = property(lambda self: lambda: self._length)
    start_thread_id = property(lambda self: lambda: 1)
    shapes = property(lambda self: lambda: self._shapes)
    dtypes = property(lambda self: lambda: self._types)
    nbytes = property(lambda self: lambda: self._bytes)
    device_type = property(lambda self: lambda: "DeviceType.CPU")


def test_each_moment_counts_once_for_the_innermost_phase() -> None:
    mm = "aten::mm", 1_000, 4_000, ((2, 3), (3, 5)), ("float", "float")
    events = [
        Event(PREFIX + "outer", 0, 10_000),
        Event(PREFIX + "inner", 1_000, 5_000),
        Event("aten::matmul", 1_000, 4_500, ((2, 3), (3, 5)), ("float", "float")),
        Event(*mm),
        Event("aten::add", 8_000, 1_000, ((4,), (4,), ()), ("float", "float", "Scalar")),
        Event("[memory]", 1_500, _bytes=100),
        Event("[memory]", 7_000, _bytes=50),
        Event("[memory]", 8_500, _bytes=-150),
        Event("aten::mm", 20_000, 1_000, ((2, 3), (3, 5)), ("float", "float")),  # in no phase
    ]
    found = read_by_phase(events)
    assert {name: round(phase.seconds * 1e9) for name, phase in found.items()} == {"outer": 5_000, "inner": 5_000}
    assert found["inner"].flops == 2 * 2 * 3 * 5
    assert found["inner"].bytes == (6 + 15 + 15) * 4, "an output as large as the largest input; matmul is not the innermost"
    assert found["outer"].bytes == 3 * 16
    assert {name: round(own * 1e9) for name, own in found["inner"].operators.items()} == {"aten::mm": 4_000, "aten::matmul": 500}
    assert (found["inner"].most, found["outer"].most) == (100, 150)


def traced(work: Callable[[], object]) -> float:
    """Floating-point operations of some work, from a real trace."""
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], record_shapes=True) as seen, torch.profiler.record_function(PREFIX + "work"):
        work()
    return read_by_phase(seen.profiler.kineto_results.events())["work"].flops  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("run", "flops"),
    [
        (lambda x: x[0] @ x[0].t(), 2 * 6 * 4 * 6),
        (lambda x: torch.bmm(x, x.transpose(1, 2)), 2 * 3 * 6 * 4 * 6),
        (lambda x: torch.nn.functional.linear(x, x.new_ones(5, 4), x.new_ones(5)), 2 * 3 * 6 * 4 * 5),
        (lambda x: torch.nn.functional.scaled_dot_product_attention(*[x[None]] * 3), 2 * 3 * 6 * 6 * (4 + 4)),
        (lambda x: (x + x).exp(), 0),
    ],
)
def test_arithmetic_of_real_operators_is_counted_by_hand(run: Callable[[Any], Any], flops: int) -> None:
    x = torch.ones(3, 6, 4)
    assert traced(lambda: run(x)) == flops


def test_attention_backwards_counts_five_products_for_two() -> None:
    x = torch.ones(1, 2, 6, 4, requires_grad=True)
    found = torch.nn.functional.scaled_dot_product_attention(x, x, x).sum()
    assert traced(found.backward) == 2.5 * 2 * 2 * 6 * 6 * 8


def test_a_product_by_onednn_counts_as_any_other_and_a_view_reads_nothing() -> None:
    assert flops_of(Called("mkldnn::_linear_pointwise", 0, 1, 1, ((7, 4), (5, 4), ()), ("float",) * 3)) == 2 * 7 * 4 * 5
    assert bytes_of(Called("aten::view", 0, 1, 1, ((7, 4),), ("float",))) == 0


def test_only_the_main_thread_is_heard_and_only_while_somebody_listens() -> None:
    heard: list[str] = []

    class Ear:
        def begin(self, phase: str) -> None:
            heard.append(phase)

        def end(self) -> None:
            heard.append(".")

    def elsewhere() -> None:
        with phases.phase("elsewhere"):
            pass

    with phases.phase("before"), phases.heard_by(Ear()), phases.phase("outer"), phases.phase("inner"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    elsewhere()
    assert heard == ["outer", "inner", ".", "."]


@pytest.mark.parametrize(("steps", "last", "traced"), [(2, 5, [2, 3]), (2, 2, [1, 2]), (3, 2, [1, 2]), (1, 2, [2])])
def test_which_steps_are_traced(steps: int, last: int, traced: list[int], tmp_path: Path) -> None:
    """The first of a process is left out where enough others follow."""
    profile = Profile(tmp_path / "profile", steps, last=last, device=torch.device("cpu"), dtype=torch.float32)
    for number in range(1, last + 1):
        with profile.step(number), phases.phase("forward"):
            torch.ones(64, 64) @ torch.ones(64, 64)
    assert profile.traced == traced
    page = (tmp_path / "profile" / "profile.md").read_text()
    assert f"step{'s' if len(traced) > 1 else ''} {traced[0]}" in page.splitlines()[0]
    assert "| forward |" in page
    trace = json.loads(gzip.decompress((tmp_path / "profile" / "trace.json.gz").read_bytes()))
    assert any(event.get("name") == PREFIX + "forward" for event in trace["traceEvents"])


def test_a_step_that_fails_leaves_what_was_traced(tmp_path: Path) -> None:
    profile = Profile(tmp_path / "profile", 3, last=9, device=torch.device("cpu"), dtype=torch.float32)
    for number in (1, 2):
        with profile.step(number):
            torch.ones(4).sum()
    with pytest.raises(RuntimeError, match="broken"), profile.step(3):
        raise RuntimeError("broken")
    profile.close()
    assert profile.traced == [2]
    assert (tmp_path / "profile" / "profile.md").exists()


def test_the_page_says_rates_and_shares_of_the_limits() -> None:
    found = {"forward": Phase(2.0, 8e9, 4e9, 2**21, {"aten::mm": 1.5}), "nothing": Phase(1e-6)}
    page = page_of(found, Limits(flops=16e9, bytes=8e9), [3, 4], "CPU")
    assert "| forward | 1.000 | 100.0% | 4.0 | 4.0 | 25% | 2.00 | 2.0 | 25% | 2 MiB |" in page
    assert "| `aten::mm` | forward | 0.750 | 75.0% |" in page
    assert "| nothing |" not in page
    assert "steps 3 to 4" in page


def test_limits_are_what_the_machine_does(one_thread: None) -> None:
    limits = measured_limits(torch.device("cpu"), torch.float32)
    assert 1e8 < limits.flops < 1e13
    assert 1e7 < limits.bytes < 1e13
