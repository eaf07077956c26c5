"""Formulas shown as images: read from services' addresses and from alt texts; photos stay photos."""

import pytest

from data_pipeline.formulas.formula import clean
from data_pipeline.formulas.image_formulas import image_formula


@pytest.mark.parametrize(
    ("source", "tex"),
    [
        ("//latex.codecogs.com/gif.latex?Q_{3}&space;-&space;Q_{1}", "Q_{3} - Q_{1}"),
        ("https://latex.codecogs.com/svg.latex?%5Cinline%20%5Cdpi%7B120%7D%20%5Clarge%20a&plus;b", "a+b"),
        ("https://latex.codecogs.com/svg.image?\\frac{a}{b}", "\\frac{a}{b}"),
        ("/cgi-bin/mimetex.cgi?\\Re(z)<0", "\\Re(z)<0"),
        ("http://x.org/cgi-bin/mathtex.cgi?%5Calpha", "\\alpha"),
        ("https://s0.wp.com/latex.php?latex=%5Cfrac%7B1%7D%7B2%7D+%2B+x&bg=ffffff&fg=444444&s=0", "\\frac{1}{2} + x"),
        ("https://chart.googleapis.com/chart?cht=tx&chl=%5Calpha%2B1", "\\alpha+1"),
        ("https://render.githubusercontent.com/render/math?math=e%5E%7Bi%20%5Cpi%7D", "e^{i \\pi}"),
        ("https://latex.csdn.net/eq?x%5E2", "x^2"),
        ("https://tex.z-dn.net/?f=%5Cfrac%7B1%7D%7B2%7D", "\\frac{1}{2}"),
        ("https://tex.s2cms.ru/svg/x%5E4", "x^4"),
        ("https://math.vercel.app/?from=%5Clog_2", "\\log_2"),
        ("https://math.now.sh?from=E%3Dmc%5E2", "E=mc^2"),
        ("https://latex.codecogs.com/png.image?\\inline&space;\\dpi{150}\\bg{white}y_1", "y_1"),
        ("https://e.org/showimage.php?mml=%3Cmath%3E%3Cmi%3Ex%3C%2Fmi%3E%3C%2Fmath%3E", "x"),
        ("https://www.zhihu.com/equation?tex=%255Cfrac%257Ba%257D%257Bb%257D", "\\frac{a}{b}"),
    ],
)
def test_the_address_of_a_rendering_service_holds_the_tex(source: str, tex: str) -> None:
    formula = image_formula({"src": source})
    assert formula is not None
    assert formula.tex == tex
    assert formula.family == "image"


@pytest.mark.parametrize(
    ("attributes", "tex", "display"),
    [
        ({"class": "math", "src": "_images/math/0f.png", "alt": "x"}, "x", False),
        ({"class": "formulaDsp", "src": "form_1.png", "alt": "\\[ a = b \\]"}, "a = b", True),
        ({"class": "formulaInl", "src": "form_2.png", "alt": "$ a+b $"}, "a+b", False),
        ({"class": "mwe-math-fallback-image-inline", "alt": "{\\displaystyle x^{2}}"}, "x^{2}", False),
        ({"class": "latexcenter", "alt": "$$\\frac12$$"}, "\\frac12", True),
        ({"class": "latex", "src": "a.png", "alt": "\\displaystyle a+b"}, "a+b", False),
        ({"src": "/images/equations/Zeta/NumberedEquation1.svg", "alt": " zeta(x)=1/x, "}, "\\zeta(x) = \\frac{1}{x}", True),
        ({"src": "/images/equations/Zeta/Inline12.gif", "alt": "Gamma(x)"}, "\\Gamma(x)", False),
        ({"src": "//www.zhihu.com/equation?tex=y", "eeimg": "1", "alt": "y=2 \\\\"}, "y=2", True),
        ({"src": "latex2/img/abc-1.gif", "alt": "x^2+1"}, "x^2+1", False),
        ({"src": "img3.gif", "alt": "\\begin{displaymath}y=1\\end{displaymath}"}, "y=1", True),
        ({"src": "img4.gif", "alt": "\\begin{align*}a&=b\\end{align*}"}, "\\begin{align*}a&=b\\end{align*}", True),
        (
            {"class": "Wirisformula", "alt": "x over 2", "data-mathml": "«math»«mfrac»«mi»x«/mi»«mn»2«/mn»«/mfrac»«/math»"},
            "\\frac{x}{2}",
            False,
        ),
        ({"src": "a.png", "alt": "$x^2$"}, "x^2", False),
        ({"src": "a.png", "alt": "\\sum_{i} a_i"}, "\\sum_{i} a_i", False),
    ],
)
def test_an_alt_text_is_the_formula(attributes: dict[str, str | None], tex: str, display: bool) -> None:
    formula = image_formula(attributes)
    assert formula is not None
    assert (formula.tex, formula.display) == (tex, display)


@pytest.mark.parametrize(
    "attributes",
    [
        {"src": "photo.jpg", "alt": "x_1.jpg"},
        {"src": "photo.jpg", "alt": "Figure 1: x = 2 and the other"},
        {"src": "/img/tex.png", "alt": "TeX logo"},
        {"src": "team.jpg", "alt": "A+ Certification = Success"},
        {"src": "price.png", "alt": "Now $5 instead of $10"},
        {"src": "https://chart.googleapis.com/chart?cht=p&chl=a_b", "alt": ""},
        {"class": "latex", "alt": "[asy] draw((0,0)--(1,1)); [/asy]"},
        {"src": "dir.png", "alt": "C:\\Users\\me\\photo.png"},
        {"src": "/images/equations/Zeta/Inline1.svg", "alt": ""},
        {"class": "Wirisformula", "src": "a.png", "alt": "x squared"},
        {"class": "math", "src": "a.png", "alt": "formula"},
        {"src": "smile.png", "alt": "^_^"},
        {"alt": None, "src": None},
        {},
    ],
)
def test_other_images_stay_images(attributes: dict[str, str | None]) -> None:
    assert image_formula(attributes) is None


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x % a remark\n + y", "x\n + y"),
        ("a\\\\%\nb", "a\\\\\nb"),
        ("5%", "5\\%"),
        ("\\ \\ \\ ", ""),
        ("x\\ \\ ", "x"),
        ("x\\\\", "x\\\\"),
        ("a &= b \\\\ c &= d", "\\begin{align*}a &= b \\\\ c &= d\\end{align*}"),
        ("\\matrix{a & b \\\\ c & d}", "\\matrix{a & b \\\\ c & d}"),
        ("x = \\begin{matrix}a & b \\\\ c & d\\end{matrix}", "x = \\begin{matrix}a & b \\\\ c & d\\end{matrix}"),
        ("5\\% of x", "5\\% of x"),
        ("% <![CDATA[\na < b %]]>", "a < b"),
        ("\\begin{equation} y=1 \\end{equation}", "y=1"),
        (
            "\\begin{equation}a\\end{equation}\\begin{equation}b\\end{equation}",
            "\\begin{equation}a\\end{equation}\\begin{equation}b\\end{equation}",
        ),
    ],
)
def test_comments_and_environments_that_say_formula_go(tex: str, expected: str) -> None:
    assert clean(tex)[0] == expected
