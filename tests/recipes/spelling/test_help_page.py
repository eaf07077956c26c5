"""What a reader and a program get of a command line: help by groups, completion for shells, the result as one JSON object."""

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from recipes.commands.cli import COMMANDS, SECTIONS, main
from recipes.setup.command_line import guarded
from recipes.spelling.flat_options import flat_options
from recipes.spelling.option_groups import is_known
from recipes.spelling.result_line import result_line, tell_result, tell_run
from verifiers.input_error import InputError


def _help(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_option_of_every_command_has_its_group() -> None:
    missing = {
        name
        for module, _ in COMMANDS.values()
        for kind in filter(None, [getattr(importlib.import_module(module), "Config", None)])
        for name in flat_options(kind)
        if not is_known(name)
    }
    assert not missing, "add them to recipes/spelling/option_groups.py"


def test_help_shows_the_common_options_in_groups_and_counts_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    short, whole = _help(capsys, "grpo-math", "--help"), _help(capsys, "grpo-math", "--help-all")
    titles = [found[1].strip() for line in short.splitlines() if (found := re.fullmatch(r"\W*?((?:\w+ )?)options\W+", line))]
    assert titles == ["", "method", "model", "data", "reward", "sampling", "optimisation", "evaluation", "run"]
    assert "--adam-beta1" not in short
    assert "--adam-beta1" in whole
    assert short.splitlines()[-1].endswith("more options: reckon grpo-math --help-all")
    assert "more options" not in whole
    for text in (short, whole):
        assert "{None" not in text
        assert "(default: None)" not in text


def test_a_default_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(_help(capsys, "sft", "--help-all").replace("│", " ").split())
    assert "Rank of the adapter (default 16). With --tune lora." in words
    assert "in an optimiser step. (default: 32)" in words
    assert "first. (default: no)" in words


def test_a_small_command_shows_all_its_options_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(capsys, "runs", "--help")
    assert "more options" not in text
    assert len(re.findall(r"^\W+--json", text, re.MULTILINE)) == 1


def test_the_first_page_fits_a_screen_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    first = capsys.readouterr().out
    assert len(first.splitlines()) <= 30
    named = [name for explained, others in SECTIONS.values() for name in (*explained, *others)]
    assert sorted(named) == sorted(COMMANDS)
    assert all(name in first for name in COMMANDS)
    assert main(["--help-all"]) == 0
    every = capsys.readouterr().out
    assert all(text in every for _, text in COMMANDS.values())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    function = next(line.split()[2] for line in script.splitlines() if line.startswith("complete -F"))

    def completed(*words: str) -> list[str]:
        asked = f'{script}\nCOMP_WORDS=({" ".join(words)} "")\nCOMP_CWORD={len(words)}\n{function}\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
        return subprocess.run(["bash"], input=asked, capture_output=True, text=True, check=True).stdout.split()

    assert {"grpo-math", "sft", "mine"} <= set(completed("reckon"))
    assert "--lora-rank" in completed("reckon", "sft")
    assert {"lora", "full"} <= set(completed("reckon", "sft", "--tune"))


def test_completion_is_for_known_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
    assert main(["completion"]) == 0
    assert "usage: reckon completion" in capsys.readouterr().out


def test_json_is_the_result_alone(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"gold": "1/2", "pred": "0.5"}\n')
    assert main(["verify", str(rows), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"] == 1
    assert '"status": "right"' in err.lower() or "right" in err.lower()
    assert main(["verify", str(rows)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("RESULT {")


def test_json_with_an_error_leaves_standard_output_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "gone.jsonl", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")


def test_a_run_whose_numbers_were_never_finite_is_told_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text('{"status": "done"}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "eval/accuracy": 0.1}\n{"step": 1, "loss": null, "eval/accuracy": 0.2}\n')
    with result_line():
        tell_run(tmp_path)
    told = json.loads(capsys.readouterr().out.removeprefix("RESULT "))
    assert (told["step"], told["loss"], told["eval/accuracy/first"], told["eval/accuracy"]) == (1, None, 0.1, 0.2)


def _told_and_failed() -> int:
    tell_result({"a": 1})
    raise InputError("no")


def test_a_command_that_was_called_from_python_prints_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    tell_result({"a": 1})
    assert capsys.readouterr().out == ""
    with result_line():
        with result_line():
            tell_result({"inner": 1})
        tell_result({"outer": 2})
    assert capsys.readouterr().out == 'RESULT {"outer": 2}\n'
    assert guarded(_told_and_failed) == 2
    assert capsys.readouterr().out == ""
