"""The same problems for EleutherAI's lm-eval-harness: a task that asks with our prompts and judges with our verifiers.

    reckon eval --model M --data test.jsonl --lm-eval task
    lm_eval --model hf --model_args pretrained=M,dtype=float32 --include_path task --tasks reckon_test

A folder of one task a set: `reckon_NAME.yaml`, its problems with prompts as text, and a module `reckon_judge`, which needs Reckon
installed where the harness runs. Sampling is greedy there; what a text is judged by is the same code in the same worker processes.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool

if TYPE_CHECKING:
    from rollout.chat import Chat

MODULE = "reckon_judge"
JUDGE = "# Judges what was sampled as `reckon eval` does.\nfrom recipes.evaluation.lm_eval_task import process_results\n"


def write_task(
    folder: Path, sets: Mapping[str, Sequence[Problem]], chat: "Chat", *, reward: Sequence[str], max_tokens: int, deadline: float
) -> list[str]:
    """Writes the tasks of all sets. Returns their names. Raises InputError for a prompt whose text would be other tokens there."""
    import yaml

    judging = {"reward": list(reward), "deadline": deadline}
    names: list[str] = []
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / f"{MODULE}.py").write_text(JUDGE, encoding="utf-8")
        for name, problems in sets.items():
            if (own := f"reckon_{name.replace('-', '_')}") in names:
                raise InputError(f"two sets would be the task {own}; give one another name")
            names.append(own)
            rows = [_row(problem, chat) | judging for problem in problems]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (temporary / f"{names[-1]}.jsonl").write_text(text, encoding="utf-8")
            stops = [chat.decode_all([token]) for token in chat.stop_ids]
            task = _task(names[-1], folder.resolve() / f"{names[-1]}.jsonl", stops, max_tokens)
            plain = yaml.safe_dump(task, sort_keys=False, allow_unicode=True)
            (temporary / f"{names[-1]}.yaml").write_text(plain + f"process_results: !function {MODULE}.process_results\n", encoding="utf-8")
    return names


def _task(name: str, rows: Path, stops: list[str], max_tokens: int) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": stops, "max_gen_toks": max_tokens, "do_sample": False},
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("accuracy", "no_verdict")],
        "metadata": {"version": 1.0},
    }


def _row(problem: Problem, chat: "Chat") -> dict[str, Any]:
    tokens = chat.render(problem)
    text = chat.decode_all(tokens)
    if chat.encode(text) != tokens:
        raise InputError(f"problem {problem.id}: its prompt, written as text, is other tokens; the harness would ask something else")
    return {
        "prompt": text, "given": chat.given(tokens), "answer": problem.answer, "verifier": problem.verifier, "id": problem.id,
        "meta": json.dumps(dict(problem.meta), default=str),
    }  # fmt: skip


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """For the harness: whether the response is right, and whether there is no verdict on it (which counts as not right there)."""
    problem = Problem(doc["id"], doc["prompt"], doc["answer"], doc["verifier"], json.loads(doc["meta"]))
    [verdict] = _pool(tuple(doc["reward"]), float(doc["deadline"])).verify_many([(problem, doc["given"] + results[0])])
    return {"accuracy": float(verdict.status is Status.RIGHT), "no_verdict": float(verdict.score is None)}


@cache
def _pool(reward: tuple[str, ...], deadline: float) -> VerifierPool:
    """One for the life of the harness, which ends with it."""
    return VerifierPool(reward, workers=1, deadline=deadline)
