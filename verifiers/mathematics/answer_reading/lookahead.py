r"""What a reader of expressions knows before it reads on: how much it may still do, which sign is meant, whether a product goes on.

A number multiplies what stands before it only as the base of a power, behind a letter, a bracket, a factorial or an exponent set apart:
n 2^n is a product, while "x 3" and "3 4" may be anything and are none.
"""

import re
from fractions import Fraction

from verifiers.mathematics.answer_reading.latex_tokens import Token
from verifiers.mathematics.answer_reading.token_cursor import UNIT_WORDS, UnitReader
from verifiers.mathematics.arithmetic.exact_sums import CONSTANTS, Expr, Unreadable

MAX_WORK = 1000  # products of two monomials in one answer

_QUANTIFIERS = ("for", "all", "any")  # no letters, though they are as short
_OPENERS = frozenset({"frac", "binom", "sqrt", "⌊", "⌈", "sum", "prod", "\\overline", "\\bar", "(", "{"})
_LISTING = frozenset({",", ";", ":", "|", "=", "<", ">", "\\le", "\\ge", "\\ne"})
_SETS = frozenset({"∪", "∩", "∖", "∈", "and", "or"})
_GREEK_WORDS = "alpha|beta|gamma|delta|epsilon|theta|kappa|lambda|sigma|omega"
_GLUED = rf"([A-Za-z]{{0,2}})({_GREEK_WORDS})([A-Za-z]{{0,2}})|([A-Za-z]?)(pi)([A-Za-z]?)"
_ROMAN = "[ivxlcdm]+"
_SHORT_WORDS = frozenset((
    "no", "on", "so", "is", "it", "if", "in", "of", "to", "do", "go", "up", "us", "we", "he", "me", "my", "by", "be", "at", "as", "an",
    "am", "pm", "ok", "or", "ox", "dm", "cl", "dl", "hm", "ha", "ex", "hi",
))  # fmt: skip


def letters_in(word: str) -> list[str]:
    """The letters whose product a word is, as in xy, and in omegat and pir, where the name of a Greek letter is glued to others."""
    if len(word) < 3 or (len(word) == 3 and "pi" not in word):
        return list(word)
    if glued := re.fullmatch(_GLUED, word):
        first, greek, last = (part or "" for part in (glued.groups()[:3] if glued[2] else glued.groups()[3:]))
        return [*first, greek, *last]
    return list(word) if len(word) <= 3 else []


def is_lone_product(word: str) -> bool:
    """Whether a word that is a whole answer is a product of letters: ab, but not "no", cm, iv, or abc, which may be a string of letters."""
    return len(word) == 2 and word.islower() and word not in _SHORT_WORDS and word not in UNIT_WORDS and not re.fullmatch(_ROMAN, word)


class LookAhead(UnitReader):
    def __init__(self, tokens: list[Token]) -> None:
        if (
            tokens and tokens[0].text in ("f", "g", "h") and not any(token.text in ("mod", "pmod") for token in tokens)
        ):  # f(x) \equiv 0 says of a function what "=" says
            tokens = [token._replace(text="=") if token.text == "≡" else token for token in tokens]
        super().__init__(tokens)
        self.depth = 0
        self.sign = 1  # how a plus-minus sign is read this time
        self.forks = ""  # plus-minus signs met
        self.money = ""
        self.work = 0
        self.steps = 0
        self.bars = 0  # absolute values open
        self.nested = False  # whether a bar behind a factor opens one more of them
        self.congruence = any(token.text == "≡" for token in tokens)
        self.bound: dict[str, Expr] = {}  # the index of a sum being read
        self.differentials: list[tuple[str, str]] = []  # of the open integrals: the variable, and the atom that stands for dx

    def _sign(self) -> Fraction:
        text = self._expect("+", "-", "±", "∓")
        self.forks += text if text in ("±", "∓") else ""
        return Fraction({"+": 1, "-": -1, "±": self.sign, "∓": -self.sign}[text])

    def _works(self, amount: int) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise Unreadable

    def _at_factor(self) -> bool:
        """Whether what follows multiplies without a sign."""
        kind, text, spaced = self._peek()
        if kind == "op":
            return self._operator_opens(text)
        if kind == "sym":
            return True
        if kind == "num":
            before = self.tokens[self.at - 1]
            exponent = spaced and before.kind == "num" and self.at > 1 and self.tokens[self.at - 2].text == "^"
            if before.text == self._peek(1).text == "!":  # 2!3!
                return True
            return self._peek(1).text == "^" and (before.kind == "sym" or before.text in (")", "}", "!") or exponent)
        if kind == "word":
            return (
                bool(letters_in(text)) and text not in UNIT_WORDS and text not in _QUANTIFIERS and self.tokens[self.at - 1].kind != "word"
            )
        if kind == "matrix":
            return text.startswith("\\begin") and "matrix" in text
        return kind == "func" and not self._at_unit_word()

    def _operator_opens(self, text: str) -> bool:
        """Whether a factor begins with this operator."""
        if text == "|":
            return not self.bars or (self.nested and self._peek(1).kind in ("sym", "num"))
        if text == "(":
            return not (self._peek(1).text in ("mod", "pmod") or self._bracketed())
        if text in ("[", "\\{"):
            before = self.tokens[self.at - 1]
            if before.kind == "sym":  # n[n+1]; f[x] is another thing
                return text == "[" and self._holds_a_sum() and self._groups()
            return (before.kind == "num" or before.text in (")", "]", "}", "\\}", "!", "*", "/")) and self._groups()
        return text in _OPENERS

    def _numbers_an_item(self, word: str) -> bool:
        """Whether this is all of (iv): the fourth of a list, and no product."""
        return re.fullmatch(_ROMAN, word) is not None and all(token.text in (word, "(", ")") for token in self.tokens)

    def _holds_a_sum(self) -> bool:
        """Whether a sum of letters stands in the square brackets here."""
        ahead = 1
        while (token := self._peek(ahead)).text not in ("]", "[") and token.kind != "end":
            if token.text in ("+", "-") and ahead > 1 and self._peek(ahead - 1).text != "(":
                return True
            ahead += 1
        return False

    def _groups(self) -> bool:
        r"""Whether the bracket or brace here only groups, as in [1+2][3-4] and 2\{3[x-(y+1)]+2\}.

        [x] and \{x\} may be the whole and the fractional part of x, and a list or set has commas.
        """
        closing = {"[": "]", "\\{": "\\}"}[self._peek().text]
        depth, ahead, inner, letters = 0, 1, False, 0
        while depth or self._peek(ahead).text != closing:
            token = self._peek(ahead)
            if token.kind == "end" or (depth == 0 and token.text in _LISTING) or token.text in _SETS:
                return False
            depth += (token.text in ("(", "[", "{", "\\{")) - (token.text in (")", "]", "}", "\\}"))
            if depth < 0:
                return False
            inner |= token.text in ("(", "[")
            letters += token.kind in ("sym", "word", "text") and token.text not in CONSTANTS
            ahead += 1
        return ahead > 2 and (inner or not letters or bool(self.differentials) or closing == "]")

    def _transpose_mark(self) -> int:
        r"""How many tokens of T, \top or \mathsf T stand here."""
        ahead = [self._peek(i).text for i in range(4)]
        inner = ahead[1:] if ahead[0] == "{" else ahead
        length = 1 if inner[0] in ("T", "\\top", "t") else 2 if inner[0] in ("\\mathsf", "\\intercal") and inner[1] == "T" else 0
        return length and length + (2 if ahead[0] == "{" else 0)
