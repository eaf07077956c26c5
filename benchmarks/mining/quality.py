"""Quality rules, language and problems on the labelled pages: `python -m benchmarks.mining.quality`

Every page goes through `extract`; its Markdown is then judged by the general rule sets as their papers state them and by the rules that
know mathematics. "technical" are the manuals without mathematics (Apache, Git, Python). Two readings of "non-math technical pages
unchanged": the same verdict as the general rules on as many of these pages, and as many of these kept as the general rules keep. Pages
with a disputed label (`disputed_pages.py`) are counted by their label like all others, and the figure without them is given beside.
Of problems this prints the funnel, and with `--show N` so many of them to read. The last line is `RESULT {json}`.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.mining.disputed_pages import why_disputed
from benchmarks.parts import WEB, best_seconds, labelled_rows, megabytes, options, report
from data_pipeline.cleaning.math_quality import judge
from data_pipeline.cleaning.prose_language import language_of
from data_pipeline.cleaning.published_rules import c4, fineweb, general, gopher_quality, gopher_repetition
from data_pipeline.documents.document import Doc, Origin, Page
from data_pipeline.extraction.page_to_document import extract
from data_pipeline.problems.problem_mining import problems_of
from verifiers.response_text.language_id import identify

TECHNICAL = ("apache2-doc", "git-doc", "python3.11-doc")
RULES: dict[str, Callable[[str], str | None]] = {
    "gopher quality": gopher_quality,
    "gopher repetition": gopher_repetition,
    "c4": c4,
    "fineweb": fineweb,
    "all general": general,
    "maths-aware": judge,
}
GROUPS = ("math", "math_plain", "technical", "web")
BARS: dict[str, Callable[[float], bool]] = {
    "math_kept": lambda x: x >= 0.90,
    "technical_same_verdict": lambda x: x >= 0.90,
    "technical_kept_to_general": lambda x: x >= 0.90,
    "math_english": lambda x: x >= 0.95,
}


class Labelled(NamedTuple):
    doc: Doc
    disputed: str | None
    label: str
    group: str
    truth_language: str


def pages() -> list[Labelled]:
    found = []
    for row in labelled_rows():
        if row["label"] == "stress":
            continue
        page = Page(row["path"], (WEB / row["path"]).read_bytes(), "text/html", "", Origin("labelled", 0))
        group = row["label"] if row["label"] != "nonmath" else "technical" if row["source"] in TECHNICAL else "web"
        english = row["source"].endswith(("-doc", "-common", "_site")) or row["source"] == "engrafo"
        doc = extract(page)
        found.append(Labelled(doc, why_disputed(row["source"], row["path"], doc.text), row["label"], group, "en" if english else ""))
    return found


def megabytes_per_second(work: Callable[[str], object], texts: Sequence[str]) -> float:
    return round(megabytes(texts) / best_seconds(lambda: [work(text) for text in texts]), 1)


def quality(found: Sequence[Labelled], texts: Sequence[str]) -> dict[str, Any]:
    verdicts = {name: [rule(text) for text in texts] for name, rule in RULES.items()}
    print(f"{'kept':20}" + "".join(f"{group:>12}" for group in GROUPS) + f"{'MB/s':>8}")
    for name, reasons in verdicts.items():
        rates = [share(reason is None for reason, page in zip(reasons, found, strict=True) if page.group == group) for group in GROUPS]
        print(f"{name:20}" + "".join(f"{rate:12.3f}" for rate in rates) + f"{megabytes_per_second(RULES[name], texts):8}")
    ours, papers = verdicts["maths-aware"], verdicts["all general"]
    dropped = Counter(reason for reason, page in zip(ours, found, strict=True) if page.label.startswith("math") and reason)
    print("mathematics dropped:", dict(dropped))
    math = [(reason is None, page.disputed) for reason, page in zip(ours, found, strict=True) if page.label.startswith("math")]
    print("disputed labels:", dict(Counter(disputed for _, disputed in math if disputed)))
    technical = [(a is None, b is None) for a, b, page in zip(ours, papers, found, strict=True) if page.group == "technical"]
    kept_by_general = sum(b for _, b in technical)
    return {
        "math_kept": share(kept for kept, _ in math),
        "math_kept_without_disputed": share(kept for kept, disputed in math if not disputed),
        "disputed": sum(disputed is not None for _, disputed in math),
        "math_kept_by_general": share(reason is None for reason, page in zip(papers, found, strict=True) if page.label.startswith("math")),
        "technical_same_verdict": share(a == b for a, b in technical),
        "technical_kept_to_general": round(min(1.0, sum(a for a, b in technical if b) / max(1, kept_by_general)), 4),
        "technical_kept": share(a for a, _ in technical),
        "technical_kept_by_general": share(b for _, b in technical),
        "quality_mb_s": megabytes_per_second(RULES["maths-aware"], texts),
    }


def language(found: Sequence[Labelled], texts: Sequence[str]) -> dict[str, Any]:
    """Of the pages known to be English: the share found to be, of those with a language; masked, and of the raw text."""
    english = [text for text, page in zip(texts, found, strict=True) if page.truth_language == "en" and page.label.startswith("math")]
    masked, raw = [language_of(text) for text in english], [identify(text) for text in english]
    told = [answer for answer in masked if answer[0]]
    result = {
        "math_english": share(code == "en" and sure >= 0.5 for code, sure in told),
        "math_english_unmasked": share(code == "en" and sure >= 0.5 for code, sure in raw),
        "math_without_language": share(not code for code, _ in masked),
        "language_mb_s": megabytes_per_second(language_of, texts),
    }
    print("language:", result)
    return result


def problems(found: Sequence[Labelled], show: int) -> dict[str, Any]:
    candidates = [(page.doc, candidate) for page in found for candidate in problems_of(page.doc)]
    counts = Counter(candidate.dropped or "kept" for _, candidate in candidates)
    print("problems:", dict(counts.most_common()))
    for doc, candidate in [pair for pair in candidates if not pair[1].dropped][:show]:
        print(f"--- {doc.url[-60:]} {candidate.kind}\n{candidate.prompt[:400]}\n=> {candidate.answer}")
    return {"problem_candidates": len(candidates), "problems_kept": counts["kept"]}


def share(outcomes: Any) -> float:
    values = list(outcomes)
    return round(sum(values) / max(1, len(values)), 4)


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--show", type=int, default=0, help="print so many of the problems found")
    show = parser.parse_args().show
    found = pages()
    texts = [page.doc.text for page in found]
    return report({**quality(found, texts), **language(found, texts), **problems(found, show)}, BARS)


if __name__ == "__main__":
    sys.exit(main())
