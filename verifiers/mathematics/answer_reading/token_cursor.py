r"""A cursor over tokens, the lowest part of the parser of answers: what comes next, the units behind a number, whether a product goes on.

What a word behind a number may not be, for the number to keep its value beside it, is listed: "5 or 6" is two answers, "5 squared" is 25.
A number multiplies what stands before it only as the base of a power, behind a letter, a bracket, a factorial or an exponent set apart:
n 2^n is a product, while "x 3" and "3 4" may be anything and are none.
"""

import re
from fractions import Fraction

from verifiers.mathematics.answer_reading.latex_tokens import Token
from verifiers.mathematics.answer_reading.units import CURRENCIES, SURE_UNITS, UNIT_WORDS, is_glued
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
_END = Token("end", "", False)
_NESTING = {"(": 1, "[": 1, "{": 1, "\\{": 1, ")": -1, "]": -1, "}": -1, "\\}": -1}


def nesting(token: Token) -> int:
    """1 for a token that opens a bracket, -1 for one that closes it."""
    return _NESTING.get(token.text, 0)


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


class TokenCursor:
    """Every method reads from `self.at` and raises `Unreadable` where the grammar ends."""

    def __init__(self, tokens: list[Token]) -> None:
        if (
            tokens and tokens[0].text in ("f", "g", "h") and not any(token.text in ("mod", "pmod") for token in tokens)
        ):  # f(x) \equiv 0 says of a function what "=" says
            tokens = [token._replace(text="=") if token.text == "≡" else token for token in tokens]
        self.tokens = tokens
        self.at = 0
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

    def _peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _END

    def _advance(self) -> bool:
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
            if self._take("%") or (self._peek().text in ("pct", "percent", "percentage") and self._advance()):
                words.append("%")
            elif words and self._take("^"):
                words[-1] += f"^{self._unit_power()}"
            elif self._next_op("(") and (noun := self._words_in_brackets()):
                words.append(" ".join(noun))
                self.at += len(noun) + 2
            elif self._at_unit_word() or (words and self._next_op("/", *CURRENCIES)) or self._next_op(*CURRENCIES):
                words.append(self._peek().text)
                self.at += 1
            else:
                return " ".join(words)

    def _words_in_brackets(self) -> list[str]:
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
            return len(text) > 3 or short or (text in SURE_UNITS and self.tokens[self.at - 1].spaced)
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

    def _sign(self) -> Fraction:
        text = self._expect("+", "-", "±", "∓")
        self.forks += text if text in ("±", "∓") else ""
        return Fraction({"+": 1, "-": -1, "±": self.sign, "∓": -self.sign}[text])

    def _count_work(self, amount: int) -> None:
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
            return not (self._peek(1).text in ("mod", "pmod") or self._words_in_brackets())
        if text in ("[", "\\{"):
            before = self.tokens[self.at - 1]
            if before.kind == "sym":  # n[n+1]; f[x] is another thing
                return text == "[" and self._holds_a_sum() and self._is_grouping()
            return (before.kind == "num" or before.text in (")", "]", "}", "\\}", "!", "*", "/")) and self._is_grouping()
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

    def _is_grouping(self) -> bool:
        r"""Whether the bracket or brace here only groups, as in [1+2][3-4] and 2\{3[x-(y+1)]+2\}.

        [x] and \{x\} may be the whole and the fractional part of x, and a list or set has commas.
        """
        closing = {"[": "]", "\\{": "\\}"}[self._peek().text]
        depth, ahead, inner, letters = 0, 1, False, 0
        while depth or self._peek(ahead).text != closing:
            token = self._peek(ahead)
            if token.kind == "end" or (depth == 0 and token.text in _LISTING) or token.text in _SETS:
                return False
            depth += nesting(token)
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


def _changes_the_number(text: str) -> bool:
    """Whether a word here asks for more than the number: a scale, a comparison, a doubt. Adverbs (roughly, allegedly) are doubts."""
    words = re.findall(r"[a-z]+", text.lower())
    return any(word in _NO_UNIT or (word.endswith("ly") and len(word) > 5 and word != "family") for word in words)


def _is_participle(word: str) -> bool:
    return len(word) > 5 and word.endswith("ed") and not word.endswith("eed") and word != "hundred"
