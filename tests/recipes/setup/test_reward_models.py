"""Reward models that rewards name: found, refused, scored once a batch, and read by the pool's workers in any composition."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from recipes.commands.cli import main
from recipes.setup.reward_models import reward_models
from rl.learning.learner import Learner, ValueHead
from rl.learning.model_loading import load_model
from rl.learning.value_heads import FILE
from rl.runs.run_folder import read_lines
from tests.progress_lines import without_progress
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool

NO_OPTIONS = SimpleNamespace()


def reward_model_in(folder: Path, base: Path, kind: str) -> Path:
    shutil.copytree(base, folder)
    head = ValueHead(torch.linspace(-1, 1, 32), facts={"kind": kind})
    Learner(load_model(str(base)), value_head=head, device="cpu").save_head(folder)
    return folder


def with_another_token(model: Path, folder: Path) -> Path:
    from transformers import AutoTokenizer

    shutil.copytree(model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("reward-models")
    return {kind: reward_model_in(place / kind, model_folder, kind) for kind in ("outcome-pairs", "outcome", "process")}


def test_the_pool_is_told_what_the_models_say(models: dict[str, Path]) -> None:
    """In a sum and behind a gate, two models at once; a batch or one by one gives the same."""
    pairs, process = models["outcome-pairs"], models["process"]
    rewards = ["math_answer", f"reward_model({pairs})=0.5", f"gate(regex(within=response), reward_model({process}, aggregate=mean))=2"]
    found = reward_models(NO_OPTIONS, rewards)
    assert len(found.scorers) == 2
    problems = [make_problem("1+1=", "2"), make_problem([{"role": "user", "content": "2+2="}], "4")]
    items = [(problem, response) for problem in problems for response in ("2", "Let me see.\n\n4")]
    with found.around(VerifierPool(rewards, workers=1)) as pool:
        together = pool.verify_many(iter(items))
        alone = [pool.verify_many([item])[0] for item in items]
    assert together == alone
    assert [verdict.status for verdict in together] == [Status.RIGHT, Status.WRONG, Status.WRONG, Status.RIGHT]
    said = found.scorers[f"{pairs} blank"].score(items)
    for verdict, each in zip(together, said, strict=True):
        gated = verdict.parts["gate"] if "gate" in verdict.parts else verdict.parts["gate_2"]
        assert verdict.score == pytest.approx(verdict.parts["math_answer"] + 0.5 * each["scores"][0] + 2 * gated, abs=1e-9)
    passed = together[3]
    assert passed.parts["gate/gate"] == 0.0 or len(passed.steps) == 2


def test_without_a_reward_model_the_pool_is_as_it_was() -> None:
    pool = SimpleNamespace()
    assert reward_models(NO_OPTIONS, ["math_answer", "length=0.2"]).around(pool) is pool  # type: ignore[arg-type]


def test_what_is_no_reward_model_is_one_line_before_any_weights(
    models: dict[str, Path], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recipes.setup.model_source.ModelSource.load_model", lambda *_, **__: pytest.fail("weights were read"))
    narrow = tmp_path / "narrow"
    shutil.copytree(models["outcome"], narrow)
    save_file({"weight": torch.zeros(1, 8)}, narrow / FILE)
    foreign = with_another_token(models["outcome"], tmp_path / "foreign")
    lines = {
        str(model_folder): "it has no value head (value_head.safetensors, or score.weight of a sequence classifier)",
        str(narrow): "its value head is 8 wide, the model 32; restore it",
        str(foreign): "its tokenizer is another model's",
        "./nowhere": "reward_model: ",
    }
    for place, line in lines.items():
        with pytest.raises(InputError) as caught:
            reward_models(NO_OPTIONS, [f"reward_model({models['outcome']})", f"reward_model({place})"])
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="is no way to cut a response into steps"):
        reward_models(NO_OPTIONS, [f"reward_model({models['process']}, split=words)"])


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("problems") / "problems.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(6)))
    return file


def words(model: Path, problems: Path, run: Path, *more: str | Path) -> list[str]:
    sizes = ["--steps", "1", "--problems-per-step", "2", "--completions-per-problem", "4", "--max-completion-length", "8", "--warmup", "0"]
    return list(map(str, ["grpo-math", "--engine", "hf", "--model", model, "--data", problems, "--run", run, *sizes, *more]))


def test_grpo_learns_from_the_model_and_counts_by_the_verifier(
    models: dict[str, Path], model_folder: Path, problems: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(words(model_folder, problems, run, "--reward", f"reward_model({models['outcome-pairs']})", "--held-out", "2")) == 0
    rows = read_lines(run / "metrics.jsonl")
    assert rows[1]["reward"] == pytest.approx(rows[1]["reward/model"])
    assert rows[1]["accuracy"] == rows[1]["reward/outcome"] == 0.0  # a random model is never right, whatever its reward
    assert rows[1]["grad_norm"] > 0
    assert rows[0]["eval/accuracy"] == 0.0


def test_a_process_reward_model_gives_grpo_ps_its_steps(
    models: dict[str, Path], model_folder: Path, problems: Path, tmp_path: Path
) -> None:
    reward = f"reward_model({models['process']}, split=line)"
    assert main(words(model_folder, problems, tmp_path / "run", "--reward", reward, "--algorithm", "grpo-ps")) == 0
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[1]["grad_norm"] > 0


def test_a_reward_model_of_whole_answers_gives_grpo_ps_nothing(
    models: dict[str, Path], model_folder: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reward = f"reward_model({models['outcome-pairs']})"
    assert main(words(model_folder, problems, tmp_path / "run", "--reward", reward, "--algorithm", "grpo-ps")) == 2
    assert "--algorithm grpo-ps learns from the scores of steps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_reward_model_may_be_the_critic_where_it_reads_the_same_tokens(
    models: dict[str, Path], model_folder: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = with_another_token(models["outcome"], tmp_path / "foreign")
    asked = ["ppo", *words(model_folder, problems, tmp_path / "run", "--critic", "separate", "--critic-model")[1:]]
    assert main([*asked, str(foreign)]) == 2
    said = without_progress(capsys.readouterr().err)
    assert f"--critic-model {foreign} has another tokenizer than --model {model_folder} (1 tokens differ, such as '<tool>')" in said
    assert not (tmp_path / "run").exists()
    assert main([*asked, str(models["outcome"])]) == 0
    assert read_lines(tmp_path / "run" / "metrics.jsonl")[1]["critic/value"] != 0.0  # it begins with the head's opinion


def test_a_model_without_a_head_is_one_line(model_folder: Path, problems: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(model_folder, problems, tmp_path / "run", "--reward", f"reward_model({model_folder})")) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert f"error: reward_model({model_folder}): it has no value head" in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()
    assert not (model_folder / FILE).exists()
