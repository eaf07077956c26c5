"""What TRL's own PPO says of given numbers, as JSON: `PYTHONPATH=FOLDER python old_trl_ppo.py < inputs.json`.

FOLDER holds trl 0.11.4, the last release with `PPOTrainer.compute_advantages` and `.loss` (`pip install --no-deps --target FOLDER
trl==0.11.4`). Only those two are called, on a stand-in for the trainer that has its settings: never where it puts a reward.
"""

import json
import sys
from types import SimpleNamespace

import torch


def main() -> None:
    from trl.trainer.ppo_trainer import PPOTrainer

    given = json.load(sys.stdin)
    trainer = SimpleNamespace(config=SimpleNamespace(**given["config"], whiten_rewards=False, ratio_threshold=1e9))
    numbers = {name: torch.tensor(given[name], dtype=torch.float64) for name in ("rewards", "value", "vpred", "old_logp", "logp", "mask")}
    mask = numbers["mask"]
    values, advantages, returns = PPOTrainer.compute_advantages(trainer, numbers["value"], numbers["rewards"], mask)
    told = (numbers["old_logp"], values, torch.zeros(*mask.shape, 2, dtype=torch.float64), numbers["vpred"], numbers["logp"], mask)
    policy, value, _ = PPOTrainer.loss(trainer, *told, advantages, returns)
    found = {"advantages": advantages * mask, "returns": returns * mask, "policy_loss": policy, "value_loss": value}
    print(json.dumps({name: tensor.tolist() for name, tensor in found.items()}))


if __name__ == "__main__":
    main()
