r"""What a page's bytes say before anything is parsed: is it text of a size worth reading, from a wanted address, with mathematics in it?

The test for mathematical markup looks for everything that a formula can be written with in HTML: MathJax, KaTeX, MathML with any prefix,
`script type="math/..."`, images with TeX in `alt` or in their address, LaTeXML, wiki, forum and ASCII notations, and TeX itself. It
is off by default: a classifier needs pages without mathematics too. It asks "may this page hold a formula", so a doubtful case passes;
what it passes and what it loses is measured in `benchmarks/mining/prefilter.py`.

Each pattern begins with a fixed string, which Python's `re` searches at more than a gigabyte a second; one alternation of all of them
would run at a tenth of that. All repeats are bounded. Pages in UTF-16 are looked at without their NUL bytes. Left out: formulas in
plain Unicode or in sub- and superscripts, which no pattern tells from a footnote.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from data_pipeline.documents.addresses import UrlList
from data_pipeline.documents.document import Page
from data_pipeline.extraction.media_kind import kind_of

_NOTHING = UrlList(())
_MARKUP = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # "math" that is not the word, and not JavaScript's Math: a system's name, an element, a class, a media type
        rb"math(?:jax|quill|type\b|ml\b|tex\b|/(?:tex|asciimath|mml|latex)|[_-](?:tex|inline|display|block|container|formula|jax|node|element)"
        rb"|field\b|cal\{|bb\{|rm\{|frak\{|bf\{|(?<=<math)[\s>]|(?<=<[a-z]:math)[\s>]|(?<=<[a-z][a-z]:math)[\s>]|(?<=<[a-z]{3}:math)[\s>]"
        rb"|(?<=class=\"math)[\s\"-]|(?<=class='math)[\s'-]|(?<=class=math)[\s>]|(?<=class=\"mathblock)|(?<= math)[\"'][ >]"
        rb"|(?<=classname=\"math)"
        rb"|(?<=mwe-math)|(?<=ltx_math)|(?<=asciimath)|(?<=mjx-math)|(?<=\[math)\]|(?<=\[imath)\]|(?<=\[dmath)\]|(?<=\bamath)\b)",
        # "tex" that is not text: systems, scripts that draw formulas, tags of forums, attributes
        rb"tex(?!t[^=]|u)(?:(?<=katex)|(?<=mimetex)[./]|(?<=mathtex)[./]|(?<=wp-latex)|\.cgi|\.php\?|vc\b|zilla|2jax|html\b|render"
        rb"|(?<=\[tex)\]|(?<=\[latex)\]|(?<=\[itex)\]|(?<=<tex)>|(?<=<latex)[> ]|(?<=\$latex)[ \\]|(?<=[?&;]tex)=|(?<=[?&;]latex)="
        rb"|(?<=data-tex)[=\"'-]|(?<=data-latex)[=\"'-]|(?<=latex)(?:\.php|\.codecogs|code|-image|it\b|math|render)|(?<=\.latex)\?"
        rb"|(?<=class=\"tex)[\s\"]|(?<=class=\"latex)[\s\"]|(?<=class='tex)[\s']|(?<=class='latex)[\s']|(?<= tex)\"[ >]|(?<= latex)\"[ >]"
        rb"|(?<=application/x-tex)\b|(?<=alttex)t=|(?<=text/tex)\b|(?<=text/x-latex)|(?<=application/x-latex))",
        # TeX itself: environments, commands that nothing else has, delimiters around what is no regular expression of JavaScript
        rb"\\(?:begin\{(?:equation|align|eqnarray|gather|multline|displaymath|math|array|cases|[bpvs]?[bpv]?matrix|split|aligned|flalign|tikz|theorem|proof)"
        rb"|(?:[dt]?frac|sqrt|sum|prod|int|infty|alpha|beta|gamma|delta|epsilon|varepsilon|theta|lambda|sigma|omega|varphi|partial|nabla|"
        rb"cdots?|ldots|dots|leq|geq|neq|approx|equiv|rightarrow|leftarrow|mapsto|subseteq|subset|cup|cap|forall|exists|mathbb|mathbf|mathcal|"
        rb"mathrm|mathfrak|operatorname|overline|binom|lim_|quad|displaystyle|pmod|boxed)(?![a-z])|(?:(?:hat|vec|bar|text)\{|left[(\[|\\]|right[)\]|\\])"
        rb"|\((?<![\\/|\"'(]\\\()(?!\[|\.|\?|\\[sdwb(\[.?*+/|)])[^\n\"'/|?\[]{1,200}?\\\)"
        rb"|\[(?<![\\/|\"'()a-z^*+]\\\[)\s{0,100}(?![\^\\\]'\"])[^\"'/|?]{1,300}?[=^_{+][^\"'/|?]{0,300}?\\\])",
        # dollars around what has a command, a power, an index or an equation
        rb"\$(?:\$(?=[^$\"';]{0,500}[\\^_=])[^$\"';]{1,2000}\$\$"
        rb"|(?<![\w$'\"]\$)(?=[a-z\\(\[-])[^$\n<>\"';`]{0,100}(?:\\[a-z]|[\^_=])[^$\n<>\"';`]{0,100}\$(?![\w$({]))",
        rb"chart\?cht=tx",
    )
)


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Bytes and addresses of the pages worth extracting."""

    smallest: int = 1
    """A page of a few bytes may be a formula; only an empty one is nothing."""
    largest: int = 10_000_000
    markup: Callable[[bytes], bool] | None = None
    """Drop pages of whose bytes this is not true."""
    sought: str = "mathematics"
    """What it looks for, in the reason."""
    block: UrlList = field(default=_NOTHING)
    allow: UrlList = field(default=_NOTHING)
    """Where not empty, only these addresses; they pass `markup` too."""


def prefilter(page: Page, settings: Prefilter) -> str | None:
    """The reason to drop a page; None to keep it."""
    if len(page.body) < settings.smallest:
        return "prefilter: too small"
    if len(page.body) > settings.largest:
        return "prefilter: too large"
    if len(settings.block) and page.url in settings.block:
        return "prefilter: blocked"
    if kind_of(page) is None:
        return "prefilter: media type"
    if len(settings.allow):
        return None if page.url in settings.allow else "prefilter: not allowed"
    if settings.markup is not None and not settings.markup(page.body):
        return f"prefilter: no {settings.sought}"
    return None


def has_mathematics(body: bytes) -> bool:
    """Whether something in the bytes looks like mathematical markup."""
    text = _narrow(body).lower()
    return any(pattern.search(text) for pattern in _MARKUP)


def _narrow(body: bytes) -> bytes:
    """Without the NUL bytes of UTF-16, which reads like ASCII then."""
    return body.replace(b"\0", b"") if b"\0" in body[:256] else body
