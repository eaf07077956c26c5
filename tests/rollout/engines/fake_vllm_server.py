"""A vLLM server without vLLM, so that a run over HTTP is tested in milliseconds: any engine behind the endpoints of `VLLMServer`.

It answers as vLLM 0.32 does. Weights that are sent to it are looked at and thrown away. `trouble` is asked before each answer and may
spoil it, which is how faults are planted.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rollout.engine import Completion, Engine, Sampling

Trouble = Callable[[BaseHTTPRequestHandler, Any], bool]
"""Given the request under way and the answer to come: whether it has dealt with the request itself."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # of 5, the sixth connection at once would be tried again a second later

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that called its question off is no news; anything else shows as a lost connection on its side."""


class FakeVLLMServer:
    """Listens on a free port of this machine until `close`."""

    def __init__(
        self,
        engine: Engine,
        *,
        version: str = "0.32.0",
        max_model_len: int = 4096,
        tokenizer: bool = True,
        processed: bool = True,
        dtype: str = "float32",
        missing: tuple[str, ...] = (),
        trouble: Trouble | None = None,
        encode: Callable[[str], list[int]] | None = None,
    ):
        """`processed`: whether log-probabilities are at the temperature; `missing`: paths that this server does not have.

        `encode`: its tokenizer, where it is asked for tokens of a text.
        """
        self.engine, self.version, self.max_model_len = engine, version, max_model_len
        self.tokenizer, self.processed, self.missing, self.trouble = tokenizer, processed, missing, trouble
        self.stamp, self.dtype, self.encode = "", dtype, encode
        self.adapters: list[str] = []
        self.asked: list[tuple[str, Any]] = []
        """(path, body) of every request."""
        self._lock = threading.Lock()
        self._http = _Listener(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=lambda: self._http.serve_forever(poll_interval=0.02), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True  # headers and body are two writes: the second would wait 40 ms for the first one's receipt

            def do_GET(self) -> None:
                server._serve(self, None)

            def do_POST(self) -> None:
                server._serve(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *words: Any) -> None:
                pass

        return Handler

    def _serve(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        with self._lock:  # engines are not made for several threads
            self.asked.append((request.path, body))
            status, answer = (404, _error("Not Found")) if request.path in self.missing else self._answer(request.path, body)
        if self.trouble and self.trouble(request, answer):
            return
        respond(request, answer, status)

    def _answer(self, path: str, body: Any) -> tuple[int, Any]:
        card = {"id": "policy", "parent": None, "max_model_len": self.max_model_len}
        simple: Mapping[str, Any] = {
            "/health": None, "/version": {"version": self.version}, "/v1/models": {"data": [card]},
            "/reset_prefix_cache": {"success": True},
        }  # fmt: skip
        if path in simple:
            return 200, simple[path]
        if path == "/detokenize":
            return (200, {"prompt": ""}) if self.tokenizer else (400, _error("Tokenizer not available when `skip_tokenizer_init=True`"))
        if path == "/tokenize" and self.encode:
            return 200, {"tokens": self.encode(body["prompt"])}
        if path == "/collective_rpc":
            return self._rpc(body["method"], body["kwargs"])
        if path.endswith("_lora_adapter"):
            return self._lora(path, body)
        if path == "/v1/completions":
            return self._complete(body)
        return 404, _error("Not Found")

    def _rpc(self, method: str, arguments: Mapping[str, str]) -> tuple[int, Any]:
        if method == "reckon_load":
            if not any(Path(arguments["folder"]).glob("*.safetensors")):
                return 500, _error(f"the server sees no weights in {arguments['folder']}")
            self.stamp = arguments["stamp"]
            return 200, {"results": [None]}
        return 200, {"results": [self.dtype if method == "reckon_dtype" else self.stamp]}

    def _lora(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        name = body["lora_name"]
        if path == "/v1/unload_lora_adapter":
            self.adapters.remove(name)
        elif not (Path(body["lora_path"]) / "adapter_model.safetensors").is_file():
            return 404, _error(f"Loading lora {name} failed: No adapter found for {body['lora_path']}")
        elif name not in self.adapters:
            self.adapters.append(name)
        return 200, "Success"

    def _complete(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if body["model"] not in ("policy", *self.adapters):
            return 404, _error(f"The model `{body['model']}` does not exist.")
        prompt, chosen = body["prompt"], body.get("logprob_token_ids") or []
        sampling = Sampling(
            max_tokens=body["max_tokens"], completions=body["n"], temperature=body["temperature"],
            stop_ids=tuple(body.get("stop_token_ids", ())), stop_texts=tuple(body.get("stop", ())), seed=body["seed"],
        )  # fmt: skip
        temperature = body["temperature"] if self.processed else 1.0
        (group,) = self.engine.generate([prompt], sampling)
        of_chosen = {f"token_id:{token}": self.engine.score([[*prompt, token]], temperature=temperature)[0][-1] for token in chosen}
        of_prompt = None
        if body.get("prompt_logprobs") is not None:
            scores = self.engine.score([prompt])[0]
            of_prompt = [None, *({str(token): {"logprob": logp}} for token, logp in zip(prompt[1:], scores[1:], strict=True))]
        choices = [_choice(index, each, of_chosen) | {"prompt_logprobs": of_prompt} for index, each in enumerate(group)]
        return 200, {"model": body["model"], "choices": choices}


def respond(request: BaseHTTPRequestHandler, answer: Any, status: int = 200) -> None:
    """`answer` as JSON; no body for None."""
    data = b"" if answer is None else json.dumps(answer).encode()
    request.send_response(status)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def _choice(index: int, completion: Completion, of_chosen: Mapping[str, float]) -> dict[str, Any]:
    tops: list[dict[str, float]] = [{} for _ in completion.tokens]
    tops[0] = dict(of_chosen)
    logprobs = {"token_logprobs": completion.logprobs, "top_logprobs": tops}
    return {"index": index, "token_ids": completion.tokens, "logprobs": logprobs, "finish_reason": completion.finish}


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}
