"""GAE, whitening, the clipped value loss and the clipped policy loss against TRL's PPO before it was removed (trl 0.11.4).

`SAID` is what `old_trl_ppo.py` printed for `GIVEN`; where RECKON_OLD_TRL names a folder with that release it is asked again. Rewards of
tokens are given: where TRL itself puts an outcome is not taken over (on the first pad, in its last trainer).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rl.objectives import weights
from rl.objectives.advantage_estimation import GAE
from rl.objectives.objective import Objective
from rl.objectives.policy_gradient import clipped_ratio, surrogate
from rl.objectives.values import value_objective, with_value
from tests.rl.grids import as_rows, signal_on

GIVEN: dict[str, Any] = {
    "config": {"gamma": 0.98, "lam": 0.9, "cliprange": 0.2, "cliprange_value": 0.2, "vf_coef": 0.1},
    "rewards": [[-0.02, 0.01, 0.0, 1.0, 0], [0.03, 0.0, 0, 0, 0], [-0.01, 0.02, 0.04, -0.03, 1.0]],
    "value": [[0.259, -0.656, 0.096, 0.271, -1.109], [0.129, -0.515, -0.25, 0.137, -0.459], [-0.02, 0.144, -0.004, -0.457, -0.544]],
    "vpred": [[0.152, -0.58, 0.008, 1.094, -1.123], [0.154, -0.822, 0.19, 1.24, -0.389], [-0.393, -0.458, -0.268, 0.072, -0.529]],
    "old_logp": [[-0.921, -2.205, -3.525, -1.602, -2.759], [-2.979, -1.718, -1.413, -2.503, -2.282], [-2.418, -1.873, -2.6, -1.23, -2.75]],
    "logp": [[-0.884, -2.375, -3.413, -1.87, -3.212], [-2.868, -1.281, -1.131, -2.271, -2.224], [-2.039, -2.26, -2.837, -1.236, -2.966]],
    "mask": [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]],
}
SAID: dict[str, Any] = {
    "advantages": [
        [-0.754158495821564, 1.432044499211998, 0.10732715273399032, -0.05932602303455157, 0.0],
        [-1.8114002148221835, -0.4861406860766056, 0.0, 0.0, 0.0],
        [-0.34516004345439455, -0.5306065733161865, -0.10987201620919053, 0.9911326743873805, 1.5661597264013087],
    ],
    "returns": [
        [0.639618929592, 0.820756156, 0.908558, 1.0, 0.0],
        [-0.02047, 0.0, 0.0, 0.0, 0.0],
        [0.5656860849299841, 0.636705311712, 0.699656816, 0.798688, 1.0],
    ],
    "policy_loss": 0.09526751222871997,
    "value_loss": 0.04774089144162023,  # times vf_coef
}


def table(name: str) -> Tensor:
    return torch.tensor(GIVEN[name], dtype=torch.float64)


@pytest.fixture
def rollout() -> Any:
    """The signal: outcomes on the last tokens, and what else a token was paid as a KL of weight 1 (minus its reward)."""
    mask, rewards = table("mask").bool(), table("rewards")
    last = mask & (mask.cumsum(1) == mask.sum(1, keepdim=True))
    outcome = torch.where(last, rewards, 0.0).sum(1, keepdim=True)
    paid = torch.where(last, 0.0, rewards)
    columns = {"value": table("value"), "policy_logp": -paid, "ref_logp": torch.zeros_like(paid), "old_logp": table("old_logp")}
    signal = signal_on(outcome, mask, **columns)
    signal = type(signal)(signal.outcome, signal.valid, signal.batch)  # without steps: outcomes alone
    return signal, GAE(gamma=0.98, lam=0.9, critic_lam=0.9, kl_coef=1.0)(signal)


def test_advantages_and_returns_are_its_own(rollout: Any) -> None:
    signal, credit = rollout
    for name, own in (("advantages", "advantage"), ("returns", "returns")):
        found = as_rows(torch.where(signal.batch.mask, credit[own], 0.0), signal.batch)
        torch.testing.assert_close(found, torch.tensor(SAID[name], dtype=torch.float64), atol=1e-10, rtol=0)


def test_losses_are_its_own(rollout: Any) -> None:
    """To 1e-7: weights are float32."""
    signal, credit = rollout
    batch = signal.batch.with_columns(credit)
    terms = {"logp": table("logp").reshape(-1), "value": table("vpred").reshape(-1), "entropy": torch.zeros(15, dtype=torch.float64)}

    def loss(objective: Objective) -> float:
        return float(torch.where(batch.mask, objective.weight(batch) * objective.loss(terms, batch), 0.0).sum())

    policy = surrogate(clipped_ratio, weights.token_mean)
    assert loss(policy) == pytest.approx(SAID["policy_loss"], abs=1e-7)
    assert 0.1 * loss(value_objective(clip=0.2)) == pytest.approx(SAID["value_loss"], abs=1e-7)
    assert loss(with_value(policy, coef=0.1, clip=0.2)) == pytest.approx(SAID["policy_loss"] + SAID["value_loss"], abs=1e-7)
    assert 0.1 * loss(value_objective(clip=0)) != pytest.approx(SAID["value_loss"], abs=1e-3), "no value was clipped"


@pytest.mark.skipif("RECKON_OLD_TRL" not in os.environ, reason="RECKON_OLD_TRL names no folder with trl 0.11.4 (old_trl_ppo.py)")
def test_it_still_says_so() -> None:
    program = Path(__file__).with_name("old_trl_ppo.py")
    done = subprocess.run(
        [sys.executable, str(program)], input=json.dumps(GIVEN), capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.environ["RECKON_OLD_TRL"]},
    )  # fmt: skip
    found = json.loads(done.stdout)
    for name, value in SAID.items():
        torch.testing.assert_close(torch.tensor(found[name]), torch.tensor(value), atol=1e-10, rtol=0)
