"""The pages of the methods against the code: formulas, rows of data, and Python. Commands and links: test_pages.py."""

import ast
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import reckon
from recipes.commands import plan
from recipes.commands.cli import COMMANDS
from rl.examples.written import read_labelled, read_pair, read_steps, read_supervised
from rl.mixtures.doremi import DoReMi
from rl.objectives.algorithms import ALGORITHMS, PASS_AT_K, describe_algorithm, named
from rl.objectives.distillation import DISTILLATIONS
from rl.objectives.objective import describe
from rl.objectives.policy_gradient import KL, Correction
from rl.objectives.preferences import preference
from rl.objectives.reward_models import bradley_terry, outcome_bce, step_bce
from rl.objectives.supervised import sft
from rl.objectives.values import value_objective, with_value
from verifiers.problem import Problem
from verifiers.rewards.problem_file import row_reader

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(page for page in (DOCS / "methods").glob("*.md") if page.stem != "index")
online = partial(named, max_completion_length=1024)
VALUES: dict[str, list[str]] = {  # of each page its formulas, in order
    "sft": [describe(sft())],
    "mixtures": [describe(DoReMi(["a", "b"]).objective())],
    "dpo": [
        *(describe(preference(name)) for name in ("sigmoid", "hinge", "ipo", "robust", "simpo")),
        describe(preference("sigmoid", label_smoothing=0.1)),
        describe(preference("sigmoid", nll_coef=1.0)),
    ],
    "orpo": [describe(preference("orpo"))],
    "kto": [describe(preference("kto"))],
    "grpo": [
        *(describe_algorithm(online(name)) for name in ALGORITHMS if name not in ("raft", "pass-at-k", "best-of-n", "grpo-ps", "ppo")),
        describe_algorithm(online("grpo", kl=KL(0.04), correction=Correction(), entropy_coef=0.001)),
    ],
    "ppo": [
        describe_algorithm(online("ppo")),
        describe(value_objective()),
        describe(with_value(online("ppo").objective, coef=0.1)),
    ],
    "best-of-n": [
        *(describe_algorithm(online("pass-at-k", baseline=baseline)) for baseline in PASS_AT_K),
        describe_algorithm(online("best-of-n")),
    ],
    "rft": [describe(sft()), describe_algorithm(online("raft"))],
    "distill": [
        describe_algorithm(named(name, max_completion_length=1024, among=DISTILLATIONS, **options))
        for name, options in (("sampled", {}), ("sampled", {"to_go": True}), ("top-k", {}))
    ],
    "r1": [describe_algorithm(online("grpo")), describe(sft())],
    "deliberative": [describe(sft()), describe_algorithm(online("grpo"))],
    "warp": [describe_algorithm(online("grpo", kl=KL(0.04)))],
    "spin": [describe(preference("sigmoid"))],
    "iterative": [describe(bradley_terry()), describe_algorithm(online("grpo"))],
    "reward_model": [
        describe(bradley_terry()),
        describe(bradley_terry(margin=0.5, centering=0.01)),
        describe(bradley_terry(margins=True)),
        describe(outcome_bce()),
        describe(step_bce()),
    ],
    "grpo_ps": [describe_algorithm(online("grpo-ps")), describe_algorithm(online("grpo-ps", outcome_weight=0.5))],
}


def read_judged(row: dict[str, Any]) -> Any:
    return (read_pair if "chosen" in row else read_labelled if "label" in row else read_steps)(row)


READERS: dict[str, Any] = {
    **dict.fromkeys(("sft", "spin", "mixtures"), read_supervised), **dict.fromkeys(("dpo", "orpo"), read_pair), "kto": read_labelled,
    "reward_model": read_judged,
}  # fmt: skip


def blocks(page: Path, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_formulas_are_those_that_the_values_print(page: Path) -> None:
    assert [block for block in blocks(page) if block.startswith("loss = ")] == VALUES[page.stem]


def test_every_method_has_a_page() -> None:
    assert {page.stem for page in PAGES} == VALUES.keys() >= {name.replace("-", "_") for name in COMMANDS if name in plan.OFFLINE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_rows_are_read(page: Path) -> None:
    rows = [json.loads(line) for block in blocks(page, "json") for line in block.splitlines()]
    assert rows
    for row in rows:
        if page.stem in READERS:
            READERS[page.stem](row)  # raises InputError for what it cannot read
        else:
            assert isinstance(row_reader()(row), Problem)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "python.md"], ids=lambda page: page.stem)
def test_python_uses_names_that_exist(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reckon":
                assert hasattr(reckon, node.attr), node.attr
