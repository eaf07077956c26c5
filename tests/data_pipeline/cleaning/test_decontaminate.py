"""Benchmarks kept out: what is found in which disguise, what is not, and what is left of a page."""

import json
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.cleaning.benchmark_index import Benchmarks, Hit
from data_pipeline.cleaning.compared_words import DROPPED, raw_words, spell_word, spellings, text_words
from data_pipeline.cleaning.decontamination import decontaminate, hit_rows, row_hits
from data_pipeline.documents.document import Doc, Origin
from tests.clock import stopwatch
from verifiers.input_error import InputError

PROBLEM = (
    r"A well-known baker sells $\frac{3}{4}$ of his 1,200 loaves before noon, and $x^2+5x-36$ of the rest by six o'clock; "
    "Anna's sister buys the remaining ones. How many loaves does she carry home?"
)
SHORT = r"Simplify $\sqrt{245} + 2x$."
TEXTS = [
    ("bakery.jsonl", 7, PROBLEM),
    ("short.jsonl", 2, SHORT),
    ("short.jsonl", 3, "Solve it."),
    ("numbers.jsonl", 1, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"),
]
BENCHMARKS = Benchmarks(TEXTS)
BEFORE, AFTER = "Baking bread is an old craft, and the numbers are old too.", "The next chapter is about butter & flour, not $x^2$."


def doc(text: str, **more) -> Doc:
    return Doc("1" * 16, "https://a.org/1", text, Origin("a", 0), **more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{1}{2}", r"$\dfrac { 1 } { 2 }$"),
        (r"\frac{1}{2}", r"\frac12"),
        (r"\frac{1}{2}", "½"),
        (r"\frac{1}{2}", "1/2"),
        ("x^{2} + 3", "x² + 3"),
        ("10^{2}", "10²"),
        (r"\pi r^2", "πr^2"),
        (r"\sin\left(x\right)", "sin(x)"),
        (r"3 \cdot 4 \le 20", "3 × 4 ≤ 20"),
        (r"\begin{align*} a &= b \\ c &= d \end{align*}", "$a = b$ and $c=d$".replace("and", "")),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin {\,pmatrix } 1 \\ 2 \end{ pmatrix}"),
        ("1,000,000", "1000000"),
        ("1{,}000", "1,000"),
        ("12 , 345", "12345"),
        ("Anna's", "Anna’s"),
        ("prob\u00adlem", "problem"),
        ("ﬁnd ｘ", "find x"),
        ("What is the [sum](https://a.org/x?y=1) of", "what is the sum of"),
        ("see [it](https://a.org/b_(c)) now", "see it now"),
        ("**Bold** _text_", "bold text"),
        (r"\sqrt{2}", "√2"),
        (r"\mathrm{gcd}(a, b)", r"\gcd(a,b)"),
        ("CAFÉ", "cafe\u0301"),
    ],
)
def test_one_spelling(one, other):
    assert text_words(one) == text_words(other) != []


@pytest.mark.parametrize(
    ("one", "other"), [("x + 2", "x + 3"), (r"\sin x", r"\cos x"), ("one", "two"), (r"\alpha", r"\beta"), ("1000", "100")]
)
def test_what_differs_stays_different(one, other):
    assert text_words(one) != text_words(other)


def test_every_raw_word_is_in_the_table_of_spellings():
    text = PROBLEM + SHORT + r"\varepsilon \dbinom{n}{k} {n \choose k} \Pi \foo \textbf{x} \quad"
    table = {raw: word for word in text_words(text) for raw in spellings(word)}
    assert [table[raw] for raw in raw_words(text) if raw not in DROPPED] == text_words(text)
    assert all(spell_word(raw) == "" for raw in DROPPED)


DISGUISES = {
    "as it is": PROBLEM,
    "no punctuation": re.sub(r"[.,;?'-]", " ", PROBLEM).replace("o clock", "oclock").replace("Anna s", "Annas"),
    "shouted": PROBLEM.upper().replace(r"\FRAC", r"\frac"),
    "after punctuation": "- - - - - - - - - - - - *** ... !!! " + PROBLEM,
    "punctuation between all words": PROBLEM.replace(" ", " - * - "),
    "one word a line": PROBLEM.replace(" ", "\n"),
    "quoted": "> " + PROBLEM.replace(", ", ",\n> "),
    "spread over paragraphs": PROBLEM.replace("noon, and", "noon,\n\nand").replace("; ", ";\n\n"),
    "divided words": PROBLEM.replace("before", "be-\nfore").replace("remaining", "remain-\n ing").replace("carry", "car-\nry"),
    "divided at a hyphen": PROBLEM.replace("well-known", "well-\nknown"),
    "no dollars": PROBLEM.replace("$", ""),
    "inside LaTeX": r"\[\text{" + PROBLEM.replace("$", r"}\;\left(").replace("^2", "^{2}") + r"}\]",
    "spaced LaTeX": PROBLEM.replace("{3}{4}", " { 3 } {\\, 4 }").replace("+5x", "  +  5 \\, x"),
    "unicode": PROBLEM.replace(r"$\frac{3}{4}$", "¾").replace("x^2", "x²").replace("'", "’").replace("1,200", "１２００"),
    "a link in it": PROBLEM.replace("loaves before", "[loaves](https://bread.org/loaf_(x)) before"),
    "a part of it": PROBLEM[70:-20],
    "short one": "Now simplify  $ \\sqrt {245}+2 x $ please",
    "short one in lines": "simplify\n\n√245\n+2x",
}


@pytest.mark.parametrize("name", DISGUISES)
def test_planted_problems_are_found_and_removed(name):
    text = f"{BEFORE}\n\n{DISGUISES[name]}\n\n{AFTER}"
    cleaned, hits = BENCHMARKS.clean(text)
    assert {hit.benchmark for hit in hits} == {"short.jsonl" if "short" in name else "bakery.jsonl"}
    assert BENCHMARKS.hits(cleaned) == []
    assert cleaned.startswith(BEFORE)
    assert cleaned.endswith(AFTER)
    assert ("loaves" in cleaned, "245" in cleaned) == (False, False) or name == "spread over paragraphs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEFORE,
        "of his 1,200 loaves before noon",  # 7 words
        "Simplify 245 + 2x",  # no root
        "Solve it.",  # two words: too short to look for
        "loaves " * 1000,
        "- " * 5000,
        "A1B2" * 5000,
        PROBLEM.replace("baker", "farmer").replace("his", "her").replace("noon", "ten").replace("five", "6").replace("rest", "lot")
        .replace("Anna", "Bob").replace("remaining", "other").replace("does", "can"),
    ],
)  # fmt: skip
def test_what_shares_no_ten_words_is_clean(text):
    assert BENCHMARKS.clean(text) == (text, [])


def test_ten_words_hit_and_nine_do_not():
    tokens = text_words(PROBLEM)
    assert BENCHMARKS.hits("now " + " ".join(tokens[4:14]) + " now")
    assert not BENCHMARKS.hits("now " + " ".join(tokens[4:13]) + " now")


def test_ten_numbers_in_a_row_tell_nothing_unless_a_problem_is_only_those():
    listed = Benchmarks([("a", 1, "What comes next in this famous list? 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")])
    assert not listed.hits("Pages 1 2 3 4 5 6 7 8 9 10 11 12")
    assert listed.hits("famous list 1 2 3 4 5 6 7 8 9")
    assert BENCHMARKS.hits("Pages 1 2 3 4 5 6 7 8 9 10 11 12")[0].benchmark == "numbers.jsonl"


def test_hits_say_where_and_what():
    tokens = text_words(PROBLEM)
    (hit,) = BENCHMARKS.hits(f"{BEFORE}\n\n{' '.join(tokens[:5])}\n \n{' '.join(tokens[5:10])}\n\n{AFTER}")
    assert hit == Hit("bakery.jsonl", 7, " ".join(tokens[:10]), 1, 2)
    assert list(hit_rows("x1", [hit])) == [
        {"id": "x1", "benchmark": "bakery.jsonl", "row": 7, "ngram": " ".join(tokens[:10]), "segment": 1, "last_segment": 2}
    ]


def test_an_ngram_across_two_paragraphs_removes_both_and_no_other():
    tokens = text_words(PROBLEM)
    text = f"{BEFORE}\n\nIt began: {' '.join(tokens[:5])}\n\n{' '.join(tokens[5:10])}, they say.\n\n{AFTER}"
    assert BENCHMARKS.clean(text)[0] == f"{BEFORE}\n\n{AFTER}"


def test_what_a_removal_brings_together_goes_too():
    tokens = text_words(PROBLEM)
    whole = " ".join(tokens[14:24])
    text = f"{BEFORE}\n\n{' '.join(tokens[:5])}\n\n{whole}\n\n{' '.join(tokens[5:10])}\n\n{AFTER}"
    assert BENCHMARKS.clean(text)[0] == f"{BEFORE}\n\n{AFTER}"


def test_stages_remove_paragraphs_or_documents_and_report():
    dirty, clean = doc(f"{BEFORE}\n\n{PROBLEM}\n\n{AFTER}"), doc(BEFORE)
    only, gone = doc(PROBLEM), doc(PROBLEM, dropped="quality: too short")
    seen = []
    after = list(
        decontaminate(BENCHMARKS, report=lambda found, hits: seen.append((found.text, len(hits))))(iter([dirty, clean, only, gone]))
    )
    assert [(doc.text, doc.dropped) for doc in after] == [
        (f"{BEFORE}\n\n{AFTER}", None), (BEFORE, None), ("", "decontaminate: nothing left"), (PROBLEM, "quality: too short"),
    ]  # fmt: skip
    assert seen == [(dirty.text, 1), (PROBLEM, 1)]
    whole = list(decontaminate(BENCHMARKS, unit="document")(iter([dirty, clean])))
    assert [(doc.text, doc.dropped) for doc in whole] == [(dirty.text, "decontaminate: benchmark"), (BEFORE, None)]


@pytest.mark.parametrize(
    "row",
    [
        {"problem": PROBLEM, "gold": "3"},
        {"Question": PROBLEM},
        {"prompt": [{"role": "system", "content": "Think."}, {"role": "user", "content": PROBLEM}], "answer": "4"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": PROBLEM}, {"type": "image"}]}]},
        {"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": f"As in: {PROBLEM}"}]},
        {"question": "What is bread?", "solution": PROBLEM},
    ],
)
def test_rows_of_training_data_are_checked_in_all_their_texts(row):
    clean = {key: ("Nothing to see" if isinstance(value, str) else [{"role": "user", "content": "Nothing"}]) for key, value in row.items()}
    assert [(hit.benchmark, hit.row) for hit in row_hits(row, BENCHMARKS)] == [("bakery.jsonl", 7)]
    assert row_hits(clean, BENCHMARKS) == []


def test_a_row_without_text_is_refused():
    with pytest.raises(InputError, match="no text in any known column; it has id, label"):
        row_hits({"id": 3, "label": "x"}, BENCHMARKS)


def test_benchmarks_are_read_from_json_lines_and_parquet(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"question": text, "answer": "5"}) for text in (SHORT, PROBLEM)) + "\n")
    pq.write_table(pa.table({"Problem": [BEFORE], "Solution": [AFTER + " and so on, of course, it goes on"]}), tmp_path / "b.parquet")
    loaded = Benchmarks.load([tmp_path])
    assert loaded.problems == 3
    assert [(hit.benchmark, hit.row) for hit in loaded.hits(f"{PROBLEM}\n\n{BEFORE}\n\n{AFTER}")] == [("a.jsonl", 2), ("b.parquet", 1)]


def test_benchmark_files_that_cannot_be_used_are_one_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"question": "Fine, is it?"}\n{"gold": "3"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: no problem in this row .*it has gold"):
        Benchmarks.load([tmp_path / "a.jsonl"])
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="hold no problem"):
        Benchmarks.load([tmp_path / "empty.jsonl"])
    with pytest.raises(InputError, match="no benchmark file"):
        Benchmarks.load([])
    with pytest.raises(InputError, match=r"no\.jsonl: no such file"):
        Benchmarks.load([tmp_path / "no.jsonl"])


def test_too_short_problems_are_counted():
    assert BENCHMARKS.too_short == 1


def test_hits_are_those_of_a_plain_search():
    """Random words over a small vocabulary, so that 10-grams collide by chance, against sets of tuples."""
    draw = random.Random(8)
    letters = ["alpha", "bread", "corn", "dill"]
    problems = [" ".join(draw.choices(letters[1:], k=draw.randint(3, 14))) for _ in range(60)]
    benchmarks = Benchmarks([("b", row, text) for row, text in enumerate(problems)])
    grams = set()
    for problem in (text.split() for text in problems):
        size = min(10, len(problem))
        grams |= {tuple(problem[place : place + size]) for place in range(len(problem) - size + 1)}
    answers = []
    for _ in range(400):
        text = draw.choices(letters, weights=[1, 4, 4, 4], k=draw.randint(3, 16))
        expected = any(tuple(text[place : place + size]) in grams for size in range(3, 11) for place in range(len(text) - size + 1))
        answers.append(expected)
        assert bool(benchmarks.hits(" ".join(text))) == expected
    assert 40 < sum(answers) < 360


@pytest.mark.parametrize(
    "text",
    [
        "\\frac" * 40_000,
        "](http" * 40_000,
        "](http://a(" * 20_000,
        "1" * 200_000,
        "1," * 100_000,
        "\\begin{" * 30_000,
        "a-\n" * 70_000,
        "\n \n" * 70_000,
        "é" * 200_000,
        "\n" + " " * 200_000,
    ],
)
def test_hostile_text_takes_linear_time(text):
    took = stopwatch()
    BENCHMARKS.clean(text)
    assert took() < 2


def test_a_page_made_to_need_many_rounds_loses_all():
    tokens = text_words(PROBLEM)
    halves = [f"{' '.join(tokens[:5])}", f"{' '.join(tokens[5:10])}"]
    text = "\n\n".join([halves[0]] * 40 + [halves[1]] * 40)
    took = stopwatch()
    cleaned, hits = BENCHMARKS.clean(text)
    assert (cleaned, bool(hits)) == ("", True)
    assert took() < 2


def test_real_benchmarks_in_real_disguises(data_dir):
    files = [data_dir / "math" / f"{name}.jsonl" for name in ("aime24", "amc23", "math500")]
    benchmarks = Benchmarks.load(files)
    problems = [json.loads(line)["problem"] for file in files for line in file.read_text().splitlines()]
    assert (benchmarks.problems, benchmarks.too_short) == (570, 0)
    for number, problem in enumerate(problems):
        disguised = problem.replace("{", " { ").replace("}", "}\\,").replace(". ", " !\n\n") if number % 2 else problem.replace("$", "")
        assert benchmarks.hits(f"{BEFORE}\n\n{disguised}\n\n{AFTER}"), problem


EQUATIONS = r"""Find the polar form $(r,\theta),$ where $r > 0$ and $0 \le \theta < 2 \pi$, of the point $(0, 3)$ if $x + y = 7 - z$ and
\[ a^2 + b^2 = c^2 + 3 d, \quad a - 4 b = 5 + c. \] Janet's ducks don't eat what's not theirs, so $x + y - z = 8$ holds there too."""


def test_any_ten_words_between_white_space_are_found_where_they_hold_a_word():
    found = Benchmarks([("form.jsonl", 4, EQUATIONS)])
    pieces = EQUATIONS.split()
    for start in range(len(pieces) - 9):
        piece = " ".join(pieces[start : start + 10])
        if len(text_words(piece)) >= 7 and sum(map(len, text_words(piece))) >= 18:
            for text in (f"{BEFORE}\n\n{piece}\n\n{AFTER}", f"- - - *** {piece} - -", piece.replace("$", "")):
                assert {hit.row for hit in found.hits(text)} == {4}, text


@pytest.mark.parametrize(
    "text",
    [
        "the form $(r,\\theta),$ where $r + 0$ and $0 \\le",  # another sign
        "the form $(r,\\theta),$ where $r > 0$ and it is",
        "x + y = z",
        "1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10",
        "Janet's ducks don't eat what's not",  # six words, nine by \\w+
    ],
)
def test_fewer_words_are_found_only_with_the_signs_between_them(text):
    found = Benchmarks(
        [("form.jsonl", 4, EQUATIONS), ("sum.jsonl", 1, "What is $1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11$ in base 12?")]
    )
    assert found.hits(text) == []


def test_ten_runs_of_letters_are_found_whatever_becomes_of_the_apostrophe():
    found = Benchmarks([("ducks.jsonl", 1, "Janet\u2019s ducks lay 16 eggs per day. She eats three of them and sells what is left.")])
    for start in ("Janet's ducks", "Janets ducks", "Janet s ducks", "Janet\u2019s ducks"):
        assert found.hits(f"{start} lay 16 eggs per day. She eats three")
        assert not found.hits(f"{start.replace(' s ', 's ')} lay 16 eggs per day. She eats")


@pytest.mark.parametrize("hostile", ["(", "\\left ", "\\", "\\begin{", "'", "= ", ">\n"])
def test_reading_a_benchmark_is_linear_in_its_problems(hostile):
    took = stopwatch()
    assert Benchmarks([("hostile.jsonl", 1, (hostile * 200_000)[:200_000])]).hits("(((= = = \\left") == []
    assert took() < 2
