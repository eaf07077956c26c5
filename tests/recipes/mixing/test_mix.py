"""`reckon mix` and `reckon sft --mixture` on a tiny model: which way the weights move, what they are good for, what they refuse."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines

TINY = ["--tune", "full", "--lr", "1e-2", "--examples-per-step", "16", "--checkpoint-every", "40"]


def noise(chance: random.Random) -> str:
    """Four signs at random: but for how often each comes there is nothing to learn."""
    return "".join(chance.choices("+-= ", k=20))


def sums(chance: random.Random) -> str:
    """Each digit is the sum of the two before it, modulo 10."""
    digits = [chance.randrange(10), chance.randrange(10)]
    while len(digits) < 20:
        digits.append((digits[-1] + digits[-2]) % 10)
    return "".join(map(str, digits))


def write(path: Path, make: Callable[[random.Random], str], count: int, seed: int, **more: str) -> Path:
    chance = random.Random(seed)
    path.write_text("".join(json.dumps({"text": make(chance), **more}) + "\n" for _ in range(count)))
    return path


@pytest.fixture(scope="module")
def model(tokenizer: Any, one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": True, "initializer_range": 0.05,
        "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    Qwen2ForCausalLM(Qwen2Config(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two files, two thirds of whose rows are noise."""
    folder = tmp_path_factory.mktemp("domains")
    write(folder / "noise.jsonl", noise, 600, 1)
    write(folder / "sums.jsonl", sums, 300, 2)
    return folder


@pytest.fixture(scope="module")
def begin(model: Path, domains: Path) -> Callable[..., int]:
    """(command, run, more words) -> the exit code."""

    def start(command: str, run: Path, *more: str | Path) -> int:
        return main([command, *map(str, ["--model", model, "--data", domains, "--run", run, *TINY, *more])])

    return start


@pytest.fixture(scope="module")
def mixed(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("mix") / "run"
    assert begin("mix", run, "--steps", "60") == 0
    return run


def weights(run: Path) -> dict[str, float]:
    return dict(json.loads((run / "weights.json").read_text())["weights"])


def cut_back(run: Path, to: Path, keep: str) -> Path:
    """A copy of a run as a kill after that checkpoint leaves it."""
    shutil.copytree(run, to)
    shutil.rmtree(to / "final")
    for checkpoint in (to / "checkpoints").iterdir():
        if checkpoint.name > keep:
            shutil.rmtree(checkpoint)
    return to


def numbers(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "speed/"))} for row in read_lines(run / "metrics.jsonl")]


def test_doremi_turns_from_noise_to_what_can_be_learnt(mixed: Path) -> None:
    found = weights(mixed)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["noise"] < 0.1
    proxy = numbers(mixed / "proxy")[1:]
    assert sum(row["mixture/noise"] for row in proxy) / len(proxy) == pytest.approx(found["noise"], abs=1e-6)


def test_its_weights_are_worth_more_than_equal_ones_for_the_same_tokens(begin, mixed: Path, tmp_path: Path) -> None:
    """One seed of what `benchmarks/mixtures.py` measures with three and more steps."""
    write(tmp_path / "alike.json", lambda chance: "", 0, 0)
    (tmp_path / "alike.json").write_text('{"weights": {"noise": 1, "sums": 1}}')
    (tmp_path / "target").mkdir()
    write(tmp_path / "target" / "sums.jsonl", sums, 60, 3)
    losses = {}
    for name, mixture in (("mixed", mixed / "weights.json"), ("alike", tmp_path / "alike.json")):
        assert begin("sft", tmp_path / name, "--steps", "60", "--mixture", mixture, "--eval-data", tmp_path / "target") == 0
        rows = numbers(tmp_path / name)
        losses[name] = rows[-1]["eval/loss/sums"]
        assert losses[name] == pytest.approx(rows[-1]["eval/loss"], abs=1e-5)
        assert {row["tokens"] for row in rows[1:]} == {16 * 21}  # the end of the text trains too
    assert losses["mixed"] < losses["alike"] - 0.1


def test_a_mix_that_was_killed_goes_on_to_the_same_bytes(mixed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(mixed, run)
    (run / "weights.json").unlink()
    shutil.rmtree(run / "proxy")
    cut_back(mixed / "proxy", run / "proxy", "step-000040")
    assert main(["mix", "--resume", str(run)]) == 0
    assert (run / "weights.json").read_bytes() == (mixed / "weights.json").read_bytes()
    assert numbers(run / "proxy") == numbers(mixed / "proxy")


@pytest.fixture(scope="module")
def scheduled(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by weights that change on the way: noise alone, then sums alone."""
    folder = tmp_path_factory.mktemp("scheduled")
    phases = [{"from": 0, "weights": {"noise": 1, "sums": 0}}, {"from": 0.5, "weights": {"noise": 0, "sums": 1}}]
    (folder / "w.json").write_text(json.dumps({"weights": {"noise": 0.5, "sums": 0.5}, "schedule": phases}))
    words = ("--steps", "16", "--checkpoint-every", "3", "--mixture", folder / "w.json", "--held-out", "60", "--eval-every", "8")
    assert begin("sft", folder / "run", *words) == 0
    return folder / "run"


def test_a_schedule_is_followed(scheduled: Path) -> None:
    rows = {row["step"]: row for row in numbers(scheduled)}
    assert rows[8]["loss"] < 2.0  # noise alone, learnt by then
    assert rows[9]["loss"] > 2.5  # sums alone, not seen before
    assert rows[16]["eval/loss/sums"] < rows[8]["eval/loss/sums"] - 0.1
    assert rows[16]["eval/loss/noise"] == pytest.approx(rows[8]["eval/loss/noise"], abs=0.1)


def test_a_run_by_weights_goes_on_to_the_same_bits(scheduled: Path, tmp_path: Path) -> None:
    run = cut_back(scheduled, tmp_path / "run", "step-000003")
    assert main(["sft", "--resume", str(run)]) == 0
    assert numbers(run) == numbers(scheduled)
    found, whole = (load_file(each / "final" / "model.safetensors") for each in (run, scheduled))
    assert all(bool((found[name] == whole[name]).all()) for name in whole)


def test_a_run_does_not_go_on_by_other_weights(scheduled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = cut_back(scheduled, tmp_path / "run", "step-000003")
    mixture = scheduled.parent / "w.json"
    before = mixture.read_text()
    try:
        mixture.write_text(before.replace('"weights": {"noise": 0.5, "sums": 0.5}', '"weights": {"noise": 0.6, "sums": 0.4}'))
        assert main(["sft", "--resume", str(run)]) == 2
    finally:
        mixture.write_text(before)
    assert "changed since the run began" in capsys.readouterr().err


def test_skill_it_goes_where_the_target_is_helped(begin: Callable[..., int], tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [
        "--algorithm",
        "skill-it",
        "--steps",
        "12",
        "--rounds",
        "4",
        "--held-out",
        "60",
        "--target",
        "sums",
        "--graph-steps",
        "4",
        "--eta",
        "0.5",
    ]
    assert begin("mix", run, *words) == 0
    found = json.loads((run / "weights.json").read_text())
    assert found["weights"]["sums"] > 0.6
    assert [phase["from"] for phase in found["schedule"]] == [0.0, 0.25, 0.5, 0.75]
    noise_helps, sums_help = found["graph"][0][0], found["graph"][1][0]
    assert sums_help == 1.0
    assert noise_helps < 0.5
    assert len(found["losses"]) == 3
    again = tmp_path / "again"
    shutil.copytree(run, again)
    (again / "weights.json").unlink()
    shutil.rmtree(again / "proxy")
    cut_back(run / "proxy", again / "proxy", "step-000000")
    assert main(["mix", "--resume", str(again)]) == 0
    assert (again / "weights.json").read_bytes() == (run / "weights.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mix", "--rounds", "3"], "--rounds would be ignored by --algorithm doremi"),
        (["mix", "--algorithm", "skill-it", "--smoothing", "0.1"], "--smoothing would be ignored by --algorithm skill-it"),
        (["mix", "--algorithm", "skill-it"], "goes by held-out losses; give --held-out"),
        (["mix", "--algorithm", "skill-it", "--held-out", "9", "--target", "prose"], "no such domain; they have noise, sums"),
        (["mix", "--no-shuffle"], "--no-shuffle would be ignored"),
        (["mix", "--eta", "0"], "--eta must be above 0"),
        (["sft", "--domain-column", "source"], "--domain-column would be ignored without --mixture"),
        (["sft", "--mixture", "{w}", "--domain-column", "source"], "no domain in the field 'source'"),
        (["sft", "--mixture", "{w}"], "no weight for the domain 'sums'"),
        (["sft", "--mixture", "nowhere.json"], "`reckon mix` writes one"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], says: str, begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.json").write_text('{"weights": {"noise": 1, "prose": 1}}')
    given = [word.format(w=tmp_path / "w.json") for word in words]
    if "--domain-column" in given and "--mixture" in given:
        given += ["--data", str(write(tmp_path / "rows.jsonl", noise, 20, 1))]
    assert begin(given[0], tmp_path / "run", *given[1:]) == 2
    error = capsys.readouterr().err
    assert says in error, error


def test_domains_by_a_field(begin: Callable[..., int], tmp_path: Path) -> None:
    rows = (
        write(tmp_path / "a.jsonl", noise, 30, 1, source="noise").read_text()
        + write(tmp_path / "b.jsonl", sums, 30, 1, source="sums").read_text()
    )
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "w.json").write_text('{"weights": {"noise": 0, "sums": 2}}')
    words = [
        "--data",
        tmp_path / "rows.jsonl",
        "--domain-column",
        "source",
        "--mixture",
        tmp_path / "w.json",
        "--steps",
        "6",
        "--held-out",
        "20",
    ]
    assert begin("sft", tmp_path / "run", *words) == 0
    first, last = numbers(tmp_path / "run")[0], numbers(tmp_path / "run")[-1]
    assert last["eval/loss/sums"] < first["eval/loss/sums"] - 0.3
    assert last["eval/loss/noise"] > first["eval/loss/noise"] - 0.1
