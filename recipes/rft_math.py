"""Rejection-sampling fine-tuning: two rounds of sampling, keeping right answers, and learning from them.

    python -m recipes.rft_math --tiny
    python -m recipes.rft_math --model Qwen/Qwen2.5-0.5B-Instruct --data train.jsonl --eval-data test.jsonl

Each round samples 16 completions for each problem from what the last one learnt, keeps right ones, each solution once, and trains the start
on all that was kept so far (`reckon rft`). --tiny: the quickstart's model after its warm start. From 6.2 to 89.8 % of 500
held-out problems (95 % interval 86.8 to 92.2), seed 0, 462 seconds on one thread of a busy machine.
No number of a larger run is here: none was measured on a GPU.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from recipes.measured_stages import Start, Story, tell
from recipes.setup.command_line import guarded, parse_options
from recipes.training import rft


@dataclass(frozen=True, kw_only=True)
class Config(Story):
    """Rejection-sampling fine-tuning in rounds."""

    rounds: int = 2
    """Rounds of sampling and learning."""
    run: Path = Path("runs/rft_math")


def run(config: Config) -> int:
    """The story, from its start to the RESULT line. Returns the exit code."""
    own = {"lr": 3e-4, "examples_per_step": 64, "epochs": 3.0} if config.tiny else {}

    def learn(start: Start) -> int:
        how = rft.Config(
            model=start.model, data=start.train, run=config.run / "rft", seed=config.seed, tune=start.tune, rounds=config.rounds,
            completions_per_problem=16, limit=config.limit, **start.speaking, **own,
        )  # fmt: skip
        return rft.run(how)

    return tell(config, "rft", learn)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="rft-math"))))
