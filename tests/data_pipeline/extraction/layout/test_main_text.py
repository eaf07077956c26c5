"""Pages in the shapes that templates have, written by hand: what is content and what is not."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from data_pipeline.extraction.layout.block_builder import blocks_of
from data_pipeline.extraction.layout.block_markdown import render
from data_pipeline.extraction.layout.main_text import main_text
from data_pipeline.extraction.layout.markup_cues import BAD, BODY, COMMENTS, NAV, zone_of

PROSE = "The committee met on Tuesday and decided, after a long debate, that the bridge will be closed until the spring of next year."
MENU = "<ul>" + "".join(f"<li><a href='/{name}'>{name}</a></li>" for name in ("Home", "Sport", "Weather", "Politics", "Contact")) + "</ul>"


def chosen(html: str) -> str:
    found = blocks_of(LexborHTMLParser(html))
    return render(main_text(found), found.codes)[0]


def article(inside: str, *, before: str = "", after: str = "") -> str:
    return f"<body><div class=top>{MENU}</div>{before}<div class='text'><h1>Bridge</h1>{inside}</div>{after}</body>"


@pytest.mark.parametrize(
    "rest",
    [
        "<nav>All about the town council and its members, their duties and the hours at which they can be met, in one long text.</nav>",
        "<div class='sidebar-right'><p>All about the town council and its members, and the hours at which they can be met.</div>",
        "<div id=cookieBanner><p>We use cookies to make this page work well, to count visits, and for other reasons named elsewhere.</div>",
        "<div class='related-posts'><h3>More</h3><p>A tunnel is planned where the ferry goes today, and it costs more than was said.</div>",
        "<section id='comments'><p>I never liked that bridge, and I said so when it was built, but nobody in this town listens.</section>",
        "<div><a href=1>A tunnel for the ferry</a> <a href=2>A ferry for the tunnel</a> <a href=3>No tunnel and no ferry</a></div>",
        "<p>© 2024 The Bridge Post. All rights reserved, and no part of this page may be printed without written leave of it.</p>",
        "<div class='share'>Send this page to a friend who may want to read it, or keep it for later in one of these many places.</div>",
    ],
)
def test_boilerplate_around_an_article_goes_and_the_article_stays(rest: str) -> None:
    text = chosen(article(f"<p>{PROSE}<p>{PROSE}<h2>Why</h2><p>Because.<p>{PROSE}", after=rest))
    assert text == f"# Bridge\n\n{PROSE}\n\n{PROSE}\n\n## Why\n\nBecause.\n\n{PROSE}"


def test_short_paragraphs_lists_and_tables_between_prose_stay() -> None:
    inside = f"<p>{PROSE}<p>Yes.<ul><li>one<li><a href=x>two</a></ul><table><tr><th>a<th>b<tr><td>1<td>2</table><p>{PROSE}"
    text = chosen(article(inside))
    assert all(part in text for part in ("Yes.", "- one\n- two", "| 1 | 2 |"))


def test_a_formula_is_content_wherever_it_stands() -> None:
    rest = "<div class=sidebar><p>Recall that \ue0000\ue001 holds.</div>"
    rest += "<section class=comments><p>But \ue0001\ue001?</section><footer>See \ue0002\ue001.</footer>"
    text = chosen(article(f"<p>{PROSE}<p>{PROSE}", after=rest))
    assert all(f"\ue000{index}\ue001" in text for index in range(3))


def test_a_formula_between_delimiters_counts_as_one() -> None:
    text = chosen(
        article(f"<p>{PROSE}<p>{PROSE}", after="<div class=sidebar><p>Then $x^2$ is.</div><div class=aside><p>It costs $5 and $6.</div>")
    )
    assert "$x^2$" in text
    assert "costs" not in chosen(article(f"<p>{PROSE}<p>{PROSE}", after="<div class=sidebar><p>It costs $5 and $6.</div>"))


def test_links_to_other_questions_are_no_content_even_with_formulas() -> None:
    rest = "<div class='sidebar'><div><a href=1>Why is \ue0005\ue001 prime?</a></div><div><a href=2>Is \ue0006\ue001 odd?</a></div></div>"
    text = chosen(article(f"<p>{PROSE} \ue0000\ue001<p>{PROSE}", after=rest))
    assert "\ue0000\ue001" in text
    assert "\ue0005" not in text


def test_questions_answers_and_their_comments_with_formulas_stay() -> None:
    post = "<div class='{}'><div class='s-prose js-post-body'><p>{}</p><p>So \ue000{}\ue001.</p></div>"
    post += "<div class=comments><p>And \ue000{}\ue001?</p></div></div>"
    html = "<h1>How?</h1>" + "".join(
        post.format(kind, PROSE, n, n + 10) for n, kind in enumerate(["question", "answer", "answer accepted"])
    )
    text = chosen(f"<body>{MENU}<div id=content>{html}</div></body>")
    assert [n for n in (0, 1, 2, 10, 11, 12) if f"\ue000{n}\ue001" not in text] == []


def test_a_name_that_would_take_most_of_the_page_is_not_believed() -> None:
    html = f"<body><div class='widget sidebar content-sidebar'><h1>Bridge</h1><p>{PROSE}<p>{PROSE}<p>{PROSE}</div></body>"
    assert chosen(html).count(PROSE) == 3


def test_an_index_page_keeps_its_links_and_an_empty_page_is_empty() -> None:
    index = "<body><h1>Contents</h1>" + "".join(f"<p><a href='{n}'>Chapter {n}</a>" for n in range(30)) + "</body>"
    assert "Chapter 29" in chosen(index)
    assert chosen("<body></body>") == ""
    assert chosen("") == ""


def test_a_heading_whose_text_went_goes_with_it() -> None:
    rest = "<h2>Related</h2><ul><li><a href=1>One more bridge</a><li><a href=2>Two more bridges</a><li><a href=3>Three of them</a></ul>"
    assert "Related" not in chosen(article(f"<p>{PROSE}<p>{PROSE}{rest}<h2>Costs</h2><p>{PROSE}"))


def test_the_lead_between_the_title_and_the_body_is_kept() -> None:
    html = f"<main><h1>Bridge</h1><div><h2>{PROSE[:60]}</h2></div><div class='article-body'><p>{PROSE}<p>{PROSE}<p>{PROSE}</div></main>"
    assert chosen(f"<body>{MENU}{html}</body>").startswith(f"# Bridge\n\n## {PROSE[:60]}")


@pytest.mark.parametrize(
    ("tag", "attrs", "zone"),
    [
        ("nav", "", NAV),
        ("div", ' role="navigation"', NAV),
        ("div", ' class="left sideBar"', BAD),
        ("div", ' id="main_sidebar_2"', BAD),
        ("div", ' class="has-sidebar"', 0),
        ("article", ' class="post tag-newsletter category-related"', 0),
        ("div", ' class="elementor-widget elementor-widget-text"', 0),
        ("div", ' class="footnotes"', 0),
        ("div", ' class="entry-content"', BODY),
        ("ol", ' class="comment-list"', COMMENTS),
    ],
)
def test_names_are_read_by_their_words(tag: str, attrs: str, zone: int) -> None:
    assert zone_of(tag, attrs)[0] & (NAV | BAD | BODY | COMMENTS) == zone


def test_a_question_whose_title_is_a_link_keeps_its_title_and_a_sites_name_goes() -> None:
    html = f"<h1><a href=/>My site</a></h1><main><h1><a href=q>How?</a></h1><div class='post-body'><p>{PROSE}<p>{PROSE}</div></main>"
    assert chosen(f"<body>{html}</body>").startswith("# How?\n\nThe committee")


def test_what_stands_before_the_only_title_is_the_sites_unless_it_is_mathematics() -> None:
    site = "<div><p>This is a place where anybody may ask about bridges, and anybody may answer; it costs nothing at all.</div>"
    text = chosen(article(f"<p>{PROSE}" * 6, before=site + "<div><p>Let \ue0000\ue001.</div>"))
    assert "anybody" not in text
    assert "\ue0000\ue001" in text


QUESTION = (
    '<h1>Odd powers</h1><div class="question"><p>Is this number a prime?</p><p>I mean $83^{27}+1$ and nothing else, so what is it then?</p>'
    '<div class="user-info"><div class="user-action-time">asked Aug 2 \'13 at 21:37</div><div>Ali</div><span>3,901</span></div>'
    '<div class="comment"><span class="comment-score">51</span><p>17</p><p>The number is even! – Ali '
    '<span class="comment-date">Aug 3</span></p></div>'
    "<p>add a comment |</p><p>show 8 more comments</p></div>"
    '<div class="answer"><p>42</p><p>No: it is even because $83^{27}$ is odd, and so it is no prime number at all.</p>'
    "<p>answered Aug 2 '13 at 21:37</p><p>edited 3 days ago</p></div><h2>You must log in to answer this question.</h2>"
)


def test_what_a_question_site_says_around_posts_goes_and_questions_answers_comments_stay() -> None:
    text = chosen(QUESTION)
    for part in ("asked", "3,901", "51", "17", "Aug", "add a", "show 8", "answered", "edited", "log in"):
        assert part not in text
    for part in ("Is this number a prime?", "$83^{27}+1$", "The number is even! – Ali", "42", "No: it is even"):
        assert part in text


@pytest.mark.parametrize(
    "sentence",
    [
        "The question was asked today by $n$ people.",
        "answered by $2:30$ today",
        "Add a comment to the proof.",
        "Asked about it, he left at 21:37, which is late.",
    ],
)
def test_sentences_that_begin_like_a_sites_own_words_stay(sentence: str) -> None:
    assert sentence in chosen(
        f"<h1>T</h1><p>{'A sentence of some length that is prose. ' * 4}</p><p>{sentence}</p><p>{'And more prose at the end. ' * 6}</p>"
    )
