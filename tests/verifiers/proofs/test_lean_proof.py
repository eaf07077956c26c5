"""Lean proofs judged: on recorded replies of the REPL and of Kimina's server, and by a fake of each that crashes, hangs and lies."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.proofs.lean_kimina import LeanKimina, read_answer, set_audit_apart
from verifiers.proofs.lean_proof import USUAL_AXIOMS, extract_block, judge, read_axioms, transport, verify
from verifiers.proofs.lean_repl import LeanRepl
from verifiers.proofs.lean_replay import LeanReplay, recording_name
from verifiers.proofs.lean_statement import attach, read_statement, split_header
from verifiers.proofs.lean_tokens import ScreenError
from verifiers.proofs.lean_transport import LeanFailure, LeanTimeout, Message, Reply, read_reply
from verifiers.verdict import Status

STATEMENT = "import Mathlib\nimport Aesop\n\nopen Nat\n\ntheorem two : 1 + 1 = 2 := by"
NO_AXIOMS = (Message("info", 1, 0, "'two' does not depend on any axioms"),)

FAKE_REPL = r"""
import json, os, sys, time
count = -1
usual = "'two' depends on axioms: [propext,\n Classical.choice,\n Quot.sound]"
imported = 0

def say(**reply):
    sys.stdout.write(json.dumps(reply, indent=1) + "\n\n")
    sys.stdout.flush()

while True:
    line = sys.stdin.readline()
    if not line:
        break
    if not line.strip():
        continue
    request = json.loads(line)
    text, messages, sorries = request["cmd"], [], []
    at = {"line": 1, "column": 0}
    if not text.startswith("#print"):
        axioms = usual
    if text.startswith("import"):
        imported += 1
    elif text.startswith("#print axioms"):
        messages = [{"severity": "info", "pos": at, "data": axioms}]
    elif "CRASH" in text:
        os._exit(3)
    elif "HANG" in text:
        time.sleep(60)
    elif "FLOOD" in text:
        while True:
            sys.stdout.write("x" * 65536)
    elif "GARBAGE" in text:
        sys.stdout.write("Segmentation fault\n\n")
        sys.stdout.flush()
        continue
    elif "MEMORY" in text:
        block = bytearray(4 << 30)
    elif "STALE" in text:
        say(env=0)
        continue
    elif "OTHER" in text:
        say(message="Unknown environment.")
        continue
    elif "TWICE" in text:
        say(env=count + 1)
    elif "FORGED" in text:
        axioms = "'two' depends on axioms: [sorryAx]"
        forged = {"env": 7, "messages": [{"severity": "info", "pos": at, "data": "'two' does not depend on any axioms"}]}
        lies = ("'two' does not depend on any axioms", "\n\n" + json.dumps(forged) + "\n\n")
        messages = [{"severity": "info", "pos": at, "data": lie} for lie in lies]
    elif "NATIVE" in text:
        axioms = "'two' depends on axioms: [propext,\n two._native.native_decide.ax_1_1]"
    elif "FALSE" in text:
        messages = [{"severity": "error", "pos": {"line": 3, "column": 2}, "data": "linarith failed"}]
    elif "IMPORTS" in text:
        axioms = f"'two' depends on axioms: [imported{imported}, env{request.get('env')}, pid{os.getpid()}]"
    elif "HOLE" in text:
        sorries = [{"pos": at, "endPos": at, "goal": "False"}]
    count += 1
    reply = {"env": count}
    if messages:
        reply["messages"] = messages
    if sorries:
        reply["sorries"] = sorries
    say(**reply)
"""


@pytest.fixture
def repl(tmp_path, monkeypatch):
    """The command of the fake REPL, set in the environment."""
    script = tmp_path / "fake_repl.py"
    script.write_text(FAKE_REPL)
    command = f"{sys.executable} -I -S {script}"
    monkeypatch.setenv("RECKON_LEAN_REPL", command)
    monkeypatch.setenv("RECKON_LEAN_MEMORY", "1024")
    for name in ("RECKON_LEAN_URL", "RECKON_LEAN_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    yield command
    if os.environ.get("RECKON_LEAN_REPL") == command and not os.environ.get("RECKON_LEAN_URL"):
        transport().close()


class LeanRecorder:
    """Asks another transport and keeps what it replies, where `LeanReplay` finds it."""

    def __init__(self, transport: Any, folder: Path) -> None:
        self._transport, self._folder = transport, folder

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        reply = self._transport.elaborate(header, body, audit, deadline)
        record = {"header": header, "body": body, "audit": audit, "reply": asdict(reply)}
        with atomic_path(self._folder / recording_name(header, body, audit)) as temporary:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
        return reply


def theorem_problem(statement: str, proof: str, **meta: Any) -> Problem:
    return make_problem("Prove this Lean 4 theorem.", proof, verifier="lean_proof", meta={"statement": statement, **meta})


def ask(proof, **meta):
    return verify(theorem_problem(STATEMENT, "norm_num", **{"time_limit": 5, **meta}), proof)


# ---------------------------------------------------------------- recorded replies


def objects(text):
    """The JSON objects of a REPL transcript, by the standard library's own scanner."""
    decoder, place, found = json.JSONDecoder(strict=False), 0, []
    while place < len(text.rstrip()):
        place += len(text[place:]) - len(text[place:].lstrip())
        value, place = decoder.raw_decode(text, place)
        found.append(value)
    return found


def test_every_recorded_reply_of_the_repl_is_judged_by_its_errors_and_sorries(data_dir):
    """The rule of comparison reads the text: an error or a sorry anywhere in the reply's JSON, in any field, is no proof."""
    replies = [
        reply
        for path in sorted((data_dir / "verifier" / "lean" / "repl_tests").rglob("*.expected.out"))
        for reply in objects(path.read_text())
    ]
    seen = {"right": 0, "wrong": 0, "failure": 0}
    for reply in replies:
        if "proofStatus" in reply:  # tactic mode, which is never asked for
            continue
        text = json.dumps({key: value for key, value in reply.items() if key != "tactics"})
        expected = "failure" if set(reply) == {"message"} else "wrong" if '"severity": "error"' in text or '"goal"' in text else "right"
        try:
            read = read_reply(reply)
            found = str(judge(Reply(read.messages, read.sorries, NO_AXIOMS), "two", USUAL_AXIOMS).status)
        except LeanFailure:
            found = "failure"
        assert found == expected, reply
        seen[found] += 1
    assert min(seen.values()) >= 5, seen


def first_reply(data_dir, name):
    text = (data_dir / "verifier" / "lean" / "repl_tests" / f"{name}.expected.out").read_text()
    return judge(read_reply(objects(text)[0]), "two", USUAL_AXIOMS)


@pytest.mark.parametrize(
    "name", ["term_sorry", "tactic_sorry", "calc", "have_by_sorry", "incomplete", "self_proof_check", "app_type_mismatch"]
)
def test_recordings_known_by_hand_to_be_no_proofs(data_dir, name):
    assert first_reply(data_dir, name).status is Status.WRONG


def test_every_recorded_reply_of_kimina_is_read(data_dir):
    folder = data_dir / "verifier" / "lean" / "kimina"
    count = {"right": 0, "timeout": 0}
    for path in sorted((folder / "output").glob("*.json")):
        answer = json.loads(path.read_text())
        source = (folder / "input" / f"{path.stem}.lean").read_text()
        statement = read_statement(source[: source.rindex(":= by")] + ":= by")
        assert attach(statement, source).startswith(statement.rest)  # all 51 pass the screen
        try:
            read = read_answer(answer, answer["results"][0]["custom_id"])
        except LeanTimeout:
            assert "timed out" in path.read_text()
            count["timeout"] += 1
            continue
        assert judge(Reply(read.messages, read.sorries, NO_AXIOMS), "two", USUAL_AXIOMS).status is Status.RIGHT
        count["right"] += 1
    assert count == {"right": 50, "timeout": 1}


# ---------------------------------------------------------------- the numbered failures of formal proof


@pytest.mark.parametrize("text", ["declaration uses 'sorry'", "declaration uses `sorry`"])
def test_failure_1_a_sorry_warning_counts_in_both_spellings(text):
    reply = Reply((Message("warning", 1, 8, text),), 0, NO_AXIOMS)
    assert judge(reply, "two", USUAL_AXIOMS).status is Status.WRONG


def test_failure_1_a_sorry_counts_without_any_warning():
    assert judge(Reply((), 1, NO_AXIOMS), "two", USUAL_AXIOMS).status is Status.WRONG


def test_failure_2_apply_and_a_jump_of_types_is_refused_and_its_axiom_too(repl):
    assert "apply?" in ask("by\n  apply?").detail
    assert ask("FORGED").status is Status.WRONG  # nothing reported but sorryAx


def test_failure_3_a_local_instance_cannot_change_what_the_theorem_means(repl):
    verdict = ask("```lean\nlocal instance instNatAdd : Add Nat := ⟨Nat.mul⟩\ntheorem two : 1 + 1 = 2 := by rfl\n```")
    assert verdict.status is Status.RIGHT  # dropped: Lean sees our statement and `by rfl`
    body = attach(read_statement(STATEMENT), "local instance : Add Nat := ⟨Nat.mul⟩\ntheorem two : 1 + 1 = 2 := by rfl")
    assert "instance" not in body
    assert ask("by rfl\nlocal instance : Add Nat := ⟨Nat.mul⟩").detail.endswith("local is not allowed in a proof")


def test_failure_4_axioms_are_an_allow_list_and_lists_have_many_lines(repl):
    assert ask("NATIVE").detail == "the proof depends on two._native.native_decide.ax_1_1"
    text = "'two' depends on axioms: [propext,\n Classical.choice,\n Lean.ofReduceBool,\n Quot.sound]"
    assert read_axioms((Message("info", 1, 0, text),), "two") == USUAL_AXIOMS | {"Lean.ofReduceBool"}
    assert ask("norm_num", axioms=["propext"]).status is Status.WRONG
    assert ask("norm_num").status is Status.RIGHT


@pytest.mark.parametrize(
    "proof",
    [
        "theorem two : 1 + 1 = 1 + 1 := by rfl",
        "theorem two (h : False) : 1 + 1 = 2 := by exact h.elim",
        "theorem two' : 1 + 1 = 2 := by rfl",
        "lemma two : 1 + 1 = 2 := by rfl",
        "theorem two : 1 + 1 = /- -/ 3 := by rfl",
        "example : True := trivial",
    ],
)
def test_failure_5_a_restated_theorem_must_be_ours(repl, proof):
    assert ask(f"```lean\n{proof}\n```").detail.startswith("not sent to Lean: it states another theorem than two")


def test_failure_6_a_runaway_proof_ends_at_the_deadline_and_heartbeats_are_bounded(repl):
    start = time.monotonic()
    assert ask("HANG", time_limit=0.5).status is Status.TIMEOUT
    assert time.monotonic() - start < 8
    assert "maxHeartbeats 0" in ask("set_option maxHeartbeats 0 in norm_num").detail


# ---------------------------------------------------------------- the statement and the proof


def test_a_proof_keeps_its_columns():
    statement = read_statement(STATEMENT)
    bare = "import Mathlib\nimport Aesop", "open Nat\n\ntheorem two : 1 + 1 = 2 :="
    assert (statement.header, statement.rest) == bare
    assert attach(statement, "have h := rfl\nexact h") == bare[1] + " by\n  have h := rfl\n  exact h\n"
    assert attach(statement, "  simp\n    at h") == bare[1] + " by\n    simp\n      at h\n"
    assert attach(statement, "by\n  simp") == bare[1] + "\n by\n  simp\n"
    assert attach(statement, ":= by simp\n       rfl") == bare[1] + "\n   by simp\n       rfl\n"
    restated = "import Mathlib\n/-- two -/\ntheorem  two :\n 1 + 1 = 2 := by simp\n  rfl"
    assert attach(statement, restated) == bare[1] + "\n" + " " * 14 + "by simp\n  rfl\n"


@pytest.mark.parametrize("tail", ["#check two", "#print axioms two", "end", "end Two", "#eval 1\naxiom a : False"])
def test_what_follows_a_restated_theorem_is_cut_off(tail):
    statement = read_statement(STATEMENT)
    restated = "theorem two : 1 + 1 = 2 := by\n  norm_num\n"
    assert attach(statement, f"{restated}\n{tail}\n") == attach(statement, restated)


@pytest.mark.parametrize("tail", ["\naxiom a : False", " #check two", "\n  end Two", "\nsection\nend"])
def test_what_else_follows_a_restated_theorem_is_refused(tail):
    with pytest.raises(ScreenError):
        attach(read_statement(STATEMENT), f"theorem two : 1 + 1 = 2 := by norm_num{tail}")


def test_without_by_in_the_statement_the_proof_is_a_term():
    statement = read_statement("theorem two : 1 + 1 = 2 := sorry")
    assert (statement.header, statement.rest, statement.tactics) == ("", "theorem two : 1 + 1 = 2 :=", False)
    assert attach(statement, "rfl") == "theorem two : 1 + 1 = 2 :=\n rfl\n"


def test_imports_are_split_from_the_rest():
    assert split_header("import A\n\n-- c\nimport B\n\ntheorem x") == ("import A\nimport B", "theorem x")
    assert split_header("open A\nimport B") == ("", "open A\nimport B")


@pytest.mark.parametrize("statement", [None, "", 3, "import Mathlib", "theorem two : 1 = 1", "example : True := by", "theorem two := /- "])
def test_a_statement_that_is_none_is_a_bad_gold(statement):
    problem = theorem_problem(STATEMENT, "norm_num")
    object.__setattr__(problem, "meta", {"statement": statement})
    assert verify(problem, "rfl").status is Status.BAD_GOLD


def test_the_last_lean_block_counts():
    assert extract_block("```lean\na\n```\n```lean4\nb\n```\n```\nc\n```") == "b\n"
    assert extract_block("```\na\n```\ntext") == "a\n"
    assert extract_block("<think>```lean\na\n```</think> so <answer>by simp</answer>") == "by simp"
    assert extract_block("text\n```lean\nby simp") == "by simp"
    assert ask("```lean\n\n```").status is Status.NO_ANSWER


def test_a_gold_is_accepted_as_a_response(repl):
    problem = theorem_problem(STATEMENT, "norm_num")
    assert problem.verifier == "lean_proof"
    assert verify(problem, problem.answer).status is Status.RIGHT


@pytest.mark.parametrize("proof", ["", "\0", "a" * 300_000, "```lean\n" * 5000, "\ud800", "(" * 100_000, "by " * 60_000, "'", "/-", "```"])
def test_bad_output_never_raises(repl, proof):
    assert ask(proof).status in (Status.WRONG, Status.NO_ANSWER, Status.RIGHT)


# ---------------------------------------------------------------- the axioms' answer


@pytest.mark.parametrize(
    "audit",
    [
        (),
        (Message("error", 1, 0, "'two' does not depend on any axioms"),),
        (Message("info", 1, 0, "'three' does not depend on any axioms"),),
        (Message("info", 1, 0, "'two' does not depend on any axioms"), Message("info", 1, 0, "x")),
        (Message("info", 1, 0, "'two' does not depend on any axioms\n'two' depends on axioms: [sorryAx]"),),
        (Message("info", 1, 0, "'two' depends on axioms: []"),),
        (Message("info", 1, 0, "'two' depends on axioms: [a] [b]"),),
    ],
)
def test_an_answer_that_is_not_the_list_of_axioms_gives_no_verdict(audit):
    with pytest.raises(LeanFailure):
        judge(Reply((), 0, audit), "two", USUAL_AXIOMS)


def test_the_audit_is_known_by_its_place_and_not_by_its_words():
    lie = Message("info", 3, 4, "'two' does not depend on any axioms")
    truth = Message("info", 9, 123, "'two' depends on axioms: [sorryAx]")
    assert set_audit_apart(Reply((lie, truth), 0), 123).audit == (truth,)
    assert set_audit_apart(Reply((lie,), 0), 123).audit == ()
    assert set_audit_apart(Reply((lie._replace(column=123), truth), 0), 123).audit == (truth,)


# ---------------------------------------------------------------- the REPL


@pytest.mark.parametrize(
    ("proof", "status", "detail"),
    [
        ("norm_num", Status.RIGHT, "proved from Classical.choice, Quot.sound, propext"),
        ("FALSE", Status.WRONG, "line 3: linarith failed"),
        ("HOLE", Status.WRONG, "1 goals to sorry"),
        ("FORGED", Status.WRONG, "depends on sorryAx"),
        ("CRASH", Status.CRASH, "exit code 3"),
        ("FLOOD", Status.CRASH, "longer than"),
        ("GARBAGE", Status.CRASH, "not JSON"),
        ("MEMORY", Status.CRASH, "MemoryError"),
        ("STALE", Status.CRASH, "not the answer to this request"),
        ("OTHER", Status.CRASH, "Unknown environment"),
        ("TWICE", Status.CRASH, ""),
    ],
)
def test_a_repl_that_answers_fails_and_lies(repl, proof, status, detail):
    verdict = ask(proof)
    assert (verdict.status, detail in verdict.detail) == (status, True), verdict
    assert ask("norm_num").status is Status.RIGHT  # and the next proof is none the wiser


def test_a_repl_imports_once_and_is_replaced_after_its_time(repl):
    lean = LeanRepl(repl, memory=1 << 30, recycle_after=3)
    try:
        told = [lean.elaborate("import A", "IMPORTS", "#print axioms two", time.monotonic() + 5).audit[0].text for _ in range(4)]
    finally:
        lean.close()
    assert [re.findall(r"imported(\d+), env(\d+)", text) for text in told] == [[("1", "0")]] * 4
    pids = [re.findall(r"pid(\d+)", text)[0] for text in told]
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_a_repl_that_was_killed_meanwhile_is_replaced(repl):
    lean = LeanRepl(repl, memory=1 << 30)
    try:
        told = lean.elaborate("import A", "IMPORTS", "#print axioms two", time.monotonic() + 5).audit[0].text
        os.kill(int(re.findall(r"pid(\d+)", told)[0]), 9)
        assert lean.elaborate("import A", "x", "#print axioms two", time.monotonic() + 5).sorries == 0
    finally:
        lean.close()


def test_many_threads_share_a_repl_without_mixing_their_answers(repl):
    proofs = ["norm_num", "FALSE", "HOLE", "NATIVE"] * 10
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda proof: ask(proof, time_limit=30), proofs))
    assert [verdict.status for verdict in verdicts[1::4] + verdicts[2::4]] == [Status.WRONG] * 20
    assert {verdict.detail for verdict in verdicts[1::4]} == {"Lean, line 3: linarith failed"}


def test_a_repl_dies_with_the_process_that_started_it(repl, tmp_path):
    code = (
        "import sys, time, os, signal; from verifiers.proofs.lean_repl import LeanRepl; lean = LeanRepl(sys.argv[1], memory=1 << 30)\n"
        "print(lean.elaborate('import A', 'IMPORTS', '#print axioms two', time.monotonic() + 5).audit[0].text, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, repl], capture_output=True, text=True, timeout=20, check=False)
    pid = int(re.findall(r"pid(\d+)", done.stdout)[0])
    for _ in range(50):
        if not alive(pid):
            return
        time.sleep(0.05)
    pytest.fail("the REPL outlived its parent")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


# ---------------------------------------------------------------- what is missing


def test_without_lean_one_line_names_the_remedy(monkeypatch):
    for name in ("RECKON_LEAN_REPL", "RECKON_LEAN_URL", "RECKON_LEAN_REPLAY"):
        monkeypatch.delenv(name, raising=False)
    verdict = ask("norm_num")
    assert verdict.status is Status.CRASH
    assert "set RECKON_LEAN_REPL" in verdict.detail
    assert "\n" not in verdict.detail


def test_a_command_that_is_not_there_is_named(monkeypatch, repl):
    monkeypatch.setenv("RECKON_LEAN_REPL", "/nowhere/repl")
    assert "/nowhere/repl: No such file or directory" in ask("norm_num").detail
    monkeypatch.setenv("RECKON_LEAN_URL", "http://localhost:1")
    assert "not several" in ask("norm_num").detail


def test_recordings_are_replayed_and_an_unknown_proof_is_not_judged(tmp_path, monkeypatch):
    class Once:
        def elaborate(self, header, body, audit, deadline):
            return Reply((Message("warning", 1, 2, "unused"),), 0, NO_AXIOMS)

    recorder = LeanRecorder(Once(), tmp_path / "lean")
    statement = read_statement(STATEMENT)
    made = recorder.elaborate(statement.header, attach(statement, "norm_num"), "#print axioms two", 0)
    assert LeanReplay(tmp_path / "lean").elaborate(statement.header, attach(statement, "norm_num"), "#print axioms two", 0) == made
    for name in ("RECKON_LEAN_REPL", "RECKON_LEAN_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECKON_LEAN_REPLAY", str(tmp_path / "lean"))
    assert ask("norm_num").status is Status.RIGHT
    assert ask("ring").status is Status.CRASH
    with pytest.raises(InputError, match="no folder"):
        LeanReplay(tmp_path / "none")


# ---------------------------------------------------------------- the server


@pytest.fixture
def server():
    """A fake of Kimina's server: `server.plan` holds what to do with the next requests, `server.seen` what was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.seen.append((self.path, self.headers.get("Authorization"), request))
            action = fake.plan.pop(0) if fake.plan else "answer"
            if isinstance(action, int):
                self.send_error(action)
            elif action == "hang":
                fake.released.wait(10)
            elif action != "close":
                self.answer(request, action)

        def answer(self, request, action):
            [snippet] = request["snippets"]
            lines = snippet["code"].split("\n")
            line = next(n for n, text in enumerate(lines) if text.strip().startswith("#print axioms"))
            place = {"line": line + 1, "column": len(lines[line]) - len(lines[line].lstrip())}
            messages = [{"severity": "info", "pos": {"line": 2, "column": 0}, "data": "'two' does not depend on any axioms"}]
            if action != "silent":
                listed = "[sorryAx]" if action == "lie" else "[propext]"
                messages.append({"severity": "info", "pos": place, "data": f"'two' depends on axioms: {listed}"})
            result = {"id": snippet["id"], "time": 0.1, "response": {"env": 1, "messages": messages}}
            if action in ("timed out", "no memory"):
                result = {"id": snippet["id"], "error": f"Lean process {action}"}
            data = b"<html>" if action == "html" else json.dumps({"results": [result]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    fake = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.plan, fake.seen, fake.released = [], [], threading.Event()
    fake.daemon_threads = True
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    fake.released.set()
    fake.shutdown()
    fake.server_close()
    thread.join()


def ask_server(server, limit=5.0):
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    lean = LeanKimina(url, api_key="key", first_pause=0.02)
    reply = lean.elaborate("import Mathlib", "theorem two : 1 + 1 = 2 := by norm_num\n", "#print axioms two", time.monotonic() + limit)
    return judge(reply, "two", USUAL_AXIOMS)


def test_a_server_is_asked_as_its_client_asks(server):
    assert ask_server(server).detail == "two: proved from propext"
    [(path, key, request)] = server.seen
    assert (path, key) == ("/api/check", "Bearer key")
    assert set(request) == {"snippets", "timeout", "debug", "reuse", "infotree"}
    assert request["snippets"][0]["code"].startswith("import Mathlib\ntheorem two : 1 + 1 = 2 := by norm_num\n")
    assert 1 <= request["timeout"] < 5


def test_a_printed_lie_does_not_hide_the_answer_below_it(server):
    server.plan = ["lie"]
    assert ask_server(server).detail == "the proof depends on sorryAx"


@pytest.mark.parametrize("trouble", [429, 500, 503, "close"])
def test_a_busy_server_is_asked_again(server, trouble):
    server.plan = [trouble, trouble]
    assert ask_server(server).status is Status.RIGHT
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (["timed out"], LeanTimeout),
        (["no memory"], LeanFailure),
        (["html"], LeanFailure),
        (["silent"], LeanFailure),
        ([401], LeanFailure),
        ([500] * 9, LeanFailure),
    ],
)
def test_a_server_that_fails_gives_no_verdict(server, plan, error):
    server.plan = plan
    with pytest.raises(error):
        ask_server(server)
    assert len(server.seen) == (6 if len(plan) > 1 else 1)


def test_a_server_that_hangs_is_left_at_the_deadline(server):
    server.plan = ["hang"]
    start = time.monotonic()
    with pytest.raises(LeanTimeout):
        ask_server(server, limit=0.5)
    assert time.monotonic() - start < 8


def test_no_server_at_all_is_a_crash_that_names_it(monkeypatch):
    monkeypatch.delenv("RECKON_LEAN_REPL", raising=False)
    monkeypatch.delenv("RECKON_LEAN_REPLAY", raising=False)
    monkeypatch.setenv("RECKON_LEAN_URL", "http://127.0.0.1:9")
    verdict = ask("norm_num", time_limit=0.5)
    assert (verdict.status, "127.0.0.1:9" in verdict.detail) == (Status.CRASH, True)


@pytest.mark.parametrize(
    ("response", "proof"),
    [
        ("````lean\nby\n```\nnot the end\n````\n", "by\n```\nnot the end\n"),
        ("~~~lean\nby simp\n~~~\n", "by simp\n"),
        ("```lean\nby simp\n```\nor\n~~~~lean4\nby ring\n~~~\n~~~~", "by ring\n~~~\n"),
        ("1. so\n   ```lean\n   by\n     simp\n   ```\n", "by\n  simp\n"),
        ("~~~~lean\nby omega", "by omega"),
    ],
)
def test_fences_of_four_marks_and_of_tildes_are_read(response, proof):
    assert extract_block(response) == proof
