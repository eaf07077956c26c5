"""Reckon from Python: what the commands do, over objects of your own.

    import reckon

    run = reckon.grpo(model=model, tokenizer=tokenizer, problems=[{"prompt": "What is 2 + 3?", "answer": "5"}], steps=50)
    print(reckon.evaluate(run, problems=held_out))

Names are imported when they are first asked for, so that `import reckon` costs nothing. What they are is said in docs/python.md.
"""

from importlib import import_module
from typing import Any

_PLACES = {
    **dict.fromkeys(
        ("grpo", "ppo", "sft", "dpo", "orpo", "kto", "reward_model", "rft", "iterate", "warp", "distill"), "recipes.in_python.training"
    ),
    **dict.fromkeys(("sample", "evaluate"), "recipes.in_python.sampling"),
    "view": "recipes.in_python.looking",
    "Run": "recipes.in_python.objects",
    "find_model": "recipes.setup.model_source",
    **dict.fromkeys(
        ("HF", "VLLM", "Auto", "Server", "Ray", "Lora", "Full", "KL", "Initial", "MovingAverage", "Renewed", "GRPO", "DrGRPO", "DAPO",
         "GSPO", "CISPO", "RLOO", "ReinforcePP", "ReinforcePPBaseline", "MaxRL", "RAFT", "PassAtK", "BestOfN", "GRPOPS", "PPO",
         "Sampled", "TopK", "TrunkCritic", "AdapterCritic", "SeparateCritic", "Truncate", "Mask", "TensorBoard", "WandB", "Trackio"),
        "recipes.setup.choices",
    ),
    "VerifierPool": "verifiers.worker_pool.verifier_pool",
    **dict.fromkeys(("Problem", "make_problem"), "verifiers.problem"),
    **dict.fromkeys(("Verdict", "right", "wrong"), "verifiers.verdict"),
    "InputError": "verifiers.input_error",
    "load_reward": "verifiers.rewards.load_reward",
}  # fmt: skip

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'reckon' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), "load" if name == "load_reward" else name)


def __dir__() -> list[str]:
    return sorted(_PLACES)
