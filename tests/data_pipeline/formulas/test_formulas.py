"""Every formula of a page is lifted once, from its best source; what is no formula stays."""

import json
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from data_pipeline.formulas.configured_delimiters import read_config
from data_pipeline.formulas.lifted_elements import delimit, families, lift, spell
from tests.clock import stopwatch


@pytest.fixture(autouse=True)
def _stand_in_converters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converters are tested elsewhere: here a conversion says only which one was called."""

    for name in ("asciimath_to_tex", "mathml_string_to_tex", "mathml_to_tex", "katex_html_to_tex", "chtml_to_tex", "html_formula"):
        _stand_in(monkeypatch, "element_sources", name)
    _stand_in(monkeypatch, "lifted_elements", "html_formula")
    _stand_in(monkeypatch, "delimited_formulas", "asciimath_to_tex")
    _stand_in(monkeypatch, "sub_and_superscripts", "to_tex")


def _stand_in(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    monkeypatch.setattr(f"data_pipeline.formulas.{module}.{name}", lambda source: f"\\{name.replace('_', '')}")


def text_of(body: str) -> str:
    tree = LexborHTMLParser(f"<body>{body}</body>")
    found = lift(tree, body)
    for node in tree.css("script, style, noscript"):
        node.replace_with("")
    assert tree.body is not None
    return " ".join(spell(delimit(tree.body.text(), found, read_config(body)), found).split())


KATEX = (
    '<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>x</mi></mrow>'
    '<annotation encoding="application/x-tex">x^2</annotation></semantics></math></span><span class="katex-html">xx2</span></span>'
)
CONTAINER = (
    '<mjx-container class="MathJax" jax="CHTML"><mjx-math><mjx-c></mjx-c></mjx-math>'
    "<mjx-assistive-mml><math><mi>a</mi></math></mjx-assistive-mml></mjx-container>"
)


WIKIPEDIA = (
    '<span class="mwe-math-element"><span style="display:none"><math alttext="{\\displaystyle x}"><semantics><mi>x</mi>'
    '<annotation encoding="application/x-tex">{\\displaystyle x}</annotation></semantics></math></span>'
    '<img class="mwe-math-fallback-image-inline" src="media/math/render/svg/0" alt="{\\displaystyle x}"></span>'
)
PREVIEWED = '<span class="MathJax_Preview">[x]</span><span class="MathJax" id="E-1-Frame">x</span><script type="math/tex">x</script>'


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('a <script type="math/tex">x<y</script> b', "a $x<y$ b"),
        ('<script type="math/tex; mode=display">x</script>', "$$x$$"),
        ('<script type="math/asciimath">x</script>', "$\\asciimathtotex$"),
        ('<script type="math/mml"><math></math></script>', "$\\mathmlstringtotex$"),
        (PREVIEWED, "$x$"),
        (f"is {KATEX}.", "is $x^2$."),
        (f'<span class="katex-display">{KATEX}</span>', "$$x^2$$"),
        (f'<div class="katex">{KATEX} and {KATEX} and {KATEX}</div>', "$x^2$ and $x^2$ and $x^2$"),
        ('<span class="katex"><span class="katex-mathml">\n x\n\n 2\n\n x^2\n</span><span class="katex-html">x2</span></span>', "$x^2$"),
        ('<span class="katex"><span class="katex-html">x2</span></span>', "$\\katexhtmltotex$"),
        (CONTAINER, "$\\mathmltotex$"),
        ('<mjx-container class="MathJax" display="true"><mjx-math></mjx-math></mjx-container>', "$$\\chtmltotex$$"),
        ("<math><mi>x</mi></math>", "$\\mathmltotex$"),
        ('<math display="block" alttext="a_1">a1</math>', "$$a_1$$"),
        ("<m:math><m:mi>x</m:mi></m:math>", "$\\mathmltotex$"),
        ('<span class="ztext-math" data-tex="\\frac12">\\frac12</span>', "$\\frac12$"),
        (WIKIPEDIA, "$x$"),
        (f'<dl><dd>{WIKIPEDIA},</dd></dl>', "$$x$$,"),
        ('<span class="math-container">$a_b$</span>', "$a_b$"),
        ('<div class="math">\\frac{1}{2}</div>', "$$\\frac{1}{2}$$"),
        ('<p class="math">1 yr = 525600 min</p>', "1 yr = 525600 min"),
        ("<tex>x^2</tex> of latex", "$x^2$ of latex"),
        ('<mjx-container class="MathJax" display="true"><formula>\\vec{F}</formula></mjx-container>', "$$\\vec{F}$$"),
        ('<div class="MathJax"><formula>\\vec{F}</formula></div>', "$\\vec{F}$"),
        ("<d-math block>x</d-math>", "$$x$$"),
        ('<span class="math notranslate">\\(x\\)</span>', "$x$"),
        ('<img alt="\\alpha" class="math"><noscript><img alt="\\alpha" class="math"></noscript>', "$\\alpha$"),
        ("E = <i>c</i><sup>2</sup>", "E = $c^{2}$"),
        ("H<sub>2</sub>O", "$H_{2}$O"),
        ("x<sub>i</sub><sup>2</sup> + 1", "$x_{i}^{2}$ + 1"),
        ("<i>σ</i><sup>2</sup>", "$\\totex^{2}$"),
        ("(a+b)<sup>n</sup>", "$(a+b)^{n}$"),
        ('<span class="math">a+b</span>, <span class="math inline">10</span>, <span class="math">10</span>', "$a+b$, $10$, 10"),
        ('<span class="katex-eq" data-katex-display="false">n+1</span>', "$n+1$"),
        ('<span class="katex-eq" data-katex-display="true">n+1</span>', "$$n+1$$"),
        ('<span class="math-tex">f, g, h</span> and <span class="tex2jax_process">f, g, h</span>', "$f, g, h$ and f, g, h"),
        ('<span class="katex-error" title="ParseError: ..">\\foo{x}</span>', "$\\foo{x}$"),
        ('<span class="katex--inline"><span class="katex"><span class="katex-mathml"> x 2 x^2 </span><span class="katex-html">x2</span>'
         "</span></span>", "$\\katexhtmltotex$"),
        ('<amp-mathml layout="container" inline data-formula="\\[x = 2\\]"></amp-mathml>', "$x = 2$"),
        ('<amp-mathml layout="container" data-formula="\\[x = 2\\]"></amp-mathml>', "$$x = 2$$"),
        ('<div class="latex-rendered" data-attrs="{&quot;persistentExpression&quot;:&quot;x^2 = \\\\frac{1}{2}&quot;,'
         '&quot;id&quot;:&quot;A&quot;}"></div>', "$$x^2 = \\frac{1}{2}$$"),
        ('a <div class="latex-rendered" data-attrs="{[[[&quot;"></div> b', "a b"),
        ("<var>1 \\leq N \\leq 10^5</var>, <var>A_i</var>, <var>N</var> <pre><var>N</var></pre>", "$1 \\leq N \\leq 10^5$, $A_i$, $N$ N"),
        ("call <var>file_name</var> with <var>n</var> or <var>arg_1</var> or <var>C:\\temp_1</var>",
         "call file_name with n or arg_1 or C:\\temp_1"),
    ],
)  # fmt: skip
def test_a_formula_is_there_once_from_its_best_source(html: str, text: str) -> None:
    assert text_of(html) == text


IMAGE = '<img class="latex" alt="\\alpha">'


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f'<div class="displaymath"><p>{IMAGE}</p></div>', "$$\\alpha$$"),
        (f'<p align="center">{IMAGE} <br> (1.2)</p>', "$$\\alpha$$ (1.2)"),
        (f'<p style="text-align: center">{IMAGE}.</p>', "$$\\alpha$$."),
        (f"<center>{IMAGE}</center>", "$$\\alpha$$"),
        (f"<p>{IMAGE}</p>", "$\\alpha$"),
        (f'<p align="center">where {IMAGE}</p>', "where $\\alpha$"),
        (f'<p align="center">{IMAGE} <b>and</b></p>', "$\\alpha$ and"),
        (f'<p align="center">{IMAGE} and {IMAGE}</p>', "$\\alpha$ and $\\alpha$"),
        (f'<table><tr><td align="center">{IMAGE}</td></tr></table>', "$\\alpha$"),
    ],
)
def test_a_formula_is_displayed_where_it_is_all_there_is_in_a_block_that_displays(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "the end.<sup>2</sup>",
        "word<sup>3</sup>",
        "1<sup>st</sup>",
        "word<sup>[1]</sup>",
        "x<sup><a href=#f>1</a></sup>",
        "Name<sup>TM</sup>",
        "in 1998<sup>4</sup>",
    ],
)
def test_footnotes_and_ordinals_are_no_mathematics(html: str) -> None:
    assert "$" not in text_of(html)


def test_an_equation_table_becomes_a_paragraph_for_each_row_with_its_number() -> None:
    html = (
        '<table class="ltx_equationgroup ltx_eqn_table"><tr class="ltx_eqn_row"><td><math alttext="\\displaystyle a"></math></td>'
        '<td><math alttext="\\displaystyle =b"></math></td><td><span class="ltx_tag ltx_tag_equation">(3)</span></td></tr></table>'
    )
    assert text_of(html) == "$a$ $=b$ (3)"


def test_nested_formulas_are_replaced_once_whatever_their_order() -> None:
    inner = "<math><mi>x</mi></math>"
    tree = LexborHTMLParser(f'<body><mjx-container class="MathJax">{inner}</mjx-container> {inner}</body>')
    found = lift(tree, tree.html or "")
    assert len(found) == 2
    assert tree.css_first("math") is None


def test_escapes_are_undone_and_mathematics_is_not_changed() -> None:
    assert text_of('<script type="math/tex">a &amp;lt; b\xa0% c</script>') == "$a < b \\% c$"
    assert (
        text_of('<script type="math/tex">\\begin{matrix}a & b\\\\ c\\end{matrix}</script>') == "$\\begin{matrix}a & b\\\\ c\\end{matrix}$"
    )


def test_empty_formulas_are_dropped() -> None:
    tree = LexborHTMLParser('<body><script type="math/tex"> </script><script type="math/tex">\\label{a}</script></body>')
    assert lift(tree, "math/tex") == []


def test_families_are_counted_where_they_stand() -> None:
    tree = LexborHTMLParser('<body><script type="math/tex">x</script> <img class="math" alt="y"></body>')
    found = lift(tree, "<script type=math/tex>")
    assert tree.body is not None
    assert families(tree.body.text(), found) == {"script": 1, "image": 1}


@pytest.mark.parametrize(
    "unit",
    [
        '<span class="katex">',
        '<span class="math">',
        "<math>",
        "<mjx-container>",
        "<sup>",
        '<div class="MathJax"><b><b><b>',
        '<div class="katex">' + 11 * "<i>",
        '<span class="texhtml">',
        '<div class="equation">x',
        '<span class="sfrac">y',
        "<var>a_1",
        '<p align="center"><img class="latex" alt="\\alpha">',
    ],
)
def test_thousands_of_nested_elements_take_bounded_time(unit: str) -> None:
    raw = unit * (60_000 // len(unit))
    tree = LexborHTMLParser(f"<body>{raw}")
    took = stopwatch()
    lift(tree, raw)
    assert took() < 2


def test_known_formulas_of_real_pages_survive(data_dir: Path) -> None:
    """Sphinx, KaTeX and image pages of the shared data: TeX that stands in the source comes out between dollars."""
    root = data_dir / "web"
    if not root.is_dir():
        pytest.skip("no web pages")
    pages = [json.loads(line) for line in (root / "MANIFEST.jsonl").read_text().splitlines()]
    images = [page for page in pages if page["format"] == "img_alt_tex_sphinx"][:5]
    for page in images:
        raw = (root / page["path"]).read_text("utf8", "replace")
        tree = LexborHTMLParser(raw)
        known = {(image.attributes.get("alt") or "").strip() for image in tree.css("img.math")}
        assert known <= {formula.tex for formula in lift(tree, raw)} | {""}
