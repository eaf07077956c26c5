"""Scores of many texts, by one model in several processes.

The model is loaded once and the processes are forked from there, so that they share its memory (16 MB of rows of a model with two million
buckets) and only texts and scores travel. The order and every score are those of one process.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from data_pipeline.classifier.math_classifier import Classifier

BATCH = 256
_AHEAD = 4
"""Batches under way for each process: enough to keep it busy, few enough to bound what waits in memory."""
_model: list[Classifier] = []


def score_texts(classifier: Classifier, texts: Iterable[str], *, processes: int) -> Iterator[list[float]]:
    """The probability of mathematics of each text, a list a batch of `BATCH`, in order. Raises what a process raised."""
    flow = iter(texts)
    batches = iter(lambda: list(islice(flow, BATCH)), [])
    if processes < 2:
        yield from map(classifier.score, batches)
        return
    _model[:] = [classifier]  # what the forked processes find
    gc.freeze()  # their collectors would otherwise touch, and so copy, every page of the parent's memory
    waiting: list[Future[list[float]]] = []
    try:
        with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
            for batch in batches:
                waiting.append(pool.submit(_score, batch))
                if len(waiting) > processes * _AHEAD:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
    finally:
        gc.unfreeze()
        _model.clear()


def _score(texts: Sequence[str]) -> list[float]:
    [classifier] = _model
    return classifier.score(texts)
