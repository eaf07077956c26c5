"""`reckon mine stats`, `report` and `inspect`: what a run or a file of documents holds, and what became of one document."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_pipeline.cleaning.duplicates import lookup
from data_pipeline.columns.page_columns import id_key
from data_pipeline.columns.parquet_queries import connected
from data_pipeline.commands.command_options import Parser
from data_pipeline.commands.terminal_output import aligned_table, funnel_table, rounds_table
from data_pipeline.documents.addresses import host, normalise_url
from data_pipeline.documents.document import Doc, to_row
from data_pipeline.documents.document_files import document_files, read_docs, read_files
from data_pipeline.documents.parquet_names import literal
from data_pipeline.loop.extracted_pages import damage_lines, finished
from data_pipeline.loop.step_records import round_figures, rows, write_funnel
from data_pipeline.reports.run_report import write_report
from verifiers.input_error import InputError

SHOWN = 12  # hosts, reasons and families of a table
TEXT = 1500  # characters of a document that `inspect` prints


def is_run(path: Path) -> bool:
    return (path / "config.json").is_file() and (path / "steps").is_dir()


def existing_path(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return path


# Stats ----------------------------------------------------------------------------------------------------------------------------------


def stats(arguments: Sequence[str]) -> int:
    parser = Parser("stats", "A run's funnel and rounds, or what a file or folder of documents holds.")
    parser.add_argument("path", type=Path, help="a run's folder, or documents")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    values = parser.parse(arguments)
    path = existing_path(values.path)
    if is_run(path):
        found: dict[str, Any] = {"steps": rows(path), "rounds": round_figures(path)}
        damaged: dict[str, dict[str, int]] = next((row["damaged"] for row in found["steps"] if row.get("damaged")), {})
        lines = [*funnel_table(path), "", *rounds_table(path), *([""] if damaged else []), *damage_lines(damaged)]
    else:
        found = document_stats(read_files(document_files(path)))
        lines = _stats_lines(found)
    print(json.dumps(found, ensure_ascii=False) if values.json else "\n".join(lines))
    return 0


def report(arguments: Sequence[str]) -> int:
    parser = Parser("report", "Draws report.html and its plots again, from the files of a run, finished or not.")
    parser.add_argument("path", type=Path, help="the run's folder")
    path = existing_path(parser.parse(arguments).path)
    if not is_run(path):
        raise InputError(f"{path}: is no run's folder, it has no config.json and steps/")
    write_funnel(path)
    print(f"report: {write_report(path)}")
    return 0


def document_stats(docs: Iterator[Doc]) -> dict[str, Any]:
    """Counts over documents: kept and dropped by reason, characters, formulas by family, languages, hosts."""
    outcomes: Counter[str] = Counter()
    formulas: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    characters = with_formulas = 0
    for doc in docs:
        outcomes[doc.dropped or "kept"] += 1
        if doc.dropped is None:
            formulas.update(doc.formulas)
            with_formulas += any(doc.formulas.values())
            languages[doc.language or "?"] += 1
            hosts[host(doc.url) or "?"] += 1
            characters += len(doc.text)
    return {
        "documents": outcomes.total(), "outcomes": dict(outcomes.most_common()), "characters": characters, "with_formulas": with_formulas,
        "formulas": dict(formulas.most_common()), "languages": dict(languages.most_common()), "hosts": dict(hosts.most_common()),
    }  # fmt: skip


def _stats_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['documents']:,} documents, {found['characters']:,} characters kept, {found['with_formulas']:,} documents with formulas"
    ]
    for name in ("outcomes", "formulas", "languages", "hosts"):
        entries = list(found[name].items())
        if entries:
            body = [[key, f"{count:,}", ""] for key, count in entries[:SHOWN]]
            lines += ["", *aligned_table([name, "count", ""], body)]
            lines += [f"... {len(entries) - SHOWN} more"] if len(entries) > SHOWN else []
    return lines


# Inspect --------------------------------------------------------------------------------------------------------------------------------


def inspect(arguments: Sequence[str]) -> int:
    parser = Parser("inspect", "What every stage made of a document.")
    parser.add_argument("document", help="its id, its URL, or its number (line, from 1) in a file")
    parser.add_argument("--in", dest="place", required=True, type=Path, help="a run's folder, or documents")
    parser.add_argument("--json", action="store_true", help="one JSON object, with the whole text")
    values = parser.parse(arguments)
    place = existing_path(values.place)
    files = finished(place / "extracted") if is_run(place) else document_files(place)
    found = find_document(files, values.document)
    story = {"document": to_row(found), "stages": run_story(place, found)} if is_run(place) else {"document": to_row(found)}
    print(json.dumps(story, ensure_ascii=False) if values.json else "\n".join(_story_lines(story)))
    return 0


def find_document(files: Sequence[Path], name: str) -> Doc:
    """The first document with this id, URL (as given, else normalised) or number. Raises InputError."""
    number = int(name) if name.isdecimal() and len(name) < 12 else 0
    wanted = normalise_url(name) if "://" in name else ""
    near: Doc | None = None
    count = 0
    for count, doc in enumerate(read_files(files), start=1):
        if name in (doc.id, doc.url) or count == number:
            return doc
        if near is None and wanted and normalise_url(doc.url) == wanted:
            near = doc
    if near is None:
        raise InputError(f"no document {name!r} among the {count:,} there; give an id, a URL or a number from 1 to {count:,}")
    return near


def run_story(out: Path, doc: Doc) -> list[dict[str, Any]]:
    """The document's way through a run, a row a stage, as far as the run has come."""
    story: list[dict[str, Any]] = [{"stage": "extract", "outcome": doc.dropped or "kept", "formulas": sum(doc.formulas.values())}]
    if (out / "duplicates").is_dir() and (copy := lookup(out / "duplicates", doc.id)):
        story.append({"stage": "duplicates", "outcome": copy[0], "kept": copy[1]})
    elif (out / "steps" / "duplicates.json").is_file():
        story.append({"stage": "duplicates", "outcome": "kept"})
    for folder in sorted(out.glob("round-*")):
        if (folder / "figures.json").is_file():
            for row in _row_of(folder / "pages", doc.id):
                outcome = "collected" if row["collected"] else "not collected"
                story.append({"stage": folder.name, "outcome": outcome, "score": round(row["score"], 4), "seed": row["seed"]})
    return story + _corpus_outcome(out, doc.id)


def _row_of(pages: Path, name: str) -> list[dict[str, Any]]:
    """What a round's tables hold of a page."""
    with connected(pages.parent) as database:
        rows = database.execute(
            "SELECT collected, score, seed FROM read_parquet($files, hive_partitioning = false) WHERE id = $page",
            {"files": f"{literal(str(pages))}/*.parquet", "page": id_key(name)},
        ).fetchall()
    return [{"collected": collected, "score": score, "seed": seed} for collected, score, seed in rows]


def _corpus_outcome(out: Path, name: str) -> list[dict[str, Any]]:
    """What the corpus step made of it: kept with so many characters, or rejected."""
    for place in (out / "rejected.jsonl.zst", out / "corpus"):
        if place.exists():
            for doc in read_docs(place):
                if doc.id == name:
                    return [{"stage": "corpus", "outcome": doc.dropped or "kept", "language": doc.language, "characters": len(doc.text)}]
    return []


def _story_lines(story: dict[str, Any]) -> list[str]:
    row = story["document"]
    lines = [
        f"{name}: {row[name]}" for name in ("id", "url", "title", "language", "archive", "offset", "date", "formulas", "scores", "dropped")
    ]
    for stage in story.get("stages", ()):
        details = ", ".join(f"{key} {value}" for key, value in stage.items() if key not in ("stage", "outcome"))
        lines.append(f"{stage['stage'].ljust(12)} {stage['outcome']}" + (f" ({details})" if details else ""))
    more = f"\n... {len(row['text']) - TEXT:,} more characters" if len(row["text"]) > TEXT else ""
    return [*lines, "", row["text"][:TEXT] + more]
