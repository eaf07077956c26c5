"""Programming languages besides Python whose programs can be judged where their tool is installed: C++ and JavaScript.

A C++ program is compiled once, in a sandbox of its own with limits of its own, and the machine code that comes out is as hostile
as the source: it, too, only ever runs in the sandbox.
"""

import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape as glob_escape
from glob import glob

from verifiers.programs.test_budget import within
from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.namespaces import readable_trees
from verifiers.sandboxes.running_program import Command, Limits, Outcome, Run

_COMPILER = Limits(wall=10.0, memory=2 << 30, file_size=64 << 20, output=32 << 20)
# started by a shell, to which a file that cannot be executed is a failure of the program, not of the sandbox
_MACHINE_CODE = Command(("/bin/sh", "-c", "exec ./main"), "main")
_PARTS = ("lib", "lib64", "libexec", "include")
_BESIDE_A_COMPILER = ("as", "ld", "ld.bfd", "ld.gold", "ld.lld", "lld")
_RESERVED_BY_V8 = 8 << 30  # address space, of which next to nothing is ever used


class ToolMissingError(Exception):
    """No compiler or interpreter for the language on this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Language:
    """How programs in a language are found in a response, prepared and started."""

    name: str
    tags: tuple[str, ...]
    """What follows the fence of a block that holds one."""
    tools: tuple[str, ...]
    """Programs of which one is needed."""
    remote: str
    """SandboxFusion's name for it."""
    spare_memory: int = 0


CPP = Language("cpp", ("cpp", "c++", "cc", "cxx"), ("g++", "clang++"), "cpp")
JAVASCRIPT = Language("javascript", ("javascript", "js", "node", "nodejs"), ("node", "nodejs"), "nodejs", _RESERVED_BY_V8)
PYTHON = Language("python", ("python", "py", "python3"), (), "python")
LANGUAGES = {tag: language for language in (CPP, JAVASCRIPT, PYTHON) for tag in language.tags}


def find_tool(language: Language) -> str:
    """The real path of the tool. Raises ToolMissingError."""
    for name in language.tools:
        if path := shutil.which(name):
            return os.path.realpath(path)
    raise ToolMissingError(
        f"none of {', '.join(language.tools)} is installed, which {language.name} programs need; Python programs need none"
    )


def tool_folders(tool: str) -> list[str]:
    """What a program must see for the tool to work, where that is not among the system's folders: what belongs to its installation.

    Never a whole folder in which other things may lie: of the folder that holds `bin`, which may be somebody's home, the libraries
    and headers; of `bin`, the tool itself and the assembler and linker beside it.
    """
    if any(tool.startswith(tree.rstrip("/") + "/") for tree in readable_trees([])):
        return []
    folder, name = os.path.split(tool)
    beside = [*_BESIDE_A_COMPILER, *(f"{name.rpartition('-')[0]}-{other}" for other in _BESIDE_A_COMPILER)]
    opened = [tool, *(path for path in (os.path.join(folder, other) for other in beside) if os.path.isfile(path))]
    prefix = os.path.dirname(folder)
    if os.path.basename(folder) in ("bin", "sbin") and not _is_shared(prefix):
        parts = [os.path.join(prefix, part) for part in _PARTS] + sorted(glob(os.path.join(glob_escape(prefix), "*-linux-*")))
        opened += [part for part in parts if os.path.isdir(part)]
    return opened


def _is_shared(folder: str) -> bool:
    """Whether a folder is one in which everything lies: a first-level one, or somebody's home."""
    homes = {os.path.realpath(entry.pw_dir) for entry in pwd.getpwall()} | {os.path.realpath(os.path.expanduser("~"))}
    return (
        folder.count("/") < 2
        or folder in homes
        or os.path.dirname(folder) in ("/home", "/Users")
        or any(home.startswith(folder.rstrip("/") + "/") for home in homes)
    )


def prepare(sandbox: Sandbox, language: Language, program: str, deadline: float) -> Callable[[bytes, Limits], Run] | Run:
    """What runs the program on some standard input; or the run of the compiler, if that is where it ended, by `deadline` at the latest."""
    if language is PYTHON:
        return lambda stdin, limits: sandbox.run(program, stdin, limits=limits)
    tool = find_tool(language)
    if language is JAVASCRIPT:
        return lambda stdin, limits: sandbox.run(program, stdin, limits=limits, command=_node(tool, limits))
    # standard output is the machine code; /bin/sh sees no word of the program
    script = f'"{tool}" -std=c++17 -O2 -pipe -o main main.cpp && exec cat main'
    made = sandbox.run(program, limits=within(_COMPILER, deadline), command=Command(("/bin/sh", "-c", script), "main.cpp"))
    if made.status is not Outcome.OK:
        return made
    return lambda stdin, limits: sandbox.run(made.stdout, stdin, limits=limits, command=_MACHINE_CODE)


def _node(tool: str, limits: Limits) -> Command:
    heap = f"--max-old-space-size={limits.memory >> 20}"
    return Command((tool, heap, "--max-semi-space-size=8", "main.js"), "main.js", _RESERVED_BY_V8)
