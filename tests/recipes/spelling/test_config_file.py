"""--config: the file's options, under those of the command line; and what such a file may not be, in one line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes import grpo_math, grpo_tools, quickstart
from recipes.commands import audit, verify
from recipes.commands.cli import main
from recipes.setup.command_line import parse_options
from recipes.setup.options import to_json
from recipes.spelling.config_file import MOST_BYTES, read_config
from verifiers.input_error import InputError

SETTINGS = {"steps": 7, "lr": 1e-6, "reward": ["math_answer", "exact=0.2"], "dora": True, "subset": "main", "kl_coef": 0.04}
AS_YAML = "steps: 7\nlr: 1e-6\nreward:\n  - math_answer\n  - exact=0.2\ndora: true\nsubset: main\nkl-coef: .04\n"
AS_TOML = 'steps = 7\nlr = 1e-6\nreward = ["math_answer", "exact=0.2"]\ndora = true\nsubset = "main"\nkl_coef = 0.04\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(*arguments: str, kind: Any = grpo_math.Config) -> Any:
    return parse_options(kind, arguments, name="grpo-math")


@pytest.mark.parametrize(("name", "text"), [("a.yaml", AS_YAML), ("a.yml", AS_YAML), ("a.toml", AS_TOML), ("a.json", json.dumps(SETTINGS))])
def test_a_file_gives_the_options_that_the_command_line_would(name: str, text: str) -> None:
    Path(name).write_text(text)
    words = ["--steps", "7", "--lr", "1e-6", "--reward", "math_answer", "--reward", "exact=0.2", "--dora", "--subset", "main"]
    assert config("--config", name) == config(*words, "--kl-coef", "0.04")
    assert config(f"--config={name}") == config("--config", name)


def test_the_command_line_wins() -> None:
    Path("a.yaml").write_text(AS_YAML + "skip-bad-gold: true\nrun: there\n")
    found = config("--config", "a.yaml", "--steps", "200", "--reward", "exact", "--no-dora", "--no-skip-bad-gold", "--run=here")
    assert (found.steps, found.reward, found.tune.dora, found.skip_bad_gold, found.run) == (200, ("exact",), False, False, Path("here"))
    assert (found.lr, found.subset) == (1e-6, "main")


def test_what_a_command_needs_may_stand_in_the_file() -> None:
    Path("a.yaml").write_text("data: rows.jsonl\nworkers: 3\n")
    found = config("--config", "a.yaml", kind=audit.Config)
    assert (found.data, found.workers) == ("rows.jsonl", 3)
    assert config("other.jsonl", "--config", "a.yaml", kind=audit.Config).data == "other.jsonl"
    Path("b.yaml").write_text("file: rows.jsonl\n")
    assert config("--config", "b.yaml", kind=verify.Config).file == "rows.jsonl"
    assert config("other.jsonl", "--config", "b.yaml", kind=verify.Config).file == "other.jsonl"


@pytest.mark.parametrize("kind", [grpo_math.Config, grpo_tools.Config, quickstart.Config])
def test_a_runs_own_config_starts_an_equal_run(kind: Any) -> None:
    begun = config(
        "--steps",
        "9",
        "--reward",
        "exact",
        "--lr",
        "2e-5",
        "--run",
        "runs/one",
        "--engine",
        "server",
        "--server-folder",
        "shared",
        kind=kind,
    )
    stored = {"options": to_json(begun), "problems": 3, "fingerprint": "0" * 16, "rewards": {}}
    Path("config.json").write_text(json.dumps(stored))
    assert config("--config", "config.json", kind=kind) == begun
    Path("options.yaml").write_text(yaml.safe_dump(to_json(begun)))  # by the library's own writer
    assert config("--config", "options.yaml", kind=kind) == begun


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6), ("1_000", 1000), ("010", 10), ("1:30", "1:30"), ("2024-01-31", "2024-01-31"), ("no", "no"), ("on", "on"),
        ("true", True), ("null", None), ("", None), ("~", None), (".5", 0.5), ("-.inf", float("-inf")), ("'7'", "7"), ("[1, a]", [1, "a"]),
        ("{low: 2}", {"low": 2}), ("=", "="), ("1e", "1e"), ("0x10", "0x10"), ("a: b", None),
    ],
)  # fmt: skip
def test_yaml_is_read_as_its_version_1_2(text: str, value: object) -> None:
    Path("a.yaml").write_text(f"x: {text}\n")
    if text == "a: b":
        with pytest.raises(InputError, match="line 1: mapping values are not allowed here"):
            read_config(Path("a.yaml"))
    else:
        assert read_config(Path("a.yaml")) == {"x": value}


BOMB = "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "stepps: 3\n", "--config a.yaml: there is no option stepps; did you mean steps?"),
        ("a.yaml", "steps: many\n", "--config a.yaml: steps must be a whole number, not 'many'"),
        ("a.yaml", "steps: 2.5\n", "--config a.yaml: steps must be a whole number, not 2.5"),
        ("a.yaml", "steps: true\n", "--config a.yaml: steps must be a whole number, not true"),
        ("a.yaml", "steps: null\n", "--config a.yaml: steps must be a whole number, not null"),
        ("a.yaml", "lr: {a: 1}\n", "--config a.yaml: lr is one value, not a group of names"),
        ("a.yaml", "subset: 2024\n", "--config a.yaml: subset must be a text (or null) (in quotes), not 2024"),
        ("a.yaml", "reward: 3\n", "--config a.yaml: reward must be a list, each a text"),
        ("a.yaml", "tune: half\n", "--config a.yaml: tune must be one of lora, full, not 'half'"),
        ("a.yaml", "dora: yes\n", "--config a.yaml: dora must be true or false (or null), not 'yes'"),
        ("a.yaml", "steps: 3\nsteps: 4\n", "--config a.yaml: line 2: steps is given twice"),
        ("a.yaml", "eval-every: 3\neval_every: 4\n", "--config a.yaml: eval_every is given twice"),
        ("a.yaml", "3: 4\n", "--config a.yaml: line 1: a name must be a text"),
        ("a.yaml", "- steps\n", "--config a.yaml: it must hold options by name"),
        ("a.yaml", "steps: [1\n", "--config a.yaml: line 2: "),
        ("a.yaml", BOMB, "--config a.yaml: line 1: anchors and aliases are not read"),
        ("a.yaml", "steps: !!python/object/apply:os.system ['true']\n", "--config a.yaml: line 1: the tag "),
        ("a.yaml", "steps: !!int '3'\n", "--config a.yaml: line 1: the tag "),
        ("a.yaml", "steps: " + "[" * 5000, "--config a.yaml: it is nested too deeply"),
        ("a.yaml", "steps: 1\n---\nsteps: 2\n", "--config a.yaml: line 2: "),
        ("a.yaml", "steps: " + "9" * 5000, "--config a.yaml: "),
        ("a.yaml", "#" * (MOST_BYTES + 1), "--config a.yaml: it has more than 256 KiB"),
        ("a.json", '{"steps": 3, "steps": 4}', "--config a.json: steps is given twice"),
        ("a.json", '{"steps": 3', "--config a.json: "),
        ("a.json", "[" * 100_000, "--config a.json: it is nested too deeply"),
        ("a.toml", "steps = 3\nsteps = 4\n", "--config a.toml: "),
        ("a.toml", "run = 2024-01-31\n", "--config a.toml: run must be a path, not datetime.date(2024, 1, 31)"),
        ("a.txt", "steps: 3", "--config a.txt: options are read from a .yaml, .json or .toml file"),
        ("a.yaml", None, "--config a.yaml: there is no file or folder a.yaml; did you mean b.yaml?"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_file_of_options_is_one_line(name: str, text: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.yaml").write_text("steps: 1\n")
    if text is not None:
        Path(name).write_text(text)
    assert main(["grpo-math", "--config", name]) == 2
    found = capsys.readouterr().err
    assert found.startswith(f"error: {said}")
    assert found.count("\n") == 1


def test_neither_a_pipe_nor_bytes_nor_nothing_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.yaml")
    Path("bytes.yaml").write_bytes(b"\xff\xfe\x00")
    Path("folder.yaml").mkdir()
    for arguments, said in [
        (["--config", "pipe.yaml"], "not a regular file"),
        (["--config", "bytes.yaml"], "utf-8"),
        (["--config", "folder.yaml"], "not a regular file"),
        (["--config"], "--config is given without a value"),
        (["--config", "--steps", "3"], "--config is given without a value"),
    ]:
        assert main(["grpo-math", *arguments]) == 2
        found = capsys.readouterr().err
        assert said in found
        assert found.count("\n") == 1


def test_an_empty_file_and_a_mark_of_byte_order_change_nothing() -> None:
    Path("a.yaml").write_text("\ufeff# nothing\n")
    assert config("--config", "a.yaml") == config()
    Path("a.json").write_bytes(b"\xef\xbb\xbf{}")
    assert config("--config", "a.json") == config()


def test_one_text_is_a_list_of_one() -> None:
    Path("a.yaml").write_text("data: a.jsonl\nreward: exact\n")
    assert config("--config", "a.yaml") == config("--data", "a.jsonl", "--reward", "exact")


def test_plan_takes_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("problems: 40\nheld-out: 5\nalgorithm: dapo\n")
    assert main(["plan", "quickstart", "--config", "a.yaml", "--steps", "11"]) == 0
    said = capsys.readouterr().out
    assert "algorithm = dapo" in said
    assert "steps = 11" in said
    assert "problems = 40" in said
