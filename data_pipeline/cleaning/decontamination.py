r"""Keeping benchmarks out of training data, by DeepSeekMath's rule (arXiv:2402.03300, section 2.1).

A text is contaminated where 10 words in a row also stand in a benchmark's problem; a problem of 3 to 9 words must stand there whole. Words
are as in `compared_words.py`: case, punctuation, line ends and the spelling of formulas do not matter. Shorter problems ("Simplify $2x$")
cannot be looked for: they are counted in `Benchmarks.too_short`. Ten words that others would count where we count fewer ("$x = 3$" is three
between white space) are found too: `benchmark_fragments.py`. Apostrophes may be gone or be spaces.

What goes is the segment, a paragraph between blank lines; all those that the words touch, as n-grams run on across them. What is left has
no hit, also not across the gaps. Or the whole document (`unit="document"`); a row of training data always goes whole.

Ten words of which none belongs to a language tell nothing ("1 2 3 4 5 6 7 8 9 10", "x 1 x 2 x 3 x 4 x 5", the rows of a matrix, a
figure's coordinates): they are looked for only where their problem has no others.

Phrases that benchmarks share with half of mathematics ("express your answer as a common fraction in lowest terms") are hits by this rule
and in the paper, and are here: a lost paragraph costs little, a leaked problem an evaluation. How they are found: `benchmark_index.py`.
Paraphrases, translations and changed numbers are not found.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from data_pipeline.cleaning.benchmark_index import CHAT_FIELDS, PARAGRAPH_GAP, PROBLEM_FIELDS, Benchmarks, Hit, counted_noun, row_text
from data_pipeline.documents.document import Doc, Stage
from verifiers.input_error import InputError

_ROW_FIELDS = (*PROBLEM_FIELDS, "solution", "answer", "rationale", "response", "completion", *CHAT_FIELDS, "text", "chosen", "rejected")


def decontaminate(
    benchmarks: Benchmarks,
    unit: str = "segment",
    report: Callable[[Doc, list[Hit]], None] | None = None,
    removed: Counter[str] | None = None,
) -> Stage:
    """A stage that removes what stands in a benchmark: paragraphs, or (unit="document") the document.

    `report` gets each document that has hits; `removed` counts "documents", and the "paragraphs" and "characters" that went.

    Reasons: "decontaminate: benchmark" for a whole document, "decontaminate: nothing left" where every paragraph went.
    """

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        for doc in docs:
            text, hits = (doc.text, []) if doc.dropped else benchmarks.clean(doc.text)
            if hits and report:
                report(doc, hits)
            if hits and removed is not None:
                left = "" if unit == "document" else text
                removed["documents"] += 1
                removed["paragraphs"] += _paragraphs(doc.text) - _paragraphs(left)
                removed["characters"] += len(doc.text) - len(left)
            if hits and unit == "document":
                yield doc.drop("decontaminate: benchmark")
            elif hits:
                cleaned = replace(doc, text=text)
                yield cleaned if text.strip() else cleaned.drop("decontaminate: nothing left")
            else:
                yield doc

    return stage


def _paragraphs(text: str) -> int:
    return sum(bool(part.strip()) for part in PARAGRAPH_GAP.split(text)[::2])


def removal(removed: Counter[str]) -> str:
    """What a stage's counts say, in a sentence."""
    documents, paragraphs, characters = (counted_noun(removed[f"{name}s"], name) for name in ("document", "paragraph", "character"))
    return f"decontaminate: removed {paragraphs} ({characters}) in {documents}"


def row_hits(row: Mapping[str, Any], benchmarks: Benchmarks) -> list[Hit]:
    """The hits of a row of training data, none for one to keep: in every problem, solution or chat column that it has."""
    text = row_text(row, _ROW_FIELDS)
    if not text:
        raise InputError(f"decontamination: a row has no text in any known column; it has {', '.join(row)}")
    return benchmarks.hits(text)


def hit_rows(doc_id: str, hits: Iterable[Hit]) -> Iterator[dict[str, Any]]:
    """What a list of contaminated documents holds: one object a hit."""
    return ({"id": doc_id} | hit._asdict() for hit in hits)
