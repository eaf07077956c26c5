"""The loop's tasks with a classifier that refuses a third of all pages, whatever they are."""

from collections.abc import Sequence

from data_pipeline.loop import page_tasks
from data_pipeline.loop.page_tasks import page_task
from tests.data_pipeline import stand_ins

__all__ = ["page_task"]


class _Reluctant(stand_ins.Classifier):
    def score(self, texts: Sequence[str]) -> list[float]:
        return [0.0 if len(text) % 3 == 0 else value for text, value in zip(texts, super().score(texts), strict=True)]


page_tasks.Classifier = _Reluctant  # type: ignore[assignment,misc]
