"""`reckon data` and `reckon merge` killed with SIGKILL: nothing half-written has a name, and the next try succeeds and sweeps up."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from tests.recipes.selection.written_store import R, W, group_of, problem_of, write_store
from verifiers.atomic_files import atomic_path, remove_abandoned


def _killed_at(module: str, name: str, call: int, words: list[str]) -> None:
    """This process, and it ends when that function has been called so often."""
    import importlib

    owner: Any = importlib.import_module(module)
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    attribute, calls = name.rpartition(".")[2], [0]
    whole = getattr(owner, attribute)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*args, **kwargs)

    setattr(owner, attribute, counted)
    os._exit(main(words))


def killed(module: str, name: str, call: int, words: list[str]) -> None:
    child = multiprocessing.get_context("fork").Process(target=_killed_at, args=(module, name, call, words))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, "it ended before it could be killed"


COMMANDS: dict[str, tuple[list[str], str]] = {
    "sft": ([], "example_row"),
    "pairs": ([], "pair_row"),
    "kto": (["--format", "kto"], "labelled_row"),
    "difficulty": ([], "problem_row"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("instant", ["in the middle", "before it has its name"])
def test_data_of_a_command_that_is_killed_is_not_there_or_whole(command: str, instant: str, tmp_path: Path) -> None:
    more, row = COMMANDS[command]
    problems = [problem_of(f"{n}+1=", str(n + 1)) for n in range(4)]
    store = write_store(tmp_path / "run", [group_of(problem, [(f"it is {problem.answer}", R), ("it is 99", W)]) for problem in problems])
    out = tmp_path / "made" / "out.jsonl"
    words = ["data", "pairs" if command == "kto" else command, str(store), "--out", str(out), *more]
    if instant == "in the middle":
        killed("recipes.selection.data_command", row, 3, words)
    else:
        killed("verifiers.atomic_files", "_give_name", 1, words)
    assert not out.exists()
    assert [entry.name.endswith("out.jsonl") for entry in out.parent.iterdir()] == [True], "it was at it"
    assert main(words) == 0
    assert list(out.parent.iterdir()) == [out], "what was half-written is gone"
    again = out.with_name("again.jsonl")
    assert main([str(again) if word == str(out) else word for word in words]) == 0
    assert out.read_bytes() == again.read_bytes()


def test_earlier_data_stay_where_the_command_that_would_replace_them_is_killed(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run", [group_of(problem_of(f"{n}", "1"), [("1", R)]) for n in range(4)])
    out = tmp_path / "out.jsonl"
    out.write_text("earlier\n")
    killed("recipes.selection.data_command", "example_row", 3, ["data", "sft", str(store), "--out", str(out)])
    assert out.read_text() == "earlier\n"


@pytest.fixture(scope="module")
def adapter(one_thread: None, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes something, with its base's tokenizer beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("adapter")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(model_folder), LoraConfig(r=2, target_modules=["q_proj"]))
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("transformers", "PreTrainedTokenizerBase.save_pretrained"),  # the weights are written, the tokenizer is not
        ("rl.interpolation.merged_adapters", "load_model"),  # all is written, and nothing read back
        ("verifiers.atomic_files", "_give_name"),
    ],
)
def test_a_merge_that_is_killed_leaves_no_model_and_the_next_one_succeeds(module: str, name: str, adapter: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "made" / "grown", tmp_path / "whole"
    killed(module, name, 1, ["merge", str(adapter), "--out", str(out)])
    assert not out.exists()
    (left,) = out.parent.iterdir()
    assert (left / "model.safetensors").exists(), "it was at it"
    assert main(["merge", str(adapter), "--out", str(out)]) == 0
    assert list(out.parent.iterdir()) == [out], "what was half-written is gone"
    assert main(["merge", str(adapter), "--out", str(whole)]) == 0
    ends = [load_file(place / "model.safetensors") for place in (out, whole)]
    assert all((ends[0][key] == tensor).all() for key, tensor in ends[1].items())


def test_what_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "out"
    ended = multiprocessing.get_context("fork").Process(target=int)
    ended.start()
    ended.join()
    with atomic_path(path) as temporary:
        temporary.write_text("mine")
        for name in (f".tmp-{ended.pid}-0-out", f".tmp-{ended.pid}-0-outer", f".tmp-{ended.pid}-0-other-out", ".tmp-x-out"):
            (tmp_path / name).write_text("")
        remove_abandoned(path)
        assert temporary.read_text() == "mine"
        gone = tmp_path / f".tmp-{ended.pid}-0-out"
        assert not gone.exists()
        assert len(list(tmp_path.iterdir())) == 4
    remove_abandoned(tmp_path / "nowhere" / "out")
