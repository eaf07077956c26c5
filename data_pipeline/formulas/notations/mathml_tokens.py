"""Token elements of Presentation MathML: identifiers, numbers, operators, text, strings and spaces."""

from data_pipeline.formulas.notations import mathml_dictionary as tables
from data_pipeline.formulas.notations.mathml_elements import Element
from data_pipeline.formulas.notations.mathml_rows import Place
from data_pipeline.formulas.notations.tex_atoms import EMPTY, Atom
from data_pipeline.formulas.notations.unicode_tex_table import EXTENDED, SPACES
from data_pipeline.formulas.notations.unicode_to_tex import ALPHABETS, join, kind, symbol, text_mode, token


def _plain_letters(text: str, place: Place) -> str:
    """Letters of the alphabet that the style around already sets are plain letters."""
    font = tables.VARIANTS.get(place.variant)
    if font is None or text.isascii():
        return text
    return "".join(ALPHABETS[char][1] if ALPHABETS.get(char, ("",))[0] == font else char for char in text)


def mi(element: Element, place: Place) -> Atom:
    text = _plain_letters(element.content(), place)
    if not text:
        return EMPTY
    variant = place.variant if element.attributes.get("mathvariant") is None else element.attributes["mathvariant"].strip().lower()
    name = text.replace(" ", "").replace("\u2009", "").replace("\u00a0", "")
    if name in tables.FUNCTIONS:
        atom = Atom("\\" + name, "op", name)
    else:
        atom = _identifier(text, variant if "mathvariant" in element.attributes else "")
    if variant == place.variant:
        return atom
    font = tables.VARIANTS.get(variant)
    if font is None:
        return atom
    return Atom(f"{font}{{{_unstyled(text, font, atom)}}}", "style", flat=True)


def _unstyled(text: str, font: str, atom: Atom) -> str:
    """The letter inside its font command: a character that already is of that alphabet is its plain letter."""
    if any(ALPHABETS.get(char, ("",))[0] == font for char in text):
        return join([symbol(ALPHABETS[char][1] if char in ALPHABETS else char) for char in text])
    return atom.tex


def _identifier(text: str, variant: str) -> Atom:
    """An identifier as a person writes it: names of functions and upright names have their commands."""
    if text in tables.OPERATOR_NAMES and variant in ("", "normal"):
        return Atom(f"\\operatorname{{{text}}}", "op", text)
    if len(text) == 1:
        tex = EXTENDED.get(text) or symbol(text)
        if variant == "normal" and text.isascii() and text.isalpha():
            tex = f"\\mathrm{{{tex}}}"
        return Atom(tex, "space" if tex in SPACES.values() else "ord", text, True)
    if " " in text:
        return Atom(f"\\text{{{text_mode(text)}}}", "text", flat=True)
    tex = join(token(text))
    letters = text.isascii() and text.isalpha()
    return Atom(f"\\mathrm{{{tex}}}" if letters and variant in ("", "normal") else tex, "ord" if letters else "group", flat=True)


def mn(element: Element, place: Place) -> Atom:
    text = _plain_letters(element.content(), place)
    if not text:
        return EMPTY
    tex = join([EXTENDED.get(char) or symbol(char) for char in text])
    variant = element.attributes.get("mathvariant")
    font = tables.VARIANTS.get(variant.strip().lower()) if variant and variant != place.variant else None
    return Atom(f"{font}{{{tex}}}" if font else tex, "ord", flat=True)


def mo(element: Element, place: Place) -> Atom:
    text = _plain_letters(element.content(), place)
    form = element.attributes.get("form", "").strip() or place.form or "infix"
    side = _fence_side(text, form)
    stretchy = place.attribute(element, "stretchy")
    stretches = text in tables.STRETCHY or (side in ("open", "close", "middle") and text not in tables.QUOTES)
    if stretchy is not None:
        stretches = stretchy.strip() == "true"
    tex = _operator(text)
    if stretches and not place.script and tex:
        return Atom(tex, side if side in ("open", "close") else "middle", text)
    accent = place.attribute(element, "accent")
    if (text in tables.ACCENTS if accent is None else accent.strip() == "true") or text in tables.ALWAYS_ACCENTS:
        return Atom(tex, "accent", text, True)
    if side in ("open", "close"):
        return Atom(tex, "ord", text)
    return _symbol(text, tex)


def _fence_side(text: str, form: str) -> str:
    """Which side a fence is on, by the operator dictionary; "" for what is no fence."""
    if text in tables.OPENING:
        return "open"
    if text in tables.CLOSING:
        return "close"
    if text in tables.BARS:
        return {"prefix": "open", "postfix": "close"}.get(form, "middle")
    return tables.QUOTES.get(text, "")


def _operator(text: str) -> str:
    """An operator's TeX."""
    if len(text) == 1:
        return _PLAIN_OPERATORS.get(text) or EXTENDED.get(text) or symbol(text)
    if len(text) == 2 and text[1] == "\u0338":
        return "\\not" + symbol(text[0])
    return join(token(text))


_PLAIN_OPERATORS = {"[": "[", "]": "]", "∗": "*", "ⅆ": "\\mathrm{d}", "ⅇ": "\\mathrm{e}", "ⅈ": "\\mathrm{i}", "^": "\\wedge",
    "∧": "\\wedge",
                    "\u0302": "\\hat{}", "‐": "-", "–": "-", "≔": "\\coloneqq", "∕": "/", "⊨": "\\models", "∥": "\\|",
                    "△": "\\triangle"}  # fmt: skip


def _symbol(text: str, tex: str) -> Atom:
    """An operator that is no fence: a symbol of its class, or the name of a function."""
    if len(text) == 1:
        if not tex:
            return EMPTY
        name = kind(text)
        if text in SPACES:
            return Atom(tex, "space", text, True)
        classes = {"rel": "spaced", "bin": "spaced", "op": "op", "accent": "accent"}
        return Atom(tex, "ord" if tex == "\\|" else classes.get(name, "ord"), text, name not in ("open", "close", "fence", "accent"))
    if text in tables.DICTIONARY_WORDS:
        return Atom(tex, "spaced", text, True)
    name = text.replace(" ", "").replace("\u2009", "").replace("\u00a0", "")
    if name in tables.FUNCTIONS:
        return Atom("\\" + name, "op", name)
    if not text:
        return EMPTY
    if text in ("mod", "bmod"):
        return Atom("\\bmod", "spaced")
    if not text.isascii() or not text.replace(" ", "").isalpha():
        return Atom(tex, "spaced" if any(not char.isalnum() for char in text) else "ord", text, True)
    if text in tables.OPERATOR_NAMES or " " not in text:
        return Atom(f"\\operatorname{{{tex}}}", "op", text)
    return Atom(f"\\text{{ {text_mode(text)} }}", "text", flat=True)


def mtext(element: Element, place: Place) -> Atom:
    text = _plain_letters(element.content(), place)
    if not text:
        return EMPTY
    if len(text) > 1:
        text = _outer_spaces(element, text).replace("\u00a0", " ")
    return _text_atom(text, place.attribute(element, "mathvariant") or "normal")


def _outer_spaces(element: Element, text: str) -> str:
    """The text with a space at an end that had one: MathML drops it, but whoever wrote `if ` meant it; line breaks are layout."""
    raw = "".join(part for part in element.text if isinstance(part, str))
    before, after = raw[: len(raw) - len(raw.lstrip(" \t\r\n"))], raw[len(raw.rstrip(" \t\r\n")) :]
    return (" " if before == " " else "") + text + (" " if after == " " else "")


def _text_atom(text: str, variant: str) -> Atom:
    if len(text) == 1 and text in tables.CHARACTER_SPACES and variant == "normal":
        tex = tables.space(tables.CHARACTER_SPACES[text])
        return Atom(tex, "space", flat=True) if tex else EMPTY
    return Atom(_styled_text(text, variant), "text")


def _styled_text(text: str, variant: str) -> str:
    tex = text_mode(text)
    for command in reversed(tables.TEXT_VARIANTS.get(variant, ("\\text",))):
        tex = f"{command}{{{tex}}}"
    return tex


def ms(element: Element, place: Place) -> Atom:
    left, right = place.attribute(element, "lquote"), place.attribute(element, "rquote")
    quoted = ("“" if left is None else left) + element.content() + ("”" if right is None else right)
    return Atom(_styled_text(quoted, place.attribute(element, "mathvariant") or "normal"), "text") if quoted else EMPTY


def mspace(element: Element, place: Place) -> Atom:
    tex = tables.space(tables.length(element.attributes.get("width", "0")))
    return Atom(tex, "space", flat=True) if tex else EMPTY
