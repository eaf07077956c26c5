"""How long is the response, and the soft overlong punishment: no cost up to limit - cache, falling linearly to -1 at the limit.

    score = 0                            for n <= limit - cache
            (limit - cache - n) / cache  for limit - cache < n <= limit
            -1                           for n > limit                      DAPO, arXiv:2503.14476, equation 13

A verifier sees text, not tokens. The unit of n is a choice: "characters" (the default: nothing hides a character), "words" (a run
without white space, one word for every 20 characters begun, so that nothing long is hidden by writing it without spaces; each Chinese
or Japanese character counts as one; for Thai and its like take characters), or the path of a tokenizer (its folder, or the
tokenizer.json), whose count is that of the text encoded again, all of it: truncation and padding that the file asks for are left out.
This may differ by a few tokens from what was sampled, and lacks the end token. Training recipes have the exact form of this penalty in
sampled tokens: `--algorithm dapo --overlong-cache`.
`length_cosine.py` and `length_budget.py` make the score of another verifier depend on length.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict

_LONGEST_WORD = 20  # characters
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def verify(problem: Problem, response: str, *, limit: int = 8192, cache: int = 2048, unit: str = "characters") -> Verdict:
    """The score is the penalty above, from -1 to 0; right means no penalty. `problem` is not looked at."""
    if not 0 < cache <= limit:
        raise InputError(f"length: cache must be from 1 to limit, not {cache} with limit {limit}")
    length = measure(response, unit)
    score = max(-1.0, min(0.0, (limit - cache - length) / cache))
    return Verdict(score, Status.RIGHT if score == 0 else Status.WRONG, f"{length} {unit}, free up to {limit - cache}, limit {limit}")


def measure(text: str, unit: str) -> int:
    """The length of a text in characters, in words, or in the tokens of the tokenizer at the path `unit`."""
    if unit == "characters":
        return len(text)
    if unit == "words":
        return sum(-(-(match.end() - match.start()) // _LONGEST_WORD) for match in WORD.finditer(text))
    return len(_tokenizer(unit).encode(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False).ids)


@lru_cache(maxsize=4)
def _tokenizer(place: str) -> Any:
    path = Path(place).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"length: unit {place!r} is neither characters nor words, and no tokenizer.json is there; name one of these")
    from tokenizers import Tokenizer  # slow to import, and most runs count characters

    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    except Exception as error:  # noqa: BLE001  # the library raises bare Exception for a file that it cannot read
        raise InputError(f"length: {path} is no tokenizer ({error!s:.120}); name a tokenizer.json") from None


def check(*, limit: int, cache: int, unit: str) -> None:
    """Raises InputError for parameters that no response could be measured by."""
    verify(make_problem("", ""), "", limit=limit, cache=cache, unit=unit)
