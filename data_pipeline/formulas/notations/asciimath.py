"""AsciiMath to TeX: the notation of `script type="math/asciimath"` and of backquoted formulas.

The grammar of asciimath.org: symbols by longest match, `_` and `^` on simple expressions, `/` for fractions of what stands directly
around it, brackets that disappear when they only group the operand of a function, script or fraction, and bracketed rows that are
matrices (`[[a,b],[c,d]]`, `{(x,if x>0),(0,otherwise):}`). Unknown words are letters side by side, as AsciiMath has it. Nesting is
bounded: deeper input gives "".
"""

import re
from typing import NamedTuple

from data_pipeline.formulas.notations.mathml_elements import names
from data_pipeline.formulas.notations.unicode_to_tex import join, text_mode, to_tex

_MAX_DEPTH = 60
_MAX_LENGTH = 8_000

_SYMBOLS = r"""
* \cdot ** * *** \star // / \\ \backslash xx \times -: \div |>< \ltimes ><| \rtimes |><| \bowtie @ \circ o+ \oplus ox \otimes o. \odot
^^ \wedge vv \vee nn \cap uu \cup ^^^ \bigwedge vvv \bigvee nnn \bigcap uuu \bigcup = = != \neq := := < < > > <= \leq >= \geq -< \prec
>- \succ -<= \preceq >-= \succeq in \in !in \notin sub \subset sup \supset sube \subseteq supe \supseteq -= \equiv ~= \cong ~~ \approx
~ \sim prop \propto not \neg => \Rightarrow <=> \Leftrightarrow AA \forall EE \exists _|_ \perp TT \top |-- \vdash |== \models
int \int oint \oint del \partial grad \nabla +- \pm -+ \mp O/ \emptyset oo \infty aleph \aleph :. \therefore :' \because ... \ldots
cdots \cdots vdots \vdots ddots \ddots |...| |\ldots| |cdots| |\cdots| /_ \angle /_\ \triangle diamond \diamond square \square |__ \lfloor
__| \rfloor |~ \lceil ~| \rceil CC \mathbb{C} NN \mathbb{N} QQ \mathbb{Q} RR \mathbb{R} ZZ \mathbb{Z} PP \mathbb{P} uarr \uparrow darr
\downarrow
rarr \rightarrow -> \rightarrow >-> \rightarrowtail ->> \twoheadrightarrow >->> \twoheadrightarrow |-> \mapsto larr \leftarrow harr
\leftrightarrow
rArr \Rightarrow lArr \Leftarrow hArr \Leftrightarrow sum \sum prod \prod bigwedge \bigwedge bigvee \bigvee bigcap \bigcap bigcup \bigcup
wedge \wedge vee \vee cap \cap cup \cup oplus \oplus otimes \otimes odot \odot times \times div \div cdot \cdot ast \ast star \star
circ \circ
le \leq ge \geq leq \leq geq \geq lt < gt > ne \neq neq \neq ll \ll gg \gg mlt \ll mgt \gg prec \prec succ \succ preceq \preceq succeq
\succeq
notin \notin subset \subset supset \supset subseteq \subseteq supseteq \supseteq equiv \equiv cong \cong approx \approx sim \sim propto
\propto
neg \neg implies \Rightarrow iff \Leftrightarrow forall \forall exists \exists bot \bot top \top vdash \vdash models \models partial
\partial
nabla \nabla pm \pm mp \mp emptyset \emptyset infty \infty therefore \therefore because \because ldots \ldots quad \quad qquad \qquad
lfloor \lfloor rfloor \rfloor lceil \lceil rceil \rceil uparrow \uparrow downarrow \downarrow rightarrow \rightarrow to \to mapsto \mapsto
leftarrow \leftarrow leftrightarrow \leftrightarrow Rightarrow \Rightarrow Leftarrow \Leftarrow Leftrightarrow \Leftrightarrow setminus
\setminus
angle \angle triangle \triangle perp \perp hbar \hbar prime ' ' ' ! ! , , ; ; : : . . + + - - % \% # \# & \& ? ? $ \$
alpha \alpha beta \beta gamma \gamma Gamma \Gamma delta \delta Delta \Delta epsi \varepsilon epsilon \varepsilon varepsilon \varepsilon
zeta \zeta eta \eta theta \theta
Theta \Theta vartheta \vartheta iota \iota kappa \kappa lambda \lambda Lambda \Lambda mu \mu nu \nu xi \xi Xi \Xi pi \pi Pi \Pi rho \rho
sigma \sigma Sigma \Sigma tau \tau upsilon \upsilon phi \phi varphi \varphi Phi \Phi chi \chi psi \psi Psi \Psi omega \omega Omega \Omega
dx dx dy dy dz dz dt dt
"""
_FUNCTIONS = [
    "sin",
    "cos",
    "tan",
    "sec",
    "csc",
    "cot",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "coth",
    "exp",
    "log",
    "ln",
    "det",
    "dim",
    "gcd",
    "lim",
    "max",
    "min",
    "Lim",
    "sech",
    "csch",
    "mod",
    "lcm",
    "lub",
    "glb",
    "f",
    "g",
]
_FUNCTION_TEX = {
    "Lim": "\\operatorname{Lim}", "sech": "\\operatorname{sech}", "csch": "\\operatorname{csch}", "mod": "\\operatorname{mod}",
    "lcm": "\\operatorname{lcm}", "lub": "\\operatorname{lub}", "glb": "\\operatorname{glb}", "f": "f", "g": "g",
}  # fmt: skip
_WRAPPERS = {"abs": ("|", "|"), "norm": ("\\|", "\\|"), "floor": ("\\lfloor", "\\rfloor"), "ceil": ("\\lceil", "\\rceil")}
_UNARY = {
    "sqrt": "\\sqrt", "hat": "\\hat", "bar": "\\overline", "overline": "\\overline", "vec": "\\vec", "dot": "\\dot", "ddot": "\\ddot",
    "tilde": "\\tilde", "overarc": "\\overparen", "ul": "\\underline", "underline": "\\underline", "ubrace": "\\underbrace",
    "underbrace": "\\underbrace", "obrace": "\\overbrace", "overbrace": "\\overbrace", "cancel": "\\cancel", "bb": "\\mathbf",
    "mathbf": "\\mathbf", "bbb": "\\mathbb", "mathbb": "\\mathbb", "cc": "\\mathcal", "mathcal": "\\mathcal", "tt": "\\mathtt",
    "mathtt": "\\mathtt", "fr": "\\mathfrak", "mathfrak": "\\mathfrak", "sf": "\\mathsf", "mathsf": "\\mathsf",
    "rm": "\\mathrm", "mathrm": "\\mathrm",
}  # fmt: skip
_BINARY = {
    "frac": "\\frac",
    "root": "",
    "stackrel": "\\overset",
    "overset": "\\overset",
    "underset": "\\underset",
    "color": "",
    "id": "",
    "class": "",
}
_LEFT = {"(": "(", "[": "[", "{": "\\{", "(:": "\\langle", "<<": "\\langle", "langle": "\\langle", "{:": ".", "|:": "|"}
_RIGHT = {")": ")", "]": "]", "}": "\\}", ":)": "\\rangle", ">>": "\\rangle", "rangle": "\\rangle", ":}": ".", ":|": "|"}
_TALL = ("\\frac", "\\sum", "\\int", "\\prod", "\\begin", "\\overset", "\\underset", "\\sqrt")
_TEXT = {"text", "mbox"}
_OF_ANYTHING = names("sin cos tan sec csc cot arcsin arccos arctan sinh cosh tanh coth exp log ln sech csch det")
"""Functions that take the next expression as their argument, bracketed or not."""

_TABLE: dict[str, str] = {}
_pairs = _SYMBOLS.split()
_TABLE.update(zip(_pairs[::2], _pairs[1::2], strict=True))
_TABLE.update({"if": "\\text{if }", "otherwise": "\\text{otherwise}", "and": "\\text{ and }", "or": "\\text{ or }"})
_NAMES = {*_TABLE, *_FUNCTIONS, *_WRAPPERS, *_UNARY, *_BINARY, *_LEFT, *_RIGHT, *_TEXT, "/", "_", "^", "|"}
_LONGEST = max(map(len, _NAMES))
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")


class Piece(NamedTuple):
    """TeX of an expression; for a bracketed group also what is inside, so that grouping brackets can go."""

    tex: str
    inside: str | None = None
    """The contents of a bracketed group."""
    cells: tuple[str, ...] = ()
    """The contents of a group at its top-level commas."""


def asciimath_to_tex(text: str) -> str:
    """The TeX of an AsciiMath formula; "" where it is longer or deeper than any formula."""
    if len(text) > _MAX_LENGTH:
        return ""
    try:
        parser = _Parser(_tokens(text.strip().strip("`")))
        parts: list[str] = []
        while parser.at < len(parser.tokens):
            parts.append(parser.expression(0, frozenset()).tex)
            if parser.at < len(parser.tokens):
                parts.append(_bracket(parser.next()))
        return _spaced(parts).strip()
    except _TooDeepError:
        return ""


class _TooDeepError(ValueError):
    """Nested deeper than any formula."""


def _bracket(token: str) -> str:
    tex = _LEFT.get(token) or _RIGHT.get(token) or token
    return "" if tex == "." else tex


def _tokens(text: str) -> list[str]:
    """Symbols by longest match; a text in quotes or `text(..)` is one token that begins with a double quote."""
    found: list[str] = []
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if char.isspace():
            at += 1
            continue
        if char == '"':
            stop = text.find('"', at + 1)
            stop = end if stop < 0 else stop
            found.append('"' + text[at + 1 : stop])
            at = stop + 1
            continue
        number = _NUMBER.match(text, at)
        if number:
            found.append(number[0])
            at = number.end()
            continue
        name = next((text[at : at + size] for size in range(min(_LONGEST, end - at), 0, -1) if text[at : at + size] in _NAMES), char)
        at += len(name)
        if name in _TEXT:
            opening = text[at : at + 1]
            closing = {"(": ")", "[": "]", "{": "}"}.get(opening, "")
            stop = text.find(closing, at) if closing else -1
            if stop >= 0:
                found.append('"' + text[at + 1 : stop])
                at = stop + 1
                continue
        elif name == "\\" and text[at : at + 1].isspace():
            name = "\\ "
        found.append(name)
    return found


class _Parser:
    """One pass over the tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expression(self, depth: int, stops: frozenset[str]) -> Piece:
        """A row up to a closing bracket; fractions and the commas of a group are found on the way."""
        if depth > _MAX_DEPTH:
            raise _TooDeepError
        row: list[str] = []
        cells: list[str] = []
        while self.at < len(self.tokens):
            token = self.peek()
            if token in _RIGHT or token in stops:
                break
            if token == ",":
                self.at += 1
                cells.append(_spaced(row))
                row = []
                continue
            piece = self.intermediate(depth, stops)
            if self.peek() == "/" and self.at + 1 < len(self.tokens):
                self.at += 1
                below = self.intermediate(depth, stops)
                row.append(f"\\frac{{{_argument(piece)}}}{{{_argument(below)}}}")
            else:
                row.append(piece.tex)
        cells.append(_spaced(row))
        return Piece(", ".join(cells), cells=tuple(cells))

    def intermediate(self, depth: int, stops: frozenset[str]) -> Piece:
        """A simple expression with its scripts."""
        base = self.simple(depth, stops)
        sub = sup = ""
        scripted = False
        if self.peek() == "_":
            self.at += 1
            sub, scripted = self.script(depth, stops), True
        if self.peek() == "^":
            self.at += 1
            sup, scripted = self.script(depth, stops), True
        if not scripted:
            return base
        if base.tex.startswith(("\\underbrace", "\\overbrace")) or not any(mark in base.tex for mark in "^_") or base.inside is not None:
            head = base.tex or "{}"
        else:
            head = f"{{{base.tex}}}"
        return Piece(head + (f"_{{{sub}}}" if sub else "") + (f"^{{{sup}}}" if sup else ""))

    def simple(self, depth: int, stops: frozenset[str]) -> Piece:
        if depth > _MAX_DEPTH:
            raise _TooDeepError
        token = self.next()
        if token.startswith('"'):
            return Piece(f"\\text{{{text_mode(token[1:])}}}")
        if token in _LEFT:
            return self.group(token, depth)
        if token == "|":
            return self.bars(depth, stops)
        if token in _WRAPPERS:
            left, right = _WRAPPERS[token]
            return Piece(_fence(left, _argument(self.simple(depth + 1, stops)), right))
        if token in _UNARY:
            argument = _argument(self.simple(depth + 1, stops))
            if token in ("hat", "tilde") and len(argument) > 1 and not argument.startswith("\\"):
                return Piece(f"\\wide{token}{{{argument}}}")
            return Piece(f"{_UNARY[token]}{{{argument}}}")
        if token in _BINARY:
            return self.binary(token, depth, stops)
        if token in _FUNCTIONS:
            return self.function(token, depth, stops)
        if token in ("/", "_", "^"):
            return Piece({"_": "\\_", "^": "\\hat{}"}.get(token, token))
        if token == "\\ ":
            return Piece("\\ ")
        if token in _RIGHT:
            self.at -= 1
            return Piece("")
        return Piece(_TABLE.get(token) or to_tex(token))

    def binary(self, token: str, depth: int, stops: frozenset[str]) -> Piece:
        first, second = _argument(self.simple(depth + 1, stops)), _argument(self.simple(depth + 1, stops))
        if token == "root":
            return Piece(f"\\sqrt[{first}]{{{second}}}")
        if not _BINARY[token]:
            return Piece(second)
        return Piece(f"{_BINARY[token]}{{{first}}}{{{second}}}")

    def function(self, token: str, depth: int, stops: frozenset[str]) -> Piece:
        """A function with its argument, so that `sin(x)/x` is a fraction; with scripts the name alone."""
        name = _FUNCTION_TEX.get(token, "\\" + token)
        following = self.peek()
        if not following or following in _RIGHT or following in stops or following in ("_", "^", "/", "|", ","):
            return Piece(name)
        if following not in _LEFT and token not in _OF_ANYTHING:
            return Piece(name)
        return Piece(join([name, self.simple(depth + 1, stops).tex]))

    def script(self, depth: int, stops: frozenset[str]) -> str:
        """What `_` or `^` applies to: one expression, or a sign and a number."""
        if self.peek() == "-" and self.at + 1 < len(self.tokens) and (self.tokens[self.at + 1][0].isalnum()):
            self.at += 1
            return "-" + _argument(self.simple(depth, stops))
        return _argument(self.simple(depth, stops))

    def group(self, opening: str, depth: int) -> Piece:
        row = self.expression(depth + 1, frozenset())
        left = _LEFT[opening]
        right = _RIGHT[self.next()] if self.peek() in _RIGHT else "."
        matrix = _matrix(left, right, row.cells)
        if matrix is not None:
            return Piece(matrix)
        return Piece(_fence(left, row.tex, right), inside=row.tex if left in ("(", "[", "\\{", ".") else None)

    def bars(self, depth: int, stops: frozenset[str]) -> Piece:
        """`|x|`: bars around what follows if a second one comes before the group ends, a single bar otherwise."""
        start = self.at
        level = 0
        for index in range(start, min(len(self.tokens), start + 200)):
            token = self.tokens[index]
            level += (token in _LEFT) - (token in _RIGHT)
            if level < 0:
                break
            if token == "|" and level == 0 and index > start and "|" not in stops:
                row = self.expression(depth + 1, stops | {"|"})
                if self.peek() == "|":
                    self.at += 1
                    matrix = _matrix("|", "|", row.cells)
                    return Piece(matrix or _fence("|", row.tex, "|"))
                self.at = start
                break
        return Piece("\\mid" if "|" not in stops else "|")


def _argument(piece: Piece) -> str:
    """An operand: brackets that only held it together are gone."""
    return piece.tex if piece.inside is None else piece.inside


def _fence(left: str, inside: str, right: str) -> str:
    if left == "." and right == ".":
        return inside
    if "." in (left, right) or any(mark in inside for mark in _TALL):
        return f"\\left{left} {inside} \\right{right}"
    return join([left, inside, right])


def _matrix(left: str, right: str, cells: tuple[str, ...]) -> str | None:
    """Rows in brackets, all of the same length and more than one (or one with several cells): a matrix, or cases."""
    if not cells or not all(
        (cell[:1], cell[-1:]) in (("[", "]"), ("(", ")")) or cell.startswith(("\\left( ", "\\left[ ")) for cell in cells
    ):
        return None
    rows = [_cells(cell) for cell in cells]
    if len({len(row) for row in rows}) != 1 or (len(rows) < 2 and (len(rows[0]) < 2 or left not in ("(", "[", "|"))):
        return None
    body = " \\\\ ".join(" & ".join(row) for row in rows)
    if left == "\\{" and right == ".":
        return f"\\begin{{cases}} {body} \\end{{cases}}"
    name = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("\\{", "\\}"): "Bmatrix", (".", "."): "matrix"}.get(
        (left, right)
    )
    if name is not None:
        return f"\\begin{{{name}}} {body} \\end{{{name}}}"
    return f"\\left{left} \\begin{{matrix}} {body} \\end{{matrix}} \\right{right}"


def _cells(row: str) -> list[str]:
    """The cells of a bracketed row: its contents at the commas outside all brackets."""
    inside = row.removeprefix("\\left").removesuffix("\\right" + row[-1:])[1:]
    inside = inside[: -1 if not row.startswith("\\left") else len(inside)].strip()
    cells, level, start = [], 0, 0
    for index, char in enumerate(inside):
        level += (char in "([{") - (char in ")]}")
        if char == "," and level == 0:
            cells.append(inside[start:index].strip())
            start = index + 1
    return [*cells, inside[start:].strip()]


def _spaced(parts: list[str]) -> str:
    """Parts of a row: relations and binary signs between spaces, text apart from its neighbours, commands from letters."""
    out: list[str] = []
    for part in parts:
        if not part:
            continue
        if part in ("-", "+", "\\pm", "\\mp") and (not out or out[-1].endswith((" ", "("))):
            out.append(part)
        elif part in _APART:
            out.append(f" {part} " if out and not out[-1].endswith((" ", "(")) else f"{part} ")
        elif part.startswith("\\text{"):
            out.append(part if not out or part.startswith("\\text{ ") else " " + part)
        elif out and out[-1].startswith("\\text{") and not out[-1].endswith(" }"):
            out.append(" " + part)
        else:
            out.append(part)
    return join(out).replace("  ", " ").strip()


_APART = names(
    "= \\neq < > \\leq \\geq \\prec \\succ \\preceq \\succeq \\in \\notin \\subset \\supset \\subseteq \\supseteq"
    " \\equiv \\cong \\approx \\sim \\propto"
    " \\Rightarrow \\Leftrightarrow \\rightarrow \\to \\leftarrow \\leftrightarrow \\mapsto + - \\pm \\mp \\cdot"
    " \\times \\div \\mid := \\models \\vdash"
    " \\wedge \\vee \\cap \\cup \\ll \\gg \\oplus \\otimes \\circ"
)
