"""The loop's tasks where scoring breaks, whatever the page: a machine without its library, say."""

from collections.abc import Mapping
from typing import Any

from data_pipeline.loop import page_tasks
from data_pipeline.tasks.file_work import FileWork, Tell


def page_task(work: FileWork, tell: Tell) -> Mapping[str, Any]:
    if work.options["step"] == "write_scores":
        raise RuntimeError("no library")
    return page_tasks.page_task(work, tell)
