"""The most resident memory that log-probabilities and their gradient take over their inputs, each in a process of its own."""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.parts import ROOT

TOKENS, VOCABULARY, WIDTH = 32_768, 151_936, 64


def head_gigabytes() -> dict[str, float]:
    """Of a head that does not train, of one that does, and of half the tokens."""
    kinds = {"adapter": (False, TOKENS), "full": (True, TOKENS), "adapter, half the tokens": (False, TOKENS // 2)}
    return {name: _of(trains, tokens) for name, (trains, tokens) in kinds.items()}


def _of(trains: bool, tokens: int) -> float:
    command = [sys.executable, "-m", "benchmarks.update.head", "--tokens", str(tokens), *["--trains"] * trains]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return round(float(done.stdout.split()[-1]), 3)


def _most_resident() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def main() -> None:
    import torch

    from rl.forward.output_head import HeadRule, chosen_terms
    from rl.learning.token_terms import MAX_LOGITS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--trains", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    hidden = torch.randn(given.tokens, WIDTH, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, requires_grad=given.trains)
    before = _most_resident()
    rule = HeadRule(1.0, None, 1.0, False, MAX_LOGITS // VOCABULARY)
    logp, _ = chosen_terms(hidden, weight, None, torch.randint(VOCABULARY, (given.tokens,)), rule)
    logp.sum().backward()
    print((_most_resident() - before) / 1e9)


if __name__ == "__main__":
    main()
