"""In which language is a document written? Asked of its prose alone, as formulas, code and addresses pass for any language.

A long document is looked at in several places, so that a menu, an abstract or a bibliography in another language does not decide alone.
A document with too little prose has no language (`""`, 0.0): mathematics that is mostly formulas is everybody's, so `keep_languages`
keeps it. Left out: documents in two languages; the one that takes up more of the samples wins.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_pipeline.cleaning.prose_mask import mask
from data_pipeline.documents.document import Doc, Stage
from verifiers.input_error import InputError
from verifiers.response_text.language_id import identify, languages

SCORE = "language"
"""How sure the model is, in `Doc.scores`."""

_NO_WORD = re.compile(r"\b(?:formula|code|link)\b|\\[A-Za-z]+|\b\w{0,40}[\d_@]\w*|[^\w\s.,;:!?'’-]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MIN_BYTES = 40  # of letters, in UTF-8: six words of English, a sentence of a dozen signs of Chinese
_LITTLE = 300  # below that a guess is right more often than it is sure: names, terms and formulas take up too much of it
_SURE = 0.5
_SAMPLES, _SAMPLE = 4, 1000
_MAX_TEXT = 400_000


def identify_language(doc: Doc) -> Doc:
    """The document with its `language` and the score "language"."""
    code, sure = language_of(doc.text)
    return replace(doc, language=code, scores={**doc.scores, SCORE: round(sure, 4)})


def language_of(text: str) -> tuple[str, float]:
    """ISO 639 code and certainty, 0..1; ("", 0.0) where there is too little prose to tell."""
    prose = _sampled_prose(text)
    return identify(prose) if _letter_bytes(prose, _MIN_BYTES) >= _MIN_BYTES else ("", 0.0)


def _holds_little_prose(text: str) -> bool:
    return _letter_bytes(_sampled_prose(text), _LITTLE) < _LITTLE


def _sampled_prose(text: str) -> str:
    return " ".join(_NO_WORD.sub(" ", _sample_text(mask(text[:_MAX_TEXT]).prose)).split())


def _letter_bytes(prose: str, enough: int) -> int:
    """Bytes of letters that stand in words, counted until they are enough."""
    letters = 0
    for word in _WORD.finditer(prose):
        letters += len(word[0].encode("utf-8", "surrogatepass"))
        if letters >= enough:
            break
    return letters


def keep_languages(codes: Sequence[str]) -> Stage:
    """A stage that identifies each document's language, where that is not done yet, and drops other languages than `codes`.

    Reasons: "language: other" and "language: unsure" (the model is less sure of a wanted one than `_SURE`). Documents without a language
    are kept, and so are those with a wanted one and little prose, of which nobody can be sure. No codes: all languages are kept, and none
    is refused for being unsure. Raises InputError for a code that the model lacks.
    """
    unknown = sorted(set(codes) - languages()) if codes else []
    if unknown:
        raise InputError(f"languages: {', '.join(unknown)} is none that can be told apart; give ISO 639-1 codes such as en, zh, de")

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        for doc in docs:
            if doc.dropped:
                yield doc
                continue
            if SCORE not in doc.scores:
                doc = identify_language(doc)
            wanted = not codes or not doc.language or doc.language in codes
            if not codes or not doc.language or (wanted and (doc.scores[SCORE] >= _SURE or _holds_little_prose(doc.text))):
                yield doc
            else:
                yield doc.drop("language: unsure" if wanted else "language: other")

    return stage


def _sample_text(prose: str) -> str:
    """All of a short text; of a long one, pieces of it at even distances, cut between words."""
    if len(prose) <= _SAMPLES * _SAMPLE:
        return prose
    step = (len(prose) - _SAMPLE) // (_SAMPLES - 1)
    return " ".join(
        prose[at : at + _SAMPLE].partition(" ")[2].rpartition(" ")[0] or prose[at : at + _SAMPLE] for at in range(0, _SAMPLES * step, step)
    )
