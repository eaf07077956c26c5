"""The options that the stories of several stages share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from recipes.setup.choices import Auto, Engine
from recipes.setup.problem_set import BOXED
from recipes.spelling.option_values import flag_of
from verifiers.input_error import InputError, missing_place


@dataclass(frozen=True, kw_only=True)
class StoryOptions:
    """What a story is told of, and where."""

    tiny: bool = False
    """Make a tiny model and its problems here: minutes on two cores, no download."""
    model: str = ""
    """Hub id or folder of a model."""
    data: str = ""
    """Problems to learn from: a JSONL file, or a name or folder for `datasets`."""
    eval_data: str = ""
    """Problems to measure on (a JSONL file); none of them is learnt from."""
    system_prompt: str = BOXED
    """First message; "" for none."""
    max_completion_length: int = 1024
    """Tokens of a completion at most."""
    limit: int | None = None
    """Use so many problems at most."""
    engine: Engine = Auto()
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate); ray (several of vllm or hf). auto takes vllm when it
    is installed; --tiny always hf."""
    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/story")
    """Folder of the story: each of its stages has one in it. The same command goes on with one that was stopped."""
    overwrite: bool = False
    """Delete an earlier story in that folder first."""


AnyStory = TypeVar("AnyStory", bound=StoryOptions)


def require_whole(story: AnyStory, *, data: bool = True) -> AnyStory:
    """Raises InputError for what a story lacks, or would ignore. `data`: whether it learns from --data."""
    needed = ("model", *(("data",) if data else ()), "eval_data")
    given = [name for name in ("model", "data", "eval_data") if getattr(story, name)]
    if story.tiny and given:
        raise InputError(f"{' and '.join(map(flag_of, given))} would be ignored with --tiny; leave one of them out")
    if not story.tiny and (lacking := [flag_of(name) for name in needed if name not in given]):
        raise InputError(f"{' and '.join(lacking)} missing; or give --tiny for a model and problems that are made here")
    for name in given:
        if (missing := missing_place(getattr(story, name))) is not None:
            raise InputError(f"{flag_of(name)}: {missing}")
    return story
