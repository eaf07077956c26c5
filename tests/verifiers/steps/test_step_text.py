"""Where steps end: by hand, and that they lie end to end whatever the text."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.input_error import InputError
from verifiers.rewards.reward_kinds import WrongReturnError
from verifiers.steps.step_text import splitter, texts


def cut(split: str, response: str) -> list[str]:
    return texts(response, splitter(split)(response))


@pytest.mark.parametrize(
    ("split", "response", "steps"),
    [
        ("blank", "a\nb\n\nc\n \n\n d", ["a\nb\n\n", "c\n \n\n", " d"]),
        ("blank", "a\r\n\r\nb", ["a\r\n\r\n", "b"]),
        ("blank", "one", ["one"]),
        ("blank", "a\n\n", ["a\n\n"]),
        ("blank", "", []),
        ("blank", " \n\n \n", []),
        ("blank", "<think>\n\na\n\n</think>\n\nb\n\n---\n\nc", ["<think>\n\na\n\n</think>\n\n", "b\n\n---\n\n", "c"]),
        ("line", "a\nb\n\nc\n \n\n d", ["a\n", "b\n\n", "c\n \n\n", " d"]),
        ("line", "so\n\\[\n1+1=2\n\\]\nend", ["so\n\\[\n", "1+1=2\n\\]\n", "end"]),
        ("after:ки", "a ки\nb ки", ["a ки\n", "b ки"]),
        ("after:+", "a+b+ c", ["a+", "b+ ", "c"]),
        ("before:Step ", "Intro Step 1: a\nStep 2: b", ["Intro ", "Step 1: a\n", "Step 2: b"]),
        ("before:Step ", "Step 1: a Step 2: b", ["Step 1: a ", "Step 2: b"]),
    ],
)
def test_by_hand(split: str, response: str, steps: list[str]) -> None:
    assert cut(split, response) == steps


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="ab1 \n\r\t<>/\u4f60-", max_size=40), st.sampled_from(["blank", "line", "after:a", "before:b"]))
def test_steps_lie_end_to_end_and_each_says_something(response: str, split: str) -> None:
    ends = splitter(split)(response)
    assert ends == sorted(set(ends))
    if ends:
        assert ends[-1] == len(response)
        assert all(any(character.isalnum() for character in step) for step in texts(response, ends))
    else:
        assert not any(c.isalnum() for c in response.replace("<a>", "").replace("<b>", "")) or "<" in response


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("lines", r"^split is 'lines', which is no way to cut a response into steps; did you mean line\?$"),
        ("paragraph", r'^split is \'paragraph\', .*; it is blank, line, "after:TEXT", "before:TEXT" or FILE.py:FUNCTION$'),
        ("after:", r"^split='after:' names no text"),
        ("nowhere.py:cut", r"^no file .*nowhere.py"),
    ],
)
def test_no_way_to_cut_is_one_line(split: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splitter(split)


def test_a_users_function_says_where(tmp_path: Path) -> None:
    file = tmp_path / "my_cut.py"
    file.write_text(
        "def half(response): return [len(response) // 2, len(response)]\n"
        "def far(response): return [1, len(response) + 40]\n"
        "def back(response): return [3, 2]\n"
        "def words(response): return response.split()\n"
        "def zero(response): return [0, 2]\n"
    )
    assert splitter(f"{file}:half")("abcd") == [2, 4]
    for name, message in (
        ("far", r"my_cut.py:far returned the end 44, outside of the response, which has 4 characters$"),
        ("zero", r"my_cut.py:zero returned the end 0, outside"),
        ("back", r"my_cut.py:back returned the end 2 after the end 3; the ends of steps rise$"),
        ("words", r"my_cut.py:words returned \['abcd'\]; expected a list of ends"),
    ):
        with pytest.raises(WrongReturnError, match=message):
            splitter(f"{file}:{name}")("abcd")
