"""Weights as a file: read back as written, and each thing that can be wrong with one told in a line."""

import json

import pytest

from rl.mixtures.mixture_file import Mixture, Phase, normalised, read_mixture, write_mixture
from verifiers.input_error import InputError


def test_what_is_written_is_read(tmp_path):
    mixture = Mixture({"a": 0.25, "b": 0.75}, (Phase(0.0, {"a": 0.5, "b": 0.5}), Phase(0.5, {"a": 0.0, "b": 1.0})))
    write_mixture(tmp_path / "w.json", mixture, {"algorithm": "by hand"})
    assert read_mixture(tmp_path / "w.json") == mixture
    assert json.loads((tmp_path / "w.json").read_text())["algorithm"] == "by hand"
    assert Mixture({"a": 1.0}).phases == (Phase(0.0, {"a": 1.0}),)
    assert normalised(["b", "a"], {"a": 1.0, "b": 3.0}) == [0.75, 0.25]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", 'should be {"weights"'),
        ('{"weights": {}}', "an object of a domain to a number"),
        ('{"weights": {"a": -1}}', "'a' should be a number from 0 to 1e[+]12, not -1"),
        ('{"weights": {"a": 1e308, "b": 1e308}}', "not 1e[+]308"),
        ('{"weights": {"a": 1' + 400 * "0" + "}}", "not 10000"),
        ('{"weights": {"a": true}}', "not True"),
        ('{"weights": {"a": NaN}}', "not nan"),
        ('{"weights": {"a": 0}}', "some weight should be above 0"),
        ('{"weights": {"a": 1}, "schedule": [{"from": 0.5, "weights": {"a": 1}}]}', "begin at 0 and rise"),
        ('{"weights": {"a": 1}, "schedule": [{"from": 0, "weights": {"b": 1}}]}', "the domains of `weights`"),
        ('{"weights": {"a": 1}, "schedule": [{"from": 1, "weights": {"a": 1}}]}', "from 0 to below 1"),
        ('{"weights": {"a": 1}, "schedule": [0]}', "should be a list of"),
    ],
)
def test_what_is_no_mixture_is_one_line(text, says, tmp_path):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(InputError, match=says) as error:
        read_mixture(tmp_path / "w.json")
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="`reckon mix` writes one"):
        read_mixture(tmp_path / "none.json")


def test_of_phases_that_fall_on_one_step_the_last_counts():
    mixture = Mixture({"a": 1.0}, tuple(Phase(number / 10, {"a": number}) for number in range(10)))
    assert {step: phase.weights["a"] for step, phase in mixture.begins(3).items()} == {0: 1, 1: 4, 2: 8, 3: 9}
    assert list(mixture.begins(10)) == list(range(10))
