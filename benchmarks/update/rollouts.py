"""Rollouts that were made up, of a random model, so that two libraries train on the very same tokens: lengths and verdicts are the case.

`model/` is a Llama-type model of about 30M parameters with a vocabulary of 32,000 and a tokenizer of as many numbers; `steps.jsonl` has a
line for each step: groups of a prompt, completions and rewards.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOCABULARY = 32_000
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 4, "max_position_embeddings": 4096, "tie_word_embeddings": True,
}  # fmt: skip
TINY = SHAPE | {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
PAD, EOS, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Lengths:
    """What a step's rollout looks like."""

    problems: int
    completions: int
    prompt: int
    """Tokens."""
    mean: int
    """Tokens of a completion."""
    largest: int
    """The longest completion of a step has as many; equal to `mean`: all have."""
    silent: int = 0
    """Groups whose rewards are all the same, so that they teach nothing."""

    def drawn(self, source: random.Random) -> list[int]:
        """Log-normal, with the spread that makes a completion of `largest` the likely longest of a few hundred; of this mean."""
        count = self.problems * self.completions
        if self.largest == self.mean:
            return [self.mean] * count
        found = [min(self.largest, max(2, round(source.lognormvariate(math.log(self.mean) - 0.5, 1.0)))) for _ in range(count)]
        found[source.randrange(count)] = self.largest
        rest = (self.mean * count - self.largest) / (sum(found) - self.largest)
        return [length if length == self.largest else min(self.largest, max(2, round(rest * length))) for length in found]


def write_rollouts(folder: Path, lengths: Lengths, steps: int, *, seed: int = 0) -> Path:
    source, file = random.Random(seed), folder / "steps.jsonl"
    draw = lambda count: [source.randrange(FIRST, VOCABULARY) for _ in range(count)]  # noqa: E731
    with file.open("w", encoding="utf-8") as lines:
        for _ in range(steps):
            sizes, groups, size = lengths.drawn(source), [], lengths.completions
            for number in range(lengths.problems):
                completions = [[*draw(length - 1), EOS] for length in sizes[number * size : (number + 1) * size]]
                rewards = [1.0] * size if number < lengths.silent else [float(n % 2) for n in range(size)]
                groups.append({"prompt": draw(lengths.prompt), "completions": completions, "rewards": rewards})
            lines.write(json.dumps(groups) + "\n")
    return file


def read_rollouts(file: Path) -> list[list[dict[str, Any]]]:
    """[step][group]."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def completion_tokens(steps: Sequence[Sequence[dict[str, Any]]]) -> int:
    return sum(len(completion) for groups in steps for group in groups for completion in group["completions"])


def write_model(folder: Path, *, tiny: bool = False, seed: int = 0) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    ids = {"pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": None}
    LlamaForCausalLM(LlamaConfig(**TINY if tiny else SHAPE, **ids)).save_pretrained(folder)
    inner = Tokenizer(models.WordLevel({"<pad>": PAD, "<eos>": EOS} | {str(n): n for n in range(FIRST, VOCABULARY)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<pad>").save_pretrained(folder)
    return folder
