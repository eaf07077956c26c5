"""What `--model` may be, and `reckon merge`: places resolved to base, adapters and tokenizer; the merged model is the adapted one."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.commands.cli import main
from recipes.setup.model_source import ModelSource, find_model
from recipes.setup.starting_point import starting_point
from tests.progress_lines import without_progress
from verifiers.input_error import InputError

Adapt = Callable[..., Path]


@pytest.fixture(scope="module")
def adapt(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapt:
    """(base, settings) -> the folder of a LoRA on it whose matrices are not zero, made by peft alone."""
    from peft import LoraConfig, get_peft_model

    def make(base: str | Path = model_folder, *, wide: float = 0.3, record: str | Path | None = None, **settings: Any) -> Path:
        folder = tmp_path_factory.mktemp("adapter")
        torch.manual_seed(len(list(folder.parent.iterdir())))
        given = {"r": 2, "lora_alpha": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
        adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**given))
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "embedding_A" in name:
                parameter.data.normal_(0, wide)
        adapted.save_pretrained(folder)
        if record is not None:
            amend(folder / "adapter_config.json", base_model_name_or_path=str(record))
        return folder

    return make


def test_an_adapter_on_the_hub_is_one_too(model_folder: Path, adapt: Adapt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of the hub's cache, as its own client lays it out."""
    kept = tmp_path / "models--someone--adapter"
    shutil.copytree(adapt(), kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = find_model("someone/adapter")
    assert (found.base, found.given) == (str(model_folder), "someone/adapter")
    assert found.adapter == str(kept / "snapshots" / "abc")


def test_a_16_bit_start_has_a_frozen_base_in_16_bits_and_trains_in_32(model_folder: Path, adapt: Adapt) -> None:
    first = adapt()
    source = starting_point(str(adapt(record=first)), full=False, how=None)
    assert source.merged == (str(first),)
    model = source.load_model("bf16", lora=True)
    widths = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert widths == {True: torch.float32, False: torch.bfloat16}
    assert {tensor.dtype for name, tensor in model.named_buffers() if "inv_freq" in name} == {torch.float32}
    whole = starting_point(str(first), full=True, how=None).load_model("bf16", lora=False)
    assert {(parameter.requires_grad, parameter.dtype) for parameter in whole.parameters()} == {(True, torch.float32)}


def amend(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 43)[None]).logits


def make_run(path: Path, weights: dict[str, Path], *, model: Path, status: str = "done") -> Path:
    """A run's folder with these weights in `final` or "checkpoints/..."."""
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"options": {"model": str(model), "tune": "lora"}}))
    (path / "manifest.json").write_text(json.dumps({"status": status}))
    for place, folder in weights.items():
        shutil.copytree(folder, path / place / ("model" if place != "final" else ""))
        if place != "final":
            (path / place / "position.json").write_text("{}")
    return path


def test_a_model_is_itself_and_a_name_is_the_hubs(model_folder: Path) -> None:
    assert find_model(str(model_folder)) == ModelSource(str(model_folder), str(model_folder), str(model_folder))
    assert find_model("Qwen/Qwen2.5-0.5B") == ModelSource("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B")


def test_an_adapter_stands_on_its_base_and_has_its_tokenizer(model_folder: Path, adapt: Adapt, tmp_path: Path) -> None:
    adapter = adapt()
    found = find_model(str(adapter))
    assert (found.base, found.adapter, found.merged, found.tokenizer) == (str(model_folder), str(adapter), (), str(model_folder))
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(adapter)
    assert find_model(str(adapter)).load_tokenizer().chat_template == "{{ messages[0]['content'] }}", "the last stage's template wins"


def test_a_run_is_what_it_learnt_and_a_checkpoint_what_it_had(model_folder: Path, adapt: Adapt, tmp_path: Path) -> None:
    early, late, final = adapt(), adapt(), adapt()
    places = {"checkpoints/step-000002": early, "checkpoints/step-000010": late}
    run = make_run(tmp_path / "run", {**places, "final": final}, model=model_folder)
    assert find_model(str(run)).adapter == str(run / "final")
    step = run / "checkpoints" / "step-000002"
    for place in (step, step / "model"):
        assert find_model(str(place)).adapter == str(step / "model")
        assert find_model(str(place)).tokenizer == str(model_folder), "of what the run began with"
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(run / "final")
    assert find_model(str(step)).tokenizer == str(run / "final")
    going = make_run(tmp_path / "going", {**places, "final": final}, model=model_folder, status="interrupted")
    assert find_model(str(going)).adapter == str(going / "checkpoints" / "step-000010" / "model"), "final/ is of an earlier, shorter life"
    unfinished = make_run(tmp_path / "unfinished", places, model=model_folder, status="running")
    assert find_model(str(unfinished)).adapter == str(unfinished / "checkpoints" / "step-000010" / "model")


def test_a_chain_of_adapters_ends_at_a_base_whatever_is_between(model_folder: Path, adapt: Adapt, tmp_path: Path) -> None:
    first = adapt()
    run = make_run(tmp_path / "run", {"final": first}, model=model_folder)
    second = adapt(record=run)
    third = adapt(record=second)
    found = find_model(str(third))
    assert found.base == str(model_folder)
    assert found.adapters == (str(run / "final"), str(second), str(third))
    assert starting_point(str(third), full=False, how=None).merged == found.adapters[:2]
    assert starting_point(str(third), full=False, how="merge").merged == found.adapters
    assert starting_point(str(third), full=True, how=None).merged == found.adapters
    assert starting_point(str(third), full=True, how=None).record == str(third)


def _loop(adapt: Adapt, tmp_path: Path) -> Path:
    first = adapt()
    amend(first / "adapter_config.json", base_model_name_or_path=str(adapt(record=first)))
    return first


def _run_without_weights(adapt: Adapt, tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", {}, model=tmp_path)


def _of_another_type(adapt: Adapt, tmp_path: Path) -> Path:
    folder = adapt()
    amend(folder / "adapter_config.json", peft_type="PROMPT_TUNING")
    return folder


def _torn(adapt: Adapt, tmp_path: Path) -> Path:
    folder = adapt()
    (folder / "adapter_config.json").write_text('{"peft_type": "LO')
    return folder


def _two_gguf_files(adapt: Adapt, tmp_path: Path) -> Path:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda adapt, tmp: adapt(record=tmp / "gone"), ("gone", "put it back", "base_model_name_or_path")),
        (lambda adapt, tmp: adapt(record=""), ("does not say which model",)),
        (_loop, ("adapter of itself",)),
        (_run_without_weights, ("no checkpoint yet",)),
        (_of_another_type, ("PROMPT_TUNING", "only LoRA and DoRA")),
        (_torn, ("adapter_config.json cannot be read",)),
        (_two_gguf_files, ("a.gguf, b.gguf", "--gguf-file")),
        (lambda adapt, tmp: tmp / "nothing", ("there is no file or folder",)),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_one_line(
    make: Callable[..., Path], expected: tuple[str, ...], adapt: Adapt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = make(adapt, tmp_path)
    assert main(["merge", str(place), "--out", str(tmp_path / "out")]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: ")
    assert "\n" not in said
    for words in expected:
        assert words in said
    assert not (tmp_path / "out").exists()


def test_a_choice_that_would_be_ignored_or_cannot_be_is_refused(model_folder: Path, adapt: Adapt) -> None:
    with pytest.raises(InputError, match="--from-adapter merge would be ignored"):
        starting_point(str(model_folder), full=False, how="merge")
    with pytest.raises(InputError, match="--tune full trains all weights"):
        starting_point(str(adapt()), full=True, how="continue")
    with pytest.raises(InputError, match="trains modules_to_save"):
        starting_point(str(adapt(target_modules=["q_proj"], modules_to_save=["norm"])), full=False, how=None)


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"use_rslora": True, "target_modules": ["q_proj", "down_proj"]}])
def test_the_merged_model_is_the_adapted_one(settings: dict[str, Any], model_folder: Path, adapt: Adapt, tmp_path: Path) -> None:
    """Against peft itself, loaded by its own words."""
    from peft import AutoPeftModelForCausalLM

    adapter, out = adapt(**settings), tmp_path / "out"
    assert main(["merge", str(adapter), "--out", str(out)]) == 0
    wanted = logits(AutoPeftModelForCausalLM.from_pretrained(adapter))
    base = logits(AutoModelForCausalLM.from_pretrained(model_folder))
    found = logits(AutoModelForCausalLM.from_pretrained(out))
    assert (found - wanted).abs().max() < 1e-4
    assert (base - wanted).abs().max() > 0.1
    assert AutoTokenizer.from_pretrained(out).chat_template == AutoTokenizer.from_pretrained(model_folder).chat_template
    assert (out / "generation_config.json").exists()
    assert not (out / "adapter_config.json").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_chain_is_merged_from_the_base_upwards(model_folder: Path, adapt: Adapt, tmp_path: Path) -> None:
    from peft import PeftModel

    first = adapt()
    second = adapt(record=first)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    for folder in (first, second):
        model = PeftModel.from_pretrained(model, folder).merge_and_unload()
    assert main(["merge", str(second), "--out", str(tmp_path / "out")]) == 0
    assert (logits(AutoModelForCausalLM.from_pretrained(tmp_path / "out")) - logits(model)).abs().max() < 1e-4


def test_a_full_run_is_copied_out(make_qwen2: Callable[..., Any], model_folder: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16).save_pretrained(trained)
    run = make_run(tmp_path / "run", {"checkpoints/step-000003": trained}, model=model_folder, status="interrupted")
    assert main(["merge", str(run), "--out", str(tmp_path / "out")]) == 0
    ours, theirs = (AutoModelForCausalLM.from_pretrained(place) for place in (tmp_path / "out", trained))
    assert ours.dtype == torch.bfloat16, "as it was stored"
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template


def test_what_is_not_the_same_model_is_not_written(
    model_folder: Path, adapt: Adapt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An adapter on the embeddings of a model whose head shares their weights: merged, both change; trained, one did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's, about just this
        adapter = adapt(target_modules=["embed_tokens"])
        assert main(["merge", str(adapter), "--out", str(tmp_path / "out")]) == 2
    assert "gives another model" in without_progress(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_learning_that_16_bits_would_lose_is_not_written_in_them(
    model_folder: Path, adapt: Adapt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16).save_pretrained(base)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(base)
    faint, strong = adapt(base, wide=3e-4), adapt(base)
    assert main(["merge", str(faint), "--out", str(tmp_path / "out")]) == 2
    assert "use --dtype fp32" in without_progress(capsys.readouterr().err)
    assert main(["merge", str(faint), "--out", str(tmp_path / "out"), "--dtype", "fp32"]) == 0
    assert main(["merge", str(strong), "--out", str(tmp_path / "half")]) == 0
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "half").dtype == torch.bfloat16


def test_an_adapter_of_another_model_is_one_line(
    model_folder: Path, adapt: Adapt, make_vllm_qwen2: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    make_vllm_qwen2().save_pretrained(other)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(other)
    assert main(["merge", str(adapt(record=other)), "--out", str(tmp_path / "out")]) == 2
    said = without_progress(capsys.readouterr().err)
    assert "does not fit the model under it" in said
    assert "\n" not in said
    assert main(["merge", str(model_folder), "--out", str(other)]) == 2
    assert "is there already" in capsys.readouterr().err
