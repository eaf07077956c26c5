"""An engine on a vLLM server that somebody else started (`rollout/engines/vllm_command.py` prints how): the same protocol, over HTTP.

Token ids go in and come out; no text is tokenised on the way. A prompt and its group are one request, seeded as in
`vllm_engine`; nothing of the server's own generation defaults is left to decide. Weights travel through a folder that both
sides see: a plain LoRA as an adapter with a name of its own for each version, everything else as full weights that our
class in the server's workers takes in place (`vllm_worker.py`). Requests ask for that name, and full weights carry a stamp that is
read again after each sampling: a server that was started again, or that another run has loaded its policy into, is noticed at once.

Not covered: a server on another machine without a shared folder (vLLM's NCCL transfer), sleeping (the server's memory is its
own), several models in one server, a server with data parallelism. A LoRA policy's base weights are not sent: the server must have been
started with the same model. In what company a request is computed depends on when it arrives, so the same call again gives the
same tokens but for near ties, and log-probabilities that may differ in their last bits.
"""

import contextlib
import math
import os
import shutil
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rollout.engine import Completion, OnGroup, PolicyWeights, Sampling
from rollout.engines.policy_tensors import base_model, computing_dtype, handed_over, handover_folder, plain_adapter, save_adapter
from rollout.engines.server_http import LONGEST, PAUSES, JsonServer, ServerFault
from rollout.engines.vllm_command import server_line
from rollout.engines.vllm_facts import OLDEST, dotted, lora_room, request_seed, require_release, require_room, require_samplable
from verifiers.input_error import InputError

COMPLETIONS = "/v1/completions"
TOKEN_BYTES = 512
"""Of an answer, at the most, for each token of a prompt or completion: its id, its text, its log-probability; some 150 are usual."""
GLANCE_SECONDS = 30.0
"""For questions that a healthy server answers at once."""
OWN_DEFAULTS = {  # every default that a server may have from its model's generation config, by request
    "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "ignore_eos": True, "min_tokens": 0,
}  # fmt: skip


class VLLMServer:
    """Samples from a running server's copy of the policy's weights; the server outlives it."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        shared_folder: Path | None = None,
        at_once: int = 64,
        timeout: float = 1800.0,
        pauses: Sequence[float] = PAUSES,
    ):
        """Looks at the server; raises InputError where there is none, or an older one.

        `key`: the server's --api-key (default: VLLM_API_KEY of the environment). `shared_folder`: where weights are handed over, if
        not in this machine's memory. `at_once`: requests under way. `timeout`: seconds for one request or one sync.
        `pauses`: seconds before each retry of what may pass.
        """
        self._server = JsonServer(url, key=key or os.environ.get("VLLM_API_KEY"), pauses=pauses)
        if shared_folder is not None and not shared_folder.is_dir():
            raise InputError(f"the shared folder {shared_folder} does not exist; make it, where the server sees it too")
        self.shared_folder, self.at_once, self.timeout = shared_folder, at_once, timeout
        self.url = self._server.url
        self._owner = f"reckon-{uuid.uuid4().hex[:8]}"
        self._adapter: str | None = None
        self._adapter_folder: Path | None = None
        self._stamp: str | None = None
        self._version = -1
        self._vocabulary = 0
        self._served = "MODEL"
        self._dtype: str | None = None
        self.version_of_vllm, self.model, self.max_model_len = self._look_at_server()

    def _look_at_server(self) -> tuple[str, str, int]:
        """The server's version, its model's name and context."""
        try:
            self._server.ask("/health", timeout=GLANCE_SECONDS, retry=False)
            version = str(_item_of(self._server.ask("/version", timeout=GLANCE_SECONDS), "version"))
            cards = _item_of(self._server.ask("/v1/models", timeout=GLANCE_SECONDS), "data")
        except ServerFault as fault:
            if fault.status in (401, 403):
                raise InputError(f"{fault}; set VLLM_API_KEY to the server's --api-key") from fault
            if fault.status in (404, 405):
                raise InputError(f"{fault}; this is no vLLM server; {self._start_remedy()}") from fault
            raise InputError(f"no vLLM server is ready there: {fault}; {self._start_remedy()}") from fault
        require_release(version, f"{self.url} is vLLM {version},", "the first that this engine works with; upgrade it")
        own = [card for card in cards or [] if isinstance(card, dict) and not card.get("parent")]
        if not own or not isinstance(own[0].get("max_model_len"), int):
            raise InputError(f"{self.url} serves no model with a known context length; {self._start_remedy()}")
        self._served = str(own[0].get("root") or own[0]["id"])
        return version, str(own[0]["id"]), int(own[0]["max_model_len"])

    def _start_remedy(self, lora_rank: int | None = None) -> str:
        return f"start it with: {server_line(self._served, port=self._server.port, lora_rank=lora_rank, dtype=self._dtype)}"

    # --- weights ---

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        config = plain_adapter(weights.module)
        first = self._version < 0
        if first:
            self._check_dtype(computing_dtype(weights), config.r if config else None)
        moved = self._send_adapter(weights, config, version) if config else self._send_everything(weights, version)
        self._version = version
        self._vocabulary = int(base_model(weights.module).config.get_text_config().vocab_size)
        if first:
            self._check_temperature()
        return moved

    def _send_adapter(self, weights: PolicyWeights, config: Any, version: int) -> int:
        room = lora_room(config.r)
        parent = self._adapter_folder or handover_folder(2**28, self.shared_folder)
        self._adapter_folder = parent
        name = f"{self._owner}-v{version}-{uuid.uuid4().hex[:4]}"  # of its own, so that no cached prefix and no other policy is meant
        folder = parent / name
        folder.mkdir()
        moved = save_adapter(weights.module, folder, computing_dtype(weights))
        try:
            # a lost answer is asked for again, and then the adapter is there already: in place
            body = {"lora_name": name, "lora_path": str(folder), "load_inplace": True}
            self._server.ask("/v1/load_lora_adapter", body, timeout=self.timeout, errors_pass=False, answer=False)
        except ServerFault as fault:
            shutil.rmtree(folder)
            raise self._no_adapter(fault, config.r, room) from fault
        self._drop_adapter()
        self._adapter, self._stamp = name, None
        return moved

    def _no_adapter(self, fault: ServerFault, rank: int, room: int) -> InputError:
        start = self._start_remedy(rank)
        if fault.status == 404 and "No adapter found" not in str(fault):
            return InputError(f"{self.url} takes no adapters: VLLM_ALLOW_RUNTIME_LORA_UPDATING is not set there; {start}")
        if "max_lora_rank" in str(fault):
            return InputError(f"{self.url} has no room for a LoRA of rank {rank}: it needs --max-lora-rank {room}; {start}")
        if "LoRA is not enabled" in str(fault) or "lora_config" in str(fault):
            return InputError(f"{self.url} takes no adapters: it was started without --enable-lora; {start}")
        if "No adapter found" in str(fault):
            return InputError(f"{fault}: the server does not see that folder; name one that both sides see as the shared folder")
        return InputError(f"{fault}: the server did not take this adapter; use --tune full, or --engine hf")

    def _drop_adapter(self) -> None:
        """The one before; a server that has lost it is as good."""
        if self._adapter:
            with contextlib.suppress(ServerFault):
                self._server.ask("/v1/unload_lora_adapter", {"lora_name": self._adapter}, timeout=GLANCE_SECONDS, retry=False, answer=False)
            if self._adapter_folder:
                shutil.rmtree(self._adapter_folder / self._adapter, ignore_errors=True)
        self._adapter = None

    def _send_everything(self, weights: PolicyWeights, version: int) -> int:
        dtype = computing_dtype(weights)
        stamp = f"{self._owner}-v{version}-{uuid.uuid4().hex[:4]}"
        with handed_over(weights.module, dtype, parent=self.shared_folder) as (folder, moved):
            self._in_workers("reckon_load", {"folder": str(folder), "stamp": stamp})
        self._drop_adapter()
        self._stamp = stamp
        self._forget_prefixes()
        return moved

    def _in_workers(self, method: str, arguments: Mapping[str, str]) -> list[Any]:
        """What each worker answers."""
        try:
            answer = self._server.ask("/collective_rpc", {"method": method, "kwargs": arguments}, timeout=self.timeout, errors_pass=False)
        except ServerFault as fault:
            start = self._start_remedy()
            if fault.status == 404:
                raise InputError(f"{self.url} takes no weights: VLLM_SERVER_DEV_MODE is not set there; {start}") from fault
            if "has no attribute" in str(fault):
                raise InputError(f"{self.url} takes no weights: it was started without --worker-extension-cls; {start}") from fault
            if "sees no weights" in str(fault):
                raise InputError(f"{fault}; name a folder that both sides see as the shared folder") from fault
            raise self._lost_server(fault) from fault
        return list(_item_of(answer, "results"))

    def _forget_prefixes(self) -> None:
        """Cached prefixes belong to the weights before. Blocks of a request that was called off may take a moment to be free."""
        for pause in (*self._server.pauses, None):
            if _item_of(self._server.ask("/reset_prefix_cache", {}, timeout=GLANCE_SECONDS), "success", True) is not False:
                return
            if pause is not None:
                time.sleep(pause)
        raise InputError(f"{self.url} did not reset its prefix cache: somebody else's requests are running in it")

    def _check_dtype(self, dtype: Any, lora_rank: int | None) -> None:
        """Raises for a server that computes in another dtype than the policy, and in a coarser one than float32."""
        self._dtype = str(dtype).removeprefix("torch.")
        try:
            question = {"method": "reckon_dtype", "kwargs": {}}
            theirs = _item_of(self._server.ask("/collective_rpc", question, timeout=GLANCE_SECONDS, retry=False), "results")
        except ServerFault:
            return  # adapters need neither that endpoint nor our class there; the canary compares all the same
        for found in theirs if isinstance(theirs, list) else []:
            if found not in (self._dtype, "float32"):
                raise InputError(f"{self.url} computes in {found} and the policy in {self._dtype}; {self._start_remedy(lora_rank)}")

    def _check_temperature(self) -> None:
        """Raises for a server that reports log-probabilities at temperature 1 whatever it sampled at."""
        # several contexts: after a padding token, whose embedding is zeros, the next one may be uniform
        rows = [[self._vocabulary * part // 8, self._vocabulary // 2] for part in range(1, 8)]
        warm, cold = ([row[1] for row in self.score(rows, temperature=t)] for t in (1.0, 0.5))
        uniform = all(abs(each + math.log(self._vocabulary)) < 1e-3 for each in warm)  # then they are the same at any temperature
        if not uniform and all(abs(a - b) < 1e-6 for a, b in zip(warm, cold, strict=True)):
            raise InputError(
                f"{self.url} reports log-probabilities that ignore the temperature: --logprobs-mode processed_logprobs is missing; "
                f"{self._start_remedy()}"
            )

    # --- sampling ---

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        require_samplable(prompts, sampling)
        self._require_ready(prompts, sampling.max_tokens)
        if sampling.stop_texts:
            self._require_tokenizer()
        groups: list[list[Completion]] = [[] for _ in prompts]
        bodies = [self._sampling_body(prompt, sampling, index) for index, prompt in enumerate(prompts)]
        with contextlib.closing(self._answered_requests(bodies)) as answers:
            for index, choices in answers:
                # greedy completions of one prompt are one and the same
                copies = sampling.completions if sampling.temperature == 0 else 1
                groups[index] = [self._completion(choice, sampling) for choice in choices for _ in range(copies)]
                if on_group:
                    on_group(index, groups[index])
        self._require_stamp()
        return groups

    def _sampling_body(self, prompt: Sequence[int], sampling: Sampling, index: int) -> dict[str, Any]:
        drawn = sampling.temperature > 0
        body = self._request_body(prompt, temperature=sampling.temperature, logprobs=0) | {
            "n": sampling.completions if drawn else 1,
            "seed": request_seed(sampling.seed, index) if drawn else 0,
            "max_tokens": sampling.max_tokens,
            "stop_token_ids": list(sampling.stop_ids),
        }
        # special tokens are text too, as everywhere in `Sampling.stop_texts`
        return body | ({"stop": list(sampling.stop_texts), "skip_special_tokens": False} if sampling.stop_texts else {})

    def _request_body(self, prompt: Sequence[int], **fields: Any) -> dict[str, Any]:
        told = {"model": self._adapter or self.model, "prompt": list(prompt), "return_token_ids": True, "return_tokens_as_token_ids": True}
        return OWN_DEFAULTS | told | fields

    def _completion(self, choice: Mapping[str, Any], sampling: Sampling) -> Completion:
        tokens, logprobs = choice["token_ids"], _item_of(choice.get("logprobs"), "token_logprobs")
        if not isinstance(logprobs, list) or len(logprobs) != len(tokens) or not all(isinstance(each, int | float) for each in logprobs):
            raise self._too_old("the log-probability of each sampled token")
        if not all(map(math.isfinite, logprobs)) or not all(type(token) is int and 0 <= token < self._vocabulary for token in tokens):
            raise InputError(
                f"{self.url} sampled tokens that its model does not have, or with probabilities that are no numbers: see its log"
            )
        finish = choice["finish_reason"] if choice.get("finish_reason") in ("stop", "length") else "abort"
        own_end = finish == "stop" and not sampling.stop_texts and (not tokens or tokens[-1] not in sampling.stop_ids)
        if own_end or (finish == "length" and len(tokens) < sampling.max_tokens):
            raise InputError(
                f"{self.url} ended a completion of {len(tokens)} tokens by rules of its own; start it with --generation-config vllm, and "
                "without --override-generation-config"
            )
        return Completion(list(tokens), [float(each) for each in logprobs], [True] * len(tokens), finish, self._version)

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """At temperature 1, one request a sequence. At others one a token: vLLM applies the temperature only to what it samples."""
        self._require_ready(sequences, 0)
        whole = temperature in (0.0, 1.0)
        scores = [[0.0] * len(sequence) for sequence in sequences]
        # the last token of a span as if sampled, so that a sequence as long as the context fits
        first = (lambda length: max(1, length - 1)) if whole else (lambda length: 1)
        spans = [(i, end) for i, sequence in enumerate(sequences) for end in range(first(len(sequence)), len(sequence))]
        bodies = [self._scoring_body(sequences[i][:end], sequences[i][end], temperature or 1.0, whole) for i, end in spans]
        with contextlib.closing(self._answered_requests(bodies)) as answers:
            for number, (choice,) in answers:
                i, end = spans[number]
                scores[i][end] = self._reported_logprob(
                    _item_of(_item_of(choice.get("logprobs"), "top_logprobs"), 0), f"token_id:{sequences[i][end]}"
                )
                for place in range(1, end if whole else 1):
                    entry = _item_of(_item_of(_item_of(choice, "prompt_logprobs"), place), str(sequences[i][place]))
                    scores[i][place] = self._reported_logprob(entry, "logprob")
        self._require_stamp()
        return scores

    def _scoring_body(self, prefix: Sequence[int], token: int, temperature: float, whole: bool) -> dict[str, Any]:
        """One sampling step, for the log-probability of `token` in it; and of the prefix's tokens."""
        chosen = {"max_tokens": 1, "seed": 0, "n": 1, "logprob_token_ids": [token]}
        return self._request_body(prefix, temperature=temperature, logprobs=1, **chosen, **({"prompt_logprobs": 0} if whole else {}))

    def _reported_logprob(self, entry: Any, name: str) -> float:
        found = _item_of(entry, name)
        if not isinstance(found, int | float) or math.isnan(found):
            raise self._too_old("log-probabilities of given tokens (logprob_token_ids, prompt_logprobs)")
        return float(found)

    def _answered_requests(self, bodies: Sequence[Mapping[str, Any]]) -> Generator[tuple[int, list[dict[str, Any]]], None, None]:
        """(index, choices) of each request, as they come; each choice has its token ids."""
        try:
            asking = self._server.ask_each(COMPLETIONS, bodies, timeout=self.timeout, at_once=self.at_once, longest=_longest_answer)
            with contextlib.closing(asking) as answers:
                for index, answer in answers:
                    choices, asked = _item_of(answer, "choices"), bodies[index]["n"]
                    if not isinstance(choices, list) or len(choices) != asked:
                        found = len(choices) if isinstance(choices, list) else "no"
                        raise InputError(
                            f"{self.url} (vLLM {self.version_of_vllm}) answered with {found} completions where {asked} were asked for"
                        )
                    if not all(isinstance(_item_of(choice, "token_ids"), list) for choice in choices):
                        raise self._too_old("token ids (return_token_ids)")
                    yield index, choices
        except ServerFault as fault:
            raise self._lost_server(fault) from fault

    def _require_ready(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Raises for what the server would refuse less clearly, or die of (a token that is not in the vocabulary)."""
        if self._version < 0:
            raise ValueError("the engine has no weights yet; call load_policy first")
        require_room(prompts, new_tokens, self.max_model_len, "the server's --max-model-len", "start it with more")
        for index, prompt in enumerate(prompts):
            if not all(0 <= token < self._vocabulary for token in prompt):
                raise ValueError(f"prompt {index} has a token outside of the vocabulary of {self._vocabulary}")

    def _require_tokenizer(self) -> None:
        """A server without one ignores stop texts."""
        try:
            self._server.ask("/detokenize", {"model": self.model, "tokens": [0]}, timeout=GLANCE_SECONDS)
        except ServerFault as fault:
            raise InputError(
                f"stop texts need a tokenizer, and the server has none: {fault}; start it without --skip-tokenizer-init"
            ) from fault

    def _require_stamp(self) -> None:
        """Full weights must still be those of the last sync. (An adapter's name says it by itself.)"""
        if self._stamp and set(self._in_workers("reckon_stamp", {})) != {self._stamp}:
            raise InputError(
                f"{self.url} no longer has policy version {self._version}: it was started again, or another run uses it; give each run a "
                "server of its own, and continue this one with --resume"
            )

    def _lost_server(self, fault: ServerFault) -> InputError:
        if fault.status == 404:
            return InputError(
                f"{fault}; the server was started again and lost policy version {self._version}; continue this run with --resume"
            )
        if fault.status is not None and fault.status < 500:
            return InputError(f"{fault}; the server does not take what this engine asks: is it vLLM {dotted(OLDEST)} or newer?")
        return InputError(f"{fault}; see the server's log, start it again and continue this run with --resume; {self._start_remedy()}")

    def _too_old(self, lacking: str) -> InputError:
        return InputError(f"{self.url} (vLLM {self.version_of_vllm}) does not report {lacking}; use vLLM {dotted(OLDEST)} or newer")

    # --- the end ---

    def sleep(self) -> int:
        """Nothing: the server's memory is its own."""
        return 0

    def close(self) -> None:
        """The server goes on, without the adapter."""
        self._drop_adapter()
        if self._adapter_folder:
            shutil.rmtree(self._adapter_folder, ignore_errors=True)
        self._adapter_folder, self._version = None, -1


def _longest_answer(body: Mapping[str, Any]) -> int:
    """Bytes that the answer to a request for tokens may have."""
    return LONGEST + TOKEN_BYTES * (len(body["prompt"]) + body["n"] * body["max_tokens"])


def _item_of(value: Any, key: str | int, default: Any = None) -> Any:
    """value[key] of an answer that may be anything."""
    if isinstance(value, dict):
        return value.get(key, default)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return default
