"""Unicode mathematics to TeX: single symbols for the MathML converter, running text for everybody else.

`symbol` answers for one character as a MathML token has it: the command of LaTeX with amsmath and amssymb, a letter of a mathematical
alphabet in its font (`𝔸` is `\\mathbb{A}`), or the character itself. `to_tex` reads text: runs of an alphabet share one font command,
superscript and subscript characters become `^{..}` and `_{..}`, combining marks accents, `√` takes what follows it, `½` a fraction, and
characters without a command get a readable spelling (`≉` is `\\not\\approx`). ASCII passes unchanged: text around may be TeX already.

Bold italic and bold sans-serif alphabets are `\\mathbf`, script ones `\\mathcal`: LaTeX's standard fonts have no more.
"""

import unicodedata
from functools import lru_cache

from data_pipeline.formulas.notations.unicode_tex_table import (
    ACCENTS_OVER,
    ACCENTS_UNDER,
    BASE,
    ESCAPED,
    EXTENDED,
    INVISIBLE,
    RADICALS,
    SPACES,
)

_MAX_ROOT = 400
_MAX_NESTED = 8
_MAX_ACCENTED = 60

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀᵝᵞᵟᵠᵡ", "0123456789+-=()niabcdefghjklmoprstuvwxyzTβγδφχ", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥᵦᵧᵨᵩᵪ", "0123456789+-=()aeoxhklmnpstijruvβγρφχ", strict=True))


def _alphabets() -> dict[str, tuple[str, str]]:
    """Character of a mathematical alphabet -> (font command, plain letter), from the Unicode names."""
    found: dict[str, tuple[str, str]] = {}
    for code in [*range(0x2100, 0x2150), *range(0x1D400, 0x1D800)]:
        name = unicodedata.name(chr(code), "")
        mark, _, plain = unicodedata.decomposition(chr(code)).partition(" ")
        if mark != "<font>" or " " in plain:
            continue
        plain = chr(int(plain, 16))
        font = _font(name)
        if font == "" and 0x391 <= ord(plain) <= 0x3A9:
            font = "\\mathit"
        if font is not None:
            found[chr(code)] = (font, plain)
    return found


def _font(name: str) -> str | None:
    """The font command of a letter called `name`; "" where TeX needs none, None where it is no letter of an alphabet."""
    if "SCRIPT" in name:
        return "\\mathcal"
    if "FRAKTUR" in name or "BLACK-LETTER" in name:
        return "\\mathfrak"
    if "DOUBLE-STRUCK" in name:
        return "\\mathbb"
    if not name.startswith("MATHEMATICAL"):
        return None
    if "MONOSPACE" in name:
        return "\\mathtt"
    if "BOLD" in name:
        return "\\mathbf"
    if "SANS-SERIF" in name:
        return "\\mathsf"
    return ""


ALPHABETS = _alphabets()
"""Letter of a mathematical alphabet -> (font command or "", plain letter)."""


def join(parts: list[str]) -> str:
    """TeX fragments in one string, with a space where a control word would run into a letter or digit."""
    out: list[str] = []
    for part in parts:
        if part:
            if out and part[0].isalnum() and ends_in_word(out[-1]):
                out.append(" ")
            out.append(part)
    return "".join(out)


def ends_in_word(tex: str) -> bool:
    """Whether a fragment ends in a control word: the next letter would become part of it."""
    end = len(tex)
    while end and tex[end - 1].isascii() and tex[end - 1].isalpha():
        end -= 1
    return 0 < end < len(tex) and tex[end - 1] == "\\" and not tex.endswith("\\\\", 0, end)


@lru_cache(maxsize=4096)
def symbol(char: str) -> str:
    """The TeX of one character of a MathML token; "" for characters that print nothing."""
    known = BASE.get(char)
    if known is not None:
        return known[0] + "{}" if known[1] == "accent" else known[0]
    if char < "\x7f":
        return ESCAPED.get(char, char)
    if char in INVISIBLE:
        return ""
    letter = ALPHABETS.get(char)
    if letter is not None:
        plain = symbol(letter[1])
        if char == "𝕜":
            return "\\Bbbk"
        return f"{letter[0]}{{{plain}}}" if letter[0] else plain
    if char in RADICALS:
        return RADICALS[char] + "{}"
    return SPACES.get(char, char).rstrip()


def kind(char: str) -> str:
    """The class of a character: "rel", "bin", "op", "open", "close", "punct", "accent" or "ord"."""
    if char < "\x7f":
        return {"=": "rel", "<": "rel", ">": "rel", "+": "bin", "-": "bin", ",": "punct", ";": "punct", ":": "punct", "!": "punct"}.get(
            char, "ord"
        )
    known = BASE.get(char)
    return known[1] if known is not None else "ord"


def token(text: str) -> list[str]:
    """The symbols of a token's text."""
    return [tex for tex in map(symbol, text) if tex]


def text_mode(text: str) -> str:
    """Text for the inside of `\\text{..}`: only what TeX would take for a command is escaped."""
    return "".join(_TEXT_ESCAPES.get(char, char) for char in text)


_TEXT_ESCAPES = {"#": "\\#", "$": "\\$", "%": "\\%", "&": "\\&", "_": "\\_", "{": "\\{", "}": "\\}",
    "~": "\\textasciitilde ", "\\": "\\textbackslash ",
                 "^": "\\textasciicircum ", "\u00a0": "~"}  # fmt: skip


def to_tex(characters: str) -> str:
    """Unicode mathematics in running text as TeX; ASCII and letters without a TeX name stay as they are."""
    parts: list[str] = []
    at, end = 0, len(characters)
    while at < end:
        char = characters[at]
        if char < "\x7f":
            parts.append(char)
            at += 1
        elif char in SUPERSCRIPTS or char in SUBSCRIPTS:
            table, mark = (SUPERSCRIPTS, "^") if char in SUPERSCRIPTS else (SUBSCRIPTS, "_")
            stop = _run(characters, at, table)
            parts.append(f"{mark}{{{join([symbol(table[c]) for c in characters[at:stop]])}}}")
            at = stop
        elif char in ALPHABETS and ALPHABETS[char][0] and char not in BASE and char not in EXTENDED:
            font = ALPHABETS[char][0]
            stop = at + 1
            while stop < end and ALPHABETS.get(characters[stop], ("",))[0] == font:
                stop += 1
            parts.append(f"{font}{{{join([symbol(ALPHABETS[c][1]) for c in characters[at:stop]])}}}")
            at = stop
        elif char in RADICALS:
            inside, at = _radicand(characters, at + 1)
            parts.append(f"{RADICALS[char]}{{{to_tex(inside)}}}" if inside else "\\surd")
        elif unicodedata.combining(char) and parts and len(parts[-1]) < _MAX_ACCENTED:
            command = ACCENTS_OVER.get(char) or ACCENTS_UNDER.get(char)
            if command is not None:
                parts[-1] = f"{command}{{{parts[-1]}}}"
            elif char == "\u0338":
                parts[-1] = "\\not" + parts[-1]
            else:
                parts.append(char)
            at += 1
        else:
            parts.append(EXTENDED.get(char) or symbol(char))
            at += 1
    return join(parts)


def _run(text: str, at: int, table: dict[str, str]) -> int:
    while at < len(text) and text[at] in table:
        at += 1
    return at


def _radicand(text: str, at: int) -> tuple[str, int]:
    """What stands under a `√` whose operand begins at `at`, and where it ends: a bracketed group, a number, or one character."""
    if at >= len(text):
        return "", at
    if text[at] == "(":
        depth = 0
        for end in range(at, min(len(text), at + _MAX_ROOT)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth > _MAX_NESTED:
                break
            if depth == 0:
                inside = text[at + 1 : end]
                return ("", at) if any(radical in inside for radical in RADICALS) else (inside, end + 1)
        return "", at
    if text[at] in RADICALS:
        return "", at
    end = at
    while end < len(text) and (text[end].isdigit() or (text[end] == "." and text[end + 1 : end + 2].isdigit())) and text[end].isascii():
        end += 1
    return text[at : max(end, at + 1)], max(end, at + 1)
