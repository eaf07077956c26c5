"""Problems out of code documentation: Python functions that a page defines, says what they do, and shows what they return.

A listing that defines a function whose docstring has examples (`>>> gcd(12, 8)`) is a problem as HumanEval has them: the head and the
docstring are asked, the examples are the tests, the page's own body is the solution. Half of the examples stand in the prompt and all are
tested, so that repeating what is shown does not pass. Nothing of the page is run here, only parsed: `reckon audit` runs each solution
against its tests, behind walls. An example counts where it calls the function, by position, on values that JSON has, and shows one.

Left out: other languages, functions without a body, and exercises in prose, whose tests nobody wrote down.
"""

import ast
import doctest
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_pipeline.documents.document import Doc
from data_pipeline.problems.problem_mining import Found
from data_pipeline.subjects.code_quality import listings
from verifiers.problem import Problem, make_problem

LEAST = 3
"""Examples of a problem: one shown, two that are not."""
_LONGEST, _MOST = 20_000, 50  # characters of a listing; examples of a function
_ASKS = "Complete this Python function. Answer with the whole function in one ```python block."
_KEPT = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing a page's text may raise


@dataclass(frozen=True, slots=True)
class _Example:
    text: str
    """As the docstring writes it, prompt and value."""
    arguments: list[Any]
    value: Any


def code_problems(doc: Doc) -> Iterator[Found]:
    """Of every function with examples in a docstring, its problem or why it is none."""
    seen: set[str] = set()
    for code in listings(doc.text):
        if ">>>" not in code or "def " not in code or len(code) > _LONGEST:
            continue
        try:
            tree = ast.parse(code)
        except _UNREADABLE:
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and ">>>" in (ast.get_docstring(node) or "") and node.name not in seen:
                seen.add(node.name)
                yield _problem_of(doc, tree, node)


def _problem_of(doc: Doc, tree: ast.Module, node: ast.FunctionDef) -> Found:
    text = ast.get_docstring(node) or ""
    if not _has_body(node):
        return "no solution"
    try:
        examples = _examples_of(text, node.name)
    except _UNREADABLE:
        return "examples cannot be read"
    if len(examples) < LEAST:
        return "too few examples"
    if not (said := text[: text.index(">>>")].strip()):
        return "says nothing"
    if len({repr(example.value) for example in examples}) == 1:
        return "one answer to all examples"
    return _made(doc, tree, node, said, examples)


def _made(doc: Doc, tree: ast.Module, node: ast.FunctionDef, said: str, examples: Sequence[_Example]) -> Problem:
    shown = "\n".join(example.text for example in examples[: len(examples) // 2])
    stub = ast.FunctionDef(
        name=node.name, args=node.args, body=[ast.Expr(ast.Constant(f"{said}\n\n{shown}\n"))], decorator_list=[], returns=node.returns,
        lineno=1, col_offset=0,
    )  # fmt: skip
    imports: list[ast.stmt] = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    head = ast.unparse(ast.fix_missing_locations(ast.Module([*imports, stub], [])))
    program = ast.unparse(ast.Module([each for each in tree.body if isinstance(each, _KEPT)], []))
    meta: dict[str, Any] = {
        "url": doc.url, "archive": doc.origin.archive, "offset": doc.origin.offset, "doc": doc.id, "kind": "docstring",
        "fn_name": node.name, "inputs": [example.arguments for example in examples], "outputs": [example.value for example in examples],
    }  # fmt: skip
    return make_problem(f"{_ASKS}\n\n```python\n{head}\n```", program, verifier="python_tests", meta=meta)


def _has_body(node: ast.FunctionDef) -> bool:
    """Whether something follows the docstring that is no promise to write it later."""
    rest = node.body[1:]
    first = rest[0] if rest else None
    empty = isinstance(first, ast.Pass | ast.Raise) or (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant))
    return bool(rest) and not (len(rest) == 1 and empty)


def _examples_of(text: str, name: str) -> list[_Example]:
    """Those that can be tested, each call once. Raises ValueError for a docstring that is none of doctest's."""
    found: dict[str, _Example] = {}
    for example in doctest.DocTestParser().get_examples(text)[:_MOST]:
        try:
            call = ast.parse(example.source.strip(), mode="eval").body
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name) or call.keywords:
                continue
            arguments, value = [ast.literal_eval(argument) for argument in call.args], ast.literal_eval(example.want.strip())
        except _UNREADABLE:
            continue
        if all(map(_is_json, (*arguments, value))):
            found.setdefault(repr(arguments), _Example(f">>> {example.source.strip()}\n{example.want.strip()}", arguments, value))
    return list(found.values())


def _is_json(value: object) -> bool:
    """Whether JSON gives it back as it is."""
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, str | bool | int | float)
