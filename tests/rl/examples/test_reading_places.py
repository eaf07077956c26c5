"""Where a reward model's score is read: tokens by hand, with and without a chat template, and rows that cannot be read."""

from typing import Any

import pytest
import torch

from rl.examples.batches import batch_of
from rl.examples.intake import Limits, judged_examples
from rollout.chat import Chat
from tests.rl.examples.chat_templates import tokenizer_of
from verifiers.input_error import InputError

ANSWER = "1+1=2\n\n2+2=5\n"
STEPS = [{"end": 7, "score": 1.0}, {"end": 13, "score": 0.25}]


@pytest.fixture(scope="module", params=["plain", "qwen3", "mistral"])
def chat(request: pytest.FixtureRequest) -> Chat:
    return Chat(tokenizer_of("mistral"), use_template=False) if request.param == "plain" else Chat(tokenizer_of(request.param))


def taken(chat: Chat, kind: Any, *rows: dict[str, Any], **limits: Any) -> Any:
    numbered = [(f"line {n}", row) for n, row in enumerate(rows, 1)]
    return judged_examples(numbered, chat, source="data", kind=kind, limits=Limits(**limits))


def read(example: Any, chat: Chat) -> list[str]:
    """All that has been read where a score is, without the prompt, special tokens and the empty thought of Qwen3's template."""
    ends = [end for _, end in example.spans]
    said = [chat.decode(example.tokens[example.prompt_length : end]) for end in ends]
    return [text.removeprefix("<think>\n\n</think>\n\n").strip() for text in said]


def test_an_answer_is_read_after_its_end_of_turn(chat: Chat) -> None:
    (pair,) = taken(chat, "pairs", {"prompt": "1+1?", "chosen": "2", "rejected": "33"}).units
    for example, text in zip(pair, ("2", "33"), strict=True):
        assert example.mask == [False] * (len(example) - 1) + [True]
        assert example.tokens[-1] in chat.stop_ids
        assert read(example, chat) == [text]
    assert list(pair[0].prompt) == list(pair[1].prompt)
    batch = batch_of([pair])
    assert batch.prompt_length.tolist() == [pair[0].prompt_length] * 2
    assert batch.mask.sum() == 2


def test_a_label_stays_with_its_answer(chat: Chat) -> None:
    intake = taken(chat, "label", *({"prompt": "1+1?", "completion": c, "label": c == "2"} for c in ("2", "3")))
    assert batch_of(intake.units).column("label").tolist() == [1.0, 0.0]
    assert [example.trained for example in intake.examples] == [1, 1]


@pytest.mark.parametrize("messages", [False, True])
def test_steps_are_read_at_the_token_that_finishes_them(chat: Chat, messages: bool) -> None:
    response: Any = ANSWER
    prompt: Any = "1+1?"
    if messages and chat.has_template:
        prompt, response = [{"role": "user", "content": prompt}], [{"role": "assistant", "content": response}]
    (unit,) = taken(chat, "steps", {"prompt": prompt, "response": response, "steps": STEPS}).units
    assert read(unit[0], chat) == ["1+1=2", "1+1=2\n\n2+2=5"]
    assert list(unit[0].labels) == [1.0, 0.25]
    batch = batch_of([unit, unit])
    assert batch.column("step_label")[batch.mask].tolist() == [1.0, 0.25] * 2
    assert not batch.column("step_label")[~batch.mask].any()
    one_more = unit[0].tokens[unit[0].spans[0][1] - 1 :]  # the token that is read is the last of the blank line
    assert chat.decode_all(one_more[:1]) == "\n"


def test_a_text_a_step_is_the_same(chat: Chat) -> None:
    """TRL's rows: a step that does not end in white space is followed by a line break, which belongs to it."""
    steps = [{"end": 6, "score": True}, {"end": 11, "score": False}]
    ours = taken(chat, "steps", {"prompt": "1+1?", "response": "1+1=2\n2+2=5", "steps": steps})
    trls = taken(chat, "steps", {"prompt": "1+1?", "completions": ["1+1=2", "2+2=5"], "labels": [True, False]})
    ending = taken(chat, "steps", {"prompt": "1+1?", "completions": ["1+1=2\n", "2+2=5"], "labels": [True, False]})
    assert ours.units == trls.units == ending.units


def test_a_step_without_a_label_is_not_read(chat: Chat) -> None:
    (unit,) = taken(chat, "steps", {"prompt": "1+1?", "completions": ["1+1=2", "2+2=5"], "labels": [None, 0.5]}).units
    assert (len(unit[0].spans), list(unit[0].labels)) == (1, [0.5])


def test_of_steps_in_one_token_the_last_is_read(chat: Chat) -> None:
    row = {"prompt": "1+1?", "response": "2", "steps": [{"end": 1, "score": 1.0}]}
    assert len(taken(chat, "steps", row).units[0][0].spans) == 1


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"response": "1+1=2", "steps": [{"end": 6, "score": 1}]}, "a step ends at character 6, outside of its answer, which has 5"),
        ({"response": "1+1=2", "steps": [{"end": 0, "score": 1}]}, "a step ends at character 0, outside of its answer"),
        ({"response": "1+1=2", "steps": [{"end": 3, "score": 1}, {"end": 2, "score": 1}]}, "ends at character 2 after one that ends at 3"),
        ({"response": "1+1=2", "steps": [{"end": 3, "score": 1.5}]}, "a step's label is 1.5; it should be true or false"),
        ({"response": "1+1=2", "steps": [{"end": 3, "score": None}]}, "none of its steps has a label"),
        ({"response": "1+1=2", "steps": "all"}, "'steps' is 'all'; it should be a list"),
        ({"completions": ["1", "2"], "labels": [True]}, "it has 2 completions and 1 labels"),
        ({"completions": "12", "labels": [True]}, "'completions' is '12'; it should be a list of texts"),
    ],
)
def test_a_bad_row_is_one_line_with_its_place(chat: Chat, row: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=r"^data, line 1: ") as caught:
        taken(chat, "steps", {"prompt": "1+1?", **row})
    assert line in str(caught.value)


def test_a_cut_takes_labels_with_it(chat: Chat) -> None:
    row = {"prompt": "1+1?", "response": ANSWER, "steps": STEPS}
    whole = taken(chat, "steps", row).units[0][0]
    first = whole.spans[0][1]
    (unit,) = taken(chat, "steps", row, max_length=first + 1, too_long="truncate").units
    assert (unit[0].spans, list(unit[0].labels)) == (whole.spans[:1], [1.0])
    with pytest.raises(InputError, match=f"1 without a step's end in {first - 1} tokens"):
        taken(chat, "steps", row, max_length=first - 1, too_long="truncate")


def test_the_batch_says_float_labels_whatever_the_rows_say() -> None:
    plain = Chat(tokenizer_of("mistral"), use_template=False)
    units = taken(plain, "steps", {"prompt": "1", "completions": ["2"], "labels": [True]}).units
    assert batch_of(units).column("step_label").dtype == torch.float32
