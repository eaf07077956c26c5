"""`reckon mine dedup`, `decontaminate` and `problems`: one step of the pipeline on files."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_pipeline.cleaning.benchmark_index import Benchmarks, Hit
from data_pipeline.cleaning.decontamination import decontaminate, hit_rows, removal, row_hits
from data_pipeline.cleaning.duplicates import dedup, drop_duplicates
from data_pipeline.commands.command_options import Parser, add_fields, with_fields
from data_pipeline.commands.terminal_output import Progress
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import document_files, open_lines, read_files, write_docs, write_lines
from data_pipeline.loop.extracted_pages import duplicates_of
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import locked, watched
from data_pipeline.problems.problem_mining import write_problems
from data_pipeline.problems.solve_rates import Difficulty, read_solve_rates
from data_pipeline.subjects.named_subject import subject_of
from verifiers.input_error import InputError


def output_file(path: Path) -> Path:
    """Raises InputError for an output that is no JSON Lines file, before any work is done."""
    if not path.name.endswith((".jsonl", ".jsonl.zst", ".jsonl.gz")):
        raise InputError(f"--out {path}: should be a .jsonl, .jsonl.zst or .jsonl.gz file")
    if path.is_dir():
        raise InputError(f"--out {path}: is a folder; give a file")
    return path


def input_docs(names: Sequence[str], out: Path) -> list[Path]:
    """The document files of the inputs. Raises InputError for a missing one, and for one that would be overwritten."""
    files = [file for name in names for file in document_files(Path(name))]
    if any(file.resolve() == out.resolve() for file in files):
        raise InputError(f"--out {out}: is one of the inputs")
    return files


def counts_in_words(name: str, counts: Counter[str], out: Path) -> str:
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common() if reason != "kept")
    unit = "document" if counts.total() == 1 else "documents"
    return f"{name}: {counts.total():,} {unit}, {counts['kept']:,} kept{f' ({dropped})' if dropped else ''}: {out}"


@contextmanager
def locked_parts(parts: Path, out: Path) -> Iterator[None]:
    """The folder of parts for this command alone, from its first page to its last line."""
    parts.mkdir(parents=True, exist_ok=True)
    with locked(parts / ".command", f"--out {out}: another process is writing it"):
        yield


def dedup_files(arguments: Sequence[str]) -> int:
    parser = Parser("dedup", "Documents without copies (URL, text, near), the dropped ones kept as rows with their reason unless --drop.")
    parser.add_documents()
    parser.add_argument("--drop", action="store_true", help="leave dropped documents out")
    add_fields(parser, ("near", "near_threshold", "lsh"))
    values = parser.parse(arguments)
    out = output_file(values.out)
    files = input_docs(values.inputs, out)
    settings = with_fields(Settings(), values)
    watch = Progress()
    watch.begin("dedup")
    work = out.with_name(f".{out.name}.work")
    try:
        dedup(files, work, duplicates_of(settings))
        counts: Counter[str] = Counter()
        flow = watched(drop_duplicates(files, work), counts, watch)
        write_docs(out, (doc for doc in flow if doc.dropped is None or not values.drop))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    watch.note(counts_in_words("dedup", counts, out))
    return 0


def decontaminate_files(arguments: Sequence[str]) -> int:
    parser = Parser("decontaminate", "Documents without the words of benchmarks: segments with a 10-gram of one are removed.")
    parser.add_documents("files or folders of documents; with --rows, JSON Lines of problems or chats")
    parser.add_argument("--hits", type=Path, help="list every hit in this .jsonl file: document, benchmark, words")
    parser.add_argument("--rows", action="store_true", help="the inputs are RL problems or SFT data: a row with a hit is left out")
    add_fields(parser, ("benchmarks", "unit"))
    values = parser.parse(arguments)
    out = output_file(values.out)
    files = input_docs(values.inputs, out)
    settings = with_fields(Settings(), values)
    if not settings.benchmarks:
        raise InputError("no benchmarks; name their files with --benchmarks")
    benchmarks = Benchmarks.load(map(Path, settings.benchmarks))
    watch = Progress()
    watch.note(benchmarks.summary())
    watch.begin("decontaminate")
    counts: Counter[str] = Counter()
    listed: list[dict[str, Any]] = []
    if values.rows:
        write_lines(out, _clean_rows(files, benchmarks, listed, counts))
    else:
        removed: Counter[str] = Counter()

        def report(doc: Doc, hits: Sequence[Hit]) -> None:
            listed.extend(hit_rows(doc.id, hits))

        stage = decontaminate(benchmarks, unit=settings.unit, report=report, removed=removed)
        write_docs(out, watched(stage(read_files(files)), counts, watch))
    if values.hits:
        write_lines(values.hits, (json.dumps(row, ensure_ascii=False) for row in listed))
    watch.note(counts_in_words("decontaminate", counts, out))
    where = f": {values.hits}" if values.hits else "; --hits FILE.jsonl lists them" if listed else ""
    watch.note(f"{len(listed):,} {'hit' if len(listed) == 1 else 'hits'} of benchmarks{where}")
    if not values.rows:
        watch.note(removal(removed))
    return 0


def _clean_rows(files: Sequence[Path], benchmarks: Benchmarks, listed: list[dict[str, Any]], counts: Counter[str]) -> Iterator[str]:
    """The rows without a hit, as they were; the hits go to `listed` under the row's id, or its file and line."""
    for file in files:
        for number, line in enumerate(open_lines(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{file}:{number}: not a line of JSON ({str(error)[:80]})") from error
            if not isinstance(row, dict):
                raise InputError(f"{file}:{number}: not a JSON object")
            hits = row_hits(row, benchmarks)
            listed += hit_rows(str(row.get("id", f"{file}:{number}")), hits)
            counts["decontaminate: benchmark" if hits else "kept"] += 1
            if not hits:
                yield line


def problems(arguments: Sequence[str]) -> int:
    parser = Parser(
        "problems", "Question-answer pairs from documents, each answer parsed and verified, as problems for `reckon grpo-math`."
    )
    parser.add_documents(out="a .jsonl file")
    parser.add_argument(
        "--solve-rates", type=Path, help="difficulty by a policy: a run of `reckon grpo-math`, or JSON Lines with an id and a solve_rate"
    )
    parser.add_argument("--least", type=float, default=0.0, help="least solve rate")
    parser.add_argument("--most", type=float, default=1.0, help="greatest solve rate")
    add_fields(parser, ("subject", "benchmarks"))
    values = parser.parse(arguments)
    out = output_file(values.out)
    if values.solve_rates is None and (values.least > 0 or values.most < 1):
        raise InputError("--least and --most choose by difficulty; name the measured rates with --solve-rates FILE")
    files = input_docs(values.inputs, out)
    settings = with_fields(Settings(), values)
    names, subject = settings.benchmarks, subject_of(settings.subject)
    if subject.problems is None:
        raise InputError(f"subject {subject.name}: has no problem finder; give the Subject its `problems`")
    hits = Benchmarks.load(map(Path, names)).hits if names else None
    difficulty = Difficulty(read_solve_rates(values.solve_rates), values.least, values.most) if values.solve_rates else None
    watch = Progress()
    watch.begin("problems")
    seen: Counter[str] = Counter()
    flow = watched(read_files(files), seen, watch)
    counts = write_problems(flow, out, hits, difficulty=difficulty, find=subject.problems)
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common() if reason not in ("found", "kept"))
    watch.note(f"problems: {counts['found']:,} found, {counts['kept']:,} kept ({dropped or 'none dropped'}): {out}")
    return 0
