"""The card (README.md) of a model, in its run's final/ and on the hub, made from what the run says of itself: facts, and no claims beyond.

Paths of this machine stay out: of a path the name alone is written. Without a run there is little to say, and little is said.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from recipes.setup.model_source import IN_MEMORY
from verifiers.atomic_files import read_file

DEFAULTS_SAY_NOTHING = (None, "", False, [], ())
_NOT_FOR_OTHERS = ("run", "resume", "overwrite", "track", "url", "folder", "address")  # of this machine and its network
_PRIVATE = frozenset({"--run", "--resume", "--server-url", "--server-folder", "--ray-address", "--track", "--project", "--run-name"})
_ABSOLUTE = re.compile(r"""(?<![^=:'"(, ])(?:/[^/=:'"(),]+)+/([^/=:'"(),]+)""")
HEAD = "value_head.safetensors"
_JUDGES = (
    f"It judges texts: `{HEAD}` maps the hidden state of a text's last token (of a process reward model: of each step's) to a number. "
    "`--reward 'reward_model(PLACE)'` uses it."
)
_SHOWN = ("reward", "accuracy", "length", "loss", "eval/accuracy", "eval/auc", "eval/ece", "eval/loss")


def write_card(path: Path, *, name: str, run: Path | None, base: str | None, adapter: bool) -> None:
    """Writes the card of `name`. `run`: the folder of the run that made it; `base`: the hub id or folder of what it was trained from."""
    from huggingface_hub import ModelCardData

    config, manifest = ({}, {}) if run is None else (_read(run / "config.json"), _read(run / "manifest.json"))
    judges = (path.parent / HEAD).exists()
    told = None if base is None else _shown(base)
    data = ModelCardData(
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-classification" if judges else "text-generation",
        base_model=base if base and not Path(base).is_absolute() and not base.startswith(IN_MEMORY) else None,
        tags=["reckon", *_method(config)],
    )
    sections = [
        f"# {name.rpartition('/')[2]}",
        f"{'An adapter (LoRA)' if adapter else 'A model'} trained with Reckon" + (f", on {told}." if told else "."),
        *([_JUDGES] if judges else []),
        *_facts(run, config, manifest),
        *_numbers(run),
        *_made_with(config, manifest),
    ]
    path.write_text(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n", encoding="utf-8")


def _method(config: dict[str, Any]) -> list[str]:
    algorithm = config.get("options", {}).get("algorithm")
    name = algorithm.get("name") if isinstance(algorithm, dict) else algorithm
    return [name] if isinstance(name, str) else []


def _facts(run: Path | None, config: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """What it is, what it learnt from, who judged, how long it took and on what: a line each, those that are known."""
    if run is None:
        return []
    from rl.runs.run_folder import read_lines

    rows, options = read_lines(run / "metrics.jsonl"), config.get("options", {})
    hours, machine = sum(row.get("time/step", 0.0) for row in rows) / 3600, manifest.get("hardware", {})
    steps = rows[-1]["step"] if rows else 0
    command = _command(manifest.get("command"))
    judged_by = ", ".join(f"{name} ({mark})" for name, mark in config.get("rewards", {}).items())
    facts = {
        "method": ", ".join(filter(None, [_command_name(manifest.get("command")), *_method(config)])),
        "data": _shown(options["data"]) if options.get("data") else "",
        "problems or examples, held out ones included": f"{config.get('problems') or config.get('units') or ''}",
        "steps": f"{steps}" if steps else "",
        "verifiers, with their version or a hash of their code": judged_by,
        "time": f"{_duration(3600 * hours)} in steps" if hours else "",
        "hardware": ", ".join(f"{value} {key}" if key == "cores" else f"{value}" for key, value in machine.items() if value),
        "command": f"`{command}`" if command else "",
    }
    lines = [f"| {key} | {' '.join(value.split()).replace('|', '&#124;')} |" for key, value in facts.items() if value]
    return ["\n".join(["| | |", "|---|---|", *lines])] if lines else []


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _command_name(words: Any) -> str:
    """`reckon sft`, or the recipe; "" for a Python program of somebody's own."""
    return " ".join(_command(words).split(" ")[: 2 if _command(words).startswith("reckon") else 3])


def _command(words: Any) -> str:
    """What was typed, without what is of this machine and its network; "" for a Python program of somebody's own."""
    if not isinstance(words, list) or not words:
        return ""
    program, *rest = map(str, words)
    place = Path(program)
    if place.name in ("reckon", "cli.py"):
        said = ["reckon"]
    elif place.suffix == ".py" and place.parent.name == "recipes":
        said = ["python", "-m", f"recipes.{place.stem}"]
    else:
        return ""
    taken = False
    for word in rest:
        if taken:
            taken = False
            continue
        option, equals, _ = word.partition("=")
        if option in _PRIVATE:
            taken = not equals
            continue
        said.append(_ABSOLUTE.sub(r"\1", word) if "://" not in word else "URL")
    return shlex.join(said)


def _numbers(run: Path | None) -> list[str]:
    """The first and the last of each number that says how the run went."""
    if run is None:
        return []
    from rl.runs.run_folder import read_lines

    rows = read_lines(run / "metrics.jsonl")
    lines = []
    named = [key for key in (rows[-1] if rows else {}) if key.startswith("eval/") and key.endswith("/accuracy")]
    for key in dict.fromkeys([*_SHOWN, *named]):
        seen = [row for row in rows if isinstance(row.get(key), int | float)]
        if seen:
            before, after = ((f"{row[key]:.4g} (step {row['step']})" + _interval(key, row)) for row in (seen[0], seen[-1]))
            lines.append(f"| {key} | {before} | {after} |")
    return ["\n".join(["| | first | last |", "|---|---|---|", *lines])] if lines else []


def _interval(key: str, row: dict[str, Any]) -> str:
    where = key.removesuffix("accuracy")
    if not where.startswith("eval/") or where == key or f"{where}low" not in row:
        return ""
    return f", 95 % {row[f'{where}low']:.3f} to {row[f'{where}high']:.3f}, of {int(row[f'{where}total'])}"


def _made_with(config: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    options = config.get("options", {})
    lines = [
        f"{key} = {_shown(value)}" for key, value in options.items() if value not in DEFAULTS_SAY_NOTHING and key not in _NOT_FOR_OTHERS
    ]
    packages = {name: found for name, found in manifest.get("packages", {}).items() if found != "not installed"}
    versions = ", ".join(f"{name} {found}" for name, found in packages.items())
    made = [f"Made with {versions}, Python {manifest.get('python')}."] if versions else []
    return [*(["## Options", "```\n" + "\n".join(lines) + "\n```"] if lines else []), *made]


def _worth_saying(key: str, value: Any) -> bool:
    return value not in DEFAULTS_SAY_NOTHING and key not in _NOT_FOR_OTHERS


def _shown(value: Any) -> str:
    """One line; of an absolute path, and of a file with a function in it, the last part."""
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    if isinstance(value, dict):  # a choice and what belongs to it
        return ", ".join(f"{key} {_shown(each)}".removeprefix("name ") for key, each in value.items() if _worth_saying(key, each))
    text = " ".join(str(value).split())
    if text.startswith(IN_MEMORY):
        return "of a Python program"
    return text.rpartition("/")[2] if text.startswith("/") else text


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
