"""The child process that runs verifiers: `python -m verifiers.worker_pool.worker_main LIFELINE`, started by `verifier_pool.py` and by
nothing else.

It is not `multiprocessing`: that would import the user's `__main__` again, and needs pickles. Instead JSON lines travel over two
pipes. They arrive as standard input and output, are moved to private descriptors at once, and 0 and 1 then lead to /dev/null
and standard error, so that a reward that prints, reads or closes them cannot disturb the protocol.

    parent: {"rewards": [...], "sys_path": [...], "memory_limit": bytes or null}        worker: {"ready": true} or {"error": text}
    parent: NUMBER {"problem": {...}, "response": text}, one for each verdict           worker: {"item": NUMBER, a verdict, its seconds}
                                      worker: {"loading": bool} around the import of a verifier that a problem names

This is the one place where any exception is caught: here it becomes a verdict. Time limits are the parent's business, which
kills; nothing here guards against code that means harm (it runs with the user's rights). A reward may fork: a child that comes
back here ends as a script would, and never answers. An answer names its item, so that one which went astray is seen.
"""

import json
import os
import random
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, BinaryIO

from verifiers.child_process import die_with
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.protocol_streams import take_streams, write_all
from verifiers.resource_limits import set_limit
from verifiers.rewards.load_reward import compose_rewards, load
from verifiers.rewards.named_functions import where_raised
from verifiers.rewards.reward_kinds import WrongReturnError
from verifiers.verdict import Status, Verdict, Verifier
from verifiers.worker_pool.pool_messages import LONGEST_LINE

_LONGEST_ERROR = 600  # characters of a crash's description
LONGEST_DETAIL = 10_000  # characters of any
_WORKER = os.getpid()
_JSON = json.JSONEncoder(ensure_ascii=False)  # once, not for every verdict


def main() -> None:
    """Serve until the parent closes the pipe, or dies."""
    requests, replies = take_streams()
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    lifeline = int(sys.argv[1])
    os.set_inheritable(lifeline, False)
    die_with(lifeline)
    serve(requests, replies)
    os._exit(0)  # threads that a reward left behind must not keep the process


def serve(requests: BinaryIO, replies: int) -> None:
    """Answer every line of `requests` on the descriptor `replies`, until there are no more."""
    first = requests.readline()
    if not first:
        return
    setup = json.loads(first)
    sys.path.extend(entry for entry in setup["sys_path"] if entry not in sys.path)
    if setup["memory_limit"] is not None:
        set_limit("AS", setup["memory_limit"])
    try:
        composed = compose_rewards(setup["rewards"]) if setup["rewards"] else None
    except InputError as error:
        _send_message(replies, {"error": str(error)})
        return
    except BaseException as error:  # noqa: BLE001  # the user's module ran, and may raise anything
        _send_message(replies, {"error": f"{', '.join(setup['rewards'])} cannot be imported: {_describe(error)}"})
        return
    _send_message(replies, {"ready": True})
    verify = composed or _NamedVerifiers(replies)
    for line in requests:
        number, _, request = line.partition(b" ")
        answer = _answer_request(request, verify)
        answer["item"] = int(number)
        _send_message(
            replies, answer, instead={**_no_verdict("its parts and steps are too many"), "seconds": answer["seconds"], "item": int(number)}
        )


class _NamedVerifiers:
    """Each problem's own verifier, imported when first needed; the parent is told, because an import may take its time."""

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._known: dict[str, Verifier] = {}

    def __call__(self, problem: Problem, response: str) -> Verdict:
        verify = self._known.get(problem.verifier)
        if verify is None:
            _send_message(self._replies, {"loading": True})
            try:
                verify = self._known[problem.verifier] = load(problem.verifier)
            finally:
                _send_message(self._replies, {"loading": False})
            _reseed(problem, response)  # the import may have drawn
        return verify(problem, response)


def _answer_request(request: bytes, verify: Verifier) -> dict[str, Any]:
    """The verdict as JSON values, with its seconds; whatever goes wrong is a CRASH that says what, and where."""
    start = time.perf_counter()
    try:
        item = json.loads(request.decode("utf-8", "surrogatepass"))
        problem, response = _problem_from(item["problem"]), item["response"]
        _reseed(problem, response)
        start = time.perf_counter()  # the seconds are the verifier's own
        return {**_as_json(verify(problem, response)), "seconds": time.perf_counter() - start}
    except BaseException as error:  # noqa: BLE001  # the one boundary; time-outs of some libraries are no Exception
        _end_if_forked(error)
        detail = str(error) if isinstance(error, WrongReturnError | InputError) else _describe(error)
    return {**_no_verdict(detail), "seconds": time.perf_counter() - start}


def _no_verdict(detail: str) -> dict[str, Any]:
    return _as_json(Verdict(None, Status.CRASH, detail))


def _as_json(verdict: Verdict) -> dict[str, Any]:
    detail = str(verdict.detail)
    more = len(detail) - LONGEST_DETAIL
    return {
        "score": None if verdict.score is None else float(verdict.score),
        "status": str(verdict.status),
        "detail": detail if more <= 0 else f"{detail[:LONGEST_DETAIL]} ... ({more} more characters)",
        "parts": {str(name): float(score) for name, score in verdict.parts.items()},
        "steps": [[int(end), float(score)] for end, score in verdict.steps],
    }


def _problem_from(row: dict[str, Any]) -> Problem:
    prompt = row["prompt"]
    return Problem(row["id"], prompt if isinstance(prompt, str) else tuple(prompt), row["answer"], row["verifier"], row["meta"])


def _reseed(problem: Problem, response: str) -> None:
    """A reward that draws random numbers gives the same verdict on the same response, in whichever worker and order."""
    seed = (problem.id + response).encode("utf-8", "surrogatepass")
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(random.getrandbits(32))
        random.seed(seed)


def _describe(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    return text[:_LONGEST_ERROR] + where_raised(error)[:_LONGEST_ERROR]


def _end_if_forked(error: BaseException | None) -> None:
    """End a child that a reward has forked, with the exit status of a script that `error` ended; its parent may ask for it."""
    if os.getpid() == _WORKER:
        return
    status = 0 if error is None else 1
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
    with suppress(OSError, ValueError, AttributeError):  # the reward may have closed it, or put None there
        sys.stdout.flush()
    os._exit(status & 0xFF)


def _send_message(replies: int, message: dict[str, Any], instead: dict[str, Any] | None = None) -> None:
    """`instead` is sent where the message is longer than the parent reads."""
    _end_if_forked(sys.exception())
    line = _JSON.encode(message).encode("utf-8", "surrogatepass") + b"\n"
    if len(line) > LONGEST_LINE and instead is not None:
        line = _JSON.encode(instead).encode("utf-8", "surrogatepass") + b"\n"
    write_all(replies, line)


if __name__ == "__main__":
    main()
