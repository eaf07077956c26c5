"""Is the thought in one language, that of the question? DeepSeek-R1's language consistency reward.

    score = words in the target language / words        arXiv:2501.12948, section 2.3.2, which says no more than this

What a word is in, is decided here, by `language_id.py` (20 microseconds a sentence, nothing fetched): formulas, code, tags, links,
commands and numbers are masked, but not the prose in them (see `_prose_inside`), nor what follows a fence or bracket that nothing
closes; what is left is cut where the script changes and at the ends of sentences, short sentences are joined with the next of their
script, and each piece gets one language. A piece of fewer than three words, or one that the model is less than half sure of, counts as
the target's language if it is written in one of its scripts: no one is punished for "Q.E.D.", nor rewarded for a foreign script. Two
Chinese, Japanese or Thai characters are one word, there being no spaces.

The thought is what stands before the last </think>, else the whole response. Its target is the parameter, else the language of the
last message of the prompt: of most of its words; else, in a short prompt, of all of it as one piece; else the likeliest language of its
script, which for Latin letters is English ("Evaluate $x$", but "Berechne $x$" too: name the target for short prompts in other
languages); else (no word outside formulas) the language of most of the response's own words. Left out: one sentence that mixes two
languages of one script, near relatives (Cantonese and Wu count as Chinese; Bosnian is not Croatian), and words hidden a few at a time,
one or two to a formula, fewer than eight in a row in code.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any, NamedTuple

from verifiers.input_error import InputError, nearest
from verifiers.problem import Problem
from verifiers.response_text.language_id import identify, languages
from verifiers.verdict import Status, Verdict, no_answer

_CLOSERS = {"```": "```", "$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_OPENER = re.compile("|".join(re.escape(opener) for opener in _CLOSERS))
_COMMAND = re.compile(r"\\begin\{[a-z*]{1,20}\}|\\end\{[a-z*]{1,20}\}|\\[A-Za-z]{1,40}")
_FORMULA = re.compile(r"(?<!\\)\$[^$\n]{1,400}\$")
_MASKS = (
    re.compile(r"`[^`\n]{0,400}`"),
    re.compile(r"\\(?:boxed|fbox)\{[^{}]{0,400}\}"),
    _COMMAND,
    re.compile(r"</?[A-Za-z][^<>\n]{0,80}>|https?://\S{1,2000}"),
)
# Letters that formulas and code do not have: Cyrillic to the south and east of Asia. Greek and ℝ are left to mathematics.
_FOREIGN = r"[\u0400-\u1cff\u2e80-\u2fff\u3040-\u9fff\ua960-\ud7ff\uf900-\ufaff\uff66-\uff9f]"
_RUN = re.compile(rf"{_FOREIGN}(?:[\s，。！？：；、]{{0,2}}{_FOREIGN}){{2,}}|(?:[^\W\d_]{{1,40}}[,;]? ){{7,}}[^\W\d_]{{1,40}}")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
_SURE = 0.5
_FEWEST = 3  # words
_ENOUGH = 40  # characters; a piece that has so many is not joined with the next
_MOST = 400
_SAME = {"yue": "zh", "wuu": "zh", "nn": "no", "nb": "no"}
_SCRIPTS = {
    "zh": "CJK", "ja": "CJK HIRAGANA KATAKANA", "ko": "HANGUL", "th": "THAI", "lo": "LAO", "my": "MYANMAR", "km": "KHMER", "el": "GREEK",
    "he": "HEBREW", "yi": "HEBREW", "hy": "ARMENIAN", "ka": "GEORGIAN", "am": "ETHIOPIC", "bn": "BENGALI", "ta": "TAMIL", "te": "TELUGU",
    "kn": "KANNADA", "ml": "MALAYALAM", "gu": "GUJARATI", "pa": "GURMUKHI", "si": "SINHALA", "sr": "CYRILLIC LATIN",
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "kk", "ky", "tg", "mn", "tt", "ba", "cv"), "CYRILLIC"),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ckb", "ug", "sd", "arz"), "ARABIC"),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), "DEVANAGARI"),
}  # fmt: skip
_LIKELIEST = {"CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "CYRILLIC": "ru", "ARABIC": "ar", "DEVANAGARI": "hi", "HEBREW": "he"}
_UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR", "KHMER"}
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA"}


class Piece(NamedTuple):
    """A stretch of text in one script, with the language that the model is sure of, or ""."""

    words: int
    scripts: frozenset[str]
    language: str


def verify(problem: Problem, response: str, *, target: str = "prompt", least: float = 0.95) -> Verdict:
    """The share of words in the target language. Right from `least` on. `target` is an ISO 639-1 code, or "prompt" for the prompt's."""
    if target != "prompt" and not re.fullmatch("[a-z]{2,3}", target):
        raise InputError(f"language: target {target!r:.20} is no language code such as en, zh or de, nor prompt")
    thought, closed, rest = response.rpartition("</think>")
    pieces = pieces_of(thought if closed else rest)
    total = sum(piece.words for piece in pieces)
    if not total:
        return no_answer("no words besides formulas, code and numbers")
    wanted = _SAME.get(target, target) if target != "prompt" else _prompt_language(_last_question(problem)) or dominant(pieces)
    if not wanted:
        return Verdict(1.0, Status.RIGHT, f"{total} words, too few to tell a language")
    scripts = frozenset(_SCRIPTS.get(wanted, "LATIN").split())
    good = sum(piece.words for piece in pieces if (piece.language == wanted if piece.language else piece.scripts <= scripts))
    score = good / total
    return Verdict(score, Status.RIGHT if score >= least else Status.WRONG, f"{good} of {total} words in {wanted}")


def _prompt_language(prompt: str) -> str:
    """The language of a prompt, however short, or "" if it has no words. A response must not get to choose it."""
    pieces = pieces_of(prompt)
    if not pieces:
        return ""
    if language := dominant(pieces):
        return language
    words = " ".join(word for run, _ in _runs(_mask(prompt)) for word in run.split())
    language, sure = identify(words[: 2 * _MOST])
    if sure >= _SURE:
        return _SAME.get(language, language)
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(dict.fromkeys(piece.scripts, piece.words))
    script = counts.most_common(1)[0][0]
    return _LIKELIEST.get(script) or next((language for language, own in _SCRIPTS.items() if own == script), "en")


def dominant(pieces: list[Piece]) -> str:
    """The language of most words, or "" where the model is sure of none."""
    counts: Counter[str] = Counter()
    for piece in pieces:
        if piece.language:
            counts[piece.language] += piece.words
    return counts.most_common(1)[0][0] if counts else ""


def pieces_of(text: str) -> list[Piece]:
    """The pieces of a text, without formulas, code, tags, links and numbers."""
    pieces: list[Piece] = []
    kept, scripts = "", frozenset[str]()
    for sentence in _SENTENCE.finditer(_mask(text)):
        for run, own in _runs(sentence[0]):
            if kept and (len(kept) >= _ENOUGH or not _one_script(scripts, own)):
                pieces.append(_make_piece(kept, scripts))
                kept, scripts = "", frozenset()
            kept, scripts = f"{kept} {run}".strip(), scripts | own
    if kept:
        pieces.append(_make_piece(kept, scripts))
    return pieces


def _mask(text: str) -> str:
    """The text without formulas, code, tags and links, but for the prose in them."""
    kept: list[str] = []
    at, absent = 0, set[str]()
    while opener := _OPENER.search(text, at):
        closer = _CLOSERS[opener[0]]
        end = -1 if closer in absent else text.find(closer, opener.end())
        kept.append(text[at : opener.start()])
        at = opener.end() if end < 0 else end + len(closer)
        if end < 0:  # else it would hide all that follows
            absent.add(closer)
            kept.append(" ; ")
        else:
            kept.append(_prose_inside(text[opener.end() : end], formula=closer != "```"))
    text = _FORMULA.sub(lambda match: _prose_inside(match[0], formula=True), "".join([*kept, text[at:]]))
    for mask in _MASKS:
        text = mask.sub(lambda match: _prose_inside(match[0]), text)
    return text


def _prose_inside(masked: str, *, formula: bool = False) -> str:
    """What of a formula, a piece of code, a tag or a link is a thought all the same, so that nothing can be thought in there unseen.

    Runs of three foreign letters, and of eight words; of a formula with three words of three letters outside commands, all words.
    """
    bare = _COMMAND.sub(" ", masked)
    words = [match[0] for match in _WORD.finditer(bare)] if formula else []
    if sum(len(word) > 2 and not word.isupper() for word in words) > 2:
        return f"\n{' '.join(words)}\n"
    runs = [match[0] for match in _RUN.finditer(bare)]
    return f"\n{' '.join(runs)}\n" if runs else " ; "


def _runs(sentence: str) -> list[tuple[str, frozenset[str]]]:
    """The words of a sentence, cut where the script changes, and into at most _MOST characters. A lone Latin or Greek letter is a sign."""
    runs: list[tuple[list[str], frozenset[str]]] = []
    size = 0
    for match in _WORD.finditer(sentence):
        for word, own in _by_script(match[0]):
            if len(word) == 1 and own <= {"LATIN", "GREEK"}:
                continue
            if runs and size < _MOST and _one_script(runs[-1][1], own):
                runs[-1] = (runs[-1][0], runs[-1][1] | own)
                runs[-1][0].append(word)
            else:
                runs.append(([word], own))
                size = 0
            size += len(word) + 1
    return [(" ".join(words), own) for words, own in runs]


def _by_script(word: str) -> list[tuple[str, frozenset[str]]]:
    parts: list[tuple[str, frozenset[str]]] = []
    for character in word:
        own = frozenset((_script(character),))
        if parts and _one_script(parts[-1][1], own) and len(parts[-1][0]) < _MOST:
            parts[-1] = (parts[-1][0] + character, parts[-1][1] | own)
        else:
            parts.append((character, own))
    return parts


@lru_cache(maxsize=1 << 14)
def _script(character: str) -> str:
    script = unicodedata.name(character, "OTHER").partition(" ")[0].partition("-")[0]
    return {"FULLWIDTH": "LATIN", "HALFWIDTH": "KATAKANA", "FEMININE": "LATIN", "MASCULINE": "LATIN"}.get(script, script)


def _one_script(a: frozenset[str], b: frozenset[str]) -> bool:
    return a == b or (a <= _EAST_ASIAN and b <= _EAST_ASIAN)


def _make_piece(text: str, scripts: frozenset[str]) -> Piece:
    unspaced = bool(scripts & _UNSPACED)
    words = (sum(len(word) for word in text.split()) + 1) // 2 if unspaced else len(text.split())
    language, sure = identify(text.replace(" ", "")[: 2 * _MOST] if unspaced else text[: 2 * _MOST]) if words >= _FEWEST else ("", 0.0)
    return Piece(words, scripts, _SAME.get(language, language) if sure >= _SURE else "")


def _last_question(problem: Problem) -> str:
    return problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]


_COUNTRIES = {"cn": "zh", "jp": "ja", "kr": "ko", "gr": "el", "cz": "cs", "dk": "da", "se": "sv", "ua": "uk", "us": "en", "gb": "en"}


def check(*, target: str, least: float, **_: Any) -> None:
    """Raises InputError for a target that the model does not know, a share that is none, and a model that is not installed."""
    if not 0 <= least <= 1:
        raise InputError(f"language: least is a share of the words, from 0 to 1, not {least:g}")
    known = sorted(languages() | _SAME.keys())
    if target != "prompt" and target not in known:
        close = _COUNTRIES.get(target) or nearest(target, ["prompt", *known])
        hint = f"; did you mean {close!r}?" if close else ""
        raise InputError(f"language: target {target!r:.20} is neither prompt nor a language that the model knows, as en, zh or de{hint}")
