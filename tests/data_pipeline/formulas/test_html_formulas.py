"""Formulas written with HTML alone become TeX; what is no formula gives nothing."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from data_pipeline.formulas.html_formulas import html_formula
from data_pipeline.formulas.lifted_elements import lift, spell
from data_pipeline.formulas.sub_and_superscripts import lift_scripts
from tests.clock import stopwatch


def read(markup: str, names: str = "texhtml") -> str:
    node = LexborHTMLParser(f"<p><span id=f class='{names}'>{markup}</span></p>").css_first("#f")
    assert node is not None
    return html_formula(node)


@pytest.mark.parametrize(
    ("markup", "tex"),
    [
        ("x", "x"),
        ("<em>x</em><sub><em>i</em></sub> = 2<em>a</em> + 1", "x_{i} = 2a + 1"),
        ("<i>a</i><sub class='lower-index'><i>i</i></sub> &le; 10<sup class='upper-index'>9</sup>", "a_{i} \\leq 10^{9}"),
        ("<span class='sfrac'><span><span class='num'>1</span><span class='sr-only'>/</span><span class='den'>2</span></span></span>",
         "\\frac{1}{2}"),
        ("<span class='frac'>2<span class='sr-only'>+</span><span class='num'>1</span>&frasl;<span class='den'>3</span></span>",
         "2\\frac{1}{3}"),
        ("<span class='nowrap'>&radic;<span style='border-top:1px solid'>2<i>x</i></span></span> + 1", "\\sqrt{2x} + 1"),
        ("<b>v</b> &middot; <i>&alpha;</i>", "\\mathbf{v} \\cdot \\alpha"),
        ("sin <i>x</i> &minus; log<sub>2</sub> <i>n</i>", "\\sin x - \\log_{2} n"),
        ("{1, 2} &isin; <i>AB</i>", "\\{1, 2\\} \\in AB"),
        ("<i>x</i><sub>max</sub>", "x_{\\max}"),
    ],
)  # fmt: skip
def test_a_formula_in_html_is_its_tex(markup: str, tex: str) -> None:
    assert read(markup) == tex


@pytest.mark.parametrize(
    "markup", ["see <a href='x'>here</a>", "<img src='a.png'>", "\\frac{a}{b}", "this is what we call a long sentence", ""]
)
def test_other_content_is_no_formula(markup: str) -> None:
    assert read(markup) == ""


def test_deep_and_long_elements_cost_little() -> None:
    took = stopwatch()
    assert read("<i>" * 400 + "x") == ""
    assert read("<sub>x</sub>" * 5000) == ""
    assert read("ab " * 100_000) == ""
    assert took() < 2


@pytest.mark.parametrize(
    ("html", "tex"),
    [
        ("f(x)<sup>2</sup>", ["f(x)^{2}"]),
        ("the norm |x|<sub>p</sub>", ["|x|_{p}"]),
        ("sin(x)<sup>2</sup>", ["(x)^{2}"]),
        ("word(s)<sup>5</sup>", []),
        ("Smith (2001)<sup>4</sup>", []),
    ],
)
def test_a_bracket_carries_a_script_unless_it_is_a_footnote(html: str, tex: list[str]) -> None:
    tree = LexborHTMLParser(f"<p>We see {html}</p>")
    found: list[str] = []
    lift_scripts(tree.css("sup, sub"), lambda _node, formula: found.append(formula.tex))
    assert found == tex


HALF = (
    '<span class="sfrac"><span class="tion"><span class="num">1</span><span class="sr-only">/</span>'
    '<span class="den">2</span></span></span>'
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<span class="math inline"><em>x</em><sub><em>i</em></sub> = 2<em>a</em> + 1</span>', "$x_{i} = 2a + 1$"),
        ('<span class="tex-span"><i>a</i><sub class="lower-index"><i>i</i></sub> &le; 10<sup>9</sup></span>', "$a_{i} \\leq 10^{9}$"),
        (f'<span class="texhtml"><i>x</i> = {HALF}</span>', "$x = \\frac{1}{2}$"),
        (f"a {HALF} b", "a $\\frac{1}{2}$ b"),
        ('<span class="frac">3<span class="sr-only">+</span><span class="num">1</span>&frasl;<span class="den">2</span></span>',
         "$3\\frac{1}{2}$"),
        ('<span class="texhtml mvar">x</span>', "$x$"),
        ('<p class="formula">Baby <b>milk</b></p>', "Baby milk"),
        ('<div class="math formula"><i>E</i> = <i>mc</i><sup>2</sup></div>', "$$E = mc^{2}$$"),
        ('<div class="math"><p><img class="math" alt="\\alpha"></p></div>', "$$\\alpha$$"),
    ],
)  # fmt: skip
def test_elements_that_hold_a_formula_in_html_become_it(html: str, text: str) -> None:
    tree = LexborHTMLParser(f"<body>{html}</body>")
    found = lift(tree, html)
    assert tree.body is not None
    assert spell(tree.body.text(), found) == text
