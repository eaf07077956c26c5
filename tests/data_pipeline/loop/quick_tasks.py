"""The loop's tasks with a classifier that trains in milliseconds; by name, as they run in other processes."""

from data_pipeline.loop import page_tasks
from data_pipeline.loop.page_tasks import page_task
from tests.data_pipeline import stand_ins

__all__ = ["page_task"]

page_tasks.Classifier = stand_ins.Classifier  # type: ignore[assignment,misc]
