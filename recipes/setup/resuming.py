"""`--resume`: an earlier run's options out of its config.json, and what may be given beside it.

What leaves the mathematics as it is may change between two lives of a run: memory settings, what samples, how long the run is, how
often it looks at itself, who watches. Everything else is refused by name, with what the run has: an option may change only when
somebody has put it into `MAY_CHANGE`. What changed is written into config.json, so that a run says truly what it was made with.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from recipes.setup.command_line import given_options
from recipes.setup.options import from_json, to_json
from recipes.spelling.flat_options import built, flat_values, merged, names_of
from recipes.spelling.option_values import flag_of
from rl.learning.schedule import Schedule
from verifiers.atomic_files import read_file
from verifiers.input_error import InputError

MAY_CHANGE = frozenset(
    {
        *(
            "tokens_per_micro_batch",
            "gradient_checkpointing",
            "savings",
            "recompute",
            "recompute_every",
            "offload_activations",
            "attention",
            "packing",
            "layout",
            "tools_at_once",
            "policy_workers",
            "tensor_parallel",
        ),  # memory
        *("max_sequences", "engine"),  # other draws, of the same distribution
        *("steps", "rounds", "eval_every", "checkpoint_every", "store_tokens", "stall_after"),
        *("track", "workers", "deadline", "profile"),
    }
)


def resumed(options: Any) -> Any:
    """With --resume, the options of that run, with what was given beside it. Raises InputError for what would make it another run."""
    if options.resume is None:
        return options
    path = options.resume
    stored = from_json(type(options), stored_run(path)["options"], path)
    stored = dataclasses.replace(stored, run=path, resume=path, overwrite=False)
    kind, before = type(options), flat_values(stored)
    given = {name: value for name, value in given_options(options).items() if name != "resume"}
    changes = {name: value for name, value in given.items() if not _same(value, before.get(name))}
    if refused := sorted(changes.keys() - MAY_CHANGE - names_of(kind, "engine") - names_of(kind, "track")):
        has = " and ".join(f"{flag_of(name)} {_shown(before.get(name))}" for name in refused)
        raise InputError(
            f"--resume {path} goes on with {has}, which cannot change within a run; leave {' and '.join(map(flag_of, refused))} out, or "
            f"start a new run{_anew(stored)}"
        )
    if "steps" in changes:
        _check_steps(stored, changes["steps"])
    return built(kind, merged(kind, before, changes))


def refuse_changes(options: Any, path: Path) -> None:
    """Raises InputError, which names them, for options that differ from those that what lies at `path` began with.

    For what the same command goes on with, without --resume. MAY_CHANGE may, but for its length.
    """
    kind = type(options)
    stored = from_json(kind, stored_run(path)["options"], path)
    before, now = flat_values(stored), flat_values(options)
    free = MAY_CHANGE - {"steps", "rounds"} | {"run", "overwrite"} | names_of(kind, "engine")
    if refused := sorted(name for name in now.keys() | before.keys() if name not in free and not _same(now.get(name), before.get(name))):
        has = " and ".join(f"{flag_of(name)} {_shown(before.get(name))}" for name in refused)
        raise InputError(
            f"{path} was begun with {has}, which cannot change within it; give the same again, another --run, or --overwrite to begin anew"
        )


def stored_run(path: Path) -> dict[str, Any]:
    """What an earlier run's config.json holds. Raises InputError where there is no run, or nothing that can be read."""
    config = path / "config.json"
    if not config.exists():
        raise InputError(f"--resume {path}: no run is there (config.json is missing); give the folder that an earlier run printed")
    try:
        stored = json.loads(read_file(config))
        if not isinstance(stored, dict) or not isinstance(stored.get("options"), dict):
            raise ValueError("it holds no options")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--resume {path}: its config.json cannot be read ({error}); restore it, or start a new run") from error
    return stored


def with_changes(config: dict[str, Any], options: Any, *, step: int) -> dict[str, Any]:
    """A run's config.json for the life that begins at `step`: today's options, and under "changes" what each earlier life had instead."""
    today, before = to_json(options), to_json(from_json(type(options), config["options"], Path(str(options.resume))))
    changed = {
        name: [before.get(name), today[name]] for name in sorted(MAY_CHANGE & today.keys()) if not _same(today[name], before.get(name))
    }
    if not changed:
        return config
    history = [*config.get("changes", []), {"after_step": step, "options": changed}]
    return {**config, "options": before | {name: now for name, (_, now) in changed.items()}, "changes": history}


def steps_done(path: Path) -> int:
    """Steps up to the newest checkpoint of the run; 0 before the first."""
    names = [place.name.removeprefix("step-") for place in (path / "checkpoints").glob("step-*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _check_steps(stored: Any, steps: int) -> None:
    """Raises InputError where the run is longer already, or where what it has learnt was learnt at other rates than the new length has."""
    done, path = steps_done(stored.resume), stored.resume
    if steps < done:
        raise InputError(f"--resume {path} --steps {steps}: the run has done {done} steps already; give more, or leave --steps out")
    before, after = (Schedule(stored.lr, length, stored.warmup, stored.schedule) for length in (stored.steps, steps))
    if any(before(step) != after(step) for step in range(done)):
        raise InputError(
            f"--resume {path} --steps {steps}: the learning rate's {stored.schedule} was drawn over {stored.steps} steps, {done} of which "
            f"are done, and none over {steps} has those rates; start a new run{_anew(stored)}"
        )


def _anew(stored: Any) -> str:
    return f" from its weights: --model {stored.resume}" if hasattr(stored, "model") else ""


def _same(given: Any, stored: Any) -> bool:
    """A path is stored absolute, alone or behind a name (`hard=hard.jsonl`), a tuple as a list."""
    if isinstance(given, str | Path) and isinstance(stored, str | Path):
        (name, equals, place), (known, _, kept) = str(given).partition("="), str(stored).partition("=")
        alike = str(given) == str(stored) or (Path(stored).is_absolute() and Path(given).resolve() == Path(stored).resolve())
        return alike or (bool(equals) and name == known and _same(place, kept))
    if isinstance(given, tuple | list) and isinstance(stored, tuple | list):
        return len(given) == len(stored) and all(map(_same, given, stored))
    return bool(given == stored)


def _shown(value: Any) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
