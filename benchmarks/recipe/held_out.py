"""Greedy accuracy of a saved model or adapter, by plain transformers and the problems' verifiers.

Every method and every peer is judged here, in the same way, from what it left on disk; no engine or loop of ours takes part.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl.evaluation.accuracy import Accuracy
from rollout.chat import Chat, generation_stops, load_tokenizer
from verifiers.problem import Problem
from verifiers.rewards.problem_file import read_problems
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool

AT_ONCE = 50


def judged(base: str, trained: Path | None, problems: Path, *, system: str, max_tokens: int) -> dict[str, Any]:
    """Of `trained`, an adapter of `base` or a model of its own, or of `base` itself; with the 95 % Wilson interval."""
    asked, chat = spoken_to(base, problems, system=system)
    answers = greedy(load(base, trained), chat, asked, max_tokens)
    with VerifierPool() as pool:
        verdicts = pool.verify_many(list(zip(asked, answers, strict=True)))
    found = Accuracy(sum(verdict.status is Status.RIGHT for verdict in verdicts), len(verdicts))
    low, high = found.interval
    return {"accuracy": round(found.value, 4), "ci95": [round(low, 4), round(high, 4)], "n": found.total}


def spoken_to(base: str, problems: Path, *, system: str) -> tuple[list[Problem], Chat]:
    """(the problems of a file, how that model is asked them)."""
    asked = read_problems(problems)
    chat = Chat(load_tokenizer(base), system_prompt=system, extra_stop_ids=generation_stops(base))
    chat.vet(asked)
    return asked, chat


def load(base: str, trained: Path | None) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = trained is not None and (trained / "adapter_config.json").is_file()
    place = base if adapter or trained is None else trained
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, trust_remote_code=False)
    return (PeftModel.from_pretrained(model, trained) if adapter else model).eval()


def greedy(model: Any, chat: Chat, problems: Sequence[Problem], max_tokens: int) -> list[str]:
    """One response each."""
    return responses(model, chat, problems, max_tokens, do_sample=False)


def responses(model: Any, chat: Chat, problems: Sequence[Problem], max_tokens: int, **how: Any) -> list[str]:
    """One response each, `how` as `generate` takes it; on one thread: several wait for each other where the machine does more."""
    import torch

    torch.set_num_threads(1)
    found = []
    for start in range(0, len(problems), AT_ONCE):
        prompts = [chat.render(problem) for problem in problems[start : start + AT_ONCE]]
        width = max(map(len, prompts))
        ids = torch.tensor([[chat.pad_id] * (width - len(prompt)) + prompt for prompt in prompts])
        there = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.no_grad():
            done = model.generate(
                ids, attention_mask=there, max_new_tokens=max_tokens, eos_token_id=list(chat.stop_ids), pad_token_id=chat.pad_id, **how
            )
        found += [chat.tokenizer.decode(row[width:], skip_special_tokens=True) for row in done.tolist()]
        print(f"  judged {len(found)}/{len(problems)}", file=sys.stderr)
    return found
