"""`reckon data sft|pairs|difficulty|steps STORE...`: training data out of what was sampled.

The first three select (`recipes/selection/data_command.py`); `steps` samples (`recipes/labelling/step_labels.py`).
"""

from collections.abc import Sequence

from recipes.labelling import step_labels
from recipes.selection import data_command
from recipes.setup.command_line import parse_options

COMMANDS = {**data_command.COMMANDS, "steps": (step_labels.Config, "labels for the steps of responses, by roll-outs from their ends")}


def command(words: Sequence[str]) -> int:
    """`reckon data` with these words. Returns the exit code."""
    if words[:1] == ["steps"]:
        return step_labels.run(parse_options(step_labels.Config, words[1:], name="data steps"))
    return data_command.command(words, COMMANDS)


def command_names() -> list[str]:
    return list(COMMANDS)
