"""Programs at a server that speaks SandboxFusion's /run_code: a fake one, which runs them in the sandbox of this machine, or fails."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.hostile_programs import ATTACKS, FORMS, SERVED, STDIN_ATTACKS, problem
from verifiers.input_error import InputError
from verifiers.programs import served_functions
from verifiers.programs.judging_sandbox import judging_sandbox
from verifiers.programs.python_tests import verify
from verifiers.programs.served_functions import literal_calls
from verifiers.sandboxes import fusion_sandbox
from verifiers.sandboxes.chosen_sandbox import chosen_sandbox
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.local_sandbox import Sandbox, probe
from verifiers.sandboxes.running_program import Limits, Outcome
from verifiers.verdict import Status

MISSING = probe("strict")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
UNPACK = "import os\nfor name, text in {files!r}.items():\n    os.makedirs(os.path.dirname(name) or '.', exist_ok=True)\n"
UNPACK += "    open(name, 'wb').write(text)\n"


class FakeServer(ThreadingHTTPServer):
    """Answers as SandboxFusion does; `faults` are answered first, one a request: a status code, bytes, a dict, or seconds to wait."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sandbox = Sandbox()
        self.faults: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        files = {name: base64.b64decode(text) for name, text in request["files"].items()}
        source = UNPACK.format(files=files) + f"exec(compile({request['code']!r}, 'main.py', 'exec'))"
        limits = Limits(wall=request["run_timeout"], memory=request["memory_limit_MB"] << 20)
        run = self.sandbox.run(source, (request["stdin"] or "").encode(), limits=limits, fresh=True)
        kept = run.stdout[: 1 << 20].decode(errors="replace")
        result = {"status": "Finished", "execution_time": run.wall, "return_code": run.exit_code, "stdout": kept, "stderr": run.stderr}
        if run.status == Outcome.TIMEOUT:
            result |= {"status": "TimeLimitExceeded", "return_code": None}
        good = run.exit_code == 0 and run.status == Outcome.OK
        return {"status": "Success" if good else "Failed", "message": "", "compile_result": None, "run_result": result, "files": {}}


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_POST(self) -> None:
        assert self.path == "/run_code"
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, float):
            time.sleep(fault)
        if isinstance(fault, int):
            self.send_error(fault)
            return
        body = fault if isinstance(fault, bytes) else json.dumps(fault if isinstance(fault, dict) else self.server.answer(request)).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Quietly."""


@pytest.fixture(scope="module")
def started() -> Iterator[FakeServer]:
    with FakeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.sandbox.close()


@pytest.fixture
def server(started: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setenv("RECKON_SANDBOX", started.url)
    monkeypatch.setattr(fusion_sandbox, "_PAUSES", (0.01, 0.01))
    started.faults.clear()
    chosen_sandbox()
    judging_sandbox()  # each asks the server once whether it works, whichever test comes first
    started.requests.clear()
    return started


QUICK = (
    "eq_true_object",
    "frame_walk",
    "os_exit",
    "sys_exit_before_the_asserts",
    "driver_patched",
    "forged_record_with_the_nonce",
    "infinite_loop",
)
RIGHT = dict.fromkeys(SERVED, "def square(n):\n    print('noise')\n    return n * n") | {"stdin": "n = int(input())\nprint(n * n)"}


@pytest.mark.parametrize("form", FORMS)
def test_right_and_wrong_programs_are_judged_as_on_this_machine(server: FakeServer, form: str):
    assert verify(FORMS[form], RIGHT[form]).score == 1.0
    assert verify(FORMS[form], RIGHT[form].replace("n * n", "n * 2")).score == 0.0
    partial = problem({**FORMS[form].meta, "partial": True}, str(FORMS[form].prompt))
    two_of_three = verify(partial, RIGHT[form].replace("n * n", "n * abs(n)"))
    assert two_of_three.score == (0.0 if form == "check" else pytest.approx(2 / 3))


@pytest.mark.parametrize("form", SERVED)
def test_all_calls_of_straight_tests_are_one_request(server: FakeServer, form: str):
    assert verify(FORMS[form], RIGHT[form]).score == 1.0
    assert len(server.requests) == 1


def test_a_program_is_never_sent_what_is_expected_of_it(server: FakeServer):
    secret = "11235813"
    for meta in (
        {"inputs": ["1"], "outputs": [secret]},
        {"fn_name": "f", "inputs": [[1]], "outputs": [secret]},
        {"test_list": [f"assert f(1) == '{secret}'"]},
        {"test": f"def check(candidate):\n    assert candidate(1) == '{secret}'", "entry_point": "f"},
    ):
        assert verify(problem(meta), "def f(n): return n\nprint(1)").status == Status.WRONG
    assert len(server.requests) == 4
    assert not any(secret in json.dumps(request) for request in server.requests)
    assert not any(secret in base64.b64decode(data).decode() for request in server.requests for data in request["files"].values())


@pytest.mark.slow
def test_human_eval_over_http(server: FakeServer, data_dir: Path):
    """All 164 references pass, most of them in one request; with their last return changed, as many fail as on this machine."""
    with gzip.open(data_dir / "verifier" / "code" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    problems = [problem(row, row["prompt"], total_limit=60.0) for row in rows]
    programs = [row["canonical_solution"] for row in rows]
    spoilt = [program.replace("return ", "return None and ") for program in programs]
    wrong, requests = [], []
    for row, item, program in zip(rows, problems, programs, strict=True):
        server.requests.clear()
        if verify(item, program).score != 1.0:
            wrong.append(row["task_id"])
        requests.append(len(server.requests))
    assert wrong == []
    assert requests.count(1) > 140, requests
    there = [verify(item, program).score for item, program in zip(problems, spoilt, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RECKON_SANDBOX")
        assert there == [verify(item, program).score for item, program in zip(problems, spoilt, strict=True)]


def test_literal_calls_are_seen_in_the_order_of_evaluation():
    source = "def check(f):\n    assert f(f(1), 2) == [f([3], key='a'), f(x)]\n    assert " + " + ".join(["f(4)"] * 2000)
    calls = literal_calls([source], ["g"], "check")
    assert calls[:2] == [("g", [1], {"dict": []}), ("g", [[3]], {"dict": [["key", "a"]]})]
    assert calls[2:] == [("g", [4], {"dict": []})] * 2000


def test_calls_that_the_tests_compute_are_made_in_order_with_the_earlier_ones(server: FakeServer):
    counter = "seen = []\ndef push(x):\n    seen.append(x)\n    return list(seen)"
    tests = ["for n in range(3): assert push(n) == list(range(n + 1))", "assert push(9) == [0, 1, 2, 9]"]
    assert verify(problem({"test_list": tests}), counter).score == 1.0
    assert len(server.requests) == 5
    assert verify(problem({"test_list": tests}), counter.replace("(seen)", "(seen[-1:])")).score == 0.0


@pytest.mark.parametrize(
    ("name", "form"),
    [pytest.param(name, SERVED[n % 3], marks=[] if name in QUICK else [pytest.mark.slow]) for n, name in enumerate(ATTACKS)],
)
def test_attacks_earn_nothing_over_http(server: FakeServer, name: str, form: str):
    quick = problem({**FORMS[form].meta, "time_limit": 0.5}, str(FORMS[form].prompt))
    verdict = verify(quick, f"```python\n{ATTACKS[name]}\n```")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict


@pytest.mark.parametrize("name", STDIN_ATTACKS)
def test_attacks_on_standard_output_earn_nothing_over_http(server: FakeServer, name: str):
    verdict = verify(problem({**FORMS["stdin"].meta, "time_limit": 0.7}), f"```python\n{STDIN_ATTACKS[name]}\n```")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict


FINISHED = {"status": "Success", "message": "", "run_result": {"status": "Finished", "return_code": 0, "stdout": None, "stderr": None}}


@pytest.mark.parametrize(
    ("faults", "detail"),
    [
        ([500, 500, 500], "HTTP status 500"),
        ([404], "HTTP status 404"),
        ([b"<html>busy</html>"], "not that of SandboxFusion"),
        ([b""], "not that of SandboxFusion"),
        ([b"[" * 100_000], "not that of SandboxFusion"),
        ([b"[]"], "not that of SandboxFusion"),
        ([{"status": "Success"}], "not that of SandboxFusion"),
        ([{"status": "SandboxError", "message": "no cgroup"}], "SandboxError: no cgroup"),
        ([{**FINISHED, "run_result": {"status": "Error", "stderr": "cannot fork"}}], "Error: cannot fork"),
    ],
)
@pytest.mark.parametrize("form", ["stdin", "check"])
def test_a_server_that_fails_gives_no_verdict(server: FakeServer, form: str, faults: list[Any], detail: str):
    server.faults = list(faults)
    verdict = verify(FORMS[form], RIGHT[form])
    assert (verdict.score, verdict.status) == (None, Status.CRASH)
    assert detail in verdict.detail
    assert not server.faults


def test_a_server_that_hangs_gives_no_verdict(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fusion_sandbox, "_GRACE", 0.1)
    server.faults = [20.0]
    begin = time.monotonic()
    verdict = verify(problem({**FORMS["stdin"].meta, "time_limit": 0.2}), RIGHT["stdin"])
    assert verdict.status == Status.CRASH
    assert "timed out" in verdict.detail
    assert time.monotonic() - begin < 10


def test_a_passing_fault_is_tried_again(server: FakeServer):
    server.faults = [503, 429]
    assert verify(FORMS["call"], RIGHT["call"]).score == 1.0
    assert len(server.requests) == 3


def test_success_without_output_is_wrong_whatever_the_exit_code(server: FakeServer):
    """verl's wrapper took exit code 0 for a pass where the expected value was empty or None."""
    for form in FORMS:
        server.faults = [FINISHED]
        assert verify(FORMS[form], RIGHT[form]).status == Status.WRONG
    nothing = problem({"fn_name": "f", "inputs": [[]], "outputs": [None]})
    server.faults = [FINISHED]
    assert verify(nothing, "import os\nos._exit(0)").status == Status.WRONG
    assert verify(nothing, "def f(): return None").score == 1.0


def test_limits_reach_the_server_and_what_it_says_is_told(server: FakeServer):
    sandbox = RemoteSandbox(server.url + "/")
    run = sandbox.run("while True: pass", limits=Limits(wall=0.3, memory=300 << 20))
    assert (run.status, run.level) == (Outcome.TIMEOUT, "http")
    assert (server.requests[-1]["run_timeout"], server.requests[-1]["memory_limit_MB"]) == (0.3, 300)
    assert sandbox.run("bytearray(1 << 40)").status == Outcome.MEMORY
    assert sandbox.run("1/0").detail == "ZeroDivisionError: division by zero"
    assert sandbox.run("print('x' * (1 << 20))").status == Outcome.OUTPUT_LIMIT  # the server cut it there
    assert sandbox.run("print('\ud800')").status == Outcome.RUNTIME_ERROR
    server.faults = [{"status": "Failed", "compile_result": {"status": "Finished", "return_code": 1, "stderr": "no ;"}, "run_result": None}]
    assert "does not compile: no ;" in sandbox.run("int main() {}", language="cpp").detail
    server.faults = [b'{"x": "' + b"y" * (17 << 20) + b'"}']
    assert sandbox.run("print(1)").status == Outcome.OUTPUT_LIMIT


def test_no_server_is_one_line_with_what_works(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match=r"no SandboxFusion server at http://127.0.0.1:1/run_code: .*refused.*RECKON_SANDBOX=strict"):
        RemoteSandbox("http://127.0.0.1:1")
    server.faults = [{**FINISHED, "run_result": {"status": "Finished", "return_code": 0, "stdout": "43"}}]
    with pytest.raises(InputError, match="it printed b'43'"):
        RemoteSandbox(server.url)


def test_asserts_without_a_sandbox_of_our_own_are_refused(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    def none(name: str, paths: Any, preload: Any) -> Any:
        if name == "strict":
            raise InputError("no strict sandbox on this machine")
        return RemoteSandbox(name)

    monkeypatch.setattr("verifiers.sandboxes.chosen_sandbox._get_sandbox", none)
    for form in ("check", "assert"):
        with pytest.raises(InputError, match="asserts, unlike standard output and calls by value, need a sandbox on this machine"):
            verify(FORMS[form], RIGHT[form])
    assert verify(FORMS["call"], RIGHT["call"]).score == 1.0


def test_tests_that_call_without_end_are_stopped(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(served_functions, "_MOST_REQUESTS", 5)
    slow = problem({"test_list": ["for n in range(100): assert f(n) == n"]}, time_limit=2.4, total_limit=3.2)
    assert verify(slow, "import time\ntime.sleep(0.8)\ndef f(n): return n").status == Status.CRASH
    assert verify(slow, "import time\ntime.sleep(3.0)\ndef f(n): return n").status == Status.WRONG
    endless = problem({"test_list": ["n = 0\nwhile True:\n    assert f(n) == n\n    n += 1"]}, time_limit=2.0)
    verdict = verify(endless, "def f(n): return n")
    assert verdict.status == Status.CRASH
    assert "too often" in verdict.detail
