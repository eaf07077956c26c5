"""Does the classifier know another subject on sites that it has never seen? `python -m benchmarks.mining.subjects`

Code documentation (`--subject code`) among the labelled pages of ../shared/data/web (or $RECKON_DATA): the manuals of software are the
seed, all other sources are anything else. Leave-source-out: for each source a model is trained on all others and scores the source's
pages, so that a source that is judged is in no training set, neither as seed nor as negative. Negatives are drawn as the loop draws them:
no page that shows code (`Subject.evidence`) is one, because blogs and news write about code too. All pages are judged together at the
threshold 0.5, by the label of their source alone: a tutorial on a blog counts as an error where it is taken.

Beside it, not judged: the same without libraries of mathematics, which leaves three small manuals as the seed; how mathematics' words do
at code; and what the quality rules of both subjects keep of the manuals. The last line is `RESULT {json}`.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.mining.classifier import our_text
from benchmarks.mining.disputed_pages import why_disputed
from benchmarks.parts import WEB, ended, labelled_rows, options
from data_pipeline.classifier.classifier_figures import figures
from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.math_classifier import PRESETS, Classifier, train
from data_pipeline.classifier.target import Target
from data_pipeline.classifier.training_examples import Example
from data_pipeline.cleaning import math_quality
from data_pipeline.documents.document import Doc, Origin
from data_pipeline.subjects.code import CODE

BAR = 0.90
MANUALS = ("apache2-doc", "git-doc", "python3.11-doc")
LIBRARIES = (
    "libeigen3-doc", "macaulay2-common", "octave-doc", "python-mpmath-doc", "python-scipy-doc", "python-sympy-doc", "sagemath-doc",
)  # fmt: skip
"""Software too, of mathematics: its manuals are code documentation."""


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    rows = [row for row in labelled_rows() if row["label"] != "stress"]
    docs = [
        Doc(str(place), row["path"], our_text((WEB / row["path"]).read_bytes(), row), Origin(row["source"], 0))
        for place, row in enumerate(rows)
    ]
    runs = [judged(docs, (*MANUALS, *LIBRARIES), CODE.words, seed) for seed in range(given.seeds)]
    for run in runs:
        show("code documentation", run)
    small = judged([doc for doc in docs if doc.origin.archive not in LIBRARIES], MANUALS, CODE.words, 0)
    show("a seed of three manuals, libraries of mathematics left out", small)
    words = judged(docs, (*MANUALS, *LIBRARIES), normalise, 0)
    show("by the words of mathematics", words)
    start = time.process_time()
    for doc in docs:
        CODE.words(doc.text)
    precision, recall = (statistics.mean(run[name] for run in runs) for name in ("precision", "recall"))
    undisputed = [run["without_stubs"] for run in runs]
    result = {
        "precision": precision, "recall": recall, "by_seed": [[run["precision"], run["recall"]] for run in runs],
        "precision_without_stubs": statistics.mean(run["precision"] for run in undisputed),
        "recall_without_stubs": statistics.mean(run["recall"] for run in undisputed), "sources": runs[0]["sources"],
        "three_manuals": {name: small[name] for name in ("precision", "recall", "documents", "positive")},
        "words_of_mathematics": {name: words[name] for name in ("precision", "recall")},
        "words_docs_per_second": round(len(docs) / (time.process_time() - start), 1), **kept_by_rules(docs),
    }  # fmt: skip
    for name, value in result.items():
        if name != "sources":
            print(f"{name:28} {value}")
    bars = {"subjects_code_precision": precision >= BAR, "subjects_code_recall": recall >= BAR}
    return ended(result, [name for name, met in bars.items() if not met])


def judged(docs: Sequence[Doc], seed_sources: Sequence[str], words: Callable[[str], str], seed: int) -> dict[str, Any]:
    """Figures of all pages, each scored by a model that saw nothing of its source."""
    target = Target(CODE.name, CODE.noun, str)  # the texts are words already: not once more for each source
    pages = [Example(words(doc.text), doc.origin.archive in seed_sources, doc.origin.archive) for doc in docs]
    may_train = [page.positive or not CODE.evidence(doc) for page, doc in zip(pages, docs, strict=True)]
    scores = [0.0] * len(pages)
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted({page.source for page in pages}):
            model = Path(folder) / "model.bin"
            others = [page for page, may in zip(pages, may_train, strict=True) if may and page.source != source]
            train(others, model, replace(PRESETS["small"], refit=False, seed=seed), held_out=(), target=target)
            classifier = Classifier.load(model, target)
            for place, page in enumerate(pages):
                if page.source == source:
                    scores[place] = classifier.score([page.text])[0]

    def measured(places: Sequence[int]) -> dict[str, Any]:
        labels, sources = [pages[n].positive for n in places], [pages[n].source for n in places]
        return figures([scores[n] for n in places], labels, sources, CODE.name)

    whole = [n for n, doc in enumerate(docs) if why_disputed(doc.origin.archive, doc.url, doc.text) is None]
    return {**measured(range(len(pages))), "without_stubs": measured(whole)}


def kept_by_rules(docs: Sequence[Doc]) -> dict[str, float]:
    """Shares of the manuals without formulas that the rules of code, and of mathematics, keep."""
    manuals = [doc for doc in docs if doc.origin.archive in MANUALS]
    return {
        "manuals_kept_by_code_rules": round(sum(CODE.quality_rule(doc) is None for doc in manuals) / len(manuals), 3),
        "manuals_kept_by_math_rules": round(sum(math_quality.quality_rule(doc) is None for doc in manuals) / len(manuals), 3),
    }


def show(name: str, run: dict[str, Any]) -> None:
    print(f"\n{name}: precision {run['precision']:.3f}, recall {run['recall']:.3f} of {run['documents']} pages;", end=" ")
    print(f"without one-line redirects {run['without_stubs']['precision']:.3f}, {run['without_stubs']['recall']:.3f}")
    for source, row in run["sources"].items():
        print(
            f"  {source:22} found {row['code_found']:4} of {row['code']:4}   other taken {row['other_taken']:4} of {row['other']:4}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
