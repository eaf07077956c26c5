"""What a command has found stays one line of JSON that any program reads, whatever else is printed and by whom."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recipes.setup.command_line import guarded
from recipes.spelling.result_line import json_alone, plain_json, result_line, tell_result


def _command(body: str, *, encoding: str = "utf-8", **streams: Any) -> subprocess.CompletedProcess[bytes]:
    code = (
        "import os, subprocess, sys\nfrom recipes.setup.command_line import guarded\nfrom verifiers.input_error import InputError\n"
        f"from recipes.spelling.result_line import json_alone, tell_result\ndef run():\n{body}\nsys.exit(guarded(run))"
    )
    return subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONIOENCODING": encoding}, check=False, **streams)


def test_with_json_nothing_else_is_printed_by_child_processes_either() -> None:
    body = (
        "    print('before')\n    json_alone()\n    print('loud')\n    subprocess.run(['echo', 'louder'])\n    os.write(1, b'loudest')\n"
        "    tell_result({'right': 1})\n    return 0"
    )
    done = _command(body, capture_output=True)
    assert done.stdout.decode().splitlines() == ["before", '{"right": 1}']
    assert all(said in done.stderr for said in (b"loud\n", b"louder\n", b"loudest"))


def test_a_command_that_fails_midway_prints_no_result() -> None:
    body = "    json_alone()\n    tell_result({'right': 1})\n    raise InputError('it is not')"
    done = _command(body, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"error: it is not\n")


def test_a_number_that_is_not_finite_is_null() -> None:
    assert plain_json({"loss": float("nan"), "all": [1.5, (float("inf"), {"in": -float("inf")})]}) == (
        '{"loss": null, "all": [1.5, [null, {"in": null}]]}'
    )


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_the_terminal_cannot_show_is_escaped(encoding: str) -> None:
    done = _command("    tell_result({'run': 'r\\u00e9\\udcff\\u4e2d'})\n    return 0", encoding=encoding, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout.removeprefix(b"RESULT ")) == {"run": "r\u00e9\udcff\u4e2d"}


@pytest.mark.parametrize("letters", [3, 200_000])
def test_a_reader_that_goes_away_is_no_error(letters: int, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with (tmp_path / "errors").open("wb") as errors:
        done = _command(f"    print('x' * {letters})\n    return 0", stdout=writer, stderr=errors)
    os.close(writer)
    assert (done.returncode, (tmp_path / "errors").read_bytes()) == (0, b"")


def test_a_pipe_of_ours_that_breaks_is_one() -> None:
    def work() -> int:
        raise BrokenPipeError("the engine's")

    with pytest.raises(BrokenPipeError):
        guarded(work)


def test_a_stream_of_pythons_own_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with result_line():
        json_alone()
        print("aside")
        tell_result({"a": 1})
    told = capsys.readouterr()
    assert (told.out, told.err) == ('{"a": 1}\n', "aside\n")
