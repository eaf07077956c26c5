"""What is cheap stays cheap, and says the same as the long way round: short tokens, patterns that are only tried where they can match."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.mathematics.answer_reading import latex_tokens
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.latex_tokens import tokenize
from verifiers.mathematics.answer_reading.values import Unparsed
from verifiers.mathematics.equality.compared_gold import says_nothing
from verifiers.response_text import final_answer
from verifiers.response_text.final_answer import extract_answer
from verifiers.verdict import quoted

ROOT = Path(PACKAGE_ROOT)
PIECES = [
    *"0123456789xyenCDE+-*/=()[]{}|^_<>,;:!.&%$' \n~'\"?#@",
    *(r"\frac", r"\frac{1}{2}", " 1/2", "1,234", "{,}", r"\,", r"\!", r"\quad", r"\left", r"\left.", r"\pi", "pi_1", "x_{ij}", "x_1"),
    *("A3_{16}", "1e5", ".5", r"0.\overline{3}", r"\mathbb{R}", r"\text{N}", r"\{", r"\\\\", "log2(", "max", "and", "½", "√", "é"),
]


def test_tokens_of_one_character_are_those_of_the_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    texts = ["".join(draw.choice(PIECES) for _ in range(draw.randint(1, 12))) for _ in range(1500)]
    short = [tokenize(text) for text in texts]
    taken = sum(bool(latex_tokens._short_token(text, 0)[0]) for text in texts)
    monkeypatch.setattr(latex_tokens, "_short_token", lambda source, position: ("", ""))
    assert short == [tokenize(text) for text in texts]
    assert taken > 500


def test_a_gold_that_says_nothing_is_one_without_tokens() -> None:
    draw = random.Random(4)
    texts = ["".join(draw.choice(PIECES) for _ in range(draw.randint(1, 4))).strip() for _ in range(1500)]
    assert [says_nothing(text) for text in texts] == [not text or parse(text) == Unparsed("") for text in texts]
    assert says_nothing(r"\text{}")
    assert says_nothing("$$")
    assert says_nothing(",")
    assert not says_nothing("it")


def test_what_stands_before_a_number_is_looked_at_wherever_it_may_join() -> None:
    draw = random.Random(5)
    ends = [*"^{<>=~_,;:-+*/)]}. $0aé√≤−–×·÷ \n", r"\le", r"\sqrt", "not", "than", "minus", "n't", "non è", "不是", "7", "7 ", "7:", "x"]
    texts = ["".join(draw.choice(ends) for _ in range(draw.randint(1, 6))) for _ in range(20_000)]
    joined = [text for text in texts if final_answer._PART_BEFORE.search(text)]
    assert len(joined) > 1000
    assert all(map(final_answer._may_join, joined))
    assert not final_answer._may_join("so A: ")
    assert not final_answer._may_join("it is )")
    assert not final_answer._may_join("== 5) ")


@pytest.mark.parametrize(
    ("response", "number"),
    [
        ("A: 1,234", "1,234"),
        ("A: 12/34 " + "and so on " * 12, "12/34"),  # further from the end than is looked at first
        ("A: 7 " + "and so on " * 60, "7"),
        ("A: " + "1234567890" * 9, "1234567890" * 9),  # begins before what is looked at first
    ],
)
def test_the_last_number_is_found_wherever_it_stands(response: str, number: str) -> None:
    answer = extract_answer(response)
    assert answer is not None
    assert answer.text == number


def test_quoted_text_is_one_line_that_prints() -> None:
    assert quoted("a  b\nc") == "'a b c'"
    assert quoted("a\x00b" + "c" * 200) == "'a\N{REPLACEMENT CHARACTER}b" + "c" * 117 + "'..."


def test_importing_the_verifier_loads_no_module_of_messages() -> None:
    code = "import sys, verifiers.mathematics.equality.math_answer; "
    code += "print([n for n in ('difflib', 'pathlib', 'urllib', 'random', 'mpmath') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(re.findall(r"\w+", done.stdout))
    start = subprocess.run([sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True).stdout.split()
    assert not loaded - set(start)  # a .pth file of an environment may load some of them itself
