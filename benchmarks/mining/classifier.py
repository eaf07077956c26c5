"""How well does the classifier know mathematics on sites that it has never seen? `python -m benchmarks.mining.classifier`

Leave-source-out over the labelled pages of ../shared/data/web (or $RECKON_DATA): for each source a model is trained on all other sources
and scores the source's pages; all pages' scores are then judged together at the threshold 0.5. `math` and `math_plain` pages are
mathematics, `nonmath` pages are not, `stress` pages are left out. The text is `extract`'s (`--text ours`, the default) or resiliparse's
(`--text full`, `--text main`: no formula is between delimiters unless the page wrote it so). `--ablate` adds runs without formulas, with
DeepSeekMath's settings, and without the measures for small seeds. The last line is `RESULT {json}`.
"""

import hashlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.mining.disputed_pages import why_disputed
from benchmarks.parts import WEB, best_seconds, ended, labelled_rows, options
from data_pipeline.classifier.classifier_figures import figures
from data_pipeline.classifier.classifier_words import FORMULA, normalise
from data_pipeline.classifier.math_classifier import PRESETS, Classifier, Training, train
from data_pipeline.classifier.training_examples import Example
from data_pipeline.documents.document import Origin, Page

BAR = 0.90


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--text", choices=("ours", "full", "main"), default="ours")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--ablate", action="store_true")
    given = parser.parse_args()
    raw, disputed = labelled_pages(given.text)
    pages = [page._replace(text=normalise(page.text)) for page in raw]  # once, not again for every source: twice changes nothing
    assert all(normalise(page.text) == page.text for page in pages)
    runs = [judge(pages, disputed, leave_source_out(pages, replace(PRESETS["small"], seed=seed))) for seed in range(given.seeds)]
    show("preset small", runs)
    ablations = {}
    if given.ablate:
        for name, changed, training in variants(pages):
            ablations[name] = judge(changed, disputed, leave_source_out(changed, training))
            show(name, [ablations[name]])
    measured = {**speed_and_memory(raw), "repeatable": repeatable(pages)}
    for name, value in measured.items():
        print(f"{name:40} {value}")
    f1 = statistics.mean(run["f1"] for run in runs)
    bars = {"classifier_unseen_sources_f1": f1 >= BAR, "classifier_repeatable": measured["repeatable"]}
    result = {
        "text": given.text, "f1": f1,
        "f1_by_seed": [run["f1"] for run in runs], "precision": runs[0]["precision"], "recall": runs[0]["recall"],
        "f1_without_disputed": statistics.mean(run["without_disputed"]["f1"] for run in runs),
        "disputed": runs[0]["documents"] - runs[0]["without_disputed"]["documents"], "sources": runs[0]["sources"],
        "ablations": {name: run["f1"] for name, run in ablations.items()}, **measured,
    }  # fmt: skip
    return ended(result, [name for name, met in bars.items() if not met])


def labelled_pages(kind: str) -> tuple[list[Example], list[bool]]:
    """The pages, and whether their label is disputed."""
    text = {"ours": our_text, "full": lambda body, row: peer_text(body, False), "main": lambda body, row: peer_text(body, True)}[kind]
    pages = [row for row in labelled_rows() if row["label"] != "stress"]
    examples = [Example(text((WEB / row["path"]).read_bytes(), row), row["label"] != "nonmath", row["source"]) for row in pages]
    return examples, [why_disputed(page.source, row["path"], page.text) is not None for page, row in zip(examples, pages, strict=True)]


def our_text(body: bytes, row: dict[str, Any]) -> str:
    from data_pipeline.extraction.page_to_document import extract

    return extract(Page(row.get("url") or "http://localhost/" + row["path"], body, "text/html", "", Origin(row["path"], 0))).text


def peer_text(body: bytes, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    return str(extract_plain_text(bytes_to_str(body, detect_encoding(body)), main_content=main_content, alt_texts=True))


def leave_source_out(pages: Sequence[Example], training: Training) -> list[float]:
    scores = [0.0] * len(pages)
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted({page.source for page in pages}):
            model = Path(folder) / "model.bin"
            train([page for page in pages if page.source != source], model, replace(training, refit=False), held_out=())
            classifier = Classifier.load(model)
            for index, page in enumerate(pages):
                if page.source == source:
                    scores[index] = classifier.score([page.text])[0]
    return scores


def judge(pages: Sequence[Example], disputed: Sequence[bool], scores: Sequence[float]) -> dict[str, Any]:
    def measured(rows: Sequence[int]) -> dict[str, Any]:
        return figures([scores[row] for row in rows], [pages[row].positive for row in rows], [pages[row].source for row in rows])

    right = [row for row, wrong in enumerate(disputed) if not wrong]
    return {**measured(range(len(pages))), "without_disputed": measured(right)}


def variants(pages: Sequence[Example]) -> list[tuple[str, Sequence[Example], Training]]:
    small = PRESETS["small"]
    return [
        ("formulas left out", changed(pages, lambda word: word != FORMULA and word[0] != "\\"), small),
        ("formulas without their commands", changed(pages, lambda word: word[0] != "\\"), small),
        ("no cap per source", pages, replace(small, per_source=10**6)),
        ("lr 0.1, 3 epochs as for large seeds", pages, replace(small, small_seeds=False)),
        ("dim 256 (DeepSeekMath), 200k buckets", pages, replace(small, dim=256)),
    ]


def changed(pages: Sequence[Example], keep: Callable[[str], bool]) -> list[Example]:
    return [page._replace(text=" ".join(word for word in page.text.split() if keep(word))) for page in pages]


def show(name: str, runs: Sequence[dict[str, Any]]) -> None:
    first = runs[0]
    f1 = [run["f1"] for run in runs]
    print(f"\n{name}: F1 {statistics.mean(f1):.3f} (seeds {min(f1):.3f}..{max(f1):.3f}), precision {first['precision']:.3f},", end=" ")
    print(f"recall {first['recall']:.3f}, best threshold {first['best_threshold']:.2f} -> {first['best_f1']:.3f};", end=" ")
    print(f"without disputed labels F1 {statistics.mean(run['without_disputed']['f1'] for run in runs):.3f}")
    for source, row in first["sources"].items():
        print(f"  {source:22} math found {row['math_found']:4} of {row['math']:4}   other taken {row['other_taken']:4} of {row['other']:4}")
    print("  score: documents, share of mathematics:", end="")
    print("".join(f"  {row['from']:.1f} {row['documents']} {row['share_positive']:.2f}" for row in first["calibration"]), flush=True)


def repeatable(pages: Sequence[Example]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        model, found = Path(folder) / "model.bin", set()
        for _ in range(2):
            train(pages, model, PRESETS["small"])
            found.add(hashlib.sha256(model.read_bytes()).hexdigest())
    return len(found) == 1


def speed_and_memory(pages: Sequence[Example]) -> dict[str, float]:
    """Documents per second of one core (best of three) and what a forked worker that scores adds to memory, in MB, for the small preset."""
    texts = [page.text for page in pages]
    measured: dict[str, float] = {"normalise_docs_per_second": len(texts) / best_seconds(lambda: [normalise(text) for text in texts])}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.bin"
        start = time.perf_counter()
        report = train(pages, model, replace(PRESETS["small"], refit=False))
        fitted = report["fitted"]
        measured["train_updates_per_second"] = fitted["lines"] * fitted["epochs"] / (time.perf_counter() - start)
        classifier = Classifier.load(model)
        measured["score_docs_per_second"] = len(texts) / best_seconds(lambda: classifier.score(texts))
        measured["model_mb"] = model.stat().st_size / 1e6
        measured["worker_private_mb"] = private_memory(classifier, texts)
    measured["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {name: round(value, 1) for name, value in measured.items()}


def private_memory(classifier: Classifier, texts: Sequence[str]) -> float:
    """Memory that a forked worker does not share, after scoring: mostly Python's reference counts and the hashes of words it has met."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        classifier.score(texts)
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines() if os.path.exists("/proc/self/smaps_rollup") else []
        sender.send(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))

    worker = context.Process(target=work)
    worker.start()
    kilobytes = int(receiver.recv())
    worker.join()
    return kilobytes / 1024


if __name__ == "__main__":
    sys.exit(main())
