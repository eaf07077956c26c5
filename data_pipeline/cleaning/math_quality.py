"""Which documents are worth keeping, judged by rules that know mathematics.

The rules that everybody uses (`published_rules.py`) read a formula as line noise: a brace, a backslash, a short line without a full stop.
Unchanged, all four together keep 5 % of pages of mathematics. Here a document with formulas is judged by its prose (`prose_mask.py`): a
formula is one word, a displayed one a part of its sentence; code and tables stand apart; no two formulas count as a repetition. Its limits
are `MATHEMATICS`. A document without formulas gets the general rules, unchanged, on its text as it is.

Beside them stand a few kinds of rubbish that every page can be: an error page, placeholder text, a table and nothing else, a list of links,
what a chat model says when it refuses. What is left out: whether the mathematics is right, or good; that is a classifier's business
(`math_classifier.py`), or that of any model whose score `score_with` stores and holds to a threshold.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from data_pipeline.cleaning.prose_mask import FORMULA, Masked, mask
from data_pipeline.cleaning.published_rules import PAPERS, fineweb, general, gopher_quality, gopher_repetition, lines_of
from data_pipeline.documents.document import Doc, Stage

MATHEMATICS = replace(
    PAPERS,
    min_words=20,  # a definition and its formula is a document
    max_word_length=20.0,  # names of functions, and formulas in plain text
    min_alphabetic=0.5,
    max_symbols=0.3,
    max_bullets=1.0,
    min_stop_words=0,  # English only; that is the language stage's business
    max_repeated_lines=0.6,  # "Examples:", "INPUT:", "Proof." come back
    max_repeated_paragraphs=0.6,
    max_repeated_line_characters=0.4,
    max_repeated_paragraph_characters=0.4,
    top_ngrams=(0.4, 0.36, 0.32),
    repeated_ngrams=(0.5, 0.48, 0.46, 0.44, 0.42, 0.40),
    min_punctuated=-1.0,  # a line often ends in a formula
    max_short_lines=1.01,
    max_line_characters_repeated=0.4,
)
"""The papers' numbers with those that mathematics fails for what it is made of; arXiv ids are in `published_rules.py`."""

_ERRORS = re.compile(
    r"\b(?:page (?:was )?not found|404 (?:not found|error)|error 404|access denied|403 forbidden|internal server error|"
    r"(?:enable|requires?|turn on) javascript|checking your browser|are you a robot|verify (?:that )?you are (?:a )?human|"
    r"account (?:has been )?suspended|site can.t be reached|bad gateway)\b",
    re.IGNORECASE,
)
_REFUSALS = re.compile(
    r"\bas an ai (?:language )?model\b|\bi(?:'|’)?m sorry,? but (?:i|as an ai) (?:can(?:no|')?t|am unable)\b|"
    r"\bi cannot fulfil+ (?:this|your) request\b",
    re.IGNORECASE,
)
_LATIN = re.compile(r"lorem ipsum", re.IGNORECASE)
_FORMULA_WORD = 6  # characters of a formula that count as a word of a short text
_EDGE = 600  # characters at either end of a text where a refusal stands
_LINK_LINES = 0.95  # share of lines without a formula, a verb's room (4 words) or a full stop
_SHORT = 1000  # characters that an error page may have


def quality_rule(doc: Doc) -> str | None:
    """A rule for `drop_if`: "quality: " and why, or None."""
    reason = judge(doc.text)
    return f"quality: {reason}" if reason else None


def judge(text: str) -> str | None:
    """Why a text is not kept; None where it is."""
    masked = mask(text) if "$" in text else Masked(text, 0, 0, text.count("\n|"))
    if reason := rubbish_kind(text, masked):
        return reason
    if not masked.formulas:
        return general(text)
    prose = masked.prose
    limits = replace(MATHEMATICS, min_words=max(5, MATHEMATICS.min_words - masked.formula_characters // _FORMULA_WORD))
    if _unspaced(prose):  # Chinese, Japanese: the limits of words mean nothing
        limits = replace(limits, min_words=1, max_word_length=1e9, min_alphabetic=0.0)
    return (
        gopher_quality(prose, limits)
        or gopher_repetition(prose, limits, unlike=FORMULA)
        or fineweb(prose, limits, unlike=FORMULA)
        or _mostly_links(prose, masked)
    )


def score_with(scorer: Callable[[Sequence[str]], Sequence[float]], *, name: str, least: float | None = None, batch: int = 64) -> Stage:
    """A stage that stores a model's score of each text as `scores[name]`, and drops those below `least` as "quality: low score".

    `scorer` takes texts and returns a number for each, higher for better: a classifier, or the negative perplexity of a language model.
    """

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        while some := list(islice(docs, batch)):
            alive = [doc for doc in some if not doc.dropped]
            found = iter(scorer([doc.text for doc in alive]) if alive else ())
            for doc in some:
                if doc.dropped:
                    yield doc
                    continue
                scored = doc.score(name, float(next(found)))
                yield scored.drop("quality: low score") if least is not None and scored.scores[name] < least else scored

    return stage


def rubbish_kind(text: str, masked: Masked) -> str | None:
    """Of the rubbish that every page can be, which; None for none."""
    prose = masked.prose
    if len(prose) < _SHORT and masked.formulas < 3 and _ERRORS.search(prose):
        return "error page"
    if "ipsum" in prose and len(_LATIN.findall(prose)) * 300 > len(prose.split()):
        return "placeholder text"
    if _REFUSALS.search(text, 0, _EDGE) or _REFUSALS.search(text, max(0, len(text) - _EDGE)):
        return "model refusal"
    if masked.rows > 20 and masked.formulas * 4 < masked.rows and len(prose.split()) < masked.rows:
        return "mostly a table"
    return None


def _unspaced(prose: str) -> bool:
    """Whether it is written in a script that takes three bytes a letter and hardly a space."""
    return len(prose.encode("utf-8", "surrogatepass")) > 1.6 * len(prose)


def _mostly_links(prose: str, masked: Masked) -> str | None:
    """Menus and indexes: line after line of a few words. Pages with as many formulas as lines are none."""
    lines = lines_of(prose)
    if len(lines) < 20 or masked.formulas * 5 > len(lines):
        return None
    bare = sum(len(line.split(None, 4)) <= 4 and not line.endswith((".", "!", "?", ":")) and FORMULA not in line for line in lines)
    return "mostly links" if bare > _LINK_LINES * len(lines) else None
