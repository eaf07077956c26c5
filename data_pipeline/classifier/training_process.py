"""Trains one fastText classifier in a process of its own: `python -m data_pipeline.classifier.training_process JOB.json`.

The trainer is an own stochastic gradient descent, fastText's update for update (one line at a time, learning rate falling linearly to 0,
inputs drawn from U(-1/dim, 1/dim), outputs from 0, gradient of the inputs divided by their number), in one thread: the same lines and seed
give the same bytes. fastText itself races its threads, so that no two of its runs agree, and below 10 of them leaves part of its inputs as
the memory was. The process ends with the memory it took.

The order of lines is shuffled anew each epoch, which fastText does not do. The model is read back and refused if a weight is no number or
absurd; it is written whole or not at all. A trainer whose parent has died stops.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.classifier.fasttext_file import Floats, read_projected, supervised_header, write_model
from data_pipeline.classifier.hashed_ngrams import END, Features, Ids
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

_CACHED = 30_000_000  # features of all lines that are kept rather than hashed again each epoch (360 MB)


def main(arguments: Sequence[str]) -> int:
    job = json.loads(Path(arguments[0]).read_text())
    lines, model = Path(job["lines"]), Path(job["model"])
    try:
        with atomic_path(model) as partial:
            _train(lines, partial, job)
            read_projected(partial)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _train(lines: Path, model: Path, job: dict[str, Any]) -> None:
    counts: Counter[str] = Counter()
    offsets, labels = [], []
    with lines.open("rb") as file:
        offset = 0
        for raw in file:
            label, _, text = raw.decode("utf-8").partition(" ")
            offsets.append(offset)
            labels.append(job["labels"].index(label))
            counts.update(text.split())
            counts[END] += 1
            offset += len(raw)
    kept = sorted((w for w, count in counts.items() if count >= job["min_count"]), key=lambda word: (-counts[word], word))
    words = {word: counts[word] for word in kept}
    features = Features({word: row for row, word in enumerate(words)}, word_ngrams=job["word_ngrams"], bucket=job["bucket"])
    generator = np.random.default_rng(job["seed"])
    inputs = _uniform_weights(generator, len(words) + job["bucket"], job["dim"])
    outputs = np.zeros((2, job["dim"]), dtype=np.float32)
    with lines.open("rb") as file:

        def counted(index: int) -> tuple[Ids, Floats]:
            file.seek(offsets[index])
            ids, times = np.unique(features.ids(file.readline().decode("utf-8").partition(" ")[2]), return_counts=True)
            return ids, (times / max(1, times.sum())).astype(np.float32)

        _descend(inputs, outputs, _remember_features(counted), labels, lr=job["lr"], epochs=job["epochs"], generator=generator)
    header = supervised_header(
        dim=job["dim"], epochs=job["epochs"], min_count=job["min_count"], word_ngrams=job["word_ngrams"], bucket=job["bucket"],
        words=len(words), labels=2, tokens=sum(words.values()) + len(labels),
    )  # fmt: skip
    write_model(model, header, words, {job["labels"][k]: labels.count(k) for k in (0, 1)}, inputs, outputs)


def _uniform_weights(generator: np.random.Generator, rows: int, dim: int) -> Floats:
    inputs = np.empty((rows, dim), dtype=np.float32)
    for start in range(0, rows, 1 << 14):
        part = inputs[start : start + (1 << 14)]
        generator.random(dtype=np.float32, out=part)
        part *= 2 / dim
        part -= 1 / dim
    return inputs


def _remember_features(counted: Callable[[int], tuple[Ids, Floats]]) -> Callable[[int], tuple[Ids, Floats]]:
    """The same function, remembering its answers while they are few."""
    cache: dict[int, tuple[Ids, Floats]] = {}
    room = _CACHED

    def answer(index: int) -> tuple[Ids, Floats]:
        nonlocal room
        found = cache.get(index)
        if found is None:
            found = counted(index)
            if room > 0:
                cache[index] = found
                room -= len(found[0])
        return found

    return answer


def _descend(
    inputs: Floats, outputs: Floats, features: Callable[[int], tuple[Ids, Floats]], labels: Sequence[int], *, lr: float, epochs: int,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """fastText's updates for softmax over two labels, in place."""
    parent = os.getppid()
    for step, index in enumerate(_shuffled_order(len(labels), epochs, generator)):
        if step % 1000 == 0 and os.getppid() != parent:
            raise InputError("classifier: the run that asked for this training has died")
        ids, share = features(index)
        rows = inputs.take(ids, axis=0)
        hidden = share @ rows
        odds = np.clip(outputs[1] @ hidden - outputs[0] @ hidden, -30, 30)
        wrong = labels[index] - 1 / (1 + np.exp(-odds))  # of label 1; of label 0 it is the negative
        rate = np.float32(lr * (1 - step / (epochs * len(labels))) * wrong)
        gradient = rate * (outputs[1] - outputs[0])
        outputs[1] += rate * hidden
        outputs[0] -= rate * hidden
        rows += np.outer(share, gradient)
        inputs[ids] = rows


def _shuffled_order(lines: int, epochs: int, generator: np.random.Generator) -> Iterator[int]:
    for _ in range(epochs):
        yield from generator.permutation(lines).tolist()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
