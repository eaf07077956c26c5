"""C++ and JavaScript programs are judged by what they print, compiled and run behind the same locks."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.clock import stopwatch
from verifiers.problem import Problem, make_problem
from verifiers.programs import programming_languages
from verifiers.programs.program_tests import verify
from verifiers.programs.programming_languages import tool_folders
from verifiers.response_text.fenced_blocks import fence, fenced_blocks, last_block
from verifiers.sandboxes.local_sandbox import Sandbox, probe
from verifiers.sandboxes.running_program import Outcome
from verifiers.verdict import Status

MISSING = probe("strict")
needs_sandbox = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
TOOLS = {
    "cpp": shutil.which("g++") or shutil.which("clang++"),
    "javascript": shutil.which("node") or shutil.which("nodejs"),
    "python": "ours",
}
CASES = {"inputs": ["2\n", "-3\n"], "outputs": ["4\n", "9\n"]}
SQUARE = {
    "cpp": "#include <iostream>\nint main() { long long n; std::cin >> n; std::cout << n * n << std::endl; }\n",
    "javascript": "const n = parseInt(require('fs').readFileSync(0, 'utf8'));\nconsole.log(n * n);\n",
    "python": "print(int(input()) ** 2)\n",
}


def problem(tool: str, **options: Any) -> Problem:
    return make_problem("Square a number.", "-", verifier="program_tests", meta={"language": tool, **CASES, **options})


@pytest.fixture(params=["cpp", "javascript", "python"])
def language(request: pytest.FixtureRequest) -> str:
    if MISSING:
        pytest.skip(f"no strict sandbox on this machine: {MISSING}")
    if not TOOLS[request.param]:
        pytest.skip(f"no tool for {request.param} on this machine")
    return str(request.param)


def test_right_and_wrong_programs(language: str):
    right = SQUARE[language]
    verdict = verify(problem(language), f"So:\n```{language}\n{right}```")
    assert (verdict.score, verdict.detail) == (1.0, "2 of 2 tests")
    wrong = right.replace("n * n", "n * 2").replace("** 2", "* 2")
    assert verify(problem(language), f"```{language}\n{wrong}```").score == 0.0
    assert verify(problem(language, partial=True), f"```{language}\n{wrong}```").score == 0.5


BROKEN = {
    "cpp": {
        "syntax": ("int main() { return 0 }", "does not compile: main.cpp:1:"),
        "no_main": ("int f() { return 0; }", "does not compile: "),
        "prints_too_much": ('#include <cstdio>\nint main() { for (;;) puts("4444444444444444"); }', "output_limit"),
        "crash": ("int main() { volatile int* p = nullptr; return *p; }", "signal SIGSEGV"),
        "right_output_then_crash": ('#include <cstdio>\n#include <cstdlib>\nint main() { puts("4"); abort(); }', "signal SIG"),
        "hang": ("int main() { for (volatile int i = 0;; i = i) {} }", "timeout: not done after 0.5 s"),
        "memory": ("#include <vector>\nint main() { for (;;) new std::vector<char>(1 << 20, 1); }", ""),
        "exit_code_0": ("int main() { return 0; }", "printed ''"),
        "reads_the_host_when_compiled": ('#include "/etc/passwd"\nint main() {}', "No such file"),
        "includes_without_end": ('#include "/dev/zero"\nint main() {}', "does not compile"),
        "reads_the_host": ('#include <cstdio>\nint main() { puts(fopen("/etc/passwd", "r") ? "4" : "held"); }', "printed 'held'"),
        "calls_home": (
            '#include <cstdio>\n#include <sys/socket.h>\nint main() { puts(socket(AF_INET, SOCK_STREAM, 0) < 0 ? "held" : "4"); }',
            "printed 'held'",
        ),
        "machine_code_of_its_own": ('asm(".globl _start\\n_start: hlt");\nint main() {}', ""),
        "compiles_without_end": ("template <int n> struct F { F<n + 1> a; F<n + 2> b; };\nF<0> f;\nint main() {}", "does not compile"),
        "forks_on": ("#include <unistd.h>\nint main() { for (;;) fork(); }", "timeout"),
    },
    "javascript": {
        "syntax": ("let = ;", "runtime_error"),
        "throws": ("console.log(4); throw new Error('no')", "runtime_error"),
        "hang": ("for (;;) {}", "timeout: not done after 0.5 s"),
        "exit_code_0": ("process.exit(0)", "printed ''"),
        "reads_the_host": ("console.log(require('fs').existsSync('/etc/passwd') ? 4 : 'held')", "printed 'held'"),
        "calls_home": ("require('net').connect(80, '1.1.1.1').on('error', e => console.log(e.code))", "printed 'EPERM'"),
        "secrets": ("console.log(Object.keys(process.env).sort().join())", "printed 'HOME,PATH,TMPDIR'"),
        "starts_a_program": ("console.log(require('child_process').spawnSync('cat', ['/etc/passwd']).status)", "printed '1'"),
    },
}  # fmt: skip


SLOW = {"no_main", "memory", "includes_without_end", "compiles_without_end", "machine_code_of_its_own", "forks_on", "throws", "secrets"}


@pytest.mark.parametrize(
    ("name", "tool"),
    [pytest.param(name, tool, marks=[pytest.mark.slow] if name in SLOW else []) for tool in BROKEN for name in BROKEN[tool]],
)
@needs_sandbox
def test_programs_that_fail_or_mean_harm_are_wrong(name: str, tool: str):
    if not TOOLS[tool]:
        pytest.skip(f"no tool for {tool} on this machine")
    source, detail = BROKEN[tool][name]
    verdict = verify(problem(tool, time_limit=0.5, memory_limit=256), f"```{tool}\n{source}\n```")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG)
    assert detail in verdict.detail


@needs_sandbox
def test_machine_code_that_cannot_start_is_the_programs_fault():
    """It came out of a compiler that the program had its way with; a failure of the sandbox would be no verdict, and so a way out."""
    with Sandbox() as sandbox:
        for code in (b"", b"\x7fELF\0\xff", b"#!/no/such/tool\n", b"\0" * 5000):
            run = sandbox.run(code, command=programming_languages._MACHINE_CODE)
            assert run.status in (Outcome.OK, Outcome.RUNTIME_ERROR), run
            assert run.stdout == b""


def test_the_block_must_be_in_the_language(language: str):
    right = SQUARE[language]
    other = "rust" if language == "cpp" else "cpp"
    assert verify(problem(language), f"```{other}\n{right}```").status == Status.NO_ANSWER
    assert verify(problem(language), f"```\n{right}```").score == 1.0
    assert verify(problem(language), right).score == 1.0
    assert verify(problem(language), f"```{language}\n{right}```\n```{other}\nx\n```").score == 1.0
    assert verify(problem(language), "").status == Status.NO_ANSWER


def test_a_missing_tool_is_no_verdict_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    if MISSING:
        pytest.skip(MISSING)
    monkeypatch.setattr(programming_languages.shutil, "which", lambda name: None)
    for name, tools in (("cpp", r"g\+\+, clang\+\+"), ("js", "node, nodejs")):
        verdict = verify(problem(name), SQUARE["cpp"])
        assert (verdict.score, verdict.status) == (None, Status.CRASH)
        assert verdict.detail.startswith("none of " + tools.replace("\\", "") + " is installed")
    assert verify(problem("python"), SQUARE["python"]).score == 1.0


@pytest.mark.parametrize(
    "meta",
    [{"language": "cobol"}, {"language": None}, {"language": 5}, {"inputs": ["1"]}, {"inputs": [], "outputs": []}, {"fn_name": "f"},
     {"inputs": [[1]], "outputs": [5]}, {"time_limit": "long"}, {"time_limit": 0}, {"memory_limit": float("inf")},
     {"total_limit": float("nan")}, {"tolerance": []}],
)  # fmt: skip
def test_tests_that_cannot_run_are_a_bad_gold(meta: dict[str, Any]):
    assert verify(problem("cpp", **meta), "int main() {}").status == Status.BAD_GOLD


def test_blocks_are_found_as_they_are_written():
    text = "a\n```py\nx\n```\n~~~~C++ title\ny\n~~~\n~~~~~\n```\nz\n\n``` \r\n```open\nrest"
    assert list(fenced_blocks(text)) == [("py", "x\n"), ("c++", "y\n~~~\n"), ("", "z\n\n")]
    assert last_block(text, ["c++"]) == "y\n~~~\n"
    assert last_block(text, ["rust"]) == "z\n\n"
    assert last_block("~~~x\n~~~", ["y"]) is None
    assert list(fenced_blocks("```open\n~~~py\nx\n~~~")) == [("py", "x\n")]
    for program in ("x\n", "```\ny\n```\n", "`````\n"):
        assert last_block(fence("py", program), ["py"]) == program


@pytest.mark.parametrize("line", ["```x\n", "```\n~~~\n", "````\n```\n", "~~~~~~~~~~x\n~~~\n", "`" * 50 + "\n", "```" + "a" * 50])
def test_blocks_are_found_in_linear_time(line: str):
    """A regular expression with a reference to the opening took minutes on openings that no line closes."""

    def seconds(size: int) -> float:
        took = stopwatch()
        list(fenced_blocks(line * (size // len(line))))
        list(fenced_blocks(line.rstrip("\n") * (size // len(line))))
        return took()

    small = min(seconds(30_000) for _ in range(3))
    assert seconds(480_000) < 100 * small + 0.1  # 16 times in linear time, 256 times in quadratic


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("1. see\n\n   ```python\n   if x:\n       y\n   ```\n", [("python", "if x:\n    y\n")]),
        ("10. see\n\n    ~~~py\n    a\n\n  b\n    ~~~\n", [("py", "a\n\nb\n")]),
        (
            '```python\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n```\n',
            [("python", 'def f():\n    """\n    ```\n    f()\n    ```\n    """\n')],
        ),
        ("````md\n```py\nx\n```\n````\n", [("md", "```py\nx\n```\n")]),
        ("so ```x``` it is\n```x``` and\n```py\ny\n```", [("py", "y\n")]),
        ("```\nx\n```` \n", [("", "x\n")]),
    ],
)
def test_fences_are_read_as_commonmark_reads_them(text: str, blocks: list[tuple[str, str]]):
    assert list(fenced_blocks(text)) == blocks


def test_a_block_that_was_cut_off_is_one_only_where_it_is_asked_for():
    text = "```py\na\n```\n~~~~lean\n  b\n```\n"
    assert list(fenced_blocks(text)) == [("py", "a\n")]
    assert list(fenced_blocks(text, unfinished=True)) == [("py", "a\n"), ("lean", "  b\n```\n")]
    assert list(fenced_blocks("x\n```py\na\n```", unfinished=True)) == [("py", "a\n")]


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_a_tools_own_installation_is_opened_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home" / "me"
    monkeypatch.setenv("HOME", str(home))
    made(home, "secret", "bin/node", "bin/mine", "lib/mine", "include/mine", ".local/bin/node", ".local/share/keyrings/key", ".local/lib/x")
    made(home, ".nvm/v20/bin/node", ".nvm/v20/include/node/node.h", ".nvm/v20/README.md")
    made(tmp_path, "gcc/bin/x-g++", "gcc/bin/as", "gcc/bin/x-ld", "gcc/bin/mine", "gcc/libexec/y", "gcc/x-linux-gnu/z", "gcc/data/mine")
    made(tmp_path, "home/node", "tools/node")
    opened = {
        home / "bin/node": {"bin/node"},
        home / ".local/bin/node": {".local/bin/node", ".local/lib"},
        home / ".nvm/v20/bin/node": {".nvm/v20/bin/node", ".nvm/v20/include"},
    }
    for tool, parts in opened.items():
        assert set(tool_folders(str(tool))) == {str(home / part) for part in parts}
    gcc = tmp_path / "gcc"
    parts = {"bin/x-g++", "bin/as", "bin/x-ld", "libexec", "x-linux-gnu"}
    assert set(tool_folders(str(gcc / "bin/x-g++"))) == {str(gcc / part) for part in parts}
    assert tool_folders(str(tmp_path / "home/node")) == [str(tmp_path / "home/node")]
    assert tool_folders(str(tmp_path / "tools/node")) == [str(tmp_path / "tools/node")]


@pytest.mark.parametrize(
    "tool", ["/node", "/opt/node", "/opt/bin/node", "/home/bin/node", "/home/somebody/bin/node", "/root/bin/node", "/srv/x/node"]
)
def test_no_folder_of_everything_is_opened(tool: str):
    assert tool_folders(tool) == [tool]


@pytest.mark.parametrize("tool", ["/usr/bin/node", "/usr/local/bin/g++", "/usr/lib/llvm-15/bin/clang"])
def test_a_tool_of_the_system_needs_nothing_opened(tool: str):
    assert tool_folders(tool) == []


@needs_sandbox
@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_a_tool_in_a_home_runs_and_the_home_stays_hidden(monkeypatch: pytest.MonkeyPatch):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "me"
        made(home, "secret", "bin/mine")
        monkeypatch.setenv("HOME", str(home))
        shutil.copy(os.path.realpath(str(shutil.which("node"))), home / "bin" / "node")
        monkeypatch.setenv("PATH", f"{home}/bin")
        look = f"const fs = require('fs'); console.log(['{home}/secret', '{home}/bin/mine'].some(fs.existsSync) ? 'seen' : 4)"
        assert verify(problem("javascript", inputs=[""], outputs=["4"]), look).score == 1.0
