"""The loop's tasks over all files of the pool, on this machine's cores or wherever the settings say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_pipeline.loop.page_pool import PagePool
from data_pipeline.loop.page_tasks import TASK
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import Watch, read_json
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import run_all
from data_pipeline.tasks.running_task import Limits
from verifiers.input_error import InputError

_LIMITS = Limits(set_aside_too=True)
"""No step can go on without all of its files: one that was set aside is tried again by the next run."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the tasks run, and who hears of it."""

    settings: Settings
    watch: Watch

    def each(
        self, pool: PagePool, step: str, folder: Path, options: Mapping[str, Any], made_by: str, *, label: str = ""
    ) -> list[Mapping[str, Any]]:
        """A step of `page_tasks.py` on every file of the pool; what their markers say, in the order of the files.

        made_by: of all that decides the result, besides the pool; the options say where it lies.
        """
        folder.mkdir(parents=True, exist_ok=True)
        config = config_of(step, pool.digest, made_by)
        places = {"pool": str(pool.folder), "extracted": str(pool.extracted), **options}
        works = [FileWork(key, f"{key}.jsonl.zst", str(folder), config, places) for key in pool.keys]
        self.run(step, works, label=label, total=len(pool))
        return [read_json(folder / f"{key}.json") for key in pool.keys]

    def run(self, step: str, works: Sequence[FileWork], *, label: str = "", total: int = 0) -> None:
        """The works, as far as they are not done. Raises InputError where one failed for good."""
        if label:
            self.watch.begin(label, total)
        lost: dict[str, str] = {}
        for progress in run_all(
            TASK,
            [replace(work, options={**work.options, "step": step}) for work in works],
            on=self.settings.on,
            workers=self.settings.workers,
            limits=_LIMITS,
        ):
            lost = {**progress.failed, **progress.aside}
            if label:
                self.watch.advance(progress.counts.get("pages", 0), size=progress.counts.get("bytes", 0))
        if lost:
            key, reason = next(iter(lost.items()))
            raise InputError(f"{key}: {reason}; {len(lost)} of {len(works)} files failed at this step, run again to try them anew")


def config_of(*decides: str) -> str:
    """A hash of all that decides a file, in words."""
    return hashlib.blake2b("\n".join(decides).encode(), digest_size=8).hexdigest()
