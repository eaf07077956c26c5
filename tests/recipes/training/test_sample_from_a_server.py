"""`reckon sample --engine server` against a small HTTP server on this machine: what is in the store, going on, and a server that fails."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM

from recipes.commands.cli import main
from rl.learning.policy import Policy
from rollout.engines.hf_engine import HFEngine
from tests.progress_lines import without_progress
from tests.rollout.engines.fake_vllm_server import FakeVLLMServer, respond

PROBLEMS, G = 5, 3
Serve = Callable[..., FakeVLLMServer]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{a} + {a}?", "answer": str(2 * a)}) + "\n" for a in range(PROBLEMS)))
    (tmp_path / "odd.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    return path


@pytest.fixture
def serve(model_folder: Path) -> Iterator[Serve]:
    """A server that samples from a model of its own, as a real one does; closed afterwards."""
    servers = []

    def start(**options: Any) -> FakeVLLMServer:
        engine = HFEngine(pad_id=0)
        engine.load_policy(Policy(AutoModelForCausalLM.from_pretrained(model_folder), device="cpu").weights(), 0)
        servers.append(FakeVLLMServer(engine, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def words(model: Path, data: Path, run: Path, *more: str | Path) -> list[str]:
    common = ["--problems-per-chunk", "2", "--completions-per-problem", str(G), "--max-completion-length", "8", "--workers", "1"]
    said = ["--model", model, "--data", data, "--run", run, *common, "--reward", f"{data.parent / 'odd.py'}:even", *more]
    return ["sample", *map(str, said)]


def rows_of(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((run / "rollouts").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_store_is_filled_over_http_and_says_what_the_model_says(
    model_folder: Path, data: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    run = tmp_path / "run"
    assert main(words(model_folder, data, run, "--engine", "server", "--server-url", server.url, "--server-folder", tmp_path)) == 0
    rows = rows_of(run)
    assert len(rows) == PROBLEMS * G
    asked = [body for path, body in server.asked if path == "/v1/completions" and body["max_tokens"] == 8]
    assert len(asked) == PROBLEMS, "a question a problem"
    assert {body["n"] for body in asked} == {G}
    assert {tuple(body["prompt"]) for body in asked} == {tuple(row["prompt"]) for row in rows}
    assert server.stamp, "it was given the weights"
    assert not list(tmp_path.glob("reckon-*")), "and they were cleared away"
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    for row in rows[:4]:
        ids = torch.tensor([row["prompt"] + row["tokens"]])
        with torch.no_grad():
            every = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        assert row["logprobs"] == pytest.approx(every[len(row["prompt"]) - 1 :].tolist(), abs=1e-4)
        assert row["model"] == str(model_folder)
    assert f"{PROBLEMS * G} completions in" in capsys.readouterr().err
    assert main(["data", "difficulty", str(run)]) == 0


def test_greedy_answers_are_those_of_the_engine_in_this_process(model_folder: Path, data: Path, serve: Serve, tmp_path: Path) -> None:
    greedy = ["--temperature", "0", "--completions-per-problem", "1"]
    assert main(words(model_folder, data, tmp_path / "here", "--engine", "hf", *greedy)) == 0
    assert main(words(model_folder, data, tmp_path / "there", "--engine", "server", "--server-url", serve().url, *greedy)) == 0
    here, there = ([(row["problem_id"], row["tokens"], row["status"]) for row in rows_of(tmp_path / name)] for name in ("here", "there"))
    assert here == there


def test_a_server_that_fails_is_one_line_and_the_run_goes_on_at_another(
    model_folder: Path, data: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = [0]

    def dies(request: Any, answer: Any) -> bool:
        """The second chunk finds a server that refuses."""
        answered[0] += request.path == "/v1/completions" and len(answer.get("choices", ())) == G
        if answered[0] > 2:
            respond(request, {"error": {"message": "out of memory"}}, 400)
        return answered[0] > 2

    run, whole = tmp_path / "run", tmp_path / "whole"
    broken = words(model_folder, data, run, "--engine", "server", "--server-url", serve(trouble=dies).url)
    assert main(broken) == 2
    said = without_progress(capsys.readouterr().err).splitlines()[-1]
    assert said.startswith("error: the run stopped: ")
    assert "out of memory" in said
    assert f"continue with --resume {run}" in said
    assert [path.name for path in (run / "rollouts").iterdir()] == ["step-000001.parquet"]
    other = serve().url
    assert main(["sample", "--resume", str(run), "--server-url", other]) == 0
    assert main(words(model_folder, data, whole, "--engine", "server", "--server-url", serve().url)) == 0
    assert rows_of(run) == rows_of(whole)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"missing": ("/collective_rpc",)}, "--worker-extension-cls"),
        ({"processed": False}, "logprobs"),
        ({"version": "0.9.1"}, "0.9.1"),
        ({"max_model_len": 8}, "8"),
    ],
)
def test_a_server_that_does_not_fit_is_one_line_and_leaves_nothing(
    options: dict[str, Any], line: str, model_folder: Path, data: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(words(model_folder, data, run, "--engine", "server", "--server-url", serve(**options).url)) == 2
    said = [text for text in without_progress(capsys.readouterr().err).splitlines() if text.startswith("error: ")]
    assert len(said) == 1
    assert line in said[0]
    assert not run.exists()


def test_where_nothing_listens_is_one_line(model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(model_folder, data, tmp_path / "run", "--engine", "server", "--server-url", "http://127.0.0.1:9")) == 2
    (said,) = [text for text in without_progress(capsys.readouterr().err).splitlines() if text.startswith("error: ")]
    assert "http://127.0.0.1:9" in said
