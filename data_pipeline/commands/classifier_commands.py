"""`reckon mine train` and `reckon mine score`: the classifier alone."""

import itertools
import shutil
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipeline.archives.named_inputs import ARCHIVES, HTML, is_index
from data_pipeline.classifier.classifier_figures import figures_table
from data_pipeline.classifier.math_classifier import Classifier, train_files, training_for
from data_pipeline.classifier.parallel_scoring import score_texts
from data_pipeline.commands.command_options import Parser, add_fields, with_fields
from data_pipeline.commands.step_commands import counts_in_words, input_docs, locked_parts, output_file
from data_pipeline.commands.terminal_output import Progress
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import SUFFIXES, document_files, read_files, write_docs
from data_pipeline.loop.extracted_pages import extracted_files, processes
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import Watch, watched
from data_pipeline.subjects.named_subject import subject_of
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError


def train(arguments: Sequence[str]) -> int:
    parser = Parser("train", "A classifier from labelled pages; figures on unseen sources beside those on seen ones.")
    parser.add_argument(
        "positives", nargs="+", help="of the subject: documents (.jsonl, .parquet), text with one a line, or pages (HTML, WARC, folders)"
    )
    parser.add_argument("--negatives", nargs="+", required=True, help="anything else, in the same forms")
    parser.add_argument("--out", required=True, type=Path, help="the model, a .bin file")
    parser.add_argument("--held-out", nargs="*", help="sources (hosts) to hold out; default: a tenth of them at random")
    add_fields(parser, ("subject", "preset", "random_seed"))
    values = parser.parse(arguments)
    if values.out.suffix != ".bin":
        raise InputError(f"--out {values.out}: a model is a .bin file")
    settings = with_fields(Settings(), values)
    target = subject_of(settings.subject).target
    watch = Progress()
    parts = values.out.with_name(f".{values.out.name}.parts")  # extracted pages: they stay until the model is there
    with locked_parts(parts, values.out):
        positives, negatives = (_labelled_files(names, parts, settings, watch) for names in (values.positives, values.negatives))
        watch.begin("training")
        report = train_files(
            positives, negatives, values.out, lambda documents: training_for(settings.preset, documents, settings.random_seed),
            held_out=values.held_out, target=target,
        )  # fmt: skip
        shutil.rmtree(parts)
    write_json(values.out.with_suffix(".json"), report, indent=1)
    print(figures_table(report, target.noun))
    print(f"model: {values.out}; figures: {values.out.with_suffix('.json')}")
    return 0


def _labelled_files(names: Sequence[str], parts: Path, settings: Settings, watch: Watch) -> list[Path]:
    """Files of documents and of text as they are; pages, archives and folders of them extracted, as a run's seed is."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if name.endswith(".bin"):
            raise InputError(f"{name}: a model is nothing to train on; give documents, text or pages")
        if path.is_file() and not is_index(name) and not name.lower().endswith((*HTML, *ARCHIVES)):
            refuse_urls(path)
            found.append(path)
        elif name.endswith(SUFFIXES):
            found += document_files(path)
        else:
            found += extracted_files([name], parts, settings, watch, out=None)
    return found


def refuse_urls(path: Path) -> None:
    """Raises InputError for a list of addresses, which only a run, with pages to look them up in, can learn from."""
    with path.open("rb") as file:
        first = [line.strip() for line in itertools.islice(file, 20) if line.strip()]
    if first and all(line.startswith((b"http://", b"https://")) and b" " not in line for line in first):
        raise InputError(f"{path}: holds addresses, not texts; give the pages themselves, or a run the list as its --seed")


def score(arguments: Sequence[str]) -> int:
    parser = Parser("score", "Documents with their probability of the subject, as scores.math; with --threshold, those below are dropped.")
    parser.add_argument("inputs", nargs="+", help="files or folders of documents")
    parser.add_argument("--model", required=True, type=Path, help="a fastText .bin file")
    parser.add_argument("--out", required=True, type=Path, help="a .jsonl, .jsonl.zst or .jsonl.gz file")
    parser.add_argument("--threshold", type=float, default=0.0, help="least score to keep (default: 0, all are kept)")
    add_fields(parser, ("subject", "workers"))
    values = parser.parse(arguments)
    settings = with_fields(Settings(), values)
    out = output_file(values.out)
    if not 0 <= values.threshold <= 1:
        raise InputError(f"threshold = {values.threshold} is not between 0 and 1")
    files = input_docs(values.inputs, out)
    target = subject_of(settings.subject).target
    classifier = Classifier.load(values.model, target)
    watch = Progress()
    watch.begin("score")
    counts: Counter[str] = Counter()
    threshold = values.threshold
    flow = scored(read_files(files), classifier, threshold, processes(settings), name=target.name)
    write_docs(out, watched(flow, counts, watch))
    watch.note(counts_in_words("score", counts, out))
    return 0


def scored(docs: Iterator[Doc], classifier: Classifier, threshold: float, processes: int = 1, *, name: str = "math") -> Iterator[Doc]:
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
            doc = waiting.popleft().score(name, round(value, 6))
            yield doc.drop("score: below threshold") if value < threshold else doc
    yield from waiting
