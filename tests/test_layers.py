"""The layout is a test: who may import whom, what is heavy, how long a file or a function may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import verifiers

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {  # arrows point down this table; imports inside functions count too
    "verifiers": set(),
    "data_pipeline": {"verifiers"},
    "rollout": {"verifiers"},
    "rl": {"verifiers", "rollout"},
    "recipes": {"verifiers", "data_pipeline", "rollout", "rl"},
}
HEAVY = {"torch", "transformers", "vllm", "ray", "sympy", "datasets"}  # importing `verifiers` or a command's --help must stay cheap
HEAVY_AT_TOP = {
    "torch": ("rl/", "rollout/"),
    "transformers": ("rollout/engines/hf_engine.py", "rl/learning/policy.py"),
    "ray": ("rollout/engines/ray_engines.py",),
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 80


def sources() -> Iterator[tuple[str, str, ast.Module]]:
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield package, path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(nodes: list[ast.stmt] | Iterator[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names.add((node.module or "").split(".")[0])
    return names


def test_arrows_point_down():
    for package, path, tree in sources():
        upward = (imported(ast.walk(tree)) & MAY_IMPORT.keys()) - {package} - MAY_IMPORT[package]
        assert not upward, f"{path}: {package} may not import {upward}"


def test_init_files_are_empty():
    for _, path, tree in sources():
        assert not (path.endswith("__init__.py") and tree.body), f"{path}: a facade __init__ is how import cycles start"


def test_heavy_imports_stay_at_the_edge():
    for _, path, tree in sources():
        for name in imported(tree.body) & HEAVY:
            assert path.startswith(HEAVY_AT_TOP.get(name, ())), f"{path}: import {name} where it is used"


def test_nothing_is_too_long():
    for _, path, tree in sources():
        assert len((ROOT / path).read_text().splitlines()) <= MAX_FILE_LINES, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_verifiers_is_ours():
    """Another distribution on PyPI installs a package called `verifiers` too."""
    assert Path(next(iter(verifiers.__path__))) == ROOT / "verifiers"


def test_the_command_line_starts_without_the_heavy_packages():
    """`reckon --help`, `reckon verify` and an unknown option must not wait for torch."""
    code = "import sys, recipes.commands.cli, recipes.commands.verify, recipes.setup.options\n"
    code += "print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, *sorted(HEAVY), "numpy"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
