"""`reckon mine extract`: pages to text, as one file, or as one file an archive in a folder or a store, for a cluster."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.archives.named_inputs import expand
from data_pipeline.commands.command_options import Parser, add_fields, with_fields
from data_pipeline.commands.step_commands import counts_in_words, locked_parts, output_file
from data_pipeline.commands.terminal_output import Progress
from data_pipeline.documents.document_files import read_files, write_docs
from data_pipeline.documents.stored_bytes import is_remote
from data_pipeline.extraction.extract_archives import extract_archives
from data_pipeline.loop.extracted_pages import aside_lines, extracted_files, extraction_options, limits_of, processes
from data_pipeline.loop.run_settings import Settings
from data_pipeline.loop.step_records import SILENT, watched
from verifiers.input_error import InputError

EXTRACTION = ("subject", "prefilter", "block", "allow", "page_seconds", "page_megabytes", "keep_rejects", "workers", "on", "retry")


def extract(arguments: Sequence[str]) -> int:
    parser = Parser("extract", "Pages to text with every formula as LaTeX: one JSON object a page, kept or not, with the reason.")
    parser.add_argument(
        "inputs", nargs="+", help="archives (WARC, WET, ARC), .html files, folders, globs, lists of paths (.txt, .paths), addresses"
    )
    parser.add_argument(
        "--out",
        required=True,
        help="a .jsonl, .jsonl.zst or .jsonl.gz file; or a folder (DIR/) or place (s3://...) for one .jsonl.zst file an archive",
    )
    add_fields(parser, EXTRACTION)
    values = parser.parse(arguments)
    settings = with_fields(Settings(), values)
    if is_remote(values.out) or values.out.endswith("/") or Path(values.out).is_dir():
        return _to_folder(values.inputs, values.out, settings)
    return _to_file(values.inputs, output_file(Path(values.out)), settings)


def _to_folder(inputs: Sequence[str], out: str, settings: Settings) -> int:
    """Each archive's documents under a name of their own, with a marker: several commands may write there, at different archives."""
    sources, watch, last = expand(inputs), Progress(), None
    watch.begin(f"extracting {len(sources)} {'source' if len(sources) == 1 else 'sources'}")
    options, limits = extraction_options(settings), limits_of(settings)
    for last in extract_archives(sources, out, options, workers=processes(settings), on=settings.on, limits=limits):
        watch.advance(last.pages, size=last.bytes, outcomes=last.outcomes, share=last.share)
    assert last is not None
    for line in aside_lines(last.aside):
        watch.note(line)
    done = f"{last.finished:,} of {last.archives:,} {'archive' if last.archives == 1 else 'archives'} done"
    watch.note(f"{counts_in_words('extract', Counter(last.outcomes), Path(out)).rpartition(': ')[0]}; {done}: {out}")
    return 0


def _to_file(inputs: Sequence[str], out: Path, settings: Settings) -> int:
    watch = Progress()
    counts: Counter[str] = Counter()
    parts = out.with_name(f".{out.name}.parts")  # finished archives stay here until all are: a stopped command goes on
    with locked_parts(parts, out):
        try:
            files = extracted_files(inputs, parts, settings, watch, out=None)
        except InputError:
            if not any(parts.glob("*.jsonl.zst")) and not any(parts.glob("*.sh")):  # nothing to go on from
                shutil.rmtree(parts)
            raise
        write_docs(out, watched(read_files(files), counts, SILENT))
        shutil.rmtree(parts)
    watch.note(counts_in_words("extract", counts, out))
    return 0
