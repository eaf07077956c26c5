"""An adapter on weights that two modules share cannot be merged: it is refused before the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from rl.learning.adapters import Lora, with_adapter
from tests.progress_lines import without_progress
from verifiers.input_error import InputError


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_lora_on_a_tied_head_or_embedding_is_refused(make_qwen2: Callable[..., Any], target: str) -> None:
    with pytest.raises(InputError, match=rf"^--lora-targets: \S*{target} shares its weights with another module"):
        with_adapter(make_qwen2(), Lora(target_modules=(target, "q_proj")))


def test_lora_on_an_untied_head_or_beside_a_tied_one_merges_exactly(make_llama: Callable[..., Any], make_qwen2: Callable[..., Any]) -> None:
    """What is not refused keeps its promise: merged, it says what the adapter said."""
    import torch

    tokens = torch.tensor([[1, 2, 3, 4]])
    for make, targets in ((make_llama, ("lm_head", "q_proj")), (make_llama, ("embed_tokens",)), (make_qwen2, "all-linear")):
        model: Any = with_adapter(make(), Lora(target_modules=targets))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    parameter.normal_(std=0.3)
            before = model(tokens).logits
            assert torch.allclose(model.merge_and_unload()(tokens).logits, before, atol=1e-3)


def test_the_command_says_so_in_one_line_before_the_run(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    arguments = ["--model", model_folder, "--data", tmp_path / "p.jsonl", "--run", tmp_path / "run", "--lora-targets", "lm_head,q_proj"]
    assert main(["grpo-math", *map(str, arguments), "--max-completion-length", "8", "--engine", "hf"]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: --lora-targets: lm_head shares its weights with another module")
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        (("q_proj", "v_porj"), "--lora-targets v_porj: the model has no such module; did you mean v_proj?"),
        (("nosuch",), "--lora-targets nosuch: the model has no such module; it has down_proj, gate_proj, k_proj, lm_head, o_proj, "),
        (("q_proj", ""), "--lora-targets '': the model has no such module; it has down_proj"),
    ],
)
def test_a_target_that_no_module_is_does_not_pass_in_silence(make_llama: Callable[..., Any], targets: tuple[str, ...], line: str) -> None:
    with pytest.raises(InputError) as raised:
        with_adapter(make_llama(), Lora(target_modules=targets))
    assert str(raised.value).startswith(line)
