"""Programs run by a server that speaks SandboxFusion's `/run_code`, instead of by a sandbox on this machine.

One request runs one program to its end. The server is trusted to run what it was sent and to hand back the output; the program
is not, and so nothing but its output is taken from the answer: an exit code of 0 or a "Success" is no result. Isolation, and how
well limits are kept, are the server's affair. A server that cannot be reached, fails or answers with something else gives
`sandbox_error`, never a wrong answer.

Not covered: interactive programs (`Sandbox.start`), and output beyond the 1 MB that SandboxFusion keeps, which counts as too much.
"""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from verifiers.http_post import HttpFault, Trouble, ask, json_headers, read_json, with_retries
from verifiers.input_error import InputError
from verifiers.sandboxes.local_sandbox import probe
from verifiers.sandboxes.running_program import Limits, Outcome, Run

LEVEL = "http"
_KEPT = 1 << 20  # SandboxFusion cuts output there without a word
_LONGEST = 16 * _KEPT
_COMPILE = 20.0
_GRACE = 10.0
_PAUSES = (0.2, 0.8)  # seconds before the second and the third try
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # worth another try
_FOREIGN = "the server's answer is not that of SandboxFusion's /run_code"


class RemoteSandbox:
    """Runs programs at an address such as http://localhost:8080. Any number of threads may use it.

    Raises InputError, saying what works here instead, if no such server answers there.
    """

    level = LEVEL

    def __init__(self, url: str) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith("/run_code") else f"{base}/run_code"
        run = self.run("print(6 * 7)", limits=Limits(wall=10.0))
        if run.stdout.strip() != b"42":
            reason = run.detail or f"it printed {run.stdout[:60]!r} for 6 * 7"
            remedy = "the strict sandbox on this machine works: RECKON_SANDBOX=strict" if not probe("strict") else "start one there"
            raise InputError(f"no SandboxFusion server at {self._url}: {reason}; {remedy}")

    def run(
        self,
        source: str,
        stdin: bytes = b"",
        *,
        limits: Limits | None = None,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        spare_memory: int = 0,
    ) -> Run:
        """Run a program to its end, with `files` beside it. Not raised for: whatever goes wrong is the run's status."""
        limits = limits or Limits()
        begin = time.monotonic()
        try:
            source.encode()
        except UnicodeEncodeError as error:  # a fault of the program's, which must not become the server's
            return _make_run(Outcome.RUNTIME_ERROR, f"the program is not UTF-8 text: {error.reason}")
        request = {
            "code": source, "language": language, "stdin": stdin.decode("utf-8", "replace"),
            "compile_timeout": _COMPILE, "run_timeout": limits.wall, "memory_limit_MB": (limits.memory + spare_memory) >> 20,
            "files": {name: base64.b64encode(data).decode() for name, data in (files or {}).items()}, "fetch_files": [],
        }  # fmt: skip
        data = json.dumps(request).encode()
        until = time.monotonic() + limits.wall + _GRACE + (0.0 if language == "python" else _COMPILE)
        try:
            answer = with_retries(
                lambda: ask(self._url, data, headers=json_headers(), until=until, longest=_LONGEST),
                _PAUSES,
                statuses=_PASSING,
                until=until,
            ).outcome
            if isinstance(answer, HttpFault):
                raise answer
            if not answer.good:
                return _make_run(Outcome.SANDBOX_ERROR, f"the server answered with HTTP status {answer.status}")
            return _read_run(read_json(answer.body), limits, time.monotonic() - begin)
        except HttpFault as fault:
            if fault.kind is Trouble.TOO_LONG:
                return _make_run(Outcome.OUTPUT_LIMIT, f"more than {limits.output} bytes of output")
            said = _FOREIGN if fault.kind is Trouble.NO_ANSWER else f"the server cannot be reached: {fault}"
            return _make_run(Outcome.SANDBOX_ERROR, said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return _make_run(Outcome.SANDBOX_ERROR, _FOREIGN)

    def close(self) -> None:
        """Nothing is held open."""


def _read_run(reply: dict[str, Any], limits: Limits, wall: float) -> Run:
    """The run that an answer tells of. Raises for an answer that is none."""
    if reply["status"] not in ("Success", "Failed"):
        return _make_run(Outcome.SANDBOX_ERROR, f"{reply['status']}: {reply.get('message') or ''}"[:300], wall=wall)
    compiled, result = reply.get("compile_result"), reply.get("run_result") or {}
    if compiled and not result:
        detail = "took too long" if compiled["status"] == "TimeLimitExceeded" else (compiled.get("stderr") or "").strip()[:300]
        return _make_run(Outcome.RUNTIME_ERROR, f"does not compile: {detail}", wall=wall)
    stdout = (result.get("stdout") or "").encode("utf-8", "surrogatepass")
    stderr = result.get("stderr") or ""
    code = result.get("return_code")
    last = stderr.rstrip().rpartition("\n")[2][:300]
    match result["status"]:
        case "TimeLimitExceeded":
            status, detail = Outcome.TIMEOUT, f"not done after {limits.wall:g} s"
        case "Finished" if len(stdout) > limits.output or len(stdout) == _KEPT:
            status, detail = Outcome.OUTPUT_LIMIT, f"more than {min(limits.output, _KEPT)} bytes of output"
        case "Finished" if code == 0:
            status, detail = Outcome.OK, ""
        case "Finished" if code in (-9, 137) or last.startswith("MemoryError"):
            status, detail = Outcome.MEMORY, last or "killed by the kernel"
        case "Finished":
            status, detail = Outcome.RUNTIME_ERROR, last or f"exit code {code}"
        case _:
            status, detail = Outcome.SANDBOX_ERROR, f"{result['status']}: {last}"
    return _make_run(status, detail, stdout[: limits.output], stderr, wall=float(result.get("execution_time") or wall), code=code)


def _make_run(status: Outcome, detail: str, stdout: bytes = b"", stderr: str = "", *, wall: float = 0.0, code: int | None = None) -> Run:
    return Run(status, stdout, stderr, detail, wall=wall, cpu=0.0, peak_rss=0, level=LEVEL, exit_code=code)
