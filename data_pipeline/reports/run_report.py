"""A mining run as one page: `report.html`, with the funnel, the rounds, what was found, sample pages before and after, and what it
cost.

Everything is read from the run's own files, so it can be drawn again at any time (`reckon mine report OUT`), of an unfinished run too:
what is not there is left out. One file without scripts or links, so that it can be mailed; whatever comes from a page is escaped. The
cost of a billion pages is the measured seconds of this run on this machine, multiplied: an estimate for the same kind of pages, at a
price that is stated.
"""

import base64
import html
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from data_pipeline.columns.parquet_queries import connected
from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import read_docs
from data_pipeline.documents.parquet_names import literal
from data_pipeline.loop.step_records import CORPUS_STAGES, read_json, round_figures, round_folder, told_once
from data_pipeline.reports import report_plots as plots
from data_pipeline.subjects.named_subject import subject_of
from data_pipeline.subjects.subject import Subject
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem;align-items:start}img{width:100%}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.pair pre{max-height:26rem;overflow:auto;background:#f6f6f4;padding:.6rem}"""
DOLLARS_A_CORE_HOUR = (0.02, 0.04)
"""What a core cost for an hour, spot and on demand, when this was written (2026)."""
SAMPLED = 20_000
"""Documents of the corpus that formulas are counted over and samples drawn from."""
SAMPLES, REJECTS = 4, 4
EXCERPT = 1600
HAYSTACK = 2_000_000


def write_report(out: Path) -> Path:
    """Draw the plots of the run in `out` and write report.html beside them; its path. Raises InputError where no step is finished."""
    steps = read_json(out / "funnel.json").get("steps", [])
    if not steps:
        raise InputError(f"{out}: holds no funnel.json with a finished step; nothing to report yet")
    figures, subject = round_figures(out), _subject(out)
    docs = list(islice(read_docs(out / "corpus"), SAMPLED)) if (out / "corpus" / "manifest.json").is_file() else []
    pictures = list(_draw_plots(out, steps, figures, docs, subject))
    parts = [
        f"<h1>{html.escape(out.resolve().name)}</h1>",
        _funnel_table(steps),
        '<div class="plots">' + "".join(_image(path) for path in pictures) + "</div>",
        _rounds_table(figures),
        _domains_table(out, figures, subject),
        _cost_table(steps),
        _kept_pages(docs, subject),
        _rejected_pages(out),
        f"<h2>Configuration</h2><pre>{html.escape(json.dumps(read_json(out / 'config.json'), indent=1, ensure_ascii=False))}</pre>",
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(out.resolve().name)}</title><style>{STYLE}</style>'
    with atomic_path(out / "report.html") as temporary:
        temporary.write_text(head + "\n".join(parts) + "</html>\n", encoding="utf-8", errors="replace")
    return out / "report.html"


def _subject(out: Path) -> Subject:
    """What the run looked for."""
    return subject_of(str(read_json(out / "config.json").get("settings", {}).get("subject", "math")))


def _draw_plots(
    out: Path, steps: Sequence[Mapping[str, Any]], figures: Sequence[Mapping[str, Any]], docs: Sequence[Doc], subject: Subject
) -> Iterator[Path]:
    import matplotlib as mpl

    mpl.use("Agg")
    folder = out / "plots"
    yield plots.funnel([step for step in steps if not step["step"].startswith("corpus")], folder / "funnel.png")
    counts: Counter[str] = Counter()
    for doc in docs:
        counts.update(doc.formulas)
    if counts:
        yield plots.families(counts, folder / "families.png")
    if not figures:
        return
    yield plots.rounds(figures, folder / "rounds.png")
    counted = {row["round"]: _score_counts(round_folder(out, row["round"])) for row in figures}
    yield plots.scores(counted, folder / "scores.png", subject.noun)
    yield plots.domains(read_json(round_folder(out, figures[-1]["round"]) / "domains.json").get("domains", []), folder / "domains.png")
    bins = (read_json(round_folder(out, figures[-1]["round"]) / "training.json").get("held_out_sources") or {}).get("calibration")
    if bins:
        yield plots.calibration(bins, folder / "calibration.png", subject.noun)


def _score_counts(folder: Path) -> tuple[list[int], list[int]]:
    """How many pages of a round have a score in each of the plot's bins, and how many of them were collected."""
    counts = [0] * plots.SCORE_BINS, [0] * plots.SCORE_BINS
    files = [literal(str(file)) for file in sorted((folder / "pages").glob("*.parquet"))]
    with connected(folder) as database:
        rows = database.execute(
            "SELECT least(floor(score * $bins), $bins - 1)::INTEGER, count(*), count(*) FILTER (collected) FROM "
            "read_parquet($files, hive_partitioning = false) GROUP BY 1", {"bins": plots.SCORE_BINS, "files": files},
        ).fetchall()  # fmt: skip
    for place, pages, collected in rows:
        counts[0][place], counts[1][place] = pages, collected
    return counts


def _html_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Numbers to the right, everything else escaped and to the left."""

    def cell(value: Any) -> str:
        if isinstance(value, int | float):
            return f'<td class="n">{value:,.4g}' if isinstance(value, float) else f'<td class="n">{value:,}'
        return f"<td>{html.escape('' if value is None else str(value))}"

    lines = ["<tr>" + "".join(f"<th>{html.escape(name)}" for name in head)]
    lines += ["<tr>" + "".join(map(cell, row)) for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _funnel_table(steps: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [step["step"], step["unit"], step["in"], step["out"], ", ".join(f"{why} {count:,}" for why, count in step["dropped"].items())]
        for step in told_once(steps)
    ]
    return "<h2>Funnel</h2>" + _html_table(["step", "unit", "in", "out", "dropped"], rows)


def _rounds_table(figures: Sequence[Mapping[str, Any]]) -> str:
    if not figures:
        return ""
    names = ("round", "positives", "negatives", "threshold", "collected", "collected_tokens", "overlap", "domains", "patterns_accepted")
    return "<h2>Rounds</h2>" + _html_table(
        [name.replace("_", " ") for name in names], [[row.get(name, "") for name in names] for row in figures]
    )


def _domains_table(out: Path, figures: Sequence[Mapping[str, Any]], subject: Subject) -> str:
    if not figures:
        return ""
    rows = sorted(
        read_json(round_folder(out, figures[-1]["round"]) / "domains.json").get("domains", []),
        key=lambda row: (-row["collected"], -row["pages"], row["host"] or ""),
    )[: plots.MOST_BARS]
    body = [
        [r["host"], r["pages"], r["collected"], f"{r['collected'] / max(1, r['pages']):.0%}", "yes" if r["mathematical"] else ""]
        for r in rows
    ]
    return "<h2>Domains</h2>" + _html_table(["domain", "pages", "collected", "share", subject.adjective], body)


def _cost_table(steps: Sequence[Mapping[str, Any]]) -> str:
    """Core-hours for a billion pages, from the seconds of this run. Extraction ran on several processes; training does not grow with the
    pages, so it stands beside them."""
    rows, total = [], 0.0
    pages = max((step["in"] for step in steps if step["step"] == "extract"), default=0)
    for step in steps:
        if not pages:
            continue
        cores, once = int(step.get("processes", 1)), float(step.get("training_seconds", 0.0))
        seconds = max(0.0, step["seconds"] - once)
        if step["step"] == "corpus":  # its stages have rows of their own; what is left is reading and writing
            seconds = max(0.0, seconds - sum(row["seconds"] for row in steps if row["step"] in CORPUS_STAGES))
        hours = seconds * cores / pages * 1e9 / 3600
        total += hours
        trained = f"{once:,.1f}" if once else ""
        rows.append([step["step"], step["in"], seconds, trained, cores, round(hours), _dollars(hours)])
    rows.append(["all", "", "", "", "", round(total), _dollars(total)])
    note = (
        f"Measured here, from the first of {pages:,} pages to the last, and multiplied, each step with its share of them. "
        "Training takes as many pages as the seed has, however many are mined: it is left out of the multiplication. Small runs overstate "
        "the rest too, by what starting takes."
    )
    head = ["step", "in", "seconds", "and training", "processes", "core-hours for 1e9 pages", "at $0.02-0.04 a core-hour"]
    return f"<h2>Cost of a billion pages</h2><p>{note}</p>" + _html_table(head, rows)


def _dollars(hours: float) -> str:
    return " - ".join(f"${hours * price:,.0f}" for price in DOLLARS_A_CORE_HOUR)


def _kept_pages(docs: Sequence[Doc], subject: Subject) -> str:
    """A few pages spread over the scores, as they came and as they are now."""
    ranked = sorted(docs, key=lambda doc: (-doc.scores.get(subject.name, 0.0), doc.id))
    chosen = [ranked[round(i * (len(ranked) - 1) / max(1, SAMPLES - 1))] for i in range(min(SAMPLES, len(ranked)))]
    parts = []
    for doc in chosen:
        score = f"score {doc.scores[subject.name]:.3f}, " if subject.name in doc.scores else ""
        about = f"{score}{sum(doc.formulas.values())} formulas, {doc.language or 'no language'}"
        pair = f"<pre>{html.escape(_page_before(doc))}</pre><pre>{html.escape(doc.text[:EXCERPT])}</pre>"
        parts.append(f'<h3>{html.escape(doc.url[:200])}</h3><p>{about}</p><div class="pair">{pair}</div>')
    return "<h2>Pages before and after</h2>" + "".join(parts) if parts else ""


def _page_before(doc: Doc) -> str:
    """The page as the archive holds it, from a little before where the document's text begins; why not, where it cannot be read again."""
    from data_pipeline.archives.archive_pages import read_pages
    from data_pipeline.extraction.charset_decoding import decode

    with suppress(InputError, OSError):
        for page in read_pages(doc.origin.archive, start=doc.origin.offset, outcomes=Counter()):
            raw = decode(page)[:HAYSTACK]
            words = [line.strip("# ")[:25] for line in doc.text.splitlines() if len(line) > 20 and "$" not in line[:40]]
            found = next((place for line in words[:5] if (place := raw.find(line)) >= 0), max(0, raw.find("<body")))
            return raw[max(0, found - 300) : found + EXCERPT]
    return f"({doc.origin.archive} is not where it was)"


def _rejected_pages(out: Path) -> str:
    """Of each reason a few addresses; the text only where the run keeps it."""
    shown: dict[str, list[Doc]] = {}
    if (out / "rejected.jsonl.zst").is_file():
        for doc in islice(read_docs(out / "rejected.jsonl.zst"), SAMPLED):
            examples = shown.setdefault(doc.dropped or "", [])
            if len(examples) < REJECTS:
                examples.append(doc)
    rows = [[reason, doc.url[:120], doc.text[:200]] for reason, docs in sorted(shown.items()) for doc in docs]
    return "<h2>Dropped</h2>" + _html_table(["reason", "address", "text"], rows) if rows else ""


def _image(path: Path) -> str:
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
