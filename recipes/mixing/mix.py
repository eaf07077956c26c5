"""How much of each domain to train on: weights that a small model finds, for `reckon sft --mixture` of a large one.

    reckon mix --model ./small --data by-domain/ --run runs/mix
    reckon mix --model ./small --data rows.jsonl --domain-column source --algorithm skill-it --held-out 400 --target math
    reckon sft --model ./large --data by-domain/ --mixture runs/mix/weights.json

DoReMi (arXiv:2305.10429) trains a reference on all domains alike, then a proxy of the same size that learns most where it is furthest
behind the reference: weights.json is the mean of its weights. --reference-model names a reference that is there already. Skill-It
(arXiv:2307.14430) trains once, in rounds, and draws the next round's examples by the held-out losses and a graph of which domain helps
which: weights.json holds each round's weights as a schedule, and their mean. Its graph is given by --graph, learnt by --graph-steps, or
each domain helps itself alone.

    runs/mix/  config.json  reference/  proxy/  weights.json       reference/ and proxy/ are ordinary runs

Rows are those of `reckon sft`. A domain is a file of the folder --data, or what --domain-column says.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from recipes.setup.command_line import guarded, parse_options
from recipes.setup.options import absolute, to_json
from recipes.setup.problem_source import load_rows, source_name
from recipes.setup.resuming import MAY_CHANGE, resumed
from recipes.training import sft
from recipes.training.offline_options import resolve
from rollout.interruption import Interrupted
from verifiers.atomic_files import read_file
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch
    from recipes.training.offline_run import HandOver, Method
    from rl.learning.learner import Learner
    from rl.mixtures.mixed_examples import MixedExamples
    from rl.runs.run_folder import RunFolder

WEIGHTS = "weights.json"
STEP_SIZE = {"doremi": 1.0, "skill-it": 0.2}  # the papers'
OWN = {"doremi": ("smoothing", "reference_model"), "skill-it": ("target", "graph", "graph_steps", "window", "rounds")}


@dataclass(frozen=True, kw_only=True)
class Config(sft.Config):
    """Sampling weights over domains, found by a small model."""

    algorithm: Literal["doremi", "skill-it"] = "doremi"
    """Group DRO against a reference (doremi), or held-out losses along a graph, in rounds (skill-it)."""
    eta: float | None = None
    """How fast weights move (default: 1 for doremi, 0.2 for skill-it)."""
    smoothing: float | None = None
    """doremi: what share of the weights is uniform (default 0.001)."""
    reference_model: str | None = None
    """doremi: a model of the same tokenizer as the reference, instead of training one."""
    target: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """skill-it: a domain whose held-out loss counts (default: each); repeatable."""
    graph: Path | None = None
    """skill-it: a JSON file {"from": {"to": 0.5}} of how much a domain helps another (default: each helps itself alone)."""
    graph_steps: int | None = None
    """skill-it: learn that graph by so many steps on each domain."""
    window: int | None = None
    """skill-it: how many of the last measurements count (default 3)."""
    rounds: int | None = None
    """skill-it: how often the weights are made, evenly over the steps (default 10)."""
    mixture: Path | None = None
    """doremi: the weights that the reference is trained by (default: all domains alike)."""

    run: Path = Path("runs/mix")


def run(config: Config) -> int:
    """Check, train the reference and the proxy, write the weights. Returns the exit code."""
    config = prepared(config)
    examples = _examples_of(config)
    with ExitStack() as opened:
        folder = opened.enter_context(_open_run(config))
        place = folder.path
        part = replace(config, overwrite=False, resume=None)
        if config.algorithm == "doremi" and config.reference_model is None:
            _train(replace(part, run=place / "reference"), _reference_method(config, examples), place)
        method, keep = (_doremi if config.algorithm == "doremi" else _skill_it)(config, examples, place)
        _train(replace(part, run=place / "proxy"), method, place, keep)
        folder.write_manifest(status="done")
    _tell(place)
    return 0


def prepared(config: Config) -> Config:
    """Paths made absolute and defaults made numbers. Raises InputError for what is missing, cannot be or would be ignored."""
    config = resumed(config)
    for name in OWN["skill-it" if config.algorithm == "doremi" else "doremi"]:
        if getattr(config, name) not in (None, ()):
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} would be ignored by --algorithm {config.algorithm}; leave it out, or choose the other algorithm")
    if config.mixture is not None and config.algorithm == "skill-it":
        raise InputError("--mixture would be ignored by --algorithm skill-it; leave it out")
    if config.policy_workers:
        raise InputError("--policy-workers: a small model's weights over domains live in one process; leave it out")
    if not config.shuffle:
        raise InputError("--no-shuffle would be ignored: examples are drawn by weights; leave it out")
    if config.graph is not None and config.graph_steps is not None:
        raise InputError("--graph and --graph-steps both say what helps what; leave one of them out")
    if config.algorithm == "skill-it" and not (config.held_out or config.eval_data):
        raise InputError("--algorithm skill-it goes by held-out losses; give --held-out or --eval-data")
    reference = config.reference_model and absolute(config.reference_model)
    config = replace(config, reference_model=reference, eta=STEP_SIZE[config.algorithm] if config.eta is None else config.eta)
    for name, least in (("eta", 0.0), ("graph_steps", 0), ("window", 0), ("rounds", 0)):
        if (value := getattr(config, name)) is not None and not value > least:
            raise InputError(f"--{name.replace('_', '-')} must be above 0, not {value}")
    if config.smoothing is not None and not 0 <= config.smoothing < 1:
        raise InputError(f"--smoothing must be from 0 to below 1, not {config.smoothing}")
    return resolve(config, sft.RATES)


# --- the parts -----------------------------------------------------------------------------------------------------------


def _open_run(config: Config) -> "RunFolder":
    from rl.runs.run_folder import RunFolder

    if config.resume is None:
        return RunFolder.create(config.run, {"options": to_json(config)}, overwrite=config.overwrite, needed_bytes=0)
    folder, _ = RunFolder.open(config.resume)
    folder.lock()
    return folder


def _train(config: Config, method: "Method", whole: Path, keep: "HandOver" = lambda policy, chat: None) -> None:
    """A part's run, from wherever it stands; nothing where it is done. Raises Interrupted where it was stopped."""
    from recipes.training.offline_run import run_offline

    if (config.run / "final").is_dir():
        return
    if (config.run / "config.json").exists():
        kept = {field.name for field in fields(config)} & (MAY_CHANGE - {"steps", "rounds"})
        config = resolve(resumed(Config(resume=config.run, **{name: getattr(config, name) for name in kept})), sft.RATES)
    if run_offline(config, method, hand_over=keep):
        raise Interrupted(f"the steps up to the last checkpoint are kept; continue with --resume {whole}")


def _examples_of(config: Config) -> "MixedExamples":
    """The domains of the data, all alike, or as --mixture weighs them for the reference. Raises InputError for fewer than two."""
    from rl.mixtures.domains import DomainNames, folder_rows
    from rl.mixtures.mixed_examples import MixedExamples
    from rl.mixtures.mixture_file import Mixture, read_mixture

    if config.mixture is not None:
        return MixedExamples(config.domain_column, read_mixture(config.mixture), load_rows)
    names = DomainNames(config.domain_column)
    if config.domain_column is None:
        rows = folder_rows(Path(config.data), load_rows)
    else:
        rows = load_rows(config.data, subset=config.subset, split=config.split or "train")
    for number, _ in enumerate(names.noted(rows, source_name(config.data, config.split)), 1):
        if number == config.limit:
            break
    found = names.names()
    if len(found) < 2:
        raise InputError(f"--data {config.data}: {len(found)} domain{'s' * (len(found) != 1)}; a mixture has two or more")
    return MixedExamples(config.domain_column, Mixture(dict.fromkeys(found, 1.0)), load_rows)


def _reference_method(config: Config, examples: "MixedExamples") -> "Method":
    method = sft.method_of(config)
    return replace(
        method, rows=None if config.domain_column else examples.rows, intake=examples.intake(method.intake), order=examples.order,
        figures=examples.figures,
    )  # fmt: skip


def _doremi(config: Config, examples: "MixedExamples", place: Path) -> "tuple[Method, HandOver]":
    from recipes.training.references import make_reference
    from rl.mixtures.doremi import DoReMi
    from rl.mixtures.mixed_examples import MixedExamples
    from rl.mixtures.mixture_file import Mixture, write_mixture

    state = DoReMi(examples.domains, step_size=config.eta or 1.0, smoothing=1e-3 if config.smoothing is None else config.smoothing)
    objective = state.objective()
    other = config.reference_model or str(place / "reference" / "final")

    def reference(learner: "Learner", units: Sequence[Any]) -> DoReMi:
        found = make_reference(objective, learner, units, other=other, scores=None)
        assert found is not None, "the objective reads ref_logp"
        state.reference = found
        return state

    def keep(policy: object, chat: object) -> None:
        weights = dict(zip(examples.domains, state.mean_weights().tolist(), strict=True))
        last = dict(zip(examples.domains, state.weights.tolist(), strict=True))
        write_mixture(place / WEIGHTS, Mixture(weights), {"algorithm": "doremi", "steps": state.steps, "last_weights": last})

    alike = MixedExamples(config.domain_column, Mixture(dict.fromkeys(examples.domains, 1.0)), load_rows)
    base = _reference_method(config, examples)
    return replace(base, name="doremi", objective=objective, reference=reference, measured=base.objective, order=alike.order), keep


def _skill_it(config: Config, examples: "MixedExamples", place: Path) -> "tuple[Method, HandOver]":
    import numpy as np

    from rl.mixtures.mixture_file import Mixture, Phase, write_mixture
    from rl.mixtures.skill_it import Rounds, SkillIt, graph_of

    domains, targets = examples.domains, list(config.target) or examples.domains
    if unknown := [name for name in targets if name not in domains]:
        raise InputError(f"--target {unknown[0]}: the data have no such domain; they have {', '.join(domains)}")
    graph = None if config.graph_steps else graph_of(_read_graph(config.graph), domains, targets) if config.graph else np.eye(len(domains))
    if graph is not None and not config.graph:
        graph = graph[:, [domains.index(name) for name in targets]]
    made: list[SkillIt] = []
    total: list[int] = []
    count = config.rounds or 10

    def reference(learner: "Learner", units: Sequence[Any]) -> SkillIt:
        rounds = Rounds(
            places=0, step_size=config.eta or 0.2, window=config.window or 3, graph=graph, graph_steps=config.graph_steps or 0,
            graph_lr=float(config.lr or 0.0), examples_per_step=config.examples_per_step,
        )  # fmt: skip
        made.append(SkillIt(domains, targets, rounds, config.seed))
        return made[-1]

    def order(options: Any, learner: "Learner", units: Sequence[Any], held_out: Sequence[Any]) -> SkillIt:
        total.append(options.steps * options.examples_per_step)
        made[-1].rounds = replace(made[-1].rounds, places=math.ceil(options.steps / count) * options.examples_per_step)
        return made[-1].begin(learner, units, held_out)

    def keep(policy: object, chat: object) -> None:
        rounds = [dict(zip(domains, weights.tolist(), strict=True)) for weights in made[-1].weights]
        share = made[-1].rounds.places / total[-1]  # of the run, a round
        phases = tuple(Phase(number * share, weights) for number, weights in enumerate(rounds))
        weights = dict(zip(domains, made[-1].mean_weights().tolist(), strict=True))
        learnt = made[-1].graph
        assert learnt is not None, "a run that is done has had a round"
        facts = {"algorithm": "skill-it", "targets": targets, "graph": learnt.tolist(), "losses": made[-1].losses}
        write_mixture(place / WEIGHTS, Mixture(weights, phases), facts)

    return replace(_reference_method(config, examples), name="skill-it", reference=reference, order=order), keep


def _read_graph(path: Path) -> Mapping[str, Mapping[str, float]]:
    try:
        found = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--graph {path}: cannot be read ({str(error)[:80]})") from error
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        raise InputError(f'--graph {path}: should be {{"from": {{"to": 0.5}}}}')
    return found


def _tell(place: Path) -> None:
    weights = json.loads(read_file(place / WEIGHTS))["weights"]
    for name, weight in sorted(weights.items(), key=lambda pair: -pair[1]):
        print(f"{weight:8.4f}  {name}")
    print(f"weights in {place / WEIGHTS}; train by them with reckon sft --mixture {place / WEIGHTS}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="mix"))))
