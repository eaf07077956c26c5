"""The options that the stories of several stages share."""

from dataclasses import dataclass
from typing import TypeVar

from recipes.measured_stages import Story
from recipes.setup.choices import Auto, Engine
from recipes.spelling.option_values import flag_of
from verifiers.input_error import InputError, missing_place


@dataclass(frozen=True, kw_only=True)
class StoryOptions(Story):
    """What a story of several stages is told of, and where. The same command goes on with one that was stopped."""

    engine: Engine = Auto()
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate); ray (several of vllm or hf). auto takes vllm when it
    is installed; --tiny always hf."""


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
