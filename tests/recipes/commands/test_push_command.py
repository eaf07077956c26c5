"""`reckon push` by the hub's own client over real HTTP, to a small server that speaks the endpoints it needs. No real hub is reached."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.commands.cli import main
from tests.progress_lines import without_progress


class Hub:
    """What a hub remembers, and how it answers."""

    def __init__(self) -> None:
        self.repos: dict[str, bool] = {}
        """Name -> whether it is private."""
        self.branches: list[str] = []
        self.files: dict[str, dict[str, bytes]] = {}
        """Branch -> path -> content."""
        self.address = ""
        self.refusal = 0
        """A status that every request gets."""

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        if self.refusal:
            return self.refusal, {"error": "You don't have the rights to create a model under this namespace"}
        if token != "Bearer hf_good":
            return 401, {"error": "Invalid credentials"}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.repos:
                return 409, {"error": "You already created this model repo", "url": f"{self.address}/{name}"}
            self.repos[name] = asked.get("private", False) or asked.get("visibility") == "private"
            return 200, {"url": f"{self.address}/{name}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        owner, name, *rest = path.removeprefix("/api/models/").split("/")
        if f"{owner}/{name}" not in self.repos:
            return 404, {"error": "Repository not found"}
        return self._of_a_repository(method, f"{owner}/{name}", rest, body)

    def _of_a_repository(self, method: str, repo: str, rest: list[str], body: bytes) -> tuple[int, Any]:
        if not rest or rest[0] == "revision":
            return 200, {"id": repo, "private": self.repos[repo], "sha": "0" * 40, "siblings": []}
        if rest[0] == "branch":
            self.branches.append(rest[1])
            return 200, {}
        if rest[0] == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}
        assert rest[0] == "commit", rest
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.files.setdefault(rest[1], {})[entry["value"]["path"]] = content
        return 200, {"commitUrl": f"{self.address}/{repo}/commit/1", "commitOid": "1" * 40, "pullRequestUrl": None, "success": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    known = Hub()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            status, value = known.answer(self.command, self.path.partition("?")[0], body, self.headers.get("Authorization", ""))
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = reply  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", known.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    yield known
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def adapter_run(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of one step that trained an adapter."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "data.jsonl").write_text("".join(json.dumps({"problem": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(4)))
    small = ["--steps", "1", "--problems-per-step", "2", "--completions-per-problem", "2", "--max-completion-length", "4", "--workers", "1"]
    words = ["grpo-math", "--model", model_folder, "--data", folder / "data.jsonl", "--run", folder / "run", "--engine", "hf", *small]
    assert main(list(map(str, words))) == 0
    return folder / "run"


def card(files: dict[str, bytes]) -> tuple[Any, str]:
    """(metadata, text) of the card."""
    _, head, text = files["README.md"].decode().split("---\n", 2)
    return yaml.safe_load(head), text


def test_an_adapter_is_pushed_with_a_card_of_its_run(
    hub: Hub, adapter_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["push", str(adapter_run), "me/adapter", "--base-model", "someone/base", "--private", "--revision", "trial"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip().endswith("/me/adapter")
    assert hub.repos == {"me/adapter": True}
    assert hub.branches == ["trial"]
    files = hub.files["trial"]
    assert files["adapter_model.safetensors"] == (adapter_run / "final" / "adapter_model.safetensors").read_bytes()
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "someone/base"
    assert {"tokenizer.json", "chat_template.jinja"} <= files.keys()
    head, text = card(files)
    assert (head["base_model"], head["library_name"], head["pipeline_tag"]) == ("someone/base", "peft", "text-generation")
    assert head["tags"] == ["reckon", "grpo"]
    assert "steps = 1\n" in text
    assert "\nengine = hf\n" in text
    assert "| reward | " in text
    assert str(adapter_run.parent) not in files["README.md"].decode() + files["adapter_config.json"].decode(), "no path of this machine"
    assert json.loads((adapter_run / "final" / "adapter_config.json").read_text())["base_model_name_or_path"] != "someone/base"


def test_a_model_is_pushed_whole_and_its_own_card_stays(hub: Hub, model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["merge", str(model_folder), "--out", str(folder)]) == 0
    assert main(["push", str(folder), "me/model"]) == 0
    assert hub.files["main"]["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert card(hub.files["main"])[0]["library_name"] == "transformers"
    (folder / "README.md").write_text("mine")
    assert main(["push", str(folder), "me/model"]) == 0, "the repository is there already"
    assert hub.files["main"]["README.md"] == b"mine"


def _without_token(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("HF_TOKEN")
    patch.setattr("huggingface_hub.utils._auth._get_token_from_file", lambda: None)


def _with_another_token(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HF_TOKEN", "hf_bad")


def _refusing(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.refusal = 403


def _failing(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    hub.refusal = 500


def _unreachable(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def _offline(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("spoil", "repo", "expected"),
    [
        (_without_token, "me/model", ("no token for the hub", "hf auth login")),
        (_with_another_token, "me/model", ("status 401", "Invalid credentials", "may not write there")),
        (_refusing, "me/model", ("status 403", "don't have the rights")),
        (_failing, "me/model", ("status 500",)),
        (_unreachable, "me/model", ("cannot be reached",)),
        (_offline, "me/model", ("cannot be reached",)),
        (lambda hub, patch: None, "me/a/b", ("no repository's name", "OWNER/NAME")),
        (lambda hub, patch: hub.repos.update({"me/model": False}), "me/model", ("public", "--private")),
    ],
)  # fmt: skip
def test_whatever_is_in_the_way_is_one_line(
    spoil: Callable[[Hub, pytest.MonkeyPatch], None], repo: str, expected: tuple[str, ...], hub: Hub, model_folder: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    spoil(hub, monkeypatch)
    assert main(["push", str(model_folder), repo, "--private"]) == 2
    said = without_progress(capsys.readouterr().err)
    assert said.startswith("error: ")
    assert "\n" not in said
    for words in expected:
        assert words in said
    assert not hub.files


def test_what_others_could_not_load_is_not_pushed(
    hub: Hub, adapter_run: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(adapter_run), "me/adapter"]) == 2
    said = without_progress(capsys.readouterr().err)
    assert "a folder that nobody else has" in said
    assert "reckon merge" in said
    assert main(["push", str(model_folder), "me/model", "--base-model", "someone/base"]) == 2
    assert "--base-model would be ignored" in capsys.readouterr().err
    assert main(["push", "someone/model", "me/model"]) == 2
    assert not hub.repos


def test_a_card_says_the_accuracy_on_every_evaluation_set(tmp_path: Path) -> None:
    from recipes.setup.model_card import write_card
    from rl.evaluation.accuracy import Accuracy, evaluation_metrics
    from rl.runs.run_folder import append_line

    for step, right in enumerate((1, 3)):
        append_line(
            tmp_path / "metrics.jsonl", {"step": step, **evaluation_metrics({"": Accuracy(right, 4, 0), "hard": Accuracy(right, 8, 0)})}
        )
    options = {"model": "in-memory/model-1", "data": ["in-memory/problems"], "lr": 0.1}
    (tmp_path / "config.json").write_text(json.dumps({"options": options}))
    write_card(tmp_path / "README.md", name="me/it", run=tmp_path, base=None, adapter=False)
    text = (tmp_path / "README.md").read_text()
    assert "| eval/accuracy | 0.25 (step 0), 95 % 0.046 to 0.699, of 4 | 0.75 (step 1), 95 % " in text
    hard = "| eval/hard/accuracy | 0.125 (step 0), 95 % 0.022 to 0.471, of 8 | 0.375 (step 1), 95 % 0.137 to 0.694, of 8 |"
    assert hard in text
    assert "model = of a Python program\ndata = of a Python program\nlr = 0.1" in text
