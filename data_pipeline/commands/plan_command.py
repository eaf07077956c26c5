"""`reckon mine plan`: pages, bytes, core-hours and dollars of a run before it, and how far that was right after it."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from data_pipeline.commands.command_options import Parser
from data_pipeline.commands.fetch_command import add_query, limits_of, query_of
from data_pipeline.commands.terminal_output import Progress, aligned_table
from data_pipeline.fetching.fetched_pages import fetch_pages, fetch_volume
from data_pipeline.fetching.index_files import is_index_name
from data_pipeline.fetching.polite_client import PoliteClient
from data_pipeline.planning.run_plan import (
    DOLLARS_A_CORE_HOUR,
    Archives,
    Assumed,
    Plan,
    archive_sizes,
    compared,
    plan_archives,
    plan_pages,
    plan_row,
    read_plan,
)
from data_pipeline.planning.stage_rates import Rates, StepRate, calibrate, read_rates
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

SAMPLE = 400
COLLECTED = 0.02
"""Of a crawl that nobody has looked at; a run's own share where its rates are taken."""


def plan(arguments: Sequence[str]) -> int:
    parser = Parser("plan", "What a run will take, by rates measured on this machine; with --check, how far a plan was right.")
    parser.add_argument("inputs", nargs="+", help="an index, as for fetch; or archives, as for run; or a saved plan, with --check")
    parser.add_argument("--check", type=Path, metavar="RUN", help="a run's folder that the saved plan is compared with")
    parser.add_argument("--rates", type=Path, help="rates that --save-rates wrote, or a finished run's folder; otherwise they are measured")
    parser.add_argument("--calibrate", type=int, default=SAMPLE, metavar="PAGES", help=f"pages that are measured on (default: {SAMPLE})")
    parser.add_argument("--save-rates", type=Path, help="a .json file for the rates")
    parser.add_argument("--collected", type=float, help="share of pages that a round collects (default: the rates' run, or 0.02)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of the loop (default: 4)")
    parser.add_argument("--cores", type=int, default=1, help="cores that it will run on (default: 1)")
    parser.add_argument("--dollars", type=float, nargs=2, default=DOLLARS_A_CORE_HOUR, metavar=("LOW", "HIGH"), help="a core-hour's price")
    parser.add_argument("--out", type=Path, help="a .json file for the plan")
    parser.add_argument("--base", default="", help="where the index's file names begin, as for fetch")
    add_query(parser)
    values = parser.parse(arguments)
    if values.check:
        return _check(values.inputs, values.check)
    if values.calibrate < 50 or min(values.rounds, values.cores) < 1 or not 0 <= (values.collected or 0) <= 1:
        raise InputError("--calibrate needs 50 pages, --rounds and --cores at least 1, --collected a share between 0 and 1")
    found = _plan(values)
    if values.save_rates:
        write_json(values.save_rates, plan_row(found)["rates"], indent=1)
    if values.out:
        write_json(values.out, plan_row(found), indent=1)
    print("\n".join(_lines(found)))
    return 0


def _plan(values: argparse.Namespace) -> Plan:
    rates = read_rates(values.rates) if values.rates else None
    collected = values.collected
    if collected is None:
        corpus = rates.of("corpus") if rates and values.rates.is_dir() else None
        collected = corpus.share if corpus else COLLECTED
    assumed = Assumed(collected, values.rounds, values.cores, tuple(values.dollars))
    if all(is_index_name(name) for name in values.inputs):
        volume = fetch_volume(values.inputs, query_of(values), limits=limits_of(values))
        return plan_pages(volume, rates or _measured_by_index(values), assumed)
    archives = _archives(values)
    if rates is None:
        with tempfile.TemporaryDirectory(prefix="reckon-plan-") as folder:
            rates = calibrate(values.inputs, values.calibrate, Path(folder), watch=Progress())
    return plan_archives(archives, rates, assumed)


def _archives(values: argparse.Namespace) -> Archives:
    with closing(PoliteClient(limits_of(values))) as client:
        return archive_sizes(values.inputs, client)


def _measured_by_index(values: argparse.Namespace) -> Rates:
    """A sample of the very pages, fetched and mined."""
    query = query_of(values)
    wanted = min(values.calibrate, query.pages) if query.pages else values.calibrate
    with tempfile.TemporaryDirectory(prefix="reckon-plan-") as name:
        folder = Path(name)
        begun = time.process_time()
        base = {"base": values.base} if values.base else {}
        files = fetch_pages(values.inputs, replace(query, pages=wanted), folder / "sample", limits=limits_of(values), **base)
        spent = time.process_time() - begun
        if not files:
            raise InputError("no page of the index could be fetched to measure on; give --rates, or look at what reckon mine fetch says")
        rates = calibrate([str(file) for file in files], wanted, folder / "runs", watch=Progress())
    return replace(rates, steps=(StepRate("fetch", spent / wanted, 1.0), *rates.steps))


def _lines(found: Plan) -> list[str]:
    rates, assumed = found.rates, found.assumed
    moved = f"{_bytes(found.moved_bytes)} over the network" + (f" in {found.requests:,} requests" if found.requests else "")
    return [
        f"{'' if found.exact else 'about '}{found.pages:,} pages, {_bytes(found.stored_bytes)} stored; {moved}; "
        f"{_bytes(found.disk_bytes)} of disk for the run",
        "",
        *aligned_table(
            ["step", "pages", "core-hours", f"dollars at {assumed.dollars[0]:g}-{assumed.dollars[1]:g} a core-hour"],
            [[step.step, f"{step.pages:,}", _number(step.core_hours), _dollars(step.core_hours, assumed.dollars)] for step in found.steps]
            + [["all", "", _number(found.core_hours), _dollars(found.core_hours, assumed.dollars)]],
        ),
        "",
        f"on {assumed.cores:,} {'core' if assumed.cores == 1 else 'cores'}: {_hours(found.core_hours / assumed.cores)}, and the training "
        f"of {assumed.rounds} classifiers, which grows with the seed",
        f"measured on {rates.pages:,} pages ({rates.source or 'of these'}), {rates.machine}",
        f"assumed: {assumed.collected:.1%} of the pages collected, {assumed.rounds} rounds",
    ]


def _check(inputs: Sequence[str], run: Path) -> int:
    if len(inputs) != 1:
        raise InputError("--check compares one saved plan with one run: reckon mine plan PLAN.json --check RUN")
    if not run.is_dir():
        raise InputError(f"--check {run}: is no run's folder")
    rows = compared(read_plan(Path(inputs[0])), run)
    body = [[what, _number(planned), _number(came), f"{came / planned:.2f}" if planned else "-"] for what, planned, came in rows]
    print("\n".join(aligned_table(["", "planned", "came to", "times the plan"], body)))
    return 0


def _dollars(hours: float, price: tuple[float, float]) -> str:
    return f"${hours * price[0]:,.4g} - ${hours * price[1]:,.4g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or value >= 1000 else f"{value:.4g}"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:,.1f} {unit}" if unit != "B" else f"{size:,.0f} B"
        size /= 1000
    return f"{size:,.1f} PB"


def _hours(hours: float) -> str:
    return f"{hours * 60:,.1f} minutes" if hours < 2 else f"{hours:,.1f} hours" if hours < 72 else f"{hours / 24:,.1f} days"
