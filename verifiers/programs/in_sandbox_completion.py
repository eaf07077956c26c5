"""One program of a prompt and what completes it, as HumanEval has them. Its text is a policy's: this runs inside the sandbox.

A parser can be made to run out of stack, memory or time, which is then the trouble of the process that was to run the program.
(Outside, only the prompt is ever parsed, which comes with the problem.) Needs nothing but the standard library.
"""

import ast
import io


def complete(prompt: str, program: str, name: str) -> str:
    """HumanEval's prompt and its completion, or, where the response defines the function itself, the one after the other.

    A prompt that is no Python, but a task in words, is left out; a header without a docstring gets a body where it needs one.
    """
    tree = parse_python(program)
    defines = tree is not None and any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)
    if tree is not None and defines:
        head, rest = _after_future_imports(program, tree)
        return f"{head}\n{stub(prompt)}\n\n{rest}"
    return program if parse_python(prompt) is None and parse_python(prompt + program) is None else prompt + program


def _after_future_imports(program: str, tree: ast.Module) -> tuple[str, str]:
    """A program after its last `from __future__ import`, before which nothing else may come."""
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if not future:
        return "", program
    lines = io.StringIO(program, newline="").readlines()  # as the parser counts them
    row, column = future[-1].end_lineno or 0, future[-1].end_col_offset or 0
    last = lines[row - 1].encode()
    head = "".join(lines[: row - 1]) + last[:column].decode()
    return head, last[column:].decode().lstrip(" \t;") + "".join(lines[row:])


def stub(prompt: str) -> str:
    """What of HumanEval's prompt the tests may need: imports and helpers, and a function without a body."""
    return next((code for code in (prompt, prompt + "    pass\n") if parse_python(code) is not None), "")


def parse_python(code: str) -> ast.Module | None:
    """The tree of a text that is Python; None for any other."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
