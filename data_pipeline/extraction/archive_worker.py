"""One archive, page by page, in a process that may be killed at any moment: what it has done so far is always on disk.

The process writes each finished document to a part file and, before each page, a snapshot of where it is to a `progress_slot.Slot`. The
process that takes over after a kill begins with the very page, whether the page was too slow (it becomes a dropped document), or
everything was killed. When all pages are through, the part is compressed to its name, and then the counts are written, which marks the
archive as finished. Memory is limited by the address space, so that most pages that ask for too much get a MemoryError, and the process
lives on.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_pipeline.archives.archive_pages import read_pages, starts_by_count
from data_pipeline.archives.record_pages import LARGEST, NoArchive, Oversized
from data_pipeline.documents.addresses import UrlList
from data_pipeline.documents.document import Doc, Page, doc_id, to_line
from data_pipeline.documents.framed_lines import framed
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.extraction.page_prefilter import Prefilter, prefilter
from data_pipeline.extraction.progress_slot import Slot, Snapshot
from verifiers.atomic_files import atomic_path, write_json
from verifiers.input_error import InputError
from verifiers.resource_limits import address_space, set_limit

Task = Callable[[Page], Doc]
_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One archive to extract, and how."""

    key: str
    source: str
    out: str
    config: str
    options: ExtractionOptions

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Job":
        """The job that `dataclasses.asdict` made these values of."""
        return cls(**{**values, "options": ExtractionOptions(**values["options"])})

    def file(self, ending: str) -> Path:
        return Path(self.out) / f"{self.key}{ending}"

    @property
    def part(self) -> Path:
        return Path(self.out) / f".part-{self.key}.jsonl"

    @property
    def slot(self) -> Path:
        return Path(self.out) / f".part-{self.key}.slot"


def resumable(job: Job, slot: Slot) -> Snapshot:
    """The snapshot to go on from; a new one where there is none, or of another configuration, or with a part file cut short."""
    found = slot.load()
    if found is None or found.config != job.config or not job.part.exists() or job.part.stat().st_size < found.size:
        return Snapshot(config=job.config)
    found.failure = ""
    return found


def work(job: Job, task: Task, slot: Slot, verdict: str | None) -> bool:
    """Extract the archive from where its slot says; `verdict` is why the page that begins there is dropped. Whether it could be read."""
    _limit_memory(job.options.page_megabytes)
    state = resumable(job, slot)
    verdict = verdict if state.begun else None
    descriptor = os.open(job.part, os.O_WRONLY | os.O_CREAT)
    try:
        os.ftruncate(descriptor, state.size)
        os.lseek(descriptor, 0, os.SEEK_END)
        _pages(job, task, slot, state, descriptor, verdict)
        os.fsync(descriptor)
    except InputError as error:
        state.failure, state.hopeless = str(error)[:2000], isinstance(error, NoArchive)
        slot.save(state)
        return False
    except OSError as error:
        return _full(job, slot, state, error)
    finally:
        os.close(descriptor)
    try:
        _finish(job, state)
    except OSError as error:
        return _full(job, slot, state, error)
    return True


def _full(job: Job, slot: Slot, state: Snapshot, error: OSError) -> bool:
    """The disk, most likely: what was written stays, and the next run goes on from the last snapshot."""
    state.failure, state.hopeless = f"{job.out}: {error.strerror or error}; what is done so far is kept", False
    saved = slot.load()
    slot.save(replace(saved, failure=state.failure) if saved else state)
    return False


def _pages(job: Job, task: Task, slot: Slot, state: Snapshot, descriptor: int, verdict: str | None) -> None:
    records: Counter[str] = Counter()
    block, allow = (UrlList.load(*map(Path, files)) for files in (job.options.block, job.options.allow))
    rules = Prefilter(largest=LARGEST, markup=job.options.prefilter, block=block, allow=allow)
    by_count = starts_by_count(job.source)
    again = state.begun
    if not again:
        records.update(state.records)
    for page in read_pages(job.source, start=state.start, outcomes=records, oversized=True):
        if again:  # the page at which the one before broke off is in its counts
            records.clear()
            records.update(state.records)
            again = False
        state.start = state.number if by_count else page.origin.offset
        state.records, state.begun = dict(records), True
        slot.begin(state)
        reason = verdict or ("read: too large" if isinstance(page, Oversized) else prefilter(page, rules))
        doc = dropped(page, reason) if reason else _attempt(task, page, state.errors)
        slot.end()
        verdict = None
        if doc.dropped and not job.options.keep_rejects:
            doc = replace(doc, text="")
        state.size += _write(descriptor, to_line(doc).encode("utf-8", "replace"))
        state.number += 1
        state.read += len(page.body)
        outcome = doc.dropped or "kept"
        state.outcomes[outcome] = state.outcomes.get(outcome, 0) + 1
    state.records = dict(records)


def _attempt(task: Task, page: Page, errors: list[str]) -> Doc:
    """The boundary: whatever goes wrong with one page costs that page."""
    try:
        return task(page)
    except MemoryError:
        return dropped(page, "extract: too much memory")
    except Exception as error:  # noqa: BLE001
        if len(errors) < _ERRORS:
            errors.append(f"{page.url[:300]}: {type(error).__name__}: {str(error)[:300]}")
        return dropped(page, "extract: failed")


def dropped(page: Page, reason: str) -> Doc:
    return Doc(doc_id(page.url, page.origin), page.url, "", page.origin, dropped=reason)


def _write(descriptor: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(data)


def _finish(job: Job, state: Snapshot) -> None:
    with atomic_path(job.file(".jsonl.zst")) as path, job.part.open("rb") as part, path.open("wb") as packed:
        packed.writelines(framed(part))
    write_marker(job, state)


def write_marker(job: Job, state: Snapshot) -> None:
    """What an archive gave; no time, so that it gives the same bytes again."""
    counts: Mapping[str, Any] = {
        "source": job.source, "config": job.config, "pages": state.number, "bytes": state.read,
        "outcomes": dict(sorted(state.outcomes.items())), "records": dict(sorted(state.records.items())), "errors": state.errors,
    }  # fmt: skip
    write_json(job.file(".json"), counts, indent=1)


def _limit_memory(megabytes: int) -> None:
    """On top of what the process has now."""
    if sys.platform != "linux":
        return
    set_limit("AS", address_space() + megabytes * 1_000_000, for_good=False)
