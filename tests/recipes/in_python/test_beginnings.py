"""What a run of a model in memory began with: found again when it is resumed, and by whoever loads the adapter later."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import reckon
from recipes.in_python import training
from recipes.setup import arithmetic
from recipes.setup.model_source import find_model
from rl.learning.starting_model import stands_at
from rl.runs.run_folder import read_lines
from verifiers.input_error import InputError

PROBLEMS = [{"prompt": f"{a}+1=", "answer": str(a + 1)} for a in range(6)]
PAIRS = [{"prompt": f"{a}+1=", "chosen": str(a + 1), "rejected": "0"} for a in range(6)]
OFFLINE = {"schedule": "constant", "warmup": 0, "lr": 1e-2, "examples_per_step": 3, "max_length": 32, "steps": 4, "checkpoint_every": 1}


@pytest.fixture
def made(one_thread: None) -> dict[str, Any]:
    tokenizer = arithmetic.make_tokenizer()
    torch.manual_seed(0)
    return {"tokenizer": tokenizer, "model": arithmetic.make_model(len(tokenizer), hidden=16, layers=1)}


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """(step) -> Ctrl-C comes in the middle of that step, once."""
    from rl.learning.learner import Learner

    def arm(step: int) -> None:
        whole, calls = Learner.update, [0]

        def update(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == step:
                raise KeyboardInterrupt
            return whole(self, *args, **kwargs)

        monkeypatch.setattr(Learner, "update", update)

    return arm


def _numbers(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "speed/", "sync/"))} for row in read_lines(run / "metrics.jsonl")]


def _dpo(made: dict[str, Any], run: Path, **options: Any) -> reckon.Run:
    return reckon.dpo(**{**made, "data": PAIRS, "run": run, **OFFLINE, **options})  # type: ignore[no-any-return]


def _ppo(made: dict[str, Any], run: Path, **options: Any) -> reckon.Run:
    return _grpo(made, run, algorithm=reckon.PPO(kl_in="reward"), **options)


def _grpo(made: dict[str, Any], run: Path, **options: Any) -> reckon.Run:
    given = {
        "problems": PROBLEMS, "reward": lambda problem, response: float(len(response) % 2), "run": run, "engine": reckon.HF(), "steps": 3,
        "problems_per_step": 3, "completions_per_problem": 4, "max_completion_length": 6, "lr": 1e-2, "warmup": 0, "system_prompt": "",
        "kl": reckon.KL(0.5),
    }  # fmt: skip
    return reckon.grpo(**{**made, **given, **options})  # type: ignore[no-any-return]


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("begin", "tune"),
    [(_dpo, reckon.Full()), (_grpo, reckon.Lora(rank=2)), pytest.param(_grpo, reckon.Full(), marks=SLOW),
     pytest.param(_dpo, reckon.Lora(rank=2), marks=SLOW), (_ppo, reckon.Full())],
)  # fmt: skip
def test_a_run_goes_on_against_what_it_began_as_though_the_model_has_learnt_since(
    begin: Any, tune: Any, made: dict[str, Any], interrupt: Callable[[int], None], tmp_path: Path
) -> None:
    begin(copy.deepcopy(made), tmp_path / "whole", tune=tune)
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        begin(made, tmp_path / "run", tune=tune)
    taught = {name: tensor.clone() for name, tensor in made["model"].state_dict().items()}
    if begin is _dpo:
        resumed = reckon.dpo(**made, data=PAIRS, resume=tmp_path / "run")
    else:
        objects = {"problems": PROBLEMS, "reward": lambda problem, response: float(len(response) % 2)}
        resumed = reckon.grpo(**made, **objects, resume=tmp_path / "run")
    assert _numbers(tmp_path / "run") == _numbers(tmp_path / "whole")
    kind = "model" if isinstance(tune, reckon.Full) else "adapter_model"
    ends = [load_file(tmp_path / name / "final" / f"{kind}.safetensors") for name in ("run", "whole")]
    assert all(torch.equal(ends[0][name], tensor) for name, tensor in ends[1].items())
    assert resumed.model is not made["model"]
    assert all(torch.equal(taught[name], tensor) for name, tensor in made["model"].state_dict().items()), "it stays as it is"


@pytest.mark.parametrize(
    ("width", "dtype", "tune"),
    [(torch.bfloat16, "fp32", reckon.Lora(rank=2)), (torch.float16, "fp32", reckon.Full()),
     pytest.param(torch.float32, "bf16", reckon.Lora(rank=2), marks=SLOW), pytest.param(torch.float64, "fp32", reckon.Full(), marks=SLOW),
     pytest.param(torch.float64, "fp32", reckon.Lora(rank=2), marks=SLOW), pytest.param(torch.float16, "bf16", reckon.Full(), marks=SLOW)],
)  # fmt: skip
def test_a_model_of_any_width_goes_on_to_the_same_bits(
    width: torch.dtype, dtype: str, tune: Any, made: dict[str, Any], interrupt: Callable[[int], None], tmp_path: Path
) -> None:
    """It is in memory in one life, and read from the disk in the next."""
    made["model"].to(width)
    _dpo(copy.deepcopy(made), tmp_path / "whole", tune=tune, dtype=dtype)
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        _dpo(made, tmp_path / "run", tune=tune, dtype=dtype)
    reckon.dpo(resume=tmp_path / "run")
    assert _numbers(tmp_path / "run") == _numbers(tmp_path / "whole")


def test_a_model_that_is_only_asked_stays_as_wide_as_it_is(made: dict[str, Any]) -> None:
    made["model"].to(torch.bfloat16)
    reckon.sample(**made, problems=PROBLEMS[:1], completions_per_problem=1, max_completion_length=2, dtype="fp32", system_prompt="")
    assert {parameter.dtype for parameter in made["model"].parameters()} == {torch.bfloat16}


def test_a_run_that_kept_its_beginning_needs_nothing_but_its_name(
    made: dict[str, Any], interrupt: Callable[[int], None], tmp_path: Path
) -> None:
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        _dpo(made, tmp_path / "run", tune=reckon.Full())
    assert reckon.dpo(resume=tmp_path / "run").metrics[-1]["step"] == 4


def test_a_run_whose_beginning_is_gone_is_refused(made: dict[str, Any], interrupt: Callable[[int], None], tmp_path: Path) -> None:
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        _dpo(made, tmp_path / "run", tune=reckon.Full())
    (tmp_path / "run" / "base").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="the model that it began with is not kept in it") as caught:
        reckon.dpo(**made, data=PAIRS, resume=tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_what_is_measured_against_nothing_keeps_nothing_and_learns_in_place(made: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "completion": row["answer"]} for row in PROBLEMS]
    reckon.sft(**made, data=rows, run=tmp_path / "run", tune=reckon.Full(), **OFFLINE)
    assert not (tmp_path / "run" / "base").exists()
    with pytest.raises(InputError, match="it trains a model of a Python program; give that") as caught:
        reckon.sft(resume=tmp_path / "run", steps=5)
    assert "\n" not in str(caught.value)
    assert reckon.sft(**made, resume=tmp_path / "run", steps=5).model is made["model"]


# --- the base of an adapter --------------------------------------------------------------------------------------------------


def _as_loaded(place: Path, base: Any) -> Any:
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(place)
    inner = model.get_base_model()
    assert torch.equal(inner.get_input_embeddings().weight, base.get_input_embeddings().weight)
    return model


def test_the_adapter_of_a_nameless_model_finds_its_base_again(made: dict[str, Any], tmp_path: Path) -> None:
    start = copy.deepcopy(made["model"])
    run = _dpo(made, tmp_path / "run", tune=reckon.Lora(rank=2))
    base = json.loads((run.final / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base == str((tmp_path / "run" / "base").resolve())
    assert "in-memory" not in (run.final / "README.md").read_text()
    loaded, tokens = _as_loaded(run.final, start), torch.arange(8)[None]
    with torch.no_grad():
        assert torch.allclose(loaded(tokens).logits, run.model(tokens).logits, atol=1e-5)
    assert find_model(str(tmp_path / "run")).base == base


def test_a_model_that_still_is_what_its_name_says_is_named(made: dict[str, Any], tmp_path: Path) -> None:
    made["model"].save_pretrained(tmp_path / "model")
    made["tokenizer"].save_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    run = _dpo(made | {"model": model}, tmp_path / "run", tune=reckon.Lora(rank=2))
    assert not (tmp_path / "run" / "base").exists()
    assert json.loads((run.final / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tmp_path / "model")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["model"] == str(tmp_path / "model")


def test_a_model_that_has_learnt_since_it_was_loaded_is_not_what_its_name_says(made: dict[str, Any], tmp_path: Path) -> None:
    made["model"].save_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert stands_at(model, str(tmp_path / "model"))
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1e-3
    assert not stands_at(model, str(tmp_path / "model"))
    run = _dpo(made | {"model": model}, tmp_path / "run", tune=reckon.Lora(rank=2))
    assert json.loads((run.final / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tmp_path / "run" / "base")
    with torch.no_grad():
        model.lm_head.weight[0, 0] -= 1e-3
    model.config.rope_parameters = {**model.config.rope_parameters, "rope_theta": 7.0}
    assert not stands_at(model, str(tmp_path / "model")), "its formulas are others"


def test_tied_weights_and_half_precision_stand_where_they_were_saved(
    make_qwen2: Callable[..., Any], make_llama: Callable[..., Any], tmp_path: Path
) -> None:
    for number, model in enumerate([make_qwen2(), make_llama().to(torch.bfloat16)]):
        model.save_pretrained(tmp_path / str(number), max_shard_size="20KB")
        assert stands_at(model, str(tmp_path / str(number)))
        assert stands_at(AutoModelForCausalLM.from_pretrained(tmp_path / str(number), dtype=torch.float32), str(tmp_path / str(number)))
    assert not stands_at(make_qwen2(1), str(tmp_path / "0"))
    assert not stands_at(model, "nobody/nothing")


def test_samples_of_a_nameless_model_have_no_invented_name(made: dict[str, Any], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    reckon.sample(
        **made, problems=PROBLEMS[:1], reward=lambda problem, response: 1.0, run=tmp_path / "run", engine=reckon.HF(),
        completions_per_problem=2, max_completion_length=3, system_prompt="",
    )  # fmt: skip
    (file,) = (tmp_path / "run" / "rollouts").glob("*.parquet")
    assert pq.read_table(file)["model"].to_pylist() == ["", ""]


# --- rounds ------------------------------------------------------------------------------------------------------------------


def test_rounds_begin_with_the_model_that_was_given(made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recipes.training import rft as command

    seen: list[str] = []

    def run(config: Any) -> int:
        seen.append(config.model)
        return 1

    monkeypatch.setattr(command, "run", run)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.rft(**made, problems=PROBLEMS, run=tmp_path / "run")
    assert seen == [str(tmp_path / "run-model")] * 2
    assert stands_at(made["model"], seen[0])
    with torch.no_grad():
        made["model"].lm_head.weight[0, 0] += 1e-3
    with pytest.raises(InputError, match="run-model holds another model than the one given"):
        training.rft(**made, problems=PROBLEMS, run=tmp_path / "run")


@pytest.mark.slow
def test_rounds_go_on_with_what_is_in_their_folder(made: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    before = {name: tensor.clone() for name, tensor in made["model"].state_dict().items()}
    first = reckon.rft(
        **made, problems=PROBLEMS, run=tmp_path / "run", reward=f"{tmp_path}/mine.py:even", engine=reckon.HF(), steps=1, warmup=0, lr=1e-2,
        completions_per_problem=4, max_completion_length=4, examples_per_step=4, keep_truncated=True, system_prompt="", workers=1,
        tune=reckon.Lora(rank=2),
    )  # fmt: skip
    assert all(torch.equal(before[name], tensor) for name, tensor in made["model"].state_dict().items()), "it stays as it is"
    second = reckon.rft(resume=tmp_path / "run", rounds=2)
    assert [row["step"] for row in second.metrics] == [0, 1, 2]
    assert second.chat.system_prompt == first.chat.system_prompt == ""
    base = json.loads((second.final / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base == str(tmp_path / "run-model")
    with pytest.raises(InputError, match="problems is missing"):
        reckon.rft(**made, run=tmp_path / "other")


def test_sampling_goes_on_with_its_own_options(made: dict[str, Any], tmp_path: Path) -> None:
    made["model"].save_pretrained(tmp_path / "model")
    made["tokenizer"].save_pretrained(tmp_path / "model")
    run, given = tmp_path / "run", {"problems": PROBLEMS[:4], "reward": lambda problem, response: 1.0}
    options = {
        "engine": reckon.HF(),
        "completions_per_problem": 2,
        "max_completion_length": 4,
        "system_prompt": "",
        "problems_per_chunk": 2,
    }

    def said(groups: list[Any]) -> list[list[str]]:
        return [group.responses for group in groups]

    whole = said(reckon.sample(model=tmp_path / "model", run=run, **given, **options))
    first, second = sorted((run / "rollouts").glob("*.parquet"))
    written, kept = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    assert said(reckon.sample(resume=run, **given)) == whole
    assert (second.read_bytes(), first.stat().st_mtime_ns) == (written, kept)  # the first chunk was not sampled again
    with pytest.raises(InputError, match="--max-completion-length 4, which cannot change within a run"):
        reckon.sample(resume=run, max_completion_length=5, **given)
