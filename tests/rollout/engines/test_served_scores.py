"""A teacher that is served: what it says is what its model says, and what a server that is none says is one line."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rl.learning.policy import Policy
from rollout.engines.hf_engine import HFEngine
from rollout.engines.served_scores import ServedScores
from tests.rollout.engines.fake_vllm_server import FakeVLLMServer, respond
from verifiers.input_error import InputError

SEQUENCES = [[3, 4, 5], [6], [7, 8, 9, 10]]
Start = Callable[..., FakeVLLMServer]


@pytest.fixture
def start(make_llama: Callable[..., Any]) -> Iterator[Start]:
    servers = []

    def make(**options: Any) -> FakeVLLMServer:
        policy, engine = Policy(make_llama(), device="cpu"), HFEngine(pad_id=0)
        engine.load_policy(policy.weights(), 0)
        servers.append(FakeVLLMServer(engine, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_it_says_what_its_model_says(start: Start, make_llama: Callable[..., Any]) -> None:
    found = ServedScores(start().url).score(SEQUENCES)
    wanted = Policy(make_llama(), device="cpu").score_sequences(SEQUENCES)
    for said, own in zip(found, wanted, strict=True):
        assert said == pytest.approx(own, abs=1e-4)


def test_its_tokenizer_is_asked(start: Start) -> None:
    served = ServedScores(start(encode=lambda text: [ord(letter) for letter in text]).url)
    assert served.tokens_of("ab") == [97, 98]
    with pytest.raises(InputError, match="must be seen to be the policy's: serve it with one"):
        ServedScores(start().url, pauses=()).tokens_of("ab")


def test_other_temperatures_and_long_sequences_are_refused(start: Start) -> None:
    served = ServedScores(start(max_model_len=4).url)
    with pytest.raises(ValueError, match=r"at temperature 1 alone, not at 0\.7"):
        served.score(SEQUENCES, temperature=0.7)
    with pytest.raises(InputError, match="has --max-model-len 4 and a sequence has 4 tokens"):
        served.score(SEQUENCES)


def spoilt(change: Callable[[Any], Any]) -> Callable[[Any, Any], bool]:
    def trouble(request: Any, answer: Any) -> bool:
        if request.path != "/v1/completions":
            return False
        respond(request, change(json.loads(json.dumps(answer))))
        return True

    return trouble


def without_logprobs(answer: Any) -> Any:
    answer["choices"][0]["prompt_logprobs"] = None
    return answer


def with_nan(answer: Any) -> Any:
    for place in answer["choices"][0]["prompt_logprobs"][1:]:
        for entry in place.values():
            entry["logprob"] = float("nan")
    return answer


@pytest.mark.parametrize(
    ("change", "said"),
    [(without_logprobs, "does not report log-probabilities of given tokens"), (with_nan, "that are no numbers")],
)
def test_answers_that_are_none_are_one_line(start: Start, change: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        ServedScores(start(trouble=spoilt(change)).url, pauses=()).score(SEQUENCES)
    assert "\n" not in str(caught.value)


def test_no_server_is_one_line() -> None:
    with pytest.raises(InputError, match=r"no teacher is served there: .*; start it with: vllm serve MODEL"):
        ServedScores("http://127.0.0.1:9", pauses=())
