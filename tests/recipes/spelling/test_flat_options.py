"""Nested options and their flat names: one dataclass says both, whatever a command line, a file or an earlier run has them as."""

import inspect
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from recipes import grpo_math, grpo_tools, quickstart
from recipes.setup import choices, starting_point
from recipes.setup.choices import DAPO, GRPO, GSPO, HF, KL, RLOO, VLLM, Auto, Full, Lora, Mask, MovingAverage, Ray, Server, Truncate
from recipes.setup.command_line import parse_options
from recipes.setup.model_source import find_model
from recipes.setup.options import Options, from_json, to_json
from recipes.spelling.flat_options import choices_of, flat_options, flat_values
from recipes.training import sample, sft
from verifiers.input_error import InputError


def config(*arguments: str, kind: Any = grpo_math.Config) -> Any:
    return parse_options(kind, arguments, name="grpo-math")


SAID: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--engine", "vllm", "--engine-memory", "0.5"], {"engine": VLLM(memory=0.5)}),
    (["--engine-memory", "0.5"], {"engine": Auto(memory=0.5)}),
    (["--engine", "hf"], {"engine": HF()}),
    (["--engine", "server", "--server-url", "http://h:1", "--server-folder", "f"], {"engine": Server(url="http://h:1", folder=Path("f"))}),
    (["--engine", "ray", "--engines", "3", "--ray-engine", "hf"], {"engine": Ray(count=3, engine=HF())}),
    (
        ["--engine=ray", "--ray-engine", "vllm", "--engine-sleep", "--engine-option", "a=1", "--engine-option", "b=2"],
        {"engine": Ray(engine=VLLM(sleep=True, option=("a=1", "b=2")))},
    ),
    (["--tune", "full"], {"tune": Full()}),
    (["--lora-rank", "8", "--dora"], {"tune": Lora(rank=8, dora=True)}),
    (["--algorithm", "dapo", "--clip-high", "0.3", "--max-refills", "0"], {"algorithm": DAPO(clip_high=0.3, max_refills=0)}),
    (["--clip-low", "0.1"], {"algorithm": GRPO(clip_low=0.1)}),
    (["--algorithm", "gspo"], {"algorithm": GSPO(clip_low=3e-4, clip_high=4e-4)}),
    (["--kl-coef", "0.04"], {"kl": KL(0.04)}),
    (["--kl-coef", "0"], {"kl": None}),
    (
        ["--kl-coef", "0.1", "--kl", "k2", "--reference", "ema", "--ema-decay", "0.9"],
        {"kl": KL(0.1, estimator="k2", reference=MovingAverage(0.9))},
    ),
    (["--correction", "truncate"], {"correction": Truncate()}),
    (
        ["--correction", "mask", "--correction-low", "0.5", "--correction-level", "sequence"],
        {"correction": Mask(low=0.5, level="sequence")},
    ),
    (["--ahead", "1", "--correction-high", "3"], {"ahead": 1, "correction": Truncate(high=3.0)}),
]


@pytest.mark.parametrize(("words", "values"), SAID)
def test_a_command_line_is_what_python_writes(words: list[str], values: dict[str, Any]) -> None:
    assert config(*words) == grpo_math.Config(**values)


@pytest.mark.parametrize(("words", "values"), SAID)
def test_a_run_stores_what_it_can_read(words: list[str], values: dict[str, Any], tmp_path: Path) -> None:
    options = grpo_math.Config(**values)
    stored = json.loads(json.dumps(to_json(options)))
    assert from_json(grpo_math.Config, stored, tmp_path) == options
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(stored))
    assert config("--config", str(tmp_path / "a.yaml")) == options


FLAT_RUN = {  # of before there were groups: every option, those that were not set as null
    "algorithm": "dapo", "clip_low": None, "clip_high": 0.3, "ratio_cap": None, "overlong_cache": None, "max_refills": None,
    "kl_coef": 0.04, "kl": None, "reference": "ema", "ema_decay": None, "correction": None, "correction_level": None,
    "correction_low": None, "correction_high": None, "entropy_coef": 0.0, "steps": 6, "engine": "ray", "engine_memory": None,
    "engine_sleep": False, "engine_option": [], "engines": 2, "ray_engine": "hf", "ray_address": None, "server_url": None,
    "server_folder": None, "reward": ["exact"], "run": "runs/x", "tune": "full", "lora_rank": None, "lora_alpha": None,
    "lora_targets": None, "dora": None,
}  # fmt: skip


def test_a_run_of_before_is_read(tmp_path: Path) -> None:
    read = from_json(grpo_math.Config, FLAT_RUN, tmp_path)
    assert read == grpo_math.Config(
        algorithm=DAPO(clip_high=0.3), kl=KL(0.04, reference=MovingAverage()), engine=Ray(engine=HF()), tune=Full(), steps=6,
        reward=("exact",), run=Path("runs/x"),
    )  # fmt: skip
    plain = from_json(quickstart.Config, {"kl_coef": 0.0, "kl": None, "engine": "vllm", "engine_memory": 0.3}, tmp_path)
    assert plain == quickstart.Config(engine=VLLM(memory=0.3))


GROUPED = "algorithm:\n  name: dapo\n  clip-high: 0.3\nengine: {name: vllm, memory: 0.4}\nkl: {coef: 0.1, reference: {name: ema}}\n"


@pytest.mark.parametrize(
    ("text", "words", "values"),
    [
        (GROUPED, [], {"algorithm": DAPO(clip_high=0.3), "engine": VLLM(memory=0.4), "kl": KL(0.1, reference=MovingAverage())}),
        (GROUPED, ["--algorithm", "rloo", "--engine", "hf", "--kl-coef", "0.2"],
         {"algorithm": RLOO(), "engine": HF(), "kl": KL(0.2, reference=MovingAverage())}),
        (GROUPED, ["--clip-low", "0.1", "--engine-sleep", "--algorithm", "dapo"],
         {"algorithm": DAPO(clip_high=0.3, clip_low=0.1), "engine": VLLM(memory=0.4, sleep=True),
          "kl": KL(0.1, reference=MovingAverage())}),
        ("engine: server\nserver_url: http://h:1\n", [], {"engine": Server(url="http://h:1")}),
        ("engine_memory: 0.3\n", ["--engine", "vllm"], {"engine": VLLM(memory=0.3)}),
        ("tune: full\nkl: null\ncorrection: null\n", [], {"tune": Full()}),
    ],
)  # fmt: skip
def test_a_file_may_group_and_another_choice_comes_without_its_settings(
    text: str, words: list[str], values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert config("--config", str(tmp_path / "a.yaml"), *words) == grpo_math.Config(**values)


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("engine: {name: vlm}\n", [], "--config a.yaml: engine must have a name, one of hf, vllm, server, ray, auto, not 'vlm'"),
        ("engine: {memory: 0.4}\n", [], "--config a.yaml: engine must have a name, one of hf, vllm, server, ray, auto"),
        ("engine: {name: [1]}\n", [], "--config a.yaml: engine must have a name"),
        ("engine: {name: vllm, memry: 0.4}\n", [], "--config a.yaml: engine of vllm has no memry; did you mean memory?"),
        ("engine: {name: hf, memory: 0.4}\n", [], "--config a.yaml: engine of hf has no memory"),
        ("engine: {name: vllm, memory: lots}\n", [], "--config a.yaml: engine.memory must be a number (or null), not 'lots'"),
        ("kl: {coef: 0.1, reference: {name: ema, decay: x}}\n", [], "--config a.yaml: kl.reference.decay must be a number"),
        ("kl: {estimator: k2}\n", [], "--config a.yaml: kl would be ignored without --kl-coef"),
        ("engine_memory: 0.3\n", ["--engine", "hf"], "--config a.yaml: engine_memory would be ignored with --engine hf"),
        ("engine: hf\n", ["--engine-memory", "0.3"], "--engine-memory would be ignored with --config a.yaml: engine hf"),
        ("engine: vllm\nalgorithm: gpro\n", [], "--config a.yaml: algorithm must be one of grpo, dr_grpo"),
    ],
)  # fmt: skip
def test_a_group_that_cannot_be_is_one_line(
    text: str, words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        config("--config", "a.yaml", *words)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_every_algorithm_is_its_factory() -> None:
    """The same names, parameters and defaults: what the objectives need of the torch side is stated for the command line too."""
    from rl.objectives.algorithms import ALGORITHMS

    kinds = choices_of(Options)["algorithm"].kinds
    assert list(kinds) == list(ALGORITHMS)
    for name, kind in kinds.items():
        parameters = {key: each.default for key, each in inspect.signature(ALGORITHMS[name]).parameters.items()}
        parameters.pop("max_completion_length", None)
        of_recipe = {"critic", "kl_in"} if name == "ppo" else set()  # which become a Critic, and `reward_kl` out of the KL's options
        parameters.pop("reward_kl", None)
        assert {field.name: field.default for field in fields(kind) if field.name not in of_recipe} == parameters, name


def test_corrections_and_adapters_have_the_defaults_of_what_they_become(model_folder: Path) -> None:
    from rl.learning.adapters import Lora as Adapter
    from rl.objectives.policy_gradient import Correction

    assert (Mask().level, Mask().low, Mask().high) == (Correction().level, Correction().low, Correction().high)
    assert (Truncate().level, Truncate().high) == (Correction().level, Correction().high)
    made = starting_point.lora_of(grpo_math.Config(), replace(find_model(str(model_folder)), adapter=None))
    assert made == Adapter()


def test_ways_of_merging_have_the_settings_of_what_they_become() -> None:
    """They are stated twice, so that a command line is read without torch; a setting of one alone would be ignored or missing."""
    from recipes.policies import merged_policies
    from rl.interpolation import task_vectors

    for kind in get_args(merged_policies.How):
        assert [(field.name, field.default) for field in fields(kind)] == [
            (field.name, field.default) for field in fields(getattr(task_vectors, kind.__name__))
        ]
    assert [kind.__name__ for kind in get_args(merged_policies.How)] == [kind.__name__ for kind in get_args(task_vectors.How)]


@pytest.mark.parametrize("kind", [grpo_math.Config, grpo_tools.Config, quickstart.Config, sample.Config, sft.Config])
def test_every_option_has_a_text_and_one_type(kind: Any) -> None:
    options = flat_options(kind)
    assert [name for name, option in options.items() if not option.doc and option.groups] == []
    assert not [name for name in options if name.startswith("_") or name != name.lower()]
    assert flat_values(kind()).keys() <= options.keys()


def test_help_says_which_choice_obeys_an_option_and_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        config("--help-all")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--clip-high FLOAT Upper clip distance of the ratio. With --algorithm grpo, dr_grpo, dapo, gspo," in said
    assert "(default: 0.2; 0.28 with dapo; 0.0004 with gspo)" in said
    assert "--engine-memory FLOAT" in said
    assert "--kl {k1|k2|k3} Estimator of that KL. (default: k3)" in said
    assert "With --kl kl" not in said


def test_choices_cannot_hold_what_they_ignore() -> None:
    with pytest.raises(TypeError, match="memory"):
        HF(memory=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="clip_high"):
        choices.RLOO(clip_high=0.3)  # type: ignore[call-arg]


def test_python_may_write_a_choice_as_an_object_or_in_words() -> None:
    from recipes.in_python.objects import config_of

    flat = {"engine": "vllm", "engine_memory": 0.5, "tune": "full", "kl_coef": 0.1, "reference": "ema", "steps": 3}
    nested = {"engine": VLLM(memory=0.5), "tune": Full(), "kl": KL(0.1, reference=MovingAverage()), "steps": 3}
    assert config_of(grpo_math.Config, flat, model="m") == config_of(grpo_math.Config, nested, model="m")
    for options, said in [
        ({"engine": "vlm"}, "engine must be one of hf, vllm, server, ray, auto, not 'vlm'; did you mean vllm?"),
        ({"tune": "full", "lora_rank": 4}, "lora_rank would be ignored with tune full"),
        ({"lora_rnk": 4}, "there is no option 'lora_rnk'; did you mean lora_rank?"),
    ]:
        with pytest.raises(InputError, match="^" + re.escape(said)):
            config_of(grpo_math.Config, options)
