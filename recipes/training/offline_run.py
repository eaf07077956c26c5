"""What every command does that trains on what is already written: cheap checks, data to masks, objects, the loop, a model on disk.

A method is a value: how rows become examples, what is minimised, and what it is measured against. It decides nothing of the run's life;
whatever is the same for supervised fine-tuning and for preferences is here, once.
"""

import hashlib
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from recipes.actors.policies import check_workers, cut_policy, rank_maker
from recipes.actors.ranks import served
from recipes.setup.model_source import BASES, MERGED, ModelSource
from recipes.setup.online import check_place, say_layout, service_of
from recipes.setup.options import optimizer_of, to_json
from recipes.setup.problem_source import load_rows, source_name
from recipes.setup.resuming import steps_done, with_changes
from recipes.setup.starting_point import chat_of, keep_start, lora_of, start_bytes, start_of, with_place, write_final, write_model
from recipes.spelling.flat_options import flat_values
from recipes.spelling.result_line import tell_run
from recipes.training.offline_options import AnyOptions, OfflineOptions, with_length
from rl.examples.batches import Unit, batch_of, unit_batches
from rl.examples.example import Intake
from rl.examples.intake import Limits
from rl.examples.mask_view import show_masks
from rl.interpolation.restarts import Restarting
from rl.learning.adapters import Lora
from rl.learning.learner import Diverged, Learner, ValueHead
from rl.learning.model_loading import Dtype, with_attention
from rl.learning.policy import Policy
from rl.learning.reference import Reference, initial_reference
from rl.learning.schedule import Schedule
from rl.learning.value_heads import FILE as HEAD
from rl.learning.value_heads import load_value_head
from rl.loop.offline import OfflineLoop, measure, train_offline
from rl.loop.problem_stream import Stream
from rl.loop.seeds import derive_seed, reseed
from rl.measuring.profile import tracing
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rl.runs.report import plot_run
from rl.runs.run_folder import Position, RunFolder
from rl.runs.tracking import SHOWN_OF_LABELS, SHOWN_OFFLINE, Tracker
from rollout.chat import Chat
from rollout.interruption import exit_code, interruptible, stage
from rollout.progress import watched
from rollout.watchdog import Stalled
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

Rows = Iterable[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Method:
    """What a command trains by."""

    name: str
    objective: Objective
    intake: Callable[[Rows, Chat, str, Limits], Intake]
    """(rows, chat, name of their source, limits) -> units of `objective.rows_per_unit` examples each."""
    reference: Callable[[Learner, Sequence[Unit]], Reference | None] = lambda learner, units: None
    """Made when the learner is as it begins, of all units that will be trained or measured on."""
    batch: Callable[[Batch], Batch] = lambda batch: batch
    """What becomes of a step's batch before anything is scored."""
    head: Mapping[str, str] | None = None
    """Of a method that trains a value head: what is written of it. The head goes on from where the model has one."""
    by_problem: bool = False
    """What is held out are whole prompts, and no prompt is on both sides."""
    rows: Callable[[str], Rows] | None = None
    """How --data and --eval-data are read; None: as any data are."""
    order: Callable[[Any, Learner, Sequence[Unit], Sequence[Unit]], Stream | None] = lambda options, learner, units, held_out: None
    """In which order the units train, of the options (with their steps), the learner as it begins, the units and what is held out; None: as
    the options say."""
    measured: Objective | None = None
    """What is held out is measured by this; None: by the objective."""
    figures: Callable[[Learner, Batch], Mapping[str, float]] = lambda learner, batch: {}
    """Of what is held out, besides the loss and its measures."""


HandOver = Callable[[Policy, Chat], None]


def run_offline(options: AnyOptions, method: Method, *, hand_over: HandOver = lambda policy, chat: None) -> int:
    """Check, load, train, save; `options` as `resolve` gives them. Returns the exit code.

    `hand_over` is given what was trained, once all steps are done.
    """
    if served():
        return 0
    with interruptible(), ExitStack() as opened:
        checks = opened.enter_context(ExitStack())
        with stage("checking the data and loading the model", "nothing was written yet"):
            checks.enter_context(watched("checking the options and the data"))
            source = start_of(options)
            lora = lora_of(options, source)
            check_cut(options, method, source)
            check_restarts(options, method, lora)
            chat, context = chat_of(options, source)
            taken, held_out = load_units(options, method, chat, context)
            if options.show_mask is not None:
                show_masks(taken, chat, options.show_mask, ids=options.show_ids)
                return 0
            for line in taken.lines():
                print(line, file=sys.stderr)
            options = with_length(options, len(taken.units))
            check_place(options)
            checks.close()
            learner, beside = _learner_of(options, method, source, lora)
            opened.callback(learner.close)
            reference = beside or method.reference(learner, [*taken.units, *held_out])
            needed = lora is not None or reference is not None
            disk = 3 * learner.checkpoint_bytes() + start_bytes(learner, source, needed=needed)
            told = with_place(options, source, needed=needed)
            folder = opened.enter_context(open_run(told, [*taken.units, *held_out], needed_bytes=disk))
            keep_start(folder.path, learner, source, chat.tokenizer, needed=needed)
            if isinstance(learner, Restarting):
                learner.kept_in(folder.path / BASES, partial(write_model, module=learner.model, tokenizer=chat.tokenizer))
            if method.head is not None and (folder.path / MERGED).is_dir() and not (folder.path / MERGED / HEAD).exists():
                learner.save_head(folder.path / MERGED)  # what was merged has left its head behind
        outcome = train(options, method, learner, reference, taken.units, held_out, folder)
        print("\n".join(outcome.lines()), file=sys.stderr)
        if outcome.stopped:
            return exit_code()
        hand_over(learner.alone(), chat)
        write_final(folder.path, learner, chat.tokenizer, beside=learner.save_head if method.head else None)
        tell_run(folder.path)
    return 0


# --- data --------------------------------------------------------------------------------------------------------------


def load_units(options: OfflineOptions, method: Method, chat: Chat, context: int | None) -> tuple[Intake, list[Unit]]:
    """(what trains, what is held out), of other rows. Raises InputError for what cannot be used."""
    most = min((length for length in (options.max_length, context) if length), default=None)
    limits = Limits(max_length=most, too_long=options.too_long, strict=options.strict, skip_bad=options.skip_bad_rows)

    def taken(data: str) -> Intake:
        rows = method.rows(data) if method.rows else load_rows(data, subset=options.subset, split=options.split or "train")
        return method.intake(islice(rows, options.limit), chat, source_name(data, options.split), limits)

    intake = taken(options.data)
    if options.eval_data:
        unseen = taken(options.eval_data).units
        return (_without_prompts_of(unseen, intake, options) if method.by_problem else intake), unseen
    if not options.held_out:
        return intake, []
    rows: dict[str, list[Unit]] = {}
    for unit in intake.units:  # a row's sequences stay together
        rows.setdefault(unit[0].place, []).append(unit)
    if method.by_problem:
        keys = {place: _prompt_key(units[0]) for place, units in rows.items()}
    else:
        keys = {place: fingerprint(units) for place, units in rows.items()}  # so do rows of the same tokens, wherever the file lies
    order = sorted(dict.fromkeys(keys.values()), key=lambda key: derive_seed(options.seed, "held-out", key))
    if options.held_out >= len(order):
        what = "problems" if method.by_problem else "rows that differ"
        raise InputError(f"--held-out {options.held_out}: there are only {len(order)} {what}; keep fewer for evaluation")
    kept = set(order[: options.held_out])
    units = [unit for unit in intake.units if keys[unit[0].place] not in kept]
    return replace(intake, units=units), [unit for unit in intake.units if keys[unit[0].place] in kept]


def _prompt_key(unit: Unit) -> str:
    return hashlib.blake2b(array("q", unit[0].prompt).tobytes(), digest_size=8).hexdigest()


def _without_prompts_of(unseen: Sequence[Unit], intake: Intake, options: OfflineOptions) -> Intake:
    """What trains, without the problems of --eval-data."""
    known = set(map(_prompt_key, unseen))
    units = [unit for unit in intake.units if _prompt_key(unit) not in known]
    if not units:
        raise InputError(f"--data {options.data}: every problem is also in --eval-data; nothing is left to train on")
    lost = len(intake.units) - len(units)
    return replace(intake, units=units, dropped={**intake.dropped, "whose problem is in --eval-data": lost} if lost else intake.dropped)


def fingerprint(units: Sequence[Unit]) -> str:
    """Changes when any token, mask or number of any example does, or their order: a run resumes only on what it began with."""
    seen = hashlib.blake2b(digest_size=8)
    for unit in units:
        for example in unit:
            seen.update(repr((len(example), example.spans, sorted(example.columns.items()))).encode())
            seen.update(array("q", example.tokens).tobytes())
            if example.labels:
                seen.update(array("d", example.labels).tobytes())
    return seen.hexdigest()


# --- objects -----------------------------------------------------------------------------------------------------------


def computed_dtype(options: OfflineOptions) -> Dtype:
    """The precision that `auto` means on this machine."""
    import torch

    if options.dtype == "auto":
        return "bf16" if torch.cuda.is_available() else "fp32"
    return options.dtype


def check_cut(options: OfflineOptions, method: Method, source: ModelSource) -> None:
    """Raises InputError for what cannot be cut over processes."""
    check_workers(options, source)
    if not options.policy_workers:
        return
    given = f"--policy-workers {options.policy_workers}"
    if method.head is not None:
        raise InputError(f"{given}: a value head lives in one process; leave --policy-workers out")
    if getattr(options, "reference_model", None) is not None and getattr(options, "reference_scores", None) is None:
        raise InputError(f"{given}: another model's scores are made in one process; keep them with --reference-scores, or leave it out")


def check_restarts(options: OfflineOptions, method: Method, lora: Lora | None) -> None:
    """Raises InputError for what an adapter that is merged and drawn anew cannot be, or be measured against."""
    if not options.relora_every:
        return
    given = f"--relora-every {options.relora_every}"
    if lora and lora.dora:
        raise InputError(f"{given}: merging a DoRA changes directions and magnitudes, which a fresh one does not begin with; leave one out")
    if method.head is not None:
        raise InputError(f"{given}: a value head learns beside the adapter and has no restarts; leave --relora-every out")
    others = (getattr(options, name, None) for name in ("reference_model", "reference_scores"))
    if "ref_logp" in method.objective.reads and not any(others):
        raise InputError(
            f"{given} changes the base, which {method.name} is measured against; keep what it says with --reference-scores FILE, or name "
            "it with --reference-model"
        )


def _learner_of(options: OfflineOptions, method: Method, source: ModelSource, lora: Lora | None) -> tuple[Policy, Reference | None]:
    """In this process or cut over workers; then, where it is measured against what it begins as, that beside it."""
    if not options.policy_workers:
        return make_learner(options, source, lora, head=method.head, made=Restarting if options.relora_every else Policy), None
    scored = getattr(options, "reference_scores", None) is not None
    against = "ref_logp" in method.objective.reads and not scored
    return cut_policy(partial(_rank_of, replace(options, policy_workers=0), source, lora, against), options.policy_workers, source)


def _rank_of(
    options: OfflineOptions, source: ModelSource, lora: Lora | None, against: bool, device: Any, asked_to_stop: Callable[[], bool]
) -> Any:
    """In a worker: its part of the policy, and of what that is measured against."""
    policy = make_learner(options, source, lora, made=rank_maker(options, device, asked_to_stop))
    return policy, initial_reference(policy) if against else None


def make_learner(
    options: OfflineOptions, source: ModelSource, lora: Lora | None, *, head: Mapping[str, str] | None = None,
    made: Callable[..., Policy] = Policy,
) -> Policy:  # fmt: skip
    """The model with what is needed to train it, as the options say. `head`: of a value head, which trains too, what is to be known.

    `made`: what is called with the model and them instead of Policy.
    """
    dtype = computed_dtype(options)
    layout = options.layout if options.packing is None else "packed" if options.packing else "padded"
    with watched(f"loading {source.in_words()}"):
        frozen = lora is not None and not options.relora_every  # what is merged into is as wide as what trains
        model = with_attention(source.load_model(dtype, lora=frozen, judges=head is not None), options.attention)
    reseed(options.seed, "policy")  # a fresh adapter draws its weights
    learner = made(
        model,
        lora=lora,
        dtype=dtype,
        optimizer=optimizer_of(options),
        gradient_checkpointing=options.gradient_checkpointing,
        savings=options.savings,
        tokens_per_micro_batch=options.tokens_per_micro_batch,
        layout=layout,
        value_head=None if head is None else replace(head_of(source, model), facts=head),
    )
    say_layout(layout, learner.layout, str(options.model))
    return learner


def head_of(source: ModelSource, model: Any) -> ValueHead:
    """Where a value head on this model begins: as the one that it has, or all zero. Raises InputError for one of another width."""
    head, width = ValueHead(load_value_head(source.stages)), model.config.get_text_config().hidden_size
    if head.weight is not None and head.weight.shape[1] != width:
        raise InputError(f"--model {source.given}: its value head is {head.weight.shape[1]} wide, the model {width}; restore it")
    return head


def open_run(options: OfflineOptions, units: Sequence[Unit], *, needed_bytes: int) -> RunFolder:
    """A new run folder, or the one to resume, locked. Raises InputError where it exists, is missing, in use, or of other data.

    Called when everything that can fail has been tried, because `--overwrite` deletes the earlier run here.
    """
    facts = {"units": len(units), "fingerprint": fingerprint(units)}
    if options.resume is None:
        return RunFolder.create(options.run, {"options": to_json(options), **facts}, overwrite=options.overwrite, needed_bytes=needed_bytes)
    run, config = RunFolder.open(options.resume)
    if config.get("fingerprint") != facts["fingerprint"]:
        raise InputError(
            f"--resume {options.resume}: the data, as tokens and masks, changed since the run began ({config.get('units')} units then, "
            f"{len(units)} now); restore the data file and the tokenizer, or start a new run"
        )
    run.lock()
    if (updated := with_changes(config, options, step=steps_done(run.path))) is not config:
        write_json(run.path / "config.json", updated)
    return run


# --- the loop ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: RunFolder
    position: Position
    stopped: bool
    """By Ctrl-C or SIGTERM, before its last step."""
    seconds: float

    def lines(self) -> list[str]:
        drawn = f", plots in it; {self.seconds:,.0f} s" if self.position.step else ""
        said = f"{'stopped' if self.stopped else 'done'} after step {self.position.step}; run in {self.run.path}{drawn}"
        return [said, f"continue with --resume {self.run.path}"] if self.stopped else [said]


def train(
    options: OfflineOptions, method: Method, learner: Learner, reference: Reference | None, units: Sequence[Unit],
    held_out: Sequence[Unit], run: RunFolder,
) -> Outcome:  # fmt: skip
    """The loop from where the run stands; then plots and manifest. Raises InputError if it had to stop."""
    steps, lr, warmup = options.steps, options.lr, options.warmup
    assert steps and lr and warmup is not None, "`resolve` and `with_length` come first"  # noqa: PT018
    began = time.monotonic()
    loop = OfflineLoop(
        steps=steps,
        lr=Schedule(lr, steps, warmup, options.schedule, restart_every=options.relora_every, restart_warmup=options.relora_warmup or 0),
        eval_every=options.eval_every,
        checkpoint_every=options.checkpoint_every,
        seed=options.seed,
        stall_after=60 * options.stall_after,
    )
    order = method.order(options, learner, units, held_out)
    batches = unit_batches(units, options.examples_per_step, options.seed, shuffle=options.shuffle, order=order)
    unseen = method.batch(batch_of(held_out)) if held_out else None

    def evaluate() -> dict[str, float]:
        if unseen is None:
            return {}
        objective = method.measured or method.objective
        return measure(unseen, learner=learner, objective=objective, reference=reference) | dict(method.figures(learner, unseen))

    def restart(step: int) -> None:
        if isinstance(learner, Restarting) and step % options.relora_every == 0:
            reseed(options.seed, "relora", step)
            learner.restart(step)

    shown = SHOWN_OFFLINE if method.objective.rows_per_unit == 2 else SHOWN_OFFLINE | SHOWN_OF_LABELS
    tracker = Tracker(
        run.metrics_path, steps=steps, name=method.name, tracker=service_of(options), config=flat_values(options), shown=shown
    )
    run.write_manifest(status="running")
    with interruptible(), tracker:
        try:
            position = train_offline(
                loop=loop, learner=learner, objective=method.objective, reference=reference, run=run, tracker=tracker, evaluate=evaluate,
                batch_of_step=lambda step: method.batch(batches(step)),
                around_step=tracing(learner, run.path, steps=options.profile, last=steps), after_step=restart,
            )  # fmt: skip
        except Diverged as error:
            run.write_manifest(status="diverged", detail=str(error))
            with suppress(InputError):  # before the first step there is nothing to draw, and `error` is the news
                plot_run(run.metrics_path, run.plots)
            raise InputError(f"the run stopped: {error}") from error
        except Stalled as error:
            run.write_manifest(status="stalled", detail=str(error))
            raise Stalled(f"{error}; continue with --resume {run.path}") from error
        stopped = position.step < steps
        run.write_manifest(status="interrupted" if stopped else "done", step=position.step)
    with suppress(InputError) if stopped else nullcontext():
        plot_run(run.metrics_path, run.plots)
    return Outcome(run, position, stopped, time.monotonic() - began)
