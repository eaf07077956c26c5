"""Rendered formulas without TeX: MathJax CommonHTML, HTML-CSS and SVG, and KaTeX, from their elements and glyphs."""

from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipeline.formulas.notations.katex_glyphs import katex_html_to_tex
from data_pipeline.formulas.notations.mathjax_glyphs import chtml_to_tex, glyphs_to_tex
from tests.clock import stopwatch


def first(markup: str, selector: str) -> LexborNode:
    node = LexborHTMLParser(markup).css_first(selector)
    assert node is not None
    return node


def c(code: str) -> str:
    return f'<mjx-c class="mjx-c{code} TEX-I"></mjx-c>'


def v3(inside: str) -> str:
    return chtml_to_tex(first(f'<mjx-container class="MathJax" jax="CHTML"><mjx-math>{inside}</mjx-math></mjx-container>', "mjx-container"))


X3, TWO = f'<mjx-mi class="mjx-i">{c("1D465")}</mjx-mi>', '<mjx-mn class="mjx-n"><mjx-c class="mjx-c32"></mjx-c></mjx-mn>'
I3 = f'<mjx-mi class="mjx-i">{c("1D456")}</mjx-mi>'


def mo3(code: str) -> str:
    return f'<mjx-mo class="mjx-n"><mjx-c class="mjx-c{code}"></mjx-c></mjx-mo>'


@pytest.mark.parametrize(
    ("inside", "tex"),
    [
        (X3 + mo3("2260") + TWO, r"x \neq 2"),
        (f'<mjx-msup>{X3}<mjx-script style="vertical-align: 0.363em;">{TWO}</mjx-script></mjx-msup>', "x^{2}"),
        (f'<mjx-msub>{X3}<mjx-script style="vertical-align: -0.15em;">{I3}</mjx-script></mjx-msub>', "x_{i}"),
        (f"<mjx-msubsup>{X3}<mjx-script>{TWO}<mjx-spacer></mjx-spacer>{I3}</mjx-script></mjx-msubsup>", "x_{i}^{2}"),
        (f"<mjx-mfrac><mjx-frac><mjx-num><mjx-nstrut></mjx-nstrut>{X3}</mjx-num>"
         "<mjx-dbox><mjx-dtable><mjx-line></mjx-line><mjx-row><mjx-den>"
         f"<mjx-dstrut></mjx-dstrut>{TWO}</mjx-den></mjx-row></mjx-dtable></mjx-dbox></mjx-frac></mjx-mfrac>", r"\frac{x}{2}"),
        (f"<mjx-msqrt><mjx-sqrt><mjx-surd>{mo3('221A')}</mjx-surd><mjx-box>{X3}</mjx-box></mjx-sqrt></mjx-msqrt>", r"\sqrt{x}"),
        (f"<mjx-munderover><mjx-over>{TWO}</mjx-over><mjx-box><mjx-munder><mjx-row><mjx-base>{mo3('2211')}</mjx-base></mjx-row><mjx-row>"
         f"<mjx-under>{I3}</mjx-under></mjx-row></mjx-munder></mjx-box></mjx-munderover>", r"\sum_{i}^{2}"),
        (f"<mjx-mtable><mjx-table><mjx-itable><mjx-mtr><mjx-mtd>{X3}<mjx-tstrut></mjx-tstrut></mjx-mtd><mjx-mtd>{TWO}</mjx-mtd></mjx-mtr>"
         "</mjx-itable></mjx-table></mjx-mtable>", r"\begin{matrix} x & 2 \end{matrix}"),
        ('<mjx-mi class="mjx-n"><mjx-c class="mjx-c73"></mjx-c>'
         '<mjx-c class="mjx-c69"></mjx-c><mjx-c class="mjx-c6E"></mjx-c></mjx-mi>' + X3, r"\sin x"),
        (X3 + f"<mjx-assistive-mml><math>{X3}</math></mjx-assistive-mml>", "x"),
    ],
)  # fmt: skip
def test_version_3_commonhtml_is_read_from_code_points(inside: str, tex: str) -> None:
    assert v3(inside) == tex


def v2(char: str, tag: str = "mi", font: str = "TeX-math-I") -> str:
    return f'<span class="mjx-{tag}"><span class="mjx-char MJXc-{font}">{char}</span></span>'


def test_version_2_commonhtml_is_read_from_classes() -> None:
    power = f'<span class="mjx-msubsup"><span class="mjx-base">{v2("x")}</span>'
    power += f'<span class="mjx-sup">{v2("2", "mn", "TeX-main-R")}</span></span>'
    fraction = (
        '<span class="mjx-mfrac"><span class="mjx-box"><span class="mjx-numerator">'
        f'{power}</span><span class="mjx-denominator">{v2("y")}</span><span class="mjx-line"></span></span></span>'
    )
    markup = '<span class="mjx-chtml"><span class="mjx-math" LABEL><span class="mjx-mrow">'
    markup += f"{fraction}{v2('=', 'mo')}{v2('d', 'mi', 'TeX-main-R')}"
    assert chtml_to_tex(first(markup.replace("LABEL", ""), ".mjx-chtml")) == r"\frac{x^{2}}{y} = \mathrm{d}"
    labelled = first(markup.replace("LABEL", r'aria-label="\tfrac{x^2}{y}=d"'), ".mjx-chtml")
    assert chtml_to_tex(labelled) == r"\tfrac{x^2}{y}=d"
    assert glyphs_to_tex(labelled) == r"\frac{x^{2}}{y} = \mathrm{d}"
    spoken = first(markup.replace("LABEL", 'aria-label="x squared over y"'), ".mjx-chtml")
    assert chtml_to_tex(spoken) == r"\frac{x^{2}}{y} = \mathrm{d}"


def test_version_2_html_css_is_read_from_positions() -> None:
    def at(top: float, inside: str) -> str:
        return f'<span style="position: absolute; top: {top}em; left: 0em;">{inside}</span>'

    base, high, low = '<span class="mi">x</span>', '<span class="mn">2</span>', '<span class="mi">i</span>'
    scripts = f'<span class="msubsup"><span style="display: inline-block">{at(-4.0, base)}{at(-4.4, high)}{at(-3.8, low)}</span></span>'
    fraction = f'<span class="mfrac"><span style="display: inline-block">{at(-3.3, low)}{at(-4.7, high)}</span></span>'
    markup = f'<span class="MathJax"><nobr><span class="math"><span class="mrow">{scripts}<span class="mo">+</span>'
    markup += f"{fraction}</span></span></nobr></span>"
    assert chtml_to_tex(first(markup, ".MathJax")) == r"x_{i}^{2} + \frac{2}{i}"


def test_version_3_svg_is_read_from_names_and_heights() -> None:
    def g(name: str, inside: str, y: int = 0) -> str:
        return f'<g data-mml-node="{name}" transform="translate(5,{y})">{inside}</g>'

    def use(code: str) -> str:
        return f'<use data-c="{code}" xlink:href="#MJX-1-TEX-I-{code}"></use>'

    x, two, i = use("1D465"), use("32"), use("1D456")
    scripts = g("msubsup", g("mi", x) + g("mn", two, 363) + g("mi", i, -150))
    fraction = g("mfrac", g("mi", i, 676) + g("mn", two, -686) + "<rect></rect>")
    markup = f'<mjx-container jax="SVG"><svg><g>{g("math", scripts + g("mo", use("2B")) + fraction)}</g></svg></mjx-container>'
    assert chtml_to_tex(first(markup, "mjx-container")) == r"x_{i}^{2} + \frac{i}{2}"


def katex(inside: str) -> str:
    return katex_html_to_tex(
        first(f'<span class="katex-html"><span class="base"><span class="strut"></span>{inside}</span></span>', ".katex-html")
    )


def stack(*parts: tuple[float, str], deep: bool = False) -> str:
    rows = "".join(f'<span style="top:{top}em;"><span class="pstrut"></span>{inside}</span>' for top, inside in parts)
    return f'<span class="vlist-t{" vlist-t2" if deep else ""}"><span class="vlist-r"><span class="vlist">{rows}</span></span></span>'


XK, IK = '<span class="mord mathnormal">x</span>', '<span class="mord mathnormal">i</span>'
SUM = '<span class="mop op-symbol">∑</span>'
TWOK = '<span class="mord">2</span>'


@pytest.mark.parametrize(
    ("inside", "tex"),
    [
        (f'<span class="mord">{XK}<span class="msupsub">{stack((-3.06, TWOK))}</span></span>', "x^{2}"),
        (f'<span class="mord">{XK}<span class="msupsub">{stack((-2.55, IK), deep=True)}</span></span>', "x_{i}"),
        (f'<span class="mord">{XK}<span class="msupsub">{stack((-2.4, IK), (-3.06, TWOK), deep=True)}</span></span>', "x_{i}^{2}"),
        ('<span class="mord mathdefault">x</span><span class="mbin">+</span><span class="mord">y</span>', r"x + \mathrm{y}"),
        (f'<span class="mfrac">{stack((-2.3, XK), (-3.23, "<span class=frac-line></span>"), (-3.67, TWOK))}</span>', r"\frac{2}{x}"),
        (f'<span class="mord sqrt">{stack((-3.0, XK), (-2.9, "<span class=hide-tail><svg></svg></span>"))}</span>', r"\sqrt{x}"),
        (f'<span class="mord accent">{stack((-3.0, XK), (-3.1, "<span class=accent-body>^</span>"))}</span>', r"\hat{x}"),
        ('<span class="mord mathbb">R</span><span class="mbin">+</span><span class="mord mathbf">v</span>', r"\mathbb{R} + \mathbf{v}"),
        (f'<span class="mop op-limits">{stack((-2.1, IK), (-3.0, SUM), (-4.3, TWOK), deep=True)}</span>', r"\sum_{i}^{2}"),
        ('<span class="mord">1</span><span class="mord">2</span>'
         '<span class="mrel">=</span><span class="mop">sin</span>' + XK, r"12 = \sin x"),
        (f'<span class="mtable"><span class="col-align-c">{stack((-3.6, XK), (-2.4, IK))}</span>'
         f'<span class="col-align-c">{stack((-3.6, TWOK), (-2.4, XK))}'
         "</span></span>", r"\begin{matrix} x & 2 \\ i & x \end{matrix}"),
        ('<span class="mord text"><span class="mord">if </span></span>' + XK, r"\text{if}x"),
    ],
)  # fmt: skip
def test_katex_spans_are_read_in_the_order_of_their_heights(inside: str, tex: str) -> None:
    assert katex(inside) == tex


def test_endless_nesting_of_spans_gives_nothing() -> None:
    took = stopwatch()
    for selector, name in ((".katex-html", "katex-html mord"), (".MathJax", "MathJax mrow")):
        node = first(f'<span class="{name}">' * 5_000 + "x", selector)
        assert katex_html_to_tex(node) == ""
        assert chtml_to_tex(node) == ""
    bad = '<mjx-container><mjx-math><mjx-mo><mjx-c class="mjx-cFFFFFF"></mjx-c></mjx-mo></mjx-math></mjx-container>'
    assert chtml_to_tex(first(bad, "mjx-container")) == ""
    assert took() < 2


def test_formulas_of_real_pages_come_back_from_their_glyphs(data_dir: Path) -> None:
    from benchmarks.mining.mathml import chtml, katex

    total, right = katex(data_dir / "web")
    assert total > 50
    assert right > 0.95 * total
    total, right = chtml(data_dir / "web")
    assert total > 300
    assert right > 0.9 * total


def test_version_four_keeps_the_tex_beside_the_glyphs() -> None:
    tree = LexborHTMLParser('<mjx-container><mjx-math data-latex="x^2 + 1"><mjx-mi><mjx-c class="mjx-c1D465"></mjx-c></mjx-mi></mjx-math>')
    node = tree.css_first("mjx-container")
    assert node is not None
    assert chtml_to_tex(node) == "x^2 + 1"


def test_a_message_about_an_error_is_no_formula() -> None:
    tree = LexborHTMLParser(
        "<mjx-container><mjx-math><mjx-merror><mjx-mtext><mjx-utext>Math input error</mjx-utext></mjx-mtext></mjx-merror>"
    )
    node = tree.css_first("mjx-container")
    assert node is not None
    assert chtml_to_tex(node) == ""
