"""What can go wrong between a run and its vLLM server: planted in a fake server, and the essentials again on a real one.

The contract test holds the engine against the policy, on both.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from recipes.actors.engines import with_engine
from recipes.setup.choices import Server
from recipes.setup.command_line import parse_options
from recipes.setup.options import Options
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.objectives.batch import lay_out
from rl.objectives.supervised import sft
from rollout.canary import BOUNDS, Canary, SamplerIsNotThePolicy, fixed_sequences
from rollout.engine import Sampling
from rollout.engines.fake_engine import FakeEngine
from rollout.engines.server_http import JsonServer, ServerFault
from rollout.engines.vllm_command import server_command
from rollout.engines.vllm_facts import lora_room
from rollout.engines.vllm_server import VLLMServer
from tests.rollout.engines.fake_vllm_server import FakeVLLMServer, respond
from verifiers.input_error import InputError

VOCABULARY = 24
PROMPTS = [[3, 4, 5], [6], [7, 8, 9, 10, 11, 12, 2], [6, 6]]
SAMPLING = Sampling(max_tokens=6, completions=3, temperature=0.7, stop_ids=(1,), seed=3)
LORA = Lora(rank=4, alpha=8.0)
QUICK = (0.0, 0.0)
TABLE = torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeVLLMServer]]:
    """A fake server; closed afterwards."""
    servers = []

    def start(**options: Any) -> FakeVLLMServer:
        servers.append(FakeVLLMServer(FakeEngine(TABLE), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def weights(make_qwen2: Callable[..., Any]) -> Any:
    return Policy(make_qwen2(), device="cpu").weights()


def engine_of(server: FakeVLLMServer, weights: Any, **options: Any) -> VLLMServer:
    engine = VLLMServer(server.url, **{"pauses": QUICK} | options)
    engine.load_policy(weights, 7)
    return engine


class Once:
    """Trouble with the first completions that are asked for, `times` times."""

    def __init__(self, make: Callable[[Any, Any], None], times: int = 1, path: str = "/v1/completions"):
        self.make, self.left, self.path, self.lock = make, 0, path, threading.Lock()
        self.times = times

    def arm(self) -> None:
        self.left = self.times

    def __call__(self, request: Any, answer: Any) -> bool:
        with self.lock:
            if request.path != self.path or not self.left:
                return False
            self.left -= 1
        self.make(request, answer)
        return True


def reset(request: Any, answer: Any) -> None:
    """Half an answer, then the connection is torn down."""
    data = json.dumps(answer).encode()
    request.send_response(200)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data[: len(data) // 2])
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def short(request: Any, answer: Any) -> None:
    """Half an answer under the length of a whole one, and an orderly end."""
    data = json.dumps(answer).encode()
    request.send_response(200)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data[: len(data) // 2])


def garbage(request: Any, answer: Any) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "6")
    request.end_headers()
    request.wfile.write(b"<html>")


def status(code: int) -> Callable[[Any, Any], None]:
    return lambda request, answer: respond(request, {"error": {"message": "not now"}}, code)


# --- faults that pass, and faults that do not -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [status(500), status(503), status(429), reset, short, garbage], ids=lambda make: make.__name__)
def test_a_fault_that_passes_costs_no_completion_and_doubles_none(serve: Any, weights: Any, make: Any) -> None:
    expected = engine_of(serve(), weights).generate(PROMPTS, SAMPLING)
    trouble = Once(make, times=2)
    engine = engine_of(serve(trouble=trouble), weights)
    trouble.arm()
    heard: list[int] = []
    assert engine.generate(PROMPTS, SAMPLING, lambda index, group: heard.append(index)) == expected
    assert sorted(heard) == [0, 1, 2, 3]
    assert trouble.left == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (status(500), r"answered /v1/completions with status 500: not now \(3 times\); see the server's log"),
        (reset, r"cannot be reached \(.*\) \(3 times\); see the server's log, start it again and continue this run with --resume"),
        (garbage, r"with something that is not JSON \(3 times\)"),
        (status(400), r"with status 400: not now; the server does not take what this engine asks"),
        (status(404), r"with status 404: not now; the server was started again and lost policy version 7"),
    ],
    ids=["500", "reset", "garbage", "400", "404"],
)
def test_a_fault_that_stays_is_one_line_with_the_address(serve: Any, weights: Any, make: Any, says: str) -> None:
    trouble = Once(make, times=1000)
    server = serve(trouble=trouble)
    engine = engine_of(server, weights)
    trouble.arm()
    with pytest.raises(InputError, match=says) as caught:
        engine.generate(PROMPTS, SAMPLING)
    assert str(caught.value).startswith(server.url)
    assert "\n" not in str(caught.value)


def test_a_server_that_hangs_is_given_up_at_the_time_out_and_the_others_are_called_off(serve: Any, weights: Any) -> None:
    woken = threading.Event()
    trouble = Once(lambda request, answer: woken.wait(20), times=1000)
    engine = engine_of(serve(trouble=trouble), weights, timeout=0.3, at_once=2)
    trouble.arm()
    began = time.monotonic()
    with pytest.raises(InputError, match=r"did not answer /v1/completions within 0\.3 s; see the server's log"):
        engine.generate([[3]] * 20, SAMPLING)
    woken.set()
    assert time.monotonic() - began < 5
    assert trouble.times - trouble.left <= 6, "questions went on after the failure"


def test_a_listener_that_fails_calls_the_rest_off(serve: Any, weights: Any) -> None:
    def fail(index: int, group: list[Any]) -> None:
        raise KeyError("the scorer broke")

    server = serve()
    engine = engine_of(server, weights, at_once=1)
    before = len(server.asked)
    with pytest.raises(KeyError, match="the scorer broke"):
        engine.generate([[3]] * 50, SAMPLING, fail)
    assert len(server.asked) - before < 50


def test_the_listener_runs_in_the_callers_thread_as_groups_arrive(serve: Any, weights: Any) -> None:
    held, threads = threading.Event(), set()

    def hold_one(request: Any, answer: Any) -> None:
        held.wait(10)
        respond(request, answer)

    trouble = Once(hold_one)
    engine = engine_of(serve(trouble=trouble), weights)
    trouble.arm()
    heard: list[int] = []

    def listen(index: int, group: list[Any]) -> None:
        threads.add(threading.get_ident())
        heard.append(index)
        if len(heard) == 3:  # the fourth is still held by the server
            held.set()

    engine.generate(PROMPTS, SAMPLING, listen)
    assert threads == {threading.get_ident()}
    assert sorted(heard) == [0, 1, 2, 3]
    assert held.is_set(), "no group was heard of before all were there"


# --- answers that are no answer -----------------------------------------------------------------------------------------------


def spoiled(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any, Any], None]:
    def make(request: Any, answer: Any) -> None:
        change(answer)
        respond(request, answer)

    return make


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda answer: answer["choices"].pop(), "with 2 completions where 3 were asked for"),
        (lambda answer: answer.pop("choices"), "with no completions where 3 were asked for"),
        (lambda answer: answer["choices"][0].pop("token_ids"), r"\(vLLM 0.32.0\) does not report token ids"),
        (lambda answer: answer["choices"][1].update(logprobs=None), "does not report the log-probability of each sampled token"),
        (lambda answer: answer["choices"][1]["logprobs"]["token_logprobs"].pop(), "does not report the log-probability of each"),
        (lambda answer: answer["choices"][2]["token_ids"].append(3) or answer["choices"][2]["logprobs"]["token_logprobs"].append(-1.0)
         or answer["choices"][2].update(finish_reason="stop"), "by rules of its own; start it with --generation-config vllm"),
        (lambda answer: answer["choices"][0].update(token_ids=[3], logprobs={"token_logprobs": [-1.0]}, finish_reason="length"),
         "ended a completion of 1 tokens by rules of its own"),
    ],
    ids=["a choice too few", "no choices", "no token ids", "no logprobs", "a logprob too few", "a stop of its own", "a limit of its own"],
)  # fmt: skip
def test_an_answer_that_lacks_something_is_refused(serve: Any, weights: Any, change: Any, says: str) -> None:
    trouble = Once(spoiled(change))
    engine = engine_of(serve(trouble=trouble), weights)
    trouble.arm()
    with pytest.raises(InputError, match=says):
        engine.generate([[3, 4]], replace(SAMPLING, stop_ids=()))


def test_scores_that_an_older_server_leaves_out_are_missed(serve: Any, weights: Any) -> None:
    trouble = Once(spoiled(lambda answer: answer["choices"][0]["logprobs"].pop("top_logprobs")))
    engine = engine_of(serve(trouble=trouble), weights)
    trouble.arm()
    with pytest.raises(InputError, match="does not report log-probabilities of given tokens"):
        engine.score([[3, 4, 5]])


# --- a server that does not fit -----------------------------------------------------------------------------------------------


def test_where_nothing_listens_the_line_says_how_to_start_a_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        InputError, match=r"no vLLM server is ready there: .*Connection refused.*--port \d+ --logprobs-mode processed_logprobs"
    ):
        VLLMServer(url)


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not the address of a server"):
        VLLMServer(url)


@pytest.mark.parametrize("url", ["http://h:1", "h:1", "http://h:1/", "http://h:1/v1", "http://user:secret@h:1/v1/"])
def test_an_address_may_be_written_in_several_ways(url: str) -> None:
    assert JsonServer(url).url == "http://h:1"


def test_versions(serve: Any) -> None:
    with pytest.raises(InputError, match=r"is vLLM 0\.21\.3, older than 0\.22"):
        VLLMServer(serve(version="0.21.3").url)
    with pytest.warns(UserWarning, match=r"is vLLM 0\.33\.0, newer than 0\.32"):
        VLLMServer(serve(version="0.33.0").url)
    assert VLLMServer(serve(version="dev").url).model == "policy"
    with pytest.raises(InputError, match="this is no vLLM server"):
        VLLMServer(serve(missing=("/version",)).url)


@pytest.mark.parametrize(
    ("server", "lora", "says"),
    [
        ({"missing": ("/collective_rpc",)}, None, "VLLM_SERVER_DEV_MODE is not set there; start it with: VLLM_SERVER_DEV_MODE=1"),
        ({"missing": ("/v1/load_lora_adapter",)}, LORA, "VLLM_ALLOW_RUNTIME_LORA_UPDATING is not set there; start .* --enable-lora"),
        ({"processed": False}, None, "ignore the temperature: --logprobs-mode processed_logprobs is missing; start it with"),
        ({"processed": False}, LORA, "ignore the temperature: --logprobs-mode processed_logprobs is missing; start it with"),
    ],
    ids=["no dev mode", "no lora", "raw logprobs", "raw logprobs and a lora"],
)
def test_a_server_without_what_is_needed_is_named_with_the_remedy(
    serve: Any, make_qwen2: Any, server: dict[str, Any], lora: Lora | None, says: str
) -> None:
    engine = VLLMServer(serve(**server).url, pauses=QUICK)
    with pytest.raises(InputError, match=says):
        engine.load_policy(Policy(make_qwen2(), lora=lora, device="cpu").weights(), 0)


def test_a_context_that_leaves_all_open_does_not_hide_a_missing_temperature(weights: Any, serve: Any) -> None:
    server = serve(processed=False)
    server.engine.table[12] = [0.0] * VOCABULARY  # uniform, as after a padding token: the same at any temperature
    with pytest.raises(InputError, match="processed_logprobs is missing"):
        VLLMServer(server.url).load_policy(weights, 0)
    server.engine.table = [[0.0] * VOCABULARY] * VOCABULARY  # nothing can be told
    VLLMServer(server.url).load_policy(weights, 0)


def test_what_does_not_fit_is_not_sent(serve: Any, weights: Any) -> None:
    server = serve(max_model_len=16)
    engine = engine_of(server, weights)
    asked = len(server.asked)
    with pytest.raises(
        InputError, match=r"prompt 1 has 10 tokens and may get 7 more: 17 do not fit into the server's --max-model-len of 16"
    ):
        engine.generate([[3], [4] * 10], replace(SAMPLING, max_tokens=7))
    with pytest.raises(ValueError, match="prompt 0 has a token outside of the vocabulary of 24"):
        engine.generate([[3, 24]], SAMPLING)
    with pytest.raises(InputError, match=r"temperature 0 or from 0\.01 up"):
        engine.generate([[3]], replace(SAMPLING, temperature=0.001))
    assert len(server.asked) == asked
    assert len(engine.score([[5] * 16])[0]) == 16


def test_stop_texts_need_a_server_with_a_tokenizer(serve: Any, weights: Any) -> None:
    engine = engine_of(serve(tokenizer=False), weights)
    with pytest.raises(InputError, match=r"stop texts need a tokenizer.*start it without --skip-tokenizer-init"):
        engine.generate([[3]], replace(SAMPLING, stop_texts=("x",)))


def test_nothing_of_the_servers_generation_defaults_is_left(serve: Any, weights: Any) -> None:
    server = serve()
    engine_of(server, weights).generate([[3]], SAMPLING)
    (body,) = [body for path, body in server.asked if path == "/v1/completions" and body.get("n") == 3]
    neutral = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    assert body.items() >= (neutral | {"ignore_eos": True, "temperature": 0.7, "max_tokens": 6}).items()


# --- whose weights ------------------------------------------------------------------------------------------------------------


def test_full_weights_are_handed_over_in_the_shared_folder_and_cleared_away(serve: Any, weights: Any, tmp_path: Path) -> None:
    server = serve()
    engine = VLLMServer(server.url, shared_folder=tmp_path)
    moved = engine.load_policy(weights, 1)
    assert moved == 4 * sum(p.numel() for p in weights.module.parameters())
    (load,) = [body for path, body in server.asked if path == "/collective_rpc" and body["method"] == "reckon_load"]
    assert Path(load["kwargs"]["folder"]).parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    paths = [path for path, _ in server.asked]
    assert paths.index("/reset_prefix_cache") > paths.index("/collective_rpc")
    with pytest.raises(InputError, match="does not exist; make it"):
        VLLMServer(server.url, shared_folder=tmp_path / "absent")


def test_each_version_of_an_adapter_has_a_name_and_the_one_before_goes(serve: Any, make_qwen2: Any, tmp_path: Path) -> None:
    server = serve()
    policy = Policy(make_qwen2(), lora=LORA, device="cpu")
    engine = VLLMServer(server.url, shared_folder=tmp_path)
    names = []
    for version in (1, 2, 2):
        assert engine.load_policy(policy.weights(), version) == 4 * sum(p.numel() for p in policy.trainable.values())
        names += server.adapters
        assert len(server.adapters) == 1
        engine.generate([[3]], SAMPLING)
        assert server.asked[-1][1]["model"] == names[-1]
    assert len(set(names)) == 3
    engine.close()
    assert server.adapters == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_was_started_again_is_noticed(serve: Any, weights: Any, make_qwen2: Any) -> None:
    server = serve()
    engine = engine_of(server, weights)
    server.stamp = ""
    with pytest.raises(InputError, match="no longer has policy version 7: it was started again, or another run uses it"):
        engine.generate(PROMPTS, SAMPLING)
    engine.load_policy(Policy(make_qwen2(), lora=LORA, device="cpu").weights(), 8)
    server.adapters.clear()
    with pytest.raises(InputError, match="started again and lost policy version 8"):
        engine.generate(PROMPTS, SAMPLING)


def test_two_runs_on_one_server_notice_each_other(serve: Any, weights: Any) -> None:
    server = serve()
    first, second = engine_of(server, weights), engine_of(server, weights)
    second.generate(PROMPTS, SAMPLING)
    with pytest.raises(InputError, match="another run uses it"):
        first.generate(PROMPTS, SAMPLING)


def test_without_weights_there_is_nothing_to_sample_from(serve: Any) -> None:
    with pytest.raises(ValueError, match="call load_policy first"):
        VLLMServer(serve().url).generate([[3]], SAMPLING)


# --- the client, the command ----------------------------------------------------------------------------------------------------


def test_a_key_travels_with_every_question(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    server = serve(trouble=lambda request, answer: seen.append(request.headers["Authorization"]))
    VLLMServer(server.url, key="abc")
    monkeypatch.setenv("VLLM_API_KEY", "def")
    VLLMServer(server.url)
    assert seen == ["Bearer abc"] * 3 + ["Bearer def"] * 3


def test_a_missing_key_is_named(serve: Any) -> None:
    server = serve(trouble=lambda request, answer: status(401)(request, answer) or True)
    with pytest.raises(InputError, match="status 401: not now; set VLLM_API_KEY"):
        VLLMServer(server.url)


def test_an_error_that_is_the_answer_is_not_asked_for_again(serve: Any) -> None:
    trouble = Once(status(500), times=9, path="/health")
    trouble.arm()
    with pytest.raises(ServerFault) as caught:
        JsonServer(serve(trouble=trouble).url, pauses=QUICK).ask("/health", timeout=5, errors_pass=False)
    assert caught.value.status == 500
    assert trouble.left == 8


def test_the_command_has_what_the_engine_needs() -> None:
    words = server_command("my/model", port=9, lora_rank=20, max_model_len=4096)
    for pair in (["--model", "my/model"], ["--port", "9"], ["--max-lora-rank", "32"], ["--max-model-len", "4096"], ["--host", "127.0.0.1"]):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert "--enable-lora" in words
    assert "--enable-lora" not in server_command("m")
    assert (lora_room(1), lora_room(8), lora_room(9)) == (8, 8, 16)
    with pytest.raises(InputError, match="rank 513 is above the largest that vLLM takes, 512"):
        lora_room(513)


def test_a_server_that_computes_in_another_dtype_is_refused_with_the_command_that_cures_it(serve: Any, weights: Any) -> None:
    with pytest.raises(InputError, match=r"computes in bfloat16 and the policy in float32; start it with: .*--dtype float32"):
        engine_of(serve(dtype="bfloat16"), weights)
    engine_of(serve(dtype="float32"), weights)


def test_the_recipes_take_a_server_and_refuse_its_options_elsewhere() -> None:
    given = parse_options(Options, ["--engine", "server", "--server-url", "http://h:1"], name="x")
    assert with_engine(given).engine == Server(url="http://h:1")
    with pytest.raises(InputError, match="--server-url would be ignored with --engine hf; leave it out, or use --engine server"):
        parse_options(Options, ["--engine", "hf", "--server-url", "http://h:1"], name="x")


# --- a real server ----------------------------------------------------------------------------------------------------------------


def learn(policy: Policy, seed: int) -> None:
    """One real optimiser step."""
    tokens = torch.randint(VOCABULARY, (4, 8), generator=torch.Generator().manual_seed(seed)).tolist()
    policy.update(lay_out(tokens, [[False] + [True] * 7] * 4, [1] * 4), sft(), lr=3e-3)


@pytest.mark.slow
def test_on_a_real_server_the_canary_passes_and_catches_a_lost_update(vllm_server: Any, make_vllm_qwen2: Any) -> None:
    """Full weights on a server without adapters, which then refuses one."""
    url = vllm_server(make_vllm_qwen2())
    policy = Policy(make_vllm_qwen2(), device="cpu")
    engine = VLLMServer(url, pauses=QUICK)
    canary = Canary(policy.score_sequences, fixed_sequences(PROMPTS, VOCABULARY), bound=BOUNDS["float32"])
    for step in range(3):
        engine.load_policy(policy.weights(), policy.version)
        assert canary.check_weights(engine, policy.version).worst < 1e-5
        groups = engine.generate(PROMPTS, SAMPLING)
        gap = canary.check_samples(list(zip(PROMPTS, groups, strict=True)), temperature=0.7, version=policy.version, first=step)
        assert gap.worst < 1e-5
        learn(policy, step)
    with pytest.raises(SamplerIsNotThePolicy, match="the engine did not change"):
        canary.check_weights(engine, policy.version)
    VLLMServer(url).load_policy(policy.weights(), 9)
    with pytest.raises(InputError, match="another run uses it"):
        engine.score(PROMPTS)
    with pytest.raises(InputError, match=r"takes no adapters: it was started without --enable-lora"):
        VLLMServer(url).load_policy(Policy(make_vllm_qwen2(), lora=LORA, device="cpu").weights(), 0)


@pytest.mark.slow
def test_a_real_server_with_too_little_room_for_an_adapter_or_raw_logprobs_is_refused(vllm_server: Any, make_vllm_qwen2: Any) -> None:
    url = vllm_server(make_vllm_qwen2(), lora_rank=4, options=("--logprobs-mode", "raw_logprobs"))
    with pytest.raises(
        InputError, match=r"no room for a LoRA of rank 32: it needs --max-lora-rank 32; start it with: .*--max-lora-rank 32"
    ):
        VLLMServer(url).load_policy(Policy(make_vllm_qwen2(), lora=Lora(rank=32), device="cpu").weights(), 0)
    with pytest.raises(InputError, match="--logprobs-mode processed_logprobs is missing"):
        VLLMServer(url).load_policy(Policy(make_vllm_qwen2(), lora=LORA, device="cpu").weights(), 0)
