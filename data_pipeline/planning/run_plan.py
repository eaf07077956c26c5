"""What a run will take, before it: pages, bytes, core-hours, dollars; and afterwards, how far that was right.

A model of few lines: pages times the rates of `stage_rates.py`, step by step. Where the pages come from an index their number and bytes
are exact; those of archives follow from the archives' size. Assumed are only what nobody can measure beforehand, the share of pages that
a round collects and the price of a core, and both are said beside the result. Left out: what disks and networks of a cluster cost.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_pipeline.archives.named_inputs import expand
from data_pipeline.documents.stored_bytes import is_remote, local_path
from data_pipeline.fetching.chosen_rows import Volume
from data_pipeline.fetching.polite_client import PoliteClient
from data_pipeline.planning.stage_rates import Rates, funnel_of
from verifiers.input_error import InputError

DOLLARS_A_CORE_HOUR = (0.02, 0.04)
"""Spot and on demand, 2026; an input like others."""
_ASKED = 20
"""Archives whose sizes are asked for, of a list of more."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a plan is told and does not measure."""

    collected: float
    """Share of the pages that the last round collects."""
    rounds: int = 4
    cores: int = 1
    dollars: tuple[float, float] = DOLLARS_A_CORE_HOUR
    """A core-hour, from and to."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    step: str
    pages: int
    core_hours: float


@dataclass(frozen=True, slots=True)
class Plan:
    pages: int
    exact: bool
    """Whether the pages are counted, by an index, and not estimated from the size of archives."""
    stored_bytes: int
    moved_bytes: int
    """That cross the network: of an index the records and the gaps read along, of remote archives all of them."""
    requests: int
    disk_bytes: int
    core_hours: float
    steps: tuple[PlannedStep, ...]
    rates: Rates
    assumed: Assumed

    def dollars(self) -> tuple[float, float]:
        return self.core_hours * self.assumed.dollars[0], self.core_hours * self.assumed.dollars[1]


@dataclass(frozen=True, slots=True)
class Archives:
    """The archives of a run, by size."""

    count: int
    bytes: int
    remote_bytes: int
    asked: int
    """How many were asked for their size; the others are taken for their mean."""


def archive_sizes(inputs: Sequence[str], client: PoliteClient) -> Archives:
    """Raises InputError for inputs that are missing, and for an archive whose size cannot be told."""
    sources = expand(inputs)
    asked = sources[:: max(1, len(sources) // _ASKED)][:_ASKED] if len(sources) > _ASKED and is_remote(sources[-1]) else sources
    sizes = [_size_of(source, client) for source in asked]
    scale = len(sources) / len(asked)
    remote = sum(size for source, size in zip(asked, sizes, strict=True) if is_remote(source))
    return Archives(len(sources), round(sum(sizes) * scale), round(remote * scale), len(asked))


def _size_of(source: str, client: PoliteClient) -> int:
    if source.startswith(("http://", "https://")):
        return client.size(source)
    if is_remote(source):
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(source)
            return int(system.size(path) or 0)
        except (ImportError, ValueError, OSError) as error:
            raise InputError(f"{source}: {error}") from error
    path = local_path(source)
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def plan_pages(volume: Volume, rates: Rates, assumed: Assumed) -> Plan:
    """A plan for pages of an index."""
    return _plan(volume.pages, True, volume.bytes, volume.moved, volume.requests, rates, assumed)


def plan_archives(archives: Archives, rates: Rates, assumed: Assumed) -> Plan:
    """A plan for archives, whose pages are as many as their bytes say. Raises InputError for rates that do not say it."""
    if not rates.stored_bytes:
        raise InputError(f"the rates of {rates.source or 'this file'} do not say how large a page is; measure them by --calibrate")
    pages = round(archives.bytes / rates.stored_bytes)
    return _plan(pages, False, archives.bytes, archives.remote_bytes, 0, rates, assumed)


def _plan(pages: int, exact: bool, stored: int, moved: int, requests: int, rates: Rates, assumed: Assumed) -> Plan:
    steps = []
    for rate in rates.steps:
        if rate.step == "fetch" and not exact:
            continue
        share = assumed.collected if rate.step in ("corpus", "problems") else rate.share
        times = assumed.rounds if rate.step == "round" else 1
        steps.append(PlannedStep(rate.step, round(pages * share), pages * share * times * rate.core_seconds / 3600))
    hours = sum(step.core_hours for step in steps)
    return Plan(pages, exact, stored, moved, requests, round(pages * rates.disk_bytes), hours, tuple(steps), rates, assumed)


def plan_row(plan: Plan) -> dict[str, Any]:
    return {**asdict(plan), "dollars": plan.dollars()}


def read_plan(path: Path) -> dict[str, Any]:
    """The row of a plan that was saved. Raises InputError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"pages", "steps", "stored_bytes"} <= found.keys():
            raise ValueError("no plan")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: no plan ({error}); give a file that `reckon mine plan --out` wrote") from error
    return dict(found)


def compared(plan: Mapping[str, Any], out: Path) -> list[tuple[str, float, float]]:
    """(what, planned, came) for everything that a plan says and the run's funnel knows; core-hours by step, rounds together."""
    funnel = funnel_of(out)
    found = [("pages", float(plan["pages"]), float(funnel["extract"]["in"]))]
    planned_all = came_all = 0.0
    for step in plan["steps"]:
        if step["step"] not in funnel:
            continue
        row = funnel[step["step"]]
        came = row["core_seconds"] * row["times"] / 3600
        planned_all, came_all = planned_all + step["core_hours"], came_all + came
        found.append((f"{step['step']}: pages", float(step["pages"]), float(row["in"])))
        found.append((f"{step['step']}: core-hours", step["core_hours"], came))
    return [*found, ("all: core-hours", planned_all, came_all)]
