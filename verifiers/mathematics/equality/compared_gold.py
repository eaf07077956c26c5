r"""The gold answer in what a data set gives as one: a bare answer, a solution, or a text that says what the answer is.

What a problem reader takes (`final_answer.stated_gold`) is taken here too, so that a gold is the same wherever it comes from; and of a text
that is no mathematics what "the answer is" gives in it. Left out: whether the gold is true.
"""

import re

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.answer_in_words import read_answer
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import Unparsed
from verifiers.response_text.answer_claims import cue_end
from verifiers.response_text.final_answer import said_at, stated_gold, tidy

_PLAIN = compiled(r"(?a)[+-]?[\d,]{1,400}(?:\.\d{1,400})?")
_SAYS = compiled(r"(?a)\d|^[A-Za-z]")  # no digit, and no letter at the beginning, is read as nothing
_WORD = r"(?<!\\)\b[^\W\d_]{2,}"
_SHORT = 100  # characters of a text that may well be an answer in words
_FEW = 25  # words of such a text


def gold_answer(text: str) -> str:
    """A gold as it is compared."""
    gold = text.strip()
    if _PLAIN.fullmatch(gold):
        return gold
    if (stated := stated_gold(gold)) is not None:
        return tidy(stated)
    gold = tidy(gold)
    if (end := cue_end(gold)) >= 0 and isinstance(parse(gold), Unparsed):
        return said_at(gold, end) or gold
    return gold


def is_solution(gold: str) -> bool:
    """Whether a gold is a text that no short answer could equal."""
    return len(gold) > _SHORT and len(re.findall(_WORD, gold)) > _FEW and isinstance(read_answer(gold), Unparsed)


def says_nothing(gold: str) -> bool:
    """Whether there is nothing to compare with: white space, an empty formula, the NaN of a table's empty cell."""
    return not gold or gold.lower() == "nan" or (not _SAYS.search(gold) and parse(gold) == Unparsed(""))
