"""The TeX of a formula that a page shows as an image.

Two places hold it: the address of a rendering service (codecogs, WordPress, mimetex, Google charts, ...: the TeX is in the query), and
the alt or title text. An address of a service is proof enough. Alt text counts as it stands where the image's class or address says
that it is a formula (Sphinx `math`, doxygen `formulaInl`, Wikipedia `mwe-math-fallback-image-inline`, AoPS `latex`); on any other
image only where it is between delimiters or unmistakably TeX. A photo called "x_1.jpg" stays out.

Services' own commands are no mathematics and go: `\\dpi{120}`, `\\bg_white`, `\\inline`, `\\large`, WordPress' `&bg=ffffff`.
Left out: images whose address holds a hash only and that have no alt text; nothing here looks at pixels.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

from data_pipeline.formulas.formula import Formula, clean, undelimit
from data_pipeline.formulas.notations.asciimath import asciimath_to_tex
from data_pipeline.formulas.notations.mathml import mathml_string_to_tex
from data_pipeline.formulas.notations.tex_text import is_tex, prose_words

_SERVICE = re.compile(
    r"""latex\.codecogs\.com/(?:[a-z]{2,6}(?:\.[a-z]{2,8})?/?)?(?:\?|/)
      | (?:^|[./])codecogs\.com/(?:gif|png|svg|pdf)\.(?:latex|download|image)\?
      | (?:eq)?latex(?:it)?(?:render)?\.(?:php|cgi|ashx|aspx|png|gif)/?\?
      | (?:mimetex|mathtex|mathtran|math|tex|latex|texer|eqn|equation)(?:\.(?:cgi|exe|php|pl|fcgi|ashx|aspx))\d?/?\?
      | cgi-bin/(?:mime|math)?tex\?
      | latex\.csdn\.net/[a-z]{0,6}\? | tex\.z-dn\.net/\?f= | latex\.vimsky\.com/[a-z.]{0,40}\?
      | math\.(?:now\.sh|vercel\.app)/?\?(?:(?:inline|color|alternateColor|bgColor)=[^&]{0,40}&)*(?:from|inline)=
      | render\.githubusercontent\.com/render/math\?
      | (?:i\.upmath\.me|tex\.s2cms\.ru)/(?:svg|png|g)/
      | (?:www\.)?zhihu\.com/equation\?tex=
      | (?:chart\.(?:googleapis|apis\.google)\.com/chart|google\.com/chart)\?
      | (?:rasr\.me|texify|tex-image-link-generator|mathurl\.com|sciweavers\.org/tex2img\.php|latex\.numberempire\.com/render
          |quicklatex\.com|latexrender|jetpack\.wordpress)[^?]{0,60}\?
      | [?&](?:latex|tex|eq|formula|equation|chl)=(?=[^&]{0,60}(?:%5C|\\|%7B|\^|%5E|_))
    """,
    re.X | re.I,
)
_PATH = re.compile(r"(?:i\.upmath\.me|tex\.s2cms\.ru)/(?:svg|png|g)/")
_QUERY = re.compile(r"[?&](?:f|val|latex|tex|from|math|eq|formula|equation|chl|code|expression|inline)=([^&]*)", re.I)
_OPTION = re.compile(
    r"&(?:bg|fg|s|c|size|color|bgcolor|fontsize|zoom|is-pending-load|mode|cht|chs|chf|chco|chld|format|quality|ssl|display|id|class|border)=[^&]{0,60}(?=&|$)",
    re.I,
)
_PREFIX = re.compile(
    r"\s*(?:\\(?:inline|(?:bg|fg)_?(?:white|black|red|green|blue|transparent)|(?:dpi|fn|bg|fg)(?:\{[^{}]{0,30}\}|_[a-z]{2,4})|tiny|small|normalsize|large|Large|LARGE|huge|Huge|fn_[a-z]{2,4}|opaque|parstyle|usepackage\{[^{}]{0,40}\}|png|gif)(?:(?<=\})|(?![a-zA-Z]))|\\color\{?(?:black|white)\}?|\\300(?=\\))"
)
_CLASS = re.compile(
    r"(?:^|[\s_-])(?:math|mathjax|mwe-math\S*|tex|texrender|latex|latex-img\S*|formula(?:Inl|Dsp)?|equation|eqn|ee_img|tr_noresize|ql-\S*equation\S*|wp-katex\S*|mathimg|math-img|mathtex|mathml|asciimath|katex|texmath|mathcode|mmlimg|wirisformula|Wirisformula|inline-equation|inline_equation|display-formula|jaxed|disp-formula|inline-formula)(?=$|[\s_-])",
    re.I,
)
_DISPLAY_CLASS = re.compile(
    r"formulaDsp|fallback-image-display|displayed|latexcenter|(?:^|[\s_-])(?:display|block|disp-formula|displaymath|display-formula|ql-displayed-equation-image)(?=$|[\s_-])",
    re.I,
)
_ADDRESS = re.compile(
    r"/(?:math|imgmath|latex\d?|latexrender|equations?|formulas?|texify|tex|texvc|mathjax|pngmath|imgtex)/[^?#]{1,200}\.(?:png|gif|svg)$|(?:^|/)(?:form_\d{1,5}|img\d{1,4}|eqn?_?\d{1,5}|tex2html\w{0,20}|latex[-_]?image\w{0,20}|mathtex\w{0,40})\.(?:png|gif|svg)$|math/render/|/render/math/|media/math",
    re.I,
)
_MATHWORLD = re.compile(r"/images/equations/[^?#]{1,200}/(Inline|NumberedEquation)\d{1,4}\.(?:gif|svg|png)$")
"""MathWorld: the alt text is a line of calculator notation, which AsciiMath reads."""
_LATEX2HTML = re.compile(r"(?:^|/)img\d{1,4}\.(?:png|gif|svg)$", re.I)
_DELIMITED = re.compile(r"\s*(?:\$.{1,5000}\$|\\\(.{1,5000}\\\)|\\\[.{1,5000}\\\])[.,;]?\s*", re.S)
_DRAWING = re.compile(r"\[asy\]|\\begin\{(?:tikzpicture|pspicture|picture|asy)\}|\\documentclass", re.I)
_NO_ALT = re.compile(r"\.(?:png|gif|jpe?g|svg)$|^\W*(?:equation|formula|math|latex|tex|image|img|inline|display|公式|图片)\W*\d*$", re.I)
_MARKUP = re.compile(r"[?&]mml=([^&]{1,16000})")
_LONGEST_ADDRESS = 16_000


_MAY_BE = re.compile(r"tex|math|form|eq|cht=|codecogs|img\d|upmath|s2cms|z-dn|ltx", re.I)


def image_formula(attributes: Mapping[str, str | None]) -> Formula | None:
    """The formula that an `img` shows, from its attributes; None where it shows something else or cannot be read."""
    source = _address(attributes)
    names = attributes.get("class") or ""
    if _MAY_BE.search(names) is None and _MAY_BE.search(source) is None and not _marked(attributes):
        return None
    alt = (attributes.get("alt") or attributes.get("data-alt") or "").strip()
    numbered = _MATHWORLD.search(source)
    if numbered is not None and "\\" not in alt and len(alt) <= 2000:
        return _other_notation(asciimath_to_tex(alt.rstrip(" ,.")), display=numbered[1] != "Inline")
    if (markup := _markup(attributes, source)) and (formula := _other_notation(mathml_string_to_tex(markup), display=False)):
        return formula
    title = (attributes.get("title") or "").strip()
    said: bool | None = None
    tex = ""
    service = _service_tex(source) if source else ""
    for text in (alt, title):
        if text and not _DRAWING.search(text[:2000]) and _alt_is_formula(text, names, source, bool(service)):
            tex, said = clean(_without_prefix(text))
            if tex:
                break
    if service and not _prefer_alt(tex, service):
        tex, said = clean(_without_prefix(service))
    if not tex or _DRAWING.search(tex[:2000]):
        return None
    display = bool(said) or bool(_DISPLAY_CLASS.search(names)) or attributes.get("eeimg") == "2"
    if "eeimg" in attributes and tex.endswith("\\\\"):  # Zhihu's sign for a displayed formula
        tex, display = tex[:-2].rstrip(), True
    if "fallback-image-inline" in names or "formulaInl" in names or "\\inline" in service:
        display = bool(said)
    return Formula(tex, display, "image")


def _other_notation(tex: str, *, display: bool) -> Formula | None:
    tex, _ = clean(tex)
    return Formula(tex, display, "image") if tex else None


def _markup(attributes: Mapping[str, str | None], source: str) -> str:
    """The MathML that an editor's image carries along (WIRIS: an attribute, or the query of its address); "" where there is none."""
    kept = attributes.get("data-mathml") or ""
    if not kept and (query := _MARKUP.search(source)) is not None:
        kept = unquote_plus(query[1])
    return kept


def _marked(attributes: Mapping[str, str | None]) -> bool:
    """Whether a text of the image has a sign that TeX cannot do without."""
    text = f"{attributes.get('alt') or ''}{attributes.get('data-alt') or ''}{attributes.get('title') or ''}"
    return "\\" in text or "$" in text or "^" in text


def _prefer_alt(alt: str, service: str) -> bool:
    """Where both are there, the alt text is the author's own; the address is taken where the alt text is shorter or has no commands."""
    return bool(alt) and (alt.count("\\") >= service.count("\\") - 2 or "%" in service)


def _address(attributes: Mapping[str, str | None]) -> str:
    """The image's address; of a lazily loaded one, the address that waits."""
    for name in ("src", "data-src", "data-lazy-src", "data-original"):
        value = attributes.get(name)
        if value and not value.startswith("data:") and len(value) <= _LONGEST_ADDRESS:
            return value
    return ""


def _service_tex(source: str) -> str:
    """The TeX in the address of a rendering service; "" where it is none."""
    if ("?" not in source and "codecogs" not in source and _PATH.search(source) is None) or _SERVICE.search(source) is None:
        return ""
    if _PATH.search(source):
        return _decoded(_PATH.split(source)[-1], plus=False)
    if "/chart?" in source and "cht=tx" not in source:
        return ""
    if "codecogs" in source and "?" not in source:
        return _decoded(source.rpartition("/")[2], plus=False)
    named = _QUERY.search(source)
    if named is not None:
        return _decoded(named[1], plus=True)
    rest = _OPTION.sub("", source.partition("?")[2])
    return _decoded(rest, plus="%20" not in rest and "\\space" not in rest and "&space;" not in rest and "+" in rest and "%2B" in rest)


_SPACE = re.compile(r"(?:&|%26)(?:amp;|amp%3B)?space(?:;|%3B)|\\space(?:;|(?![a-zA-Z]))", re.I)
_PLUS = re.compile(r"(?:&|%26)plus(?:;|%3B)", re.I)
_ESCAPED = re.compile(r"%(?:5C|7B|7D|20|5E|2B|3D|28|29|2C|0A|0D)", re.I)


def _decoded(text: str, *, plus: bool) -> str:
    """Percent-decoded, a second time where it was encoded twice; plus signs are spaces only in a form's encoding."""
    text = _PLUS.sub("%2B", _SPACE.sub("%20", text))
    text = unquote_plus(text) if plus else unquote(text)
    if _ESCAPED.search(text) and not re.search(r"\\%", text):
        text = unquote(text)
    return _SPACE.sub(" ", text)


def _without_prefix(text: str) -> str:
    """Without the commands with which the services are told size and colour."""
    text, display = undelimit(text.strip())
    for _ in range(6):
        found = _PREFIX.match(text)
        if found is None:
            break
        text = text[found.end() :]
        if text.startswith("{}"):
            text = text[2:]
    return f"$${text}$$" if display and text.strip() else text


def _alt_is_formula(text: str, names: str, source: str, service: bool) -> bool:
    if text[0] in "$\\" and _DELIMITED.fullmatch(text):
        return prose_words(text) < 6 or "\\" in text
    if service:
        return is_tex(text, strict=False) or (
            prose_words(text) < 2 and len(text) < 200 and not text.lower().startswith(("equation", "formula", "latex"))
        )
    if names and _CLASS.search(names):
        return is_tex(text) or ("iris" not in names and prose_words(text) < 2 + text.count("\\") and _NO_ALT.search(text) is None)
    if _ADDRESS.search(source):
        return is_tex(text, strict=bool(_LATEX2HTML.search(source)))
    return is_tex(text) and ("\\" in text or "^" in text)
