"""What MathML takes for granted: the operator dictionary's fences, arrows and accents, lengths, and the names that TeX has commands for.

The operator dictionary (MathML 3, appendix C) is kept only as far as it changes TeX: which operators open, close or stretch, and which
are accents when they stand over something.
"""

from data_pipeline.formulas.notations.mathml_elements import names

OPENING = frozenset("([{⌈⌊⟨⟦⟪⟬⟮❲⦃⦅⦇⦉⦋⦍⦏⦑⦓⦕⦗⧼\u2329\u3008")
CLOSING = frozenset(")]}⌉⌋⟩⟧⟫⟭⟯❳⦄⦆⦈⦊⦌⦎⦐⦒⦔⦖⦘⧽\u232a\u3009")
BARS = frozenset({"|", "‖", "⦀", "||", "|||"})
"""Open in front of something, close behind it."""
QUOTES = {"‘": "open", "“": "open", "’": "close", "”": "close"}
"""Fences that do not stretch."""

STRETCHY = frozenset(
    "←↑→↓↔↕↖↗↘↙↚↛↜↝↞↟↠↡↢↣↤↥↦↧↨↩↪↫↬↭↮↰↱↲↳↴↵↼↽↾↿⇀⇁⇂⇃⇄⇅⇆⇇⇈⇉⇊⇋⇌⇍⇎⇏⇐⇑⇒⇓⇔⇕⇚⇛⇜⇝⇞⇟⇠⇡⇢⇣⇤⇥⇦⇧⇨⇩⇪⇫⇬⇭⇮⇯⇰⇳⇵⇶⇽⇾⇿⟰⟱⟵⟶⟷⟸⟹⟺⟻⟼⟽⟾⟿"
    "⤊⤋⤌⤍⤎⤏⤐⤒⤓⥊⥋⥌⥍⥎⥏⥐⥑⥒⥓⥔⥕⥖⥗⥘⥙⥚⥛⥜⥝⥞⥟⥠⥡⥢⥣⥤⥥⥦⥧⥨⥩⥪⥫⥬⥭⥮⥯"
)
"""Infix operators that stretch."""

ACCENTS = frozenset("^_`¨¯°´¸ˆˇˉˊˋˍ˘˙˚˜˝˷‾⎴⎵⏜⏝⏞⏟⏠⏡←→↔↼⇀⥎⥐\u0302\u0311\u20db\u20dc\u20d7")
"""Operators that are accents when they stand over or under something."""

ALWAYS_ACCENTS = frozenset("⎴⎵⏞⏟\u0302\u0303\u20db\u20dc\u20d7\u0332\u0307\u0308\u030a\u030c\u0304")
"""Accents whatever the attributes say: there is no other use of them."""

FUNCTIONS = names(
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min Pr sec sin sinh"
    " sup tan tanh"
)
"""Names that TeX has as commands."""
OPERATOR_NAMES = names(
    "arccot arccsc arcsec arcosh arccosh arcsinh arsinh artanh arctanh argmax argmin csch sech sgn sign tr Tr trace rank lcm mod Re Im"
    " Res res id Id diag div grad curl rot supp span Span erf erfc Aut End Hom Gal GL SL SO SU Sp Ext Tor Spec Proj cov Cov var Var cl"
    " int im coker codim vol dist card ord lub glb st ess"
)
"""Names of functions that are `\\operatorname{..}`."""

DICTIONARY_WORDS = frozenset(
    ["!!", "!=", "&&", "**", "*=", "++", "+=", "--", "-=", "->", "/=", "//", ":=", "<=", "<>", "==", ">=", "||", "|||", "..", "..."]
    + [char + "\u0338" for char in "≂≎≏≦≪≫≿⊏⊐⧏⧐⩽⩾⪡⪢⪯⪰"]
    + ["⊂\u20d2", "⊃\u20d2"]
)
"""Operators of more than one character that the dictionary knows: not names."""

NAMED_SPACES = {
    name: (index + 1) / 18
    for index, name in enumerate(
        ["veryverythin", "verythin", "thin", "medium", "thick", "verythick", "veryverythick"],
    )
}
CHARACTER_SPACES = {
    "\u00a0": 4 / 18, "\u2000": 0.5, "\u2001": 1.0, "\u2002": 0.5, "\u2003": 1.0, "\u2004": 1 / 3, "\u2005": 4 / 18, "\u2006": 3 / 18,
    "\u2007": 1 / 3, "\u2008": 3 / 18, "\u2009": 3 / 18, "\u200a": 2 / 18, "\u200b": 0.0, "\u202f": 3 / 18, "\u205f": 4 / 18,
    "\u3000": 1.0,
}  # fmt: skip
UNITS = {"em": 1.0, "ex": 0.43, "mu": 1 / 18, "pt": 0.1, "pc": 1.2, "px": 0.0625, "in": 7.2, "cm": 2.8346, "mm": 0.28346}

VARIANTS = {
    "bold": "\\mathbf", "italic": "\\mathit", "bold-italic": "\\mathbf", "double-struck": "\\mathbb", "bold-fraktur": "\\mathfrak",
    "script": "\\mathcal", "bold-script": "\\mathcal", "fraktur": "\\mathfrak", "sans-serif": "\\mathsf", "bold-sans-serif": "\\mathbf",
    "sans-serif-italic": "\\mathsf", "sans-serif-bold-italic": "\\mathbf", "monospace": "\\mathtt",
}  # fmt: skip
"""mathvariant -> font command; "normal" has none, it is the font of the text around."""
TEXT_VARIANTS = {
    "bold": ("\\textbf",), "italic": ("\\textit",), "monospace": ("\\texttt",), "bold-italic": ("\\textit", "\\textbf"),
    "sans-serif": ("\\textsf",), "bold-sans-serif": ("\\textbf", "\\textsf"), "sans-serif-italic": ("\\textit", "\\textsf"),
    "sans-serif-bold-italic": ("\\textbf", "\\textit", "\\textsf"),
}  # fmt: skip

OVER_EXTRA = {"~": "\\tilde", "¨": "\\ddot", "˙": "\\dot", "˚": "\\mathring", "ˉ": "\\bar", "-": "\\bar", "−": "\\bar",
    "_": "\\bar", "→": "\\vec",
              "⟶": "\\overrightarrow", "←": "\\overleftarrow", "⟵": "\\overleftarrow", "↔": "\\overleftrightarrow", "⇀": "\\vec",
              ".": "\\dot", "⋅": "\\dot", "·": "\\dot", "..": "\\ddot", "⏜": "\\overparen", "―": "\\overline",
              "—": "\\overline"}  # fmt: skip
UNDER_EXTRA = {"¯": "\\underline", "–": "\\underline", "_": "\\underline", "‾": "\\underline", "-": "\\underline",
    "−": "\\underline", "→": "\\underrightarrow",
               "←": "\\underleftarrow", "―": "\\underline", "⏝": "\\underparen"}  # fmt: skip
NARROW = {"\\widehat": "\\hat", "\\widetilde": "\\tilde", "\\overline": "\\bar", "\\overrightarrow": "\\vec"}
WIDE = {"\\hat": "\\widehat", "\\tilde": "\\widetilde", "\\bar": "\\overline", "\\vec": "\\overrightarrow"}
"""The spelling of an accent over one symbol and over several."""

DELIMITERS = names(r"( ) [ ] \lbrack \rbrack | \| \{ \} \lceil \rceil \langle \rangle \lfloor \rfloor")
"""What may follow `\\left` and `\\right`."""
MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("{", "}"): "Bmatrix", ("|", "|"): "vmatrix", ("‖", "‖"): "Vmatrix"}


def length(text: str) -> float:
    """A MathML length in em; 0 where it says nothing that TeX could use."""
    text = text.strip()
    negative = text.startswith(("-", "negative"))
    text = text.removeprefix("negative").lstrip("-+")
    if text.endswith("mathspace"):
        value = NAMED_SPACES.get(text.removesuffix("mathspace"), 0.0)
    else:
        try:
            value = float(text[:-2]) * UNITS.get(text[-2:], 0.0) if len(text) < 20 else 0.0
        except ValueError:
            value = 0.0
    return -value if negative else value


def space(width: float) -> str:
    """The command for a horizontal space of that many em."""
    mu = int(width * 18 // 1) if abs(width) < 100 else 0
    return {-3: "\\!", 0: "", 3: "\\,", 4: "\\ ", 5: "\\;", 18: "\\quad", 36: "\\qquad"}.get(mu, f"\\mspace{{{mu}mu}}")
