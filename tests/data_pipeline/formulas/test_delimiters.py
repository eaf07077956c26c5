"""What a page's configuration says about delimiters, and formulas found in text by them."""

import time

import pytest

from data_pipeline.formulas.configured_delimiters import Delimiters, read_config
from data_pipeline.formulas.lifted_elements import Formula, delimit, spell


def found_in(text: str, delimiters: Delimiters | None = None) -> list[tuple[str, bool]]:
    found: list[Formula] = []
    delimit(text, found, delimiters or Delimiters())
    return [(formula.tex, formula.display) for formula in found]


CONFIGURED = Delimiters(dollar=True)


@pytest.mark.parametrize(
    ("config", "dollar"),
    [
        ("MathJax.Hub.Config({tex2jax: {inlineMath: [['$','$'], ['\\\\(','\\\\)']]}})", True),
        ('MathJax = {tex: {"inlineMath": [["\\\\(", "\\\\)"]]}}', False),
        ("MathJax = {tex: {inlineMath: {'[+]': [['$', '$']]}}}", True),
        ('RLCONF={"wgSmjExtraInlineMath":[["$","$"]],"m":["ext.SimpleMathJax"]};', True),
        ("MathJax\n// inlineMath: [['$','$']]\n", None),
        ("MathJax.js?config=TeX-AMS_HTML", None),
        ('renderMathInElement(b, {delimiters: [{left: "$$", right: "$$", display: !0}, {left: "$", right: "$", display: !1}]})', True),
    ],
)
def test_the_single_dollar_is_what_the_configuration_says(config: str, dollar: bool | None) -> None:
    assert read_config(f"<script>{config}</script>").dollar is dollar


def test_a_configuration_in_capital_tags_is_read() -> None:
    assert read_config("<SCRIPT>MathJax = {tex: {inlineMath: [['$', '$']]}}</SCRIPT>").dollar is True


def test_delimiters_of_a_pages_own_are_read_with_their_escapes() -> None:
    config = r"""<script>MathJax.Hub.Config({tex2jax: {inlineMath: [['[itex]', "[/itex]"], ['\x23#', '##'] /* , ['%','%'] */],
        displayMath: [['[tex]','[/tex]'], ["\\[", "\\]"]]}});</script>"""
    read = read_config(config)
    assert read.inline == (("[itex]", "[/itex]"), ("##", "##"))
    assert read.display == (("[tex]", "[/tex]"),)
    assert found_in("If ##a_1## then\n\n[tex]b[/tex]", read) == [("a_1", False), ("b", True)]
    assert found_in("If [tex]b[/tex] then", read) == [("b", False)]


def test_a_letter_or_a_bracket_is_no_delimiter() -> None:
    assert read_config("<script>MathJax; inlineMath: [['a','a'], ['(',')'], ['', '']]</script>").inline == ()


def test_asciimath_is_read_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_config('<script src="https://x.org/MathJax.js?config=AM_CHTML"></script>')
    assert read.ascii == (("`", "`"),)
    assert read_config('<script src="MathJax.js?config=TeX-AMS_CHTML"></script>').ascii == ()
    monkeypatch.setattr("data_pipeline.formulas.delimited_formulas.asciimath_to_tex", str.upper)
    assert found_in("the `x/2` part", read) == [("X/2", False)]


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"so \(a<b\) and \[c\] and $$d$$.", [("a<b", False), ("c", True), ("d", True)]),
        ("$$\na\n+ b\n$$", [("a\n+ b", True)]),
        (r"\[\begin{pmatrix}a\\[2pt]b\end{pmatrix}\]", [(r"\begin{pmatrix}a\\[2pt]b\end{pmatrix}", True)]),
        (r"\begin{equation} E = mc^2 \end{equation}", [("E = mc^2", True)]),
        ("\\begin{align*}a &= b\\\\\n\nc &= d\\end{align*}", [("\\begin{align*}a &= b\\\\\n\nc &= d\\end{align*}", True)]),
        (r"\begin{itemize}x\end{itemize}", []),
        ("[tex]x^2[/tex]", [("x^2", True)]),
        ("Now [TEX]x^2[/TEX] is [itex]y[/itex].", [("x^2", False), ("y", False)]),
        (r"blog $latex \pi r^2$ text", [(r"\pi r^2", False)]),
        (r"open \( \(x\)", [("x", False)]),
        ("\\(a\n\nb\\)", []),
        ("$$ \n\n$$", []),
        (r"escaped \\(x\\)", []),
        (r"so $$$n$$$, $$$a_i \le 10^9$$$ and $$$s[1]$$$ ok", [("n", False), (r"a_i \le 10^9", False), ("s[1]", False)]),
        (r"$$$$$$ \sum a $$$$$$", [(r"\sum a", True)]),
        ("Prices: $$ Thai, $$$ Greek", []),
        ("Thai $$$ - Indian $$$$, or $$$ Greek $$$ and $$$, $$$", []),
        ('so [latex size=2]x[/latex] and [latex display="true"]y=1[/latex].', [("x", False), ("y=1", True)]),
    ],
)
def test_what_is_always_mathematics(text: str, formulas: list[tuple[str, bool]]) -> None:
    assert found_in(text) == formulas


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "US$5 to US$7",
        "from $x to y and $",
        "$ a $",
        "pay $20$",
        r"\$x^2\$",
        "costs $x more than$5",
        "$HOME and $PATH",
        "价格是$5和$10。",
        "设$是个符号$的",
        "$ ls a_1 $ cd b_2 $ ",
        "$ cd a_1\n$ cd b_2",
    ],
)
def test_money_and_shell_are_no_mathematics_on_a_page_without_configuration(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("for $n$ in", "n"),
        (r"$\alpha$-stable", r"\alpha"),
        ("$x_1 = 2$,", "x_1 = 2"),
        ("($f(x)$)", "f(x)"),
        ("the $k$th", "k"),
        (r"and $ f: X \rightarrow Y $ holds", r"f: X \rightarrow Y"),
        ("and $ a_n < 1 $ too", "a_n < 1"),
        (r"形式 $ \lim\limits_{x \to 0} f(x) $ 的", r"\lim\limits_{x \to 0} f(x)"),
        ("设$a$，为实数", "a"),
        ("面积为$S_{圆}=1$的", "S_{圆}=1"),
    ],
)
def test_single_dollars_that_plainly_hold_mathematics_count_without_configuration(text: str, tex: str) -> None:
    assert found_in(text) == [(tex, False)]


def test_names_with_spaces_count_where_the_text_writes_its_tex_so() -> None:
    text = r"Let $ f $ be $ a = 1 $ for $5, where $ x \in X $ and $ n $."
    assert [tex for tex, _ in found_in(text)] == ["f", "a = 1", r"x \in X", "n"]
    assert found_in("in $ f $ or $ a = 1 $ or $ n $") == []


def test_configured_dollars_count_except_money() -> None:
    assert found_in("$n$ of $any set$", CONFIGURED) == [("n", False), ("any set", False)]
    assert found_in("$5 and some more than $10", CONFIGURED) == []
    assert found_in("It costs $5. So $x$ is $y$ and then.", CONFIGURED) == [("x", False), ("y", False)]
    assert found_in("He has $5 and $x$ is $y = 2$.", CONFIGURED) == [("x", False), ("y = 2", False)]
    for kept in ("2 x + 1 ", "10^9 ", "2 sin x ", "5 cm", r"3 \text{ apples} ", "0 < x < 1 "):
        assert found_in(f"so ${kept}$ then", CONFIGURED) == [(kept.strip(), False)]
    assert found_in("$x$ and $y$", Delimiters(dollar=False)) == []


def test_dollars_close_outside_braces_and_escapes() -> None:
    assert found_in(r"$\text{cost \$5 for $n$}$ x", CONFIGURED) == [(r"\text{cost \$5 for $n$}", False)]


def test_a_script_lifted_inside_a_formula_goes_back_into_it() -> None:
    found = [Formula("x^{2}", False, "superscript")]
    text = delimit("\\(\ue0000\ue001+1\\)", found, Delimiters())
    assert spell(text, found) == "$x^{2}+1$"


def test_code_is_never_matched_across() -> None:
    assert found_in("$a \ue0021\ue003 b$", CONFIGURED) == []


def test_spelling_escapes_other_dollars_only_beside_formulas() -> None:
    assert spell("costs $5", []) == "costs $5"
    found = [Formula("a\nb", False, "script"), Formula("c", True, "script")]
    assert spell("$5 \\$6 \ue0000\ue001\ue0001\ue001", found) == "\\$5 \\$6 $a b$ $$c$$"


@pytest.mark.parametrize(
    "unit",
    [
        "$",
        "$a ",
        "\\[",
        "\\( ",
        "${ ",
        "\\begin{align}",
        "[tex]",
        "$$a\n\n",
        "\\",
        "`a ",
        "\\(\\[$$[tex]$",
        "$\ue0000\ue001",
        "$ \\aa ",
        "$ \\a$",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    delimiters = Delimiters(dollar=True, ascii=(("`", "`"),))
    short, long = unit * 4000, unit * 40000

    def seconds(text: str) -> float:
        times = []
        for _ in range(2):
            start = time.perf_counter()
            delimit(text, [], delimiters) if "`" not in text else delimit(text, [], Delimiters(dollar=True))
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(long) < 40 * seconds(short) + 0.2
