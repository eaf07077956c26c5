"""Quality rules and language: hand-made texts on either side of each limit, and the maths-aware rules against the general ones."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from data_pipeline.cleaning.math_quality import MATHEMATICS, judge, quality_rule, score_with
from data_pipeline.cleaning.prose_language import identify_language, keep_languages, language_of
from data_pipeline.cleaning.prose_mask import FORMULA, mask
from data_pipeline.cleaning.published_rules import PAPERS, c4, fineweb, general, gopher_quality, gopher_repetition, repeated
from data_pipeline.documents.document import Doc, Origin, drop_if
from tests.clock import stopwatch
from verifiers.input_error import InputError

PROSE = (
    "The history of the canal begins with a small company that wanted to bring coal to the city. Its founders had little money and less "
    "luck. In the spring of that year the river rose above its banks and carried away the first bridge. Nobody was hurt, but the work had "
    "to be done again. Most of the shareholders lost patience. A few of them stayed, and with their help the canal was opened to boats.\n"
)  # fmt: skip
WORDS = ("Algebra", "Topology", "Geometry", "Statistics", "Analysis", "Combinatorics", "Graphs", "Numbers")
LECTURE = r"""# Cauchy sequences

**Definition 1.** A sequence $(a_n)$ in a metric space is *Cauchy* if for every $\varepsilon > 0$ there is an $N$ with

$$d(a_n, a_m) < \varepsilon \quad \text{for all } n, m \ge N.$$

Every convergent sequence is Cauchy: if $a_n \to a$ then

$$d(a_n, a_m) \le d(a_n, a) + d(a, a_m) < \tfrac{\varepsilon}{2} + \tfrac{\varepsilon}{2} = \varepsilon.$$

**Example 2.** The sequence $a_n = \sum_{k=0}^{n} \frac{1}{k!}$ is Cauchy in $\mathbb{Q}$ but has no limit there, since

$$e = \lim_{n \to \infty} \sum_{k=0}^{n} \frac{1}{k!}$$

is irrational.
"""


def doc(text: str, **fields: object) -> Doc:
    return replace(Doc("0" * 16, "https://a.example/x", text, Origin("a.warc", 0)), **fields)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the papers' rules


def test_ordinary_prose_passes_all_four_sets() -> None:
    assert [rule(PROSE) for rule in (gopher_quality, gopher_repetition, c4, fineweb, general)] == [None] * 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a few words only", "too short"),
        ("word " * 49 + "the of", None),  # 51 words
        ("of a to " * 40, "word length"),
        ("incomprehensibilities of the " * 30, None),
        ("incomprehensibilities " * 60 + "of the", "word length"),
        ("the of wonder " * 20 + "# " * 8, "symbols"),
        ("the of wonder " * 20 + "... " * 7, "symbols"),
        ("- the point of it all remains this\n" * 10, "bullets"),
        ("- the point of it all remains this\n" * 8 + "so ends the list of points\n", None),
        ("the beginning of another long teaser that goes on for more than a dozen words…\n" * 8, "ellipses"),
        ("the of word " * 16 + "123 " * 13, "few letters"),
        ("the of word " * 16 + "123 " * 11, None),
        ("word " * 60 + "the", "no sentences"),
    ],
)
def test_gopher_quality_by_hand(text: str, reason: str | None) -> None:
    assert gopher_quality(text) == reason


def test_c4_counts_sentences_of_whole_lines_and_refuses_braces_and_latin() -> None:
    line = "This is a sentence of its own.\n"
    assert c4(line * 5) is None
    assert c4(line * 4) == "few sentences"
    assert c4(line * 4 + "please enable javascript to see this.\n") == "few sentences"
    assert c4(line * 4 + "no full stop at the end of this\n") == "few sentences"
    assert c4(line * 5 + "f(x) = {x}") == "curly bracket"
    assert c4(line * 5 + "Lorem ipsum dolor sit amet.") == "placeholder text"


def test_fineweb_asks_for_punctuated_long_and_different_lines() -> None:
    lines = [f"Line {i} has enough characters to count as long enough." for i in range(20)]
    assert fineweb("\n".join(lines)) is None
    assert fineweb("\n".join(line.rstrip(".") for line in lines)) == "few sentences"
    assert fineweb("\n".join(lines[:6] + ["short."] * 1 + [f"short {i}." for i in range(14)])) == "short lines"
    assert fineweb("\n".join(lines[:10] + lines[:2])) == "repeated lines"


def test_repeated_counts_later_copies_and_their_characters() -> None:
    assert repeated(["ab", "c", "ab", "ab"]) == (2, 4)
    assert repeated(["ab x", "c", "ab x"], unlike="x") == (0, 0)


def slow_repetition(text: str) -> str | None:
    """Gopher's n-gram rules with lists and loops."""
    words = text.split()
    total = sum(map(len, words))
    for n, limit in zip((2, 3, 4), PAPERS.top_ngrams, strict=True):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        for gram in set(grams):
            if grams.count(gram) > 1 and grams.count(gram) * sum(map(len, gram)) > limit * total:
                return "repeated phrases"
    for n, limit in zip(range(5, 11), PAPERS.repeated_ngrams, strict=True):
        seen: set[tuple[str, ...]] = set()
        covered: set[int] = set()
        for i in range(len(words) - n + 1):
            gram = tuple(words[i : i + n])
            if gram in seen:
                covered |= set(range(i, i + n))
            seen.add(gram)
        if sum(len(words[i]) for i in covered) > limit * total:
            return "repeated phrases"
    return None


def test_the_ngram_rules_agree_with_a_plain_implementation() -> None:
    import random

    draw = random.Random(3)
    outcomes = set()
    for trial in range(120):
        size = draw.choice([5, 20, 80, 400])
        words = [f"w{draw.randrange(size)}" * draw.choice([1, 2]) for _ in range(draw.randrange(2, 120))]
        if trial % 3 == 0:
            words[10:10] = words[: draw.randrange(4, 14)]
        text = " ".join(words)
        outcomes.add(slow_repetition(text))
        assert gopher_repetition(text) == slow_repetition(text), text
    assert outcomes == {None, "repeated phrases"}


# ---------------------------------------------------------------- masking


def test_formulas_are_words_and_display_joins_its_sentence() -> None:
    masked = mask("Let $x^2$ be\n\n$$\\frac{a}{b}$$\n\nwhich is small.")
    assert masked.prose.split() == ["Let", FORMULA, "be", FORMULA, "which", "is", "small."]
    assert "\n" not in masked.prose.strip()
    assert (masked.formulas, masked.formula_characters) == (2, 3 + len("\\frac{a}{b}"))


def test_a_display_does_not_swallow_the_heading_behind_it() -> None:
    assert mask("Text\n\n$$x$$\n\n## Next").prose.splitlines()[-1] == "Next"


@pytest.mark.parametrize("text", ["It costs $5 and $6 today.", "set `$HOME` and `$PATH` here", "`$GIT_URL` or $GIT_DIR alone"])
def test_money_and_shell_variables_are_no_formulas(text: str) -> None:
    assert mask(text).formulas == 0


def test_code_tables_and_marks_stand_apart() -> None:
    masked = mask(
        "# Title\n\n```python\nx = {1: 2}\n```\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n- item\n3. item\n> quoted **bold** `code {`"
    )
    assert masked.prose.split() == ["Title", "item", "item", "quoted", "bold", "code"]
    assert masked.rows == 3


def test_masking_is_linear_on_hostile_text() -> None:
    for text in (
        "$" * 200_000,
        "$a" * 100_000,
        "`" * 200_000,
        "```\n" * 50_000,
        "$$" + "a" * 300_000,
        "| " * 100_000,
        "> " * 100_000,
        "\n" * 200_000,
    ):
        took = stopwatch()
        judge(text)
        assert took() < 2, text[:4]


# ---------------------------------------------------------------- mathematics


def test_a_lecture_is_kept_though_all_general_rules_refuse_it() -> None:
    assert judge(LECTURE) is None
    assert general(LECTURE) is not None
    assert c4(LECTURE) == "curly bracket"


def test_without_formulas_the_general_rules_decide_unchanged() -> None:
    for text in (PROSE, PROSE + "{", "- a list\n" * 30, "short"):
        assert judge(text) == general(text)


def test_formula_lines_and_their_labels_may_repeat_in_mathematics() -> None:
    asked = ("Compute the value of", "Find the derivative with respect to x of", "For which real numbers is this negative:")
    text = "\n\n".join(f"**Exercise.**\n\n{asked[i % 3]}\n\n$${i}^2 + x$$\n\n**Solution.**\n\n$x + {i * i}$." for i in range(12))
    assert general(text) is not None
    assert judge(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# 404 Not Found\n\nThe page was not found. Go back to the start page.", "error page"),
        ("Just a moment. Checking your browser before you go on.", "error page"),
        ("Lorem ipsum dolor sit amet, consectetur. Let $x$ be given. " * 4, "placeholder text"),
        ("As an AI language model, I cannot compute $\\int x$ for you. " + LECTURE, "model refusal"),
        ("The values of $x$ are\n\n" + "| 1 | 2 | 3 |\n" * 60, "mostly a table"),
        ("$x$\n" + "\n".join(f"{a} and {b}" for a in WORDS for b in WORDS), "mostly links"),
        ("Buy the best calculator now. " * 60 + "$x$", "repeated phrases"),
        ("Buy the best calculator now.\n" * 60 + "$x$", "repeated lines"),
        ("Let $x$.", "too short"),
    ],
)
def test_rubbish_is_dropped_with_its_reason(text: str, reason: str) -> None:
    assert judge(text) == reason


def test_a_page_that_speaks_of_errors_is_none() -> None:
    assert judge(LECTURE + "\nA 404 error is the server's answer to a request for what is not there.") is None


def test_a_chinese_lecture_is_judged_without_counting_words() -> None:
    text = "设函数$f(x)=x^2+1$在区间$[0,1]$上连续,求证该函数在此区间上存在最大值和最小值。\n\n由连续函数的性质可知,结论成立。\n" * 1
    assert judge(text) is None


def test_the_rule_names_its_stage() -> None:
    assert quality_rule(doc("short")) == "quality: too short"
    assert quality_rule(doc(LECTURE)) is None
    (found,) = drop_if(quality_rule)(iter([doc("short")]))
    assert found.dropped == "quality: too short"


def test_limits_for_mathematics_are_never_stricter_than_the_papers() -> None:
    assert MATHEMATICS.min_words <= PAPERS.min_words
    assert MATHEMATICS.min_alphabetic <= PAPERS.min_alphabetic
    assert all(a >= b for a, b in zip(MATHEMATICS.repeated_ngrams, PAPERS.repeated_ngrams, strict=True))


def test_a_model_score_is_stored_and_held_to_its_threshold() -> None:
    calls: list[int] = []

    def scorer(texts: list[str]) -> list[float]:
        calls.append(len(texts))
        return [float(len(text)) for text in texts]

    docs = [doc("aaaa"), doc("gone").drop("x: y"), doc("a"), doc("aaa")]
    found = list(score_with(scorer, name="length", least=2.0, batch=3)(iter(docs)))  # type: ignore[arg-type]
    assert [d.dropped for d in found] == [None, "x: y", "quality: low score", None]
    assert [d.scores.get("length") for d in found] == [4.0, None, 1.0, 3.0]
    assert calls == [2, 1]


# ---------------------------------------------------------------- language

GERMAN = "Die Folge konvergiert gegen einen Grenzwert, weil sie monoton wachsend und nach oben beschränkt ist, wie man leicht sieht. "


def test_formulas_do_not_hide_the_language() -> None:
    noise = " ".join(f"$\\alpha_{{{i}}} \\le \\frac{{{i}}}{{x}}$" for i in range(40))
    assert language_of(f"{GERMAN} {noise}")[0] == "de"
    code, sure = language_of(LECTURE)
    assert (code, sure > 0.7) == ("en", True)


def test_mostly_formulas_have_no_language_and_are_kept() -> None:
    text = "Let $x$.\n\n" + "$$\\sum_{n} a_n x^n$$\n\n" * 30
    assert language_of(text) == ("", 0.0)
    (kept,) = keep_languages(("en",))(iter([doc(text)]))
    assert (kept.dropped, kept.language, kept.scores["language"]) == (None, "", 0.0)


def test_a_long_document_is_looked_at_in_several_places() -> None:
    menu = "Home and news and about us and contact and more of the things that you want to see here. " * 12
    assert language_of(menu + GERMAN * 60)[0] == "de"


def test_languages_are_kept_and_dropped_with_reasons() -> None:
    docs = [doc(PROSE), doc(GERMAN * 3), doc(PROSE, dropped="x: y"), doc(PROSE, language="en", scores={"language": 0.3})]
    found = list(keep_languages(("en",))(iter(docs)))
    assert [d.dropped for d in found] == [None, "language: other", "x: y", "language: unsure"]
    assert found[0].language == "en"
    assert found[2].language == ""
    assert [d.dropped for d in keep_languages(())(iter([doc(GERMAN * 3)]))] == [None]
    assert [d.dropped for d in keep_languages(("de", "fr"))(iter([doc(GERMAN * 3)]))] == [None]


@pytest.mark.parametrize("words", [6, 20, 40])
def test_an_unsure_guess_of_the_wanted_language_is_kept_where_there_is_little_prose(words: int) -> None:
    text = "Let $x^2$ be.\n\n" + " ".join(PROSE.split()[:words])
    docs = [doc(text, language=code, scores={"language": 0.2}) for code in ("en", "de")]
    assert [d.dropped for d in keep_languages(("en",))(iter(docs))] == [None, "language: other"]
    (long,) = keep_languages(("en",))(iter([doc(PROSE * 5, language="en", scores={"language": 0.2})]))
    assert long.dropped == "language: unsure"


def test_identifying_keeps_all_else_of_the_document() -> None:
    before = doc(PROSE, title="t", scores={"math": 0.5})
    after = identify_language(before)
    assert replace(after, language="", scores=before.scores) == before
    assert after.scores["math"] == 0.5


def test_an_unknown_language_code_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="english is none"):
        keep_languages(("english",))


def test_language_is_quick_on_hostile_text() -> None:
    for text in ("a" * 1_000_000, "_" * 500_000, "a_" * 200_000, "@" * 200_000, "\\a" * 200_000):
        took = stopwatch()
        language_of(text)
        assert took() < 2, text[:4]


def test_most_labelled_pages_of_mathematics_are_kept(data_dir: object, rendered_pages: Callable[[int], list[str]]) -> None:
    texts = rendered_pages(40)
    assert sum(judge(text) is None for text in texts) >= 0.8 * len(texts)


@pytest.fixture
def rendered_pages(data_dir: object) -> Callable[[int], list[str]]:
    """Texts of a few labelled pages, by the extractor."""
    import json
    from pathlib import Path

    from data_pipeline.documents.document import Page

    extract = pytest.importorskip("data_pipeline.extraction.page_to_document").extract
    web = Path(str(data_dir)) / "web"

    def render(count: int) -> list[str]:
        rows = [json.loads(line) for line in (web / "MANIFEST.jsonl").read_text(encoding="utf-8").splitlines()]
        chosen = [row for row in rows if row["label"] == "math" and row["bytes"] < 200_000][::9][:count]
        return [extract(Page(r["path"], (web / r["path"]).read_bytes(), "text/html", "", Origin("x", 0))).text for r in chosen]

    return render


def test_a_line_of_backticks_takes_linear_time() -> None:
    took = stopwatch()
    for hostile in ("`" * 500_000, "~" * 500_000, "```" * 3 + "\n" + "`" * 500_000):
        assert mask(hostile).formulas == 0
    assert took() < 1
