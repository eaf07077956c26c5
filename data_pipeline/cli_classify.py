"""`reckon mine train` and `reckon mine score`: the classifier alone."""

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data_pipeline.classify import PRESETS, Classifier, train_files
from data_pipeline.classify_report import table
from data_pipeline.cli_options import Parser, add_fields, with_fields
from data_pipeline.cli_progress import Progress
from data_pipeline.cli_steps import counted, input_docs, output_file, rows_of, summary
from data_pipeline.doc import Doc
from data_pipeline.mine_extract import processes
from data_pipeline.scoring import score_texts
from data_pipeline.settings import Settings
from data_pipeline.shards import read_docs, write_lines
from verifiers.input_error import InputError


def command(name: str, arguments: Sequence[str]) -> int:
    return train(arguments) if name == "train" else score(arguments)


def train(arguments: Sequence[str]) -> int:
    parser = Parser("train", "A classifier from documents or text lines; figures on unseen sources beside those on seen ones.")
    parser.add_argument("positives", nargs="+", type=Path, help="files of mathematics")
    parser.add_argument("--negatives", nargs="+", type=Path, required=True, help="files of anything else")
    parser.add_argument("--out", required=True, type=Path, help="the model, a .bin file")
    parser.add_argument("--held-out", nargs="*", help="sources (hosts) to hold out; default: a tenth of them at random")
    add_fields(parser, ("preset", "random_seed"))
    values = parser.read(arguments)
    if values.out.suffix != ".bin":
        raise InputError(f"--out {values.out}: a model is a .bin file")
    settings = with_fields(Settings(), values)
    training = replace(PRESETS[settings.preset], seed=settings.random_seed)
    Progress().begin("training")
    report = train_files(values.positives, values.negatives, values.out, training, held_out=values.held_out)
    values.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    print(f"model: {values.out}; figures: {values.out.with_suffix('.json')}")
    return 0


def score(arguments: Sequence[str]) -> int:
    parser = Parser("score", "Documents with their probability of mathematics as scores.math; with --threshold, those below are dropped.")
    parser.add_argument("inputs", nargs="+", help="files or folders of documents")
    parser.add_argument("--model", required=True, type=Path, help="a fastText .bin file")
    parser.add_argument("--out", required=True, type=Path, help="a .jsonl, .jsonl.zst or .jsonl.gz file")
    parser.add_argument("--threshold", type=float, default=0.0, help="least score to keep (default: 0, all are kept)")
    add_fields(parser, ("workers",))
    values = parser.read(arguments)
    settings = with_fields(Settings(), values)
    out = output_file(values.out)
    if not 0 <= values.threshold <= 1:
        raise InputError(f"threshold = {values.threshold} is not between 0 and 1")
    files = input_docs(values.inputs, out)
    classifier = Classifier.load(values.model)
    watch = Progress()
    watch.begin("score")
    counts: Counter[str] = Counter()
    threshold = values.threshold
    flow = scored((doc for file in files for doc in read_docs(file)), classifier, threshold, processes(settings))
    write_lines(out, rows_of(counted(flow, counts, watch)))
    watch.note(summary("score", counts, out))
    return 0


def scored(docs: Iterator[Doc], classifier: Classifier, threshold: float, processes: int = 1) -> Iterator[Doc]:
    """Dropped documents pass by unscored."""
    waiting: deque[Doc] = deque()

    def texts() -> Iterator[str]:
        for doc in docs:
            waiting.append(doc)
            if doc.dropped is None:
                yield doc.text

    for values in score_texts(classifier, texts(), processes=processes):
        for value in values:
            while waiting[0].dropped is not None:
                yield waiting.popleft()
            doc = waiting.popleft().score("math", round(value, 6))
            yield doc.drop("score: below threshold") if value < threshold else doc
    yield from waiting
