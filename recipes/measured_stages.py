"""What the stories of one method share: a start, what is sampled from it, a measurement before and after, and the RESULT line.

With --tiny everything is made on the spot: the quickstart's model of 0.3M parameters after its warm start, and sums and differences of
two-digit numbers. Otherwise the story is told of a model and problems of yours. A story is the commands that one would type, in a row;
each leaves a folder of its own in the story's.
"""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes import quickstart
from recipes.selection.data_command import PairsConfig
from recipes.selection.data_command import run as select
from recipes.setup.choices import Full, Tune
from recipes.setup.choices import Lora as Adapter
from recipes.setup.problem_set import BOXED
from recipes.spelling.result_line import tell_result
from recipes.training import sample as sampling
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.evaluation.accuracy import Accuracy

TINY_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class Story:
    """The options of every story."""

    tiny: bool = False
    """Make a tiny model and its problems here: minutes on two cores, no download."""
    model: str = ""
    """Hub id or folder of a model."""
    data: str = ""
    """Problems to learn from: a JSONL file, or a name or folder for `datasets`."""
    eval_data: str = ""
    """Problems to measure on (a JSONL file)."""
    system_prompt: str = BOXED
    """First message; "" for none."""
    max_completion_length: int = 1024
    """Tokens of a completion at most."""
    limit: int | None = None
    """Use so many problems at most."""
    run: Path = Path("runs/story")
    """Folder of the story: each of its stages has one in it."""
    overwrite: bool = False
    """Delete an earlier story in that folder first."""
    seed: int = 0
    """All randomness is a function of it."""


@dataclass(frozen=True)
class Start:
    """Where a story begins."""

    model: str
    train: str
    held_out: str
    tune: Tune
    speaking: Mapping[str, Any]
    """Options of whoever samples."""


def begin(story: Story) -> Start:
    """The folder made, and in it the start. Raises InputError for what is missing, or would be ignored."""
    given = [f"--{name.replace('_', '-')}" for name in ("model", "data", "eval_data") if getattr(story, name)]
    if story.tiny and given:
        raise InputError(f"{' and '.join(given)} would be ignored with --tiny; leave one of them out")
    if not story.tiny and len(given) < 3:
        raise InputError("give --model, --data and --eval-data, or --tiny for a model and problems that are made here")
    if story.run.exists():
        if not story.overwrite:
            raise InputError(f"the folder {story.run} exists; choose another with --run, or delete it with --overwrite")
        if not (story.run / "story.json").exists():
            raise InputError(f"--overwrite: {story.run} is not a story's folder (it has no story.json), so it is not deleted")
        shutil.rmtree(story.run)
    story.run.mkdir(parents=True)
    write_json(story.run / "story.json", {"seed": story.seed, "model": story.model or "tiny"})
    if story.tiny:
        return _tiny(story)
    speaking = {"system_prompt": story.system_prompt, "max_completion_length": story.max_completion_length}
    return Start(story.model, story.data, story.eval_data, Adapter(), speaking)


def _tiny(story: Story) -> Start:
    from verifiers.rewards.problem_file import write_problems

    train, held_out = quickstart.load_data(quickstart.Config(seed=story.seed))
    for name, problems in (("train", train[: story.limit or 1000]), ("held_out", held_out)):
        write_problems(story.run / f"{name}.jsonl", problems)
    speaking = {"system_prompt": "", "max_completion_length": TINY_LENGTH, "max_sequences": 1024}
    return Start("", str(story.run / "train.jsonl"), str(story.run / "held_out.jsonl"), Full(), speaking)


def warm_start(story: Story) -> str:
    """The tiny model after the quickstart's warm start: it answers at once, and is mostly wrong. About 100 seconds."""
    from recipes.setup import arithmetic, online
    from rollout.chat import Chat

    config = quickstart.Config(seed=story.seed)
    problems, _ = quickstart.load_data(config)
    with online.verifier_pool(config, problems) as pool:
        quickstart.warm_start(config, story.run / "start", problems, Chat(arithmetic.make_tokenizer()), pool.verify_many)
    return str(story.run / "start")


def accuracy_of(model: str, start: Start, place: Path, *, seed: int) -> "Accuracy":
    """Greedy accuracy on the held-out problems, by `reckon sample`."""
    from rl.evaluation.accuracy import accuracy

    groups: list[Any] = []
    config = sampling.Config(
        model=model, data=start.held_out, run=place, temperature=0.0, completions_per_problem=1, seed=seed, problems_per_chunk=500,
        **start.speaking,
    )  # fmt: skip
    sampling.sample(sampling.resolve(config), hand_over=groups.extend)
    return accuracy(groups)


def stored(model: str, start: Start, place: Path, story: Story, *, completions: int = 16) -> str:
    """The folder of what `reckon sample` samples for the training problems."""
    config = sampling.Config(
        model=model, data=start.train, run=place, completions_per_problem=completions, seed=story.seed, limit=story.limit,
        skip_long_prompts=True, **start.speaking,
    )  # fmt: skip
    sampling.sample(sampling.resolve(config))
    return str(place)


def selected(config: Any) -> str:
    """The file that `reckon data` writes."""
    select(config)
    return str(config.out)


def pairs_from(start: Start, story: Story) -> str:
    """The file of right answers against wrong ones of the same problem, out of what the start samples."""
    store = stored(start.model, start, story.run / "store", story)
    return selected(PairsConfig(stores=(store,), out=story.run / "pairs.jsonl", seed=story.seed))


def tell(story: Story, method: str, learn: Callable[[Start], int], *, tiny_start: Callable[[Story], str] = warm_start) -> int:
    """The story, from its start to the RESULT line: `learn` leaves what it learnt in the folder `method` and returns an exit code."""
    began = time.monotonic()
    start = begin(story)
    if story.tiny:
        start = replace(start, model=tiny_start(story))
    before = accuracy_of(start.model, start, story.run / "before", seed=story.seed)
    if code := learn(start):
        return code
    after = accuracy_of(str(story.run / method), start, story.run / "after", seed=story.seed)
    low, high = after.interval
    seconds = round(time.monotonic() - began, 1)
    result = {"before": round(before.value, 4), "after": round(after.value, 4), "ci95": [round(low, 4), round(high, 4)], "seconds": seconds}
    print(f"before: {before}\nafter:  {after}", file=sys.stderr)
    tell_result(result)
    return 0
