r"""A cursor over tokens, and the units behind a number: the lowest part of the parser of answers.

What a word behind a number may not be, for the number to keep its value beside it, is listed: "5 or 6" is two answers, "5 squared" is 25.
"""

import re

from verifiers.mathematics.answer_reading.latex_tokens import Token
from verifiers.mathematics.answer_reading.units import is_glued
from verifiers.mathematics.arithmetic.exact_sums import Unreadable

UNIT_WORDS = frozenset((
    "cm", "mm", "km", "kg", "mg", "ml", "ft", "in", "mi", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph", "day", "Day", "yr", "yrs",
    "Hz", "kHz", "MHz", "kW", "mol", "rad", "deg", "pct", "kJ", "cal", "eV", "nm", "per", "sq",
    "atm", "Pa", "kPa", "kWh", "ohm", "ohms", "USD", "EUR", "GBP", "INR", "RMB", "yen",
))  # fmt: skip
_SURE_UNITS = frozenset({"cm", "mm", "km", "kg", "ft", "lb", "lbs", "oz", "hr", "hrs", "sec", "mph", "kPa", "kWh", "kHz", "MHz"})
_NO_UNIT = frozenset((
    "for", "where", "with", "if", "when", "or", "and", "not", "only", "but", "such", "that", "otherwise", "else", "squared", "cubed",
    "factorial",
    "times", "plus", "minus", "over", "choose", "more", "less", "fewer", "than", "divided", "modulo", "base", "is", "out", "to", "through",
    "half", "halves", "thirds", "fourths", "fifths", "sixths", "sevenths", "eighths", "ninths", "tenths", "hundredths", "thousandths",
    "wrong", "incorrect", "false", "invalid", "unknown", "missing", "short", "away", "guess", "error", "unless", "maybe", "perhaps",
    "almost", "nearly", "about", "around", "without", "within", "excluding", "except", "below", "above", "under", "beyond", "before",
    "after", "from",
    "until", "since", "between", "among", "against", "versus", "instead", "never", "none", "nor", "neither", "cannot", "because", "while",
    "assuming", "given", "down", "least", "most", "by", "double", "triple", "twice", "thrice", "again", "negative", "positive", "inverse",
    "reciprocal", "repeating", "recurring",
    "score", "gross", "grand", "quarter", "quarters", "fourth", "third", "fifth", "sixth", "eighth", "tenth",
))  # fmt: skip
CURRENCIES = ("$", "€", "£", "¥", "¢", "₹")
_END = Token("end", "", False)


class UnitReader:
    """Every method reads from `self.at` and raises `Unreadable` where the grammar ends."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def _peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _END

    def _skip(self) -> bool:
        self.at += 1
        return True

    def _next_op(self, *texts: str) -> bool:
        if self.at >= len(self.tokens):
            return False
        kind, text, _ = self.tokens[self.at]
        return text in texts and kind in ("op", "matrix")

    def _take(self, *texts: str) -> bool:
        if self._next_op(*texts):
            self.at += 1
            return True
        return False

    def _expect(self, *texts: str) -> str:
        if not self._take(*texts):
            raise Unreadable
        return self.tokens[self.at - 1].text

    def _unit(self) -> str:
        words: list[str] = []
        while True:
            if self._take("%") or (self._peek().text in ("pct", "percent", "percentage") and self._skip()):
                words.append("%")
            elif words and self._take("^"):
                words[-1] += f"^{self._unit_power()}"
            elif self._next_op("(") and (noun := self._bracketed()):
                words.append(" ".join(noun))
                self.at += len(noun) + 2
            elif self._at_unit_word() or (words and self._next_op("/", *CURRENCIES)) or self._next_op(*CURRENCIES):
                words.append(self._peek().text)
                self.at += 1
            else:
                return " ".join(words)

    def _bracketed(self) -> list[str]:
        """The words between the brackets that begin here, as in 9 (apples); none for anything else, such as (of 10), (mod 7) or (mg)."""
        start, words = self.at, list[str]()
        if self._peek(1).kind not in ("word", "text"):
            return []
        self.at += 1
        while self._at_unit_word(bracketed=True):
            words.append(self._peek().text)
            self.at += 1
        closed, self.at = self._next_op(")"), start
        return words if closed else []

    def _at_unit_word(self, *, bracketed: bool = False) -> bool:
        kind, text, spaced = self._peek()
        if kind == "func":
            return text == "min" and self._peek(1).text not in ("(", "{", "\\{", "=", ":")
        if kind != "word" and kind != "text":
            return False
        plain = re.sub(r"\^-?\d", "", text) if "^" in text else text
        if not any(c.isalpha() for c in text) or any(c.isdigit() for c in plain) or _changes_the_number(text):
            return False  # "5 or 6" is two answers, whatever it is set in
        if _is_participle(text.split()[-1].lower()) and self._peek(1).kind not in ("word", "text"):
            return False  # 5 doubled, but 5 shaded squares
        if kind == "word" and not (spaced or bracketed) and self.tokens[self.at - 1].kind == "num" and len(text) > 3:
            return is_glued(text)
        if kind == "word" and bracketed:
            inside = self.tokens[self.at - 1].text != "("
            short = (len(text) > 1 and inside) or (len(text) == 3 and len(self._peek(1).text) > 3)
            return len(text) > 3 or short or (text in _SURE_UNITS and self.tokens[self.at - 1].spaced)
        return kind == "text" or (kind == "word" and (text in UNIT_WORDS or (spaced and len(text) > 3)))

    def _unit_power(self) -> str:
        """2, -1, {2} or {-1}"""
        braced = self._take("{")
        sign = "-" * self._take("-")
        digit = self._peek()
        self.at += 1
        if digit.kind != "num" or len(digit.text) > 1 or (braced and not self._take("}")):
            raise Unreadable
        return sign + digit.text


def _changes_the_number(text: str) -> bool:
    """Whether a word here asks for more than the number: a scale, a comparison, a doubt. Adverbs (roughly, allegedly) are doubts."""
    words = re.findall(r"[a-z]+", text.lower())
    return any(word in _NO_UNIT or (word.endswith("ly") and len(word) > 5 and word != "family") for word in words)


def _is_participle(word: str) -> bool:
    return len(word) > 5 and word.endswith("ed") and not word.endswith("eed") and word != "hundred"
