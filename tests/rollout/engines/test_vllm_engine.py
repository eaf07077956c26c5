"""What the contract test cannot ask of every engine: what is handed over, and one clear line for what cannot work.

Merged weights are compared with peft's own merge, folders with what transformers and peft load from them. Tests that need vLLM
are skipped without it.
"""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recipes.actors.engines import llm_arguments, with_engine
from recipes.commands import cli
from recipes.setup.choices import HF, VLLM, Auto, Ray
from recipes.setup.options import Options
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.runs.run_folder import read_lines
from rollout.engine import Completion, Sampling
from rollout.engines import vllm_engine
from rollout.engines.policy_tensors import full_tensors, plain_adapter, save_adapter, save_model_folder
from rollout.engines.vllm_engine import VLLMEngine, installed
from verifiers.input_error import InputError

TOKENS = torch.tensor([[3, 4, 5, 9, 11, 2]])
LORA = Lora(rank=4, alpha=8.0)
needs_vllm = pytest.mark.skipif(not installed(), reason="vLLM is not installed")


def adapted(model: Any, lora: Lora | None) -> Policy:
    """With an adapter that does something."""
    policy = Policy(model, lora=lora, device="cpu")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.trainable.items():
        if "lora" in name:
            parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return policy


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(TOKENS).logits


# --- what is handed over -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ["make_qwen2", "make_llama"])
@pytest.mark.parametrize("lora", [None, LORA, Lora(rank=4, dora=True)], ids=["full", "lora", "dora"])
def test_full_tensors_are_the_merged_model_under_its_own_names(make: str, lora: Lora | None, request: pytest.FixtureRequest) -> None:
    plain = request.getfixturevalue(make)()
    names = {name for name, _ in plain.named_parameters()}  # a tied head is named once
    policy = adapted(plain, lora)
    before = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    found = dict(full_tensors(policy.model, torch.float32))
    assert found.keys() == names
    assert all(torch.equal(tensor, before[name]) for name, tensor in policy.model.state_dict().items()), "the policy was touched"
    merged = copy.deepcopy(policy.model)
    merged = merged.merge_and_unload() if lora else merged
    for name, parameter in merged.named_parameters():
        torch.testing.assert_close(found[name], parameter.detach(), atol=1e-6, rtol=0)
    assert {tensor.dtype for _, tensor in full_tensors(policy.model, torch.bfloat16)} == {torch.bfloat16}


@pytest.mark.parametrize("shards", ["one shard", "many"])
@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_the_folder_is_a_model_that_transformers_loads(
    lora: Lora | None, shards: str, make_qwen2: Callable[..., Any], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    model = make_qwen2()
    base = logits(model)
    policy = adapted(model, lora)
    written = save_model_folder(
        policy.model, tmp_path / "whole", torch.float32, adapter=True, shard_bytes=2**13 if shards == "many" else 2**32
    )
    parameters = sum(p.numel() for p in make_qwen2().parameters())
    assert written == 4 * parameters
    assert (len(list((tmp_path / "whole").glob("*.safetensors"))) > 1) == (shards == "many")
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "whole")), logits(policy.model), atol=1e-5, rtol=0)
    save_model_folder(policy.model, tmp_path / "base", torch.float32, adapter=False)
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "base")), base, atol=1e-5, rtol=0)


def test_the_adapters_folder_is_one_that_peft_loads(make_qwen2: Callable[..., Any], tmp_path: Path) -> None:
    from peft import PeftModel

    policy = adapted(make_qwen2(), LORA)
    moved = save_adapter(policy.model, tmp_path, torch.float32)
    assert moved == 4 * sum(p.numel() for p in policy.trainable.values())
    loaded = PeftModel.from_pretrained(make_qwen2(), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(policy.model), atol=1e-6, rtol=0)


def test_only_a_plain_lora_travels_as_an_adapter(make_llama: Callable[..., Any]) -> None:
    assert plain_adapter(make_llama()) is None
    assert plain_adapter(Policy(make_llama(), lora=LORA, device="cpu").model).r == 4
    for special in (Lora(rank=4, dora=True), Lora(rank=4, target_modules=("q_proj", "embed_tokens"))):
        assert plain_adapter(Policy(make_llama(), lora=special, device="cpu").model) is None


# --- one clear line ------------------------------------------------------------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(vllm_engine, "installed", lambda: True)
    monkeypatch.setattr(vllm_engine, "_distribution_version", lambda name: version if name == "vllm" else "")


def test_a_version_outside_the_tested_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0.21.3")
    with pytest.raises(InputError, match=r"vLLM 0\.21\.3 is older than 0\.22, .*upgrade it, or use --engine hf$"):
        VLLMEngine()
    pretend(monkeypatch, "0.99.0")
    with pytest.warns(UserWarning, match=r"vLLM 0\.99\.0 is newer than"):
        VLLMEngine()
    for within in ("0.22.0", "0.32.0.post2", ""):  # a build without a version is taken at its word
        pretend(monkeypatch, within)
        assert VLLMEngine().version_of_vllm == within


def test_without_vllm_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_engine, "installed", lambda: False)
    with pytest.raises(InputError, match="vLLM is not installed; pip install vllm"):
        VLLMEngine()


def test_options_that_would_change_the_log_probabilities_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0.32.0")
    with pytest.raises(InputError, match="engine option logprobs_mode cannot be given"):
        VLLMEngine(options={"logprobs_mode": "raw_logprobs"})


def test_without_weights_there_is_nothing_to_sample_from(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0.32.0")
    with pytest.raises(ValueError, match="call load_policy first"):
        VLLMEngine().generate([[3]], Sampling(max_tokens=1))


def test_stop_texts_without_a_tokenizer_are_refused_and_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "0.32.0")
    with pytest.raises(ValueError, match=r"stop texts \('x',\) need an engine that was made with `tokenizer`"):
        VLLMEngine().generate([[3]], Sampling(max_tokens=1, stop_texts=("x",)))
    for option in ({"skip_tokenizer_init": True}, {"tokenizer": "another"}):
        with pytest.raises(InputError, match="cannot be given: vLLM starts with the tokenizer of the run"):
            VLLMEngine(options=option)


@pytest.fixture
def start(make_vllm_qwen2: Callable[..., Any]) -> Any:
    """(lora, settings) -> an engine with a policy loaded; closed afterwards."""
    engines = []

    def run(lora: Lora | None = None, **settings: Any) -> VLLMEngine:
        engines.append(VLLMEngine(**{"kv_cache_gib": 0.25, "merge_adapters": False} | settings))
        engines[-1].load_policy(Policy(make_vllm_qwen2(), lora=lora, device="cpu").weights(), 0)
        return engines[-1]

    yield run
    for engine in engines:
        engine.close()


@needs_vllm
def test_what_does_not_fit_is_said_in_one_line(start: Any, make_qwen2: Callable[..., Any], make_vllm_qwen2: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"too little memory for the KV cache: .* \(raise gpu_memory_utilization or kv_cache_gib"):
        start(kv_cache_gib=1e-6)
    with pytest.raises(InputError, match=r"cannot run this model on this machine: .*head_dim=8.*use --engine hf"):
        VLLMEngine(kv_cache_gib=0.25).load_policy(Policy(make_qwen2(), device="cpu").weights(), 0)
    with pytest.raises(InputError, match=r"cannot start with this model and these options: .*no_such_option"):
        start(options={"no_such_option": 1})
    with pytest.raises(InputError, match=r"a LoRA of rank 1024 is above the largest that vLLM takes, \d+; lower --lora-rank"):
        start(Lora(rank=1024))
    engine = start(max_model_len=16)
    with pytest.raises(InputError, match=r"prompt 1 has 10 tokens and may get 7 more: 17 do not fit into the engine's max_model_len of 16"):
        engine.generate([[3], [4] * 10], Sampling(max_tokens=7))
    assert len(engine.generate([[4] * 10], Sampling(max_tokens=6, temperature=0.0))[0][0].tokens) == 6
    assert len(engine.score([[5] * 16])[0]) == 16
    with pytest.raises(InputError, match="do not fit"):
        engine.score([[5] * 17])
    with pytest.raises(InputError, match=r"at temperature 0 or from 0\.01 up, not at 0\.001"):
        engine.generate([[3]], Sampling(max_tokens=1, temperature=0.001))


@needs_vllm
def test_an_engine_keeps_the_kind_of_policy_that_it_began_with(start: Any, make_vllm_qwen2: Callable[..., Any]) -> None:
    def weights(lora: Lora | None) -> Any:
        return Policy(make_vllm_qwen2(), lora=lora, device="cpu").weights()

    engine = start(LORA)
    with pytest.raises(InputError, match="rank 32 is above the engine's max_lora_rank 8"):
        engine.load_policy(weights(Lora(rank=32)), 1)
    with pytest.raises(InputError, match="started with a LoRA, and cannot take full weights"):
        engine.load_policy(weights(None), 1)
    full = start()
    with pytest.raises(InputError, match="without an adapter, and cannot take a LoRA"):
        full.load_policy(weights(LORA), 1)
    assert full.load_policy(weights(Lora(rank=4, dora=True)), 1) > 0  # merged, so that it is full weights


@needs_vllm
def test_on_a_cpu_an_adapter_in_float32_is_merged(start: Any, make_vllm_qwen2: Callable[..., Any]) -> None:
    engine = start(LORA, merge_adapters=None)
    policy = Policy(make_vllm_qwen2(), device="cpu")
    assert engine.load_policy(policy.weights(), 1) > 0  # full weights, as those before
    assert engine.score([[3, 4, 5]])[0] == pytest.approx(policy.score_sequences([[3, 4, 5]])[0], abs=1e-4)


@needs_vllm
def test_starting_and_closing_leave_the_process_as_it_was(make_vllm_qwen2: Callable[..., Any]) -> None:
    policy, engine = Policy(make_vllm_qwen2(), lora=LORA, device="cpu"), VLLMEngine(kv_cache_gib=0.25)
    threads, set_threads = torch.get_num_threads(), torch.set_num_threads
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    folders = set(Path("/dev/shm").glob("reckon-*"))
    engine.load_policy(policy.weights(), 0)
    assert torch.equal(torch.rand(2), expected)
    assert (torch.get_num_threads(), torch.set_num_threads) == (threads, set_threads)
    engine.close()
    assert set(Path("/dev/shm").glob("reckon-*")) == folders
    assert engine.sleep() == 0


@needs_vllm
def test_a_prompt_longer_than_a_batch_of_vllm_is_sampled_with_its_seed(start: Any) -> None:
    """Cut into two, it would end vLLM's CPU build: "CPU Generator does not use offset"."""
    engine = start(options={"max_num_batched_tokens": 256}, max_num_seqs=64)
    prompts = [[3 + place % 20 for place in range(start, start + 60)] for start in range(10)]
    groups = engine.generate(prompts, Sampling(max_tokens=4, completions=3, seed=1))
    assert engine.generate(prompts, Sampling(max_tokens=4, completions=3, seed=1)) == groups


@needs_vllm
def test_a_group_reads_what_it_can_of_its_prompt_once(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole blocks of 32 tokens; vLLM's own on a CPU are of 128, which few prompts fill."""
    engine, found = start(), []
    run = engine._run_requests
    monkeypatch.setattr(engine, "_run_requests", lambda *given: found.extend(run(*given)))
    engine.generate([[3 + place % 20 for place in range(70)]], Sampling(max_tokens=2, completions=4, seed=1))
    assert [output.num_cached_tokens for output in found] == [64]


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize("tune", ["lora", "full"])
def test_a_recipe_trains_on_vllm_and_resumes_on_it(tune: str, make_vllm_qwen2: Callable[..., Any], tokenizer: Any, tmp_path: Path) -> None:
    from recipes.setup.arithmetic import make_model

    torch.manual_seed(0)
    make_model(len(tokenizer), hidden=64).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    data, run = tmp_path / "data.jsonl", tmp_path / "run"
    data.write_text("".join(f'{{"prompt": "{n}+1=", "answer": "{n + 1}"}}\n' for n in range(6)))
    options = [
        "--steps",
        "3",
        "--problems-per-step",
        "2",
        "--completions-per-problem",
        "4",
        "--max-completion-length",
        "4",
        "--workers",
        "1",
    ]
    reward = tmp_path / "even.py"  # verdicts that differ, so that the policy moves
    reward.write_text("import zlib\n\n\ndef reward(problem, response):\n    return zlib.crc32(response.encode()) % 2\n")
    options += ["--model", str(tmp_path / "model"), "--data", str(data), "--run", str(run), "--reward", f"{reward}:reward", "--lr", "1e-2"]
    assert cli.main(["grpo-math", "--engine", "vllm", "--engine-sleep", "--system-prompt", "", "--tune", tune, *options]) == 0
    rows = read_lines(run / "metrics.jsonl")
    assert sum(row.get("updates", 0) for row in rows) >= 2
    assert all(row["sync/bytes"] > 0 for row in rows[1:])
    assert max(row["canary/samples_worst"] for row in rows[1:]) < 1e-5
    (run / "checkpoints").rename(run / "later")
    (run / "checkpoints").mkdir()
    shutil.copytree(run / "later" / "step-000000", run / "checkpoints" / "step-000000")
    assert cli.main(["grpo-math", "--resume", str(run)]) == 0, "from its first checkpoint, on the stored rollouts"


# --- choosing ------------------------------------------------------------------------------------------------------------


def test_auto_takes_vllm_when_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert with_engine(Options()).engine == HF()
    with pytest.raises(InputError, match="--engine vllm: vLLM is not installed"):
        with_engine(Options(engine=VLLM()))
    with pytest.raises(InputError, match="--engine-memory and --engine-option would be ignored with --engine hf"):
        with_engine(Options(engine=Auto(memory=0.5, option=("a=1",))))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert with_engine(Options(engine=Auto(memory=0.5))).engine == VLLM(memory=0.5)
    assert with_engine(Options(engine=Ray())).engine == Ray(engine=VLLM())
    assert with_engine(Options(engine=HF())).engine == HF()


def test_engine_options_are_json_where_they_can_be() -> None:
    given = VLLM(option=("quantization=fp8", "max_lora_rank=32", "enforce_eager=true", 'hf_overrides={"a": 1}'))
    assert llm_arguments(given) == {"quantization": "fp8", "max_lora_rank": 32, "enforce_eager": True, "hf_overrides": {"a": 1}}
    with pytest.raises(InputError, match="'quantization' must be name=value"):
        llm_arguments(VLLM(option=("quantization",)))


@pytest.mark.parametrize("option", ["--top-p", "--top_k=20", "--min-p"])
def test_truncated_sampling_is_refused_with_the_reason(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["quickstart", option, "0.9"]) == 2
    assert "truncated distribution while the loss sees the whole one, which biases the gradient" in capsys.readouterr().err


@needs_vllm
def test_a_group_is_told_while_others_are_still_sampled(start: Any) -> None:
    engine = start(max_num_seqs=2)  # so that the last prompts wait
    unfinished = []

    def told(index: int, group: list[Completion]) -> None:
        unfinished.append(engine._llm.llm_engine.has_unfinished_requests())

    engine.generate([[3], [4], [5], [6]], Sampling(max_tokens=8, seed=1), told)
    assert unfinished[0] is True
    assert unfinished[-1] is False

    def fails(index: int, group: list[Completion]) -> None:
        raise KeyError(index)

    with pytest.raises(KeyError):
        engine.generate([[3], [4], [5], [6]], Sampling(max_tokens=8, seed=1), fails)
    assert [len(group) for group in engine.generate([[3]], Sampling(max_tokens=8, completions=2))] == [2], "nothing is left behind"
