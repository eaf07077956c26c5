"""GRPO and its relatives on your model and your problems.

    reckon grpo-math --model Qwen/Qwen2.5-1.5B-Instruct --data openai/gsm8k --subset main
    reckon grpo-math --model ./my-model --data problems.jsonl --reward math_answer --reward my_rewards.py:brief=0.1
    reckon grpo-math --resume runs/grpo_math

Data: a JSONL file of problems (ours, GSM8K's, MATH's), or a `datasets` name. Everything is checked before the model is loaded:
options, files, golds against their own verifier, rewards, prompt lengths, disk. Numbers of a real run are not here yet: none
was measured on a GPU.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recipes.actors.engines import make_engine, with_engine
from recipes.actors.ranks import served
from recipes.setup import starting_point
from recipes.setup.choices import AdapterCritic, Full, Lora, MovingAverage, Renewed, SeparateCritic, Tune
from recipes.setup.command_line import given_options, guarded, parse_options
from recipes.setup.options import Data, Options, Rates, TemplateArgument, absolute, check_options, with_length
from recipes.setup.problem_mixture import by_set, load_parts, load_sets, parts_of, resolved, sets_of, stream_of
from recipes.setup.problem_set import BOXED, Given, resolve_dtype, with_good_golds
from recipes.setup.resuming import resumed, stored_run
from recipes.setup.starting_point import FromAdapter, chat_of, keep_start, keeps_model, kept_start, start_of, with_place, write_final
from recipes.spelling.flat_options import word_of
from recipes.spelling.option_values import flag_of
from recipes.spelling.result_line import tell_run
from rollout.interruption import exit_code, interruptible, stage
from rollout.progress import watched
from verifiers.input_error import InputError, missing_place

if TYPE_CHECKING:
    from rl.learning.adapters import Lora as Adapter
    from rl.learning.policy import Policy
    from rollout.chat import Chat
    from rollout.engine import Engine
    from verifiers.problem import Problem

RATES = Rates(lora=1e-5, full=1e-6)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """GRPO and its relatives on your model and your problems."""

    model: str = ""
    """Hub id or folder of any causal language model; what an earlier run learnt (its folder, a checkpoint, an adapter); a GGUF file."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""
    from_adapter: FromAdapter | None = None
    """Where --model is an adapter: train it further (default), or merge it and train a fresh one, or all parameters with --tune full."""
    data: Data = ()
    """JSONL file of problems (ours, GSM8K's, MATH's), or a name or folder for `datasets`. Repeatable; PLACE=WEIGHT mixes by weight."""
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
    held_out: int = 0
    """Keep so many problems, drawn by --seed, for evaluation."""
    eval_data: str | None = None
    """Evaluate on these problems (a JSONL file) instead."""
    eval: Data = ()
    """Evaluate on these too, each by its name, as NAME=FILE; repeatable."""
    order: Literal["shuffled", "easy-first"] = "shuffled"
    """In which order problems come: shuffled, every epoch anew; or by their `solve_rate`, from the easiest to the hardest."""

    system_prompt: str = BOXED
    """First message; "" for none."""
    prefill: str = ""
    """The beginning of every response, given rather than sampled, such as "<think>"."""
    chat_template: bool = True
    """Use the tokenizer's chat template where it has one; --no-chat-template encodes prompts as they stand (R1-Zero)."""
    template_arg: TemplateArgument = ()
    """What the chat template reads besides the messages, as name=value, such as enable_thinking=false; repeatable."""

    tune: Tune = Lora()
    """Train a low-rank adapter or all parameters."""
    dtype: Literal["fp32", "bf16", "auto"] = "auto"
    """Precision of the computation; auto: bf16 on a GPU, else fp32. What trains is kept in float32."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    """Implementation of attention (default: transformers' choice for the model, mostly sdpa)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    max_sequences: int = 128
    """Completions that the engine samples at once: a memory setting."""

    lr: float | None = None  # type: ignore[assignment]  # a number once it is resolved
    """Peak learning rate (AdamW); default: 1e-6 for all parameters (DeepSeekMath, arXiv:2402.03300, section 4.2), 1e-5 for a LoRA, for
    which ten times the rate of a full tuning is best (Schulman et al., "LoRA Without Regret", 2025)."""
    epochs: float | None = None
    """Instead of --steps: how often the training problems are gone through."""
    run: Path = Path("runs/grpo_math")


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    return train(resolve(resumed(config)))


def train(
    config: Config,
    *,
    equip: "Callable[[Engine, Chat], Engine]" = lambda engine, chat: engine,
    check_golds: bool = True,
    given: Given | None = None,
    hand_over: "Callable[[Policy, Chat], None]" = lambda policy, chat: None,
) -> int:
    """`run`, of resolved options. `equip` may wrap the engine; `check_golds`: verifiers must accept their own golds.

    `hand_over` is given what was trained, once all steps are done.
    """
    if served():
        return 0
    with interruptible(), ExitStack() as opened:
        checks = opened.enter_context(ExitStack())
        with stage("checking the data and loading the model", "nothing was written yet"):
            checks.enter_context(watched("checking the options, the data and the rewards"))
            config = with_engine(config)
            problems, held_out = (list(given.problems), list(given.held_out)) if given else load_data(config)
            from recipes.actors.critics import check_critic, make_critic, write_critic
            from recipes.actors.policies import check_policy_workers, make_policy
            from recipes.actors.teachers import check_teacher, make_teacher
            from recipes.setup import online  # torch and transformers: only once the cheap mistakes are ruled out

            config = replace(config, dtype=resolve_dtype(config))  # a run that is resumed elsewhere computes as it began
            algorithm = online.algorithm_of(config)
            source = start_of(config)
            lora = starting_point.lora_of(config, source)
            check_critic(config, adapted=lora is not None)
            check_policy_workers(config, source)
            chat, context = load_chat(config)
            check_teacher(config, chat)
            problems = online.check_prompts(problems, chat, config, context, skip=config.skip_long_prompts)
            held_out = online.check_prompts(held_out, chat, config, context, skip=config.skip_long_prompts)
            needed = lora is not None or algorithm.needs_reference
            disk = _disk_bytes(config, needed=needed)
            online.check_place(config, needed_bytes=disk)
            verify, judged = given.verify if given else None, dict
            if verify is None:
                pool = opened.enter_context(online.verifier_pool(config, problems))
                verify, judged = pool.verify_many, pool.take_figures
                if check_golds:
                    problems, held_out = with_good_golds(config, problems, held_out, pool)
            stream = stream_of(problems, parts_of(config.data), order=config.order, seed=config.seed)
            config = with_length(config, len(problems))
            checks.close()
            heavy: dict[str, Any] = {
                "dtype": config.dtype, "attention": config.attention, "gradient_checkpointing": config.gradient_checkpointing,
            }  # fmt: skip
            policy, reference = make_policy(config, source, algorithm=algorithm, lora=lora, **heavy)
            opened.callback(policy.close)
            critic = make_critic(config, policy, source, **heavy)
            from rl.evaluation.held_out import held_out_evaluation

            longest = max(len(chat.render(problem)) for problem in [*problems, *held_out]) + config.max_completion_length
            teacher = make_teacher(config, policy, chat, opened, longest=longest, dtype=config.dtype)
            sampler = make_engine(config, policy=policy, chat=chat, max_sequences=config.max_sequences, longest=longest)
            engine = opened.enter_context(closing(equip(sampler, chat)))
            told = with_place(config, source, needed=needed)
            folder = opened.enter_context(online.open_run(told, [*problems, *held_out], needed_bytes=disk))
            keep_start(folder.path, policy, source, chat.tokenizer, needed=needed)

        sets = by_set(held_out)
        player = online.make_player(config, engine, chat, verify, judged)
        outcome = online.train_online(
            config, name=word_of(type(config.algorithm)), run=folder, algorithm=algorithm, policy=policy, reference=reference,
            player=player, problems=problems, critic=critic, teacher=teacher, stream=stream,
            evaluate=held_out_evaluation(sets, player, folder.held_out, model=policy.name),
        )  # fmt: skip
        print(online.summary(outcome, folder), file=sys.stderr)
        if outcome.stopped:
            return exit_code()
        hand_over(policy.alone(), chat)
        write_critic(folder.path, critic)
        write_final(folder.path, policy, chat.tokenizer)
        tell_run(folder.path)
    return 0


def resolve(config: Config) -> Config:
    """Paths made absolute, so that a run can be resumed from anywhere. Raises InputError for what is missing or would be ignored."""
    check_options(config)
    if not config.model:
        raise InputError("--model is missing; give a hub id or the folder of a model")
    if not (config.resume and kept_start(config.resume)) and (missing := missing_place(config.model)) is not None:
        raise InputError(f"--model: {missing}")
    if not config.data:
        raise InputError("--data is missing; give a JSONL file of problems or a data set's name")
    if config.held_out < 0:
        raise InputError(f"--held-out must be 0 or more, not {config.held_out}")
    if config.held_out and config.eval_data:
        raise InputError("--held-out would be ignored with --eval-data; leave one of them out")
    ignored = [flag_of(name) for name in ("subset", "split") if getattr(config, name) is not None]
    parts = parts_of(config.data)
    if ignored and all(Path(part.place).is_file() for part in parts):
        raise InputError(f"{' and '.join(ignored)} would be ignored: {parts[0].place} is a file, not a data set; leave it out")
    if config.order != "shuffled" and parts[0].weight is not None:
        raise InputError(f"--order {config.order} would be ignored with weights in --data; leave one of them out")
    if config.epochs is not None and "steps" in given_options(config):
        raise InputError("--steps and --epochs say the same thing twice; leave one of them out")
    if config.template_arg and not config.chat_template:
        raise InputError("--template-arg would be ignored with --no-chat-template; leave one of them out")
    lr = (RATES.full if isinstance(config.tune, Full) else RATES.lora) if config.lr is None else config.lr
    sets = tuple(f"{name}={absolute(place)}" for name, place in sets_of(config.eval).items())
    eval_data = config.eval_data and absolute(config.eval_data)
    return replace(config, lr=lr, model=absolute(config.model), data=resolved(config.data), eval_data=eval_data, eval=sets)


def lora_of(config: Config) -> "Adapter | None":
    """The adapter that the options describe; None for a full run. Raises InputError for options that an adapter which goes on has not."""
    return starting_point.lora_of(config, start_of(config))


def load_chat(config: Config) -> "tuple[Chat, int | None]":
    """The model's tokenizer as a Chat, and its context length. Raises InputError before any weights are read."""
    return chat_of(config, start_of(config))


def load_shape(config: Config) -> Any:
    """The model's transformers config. Raises InputError where there is none."""
    return start_of(config).load_shape()


def load_data(config: Config) -> "tuple[list[Problem], list[Problem]]":
    """(training problems, held-out problems), disjoint. Raises InputError for what cannot be used."""
    from recipes.setup.problem_source import load_problems

    reading: dict[str, Any] = {
        "prompt_field": config.prompt_column, "answer_field": config.answer_column, "skip_bad_gold": config.skip_bad_gold,
        "trust_verifiers": config.trust_data_verifiers, "drop_answer_turn": config.drop_answer_turn,
    }  # fmt: skip
    parts = parts_of(config.data)

    def read(place: str) -> Any:
        return load_problems(place, subset=config.subset, split=config.split or "train", limit=config.limit, **reading)

    problems = load_parts(parts, read)
    held_out: list[Problem] = []
    if config.eval_data:
        held_out = load_problems(config.eval_data, **reading)
    elif config.held_out:
        if config.held_out >= len(problems):
            raise InputError(f"--held-out {config.held_out}: there are only {len(problems)} problems; keep fewer for evaluation")
        held_out = _draw_held_out(problems, config)
    held_out = [*held_out, *load_sets(sets_of(config.eval), lambda place: load_problems(place, **reading))]
    known = {problem.id for problem in held_out}
    kept = [problem for problem in problems if problem.id not in known]
    if not kept:
        raise InputError(f"--data {parts[0].place}: every problem is also in the evaluation set; nothing is left to train on")
    return kept, held_out


def _draw_held_out(problems: "Sequence[Problem]", config: Config) -> "list[Problem]":
    """So many, by the seed and each one's id alone: a file in the order of its difficulty or date has ends that are not like the rest."""
    if config.resume is not None and "held_out" not in stored_run(config.resume):
        return list(problems[-config.held_out :])  # a run that began when the last ones were kept goes on with them
    from rl.loop.seeds import derive_seed

    places = sorted(range(len(problems)), key=lambda place: derive_seed(config.seed, "held-out", problems[place].id))
    return [problems[place] for place in sorted(places[: config.held_out])]


def _disk_bytes(config: Config, *, needed: bool) -> int:
    """Three checkpoints (two kept, one being written) of weights, moments and a moving average if any; `final/`; a start that is kept."""
    from recipes.setup.memory import parameters

    source = start_of(config)
    total, trained = parameters(source.load_shape(), starting_point.lora_of(config, source))
    averages = isinstance(config.kl and config.kl.reference, MovingAverage | Renewed)
    from recipes.setup.online import critic_of

    critic = 3 * isinstance(critic_of(config), AdapterCritic | SeparateCritic)  # it and its moments
    return trained * 4 * (3 * (3 + averages + critic) + 1 + bool(critic)) + (total * 4 if keeps_model(source, needed=needed) else 0)


def plan_facts(config: Config, given: Given | None = None) -> Any:
    """What `reckon plan` needs to know."""
    from recipes.setup.memory import Facts

    config = resolve(config)
    chat, context = load_chat(config)
    problems, held_out = (list(given.problems), list(given.held_out)) if given else load_data(config)
    from recipes.setup.online import check_prompts, verifier_pool

    problems, held_out = (check_prompts(part, chat, config, context, skip=config.skip_long_prompts) for part in (problems, held_out))
    if given is None:
        with verifier_pool(config, problems):  # loads the rewards and tries them
            pass
    return Facts(
        load_shape(config),
        lora_of(config),
        resolve_dtype(config),
        config.gradient_checkpointing,
        [len(chat.render(problem)) for problem in problems],
        config.max_sequences,
        held_out=len(held_out),
        attention=config.attention,
        stream=stream_of(problems, parts_of(config.data), order=config.order, seed=config.seed),
    )


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="grpo-math"))))
