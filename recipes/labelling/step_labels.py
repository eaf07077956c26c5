"""`reckon data steps STORE... --out FILE`: labels for the steps of stored responses, by roll-outs from where each step ends.

    reckon data steps runs/sample --out steps.jsonl --rollouts 8        a policy's own responses, and what comes of each of their steps
    reckon data steps runs/sample --out prm.jsonl --format trl          for TRL's PRMTrainer
    reckon data steps runs/sample --out steps.jsonl                     the same again: goes on where it stopped

Math-Shepherd (arXiv:2312.08935): a step is good if the right answer can still be reached from where it ends. From each such place
`--rollouts` completions are sampled, by the model that the store names or `--model`, and judged by the problem's verifier or `--reward`. No
person labels anything. It costs steps x roll-outs completions; beginnings that responses share are sampled once, and `--stop-at-lost`
samples nothing after a place from which no roll-out was right.

Roll-outs lie in `--run` (default: beside the file), a chunk a file, each written when all of it is judged: a run that was killed goes on
when it is called again, and an interruption costs the chunk in flight. They are whole responses, and a store of their own.
"""

import hashlib
import itertools
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from recipes.actors.engines import make_engine, with_engine
from recipes.labelling.label_rows import Labels, labelled_row, stepwise_row
from recipes.labelling.step_states import Cut, Estimate, cut_responses, estimates_of, next_states
from recipes.selection.data_command import StoreOptions, require_out
from recipes.selection.stored_responses import StoredResponse, store_files, stored_responses
from recipes.selection.tally import Tally
from recipes.selection.training_text import is_chat, write_rows
from recipes.setup.choices import Auto, Engine
from recipes.setup.model_source import ModelSource, find_model
from recipes.setup.options import Reward, absolute, check_numbers, to_json
from recipes.setup.problem_set import resolve_dtype
from recipes.setup.starting_point import chat_of
from rollout.interruption import interruptible, stage
from rollout.progress import watched
from verifiers.atomic_files import remove_leftovers
from verifiers.input_error import InputError, missing_place
from verifiers.steps.step_text import splitter
from verifiers.verdict import Status, Verdict

if TYPE_CHECKING:
    from rl.runs.run_folder import RunFolder
    from rollout.chat import Chat
    from rollout.engine import Engine as Sampler
    from rollout.player import Verify

MAY_CHANGE = ("out", "run", "overwrite", "labels", "format", "workers", "deadline", "max_sequences", "engine", "dtype")
"""Options that decide neither what is sampled nor how it is judged."""
_TOLD_BY_RESPONSES = ("stores", "where", "per_problem", "limit")


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions):
    """Labels for the steps of stored responses, by roll-outs from where each step ends."""

    model: str = ""
    """Hub id or folder of what the roll-outs are sampled from (default: the model that the store names)."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""
    split: str = "blank"
    """Where steps end: blank, line, after:TEXT, before:TEXT, or FILE.py:FUNCTION (response -> ends)."""
    rollouts: int = 8
    """Completions sampled from where each step ends."""
    labels: Labels = "hard"
    """hard: 1 if any of them is right; soft: the share that is."""
    format: Literal["reckon", "trl"] = "reckon"
    """Form of the rows: our own, or TRL's (prompt, completions, labels)."""
    stop_at_lost: bool = False
    """Where no roll-out was right, take what follows in that response to be lost, and sample nothing from there."""
    per_problem: int | None = None
    """Of each problem so many responses at most."""
    limit: int | None = None
    """So many responses at most, the first ones."""

    max_completion_length: int = 1024
    """Tokens of a roll-out at most."""
    temperature: float = 1.0
    """Sampling temperature."""
    states_per_chunk: int = 64
    """Ends of steps sampled from together and written as one file: what an interruption may cost."""
    dtype: Literal["fp32", "bf16", "auto"] = "auto"
    """Precision of the computation; auto: bf16 on a GPU, else fp32."""
    max_sequences: int = 128
    """Completions that the engine samples at once: a memory setting."""
    engine: Engine = Auto()
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate); ray (several of vllm or hf). auto takes vllm when it
    is installed."""
    reward: Reward = ()
    """Who judges the roll-outs, as `--reward` of `reckon sample` (default: each problem's own verifier)."""
    workers: int = 2
    """Verifier processes."""
    deadline: float = 10.0
    """Seconds for one verdict; past it the verifier is killed and the roll-out does not count."""
    seed: int = 0
    """All randomness is a function of it."""
    run: Path | None = None
    """Folder of the roll-outs (default: FILE.rollouts beside --out)."""
    overwrite: bool = False
    """Delete the roll-outs that are there, and begin again."""

    ahead: ClassVar[int] = 0  # engines ask: nothing is updated meanwhile

    def check(self) -> None:
        """Raises InputError for options that cannot be."""
        check_numbers(self)
        splitter(self.split)
        if self.format == "trl" and self.labels == "soft":
            raise InputError("--labels soft would be ignored with --format trl, whose labels are true and false; leave one of them out")


def run(config: Config) -> int:
    """Read, sample, write. Returns the exit code. Raises InputError for what cannot be used."""
    files = store_files(config.stores)
    out = require_out(config.out, files)
    config.check()
    config = replace(config, run=config.run or out.with_name(f"{out.name}.rollouts"), out=out, model=absolute(config.model))
    tally = Tally("responses")
    with interruptible():
        with stage("reading the store", "nothing was written"):
            stored = stored_responses(files, where=config.where)
            every = cut_responses(stored, splitter(config.split), tally, per_problem=config.per_problem, seed=config.seed)
            cuts = list(itertools.islice(every, config.limit))
        if not cuts:
            raise InputError(f"no response is left to label: {tally}; loosen what leaves out most, or give another store")
        known, own = _sampled(config, cuts)
    _write(config, cuts, known, own, tally)
    return 0


# --- what samples, and how it is spoken to -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Speech:
    """How the responses were sampled; what speaks of it as options do (`chat_of`)."""

    model: str
    system_prompt: str
    chat_template: bool
    template_arg: tuple[str, ...]


def _speech_of(responses: Sequence[StoredResponse]) -> _Speech:
    """Raises InputError where the responses do not agree on it: a roll-out must go on as its response began."""
    ways = {(r.system_prompt, is_chat(r), tuple(f"{k}={json.dumps(v)}" for k, v in r.template_arguments.items())) for r in responses}
    if len(ways) > 1:
        raise InputError(
            "the responses were asked for in several ways (system prompt, chat template or its arguments differ); take those of one by "
            "--where, such as --where \"system_prompt = ''\""
        )
    models = {response.model for response in responses}
    return _Speech(models.pop() if len(models) == 1 else "", *ways.pop())


def _source_of(config: Config, speech: _Speech) -> ModelSource:
    """What the roll-outs are sampled from. Raises InputError where that is not known, or not there."""
    model = config.model or speech.model
    if not model:
        raise InputError("the store does not name one model that its responses were sampled from; give one with --model")
    if (missing := missing_place(model)) is not None:
        raise InputError(f"--model: {missing}" if config.model else f"the store's model: {missing}; give another with --model")
    return find_model(model, gguf_file=config.gguf_file)


# --- sampling ------------------------------------------------------------------------------------------------------------------


def _sampled(config: Config, cuts: Sequence[Cut]) -> tuple[dict[str, Estimate], list[Estimate]]:
    """(what came of each state, what each response came to itself): everything is checked before the model is loaded."""
    with ExitStack() as opened:
        with stage("checking the rewards and loading the model", "nothing was written yet"):
            with watched("checking the options, the data and the rewards"):
                speech = _speech_of([cut.response for cut in cuts])
                source = _source_of(config, speech)
                config = with_engine(replace(config, model=source.given or config.model))
                problems = list({cut.response.problem.id: cut.response.problem for cut in cuts}.values())
                from recipes.setup import online  # torch and transformers: only once the cheap mistakes are ruled out

                chat, context = chat_of(speech, source)
                longest = _longest(chat, cuts, context, config)
                pool = opened.enter_context(online.verifier_pool(config, problems))
                folder = opened.enter_context(_open_run(config, cuts))
            own = _own_verdicts(cuts, pool.verify_many)
            from rl.learning.policy import Policy

            dtype = resolve_dtype(config)
            with watched(f"loading {source.in_words()}"):
                policy = Policy(source.load_model(dtype, lora=True), dtype=dtype)  # as wide as a LoRA's base: nothing trains
            engine = make_engine(config, policy=policy, chat=chat, max_sequences=config.max_sequences, longest=longest)
            opened.enter_context(closing(engine))
        known = _roll_out(config, cuts, engine, chat, pool.verify_many, folder)
        folder.write_manifest(status="done")
    return known, own


def _own_verdicts(cuts: Sequence[Cut], verify: "Verify") -> list[Estimate]:
    """Of whole responses: they are judged again, as the roll-outs are."""
    verdicts = verify([(cut.response.problem, cut.response.text) for cut in cuts])
    return [Estimate(int(verdict.status is Status.RIGHT), int(verdict.valid)) for verdict in verdicts]


def _longest(chat: "Chat", cuts: Sequence[Cut], context: int | None, config: Config) -> int:
    """Tokens of the longest state and a roll-out from it. Raises InputError where the model's context has no room for that."""
    chat.vet([cut.response.problem for cut in cuts])
    longest = 0
    for cut in cuts:
        begun = cut.begun[-1] if cut.begun else ""
        tokens = len(chat.render(cut.response.problem)) + len(chat.encode(begun)) + config.max_completion_length
        if context is not None and tokens > context:
            room = context - config.max_completion_length - len(chat.render(cut.response.problem))
            remedy = f", or leave such out: --where 'len(tokens) <= {room}'" if room > 0 else ""
            raise InputError(
                f"problem {cut.response.problem.id} and a response up to its last step but one need {tokens} tokens with "
                f"--max-completion-length {config.max_completion_length}, and the model's context is {context}; shorten that{remedy}"
            )
        longest = max(longest, tokens)
    return longest


def _open_run(config: Config, cuts: Sequence[Cut]) -> "RunFolder":
    """The folder of the roll-outs, new or found, locked. Raises InputError where what lies there was sampled otherwise."""
    from recipes.setup.reward_code import reward_code
    from rl.runs.run_folder import RunFolder

    assert config.run is not None
    options = {name: value for name, value in to_json(config).items() if name not in (*MAY_CHANGE, *_TOLD_BY_RESPONSES)}
    rewards = reward_code(config.reward or [cut.response.problem.verifier for cut in cuts])
    facts = json.loads(json.dumps({"options": options, "responses": _fingerprint(cuts), "rewards": rewards}, default=str))
    if config.overwrite or not (config.run / "config.json").exists():
        return RunFolder.create(config.run, facts, overwrite=config.overwrite)
    folder, known = RunFolder.open(config.run)
    folder.lock()
    if known != facts:
        raise InputError(
            f"{config.run} holds roll-outs that were sampled otherwise ({_difference(known, facts)}); give the same, another --run, or "
            "--overwrite"
        )
    for place in (folder.path, folder.rollouts.folder):
        remove_leftovers(place)
    return folder


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before = then.get("options", {})
    options = [f"--{name.replace('_', '-')} {before.get(name)}" for name, value in now["options"].items() if before.get(name) != value]
    if options:
        return f"with {', '.join(options)}"
    return "of other responses" if then.get("responses") != now["responses"] else "and the reward's code has changed since"


def _fingerprint(cuts: Sequence[Cut]) -> str:
    content = json.dumps([[cut.response.problem.id, cut.response.text, cut.ends] for cut in cuts]).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _roll_out(
    config: Config, cuts: Sequence[Cut], engine: "Sampler", chat: "Chat", verify: "Verify", folder: "RunFolder"
) -> dict[str, Estimate]:
    """What came of every state, sampled or found; in one wave, or with `stop_at_lost` one for each step."""
    from rl.loop.chunks import sample_chunks
    from rollout.continuation import ContinuingChat
    from rollout.engine import Sampling
    from rollout.player import Player
    from rollout.store import Source

    sampling = Sampling(config.max_completion_length, config.rollouts, config.temperature, chat.stop_ids)
    known: dict[str, Estimate] = {}
    beginnings: dict[str, str] = {}
    player = Player(engine, ContinuingChat(chat, beginnings), sampling, verify)
    folder.rollouts.source = Source.of(config.model, player)
    first = 1
    remedy = "the roll-outs that are written are kept; the same command goes on"
    while states := next_states(cuts, known, stop_at_lost=config.stop_at_lost):
        beginnings |= {name: beginning for name, (_, beginning) in states.items()}
        problems = [problem for problem, _ in states.values()]
        try:
            with stage("sampling", remedy):
                chunks = sample_chunks(problems, player, folder.rollouts, size=config.states_per_chunk, seed=config.seed, first=first)
                known |= {group.problem.id: _estimate(group.verdicts) for groups in chunks for group in groups}
        except KeyboardInterrupt:
            folder.write_manifest(status="interrupted")
            raise
        except InputError as error:  # an engine or a verifier that gave up
            folder.write_manifest(status="stopped", detail=str(error))
            raise InputError(f"the roll-outs stopped: {error}; once that is mended, the same command goes on") from error
        first += -(-len(problems) // config.states_per_chunk)
    return known


def _estimate(verdicts: Sequence[Verdict]) -> Estimate:
    return Estimate(sum(verdict.status is Status.RIGHT for verdict in verdicts), sum(verdict.valid for verdict in verdicts))


# --- writing -------------------------------------------------------------------------------------------------------------------


def _write(config: Config, cuts: Sequence[Cut], known: dict[str, Estimate], own: Sequence[Estimate], tally: Tally) -> None:
    """Writes the rows, and says what became of all others."""
    rows, counts = [], Counter[str]()
    for cut, last in zip(cuts, own, strict=True):
        begun = [estimate for estimate in estimates_of(cut, known, stop_at_lost=config.stop_at_lost) if estimate is not None]
        estimates = [*begun, *[last] * (len(cut.ends) - len(cut.begun))]
        if not all(estimate.judged or estimate.lost for estimate in estimates):
            tally.leave_out("with a step that got no verdict")
            continue
        rows.append(stepwise_row(cut, estimates) if config.format == "trl" else labelled_row(cut, estimates, config.labels))
        counts.update(steps=len(estimates), good=sum(estimate.right > 0 for estimate in estimates))
    tally.written = len(rows)
    assert config.out is not None
    try:
        written = write_rows(config.out, rows)
    except OSError as error:
        raise InputError(f"{config.out} cannot be written: {error.strerror}; choose another --out") from None
    if not written:
        raise InputError(f"no response got a label: {tally}; see status and detail in {config.run}")
    sampled = len(known) * config.rollouts
    share = counts["good"] / counts["steps"]
    print(f"{config.out}: {tally}; {counts['steps']:,} steps, {share:.1%} of them good, by {sampled:,} roll-outs", file=sys.stderr)
