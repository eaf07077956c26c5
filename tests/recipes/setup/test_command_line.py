"""Words of a command line that no dataclass reads."""

import pytest

from recipes.setup.command_line import named_values
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
