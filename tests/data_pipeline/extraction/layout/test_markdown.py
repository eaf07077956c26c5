"""The Markdown of markup written by hand, compared with what a person would write for it."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from data_pipeline.extraction.bounded_markup import MAX_DEPTH, bounded
from data_pipeline.extraction.layout.block_builder import blocks_of
from data_pipeline.extraction.layout.block_markdown import render, with_codes
from tests.clock import stopwatch


def markdown(html: str) -> str:
    found = blocks_of(LexborHTMLParser(bounded(html)))
    text, codes = render(found.blocks, found.codes)
    return with_codes(text, codes)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h1>A</h1><h3>B <i>c</i></h3><p>d\n e", "# A\n\n### B c\n\nd e"),
        ("<p>one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("<p>a <b>bold</b>, <em>soft</em> <a href='http://x.y/'>link</a>.", "a bold, soft link."),
        ("<p>1 &lt; 2 &amp; 3&nbsp;&gt; 2, &amp;lt; stays", "1 < 2 & 3 > 2, &lt; stays"),
        ("<p>soft\xadhy\u200bphen", "softhyphen"),
        ("<p>x<sup>2</sup> + a<sub>ij</sub>, the 2<sup>nd</sup> one<sup>[3]</sup>", "x^2 + a_{ij}, the 2nd one"),
        ("<p>Use <code>f(a,  b)</code> or <tt>`x`</tt>", "Use `f(a, b)` or `` `x` ``"),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", "- a\n- b\n  - c\n- d"),
        ("<ol start=3><li>a<li><p>b</p><p>more</p></li><li value=9>c</ol>", "3. a\n4. b\n\n  more\n\n9. c"),
        ("<dl><dt>term<dd>what it is</dl>", "term\n: what it is"),
        ("<blockquote><p>said<p>again</blockquote><p>after", "> said\n\n> again\n\nafter"),
        ("<hr><p>a</p><hr><p>b", "a\n\nb"),
        ("<p>a<img src='x.png' alt='A long description'>b <img alt='☃'>", "ab ☃"),
        ("<p>He said <q>no</q>.", 'He said "no".'),
        ("<p>a</p><script>var x = '<p>no</p>'</script><style>p {}</style><!-- <p>no --><p>b", "a\n\nb"),
        ("<p>a<select><option>no</select><button>no</button><textarea>no</textarea>b", "ab"),
    ],
)
def test_markup_becomes_the_markdown_a_person_would_write(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_listings_are_fenced_with_their_language_and_keep_their_lines() -> None:
    sphinx = (
        '<div class="highlight-python notranslate"><div class="highlight"><pre><span class="k">if</span> a:\n    b()\n</pre></div></div>'
    )
    assert markdown(sphinx) == "```python\nif a:\n    b()\n```"
    assert markdown('<pre><code class="language-cpp hljs">a &lt; b</code></pre>') == "```cpp\na < b\n```"
    assert markdown("<pre>a\n```\nb</pre>") == "````\na\n```\nb\n````"
    assert markdown("<ul><li>x<pre>a\n  b</pre></ul>") == "- x\n\n  ```\n  a\n    b\n  ```"
    assert markdown("<pre>a<br>b<div>c</div>d</pre>") == "```\na\nbc\nd\n```"


def test_line_numbers_and_permalink_signs_are_not_text() -> None:
    table = "<table class=highlighttable><tr><td class=linenos><pre>1\n2</pre></td><td class=code><pre>a\nb</pre></td></table>"
    assert markdown(table) == "```\na\nb\n```"
    assert markdown('<pre><span class="lineno">1 </span>a\n<span class="lineno">2 </span>b</pre>') == "```\na\nb\n```"
    assert markdown('<h2>Title<a class="headerlink" href="#t">¶</a></h2>') == "## Title"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("P(A|B)", r"P(A\|B)"),
        ("$|x|$ or P(A|B)", r"$|x|$ or P(A\|B)"),
        (r"P(A|B) \(a|b\) c|d", r"P(A\|B) \(a|b\) c\|d"),
        (r"$\|x\|$", r"$\|x\|$"),
        ("$5|6", "$5|6"),
        (r"\frac|x", r"\frac|x"),
        ("\ue0000\ue001 a|b", "\ue0000\ue001 a\\|b"),
    ],
)
def test_a_bar_in_a_cell_is_escaped_but_never_in_a_formula(cell: str, expected: str) -> None:
    assert markdown(f"<table><tr><th>n<th>m<tr><td>3<td>{cell}</table>") == f"| n | m |\n| --- | --- |\n| 3 | {expected} |"


def test_tables_of_data_become_pipe_tables() -> None:
    assert markdown("<table><tr><th>n<th>n!<tr><td>3<td>6<tr><td>4<td>a|b</table>") == "| n | n! |\n| --- | --- |\n| 3 | 6 |\n| 4 | a\\|b |"
    spanned = "<table><tr><th rowspan=2>a<th>b<tr><td>c<tr><td colspan=2>d</table>"
    assert markdown(spanned) == "| a | b |\n| --- | --- |\n|  | c |\n| d |  |"


def test_tables_of_layout_become_their_text() -> None:
    layout = "<table><tr><td><ul><li>menu<li>more</ul><td><h1>Title</h1><p>text<p>text two</table>"
    assert markdown(layout) == "- menu\n- more\n\n# Title\n\ntext\n\ntext two"
    nested = "<table><tr><td>a<td><table><tr><td>1<td>2<tr><td>3<td>4</table></table>"
    assert markdown(nested) == "a\n\n| 1 | 2 |\n| --- | --- |\n| 3 | 4 |"


def test_an_equation_and_its_number_laid_out_as_a_table_are_one_line() -> None:
    assert markdown("<table><tr><td><td>\ue0000\ue001<td>(1.2)<tr><td><td>\ue0001\ue001<td>(1.3)</table>") == (
        "\ue0000\ue001 (1.2)\n\n\ue0001\ue001 (1.3)"
    )


def test_the_heading_of_a_theorem_is_a_bold_line_in_every_dialect() -> None:
    latexml = '<div class="ltx_theorem ltx_theorem_thm"><h6 class="ltx_title ltx_title_theorem">Theorem 1.</h6><p>All.</p></div>'
    pretext = '<article class="theorem theorem-like"><h4 class="heading">Theorem 2 (Euler).</h4><p>All.</p></article>'
    sphinx = '<div class="admonition note"><p class="admonition-title">Note</p><p>All.</p></div>'
    assert markdown(latexml) == "**Theorem 1.**\n\nAll."
    assert markdown(pretext) == "**Theorem 2 (Euler).**\n\nAll."
    assert markdown(sphinx) == "**Note**\n\nAll."
    assert markdown('<div class="proof"><p>Clear.</p></div>') == "**Proof.**\n\nClear."
    assert markdown('<div class="proof"><p><i>Proof.</i> Clear.</p></div>') == "Proof. Clear."


def test_hidden_elements_are_dropped() -> None:
    assert markdown("<p>a<span style='visibility: hidden'>secret \ue0007\ue001</span>b<span hidden>no</span>") == "a\ue0007\ue001b"
    assert markdown("<p>a <i aria-hidden=true>icon</i><p>b<template>no</template><noscript>no</noscript>") == "a\n\nb"
    assert markdown("<p>\ue0001\ue001<noscript>\ue0001\ue001</noscript>") == "\ue0001\ue001", (
        "a lazy image and its fallback are one formula"
    )


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            r"<p>Equation (3)<span style='display: none;'><a href=x>\begin{align} a &= b \end{align}</a></span> is",
            r"\begin{align} a &amp;= b",
        ),
        (
            "<button>Show</button><div style='display:none'><p>The solution is \ue0003\ue001 and <ul><li>done</ul></div>",
            "The solution is \ue0003",
        ),
        (r"<div hidden><p>By parts, <span style='display:none'>twice,</span> \(uv\).</div>", r"By parts, twice, \(uv\)."),
        ("<div style='display:none'>It costs $5 today</div>", ""),
        ("<div style='display:none'>no mathematics</div>", ""),
        (r"<div style='display:none'>\(\newcommand{\R}{\mathbb R}\)</div>", ""),
        ("<ul style='display:none'><li><a href=a>on $x^2$</a><li><a href=b>b</a><li><a href=c>c</a></ul>", ""),
        (r"<span class='sr-only'>\(x^2\)</span><span aria-hidden=true>\(x^2\)</span>", ""),
    ],
)
def test_what_is_hidden_until_a_click_stays_where_it_is_mathematics(html: str, expected: str) -> None:
    out = markdown("<p>visible<p>" + html + "<p>end").removeprefix("visible")
    assert expected.replace("&amp;", "&") in out
    assert expected or out == "\n\nend"


def test_hidden_mathematics_that_was_shown_before_comes_in_once() -> None:
    assert markdown("<p>$$a + b = c^2$$<p>x<span style='display:none'>$$a + b = c^2$$</span>") == "$$a + b = c^2$$\n\nx"


def test_an_instruction_with_a_bracket_does_not_shift_the_tags() -> None:
    assert markdown("<p>one<?php echo 'a>b' ?></p><div>two</div>").endswith("two")


def test_a_page_hidden_until_its_script_runs_is_shown() -> None:
    assert "word" in markdown("<div style='display:none'><p>" + "word " * 200 + "</div><p>Loading")


def test_a_posts_software_quotation_is_no_quotation() -> None:
    assert markdown('<blockquote class="postcontent restore">hello</blockquote>') == "hello"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "x",
        "<div>" * 20_000 + "x" + "</div>" * 20_000,
        "<ul><li>x" * 20_000,
        "<blockquote>x " * 20_000,
        "<table><tr><td>x" * 10_000,
        "<sup>x" * 20_000,
        '<pre><span class="lineno">x' * 10_000,
        '<div style="display:none">x' * 10_000,
        "<code>x" * 10_000,
        "<svg>" + "<script>x" * 10_000,
        "<table>" + "<tr><td colspan=1000000000000000 rowspan=99999999999>x<td>y" * 500,
        "<table><tr>" + "<td>" * 1_000_000,
        "<p>a\0b\0" * 10_000 + "x",
        "<p " + " ".join(f'a{i}="x"' for i in range(50_000)) + ">x",
        "<a" * 200_000 + ">x",
        "<!--" * 100_000 + "x",
        "<div class='" + "aB-" * 200_000 + "'>x",
    ],
    ids=lambda html: html[:24],
)
def test_hostile_markup_takes_bounded_time(html: str) -> None:
    took = stopwatch()
    text = markdown(html)
    assert took() < 4
    assert "\0" not in text
    assert "\ue002" not in text
    assert len(text) < 3 * len(html) + 1000


def test_text_deeper_than_the_limit_is_kept_and_sound_pages_are_not_touched() -> None:
    deep = "<div>" * 30_000 + "needle" + "</div>" * 30_000 + "<p>after"
    assert "needle" in markdown(deep)
    assert "after" in markdown(deep)
    assert bounded(deep).count("<div>") == MAX_DEPTH
    sound = "<div><p>a</p></div>" * 10_000
    assert bounded(sound) is sound or bounded(sound) == sound


def test_code_with_dollars_never_reaches_the_search_for_formulas() -> None:
    found = blocks_of(LexborHTMLParser("<p>run <code>echo $a $b</code><pre>$x$</pre>"))
    text, codes = render(found.blocks, found.codes)
    assert "$" not in text
    assert with_codes(text, codes) == "run `echo $a $b`\n\n```\n$x$\n```"
    assert with_codes("a\ue00299\ue003b\ue002" + "9" * 30 + "\ue003", codes) == "ab", "placeholders out of range are dropped"
