"""The memory of a plan: the tokens that a step can have, and a real update measured against the estimate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipes.setup.memory import micro_batch_tokens
from recipes.setup.options import Options
from rl.objectives.batch import micro_batches
from verifiers.child_environment import PACKAGE_ROOT

ROOT = Path(PACKAGE_ROOT)


@pytest.mark.parametrize(
    ("options", "length", "tokens"),
    [
        (Options(problems_per_step=2, completions_per_problem=4), 300, 2400),  # 8 sequences are all that there is
        (Options(problems_per_step=64, completions_per_problem=8), 300, 16384),
        (Options(problems_per_step=4, completions_per_problem=4, updates_per_rollout=2), 500, 4000),  # 2 of the 4 groups at a time
        (Options(problems_per_step=3, completions_per_problem=4, updates_per_rollout=2), 500, 4000),
        (Options(tokens_per_micro_batch=100), 500, 500),  # a longer single sequence is a part of its own
    ],
)
def test_a_plan_counts_the_tokens_that_a_step_can_have(options: Options, length: int, tokens: int) -> None:
    assert micro_batch_tokens(options, length) == tokens


@pytest.mark.parametrize("seed", range(20))
def test_no_micro_batch_is_larger_than_planned(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    options = Options(problems_per_step=3 + seed, completions_per_problem=4, tokens_per_micro_batch=700)
    lengths = torch.randint(1, 101, (options.problems_per_step * 4,), generator=generator)
    parts = micro_batches(lengths, torch.arange(len(lengths)), options.tokens_per_micro_batch)
    assert max(len(part) * int(lengths[part].max()) for part in parts) <= micro_batch_tokens(options, 100)


MEASURE = """
import json, resource, torch
from transformers import LlamaConfig, LlamaForCausalLM
from recipes.setup.memory import estimate
from rl.objectives.algorithms import named
from rl.objectives.batch import Batch
from rl.learning.policy import Policy

torch.set_num_threads(1)
shape = LlamaConfig(vocab_size=512, hidden_size=256, intermediate_size=768, num_hidden_layers=6, num_attention_heads=4,
                    num_key_value_heads=2, max_position_embeddings=512)
policy = Policy(LlamaForCausalLM(shape), tokens_per_micro_batch=1 << 20)

def update(rows):
    width = 128
    tokens, mask = torch.zeros(rows, width, dtype=torch.long), torch.ones(rows, width, dtype=torch.bool)
    mask[:, 0] = False
    advantage = torch.where(mask, 1.0, 0.0)
    policy.update(Batch(tokens, torch.ones(rows, width, dtype=torch.bool), mask, advantage - 5, advantage, 1.0),
                  named("grpo", max_completion_length=100), lr=0.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

small, large = update(4), update(40)
def planned(rows):
    return estimate(shape, None, bf16=False, checkpointing=False, micro_batch=rows * 128, copy_reference=False, sequences=1,
                    length=128).activations
print(json.dumps([large - small, planned(40) - planned(4)]))
"""


def test_planned_activations_are_near_a_measured_update() -> None:
    """The growth of the peak between a small and a ten times larger update of a Llama, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    measured, planned = json.loads(done.stdout.splitlines()[-1])
    assert 0.6 < planned / measured < 1.6
