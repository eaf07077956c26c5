"""A classifier for tests that trains in milliseconds: naive Bayes over words, written as JSON. Same calls as
`data_pipeline.classifier.math_classifier`.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.math_classifier import Training
from data_pipeline.classifier.target import MATHEMATICS, Target
from data_pipeline.classifier.training_examples import Example


def train(examples: Iterable[Example], model: Path, training: Training, **_: Any) -> dict[str, Any]:
    counts, pages = (Counter[str](), Counter[str]()), [0, 0]
    for example in examples:
        counts[example.positive].update(set(normalise(example.text).split()))
        pages[example.positive] += 1
    vocabulary = sorted(set(counts[0]) | set(counts[1]))
    odds = {
        word: math.log((counts[1][word] + 0.5) / (pages[1] + 1)) - math.log((counts[0][word] + 0.5) / (pages[0] + 1)) for word in vocabulary
    }
    model.write_text(json.dumps(odds))
    return {"pages": pages, "seed": training.seed}


class Classifier:
    def __init__(self, odds: dict[str, float]) -> None:
        self.odds = odds

    @classmethod
    def load(cls, path: Path, target: Target = MATHEMATICS) -> "Classifier":
        return cls(json.loads(path.read_text()))

    def score(self, texts: Sequence[str]) -> list[float]:
        sums = [sum(self.odds.get(word, 0.0) for word in set(normalise(text).split())) for text in texts]
        return [1 / (1 + math.exp(-max(-30.0, min(30.0, total / 5)))) for total in sums]
