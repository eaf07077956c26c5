"""What a subject decides, and how one is named."""

import pytest

from data_pipeline.classifier.classifier_words import REPEATS, normalise
from data_pipeline.cleaning.math_quality import quality_rule
from data_pipeline.documents.document import Doc, Origin
from data_pipeline.loop.run_settings import Settings
from data_pipeline.subjects.code import CODE
from data_pipeline.subjects.code_markup import has_code
from data_pipeline.subjects.code_quality import judge, listings
from data_pipeline.subjects.code_words import HABITS, LISTED, MARK, code_words
from data_pipeline.subjects.mathematics import MATHEMATICS
from data_pipeline.subjects.named_subject import fingerprint, subject_of
from data_pipeline.subjects.subject import Subject, papers_rule
from verifiers.input_error import InputError

MANUAL = """# shelve_book

Puts a book on its shelf and says where it stands. The shelf is made when there is none of that name.

```c
int shelve_book(struct shelf *s, const char *title) {
    if (!s) { return -1; }
    return s->count++;
}
```

The call `shelve_book(s, "Emma")` returns the place of the book, counted from zero. With `--dry-run` nothing is written, and the
library only prints what it would have done. Books that are on the shelf already keep their place.
"""
LETTER = " ".join(["The aunt of the postman came by on Sunday and told us that the river has risen over the meadow again."] * 1)


def page(text: str, **formulas: int) -> Doc:
    return Doc("0" * 16, "https://a.example/x", text, Origin("a.warc", 0), formulas=formulas)


def test_mathematics_is_what_the_loop_always_did():
    subject = subject_of("math")
    assert subject is MATHEMATICS
    assert (subject.words, subject.quality_rule) == (normalise, quality_rule)
    assert subject.evidence(page("x", script=1))
    assert not subject.evidence(page("x", script=0))
    assert subject.target.labels == ("__label__other", "__label__math")


def test_a_users_subject_comes_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from data_pipeline.subjects.subject import Subject\n"
        "def recipe(doc):\n    return 'teaspoon' in doc.text\n"
        "COOKING = Subject(name='cooking', noun='recipes', adjective='culinary', evidence=recipe)\n"
        "NUMBER = 3\n"
    )
    found = subject_of(f"{file}:COOKING")
    assert (found.name, found.problems, found.quality_rule) == ("cooking", None, papers_rule)
    assert found.evidence(page("a teaspoon of salt"))
    assert Settings(subject=f"{file}:COOKING").subject == f"{file}:COOKING"
    before = fingerprint(f"{file}:COOKING")
    file.write_text(file.read_text() + "# more\n")
    assert fingerprint(f"{file}:COOKING") != before
    assert fingerprint("code") == "code"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("maths", r"did you mean math\?"),
        ("history", "there are math, code; your own is FILE.py:NAME"),
        ("nowhere.py:X", "no file .*a subject is FILE.py:NAME"),
        ("{file}:NUMBER", "is no Subject but 3"),
        ("{file}:COKING", r"has no 'COKING'; did you mean COOKING\?"),
        (":X", "a subject is FILE.py:NAME"),
    ],
)
def test_a_subject_that_is_not_there_is_one_line(spec, says, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("NUMBER = 3\nCOOKING = 4\n")
    with pytest.raises(InputError, match=says):
        Settings(subject=spec.format(file=file))


@pytest.mark.parametrize("name", ["Cooking", "a b", "other", "", "../x"])
def test_a_subjects_name_goes_into_files(name):
    with pytest.raises(InputError, match="lower case letters"):
        Subject(name=name, noun="x", adjective="x")


def test_code_is_seen_by_how_it_is_written():
    words = code_words("Call `np.full_like(a)` with --dry-run.\n\n```\nint main() {}\n```\n\n>>> x == y\n").split()
    for habit in ("span", "dotted", "option", "call", "listing", "sign", "prompt"):
        assert MARK + habit in words, habit
    assert {"np", "full", "dry", "run", "main"} <= set(words)


def test_formulas_say_nothing_of_code():
    assert code_words("The sum $\\sum_i a_{i}$ and $$\\frac{1}{2}$$ of terms") == code_words("The sum and of terms")


def test_no_habit_drowns_a_page():
    names = " ".join("abcdefghij"[n // 10] + "klkbqpqrdw"[n % 10] + "x" for n in range(100))
    words = code_words(f"{'use_it(now) ' * 500}\n```\n{names}\n```\n").split()
    assert words.count(f"{MARK}snake") == words.count(f"{MARK}call") == HABITS
    assert words.count("use") == 0  # a function word
    assert words.count("now") == 0
    assert words[words.index(f"{MARK}listing") + 1 :] == names.split()[:LISTED]
    assert code_words("alpha " * 500).split().count("alpha") == REPEATS


def test_a_line_without_any_habit_is_prose_in_any_language():
    assert f"{MARK}prose" in code_words("Der Fluss ist in der Nacht über die Wiesen und Felder gestiegen").split()
    assert f"{MARK}prose" not in code_words("Der Fluss ist in der Nacht über `die_wiesen` und Felder gestiegen").split()


def test_dollars_in_a_listing_are_no_formula():
    assert "path" in code_words("```\n$HOME and path $HOME\n```").split()


def test_quality_of_code_does_not_fail_on_braces():
    assert quality_rule(page(MANUAL)) == "quality: curly bracket"
    assert CODE.quality_rule(page(MANUAL)) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# 404 not found\n\nThe page was not found.", "error page"),
        ("Short `a` `b` `c` text.", "too short"),
        (MANUAL.replace("return -1;", "x" * 2000), "generated code"),
        (LETTER, "too short"),
    ],
)
def test_quality_of_code_by_kind(text, why):
    assert judge(text) == why


def test_evidence_of_code():
    assert CODE.evidence(page(MANUAL))
    assert CODE.evidence(page("`a` and `b` and `c`"))
    assert not CODE.evidence(page("`a` and `b`"))
    assert not CODE.evidence(page(LETTER, script=3))


def test_listings_end_with_their_own_fence_or_the_text():
    assert listings("a\n```py\nx\n~~~\ny\n```\nb\n~~~\nz") == ["\nx\n~~~\ny\n", "\nz"]


def test_markup_of_code():
    assert has_code(b"<PRE class=x>")
    assert has_code("<code>".encode("utf-16"))
    assert not has_code(b"<p>a precode</p>")
