"""What a page costs in each step of a run, on this machine: processor seconds, bytes, and how many pages reach the step.

Rates come from runs and from nothing else: `rates_of_run` divides what a finished run recorded, `calibrate` makes two small runs of the
user's own pages and takes the difference, so that what starting and training take is not multiplied by billions of pages. Training grows
with the seed and not with the pages: it is left out. A step's seconds are those of processors (`core_seconds` of its record); in the run
of a cluster they are not all of them, since other machines count for themselves: take rates from a run on one.
"""

import json
import platform
import re
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data_pipeline.archives.named_inputs import expand
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import read_files, write_docs
from data_pipeline.documents.stored_bytes import is_remote, local_path, open_source
from data_pipeline.documents.token_counts import estimated_tokens
from data_pipeline.loop.extracted_pages import extracted_files
from data_pipeline.loop.mining_run import CONFIG, mine
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import SILENT, Watch, core_seconds, read_json, rows
from verifiers.input_error import InputError

STEPS = ("fetch", "extract", "other", "duplicates", "round", "corpus", "problems")
"""The stages inside the corpus step are in its row; `other` is what a run does between its steps, such as the columns of pages."""
_ROUND = re.compile(r"round-\d+")
_SEEDS, _LEAST_SEEDS, _WORDS = 40, 12, 20
_A_PAGE = 45_000
"""Bytes of an archive that are read for a page of the sample, about what Common Crawl's take."""
_QUARTER = 4


@dataclass(frozen=True, slots=True)
class StepRate:
    step: str
    core_seconds: float
    """Of a page that enters the step; of one round, where there are several."""
    share: float
    """Of the pages read, those that enter the step."""


@dataclass(frozen=True, slots=True)
class Rates:
    machine: str
    source: str
    """Where they are from."""
    pages: int
    """Over how many pages they are measured."""
    stored_bytes: float
    """Of a page in its archive, everything else that the archive holds counted; 0 where it is not known."""
    disk_bytes: float
    """Of a page in the run's folder, at its end."""
    peak_megabytes: float
    """The largest resident process of the measurement; 0 where it is not known."""
    steps: tuple[StepRate, ...]

    def of(self, step: str) -> StepRate | None:
        return next((rate for rate in self.steps if rate.step == step), None)


def read_rates(path: Path) -> Rates:
    """From a file that `write_rates` wrote, or a finished run's folder. Raises InputError."""
    if path.is_dir():
        return rates_of_run(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Rates(**{**found, "steps": tuple(StepRate(**step) for step in found["steps"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: no rates ({error!r:.120}); give a file that `reckon mine plan --save-rates` wrote, or a run") from error


def as_row(rates: Rates) -> dict[str, Any]:
    return asdict(rates)


def rates_of_run(out: Path) -> Rates:
    """Raises InputError for a folder without a finished run."""
    steps = _funnel(out)
    if "extract" not in steps or "corpus" not in steps:
        raise InputError(f"{out}: holds no finished run to take rates from; give one that has written its corpus")
    pages = steps["extract"]["in"]
    found = [
        StepRate(name, max(0.0, row["core_seconds"] - row["once"]) / max(1, row["in"]), row["in"] / max(1, pages))
        for name, row in steps.items()
    ]
    return Rates(machine(), str(out), pages, _stored(out) / max(1, pages), _disk(out) / max(1, pages), 0.0, tuple(found))


def rates_between(few: Path, many: Path, *, spent: tuple[float, float] | None = None) -> Rates:
    """From two runs with the same settings and seed over few and many of the same kind of pages: what the difference costs.

    spent: processor seconds of the whole runs, of which what lies between the steps is known.
    """
    small, large = _funnel(few), _funnel(many)
    pages = large["extract"]["in"]
    if spent is not None:
        for funnel, whole in zip((small, large), spent, strict=True):
            between = whole - sum(row["core_seconds"] * row["times"] for row in funnel.values())
            funnel["other"] = {"in": funnel["extract"]["in"], "core_seconds": max(0.0, between)}
    found = []
    for name, row in large.items():
        before = small.get(name, {"in": 0, "core_seconds": 0.0})
        more, longer = row["in"] - before["in"], row["core_seconds"] - before["core_seconds"]
        if more <= 0 or longer <= 0:  # too few to tell apart from what starting takes, which is counted too then: rather too much
            more, longer = max(1, row["in"]), row["core_seconds"]
        found.append(StepRate(name, longer / more, row["in"] / max(1, pages)))
    disk = max(0, _disk(many) - _disk(few)) / max(1, pages - small["extract"]["in"])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    return Rates(machine(), "", pages, _stored(many) / max(1, pages), disk, peak, tuple(found))


def calibrate(sources: Sequence[str], pages: int, folder: Path, settings: Settings | None = None, watch: Watch = SILENT) -> Rates:
    """Two runs over the beginnings of archives, some `pages` in all and a quarter of that, in one process.

    The seed is of the sample's own pages: what the runs find means nothing, what they take does. Raises InputError where the sample
    holds too few pages with text.
    """
    archives = expand(sources)
    taken = archives[:: max(1, len(archives) // 4)][:4]
    many, few = folder / "many", folder / "few"
    for place in (many, few):
        place.mkdir(parents=True)
    for number, source in enumerate(taken):
        size = _cut(source, pages * _A_PAGE // len(taken), many, number)
        _cut(source, size // _QUARTER, few, number)
    alone = Settings(workers=1)
    small, large = (_documents(place, folder / f"read-{place.name}", alone) for place in (few, many))
    usable = [doc for doc in sorted(small, key=lambda doc: -sum(doc.formulas.values())) if len(doc.text.split()) >= _WORDS][:_SEEDS]
    if len(usable) < _LEAST_SEEDS:
        raise InputError(f"{taken[0]}: holds {len(usable)} pages with text where {_LEAST_SEEDS} are needed to calibrate; raise --calibrate")
    seed = folder / "seed.jsonl"
    write_docs(seed, usable)
    chosen = replace(settings or Settings(preset="small"), seed=(str(seed),), rounds=1, workers=1)
    spent = []
    for place, docs in ((few, small), (many, large)):
        watch.note(f"calibrating on {len(docs):,} pages")
        tokens = sum(estimated_tokens(doc.text) for doc in docs)
        begun = core_seconds()
        # a part is collected, so that every step has pages: less than duplicates may leave
        mine(replace(chosen, budget=max(1, tokens // 5)), [str(place)], folder / f"run-{place.name}")
        spent.append(core_seconds() - begun)
    if len(small) == len(large):  # HTML files, which are not cut
        return rates_of_run(folder / "run-many")
    return rates_between(folder / "run-few", folder / "run-many", spent=(spent[0], spent[1]))


def _documents(place: Path, folder: Path, settings: Settings) -> list[Doc]:
    return [doc for doc in read_files(extracted_files([str(place)], folder, settings, SILENT, out=None)) if not doc.dropped]


def machine() -> str:
    """What rates are true of."""
    return f"{platform.machine()} {platform.system()}, Python {platform.python_version()}, {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _cut(source: str, size: int, folder: Path, number: int) -> int:
    """The beginning of an archive, and its bytes; where it breaks off costs one record. HTML files and folders are taken whole."""
    if not is_remote(source) and local_path(source).is_dir():
        (folder / f"{number}").symlink_to(local_path(source).resolve(), target_is_directory=True)
        return size
    stored = open_source(source)
    left = size
    try:
        stored.seek(0, size)
        with (folder / f"{number}-{source.rsplit('/', 1)[-1]}").open("wb") as file:
            while left > 0 and (piece := stored.read(min(left, 1 << 20))):
                file.write(piece)
                left -= len(piece)
    finally:
        stored.close()
    return size - left


def _funnel(out: Path) -> dict[str, dict[str, Any]]:
    """Pages, core seconds and what is done once, of each step; rounds are one step, the mean of them."""
    found: dict[str, dict[str, Any]] = {}
    rounds = []
    for row in rows(out):
        spent = row.get("core_seconds") or row["seconds"] * int(row.get("processes", 1))
        once = float(row.get("training_core_seconds", 0.0))  # not its time by the clock, which a busy machine stretches beyond `spent`
        entry = {"in": row["in"], "core_seconds": spent, "once": once, "times": 1}
        if _ROUND.fullmatch(row["step"]):
            rounds.append(entry)
        elif row["step"] in STEPS:
            found[row["step"]] = entry
    if rounds:
        found["round"] = {name: sum(entry[name] for entry in rounds) / len(rounds) for name in rounds[0]}
        found["round"]["times"] = len(rounds)
    return found


def _stored(out: Path) -> int:
    """Bytes of a run's archives, where all are on this machine."""
    sources = [local_path(source) for source in expand(read_json(out / CONFIG).get("inputs", [])) if not is_remote(source)]
    return sum(_size(source) for source in sources)


def _disk(out: Path) -> int:
    """Bytes of a run's folder, but for its models, which are as large whatever the pages."""
    return _size(out) - sum(file.stat().st_size for file in out.rglob("*.bin"))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.is_file() else 0


def funnel_of(out: Path) -> Mapping[str, Mapping[str, Any]]:
    """What a run's steps came to: pages in and out, core seconds. Raises InputError where no step is finished."""
    found = _funnel(out)
    if "extract" not in found:
        raise InputError(f"{out}: holds no run whose extraction is finished; nothing to check a plan against")
    return found
