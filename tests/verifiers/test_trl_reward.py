"""Our verifiers as TRL's reward functions: by hand, and in a trainer that trains."""

from pathlib import Path
from typing import Any

import pytest

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem
from verifiers.trl_reward import trl_reward
from verifiers.verdict import Verdict, bad_gold, right, wrong

PROMPTS = ["1 + 1?", "1 + 2?", "1 + 3?"]
ANSWERS = ["2", "3", "4"]


def compare(problem: Problem, response: str) -> Verdict:
    if problem.meta["level"] > 2:
        return bad_gold("too hard")
    return right() if response == problem.answer else wrong()


def test_scores_none_and_metrics() -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(compare)
    extra: dict[str, Any] = {"answer": ANSWERS, "level": [1, 2, 3], "trainer_state": object(), "log_metric": logged.__setitem__}
    assert reward.__name__ == "compare"
    assert reward(prompts=PROMPTS, completions=["2", "2", "4"], completion_ids=[[1], [2], [3]], **extra) == [1.0, 0.0, None]
    assert logged == {"compare/no_verdict": pytest.approx(1 / 3)}
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    completions = [[{"role": "assistant", "content": text}] for text in ("1", "3", "4")]
    assert reward(prompts=chats, completions=completions, answer=ANSWERS, level=[1, 1, 1]) == [0.0, 1.0, 1.0]
    assert trl_reward(compare, answer_column="gold")(["7"], gold=[7], level=[1]) == [1.0]
    with pytest.raises(InputError, match=r"no column 'answer' \(it has gold, level\)"):
        reward(["7"], gold=["7"], level=[1], trainer_state=object())


def test_a_named_verifier_runs_in_processes_of_its_own() -> None:
    reward = trl_reward("math_answer")
    assert reward.__name__ == "math_answer"
    assert reward(prompts=PROMPTS, completions=[r"\boxed{2.0}", "none at all", ""], answer=ANSWERS) == [1.0, 0.0, 0.0]


def test_a_missing_gold_is_no_verdict_and_never_the_word_none() -> None:
    logged: dict[str, float] = {}
    reward = trl_reward(math_answer.verify)
    completions = [r"\boxed{4}", "None", r"\boxed{4}", r"\boxed{4}"]
    answers = [None, None, " ", 4]
    assert reward(completions, [*PROMPTS, "2 + 2?"], answer=answers, log_metric=logged.__setitem__) == [None, None, None, 1.0]
    assert logged == {"math_answer/no_verdict": 0.75}
    with pytest.raises(InputError, match="a string or a number"):
        reward(["4"], answer=[["4"]])


@pytest.mark.parametrize(
    "gold",
    [
        "He sold 48/2 = 24 clips. #### 72",
        "He sold 24 clips.\n  #### 72",
        "He sold 48/2 = 24 clips.\n#### 72",
        r"48 + 24 = \boxed{72}, which is the sum",
        "72",
    ],
)
def test_a_gold_answer_is_read_as_it_is_from_a_file(gold: str) -> None:
    assert trl_reward(math_answer.verify)([r"\boxed{72}", r"\boxed{24}"], answer=[gold, gold]) == [1.0, 0.0]


def test_programs_need_no_gold_answer() -> None:
    seen: list[str] = []

    def python_tests(problem: Problem, response: str) -> Verdict:
        seen.append(problem.answer)
        return right()

    assert trl_reward(python_tests)(["x", "y"], answer=[None, "#### 1"]) == [1.0, 1.0]
    assert seen == ["", "#### 1"]


def test_conversations_that_are_empty_or_in_parts() -> None:
    said: list[tuple[object, str]] = []

    def note(problem: Problem, response: str) -> Verdict:
        said.append((problem.prompt[-1]["content"], response))  # type: ignore[index]
        return right()

    parts = [{"type": "image"}, {"type": "text", "text": "4"}, {"type": "text", "text": "2"}]
    prompts = [[{"role": "user", "content": parts}]] * 4
    completions = [[], [{"role": "assistant", "content": parts}], [{"role": "assistant", "content": None}], [{"role": "assistant"}]]
    assert trl_reward(note)(completions, prompts, answer=["4"] * 4) == [1.0] * 4
    assert said == [("42", ""), ("42", "42"), ("42", ""), ("42", "")]


def test_it_trains_in_trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    torch.manual_seed(0)
    words = ["<pad>", "<eos>", *"0123456789+?", "▁"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )
    (tmp_path / "rewards.py").write_text("def longer(problem, response):\n    return len(response) / len(problem.meta['hint'][0])\n")
    monkeypatch.chdir(tmp_path)
    trainer = GRPOTrainer(
        model=model,
        processing_class=fast,
        reward_funcs=[trl_reward("math_answer"), trl_reward("rewards.py:longer")],
        train_dataset=Dataset.from_dict({"prompt": PROMPTS * 2, "answer": ANSWERS * 2, "hint": [["a", "b"]] * 6}),
        args=GRPOConfig(
            output_dir=str(tmp_path / "run"),
            max_steps=2,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=4,
            learning_rate=1e-2,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
        ),
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == 2
    for entry in logs:
        assert entry["rewards/math_answer/mean"] >= 0
        assert entry["rewards/longer/mean"] > 0
        assert entry["math_answer/no_verdict"] == 0


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("math_anser", "did you mean 'math_answer'"),
        ("math_answer(tolerence=exact)", "did you mean 'tolerance'"),
        ("math_answer(tolerance=0.001)", "write relative:0.001"),
        ("gate(response_format, exct)", "did you mean 'exact'"),
        ("math_answer=x", "not a finite number"),
    ],
)
def test_a_reward_that_does_not_exist_is_told_before_training(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        trl_reward(spec)
