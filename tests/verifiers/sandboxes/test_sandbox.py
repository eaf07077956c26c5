"""Programs that mean harm, one for each way out that we know of; each must end contained. And what a run reports."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.sandboxes import namespaces, process_tree
from verifiers.sandboxes.local_sandbox import Sandbox, probe
from verifiers.sandboxes.running_program import Command, Limits, Outcome, Run

MISSING = probe("strict")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
QUICK = Limits(wall=5.0, memory=256 << 20, file_size=8 << 20, output=1 << 20)
SMALL = Limits(wall=5.0, memory=128 << 20, file_size=8 << 20)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(params=["warm", "fresh"])
def attack(request: pytest.FixtureRequest, sandbox: Sandbox):
    """Run a program that prints ESCAPED if it gets what it wants; its output is returned for more."""

    def run(source: str, limits: Limits = QUICK) -> Run:
        before = _processes()
        run = sandbox.run(source, limits=limits, fresh=request.param == "fresh")
        assert run.status != Outcome.SANDBOX_ERROR, run.detail
        assert b"ESCAPED" not in run.stdout, run.stdout[-500:]
        assert not _strays(before, sandbox)
        return run

    return run


def refused(*statements: str) -> str:
    """A program that tries each statement, prints ESCAPED if one works, and HELD if all raise."""
    lines = ["import ctypes, os, signal, socket, sys", "libc = ctypes.CDLL(None, use_errno=True)"]
    lines += ["def must(result):", "    if result == -1: raise OSError(ctypes.get_errno(), 'no')"]
    for statement in statements:
        lines += ["try:", f"    {statement}", f"    print('ESCAPED', {statement!r})", "except (OSError, RuntimeError) as error: pass"]
    return "\n".join([*lines, "print('HELD')"])


def test_network(attack):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = attack(
            refused(
                f"socket.create_connection(('127.0.0.1', {port}), 1)", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
                "socket.socket(socket.AF_UNIX)", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "must(libc.socket(38, 5, 0))",
            )
        )  # fmt: skip
    assert run.stdout == b"HELD\n"


def test_secrets_in_the_environment(attack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEY", "hunter2")
    run = attack("import os\nprint(sorted(os.environ))\nprint(os.path.exists('/proc/self/environ'), os.path.exists('/proc'))")
    assert b"API_KEY" not in run.stdout
    assert run.stdout.endswith(b"False False\n")


def test_reading_the_host(attack, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("the tests")
    os.chmod(secret, 0o644)
    paths = [str(secret), "/etc/passwd", "/etc/shadow", "/proc/1/environ", "/sys/kernel/notes", str(Path(__file__)), "/home", "/var"]
    assert attack(refused(*[f"os.listdir({p!r}) if os.path.isdir({p!r}) else open({p!r}).read()" for p in paths])).stdout == b"HELD\n"


def test_writing_outside(attack, tmp_path: Path):
    os.chmod(tmp_path, 0o777)
    places = [str(tmp_path / "x"), "/usr/x", "/x", "/dev/x", "/tmp/../x", "/root/x", os.path.dirname(os.__file__) + "/x.py"]
    assert attack(refused(*[f"open({place!r}, 'w')" for place in places])).stdout == b"HELD\n"
    assert not list(tmp_path.iterdir())


def test_tmp_is_private_and_empty_each_time(attack):
    source = "import os\nprint(sorted(set(os.listdir('/tmp')) - {'main.py'}))\nopen('/tmp/left', 'w').write('x')"
    assert attack(source).stdout == attack(source).stdout == b"[]\n"


def test_symlink_out(attack):
    run = attack(refused("os.symlink('/etc/passwd', 'link') or open('link').read()", "os.symlink('/', 'root') or os.listdir('root/proc')"))
    assert run.stdout == b"HELD\n"


def test_fork_bomb(attack):
    source = "import os\nn = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            while True: pass\n        n += 1\n"
    run = attack(source + "except OSError: print(n < 40)", Limits(wall=20.0))
    assert run.stdout == b"True\n"


def test_fork_bomb_that_doubles(attack):
    run = attack("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", Limits(wall=1.0))
    assert run.status == Outcome.TIMEOUT
    assert run.wall < 8.0


def test_daemon_escape(attack):
    source = (
        "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            os.setsid(); time.sleep(60)\n        os._exit(0)\nprint('done', flush=True)"
    )
    run = attack(source, replace(QUICK, wall=20.0))
    assert (run.status, run.stdout) == (Outcome.OK, b"done\n")
    assert run.wall < 15.0  # nobody waits for those who sleep


def test_memory(attack):
    run = attack("x = bytearray(1 << 40)")
    assert run.status == Outcome.MEMORY
    run = attack("x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert run.status == Outcome.MEMORY
    assert run.peak_rss < 400 << 20


def test_memory_of_many_processes_together(attack):
    source = "import os, time\nfor _ in range(5): os.fork()\nx = bytearray(b'x') * (64 << 20)\ntime.sleep(30)"
    run = attack(source, Limits(wall=30.0, memory=256 << 20, processes=64))
    assert run.status == Outcome.MEMORY
    assert run.wall < 20.0


def test_disk(attack):
    source = (
        "for n in range(100):\n    with open(f'f{n}', 'wb') as f:\n        for _ in range(8): f.write(bytes(1 << 20))\nprint('ESCAPED')"
    )
    run = attack(source)
    assert run.status == Outcome.RUNTIME_ERROR
    assert "OSError" in run.detail


def test_output_flood(attack):
    run = attack("import sys\nwhile True: sys.stdout.write('x' * 100000)")
    assert (run.status, len(run.stdout)) == (Outcome.OUTPUT_LIMIT, QUICK.output)
    run = attack("import sys\nfor _ in range(1000): sys.stderr.write('x' * 10000)\nsys.stderr.write('the end')")
    assert run.status == Outcome.OK
    assert len(run.stderr) < 100_000
    assert run.stderr.endswith("the end")


def test_signals_to_the_parent(attack):
    host = os.getpid()
    targets = ["os.getppid()", "1", str(host), "-1", "2", "3"]
    source = "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid(), os.getppid())\n"
    for target in targets:
        source += f"try: os.kill({target}, signal.SIGKILL)\nexcept OSError: pass\n"
    attack(source)
    assert attack("print(1)").stdout == b"1\n"


@pytest.mark.parametrize("how", ["one process", "descriptors in flight"])
def test_files_in_memory_that_no_process_maps_are_refused(attack, how: str):
    one = "fd = os.memfd_create('x')\nos.write(fd, bytes(60 << 20))\n"
    send = "a, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [fd])\nos.close(fd)\n" if how != "one process" else ""
    body = "".join(f"    {line}\n" for line in (one + send).splitlines())
    run = attack(f"import os, socket\nkept = []\nfor _ in range(12):\n{body}    kept.append(locals().get('a'))\nprint('ESCAPED')", SMALL)
    assert run.status == Outcome.RUNTIME_ERROR
    assert "PermissionError" in run.stderr


def test_memory_that_children_share_with_nobody_else_counts(attack):
    source = (
        "import mmap, os, time\n"
        "for _ in range(6):\n"
        "    if os.fork() == 0:\n"
        "        block = mmap.mmap(-1, 100 << 20)\n"
        "        for place in range(0, 100 << 20, 4096): block[place] = 1\n"
        "        time.sleep(3)\n"
        "        os._exit(0)\n"
        "time.sleep(3)\nprint('ESCAPED')"
    )
    assert attack(source, SMALL).status == Outcome.MEMORY


HOLD = "def hold():\n    block = b'x' * (100 << 20)\n    time.sleep(15)\n    os._exit(0)\n"
FORKS = {
    "from a thread": "def go():\n    for _ in range(12):\n        if os.fork() == 0: hold()\nthreading.Thread(target=go).start()\n",
    "from a thread that has ended": (
        "def go():\n    for _ in range(12):\n        if os.fork() == 0: hold()\nt = threading.Thread(target=go)\nt.start()\nt.join()\n"
    ),
    "from twelve threads": "def go():\n    if os.fork() == 0: hold()\nfor _ in range(12): threading.Thread(target=go).start()\n",
    "twice, from a thread": (
        "def go():\n    for _ in range(12):\n        if os.fork() == 0:\n            if os.fork() == 0: hold()\n            os._exit(0)\n"
        "threading.Thread(target=go).start()\n"
    ),
    "from a thread of a child's": (
        "def go():\n    for _ in range(12):\n        if os.fork() == 0: hold()\n    time.sleep(15)\n"
        "if os.fork() == 0:\n    t = threading.Thread(target=go)\n    t.start()\n    t.join()\n"
    ),
    "after the main thread has ended": (
        "def go():\n    time.sleep(0.1)\n    for _ in range(12):\n        if os.fork() == 0: hold()\n    time.sleep(15)\n"
        "    print('ESCAPED', flush=True)\n"
        "threading.Thread(target=go).start()\nctypes.CDLL(None).pthread_exit(None)\n"
    ),
    "by clone": (
        "libc = ctypes.CDLL(None)\ndef go():\n    for _ in range(12):\n        if libc.syscall(56, 17, 0, 0, 0, 0) == 0: hold()\n"
        "threading.Thread(target=go).start()\n"
    ),
    "as children of its parent": (
        "libc = ctypes.CDLL(None)\ndef go():\n    for _ in range(12):\n        if libc.syscall(56, 0x8011, 0, 0, 0, 0) == 0: hold()\n"
        "if os.fork() == 0: go()\n"
    ),
    "and again and again": (
        "def run(block):\n    end = time.monotonic() + 15\n    while time.monotonic() < end:\n        time.sleep(0.01)\n"
        "        if os.fork(): os._exit(0)\n    os._exit(0)\ndef go():\n    for _ in range(6):\n"
        "        if os.fork() == 0: run(b'x' * (100 << 20))\nthreading.Thread(target=go).start()\n"
    ),
    "with memory that only the dead have touched": (
        "for _ in range(6):\n    if os.fork() == 0:\n        block = mmap.mmap(-1, 100 << 20)\n        if os.fork() == 0:\n"
        "            for place in range(0, 100 << 20, 4096): block[place] = 1\n            os._exit(0)\n        os.wait()\n"
        "        time.sleep(15)\n"
        "        os._exit(0)\n"
    ),
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="system call numbers of x86_64")
@pytest.mark.parametrize("how", FORKS)
def test_memory_limit_counts_children_forked_from_a_thread_and_otherwise(attack, how: str):
    source = f"import ctypes, mmap, os, threading, time\nthreading.stack_size(1 << 18)\n{HOLD}{FORKS[how]}time.sleep(15)\nprint('ESCAPED')"
    assert attack(source, replace(QUICK, wall=20.0)).status == Outcome.MEMORY


def test_processes_are_found_without_the_kernels_list_of_children(monkeypatch: pytest.MonkeyPatch):
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); input(); p.kill()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    wanted = {str(child.pid), child.stdout.readline().strip()}
    proc = namespaces.open_proc()
    try:
        assert wanted <= set(process_tree.descendants(proc))
        monkeypatch.setattr(process_tree, "_lists_children", lambda proc, own: False)
        assert wanted <= set(process_tree.descendants(proc))
    finally:
        os.close(proc)
        child.communicate("\n")


def test_one_shared_block_within_the_limit_is_no_offence(attack):
    source = (
        "import mmap, os\nblock = mmap.mmap(-1, 20 << 20)\nchildren = []\n"
        "if os.fork() == 0:\n    block[:] = bytes([7]) * (20 << 20)\n    os._exit(0)\nos.wait()\nprint(block[-1])"
    )
    assert attack(source, SMALL).stdout == b"7\n"


def test_ptrace_and_other_processes_memory(attack):
    calls = ["libc.ptrace(16, 1, 0, 0)", "libc.ptrace(0, 0, 0, 0)", "libc.process_vm_readv(1, 0, 0, 0, 0, 0)", "libc.syscall(438, 3, 0, 0)"]
    assert attack(refused(*[f"must({call})" for call in calls], "open('/proc/1/mem')")).stdout == b"HELD\n"


def test_new_namespaces_and_mounts(attack):
    calls = [
        "libc.unshare(0x10000000)", "libc.unshare(0x20000)", "libc.setns(0, 0)", "libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, 0)",
        "libc.umount2(b'/tmp', 2)", "libc.chroot(b'/tmp')", "libc.syscall(56, 0x10000011, 0, 0, 0, 0)", "libc.syscall(435, b'x' * 88, 88)",
    ]  # fmt: skip
    assert attack(refused(*[f"must({call})" for call in calls])).stdout == b"HELD\n"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="system call numbers of x86_64")
def test_dangerous_system_calls(attack):
    numbers = {
        "bpf": 321,
        "io_uring_setup": 425,
        "io_setup": 206,
        "io_submit": 209,
        "userfaultfd": 323,
        "keyctl": 250,
        "add_key": 248,
        "perf_event_open": 298,
        "kexec": 246,
    }
    numbers |= {
        "shmget": 29,
        "msgget": 68,
        "mq_open": 240,
        "open_by_handle_at": 304,
        "init_module": 175,
        "reboot": 169,
        "x32 getpid": 1 << 30 | 39,
    }
    assert attack(refused(*[f"must(libc.syscall({n}, 0, 0, 0, 0, 0, 0))" for n in numbers.values()])).stdout == b"HELD\n"


def test_becoming_root_again(attack):
    run = attack(refused("os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.chown('/tmp', 0, 0)", "must(libc.prctl(24, 0, 0, 0, 0))"))
    assert run.stdout == b"HELD\n"
    assert attack("import os\nprint(0 in os.getresuid() + os.getresgid(), os.getgroups() == [0])").stdout == b"False False\n"


def test_leaked_descriptors(attack):
    source = "import os\nfor fd in range(1000):\n    try: os.fstat(fd)\n    except OSError: continue\n    print(fd)"
    with open(__file__) as file:
        os.set_inheritable(file.fileno(), True)
        assert attack(source).stdout == b"0\n1\n2\n"


def test_infinite_loop(attack):
    run = attack("while True: pass", Limits(wall=0.5))
    assert run.status == Outcome.TIMEOUT
    assert run.wall < 5.0


def test_busy_loop_that_ignores_signals(attack):
    source = "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    assert attack(source, Limits(wall=5.0, cpu=1.0)).status == Outcome.TIMEOUT


def test_deep_recursion(attack):
    assert "RecursionError" in attack("def f(): f()\nf()").detail
    run = attack("import sys\nsys.setrecursionlimit(10**9)\nclass A: pass\nA.__call__ = a = A()\na()")
    assert run.status in {Outcome.RUNTIME_ERROR, Outcome.MEMORY}


def test_raising_its_own_limits(attack):
    calls = [
        f"__import__('resource').setrlimit(__import__('resource').RLIMIT_{name}, (-1, -1))" for name in ("AS", "CPU", "NPROC", "FSIZE")
    ]
    assert attack(refused(*[f"[{call}] if True else 0" for call in calls]).replace("RuntimeError", "ValueError")).stdout == b"HELD\n"


def test_hostname_and_clock(attack):
    assert attack(refused("socket.sethostname('x')", "__import__('time').clock_settime(0, 0)", "os.nice(-5)")).stdout == b"HELD\n"


def test_exit_codes_and_signals_are_reported(sandbox: Sandbox):
    assert sandbox.run("import os; os._exit(0)").status == Outcome.OK
    assert sandbox.run("raise SystemExit(3)").exit_code == 3
    assert sandbox.run("import sys; sys.exit('reason')").detail == "reason"
    run = sandbox.run("import ctypes; ctypes.string_at(0)")
    assert (run.status, run.detail) == (Outcome.RUNTIME_ERROR, "signal SIGSEGV")
    assert sandbox.run("1/0").detail == "ZeroDivisionError: division by zero"
    assert PACKAGE_ROOT not in sandbox.run("1/0").stderr


@pytest.mark.parametrize("fresh", [False, True])
def test_streams_and_interpreter(sandbox: Sandbox, fresh: bool):
    source = "import sys, threading\ndef late(): print(sys.stdin.read()[::-1], __name__, sys.argv)\nthreading.Thread(target=late).start()"
    assert sandbox.run(source, "πab".encode(), fresh=fresh).stdout.decode() == "baπ __main__ ['main.py']\n"
    big = b"x" * 3_000_000
    assert sandbox.run("print(len(input()))", big, fresh=fresh).stdout == b"3000000\n"
    assert sandbox.run("pass", big, fresh=fresh).status == Outcome.OK
    assert sandbox.run("print('\\ud800')", fresh=fresh).status == Outcome.RUNTIME_ERROR
    assert sandbox.run("x = '\ud800'", fresh=fresh).status == Outcome.RUNTIME_ERROR


@pytest.mark.parametrize("fresh", [False, True])
def test_programs_may_import_from_the_paths_they_are_given_and_no_others(sandbox: Sandbox, fresh: bool):
    folder = os.path.join(os.path.dirname(os.__file__), "email")
    source = "import errors\nprint(errors.MessageError.__name__)"
    assert sandbox.run(source, fresh=fresh).detail == "ModuleNotFoundError: No module named 'errors'"
    with Sandbox(paths=[folder]) as more:
        assert more.run(source, fresh=fresh).stdout == b"MessageError\n"


def test_a_command_runs_behind_the_same_locks(sandbox: Sandbox):
    def run(script: str, **options: Any) -> Run:
        return sandbox.run("the source", b"given", command=Command(("/bin/sh", "-c", script), "source.txt"), **options)

    assert run("cat source.txt; cat").stdout == b"the sourcegiven"
    assert run("env | sort | cut -d= -f1").stdout == b"HOME\nPATH\nPWD\nTMPDIR\n"
    assert run("cat /etc/passwd; echo x > /usr/x; ls /proc; exit 3").exit_code == 3
    assert run("cat /etc/passwd || ls /proc || echo x > /usr/x || echo held").stdout == b"held\n"
    assert run("while :; do :; done", limits=Limits(wall=0.3)).status == Outcome.TIMEOUT
    assert "cannot" not in run("pwd").stderr
    missing = sandbox.run("", command=Command(("/no/such/tool",), "x"))
    assert (missing.status, "No such file" in missing.detail) == (Outcome.SANDBOX_ERROR, True)
    assert sandbox.run(b"\x7fELF\0\xff", command=Command(("./main",), "main")).status == Outcome.SANDBOX_ERROR


def test_a_session_answers_line_by_line(sandbox: Sandbox):
    program = sandbox.start("n = 0\nwhile True:\n    n += int(input())\n    print(n, flush=True)", limits=QUICK)
    for given, total in ((1, b"1"), (10, b"11"), (100, b"111")):
        program.write(b"%d\n" % given)
        assert program.read_line() == total
    program.stop()
    assert program.finish().detail == "stopped"
    assert sandbox.run("print(1)").stdout == b"1\n"


def test_threads_share_a_sandbox(sandbox: Sandbox):
    found: dict[int, bytes] = {}

    def work(n: int) -> None:
        for _ in range(5):
            found[n] = sandbox.run(f"print({n})").stdout

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: b"%d\n" % n for n in range(6)}


def test_a_server_that_dies_is_a_sandbox_error_and_replaced():
    before = _processes()
    with Sandbox() as sandbox:
        program = sandbox.start("import time; time.sleep(60)")
        time.sleep(0.1)
        program._give_back.args[0]._process.send_signal(signal.SIGKILL)
        assert program.finish().status == Outcome.SANDBOX_ERROR
        assert sandbox.run("print(1)").stdout == b"1\n"
    assert not _strays(before)


def test_nothing_is_left_behind(sandbox: Sandbox):
    sandbox.run("pass")
    before = (len(os.listdir("/proc/self/fd")), _processes(), set(os.listdir("/tmp")))
    for _ in range(30):
        sandbox.run("import os\nopen('x', 'w').write('y')\nos.fork()")
    assert (len(os.listdir("/proc/self/fd")), _processes(), set(os.listdir("/tmp"))) == before


def test_the_server_ends_with_its_user():
    code = "import os; from verifiers.sandboxes.local_sandbox import Sandbox\n"
    code += "p = Sandbox().start('import time; time.sleep(60)'); os.kill(os.getpid(), 9)"
    environment = os.environ | {"PYTHONPATH": PACKAGE_ROOT}
    before = _processes()
    subprocess.run([sys.executable, "-c", code], env=environment)
    assert not _strays(before)


@pytest.mark.parametrize("level", ["landlock", "rlimits"])
def test_weaker_levels_are_asked_for_by_name_and_say_what_is_missing(
    level, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    if missing := probe(level):
        pytest.skip(missing)
    monkeypatch.setenv("API_KEY", "hunter2")
    before = _processes()
    with Sandbox(level) as sandbox:
        assert "sandbox level" in capsys.readouterr().err
        source = "import os\nprint(os.getcwd() != '/', 'API_KEY' in os.environ)\n"
        source += "if os.fork() == 0:\n    os.setsid(); __import__('time').sleep(60)"
        run = sandbox.run(source)
        assert (run.stdout, run.level) == (b"True False\n", level)
        assert sandbox.run("while True: pass", limits=Limits(wall=0.3)).status == Outcome.TIMEOUT
        assert sandbox.run("bytearray(1 << 40)").status == Outcome.MEMORY
        if level == "landlock":
            kills = [f"os.kill({os.getpid()}, 0)", "os.kill(os.getppid(), 0)"]
            source = refused("open('/etc/passwd')", "open('/tmp/x', 'w')", "socket.socket()", *kills)
            assert sandbox.run(source).stdout == b"HELD\n"
    assert not _strays(before)


def test_wrong_arguments():
    with pytest.raises(InputError, match="above 0"):
        Limits(wall=0)
    with pytest.raises(InputError, match="strict, landlock, rlimits"):
        Sandbox("lax")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no isolation level 'bwrap'; strict, which"):
        Sandbox("bwrap")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no strict sandbox on this machine: "):
        Sandbox(preload=["no_such_module"])


def _processes() -> set[int]:
    """The sandbox's processes that this one started, servers and programs, by their command line; not the dead.

    The first ancestor that is none of them is this process or, where it has ended, what takes orphans in. Other users of the sandbox
    on this machine, whose servers have another Python above them, are not meant.
    """
    parents, words = {}, {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(name)
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            words[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
    found = set()
    for pid in words:
        above = pid
        while b"-s\0-P\0-S\0-X\0utf8" in words.get(above, b""):
            above = parents.get(above, 0)
        if above != pid and (above == os.getpid() or b"python" not in words.get(above, b"")):
            found.add(pid)
    return found


def _strays(before: set[int], sandbox: Sandbox | None = None) -> set[int]:
    """Processes that are there now and were not before, if they do not go away; the sandbox's own servers, perhaps new ones, are none."""
    deadline = time.monotonic() + 10.0
    while True:
        servers = {server._process.pid for server in sandbox._idle} if sandbox else set()
        for pid in list(servers):
            servers |= {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        strays = _processes() - before - servers
        if not strays or time.monotonic() > deadline:
            return strays
        time.sleep(0.02)
