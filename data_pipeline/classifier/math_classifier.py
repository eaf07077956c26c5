"""The classifier that finds mathematics, or another target: fastText, trained from labelled documents, judged on unseen sources, applied.

`train` takes examples (text, is it what is sought, where it is from), holds out whole sources and some documents of the others, trains, and
returns the figures of both; `Classifier` scores texts. Both see a text only through `Target.words`. Models are fastText `.bin` files, ours
readable by fastText and other people's by us.

Decided here: documents that are too short or say the same as another once normalised are not learnt from; no source gives more than its
share (`per_source`); the smaller class is repeated to the size of the larger one. The settings are DeepSeekMath's (arXiv:2402.03300,
section 2.1: dim 256, learning rate 0.1, word 3-grams, min count 3, 3 epochs; its buckets are not stated, fastText's default is taken).
They are meant for a million documents and learn nothing from a few hundred, so small seeds get more passes (`Training.fitted`).

Left out: what is a good seed (`mining_run.py`), and how many of the best to keep. A score is the model's probability; how far it is from
the true share, by score, is in the report (`calibration`).
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data_pipeline.classifier.classifier_figures import figures
from data_pipeline.classifier.fasttext_file import Projected, read_projected
from data_pipeline.classifier.hashed_ngrams import Features
from data_pipeline.classifier.target import MATHEMATICS, Target
from data_pipeline.classifier.training_examples import Example, Examples, balanced_rows, read_texts, refuse_too_few, split_examples
from verifiers.child_environment import child_environment
from verifiers.input_error import InputError

_LEARNT, _FASTEST, _LONGEST = 5000, 0.5, 100  # learning rate x updates that suffice; the rate and the epochs of small seeds


@dataclass(frozen=True)
class Training:
    dim: int = 256
    lr: float = 0.1
    word_ngrams: int = 3
    min_count: int = 3
    epochs: int = 3
    bucket: int = 2_000_000
    seed: int = 0
    threads: int = field(default=0, init=False)
    """What reports say: no threads of fastText's race, the same bytes every time."""
    per_source: int = 0
    """Most documents of one source and class; 0 is the larger of 100 and 2 % of all documents."""
    small_seeds: bool = True
    """More passes and a higher rate where the seed is too small for the settings."""
    refit: bool = True
    """After the figures, train the model that is kept on everything. False keeps the one that was measured, in half the time."""

    def __post_init__(self) -> None:
        whole = {"dim": 1, "word_ngrams": 1, "min_count": 1, "epochs": 1, "bucket": 1, "per_source": 0, "seed": 0}
        for name, least in whole.items():
            if getattr(self, name) < least:
                raise InputError(f"classifier: {name} is {getattr(self, name)}; at least {least} is needed")
        if not 0 < self.lr <= 10:
            raise InputError(f"classifier: lr is {self.lr}; a learning rate between 0 and 10 is needed")

    def fitted(self, lines: int) -> "Training":
        """The settings for so many lines: unchanged where rate x updates is at least 5000 (17,000 documents by DeepSeekMath's settings).

        Below, the rate is 0.5 and the epochs as many as reach 5000, at most 100.
        """
        if not self.small_seeds or self.lr * self.epochs * lines >= _LEARNT:
            return self
        rate = max(self.lr, _FASTEST)
        return replace(self, lr=rate, epochs=max(self.epochs, min(_LONGEST, math.ceil(_LEARNT / (rate * lines)))))


PRESETS = {
    "deepseekmath": Training(),  # 2.1 GB on disk and while it trains, 16 MB in each run that scores
    "small": Training(dim=64, bucket=200_000),  # 55 MB
}
LARGE = 100_000
"""Documents beyond which `auto` takes DeepSeekMath's settings."""


def training_for(preset: str, documents: int, seed: int) -> Training:
    """The settings of a preset; `auto` is the small one up to `LARGE` documents: buckets that nothing falls into cost 2 GB a round."""
    name = preset if preset != "auto" else "small" if documents <= LARGE else "deepseekmath"
    return replace(PRESETS[name], seed=seed)


def train(
    examples: Iterable[Example], model: Path, training: Training | Callable[[int], Training] | None = None, *,
    held_out: Collection[str] | None = None, target: Target = MATHEMATICS,
) -> dict[str, Any]:  # fmt: skip
    """Writes the model to `model` (whole or not at all) and returns the report, which is plain JSON (`figures_table` prints it).

    `training`: the settings, or what gives them for so many usable documents. `held_out` names the sources to hold out; None chooses some
    by the seed, a twentieth of the documents or more; () holds out none.
    Raises InputError for a seed that is empty, of one class, or with fewer than `FEWEST` usable documents of a class.
    """
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=model.parent) as folder, (Path(folder) / "all").open("w+b") as file:
        written = Examples.write(examples, file, target)
        refuse_too_few(written, target)
        training = training(len(written.positive)) if callable(training) else training or Training()
        parts = split_examples(written, held_out, training.seed, target)
        report: dict[str, Any] = {"training": asdict(training), **_counts_by_part(written, parts, target.name)}
        report["fitted"] = _train_on(written, parts["train"], model, training, Path(folder), file, target)
        classifier = Classifier.load(model, target)
        for name in ("in_domain", "held_out_sources"):
            rows = parts[name]
            scores = [classifier.score_line(written.line(file, row)) for row in rows]
            report[name] = figures(scores, *written.labels_and_sources(rows), target.name) if rows else None
        if training.refit and len(parts["train"]) < len(written.positive):
            report["fitted"] = _train_on(written, range(len(written.positive)), model, training, Path(folder), file, target)
            report["note"] = "The model kept was then trained on all documents, the held-out ones too."
    return report


def train_files(
    positives: Sequence[Path], negatives: Sequence[Path], model: Path, training: Training | Callable[[int], Training] | None = None, *,
    held_out: Collection[str] | None = None, target: Target = MATHEMATICS,
) -> dict[str, Any]:  # fmt: skip
    """`train` on files: documents of the pipeline (`.jsonl`, `.jsonl.zst`, `.jsonl.gz`; source = host), or text, one document a line,

    fastText's format included (a leading `__label__x` is skipped; source = file name).
    """
    pairs = ((paths, positive) for paths, positive in ((positives, True), (negatives, False)))
    examples = (Example(text, positive, source) for paths, positive in pairs for path in paths for text, source in read_texts(path))
    return train(examples, model, training, held_out=held_out, target=target)


class Classifier:
    """A model, ready to score. Load it before forking: workers share its memory, which is never written to."""

    def __init__(self, model: Projected, target: Target = MATHEMATICS) -> None:
        header = model.header
        self._features = Features(model.vocabulary, word_ngrams=header.word_ngrams, bucket=header.bucket)
        self._rows, self._sought, self._words = model.rows, model.labels.index(target.labels[1]), target.words

    @classmethod
    def load(cls, path: Path, target: Target = MATHEMATICS) -> "Classifier":
        """InputError, one line, for a file that is missing, truncated, damaged or no such model."""
        model = read_projected(Path(path))
        if target.labels[1] not in model.labels:
            raise InputError(f"classifier {path}: its labels are {', '.join(model.labels[:8])}; say which of them mean {target.noun}")
        return cls(model, target)

    def score(self, texts: Sequence[str]) -> list[float]:
        """Probability of what is sought; 0 for a text without words."""
        return [self.score_line(self._words(text)) for text in texts]

    def score_line(self, line: str) -> float:
        """The same for a text that is normalised already."""
        ids = self._features.ids(line)
        if not line.strip() or not len(ids):
            return 0.0
        logits = self._rows[ids].mean(axis=0, dtype=np.float64)
        odds = np.exp(logits - logits.max())
        return float(odds[self._sought] / odds.sum())


def _counts_by_part(examples: Examples, parts: dict[str, list[int]], name: str) -> dict[str, Any]:
    return {
        "documents": {
            name: sum(examples.positive), "other": len(examples.positive) - sum(examples.positive), "sources": len(set(examples.sources)),
            "skipped": dict(sorted(examples.skipped.items())), **{name: len(rows) for name, rows in parts.items()},
        },
        "held_out": sorted({examples.sources[row] for row in parts["held_out_sources"]})[:1000],
    }  # fmt: skip


def _train_on(
    examples: Examples, rows: Sequence[int], model: Path, training: Training, folder: Path, file: BinaryIO, target: Target
) -> dict[str, Any]:
    """Trains on those rows, balanced, and says by which settings."""
    chosen = balanced_rows(examples, rows, per_source=training.per_source, seed=training.seed)
    fitted = training.fitted(len(chosen))
    lines, job = folder / "lines", folder / "job.json"
    with lines.open("wb") as out:
        for row in chosen:
            out.write(f"{target.labels[examples.positive[row]]} {examples.line(file, row)}\n".encode())
    job.write_text(json.dumps({**asdict(fitted), "lines": str(lines), "model": str(model.absolute()), "labels": target.labels}))
    _run_trainer(job, model)
    return {"lines": len(chosen), "lr": fitted.lr, "epochs": fitted.epochs}


def _run_trainer(job: Path, model: Path) -> None:
    """The trainer in a fresh process, to which the current folder's files are no modules; numpy's threads would only be in the way."""
    environment = child_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    command = [sys.executable, "-P", "-m", "data_pipeline.classifier.training_process", str(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode < 0 or "MemoryError" in done.stderr or "bad_alloc" in done.stderr:
        raise InputError(
            f"classifier {model}: training was killed or ran out of memory; take fewer buckets or a smaller dim (preset small)"
        )
    if done.returncode == 2:
        raise InputError(done.stderr.strip().rpartition("\n")[2])
    if done.returncode:
        raise RuntimeError(f"training the classifier failed:\n{done.stderr[-4000:]}")
