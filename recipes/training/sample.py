"""`reckon sample`: completions of any model for your problems, scored, into a store.

    reckon sample --model Qwen/Qwen2.5-1.5B-Instruct --data openai/gsm8k --subset main --completions-per-problem 16
    reckon data sft runs/sample --out sft.jsonl         and pairs, and difficulty: what the store is for
    reckon sample --resume runs/sample

Problems are sampled in chunks, each written as one Parquet file when all of it is scored. A chunk is a function of the weights, the
problems and the seed: a run that was killed goes on with `--resume` and writes the same bytes (on a CPU, with the same engine and
--max-sequences), and an interruption costs the chunk in flight. As with every recipe, a folder that is taken is refused rather than
added to.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from recipes.actors.engines import make_engine, with_engine
from recipes.selection.data_text import SAME
from recipes.selection.problem_difficulty import SolveRate, summary
from recipes.setup.choices import Auto, Engine
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.model_source import IN_MEMORY, find_model, say_quantization
from recipes.setup.options import Reward, TemplateArgument, absolute, check_numbers
from recipes.setup.problem_set import BOXED, Given, resolve_dtype, with_good_golds
from recipes.setup.problem_source import load_problems
from recipes.setup.resuming import resumed
from recipes.setup.starting_point import chat_of
from recipes.spelling.result_line import tell_run
from rollout.interruption import interruptible, stage
from rollout.progress import watched
from verifiers.atomic_files import remove_leftovers
from verifiers.input_error import InputError, missing_place

Equip = Callable[[Any, Any], Any]
"""(engine, chat) -> the engine with tools around it."""

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rl.runs.run_folder import RunFolder
    from rollout.chat import Chat
    from rollout.player import Group, Player, Verify
    from verifiers.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ProblemData:
    """Which problems, and how they are read."""

    data: str = ""
    """JSONL file of problems (ours, GSM8K's, MATH's), or a name or folder for `datasets`."""
    subset: str | None = None
    """Configuration of the data set, such as "main" of openai/gsm8k."""
    split: str | None = None
    """Split of the data set (default train)."""
    prompt_column: str | None = None
    """Column or field of the prompt (default: prompt, question or problem)."""
    answer_column: str | None = None
    """Column or field of the gold answer (default: answer, gold or solution)."""
    limit: int | None = None
    """Read so many problems at most."""
    skip_bad_gold: bool = False
    """Drop problems whose gold answer is empty or rejected by its own verifier, instead of stopping."""
    drop_answer_turn: bool = False
    """Where a prompt ends with the assistant's turn (messages made for SFT), drop that turn instead of stopping."""
    skip_long_prompts: bool = False
    """Drop problems whose prompt and completion do not fit into the model's context, instead of stopping."""
    trust_data_verifiers: bool = False
    """Let rows name code (`file.py:function`) as their verifier, which then runs here."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """How the model is spoken to, and what it says sampled."""

    system_prompt: str = BOXED
    """First message; "" for none."""
    prefill: str = ""
    """The beginning of every response, given rather than sampled, such as "<think>"."""
    chat_template: bool = True
    """Use the tokenizer's chat template where it has one; --no-chat-template encodes prompts as they stand."""
    template_arg: TemplateArgument = ()
    """What the chat template reads besides the messages, as name=value, such as enable_thinking=false; repeatable."""

    max_completion_length: int = 1024
    """Tokens of a completion at most."""
    temperature: float = 1.0
    """Sampling temperature; 0 is greedy, one completion a problem."""
    problems_per_chunk: int = 32
    """Problems sampled together and written as one file: what an interruption may cost."""
    dtype: Literal["fp32", "bf16", "auto"] = "auto"
    """Precision of the computation; auto: bf16 on a GPU, else fp32."""
    max_sequences: int = 128
    """Completions that the engine samples at once: a memory setting."""

    engine: Engine = Auto()
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate); ray (several of vllm or hf, each an actor with a GPU
    or a core of its own). auto takes vllm when it is installed."""

    workers: int = 2
    """Verifier processes."""
    deadline: float = 10.0
    """Seconds for one verdict; past it the verifier is killed and the completion has none."""

    ahead: ClassVar[int] = 0  # engines ask: nothing is updated meanwhile


@dataclass(frozen=True, kw_only=True)
class Judged(Speech):
    """Several completions of each problem, scored."""

    completions_per_problem: int = 8
    """G: completions sampled for each problem."""
    reward: Reward = ()
    """A verifier's name, `package.module:function` or `file.py:function`, optionally `(parameter=value, ...)` and `=weight`; also
    `gate(a, b)` and `minimum(a, b)`. Repeatable, the first decides what counts as right. Default: each problem's own verifier."""


@dataclass(frozen=True, kw_only=True)
class StartingModel:
    """What the first completion is sampled from."""

    model: str = ""
    """Hub id or folder of any causal language model; what a run learnt (its folder, a checkpoint, an adapter); a GGUF file."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""


@dataclass(frozen=True, kw_only=True)
class Config(Judged, ProblemData, StartingModel):
    """Completions of any model for your problems, scored, into a store."""

    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/sample")
    """Folder of the run."""
    overwrite: bool = False
    """Delete an earlier run in that folder first."""
    resume: Path | None = None
    """Continue this run exactly where it stopped; all other options come from it."""


def run(config: Config) -> int:
    """Check, load, sample. Returns the exit code."""
    return sample(resolve(resumed(config)))


def sample(
    config: Config, *, given: Given | None = None, hand_over: "Callable[[Sequence[Group]], None]" = lambda groups: None, say: bool = True,
    equip: Equip | None = None,
) -> int:  # fmt: skip
    """`run`, of resolved options. `hand_over` is given the groups of each chunk. `say`: print how much was right. `equip`: tools."""
    with interruptible(), ExitStack() as opened:
        with stage("checking the data and loading the model", "nothing was written yet"):
            player, problems, folder = _prepare(config, opened, given, equip)
        measured = _sample_all(config, player, problems, folder, hand_over)
    if say and any(problem.verifier != SAME for problem in problems):  # self-play asks what is the data's own text, and says so itself
        print(summary(measured))
    print(f"{len(problems) * config.completions_per_problem:,} completions in {folder.rollouts.folder}", file=sys.stderr)
    tell_run(folder.path)
    return 0


def resolve(config: Config) -> Config:
    """Paths made absolute, so that a run can be resumed from anywhere. Raises InputError for what is missing or would be ignored."""
    check_numbers(replace(config, temperature=config.temperature or 1.0))
    if config.temperature == 0 and config.completions_per_problem > 1:
        raise InputError("--temperature 0 says the same every time; give --completions-per-problem 1 with it, or a temperature above 0")
    if not config.model:
        raise InputError("--model is missing; give a hub id or the folder of a model")
    if (missing := missing_place(config.model)) is not None:
        raise InputError(f"--model: {missing}")
    if not config.data:
        raise InputError("--data is missing; give a JSONL file of problems or a data set's name")
    ignored = [f"--{name}" for name in ("subset", "split") if getattr(config, name) is not None]
    if ignored and Path(config.data).is_file():
        raise InputError(f"{' and '.join(ignored)} would be ignored: {config.data} is a file, not a data set; leave it out")
    if config.template_arg and not config.chat_template:
        raise InputError("--template-arg would be ignored with --no-chat-template; leave one of them out")
    return replace(config, model=_standing_place(config), data=absolute(config.data))


def _standing_place(config: Config) -> str:
    """The model's place, of a run the stage that it means now: what is resumed when the run has gone on is still of one policy."""
    if config.gguf_file or not Path(config.model).is_dir():
        return absolute(config.model)
    source = find_model(config.model)
    return absolute(config.model) if source.gguf else (source.adapters or (source.base,))[-1]


def _sample_all(
    config: Config, player: "Player", problems: "Sequence[Problem]", folder: "RunFolder",
    hand_over: "Callable[[Sequence[Group]], None]",
) -> list[SolveRate]:  # fmt: skip
    """Every chunk, sampled or found; how hard each problem was."""
    from rl.evaluation.accuracy import accuracy
    from rl.loop.chunks import sample_chunks

    measured: list[SolveRate] = []
    remedy = f"continue with --resume {folder.path}"
    try:
        with stage("sampling", f"the chunks that are written are kept; {remedy}"):
            chunks = sample_chunks(problems, player, folder.rollouts, size=config.problems_per_chunk, seed=config.seed)
            for groups in chunks:
                hand_over(groups)
                measured += [SolveRate(group.problem, accuracy([group])) for group in groups]
    except KeyboardInterrupt:
        folder.write_manifest(status="interrupted")
        raise
    except InputError as error:  # an engine or a verifier that gave up
        folder.write_manifest(status="stopped", detail=str(error))
        raise InputError(f"the run stopped: {error}; once that is mended, {remedy}") from error
    folder.write_manifest(status="done")
    return measured


def _load_policy(config: Config) -> "Policy":
    from rl.learning.policy import Policy

    source = find_model(config.model, gguf_file=config.gguf_file)
    say_quantization(source)
    with watched(f"loading {source.in_words()}"):
        return Policy(source.load_model(config.dtype, lora=True, trains=False), dtype=config.dtype)  # as wide as a LoRA's base


def load_data(config: Config) -> "list[Problem]":
    """The problems that the options name. Raises InputError for what cannot be used."""
    problems = load_problems(
        config.data, subset=config.subset, split=config.split or "train", limit=config.limit, prompt_field=config.prompt_column,
        answer_field=config.answer_column, skip_bad_gold=config.skip_bad_gold, trust_verifiers=config.trust_data_verifiers,
        drop_answer_turn=config.drop_answer_turn,
    )  # fmt: skip
    if problems.bad_gold or problems.duplicates:
        print(f"{config.data}: left out {problems.bad_gold} rows without a gold answer, {problems.duplicates} duplicates", file=sys.stderr)
    return problems


def checked(
    config: Config, opened: ExitStack, given: Given | None = None, *, place: bool = True
) -> "tuple[Config, list[Problem], Chat, Verify]":
    """(options, problems, how to speak, who judges): everything that can be wrong with them is found before any weights are read.

    `place`: the run's folder too. Raises InputError.
    """
    config = with_engine(config)
    problems = list(given.problems) if given else load_data(config)
    from recipes.setup import online  # torch and transformers: only once the cheap mistakes are ruled out

    if place:
        online.check_folder(config)
    config = replace(config, dtype=resolve_dtype(config))  # a run that is resumed elsewhere computes as it began
    chat, context = chat_of(config, find_model(config.model, gguf_file=config.gguf_file))
    problems = online.check_prompts(problems, chat, config, context, skip=config.skip_long_prompts)
    if given and given.verify:
        return config, problems, chat, given.verify
    pool = opened.enter_context(online.verifier_pool(config, problems))
    problems, _ = with_good_golds(config, problems, [], pool)
    return config, problems, chat, pool.verify_many


def _prepare(
    config: Config, opened: ExitStack, given: Given | None, equip: Equip | None = None
) -> "tuple[Player, list[Problem], RunFolder]":
    """Everything is checked before the model is loaded, and the folder made when all of it works."""
    with watched("checking the options, the data and the rewards"):
        config, problems, chat, verify = checked(config, opened, given)
    from recipes.setup import online
    from rollout.store import Source

    policy = _load_policy(config)
    longest = max(len(chat.render(problem)) for problem in problems) + config.max_completion_length
    engine = make_engine(config, policy=policy, chat=chat, max_sequences=config.max_sequences, longest=longest)
    engine = equip(engine, chat) if equip else engine
    opened.enter_context(closing(engine))
    folder = opened.enter_context(online.open_run(config, problems))
    for place in (folder.path, folder.rollouts.folder):
        remove_leftovers(place)
    player = online.make_player(config, engine, chat, verify)
    name = policy.name if config.model.startswith(IN_MEMORY) else config.model  # "" for a program's own that has none
    folder.rollouts.source = Source.of(name, player)
    return player, problems, folder


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="sample"))))
