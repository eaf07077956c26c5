"""Labelled examples on their way into a training: read, normalised, checked, held out, balanced.

The lines lie in a file and only offsets, labels and sources in memory, so that a million documents fit. Every choice is made by the random
seed and the order of the examples, so that the same input gives the same training.
"""

import hashlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from data_pipeline.classifier.target import MATHEMATICS, Target
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document_files import SUFFIXES, read_docs
from verifiers.input_error import InputError

FEWEST = 10
"""Documents of each class without which there is nothing to learn."""
SHORTEST = 20  # words after normalising: less says nothing of a page's subject
_IN_DOMAIN, _HELD_OUT = 0.05, 0.05  # shares of the documents


class Example(NamedTuple):
    text: str
    positive: bool
    source: str
    """Site or collection: what is held out as a whole."""


class Examples:
    """Normalised examples: the lines in a file, the rest in memory, so that a million of them fit."""

    def __init__(self) -> None:
        self.offsets: list[int] = [0]
        self.positive: list[bool] = []
        self.sources: list[str] = []
        self.skipped: Counter[str] = Counter()

    @classmethod
    def write(cls, examples: Iterable[Example], file: BinaryIO, target: Target = MATHEMATICS) -> "Examples":
        found, names, seen = cls(), dict[str, str](), set[bytes]()
        for example in examples:
            line = target.words(example.text)
            if line.count(" ") + 1 < SHORTEST:
                found.skipped["too short"] += 1
                continue
            raw = line.encode("utf-8", "replace")
            digest = hashlib.blake2b(raw, digest_size=8).digest()
            if digest in seen:
                found.skipped["same words as another"] += 1
                continue
            seen.add(digest)
            found.offsets.append(found.offsets[-1] + file.write(raw))
            found.positive.append(example.positive)
            found.sources.append(names.setdefault(example.source, example.source))
        return found

    def labels_and_sources(self, rows: Sequence[int]) -> tuple[list[bool], list[str]]:
        return [self.positive[row] for row in rows], [self.sources[row] for row in rows]

    def line(self, file: BinaryIO, row: int) -> str:
        file.seek(self.offsets[row])
        return file.read(self.offsets[row + 1] - self.offsets[row]).decode("utf-8")


def refuse_too_few(examples: Examples, target: Target = MATHEMATICS) -> None:
    """Raises InputError for examples that nothing can be learnt from: none, of one class, or fewer than `FEWEST` of a class."""
    found = sum(examples.positive)
    other = len(examples.positive) - found
    unusable = f" ({sum(examples.skipped.values())} more are too short or the same as another)" if examples.skipped else ""
    if not examples.positive:
        raise InputError(f"classifier: the seed has no usable documents{unusable}; give it pages with {target.noun} and pages without")
    if min(found, other) < FEWEST:
        raise InputError(
            f"classifier: the seed has {found} usable documents with {target.noun} and {other} without{unusable}; it needs {FEWEST} of each"
        )


def split_examples(examples: Examples, held_out: Collection[str] | None, seed: int, target: Target = MATHEMATICS) -> dict[str, list[int]]:
    """Row numbers: held-out sources, a random part of the others, and what is trained on. The last keeps `FEWEST` of each class."""
    away = _choose_sources(examples, seed) if held_out is None else set(held_out)
    rest = [row for row, source in enumerate(examples.sources) if source not in away]
    by_class = Counter(examples.positive[row] for row in rest)
    if min(by_class[True], by_class[False]) < FEWEST:
        raise InputError(
            f"classifier: without the held-out sources {by_class[True]} documents with {target.noun} and {by_class[False]} without are"
            f" left; it needs {FEWEST} of each: hold out fewer"
        )
    generator, inside = random.Random(seed), set[int]()
    for kind in (True, False):
        mine = [row for row in rest if examples.positive[row] is kind]
        inside.update(generator.sample(mine, min(len(mine) - FEWEST, math.ceil(_IN_DOMAIN * len(mine)))))
    return {
        "held_out_sources": [row for row, source in enumerate(examples.sources) if source in away],
        "in_domain": sorted(inside),
        "train": [row for row in rest if row not in inside],
    }


def _choose_sources(examples: Examples, seed: int) -> set[str]:
    """Sources in random order until a twentieth of each class, or `FEWEST`, is held out.

    Never so many that more than half of a class goes, or that fewer than `FEWEST` of it stay: few examples hold out less, or nothing.
    """
    by_source: dict[str, Counter[bool]] = defaultdict(Counter)
    for source, positive in zip(examples.sources, examples.positive, strict=True):
        by_source[source][positive] += 1
    totals, gone = Counter(examples.positive), Counter[bool]()
    most = {kind: min(totals[kind] // 2, totals[kind] - FEWEST) for kind in (True, False)}
    order = sorted(by_source)
    random.Random(seed).shuffle(order)
    chosen: set[str] = set()
    for source in order:
        counts = by_source[source]
        wanted = any(counts[kind] and gone[kind] < max(FEWEST, _HELD_OUT * totals[kind]) for kind in (True, False))
        if wanted and all(gone[kind] + counts[kind] <= most[kind] for kind in most):
            chosen.add(source)
            gone += counts
    return chosen


def balanced_rows(examples: Examples, rows: Sequence[int], *, per_source: int, seed: int) -> list[int]:
    """The rows to train on: at most `per_source` of a source and class (0: 100, or 2 % of all), the smaller class repeated."""
    generator = random.Random(seed)
    most = per_source or max(100, len(rows) // 50)
    groups: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for row in rows:
        groups[examples.positive[row], examples.sources[row]].append(row)
    classes: dict[bool, list[int]] = {True: [], False: []}
    for (positive, _), mine in groups.items():
        classes[positive] += mine if len(mine) <= most else generator.sample(mine, most)
    size = max(map(len, classes.values()))
    for mine in classes.values():
        generator.shuffle(mine)
    return sorted(row for mine in classes.values() for row in (mine * math.ceil(size / len(mine)))[:size])


def read_texts(path: Path) -> Iterator[tuple[str, str]]:
    """(text, source) of the kept documents of a file, or of the lines of a text."""
    if path.name.endswith(SUFFIXES):
        for doc in read_docs(Path(path)):
            if not doc.dropped:
                yield doc.text, host(doc.url).removeprefix("www.") or doc.url
        return
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.lstrip()
                yield (words.partition(" ")[2] if words.startswith("__label__") else words), Path(path).name
    except OSError as error:
        raise InputError(f"classifier: cannot read {path}: {error.strerror or error}") from error
