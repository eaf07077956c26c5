"""`reward_model` as a reward: how it is written, what of the model's word becomes the score, and that accuracy stays the verifier's."""

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.rewards.load_reward import compose_rewards, load, rewards_in
from verifiers.rewards.reward_endpoint import Endpoint
from verifiers.rewards.reward_model import SCORES, key_of, said, unsaid
from verifiers.rewards.reward_text import Spec, parse
from verifiers.verdict import Status, StepScore


def problem(told: Any = None, *, model: str = "rm", answer: str = "4", split: str = "blank") -> Any:
    return make_problem("2+2=", answer, meta={} if told is None else {SCORES: {key_of(model, split): told}})


def test_its_first_argument_is_a_place() -> None:
    for text in ("reward_model(runs/rm)", "reward_model(model=runs/rm)"):
        assert parse(text) == Spec("reward_model", (), (("model", "runs/rm"),))
    spec = parse('reward_model("http://host:8000/pooling", exact, aggregate=mean)')
    assert spec == Spec("reward_model", (Spec("exact"),), (("model", '"http://host:8000/pooling"'), ("aggregate", "mean")))
    assert parse(str(spec)) == spec
    assert [reward.name for reward in rewards_in("gate(response_format, reward_model(runs/rm))=0.5")] == [
        "response_format", "reward_model", "math_answer",
    ]  # fmt: skip


def test_the_score_is_the_models_and_the_status_the_verifiers() -> None:
    verify = load("reward_model(rm)")
    verdict = verify(problem(said([-3.5], probability=False)), "4")
    assert (verdict.score, verdict.status, dict(verdict.parts)) == (-3.5, Status.RIGHT, {"model": -3.5, "outcome": 1.0})
    assert verify(problem(said([2.0], probability=False)), "5").status is Status.WRONG
    probable = verify(problem(said([math.log(3)], probability=True)), "5")
    assert (probable.score, probable.status) == (pytest.approx(0.75), Status.WRONG)
    assert load("reward_model(rm, scale=probability)")(problem(said([0.0], probability=False)), "4").score == 0.5
    assert load("reward_model(rm, scale=raw)")(problem(said([-800.0], probability=True)), "4").score == -800.0
    assert verify(problem(said([-800.0], probability=True)), "4").score == 0.0


def test_without_a_gold_answer_the_model_says_what_is_right() -> None:
    verify = load("reward_model(rm)")
    assert verify(problem(said([0.1], probability=False), answer=""), "5").status is Status.RIGHT
    assert verify(problem(said([-0.1], probability=True), answer=""), "5").status is Status.WRONG


@pytest.mark.parametrize(("aggregate", "expected"), [("min", 0.25), ("last", 0.5), ("mean", 0.5), ("product", 0.09375)])
def test_steps_come_along_and_are_put_together(aggregate: str, expected: float) -> None:
    told = said([math.log(3), -math.log(3), 0.0], ends=[2, 5, 9], probability=True)
    verdict = load(f"reward_model(rm, aggregate={aggregate})")(problem(told), "it is = 4")
    assert verdict.score == pytest.approx(expected)
    assert [step.end for step in verdict.steps] == [2, 5, 9]
    assert [step.score for step in verdict.steps] == pytest.approx([0.75, 0.25, 0.5])


def test_in_a_sum_and_behind_a_gate() -> None:
    told = said([2.0], ends=[1], probability=False)
    mixed = compose_rewards(["exact", "reward_model(rm)=0.5"])(problem(told), "<answer>4</answer>")
    assert (mixed.score, mixed.status, mixed.steps) == (2.0, Status.RIGHT, (StepScore(1, 2.0),))
    gated = load("gate(response_format, reward_model(rm))")
    assert gated(problem(told), "4").score == 0.0
    assert gated(problem(told), "<think>\n1\n</think>\n<answer>\n4\n</answer>").score == 2.0


def test_what_was_not_said_is_no_verdict() -> None:
    verify = load("reward_model(rm)")
    late = verify(problem(unsaid(Status.TIMEOUT, "the server is slow")), "4")
    assert (late.score, late.status, late.detail) == (None, Status.TIMEOUT, "reward_model(rm): the server is slow")
    nowhere = verify(problem(), "4")
    assert (nowhere.status, nowhere.score) == (Status.CRASH, None)
    assert "the commands that train and sample hold it" in nowhere.detail


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("reward_model", "names no model; write reward_model(PLACE)"),
        ("reward_model(rm, timeout=0)", "timeout must be above 0 seconds, not 0"),
        ("reward_model(rm, aggregate=max)", "aggregate is one of min, last, mean, product, not 'max'"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_line(text: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert line in str(caught.value)


# --- a server that holds the model -------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Any]:
    """vLLM's answers, of a model whose score is the length of the response; it counts what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({"data": [{"id": "my-rm"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            text = body["text_2"] if "text_2" in body else body["messages"][-1]["content"]
            if text == "slow":
                threading.Event().wait(1.0)
            if text == "odd":
                return self._say({"data": []})
            value = float(len(text))
            items = {"/pooling": {"data": [[value]]}, "/classify": {"probs": [value]}, "/score": {"score": value}}
            return self._say({"data": [items[self.path]]})

        def _say(self, reply: Any) -> None:
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    asked: list[Any] = []
    held = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.daemon_threads = True
    threading.Thread(target=held.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{held.server_address[1]}", asked
    held.shutdown()
    held.server_close()


@pytest.mark.parametrize("way", ["", "/pooling", "/classify", "/score"])
def test_a_server_is_asked_once_for_a_text(server: Any, way: str) -> None:
    address, asked = server
    endpoint = Endpoint(address + way, timeout=10.0, system_prompt="Be brief.")
    endpoint.check()
    pairs = [(problem(), text) for text in ("four", "4", "four")]
    found = endpoint.score(pairs)
    assert [each["scores"] for each in found] == [[4.0], [1.0], [4.0]]
    assert endpoint.score(pairs[:1]) == found[:1]
    assert len(asked) == 2
    path, body = asked[0]
    assert (path, body["model"]) == (way or "/pooling", "my-rm")
    if way == "/score":
        assert body["text_1"] == "Be brief.\n\n2+2="
    else:
        assert [turn["role"] for turn in body["messages"]] == ["system", "user", "assistant"]


def test_late_and_odd_answers_are_no_verdict_and_are_not_kept(server: Any) -> None:
    address, asked = server
    endpoint = Endpoint(address, timeout=0.3)
    late, odd, good = endpoint.score([(problem(), text) for text in ("slow", "odd", "4")])
    assert late["status"] == "timeout"
    assert odd["status"] == "crash"
    assert "holds no number" in odd["detail"]
    assert good["scores"] == [1.0]
    count = len(asked)
    endpoint.score([(problem(), text) for text in ("odd", "4")])
    assert len(asked) == count + 1


def test_an_address_without_a_server_is_one_line() -> None:
    for address, line in {"http://127.0.0.1:9/pooling": "is the server up?", "http://user:word@host/": "is no address of a server"}.items():
        with pytest.raises(InputError) as caught:
            Endpoint(address, timeout=2.0).check()
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
