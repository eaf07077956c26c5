"""`reckon iterate`: what each round samples, learns and begins with, that kill -9 changes nothing, and what is refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from recipes.commands.cli import main
from rl.learning.value_heads import FILE
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress
from verifiers.input_error import InputError

PROBLEMS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier is a function of the response alone, so that a random model is right at times."""
    folder = tmp_path_factory.mktemp("data")
    rows = [json.dumps({"prompt": f"{a} + {a}?", "answer": str(2 * a)}) + "\n" for a in range(PROBLEMS)]
    (folder / "problems.jsonl").write_text("".join(rows))
    (folder / "held_out.jsonl").write_text(json.dumps({"prompt": "7 - 7?", "answer": "0"}) + "\n")
    (folder / "odd.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    return folder / "problems.jsonl"


def words(model: Path | str, data: Path, run: Path, *more: str | Path) -> list[str]:
    sampling = ["--max-completion-length", "6", "--engine", "hf", "--keep-truncated", "--reward", f"{data.parent / 'odd.py'}:even"]
    sizes = ["--steps", "2", "--problems-per-step", "2", "--completions-per-problem", "4", "--warmup", "0", "--lora-rank", "2"]
    rates = ["--lr", "1e-2", "--reward-lr", "1e-2", "--reward-batch", "4", "--replay", "0.5", "--workers", "1", "--checkpoint-every", "1"]
    every = ["--model", model, "--data", data, "--run", run, *sampling, *sizes, *rates, *more]
    return ["iterate", *map(str, every)]


def two_rounds(data: Path) -> list[str]:
    return ["--rounds", "2", "--kl-coef", "0.1", "--eval-data", str(data.parent / "held_out.jsonl")]


@pytest.fixture(scope="module")
def straight(model_folder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("straight") / "run"
    assert main(words(model_folder, data, run, *two_rounds(data))) == 0
    return run


def config(run: Path) -> dict[str, Any]:
    return json.loads((run / "config.json").read_text())["options"]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_each_round_learns_from_what_the_last_one_learnt(straight: Path, model_folder: Path) -> None:
    first, second = straight / "round-01", straight / "round-02"
    assert config(first / "reward_model")["model"] == config(first / "grpo")["model"] == str(model_folder)
    assert config(second / "reward_model")["model"] == str(first / "reward_model")
    assert config(second / "grpo")["model"] == str(first / "grpo")
    for place in (first, second):
        assert config(place / "grpo")["reward"] == [f'reward_model("{place / "reward_model"}", {config(straight)["reward"][0]})']
        assert (place / "reward_model" / "final" / FILE).exists()
        # measured against the policy as the round begins: before its first update the KL is 0
        assert read_lines(place / "grpo" / "metrics.jsonl")[1]["kl_reference"] == pytest.approx(0.0, abs=1e-6)
    final, last = (dict(load_file(place / "final" / "adapter_model.safetensors")) for place in (straight, second / "grpo"))
    assert all((tensor == last[name]).all() for name, tensor in final.items())


def test_the_verifier_may_have_a_weight_beside_the_reward_model(straight: Path) -> None:
    """And be in the sum what says what is right: its first."""
    from recipes.iterative_grpo import Config, _of_policy

    beside = Config(model="m", data=("d",), run=straight, reward=("exact",), verifier_weight=0.5)
    place = straight / "round-01" / "reward_model"
    assert _of_policy(beside, 1).reward == ("exact=0.5", f'reward_model("{place}", exact)')


def test_the_reward_model_sees_some_of_the_earlier_data_again(straight: Path) -> None:
    own, earlier = lines(straight / "round-02" / "pairs.jsonl"), lines(straight / "round-01" / "pairs.jsonl")
    mixed = lines(straight / "round-02" / "data.jsonl")
    assert mixed[: len(own)] == own
    again = mixed[len(own) :]
    assert len(again) == min(len(earlier), round(0.5 * len(own))) > 0
    assert set(again) <= set(earlier)
    assert lines(straight / "round-01" / "data.jsonl") == earlier


def test_every_rounds_figures_are_in_the_run(straight: Path) -> None:
    rows = read_lines(straight / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all(row["eval/total"] == 1 for row in rows)
    for row in rows[1:]:
        assert {"accuracy", "pairs", "replayed", "grpo/reward", "grpo/accuracy"} <= row.keys()
    assert rows[1]["replayed"] == 0


def test_a_plan_says_what_a_round_samples_and_both_losses_and_writes_nothing(
    model_folder: Path, data: Path, straight: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = words(
        model_folder, data, tmp_path / "run", "--rounds", "3", "--reward-problems", "3", "--kl-coef", "0.1", "--reward-samples", "5"
    )
    capsys.readouterr()
    assert main(["plan", *asked]) == 0
    said = capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    for line in (
        "loss = Σ_n w · [ token_loss + 0.1",
        "loss = Σ_u w · [ -logσ(r_w - r_l) ]",
        "3 rounds, each of 2 steps by the reward model alone",
        "3 problems x 5 completions = 15 sequences that the verifier judges: at most 6 pairs",  # two pairs of five answers
        "from the second on 50% more of earlier rounds; 1 epochs, 4 a step",
        "memory of the reward model's training (estimate)",
    ):
        assert line in said, line
    assert main(["plan", *asked, "--reward-kind", "outcome"]) == 0
    assert "15 sequences that the verifier judges: at most 15 answers" in capsys.readouterr().out
    assert main(["plan", *asked, "--verifier-weight", "2"]) == 0
    assert "each of 2 steps by the reward model and 2 of the verifier, and before them" in capsys.readouterr().out
    assert main(["plan", *words(model_folder, data, straight)]) == 0, "a run that is there is none of a plan's business"
    assert main(["plan", *asked, "--algorithm", "grpo-ps"]) == 2


@pytest.mark.slow
def test_from_python_it_is_the_command(model_folder: Path, data: Path, tmp_path: Path) -> None:
    """The same options and rows: the same adapter, to the bit; a loaded model stays as it is."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import reckon

    assert main(words(model_folder, data, tmp_path / "command", "--rounds", "1", "--steps", "1")) == 0
    model, tokenizer = AutoModelForCausalLM.from_pretrained(model_folder), AutoTokenizer.from_pretrained(model_folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run = reckon.iterate(
        model=model, tokenizer=tokenizer, problems=[json.loads(line) for line in lines(data)],
        reward=f"{data.parent / 'odd.py'}:even", rounds=1, steps=1, problems_per_step=2, completions_per_problem=4, warmup=0, lora_rank=2,
        lr=1e-2, reward_lr=1e-2, reward_batch=4, replay=0.5, workers=1, max_completion_length=6, engine="hf", keep_truncated=True,
        run=tmp_path / "python",
    )  # fmt: skip
    assert all((tensor == before[name]).all() for name, tensor in model.state_dict().items())
    asked, same = (dict(load_file(place / "final" / "adapter_model.safetensors")) for place in (tmp_path / "command", run.path))
    assert all((tensor == same[name]).all() for name, tensor in asked.items())
    assert run.policy.model is not model


def numbers(run: Path) -> list[list[dict[str, Any]]]:
    parts = [run, *sorted(run.glob("round-*/reward_model")), *sorted(run.glob("round-*/grpo"))]
    kept = [read_lines(part / "metrics.jsonl") for part in parts]
    return [[{k: v for k, v in row.items() if not k.startswith(("time/", "speed/", "sync/"))} for row in rows] for rows in kept]


@pytest.mark.slow
@pytest.mark.parametrize(
    "until", ["round-01/samples/rollouts", "round-01/reward_model/checkpoints/step-000001", "round-02/grpo/checkpoints"]
)
def test_killed_anywhere_and_resumed_it_is_the_same(until: str, model_folder: Path, data: Path, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def live() -> None:
        os._exit(main(words(model_folder, data, run, *two_rounds(data))))

    killed_when((run / until).exists, live)
    assert main(["iterate", "--resume", str(run)]) == 0
    assert numbers(run) == numbers(straight)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--replay", "2"], "--replay must be from 0 to 1, not 2.0"),
        (["--verifier-weight", "-1"], "--verifier-weight must be 0 or more, not -1.0"),
        (["--held-out", "1"], "--held-out and --eval would be ignored"),
        (["--algorithm", "grpo-ps"], "a round's reward model scores whole answers"),
        (["--reward", "math_answer"], "--reward is the verifier that labels samples: give one, without a weight"),
        (["--reward-model", "./nowhere"], "--reward-model: "),
        (["--reward-samples", "0"], "--reward-samples must be at least 1, not 0"),
        (["--reward-samples", "1"], "--reward-samples 1 makes no pairs, which are of one problem's answers"),
    ],
)
def test_a_bad_option_is_one_line(
    more: list[str], line: str, model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(model_folder, data, tmp_path / "run", *more)) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert said.startswith(f"error: {line}"), said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_weights_of_data_and_a_head_of_another_width_are_refused_before_anything_is_sampled(
    model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weighted = words(model_folder, data, tmp_path / "run")
    weighted[weighted.index("--data") + 1] = f"{data}=2"
    shutil.copytree(model_folder, tmp_path / "narrow")
    save_file({"weight": torch.ones(1, 3)}, tmp_path / "narrow" / FILE)
    for asked, line in (
        (weighted, "weights in --data are not kept by iterate"),
        (words(model_folder, data, tmp_path / "run", "--reward-model", str(tmp_path / "narrow")), "its value head is 3 wide"),
    ):
        assert main(asked) == 2
        assert line in without_progress(capsys.readouterr().err)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", [None, b"\xff\xfe"])
def test_an_earlier_rounds_rows_that_are_gone_or_damaged_are_one_line(damage: bytes | None, tmp_path: Path) -> None:
    from recipes.iterative_grpo import Config, _mix
    from recipes.training.rounds import Rounds
    from rl.runs.run_folder import RunFolder

    for number in (1, 2):
        (tmp_path / f"round-0{number}").mkdir()
        (tmp_path / f"round-0{number}" / "pairs.jsonl").write_text('{"prompt": "1"}\n')
    earlier = tmp_path / "round-01" / "pairs.jsonl"
    earlier.write_bytes(damage) if damage else earlier.unlink()
    with pytest.raises(InputError, match=r"round-01/pairs.jsonl, which a later round learns from again, cannot be read") as caught:
        _mix(Config(), Rounds(RunFolder(tmp_path)), 2)
    assert "\n" not in str(caught.value)


def test_a_reward_model_learns_the_very_tokens_that_it_judges(model_folder: Path, tmp_path: Path) -> None:
    """Also where no chat template says how the system prompt stands: the rows of a store bring it."""
    from dataclasses import replace

    from recipes.iterative_grpo import Config, _of_reward
    from recipes.selection.preference_pairs import Pairing, labelled, labelled_row
    from recipes.selection.stored_responses import store_files, stored_responses
    from recipes.selection.tally import Tally
    from recipes.setup.command_line import parse_options
    from rl.examples.intake import judged_examples
    from rl.examples.text_judge import TextJudge
    from rl.learning.learner import Learner
    from rl.learning.model_loading import load_model
    from rollout.chat import Chat, load_tokenizer
    from tests.recipes.selection.written_store import PLAIN, R, group_of, problem_of, write_store

    given = parse_options(Config, ["--model", str(model_folder), "--no-chat-template", "--system-prompt", "Add."], name="iterate")
    source = replace(PLAIN, system_prompt="Add.")
    store = write_store(tmp_path / "store", [group_of(problem_of("1+1=", "2"), [("2", R)])], source=source)
    [response] = labelled(stored_responses(store_files([store])), Pairing(format="kto"), Tally("rows"))

    def chat(system: str) -> Chat:
        return Chat(load_tokenizer(str(model_folder)), system_prompt=system, use_template=False)

    rows = [("1", labelled_row(response))]
    [[taught]] = judged_examples(rows, chat(_of_reward(given, 1).system_prompt), source="rows", kind="label").units
    judge = TextJudge(Learner(load_model(str(model_folder)), device="cpu"), chat(given.system_prompt))
    assert list(taught.tokens) == list(judge._example("1+1=", "2").tokens)


def test_a_round_without_pairs_says_why(model_folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "never.py").write_text("def right(problem, response):\n    return False\n")
    asked = words(model_folder, data, tmp_path / "run")
    asked[asked.index("--reward") + 1] = f"{tmp_path / 'never.py'}:right"
    assert main(asked) == 2
    said = without_progress(capsys.readouterr().err)
    assert "round 1: nothing is selected: " in said
    assert "in groups that are all right or all wrong" in said
