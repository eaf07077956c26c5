"""MathML to TeX, measured: exact shares on the MathML-TeX pairs, formulas rebuilt from rendered glyphs, formulas per second.

    python -m benchmarks.mining.mathml

Needs the shared data (`$RECKON_DATA` or `../shared/data`). A pair counts as exact under three readings of "equal": `loose` drops spacing
commands, `\\left`, `\\right`, font and name commands, braces, `$`, `&` and backslashes and lower-cases (the measure of formula recall);
`strict` drops only white space and braces; `literal` only white space; `drawn` also what draws the same symbol otherwise. texmath wrote the
pairs and keeps the author's structure visible (every `mrow` a group, every stretching fence with its `\\left`); the converter writes what
a person would, so that `drawn` is the reading that says whether anything is lost. MathML of real pages is compared with its own annotation.

Rendered formulas (KaTeX spans, MathJax CHTML of real pages) are converted from their glyphs alone and compared, spelling variants of
the same symbol aside, with the TeX that the page keeps elsewhere (annotation, label).
"""

import html
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from benchmarks.parts import WEB, best_seconds, ended, json_lines, options
from data_pipeline.formulas.notations.katex_glyphs import katex_html_to_tex
from data_pipeline.formulas.notations.mathjax_glyphs import glyphs_to_tex
from data_pipeline.formulas.notations.mathml import mathml_string_to_tex, mathml_to_tex

BAR = 0.60
WRONG_TRUTH = {
    "mfracAmultiplier10": "linethickness 0: the truth draws a line", "mfrac-09": "linethickness 0: the truth draws a line",
    "mfracZcomp-07": "linethickness 0: the truth draws a line", "mfracZcomp-09": "linethickness 0: the truth draws a line",
    "mfracZcomp-11": "a binomial: the truth draws a line", "mfracZcomp-13": "linethickness 0: the truth draws a line",
    "mfracZcomp-15": "linethickness 0: the truth draws a line", "mfracZcomp-30": "binomials: the truth draws lines",
    "mspace1": "1ex of space is 41mu (2.3em) in the truth, .2in is lost",
    "1D400_Mathematical_Alphanumeric_Symbols_bold-italic": "bare Greek letters inside \\mathbf instead of commands",
    "1D400_Mathematical_Alphanumeric_Symbols_italic": "bare Greek letters inside \\mathit instead of commands",
    "1D400_Mathematical_Alphanumeric_Symbols_sans-serif-bold-italic": "bare Greek letters inside \\mathbf instead of commands",
    "02100_Letterlike_Symbols": "bare Greek letters inside \\mathbb instead of commands",
    "00080_C1_Controls_and_Latin-1_Supplement": "keeps the soft hyphen, which prints nothing",
    "02000_General_Punctuation": "keeps invisible characters and bare spaces",
    "0FE70_Arabic_Presentation_Forms-B": "keeps a byte order mark",
    "n": "keeps a word joiner, \\hspace{0pt} for negative spaces",
}  # fmt: skip
"""Pairs whose truth says something else than its MathML, or is no TeX; they count as failures all the same."""

_NOISE = re.compile(r"\\(displaystyle|textstyle|,|;|!|:|quad|qquad|left|right|mathrm|rm|operatorname|limits|nonumber|label\{[^}]*\})")
_DRAWN_ALIKE = "limits|tfrac|dfrac|frac|mathbf|mathit|bm|text|textbf|mathbbm?|bar|overline|hat|widehat|tilde|widetilde"
_VARIANTS = [
    (re.compile(rf"\\({_DRAWN_ALIKE})(?![A-Za-z])"), ""),
    (re.compile(r"\\\\\[\d+pt\]"), ""), (re.compile(r"\\iff(?![A-Za-z])"), r"\\Longleftrightarrow"), (re.compile(r"\\[lr]Vert"), r"\\|"),
    (re.compile(r"\\tbinom"), r"\\binom"), (re.compile(r"\\to(?![A-Za-z])"), r"\\rightarrow"), (re.compile(r"\\(?:vart|t)riangle"), "T"),
    (re.compile(r"\\ast|\*"), "*"), (re.compile(r"\\l?dots"), r"\\ldots"), (re.compile(r"\^\{(?:\\prime)+\}|\\prime|'+"), "'"),
    (re.compile(r"\\(?:le|leq)(?![A-Za-z])"), "≤"), (re.compile(r"\\(?:ge|geq)(?![A-Za-z])"), "≥"), (re.compile(r"%\n"), ""),
    (re.compile(r"\\(?:left|right)\s*\."), ""), (re.compile(r"\\lbrack(?![A-Za-z])"), "["), (re.compile(r"\\rbrack(?![A-Za-z])"), "]"),
    (re.compile(r"~|\\ "), ""), (re.compile(r"\\parallel(?![A-Za-z])"), r"\\|"),
]  # fmt: skip


def loose(tex: str) -> str:
    text = _NOISE.sub("", unicodedata.normalize("NFKC", html.unescape(tex)))
    for escaped in ("\\_", "\\<", "\\>", "\\*"):
        text = text.replace(escaped, escaped[1])
    return re.sub(r"[\s{}$&\\]", "", text.replace("\\[", "[").replace("\\]", "]")).lower()


def strict(tex: str) -> str:
    return re.sub(r"\s+|(?<!\\)[{}]", "", tex)


def literal(tex: str) -> str:
    return re.sub(r"\s+", "", tex)


def drawn(tex: str) -> str:
    """A formula up to spellings that draw the same or nearly the same symbol."""
    for pattern, replacement in _VARIANTS:
        tex = pattern.sub(replacement, tex)
    return loose(tex)


MEASURES: dict[str, Callable[[str], str]] = {"drawn": drawn, "loose": loose, "strict": strict, "literal": literal}


def kind(name: str) -> str:
    """What a pair of this name tests."""
    if re.match(r"[0-9A-F]{5}_", name):
        return "Unicode blocks"
    if re.fullmatch(r"[a-z]", name):
        return "entities"
    for start, label in (
        ("mfrac", "fractions"), ("msqrt", "roots"), ("mroot", "roots"), ("nestFrac", "fractions"), ("munder", "scripts"),
        ("mover", "scripts"),
        ("msu", "scripts"), ("mtable", "tables"), ("mlabeled", "tables"), ("rec-", "tables"), ("nestTable", "tables"),
        ("mfenced", "operators"),
        ("mo", "operators"), ("stretch", "operators"), ("accents", "accents"),
    ):  # fmt: skip
        if name.startswith(start):
            return label
    return "fonts" if re.match(r"(latin|greek|digit|serif|sans|script|fraktur|monospace|mimathv|mi[A-Z0-9])", name) else "other"


def exact_shares(pairs: list[dict[str, Any]]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Exact pairs by kind under each measure (and `pairs`), and the names of those that miss `drawn`."""
    found: dict[str, Counter[str]] = {}
    missed = []
    for pair in pairs:
        tex = mathml_string_to_tex(pair["mathml"])
        for row in (found.setdefault(kind(pair["name"]), Counter()), found.setdefault("all", Counter())):
            row["pairs"] += 1
            row.update(name for name, measure in MEASURES.items() if measure(tex) == measure(pair["tex"]))
        if drawn(tex) != drawn(pair["tex"]):
            missed.append(pair["name"])
    return found, missed


def speed(pairs: list[dict[str, Any]]) -> tuple[float, float]:
    """Formulas of 15 to 60 elements per second, and milliseconds of one with 30; the best of five rounds."""
    typical = [pair["mathml"] for pair in pairs if 15 <= pair["mathml"].count("</") <= 60]
    best = best_seconds(lambda: [mathml_string_to_tex(xml) for xml in typical], 5)
    elements = sum(xml.count("</") for xml in typical)
    return len(typical) / best, 1000 * best / elements * 30


def katex(web: Path) -> tuple[int, int]:
    """KaTeX formulas of real pages: how many, and how many the spans alone give back."""
    total = right = 0
    for page in sorted(web.glob("html/math/llmwebkit_*/*katex*")) + sorted(web.glob("html/math/llmwebkit_*/*csdn*")):
        for node in LexborHTMLParser(page.read_text("utf8", "replace")).css(".katex"):
            source, spans = _katex_source(node), node.css_first(".katex-html")
            if source and spans is not None:
                total += 1
                right += drawn(katex_html_to_tex(spans)) == drawn(source)
    return total, right


def _katex_source(node: LexborNode) -> str:
    annotation, mathml = node.css_first("annotation"), node.css_first(".katex-mathml")
    if annotation is not None:
        return annotation.text()
    return re.split(r"\n\s*\n", mathml.text().rstrip())[-1].strip() if mathml is not None else ""


def chtml(web: Path) -> tuple[int, int]:
    """MathJax formulas of the engrafo pages: how many, and how many the glyphs alone give back."""
    total = right = 0
    for page in sorted(web.glob("html/math/engrafo/*")):
        for node in LexborHTMLParser(page.read_text("utf8", "replace")).css(".mjx-math[aria-label]"):
            total += 1
            right += drawn(glyphs_to_tex(node)) == drawn(node.attributes.get("aria-label") or "")
    return total, right


def annotated(web: Path) -> tuple[int, int]:
    """MathML of real pages that has its TeX beside it: how many formulas, and how many the markup alone gives back."""
    total = right = 0
    for page in sorted(web.glob("html/math/*/*.html")):
        text = page.read_text("utf8", "replace")
        if "application/x-tex" not in text:
            continue
        for node in LexborHTMLParser(text).css("math"):
            annotation = node.css_first('annotation[encoding="application/x-tex"]')
            if annotation is not None:
                total += 1
                right += drawn(mathml_to_tex(node)) == drawn(annotation.text())
    return total, right


def main() -> int:
    options(__doc__).parse_args()
    pairs = json_lines(WEB / "truth/texmath/mathml_tex_pairs_odd.jsonl")
    shares, missed = exact_shares(pairs)
    print(f"{'kind':16s} {'pairs':>6s}" + "".join(f"{name:>9s}" for name in MEASURES))
    for label, row in sorted(shares.items(), key=lambda item: item[1]["pairs"]):
        print(f"{label:16s} {row['pairs']:6d}" + "".join(f"{row[name] / row['pairs']:9.3f}" for name in MEASURES))
    total = shares["all"]
    figures = {name: round(total[name] / total["pairs"], 4) for name in MEASURES}
    wrong_truth = [name for name in missed if name in WRONG_TRUTH]
    print(f"missed {len(missed)}, of which the truth is wrong:", ", ".join(f"{name} ({WRONG_TRUTH[name]})" for name in wrong_truth))
    rate, milliseconds = speed(pairs)
    (katex_total, katex_right), (chtml_total, chtml_right) = katex(WEB), chtml(WEB)
    page_total, page_right = annotated(WEB)
    print(f"formulas per second {rate:.0f}; 30 elements take {milliseconds:.3f} ms")
    print(f"annotated MathML of pages {page_right}/{page_total} as its annotation")
    print(f"KaTeX spans {katex_right}/{katex_total}, MathJax glyphs {chtml_right}/{chtml_total} as the page's own TeX")
    result = {
        **{f"plain_{name}": value for name, value in figures.items()}, "pairs": len(pairs),
        "per_second": round(rate), "ms_30_elements": round(milliseconds, 4),
        "katex": round(katex_right / max(katex_total, 1), 4), "chtml": round(chtml_right / max(chtml_total, 1), 4),
        "pages": round(page_right / max(page_total, 1), 4),
        "wrong_truth": len(wrong_truth),
    }  # fmt: skip
    return ended(result, [] if figures["loose"] >= BAR else ["mathml pairs"])


if __name__ == "__main__":
    sys.exit(main())
