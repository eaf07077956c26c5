"""One archive, page by page, in a process that may be killed at any moment: what it has done so far is always on disk.

The process writes each finished document to a part file and, before each page, a snapshot of where it is to a `progress_slot.Slot`. The
process that takes over after a kill begins with the very page, whether the page was too slow (it becomes a dropped document), or
everything was killed. When all pages are through, the part is compressed to its place, and the last snapshot holds the counts. Memory is
limited by the address space, so that most pages that ask for too much get a MemoryError, and the process lives on.
"""

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from data_pipeline.archives.archive_pages import read_pages, starts_by_count
from data_pipeline.archives.record_pages import LARGEST, NoArchive, Oversized
from data_pipeline.documents.addresses import UrlList
from data_pipeline.documents.document import Doc, Page, doc_id, to_line
from data_pipeline.documents.framed_lines import framed
from data_pipeline.documents.places import whole
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.extraction.page_prefilter import Prefilter, prefilter
from data_pipeline.extraction.progress_slot import Slot, Snapshot
from data_pipeline.tasks.file_work import FileWork, counts_of
from verifiers.input_error import InputError
from verifiers.resource_limits import address_space, set_limit
from verifiers.rewards.named_functions import find_object

Task = Callable[[Page], Doc]
DOCUMENTS = ".jsonl.zst"
_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One archive to extract, how, and where what is not finished lies."""

    work: FileWork
    options: ExtractionOptions
    part: Path
    """The documents so far, as lines."""
    slot: Path

    @property
    def documents(self) -> str:
        """The place of the archive's documents."""
        return self.work.place(DOCUMENTS)


def resumable(job: Job, slot: Slot) -> Snapshot:
    """The snapshot to go on from; a new one where there is none, or of another configuration, or with a part file cut short."""
    found = slot.load()
    if found is None or found.config != job.work.config or not job.part.exists() or job.part.stat().st_size < found.size:
        return Snapshot(config=job.work.config)
    found.failure, found.disk = "", 0
    return found


def work(job: Job, task: Task, slot: Slot, verdict: str | None) -> bool:
    """Extract the archive from where its slot says; `verdict` is why the page that begins there is dropped. Whether it could be read."""
    _limit_memory(job.options.page_megabytes)
    state = resumable(job, slot)
    verdict = verdict if state.begun else None
    descriptor = -1
    try:
        descriptor = os.open(job.part, os.O_WRONLY | os.O_CREAT)
        os.ftruncate(descriptor, state.size)
        os.lseek(descriptor, 0, os.SEEK_END)
        if not state.through:
            _pages(job, task, slot, state, descriptor, verdict)
        os.fsync(descriptor)
        state.through = True
        slot.save(state)
        _finish(job)
    except InputError as error:
        state.failure, state.hopeless = str(error)[:2000], isinstance(error, NoArchive)
        slot.save(state)
        return False
    except OSError as error:  # the disk, most likely: what was written stays, and the next attempt goes on from the last snapshot
        saved = slot.load() or state
        slot.save(replace(saved, failure=error.strerror or str(error), disk=error.errno or errno.EIO, hopeless=False))
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True


def _pages(job: Job, task: Task, slot: Slot, state: Snapshot, descriptor: int, verdict: str | None) -> None:
    records: Counter[str] = Counter()
    block, allow = (UrlList.load(*map(Path, files)) for files in (job.options.block, job.options.allow))
    options = job.options
    markup = find_object(options.markup, "markup is found by FILE.py:FUNCTION") if options.prefilter else None
    rules = Prefilter(largest=LARGEST, markup=markup, sought=options.sought, block=block, allow=allow)
    by_count = starts_by_count(job.work.source)
    again = state.begun
    if not again:
        records.update(state.records)
    for page in read_pages(job.work.source, start=state.start, outcomes=records, oversized=True):
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


def _finish(job: Job) -> None:
    """The part, compressed, at its place; unless another attempt was faster."""
    if counts_of(job.work) is not None:
        return
    with whole(job.documents) as path, job.part.open("rb") as part, path.open("wb") as packed:
        packed.writelines(framed(part))


def _limit_memory(megabytes: int) -> None:
    """On top of what the process has now."""
    if sys.platform != "linux":
        return
    set_limit("AS", address_space() + megabytes * 1_000_000, for_good=False)
