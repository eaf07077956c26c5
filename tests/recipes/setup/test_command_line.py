"""Words of a command line that no dataclass reads."""

import os

import pytest

from recipes.commands.cli import main
from recipes.setup.command_line import named_values
from recipes.setup.problem_source import load_problems, load_rows
from verifiers.input_error import InputError


def test_named_values_are_json_where_they_are_json():
    pairs = ("enable_thinking=false", "silent=True", "count=3", "effort=low", "path=a=b", "empty=", "tools=[1, 2]", "none=null")
    assert named_values(pairs, "--template-arg", "x=1") == {
        "enable_thinking": False, "silent": True, "count": 3, "effort": "low", "path": "a=b", "empty": "", "tools": [1, 2], "none": None,
    }  # fmt: skip


@pytest.mark.parametrize("pair", ["enable_thinking", "=false", "a b=1"])
def test_what_is_no_pair_is_one_line(pair):
    with pytest.raises(InputError, match=rf"^--template-arg '{pair}' must be name=value, such as enable_thinking=false$"):
        named_values((pair,), "--template-arg", "enable_thinking=false")


def test_a_name_that_no_file_can_have_is_one_line(capsys):
    assert main(["sft", "--model", "x" * 5000, "--data", "y" * 5000]) == 2
    assert capsys.readouterr().err.endswith("is too long for a file's name; give a shorter one\n")


@pytest.mark.parametrize("read", [load_rows, load_problems])
def test_a_pipe_is_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InputError, match=r"pipe\.jsonl is not a regular file: it might never end"):
        read(str(tmp_path / "pipe.jsonl"))
