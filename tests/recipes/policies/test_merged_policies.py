"""`reckon merge` of several: against numpy over the weights themselves, adapters and whole models, and what is refused."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.commands.cli import main

TOLERANCE = {"atol": 1e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def grown(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models that began as the tiny one, each changed at random in all of its weights but one."""
    found = []
    for seed in range(3):
        folder = Path(shutil.copytree(model_folder, tmp_path_factory.mktemp("grown") / "model"))
        generator = torch.Generator().manual_seed(seed)
        tensors = load_file(folder / "model.safetensors")
        for name, tensor in tensors.items():
            if name != "model.norm.weight":
                tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        found.append(folder)
    return found


@pytest.fixture(scope="module")
def adapter(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """seed -> a LoRA on the tiny model that says something."""
    from peft import LoraConfig, get_peft_model

    def make(seed: int) -> Path:
        torch.manual_seed(seed)
        model: Any = get_peft_model(
            AutoModelForCausalLM.from_pretrained(model_folder), LoraConfig(r=2 + seed, lora_alpha=8, target_modules="all-linear")
        )
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(0, 0.2)
        folder = tmp_path_factory.mktemp("adapter")
        model.save_pretrained(folder)
        return folder

    return make


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.double() for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def merge(out: Path, *words: Path | str) -> int:
    return main(["merge", *map(str, words), "--out", str(out)])


def groups(names: list[str], angle: str) -> list[list[str]]:
    if angle == "model":
        return [names]
    layers = [[name for name in names if f".layers.{n}." in name] for n in range(2)] if angle == "layer" else []
    taken = {name for layer in layers for name in layer}
    return [*layers, *([name] for name in names if name not in taken)]


def slerped(models: list[dict[str, torch.Tensor]], start: dict[str, torch.Tensor], angle: str, share: float) -> dict[str, torch.Tensor]:
    """Two models, by the formula, over vectors laid end to end."""
    found: dict[str, torch.Tensor] = {}
    for names in groups(list(start), angle):
        one, other = (torch.cat([(model[name] - start[name]).reshape(-1) for name in names]) for model in models)
        cosine = (one @ other / (one.norm() * other.norm())).item() if one.norm() * other.norm() else 1.0
        omega = math.acos(min(1.0, cosine))
        ends = (
            (1 - share, share)
            if omega < 1e-6
            else (math.sin((1 - share) * omega) / math.sin(omega), math.sin(share * omega) / math.sin(omega))
        )
        for name in names:
            found[name] = start[name] + ends[0] * (models[0][name] - start[name]) + ends[1] * (models[1][name] - start[name])
    return found


@pytest.mark.parametrize("angle", ["tensor", "layer", "model"])
def test_slerp_of_whole_models(angle: str, grown: list[Path], model_folder: Path, tmp_path: Path) -> None:
    out, start = tmp_path / "out", weights(model_folder)
    words = ["--how", "slerp", "--angle", angle, "--start", model_folder, "--shares", "1", "3", "--dtype", "fp32"]
    assert merge(out, grown[0], grown[1], *words) == 0
    torch.testing.assert_close(weights(out), slerped([weights(grown[0]), weights(grown[1])], start, angle, 0.75), **TOLERANCE)
    AutoTokenizer.from_pretrained(out)
    assert not list(tmp_path.glob(".tmp-*"))


def test_part_of_the_way_back(grown: list[Path], model_folder: Path, tmp_path: Path) -> None:
    start = weights(model_folder)
    whole = slerped([weights(grown[0]), weights(grown[1])], start, "tensor", 0.5)
    for eta in ("0", "0.3"):
        out = tmp_path / eta
        assert merge(out, grown[0], grown[1], "--how", "slerp", "--start", model_folder, "--eta", eta) == 0
        wanted = {name: start[name] + float(eta) * (whole[name] - start[name]) for name in start}
        torch.testing.assert_close(weights(out), wanted, **TOLERANCE)


def test_one_model_part_of_the_way_back(grown: list[Path], model_folder: Path, tmp_path: Path) -> None:
    assert merge(tmp_path / "out", grown[0], "--start", model_folder, "--eta", "0.25") == 0
    start, own = weights(model_folder), weights(grown[0])
    torch.testing.assert_close(weights(tmp_path / "out"), {n: start[n] + 0.25 * (own[n] - start[n]) for n in start}, **TOLERANCE)


def test_the_average_needs_no_start(grown: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert merge(tmp_path / "out", *grown, "--how", "average", "--shares", "1", "1", "2") == 0
    first, second, third = map(weights, grown)
    wanted = {name: (first[name] + second[name] + 2 * third[name]) / 4 for name in first}
    torch.testing.assert_close(weights(tmp_path / "out"), wanted, **TOLERANCE)
    assert "average of 3 with shares 0.25, 0.25, 0.5" in capsys.readouterr().out


def test_adapters_are_merged_into_plain_weights_first(
    adapter: Callable[[int], Path], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of unequal ranks too, on what they say their base is; and the result is a plain model."""
    one, other = adapter(1), adapter(2)
    for place, name in ((one, "one"), (other, "other")):
        assert merge(tmp_path / name, place) == 0
    capsys.readouterr()
    assert merge(tmp_path / "out", one, other, "--how", "slerp") == 0
    said = capsys.readouterr().out
    assert "slerp of 2, angle tensor; task vectors of length" in said
    assert "angles of the first two" in said
    start = weights(model_folder)
    wanted = slerped([weights(tmp_path / "one"), weights(tmp_path / "other")], start, "tensor", 0.5)
    torch.testing.assert_close(weights(tmp_path / "out"), wanted, **TOLERANCE)
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("how", [["ties", "--density", "0.3"], ["dare", "--density", "0.5", "--seed", "3"]])
def test_ties_and_dare_are_peft_s_over_each_tensor(
    how: list[str], grown: list[Path], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out", "again"):
        assert merge(tmp_path / name, *grown[:2], "--how", *how, "--start", model_folder) == 0
    said = capsys.readouterr()
    assert "task vectors of length" in said.out + said.err
    assert "nan" not in (said.out + said.err).replace(str(tmp_path), "")  # no length of the merged one is known
    found, start = weights(tmp_path / "out"), weights(model_folder)
    torch.testing.assert_close(found, weights(tmp_path / "again"), atol=0, rtol=0)
    if how[0] == "ties":
        from peft.utils.merge_utils import ties

        models = [weights(folder) for folder in grown[:2]]
        for name, value in start.items():
            wanted = value + ties([model[name] - value for model in models], torch.ones(2, dtype=torch.float64), 0.3)
            torch.testing.assert_close(found[name], wanted, **TOLERANCE)
    else:
        changed = torch.cat([(found[name] != start[name]).reshape(-1) for name in start if name != "model.norm.weight"])
        assert changed.double().mean().item() == pytest.approx(0.75, abs=0.02)  # 1 - 0.5 * 0.5


def test_models_in_several_files(grown: list[Path], model_folder: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        model = AutoModelForCausalLM.from_pretrained(grown[number])
        model.save_pretrained(tmp_path / str(number), max_shard_size="30KB")
        AutoTokenizer.from_pretrained(grown[number]).save_pretrained(tmp_path / str(number))
    assert len(list((tmp_path / "0").glob("*.safetensors"))) > 1
    words = ["--how", "slerp", "--start", model_folder]
    assert merge(tmp_path / "out", tmp_path / "0", grown[1], *words) == 0
    assert merge(tmp_path / "one", grown[0], grown[1], *words) == 0
    torch.testing.assert_close(weights(tmp_path / "out"), weights(tmp_path / "one"), atol=0, rtol=0)


def test_runs_say_what_they_began_with(model_folder: Path, tmp_path: Path) -> None:
    """Full runs too, whose weights alone do not."""
    data = tmp_path / "problems.jsonl"
    data.write_text("".join(json.dumps({"problem": f"{n}+{n}=", "answer": str(2 * n)}) + "\n" for n in range(4)))
    (tmp_path / "mine.py").write_text("def varied(problem, response):\n    return len(set(response)) / 10\n")
    small = [
        "--problems-per-step",
        "2",
        "--completions-per-problem",
        "4",
        "--max-completion-length",
        "4",
        "--workers",
        "1",
        "--engine",
        "hf",
    ]
    for seed in (0, 1):
        words = [
            "--model",
            model_folder,
            "--data",
            data,
            "--run",
            tmp_path / f"run-{seed}",
            "--seed",
            seed,
            "--reward",
            f"{tmp_path}/mine.py:varied",
        ]
        assert main(["grpo-math", *map(str, words), *small, "--steps", "1", "--tune", "full", "--lr", "1e-3"]) == 0
    assert merge(tmp_path / "out", tmp_path / "run-0", tmp_path / "run-1", "--how", "slerp") == 0
    finals = [weights(tmp_path / f"run-{seed}" / "final") for seed in (0, 1)]
    torch.testing.assert_close(weights(tmp_path / "out"), slerped(finals, weights(model_folder), "tensor", 0.5), **TOLERANCE)


def refused(capsys: pytest.CaptureFixture[str], out: Path, *words: Path | str) -> str:
    capsys.readouterr()
    assert merge(out, *words) == 2
    assert not out.exists()
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_cannot_be_is_one_line(
    grown: list[Path], model_folder: Path, adapter: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, (one, other, _) = tmp_path / "out", grown
    slerp: list[str | Path] = ["--how", "slerp"]
    assert (
        refused(capsys, out, one, other) == "error: --how is missing: slerp, average, ties or dare is how several models are put together"
    )
    assert f"{one} does not say what it began with" in refused(capsys, out, one, other, *slerp)
    assert "these models began as different ones" in refused(capsys, out, adapter(1), moved(adapter(1), other), *slerp)
    assert "--shares has 3 numbers for 2 models" in refused(capsys, out, one, other, "--how", "average", "--shares", "1", "1", "1")
    assert "must be 0 or more, and not all 0" in refused(capsys, out, one, other, "--how", "average", "--shares", "0", "0")
    assert "--density must be above 0" in refused(capsys, out, one, other, "--how", "ties", "--density", "0", "--start", model_folder)
    assert "--eta must be from 0" in refused(capsys, out, one, other, *slerp, "--start", model_folder, "--eta", "-0.5")
    assert "--how would be ignored: there is one model" in refused(capsys, out, one, *slerp)
    assert "reckon merge needs a run" in refused(capsys, out)
    assert "are not models of one shape" in refused(capsys, out, one, wider(model_folder, tmp_path), *slerp, "--start", model_folder)
    assert "cannot be read" in refused(capsys, out, one, damaged(other, tmp_path), *slerp, "--start", model_folder)
    assert "logits are no numbers" in refused(capsys, out, one, with_nan(other, tmp_path), "--how", "average")


def moved(place: Path, base: Path) -> Path:
    """The same adapter, which says another base."""
    folder = Path(shutil.copytree(place, place.with_name(place.name + "-moved")))
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": str(base)}))
    return folder


def wider(model: Path, tmp_path: Path) -> Path:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config.from_pretrained(model)
    config.intermediate_size = 48
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "wider")
    AutoTokenizer.from_pretrained(model).save_pretrained(tmp_path / "wider")
    return tmp_path / "wider"


def damaged(model: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(model, tmp_path / "damaged"))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    return folder


def with_nan(model: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(model, tmp_path / "nan"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = math.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_models_of_other_tokenizers_are_refused_and_an_added_token_is_not(
    grown: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = grown[0], Path(shutil.copytree(grown[1], tmp_path / "other"))
    words = json.loads((other / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    vocabulary["0"], vocabulary["1"] = vocabulary["1"], vocabulary["0"]
    (other / "tokenizer.json").write_text(json.dumps(words))
    assert f"{other} has another tokenizer than {one} (2 tokens have other numbers, such as '0')" in refused(
        capsys, tmp_path / "out", one, other, "--how", "average"
    )
    more = Path(shutil.copytree(grown[1], tmp_path / "more"))
    tokenizer = AutoTokenizer.from_pretrained(more)
    tokenizer.add_tokens(["<extra>"])
    tokenizer.save_pretrained(more)
    assert merge(tmp_path / "out", one, more, "--how", "average") == 0


def test_a_run_of_a_programs_own_model_does_not_say_what_it_began_with(
    grown: list[Path], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(grown[0], run / "final")
    (run / "config.json").write_text(json.dumps({"options": {"model": "in-memory/model-1"}}))
    (run / "manifest.json").write_text(json.dumps({"status": "done"}))
    assert "run does not say what it began with" in refused(capsys, tmp_path / "out", run, grown[1], "--how", "slerp")
    shutil.copytree(model_folder, run / "base")  # as a run keeps it that is measured against it
    assert merge(tmp_path / "out", run, "--eta", "0.5") == 0
