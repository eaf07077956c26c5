"""PPO with a critic on your model and your problems: the loop, data and rewards of `reckon grpo-math`.

    reckon ppo --model Qwen/Qwen2.5-1.5B-Instruct --data openai/gsm8k --subset main
    reckon ppo --model ./my-model --data problems.jsonl --critic separate --critic-warmup 5 --epochs-per-rollout 2

The critic is a head on the policy's trunk (default), a second adapter on its base, or a model of its own.
"""

from dataclasses import dataclass
from pathlib import Path

from recipes import grpo_math
from recipes.grpo_math import lora_of, plan_facts, resolve, run, train
from recipes.setup.choices import PPO

DEFAULTS = PPO()
__all__ = ["Config", "lora_of", "plan_facts", "resolve", "run", "train"]


@dataclass(frozen=True, kw_only=True)
class Config(grpo_math.Config):
    """PPO with a critic on your model and your problems."""

    algorithm: PPO = DEFAULTS
    """PPO's settings; `reckon plan ppo` prints its formula."""
    run: Path = Path("runs/ppo")
