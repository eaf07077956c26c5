"""A trace of torch's profiler read by phase: seconds, arithmetic, bytes and memory of each, and which operators took the time.

Arithmetic is that of matrix products, linear layers and attention (causal masks count as if all were computed), from the shapes that the
trace has of each operator's inputs. Bytes are what the innermost operators read and wrote if no cache had helped: inputs, and an output as
large as the largest of them. An operator belongs to the phase in which it was called.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

PREFIX = "reckon: "
SIZES = {"double": 8, "float": 4, "c10::BFloat16": 2, "c10::Half": 2, "long int": 8, "int": 4, "bool": 1, "unsigned char": 1}
LOOKS_ONLY = frozenset(  # they change how a tensor is looked at, or make one without filling it
    "aten::" + name
    for name in re.findall(
        r"\S+",
        "alias as_strided chunk detach detach_ empty empty_like empty_strided expand expand_as flatten item lift_fresh movedim narrow "
        "numpy_T permute resize_ resolve_conj resolve_neg result_type select set_ slice split split_with_sizes squeeze t to transpose "
        "unbind unflatten unsafe_split unsqueeze view view_as _local_scalar_dense _unsafe_view _reshape_alias reshape new_empty",
    )
)


class Called(NamedTuple):
    """One call of an operator, or a phase."""

    name: str
    start: int
    end: int
    """Nanoseconds."""
    thread: int
    shapes: Sequence[Sequence[int]] = ()
    types: Sequence[str] = ()


@dataclass
class Phase:
    seconds: float = 0.0
    flops: float = 0.0
    bytes: float = 0.0
    most: int = 0
    """Bytes of tensors that were alive at once, over what was when tracing began."""
    operators: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds in each that were not another's within it."""


def read_by_phase(events: Iterable[Any]) -> dict[str, Phase]:
    """`events`: those of `torch.profiler`'s kineto results. Phases in the order in which they are first met."""
    phases, called, memory = list[Called](), list[Called](), list[tuple[int, int]]()
    for event in events:
        name = event.name()
        if name == "[memory]":
            memory.append((event.start_ns(), event.nbytes()))
        elif name.startswith(PREFIX):
            start = event.start_ns()
            phases.append(Called(name.removeprefix(PREFIX), start, start + event.duration_ns(), event.start_thread_id()))
        elif "::" in name and str(event.device_type()).endswith("CPU"):
            start = event.start_ns()
            own = event.shapes(), event.dtypes()
            called.append(Called(name, start, start + event.duration_ns(), event.start_thread_id(), *own))
    return _summed(phases, called, memory)


def _summed(phases: list[Called], called: list[Called], memory: list[tuple[int, int]]) -> dict[str, Phase]:
    times, names, found = _timeline(phases), list[str](), dict[str, Phase]()
    for (start, name), (end, _) in zip(times, [*times[1:], (max((each.end for each in phases), default=0), "")], strict=True):
        names.append(name)
        found.setdefault(name, Phase()).seconds += (end - start) / 1e9
    starts = [start for start, _ in times]

    def phase_at(moment: int) -> Phase | None:
        place = bisect_right(starts, moment) - 1
        return found[names[place]] if place >= 0 else None

    for call, own, innermost in _own_times(called):
        if phase := phase_at(call.start):
            phase.operators[call.name] += own / 1e9
            phase.flops += flops_of(call)
            phase.bytes += bytes_of(call) if innermost else 0
    live = 0
    for moment, size in sorted(memory):
        live += size
        if phase := phase_at(moment):
            phase.most = max(phase.most, live)
    found.pop("", None)
    return found


def _timeline(phases: list[Called]) -> list[tuple[int, str]]:
    """From when on which phase is the innermost; "" between them."""
    changes, open_ones = list[tuple[int, str]](), list[Called]()
    for each in sorted(phases, key=lambda each: (each.start, -each.end)):
        while open_ones and open_ones[-1].end <= each.start:
            ended = open_ones.pop()
            changes.append((ended.end, open_ones[-1].name if open_ones else ""))
        open_ones.append(each)
        changes.append((each.start, each.name))
    while open_ones:
        ended = open_ones.pop()
        changes.append((ended.end, open_ones[-1].name if open_ones else ""))
    return changes


def _own_times(called: list[Called]) -> Iterable[tuple[Called, int, bool]]:
    """Each call, its nanoseconds without those of calls within it, and whether there are none that do something."""
    open_ones = dict[int, list[list[Any]]]()
    for call in sorted(called, key=lambda call: (call.thread, call.start, -call.end)):
        stack = open_ones.setdefault(call.thread, [])
        while stack and stack[-1][0].end <= call.start:
            yield tuple(stack.pop())
        if stack:
            stack[-1][1] -= call.end - call.start
            stack[-1][2] = stack[-1][2] and call.name in LOOKS_ONLY
        stack.append([call, call.end - call.start, True])
    for stack in open_ones.values():
        yield from map(tuple, stack)  # type: ignore[arg-type]


def flops_of(call: Called) -> float:
    """0 for what is no product."""
    shapes = [shape for shape in call.shapes if len(shape) > 1]
    if call.name in ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::_int_mm") and len(shapes) >= 2:
        first, second = shapes[-2:]
        return 2.0 * prod(first) * second[-1]
    if call.name == "mkldnn::_linear_pointwise" and len(shapes) >= 2:
        return 2.0 * prod(shapes[0]) * shapes[1][0]
    if "scaled_dot_product" in call.name and "attention" in call.name and call.name.startswith("aten::_scaled_dot_product"):
        backward = "backward" in call.name
        query, key, value = ([s for s in shapes if len(s) == 4] + [()] * 4)[backward : backward + 3]
        if not value:
            return 0.0
        scores = 2.0 * query[0] * query[1] * query[2] * key[2]
        return scores * (query[3] + value[3]) * (2.5 if backward else 1.0)  # scores once more, and four products instead of two
    return 0.0


def bytes_of(call: Called) -> float:
    if call.name in LOOKS_ONLY or not call.name.startswith(("aten::", "mkldnn::")):
        return 0.0
    sizes = [prod(shape) * SIZES.get(kind, 0) for shape, kind in zip(call.shapes, call.types, strict=False) if shape]
    return float(sum(sizes) + max(sizes, default=0))
