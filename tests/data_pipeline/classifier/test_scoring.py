"""Scoring in several processes is scoring in one."""

from collections.abc import Iterator
from typing import Any

import pytest

from data_pipeline.classifier.parallel_scoring import BATCH, score_texts


class Counting:
    """Stands in for a classifier: the score of a text is what it says, and some texts break it."""

    def score(self, texts: list[str]) -> list[float]:
        if "broken" in texts:
            raise ValueError("a text broke the classifier")
        return [float(text) for text in texts]


def texts(count: int) -> Iterator[str]:
    return (str(number / count) for number in range(count))


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("count", [0, 1, BATCH, 20 * BATCH + 7])
def test_scores_come_in_the_order_of_the_texts(processes: int, count: int) -> None:
    model: Any = Counting()
    found = [score for batch in score_texts(model, texts(count), processes=processes) for score in batch]
    assert found == [float(text) for text in texts(count)]


def test_an_error_in_a_process_is_raised_here() -> None:
    model: Any = Counting()
    with pytest.raises(ValueError, match="broke the classifier"):
        list(score_texts(model, ["0.5"] * 600 + ["broken"], processes=2))


def test_texts_are_read_as_they_are_needed() -> None:
    model: Any = Counting()
    read = []

    def counted() -> Iterator[str]:
        for text in texts(100 * BATCH):
            read.append(text)
            yield text

    next(score_texts(model, counted(), processes=2))
    assert len(read) < 20 * BATCH
