r"""What a reader of expressions knows before it reads on: how much it may still do, which sign is meant, whether a product goes on.

A number multiplies what stands before it only as the base of a power, behind a letter, a bracket, a factorial or an exponent set apart:
n 2^n is a product, while "x 3" and "3 4" may be anything and are none.
"""

from fractions import Fraction

from verifiers.exact_sums import CONSTANTS, Expr, Unreadable
from verifiers.latex_tokens import Token
from verifiers.latex_units import UNIT_WORDS, UnitReader

MAX_WORK = 1000  # products of two monomials in one answer

_QUANTIFIERS = ("for", "all", "any")  # no letters, though they are as short
_OPENERS = frozenset({"frac", "binom", "sqrt", "⌊", "⌈", "sum", "prod", "\\overline", "\\bar", "(", "{"})
_LISTING = frozenset({",", ";", ":", "|", "=", "<", ">", "\\le", "\\ge", "\\ne"})
_SETS = frozenset({"∪", "∩", "∖", "∈", "and", "or"})


class LookAhead(UnitReader):
    def __init__(self, tokens: list[Token]) -> None:
        if (
            tokens and tokens[0].text in ("f", "g", "h") and not any(token.text in ("mod", "pmod") for token in tokens)
        ):  # f(x) \equiv 0 says of a function what "=" says
            tokens = [token._replace(text="=") if token.text == "≡" else token for token in tokens]
        super().__init__(tokens)
        self.depth = 0
        self.sign = 1  # how a plus-minus sign is read this time
        self.forks = 0  # plus-minus signs met
        self.money = ""
        self.work = 0
        self.steps = 0
        self.bars = 0  # absolute values open
        self.congruence = any(token.text == "≡" for token in tokens)
        self.bound: dict[str, Expr] = {}  # the index of a sum being read
        self.differentials: list[tuple[str, str]] = []  # of the open integrals: the variable, and the atom that stands for dx

    def _sign(self) -> Fraction:
        text = self._expect("+", "-", "±", "∓")
        self.forks += text in ("±", "∓")
        return Fraction({"+": 1, "-": -1, "±": self.sign, "∓": -self.sign}[text])

    def _works(self, amount: int) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise Unreadable

    def _at_factor(self) -> bool:
        """Whether what follows multiplies without a sign."""
        kind, text, spaced = self._peek()
        if kind == "num":
            before = self.tokens[self.at - 1]
            exponent = spaced and before.kind == "num" and self.at > 1 and self.tokens[self.at - 2].text == "^"
            return self._peek(1).text == "^" and (before.kind == "sym" or before.text in (")", "}", "!") or exponent)
        if kind == "word":
            return len(text) <= 3 and text not in UNIT_WORDS and text not in _QUANTIFIERS and self.tokens[self.at - 1].kind != "word"
        if kind == "op" and text == "|":
            return not self.bars
        if text == "(" and self._peek(1).text in ("mod", "pmod"):
            return False
        if kind == "matrix":
            return text.startswith("\\begin") and "matrix" in text
        if kind == "op" and text in ("[", "\\{"):
            before = self.tokens[self.at - 1]
            return (before.kind == "num" or before.text in (")", "]", "}", "\\}", "!", "*", "/")) and self._groups()
        return kind == "sym" or (kind == "func" and not self._at_unit_word()) or (kind == "op" and text in _OPENERS)

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
