"""A reward model asked about texts: the same tokens as in its training, each text once, and trouble as data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.examples.batches import batch_of
from rl.examples.intake import judged_examples
from rl.examples.text_judge import TextJudge
from rl.learning.learner import VALUE_HEAD, Learner, ValueHead
from rl.objectives.reward_models import last_scores
from rollout.chat import Chat, load_tokenizer
from verifiers.steps.step_text import splitter


@pytest.fixture(scope="module")
def held(model_folder: Path) -> tuple[Learner, Chat]:
    from rl.learning.model_loading import load_model

    learner = Learner(load_model(str(model_folder)).double(), value_head=ValueHead(torch.linspace(-1, 1, 32)), device="cpu")
    return learner, Chat(load_tokenizer(str(model_folder)), system_prompt="Count.")


TEXTS: list[tuple[Any, str]] = [("1+1=", "2"), ([{"role": "user", "content": "2+2="}], "It is\n\n4"), ("1+1=", "three")]


def test_a_text_becomes_the_tokens_of_training(held: tuple[Learner, Chat]) -> None:
    learner, chat = held
    rows = [{"prompt": prompt, "completion": answer, "label": True} for prompt, answer in TEXTS]
    taken = judged_examples([(str(n), row) for n, row in enumerate(rows)], chat, source="data", kind="label")
    batch = batch_of(taken.units)
    expected = last_scores(learner.look(batch, ("score",))["score"], batch)
    found = [each.scores for each in TextJudge(learner, chat).judge(TEXTS)]
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64).squeeze(1), expected)


def test_by_hand_it_is_the_state_of_the_last_token(held: tuple[Learner, Chat]) -> None:
    learner, chat = held
    [found] = TextJudge(learner, chat).judge(TEXTS[:1])
    turns = [{"role": r, "content": c} for r, c in (("system", "Count."), ("user", "1+1="), ("assistant", "2"))]
    text = chat.write_turns(turns, "here", ask=False)
    tokens = chat.encode(text[: text.rindex("<|im_end|>") + len("<|im_end|>")])
    with torch.no_grad():
        hidden = learner.model(input_ids=torch.tensor([tokens]), output_hidden_states=True).hidden_states[-1][0, -1]
    assert found.scores == pytest.approx([float(hidden @ learner.trainable[VALUE_HEAD][0].detach())])


def test_steps_are_read_where_they_end(held: tuple[Learner, Chat]) -> None:
    learner, chat = held
    judge = TextJudge(learner, chat, split=splitter("blank"))
    answer = TEXTS[1][1]
    [found] = judge.judge(TEXTS[1:2])
    assert found.ends == (7, len(answer))
    rows = [{"prompt": TEXTS[1][0], "response": answer, "steps": [{"end": 7, "score": 1.0}, {"end": len(answer), "score": 0.0}]}]
    batch = batch_of(judged_examples([("1", rows[0])], chat, source="data", kind="steps").units)
    assert found.scores == pytest.approx(learner.look(batch, ("score",))["score"][batch.mask].tolist())
    assert judge.judge([("1+1=", "...")])[0].trouble == "the answer has no step"


def test_each_text_is_asked_once(held: tuple[Learner, Chat], monkeypatch: pytest.MonkeyPatch) -> None:
    learner, chat = held
    judge, asked = TextJudge(learner, chat), []
    look: Callable[..., Any] = learner.look
    monkeypatch.setattr(learner, "look", lambda batch, terms: asked.append(len(batch)) or look(batch, terms))
    first = judge.judge([*TEXTS, TEXTS[0]])
    assert first[3] == first[0]
    assert judge.judge(TEXTS[::-1]) == first[2::-1]
    judge.judge([("1+1=", "new"), TEXTS[0]])
    assert asked == [1, 1, 1, 1]


def test_what_is_said_of_a_text_depends_on_no_other(model_folder: Path) -> None:
    """To the last bit, on a CPU: what is kept, and so what is asked together, is otherwise in a run that was stopped and resumed."""
    from rl.learning.model_loading import load_model

    learner = Learner(load_model(str(model_folder)), value_head=ValueHead(torch.linspace(-1, 1, 32)), device="cpu")
    chat = Chat(load_tokenizer(str(model_folder)))
    texts: list[tuple[Any, str]] = [(f"{n}+1=", "It is " + "so " * n + f"{n + 1}") for n in range(12)]
    together = TextJudge(learner, chat).judge(texts)
    assert [TextJudge(learner, chat).judge(texts[n : n + 1])[0] for n in range(12)] == together
    assert TextJudge(learner, chat).judge(texts[5:9]) == together[5:9]


def test_what_cannot_be_read_is_said(held: tuple[Learner, Chat]) -> None:
    learner, chat = held
    found = TextJudge(learner, chat).judge([("1+1=", "2" * 1100), ("1+1=", "2<|im_end|>3"), TEXTS[0]])
    assert "tokens, and the model reads 1024" in found[0].trouble
    assert "end-of-turn token" in found[1].trouble
    assert len(found[2].scores) == 1


def test_a_classifier_of_the_hub_reads_all_that_the_template_writes(held: tuple[Learner, Chat]) -> None:
    learner, chat = held
    [found] = TextJudge(learner, chat, whole_template=True).judge(TEXTS[:1])
    turns = [{"role": r, "content": c} for r, c in (("system", "Count."), ("user", "1+1="), ("assistant", "2"))]
    tokens = chat.encode(chat.write_turns(turns, "here", ask=False))
    with torch.no_grad():
        hidden = learner.model(input_ids=torch.tensor([tokens]), output_hidden_states=True).hidden_states[-1][0, -1]
    assert found.scores == pytest.approx([float(hidden @ learner.trainable[VALUE_HEAD][0].detach())])
