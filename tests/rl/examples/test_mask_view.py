"""What --show-mask prints."""

import io

import pytest

from rl.examples.intake import preference_examples, supervised_examples
from rl.examples.mask_view import show_masks
from rollout.chat import Chat
from tests.rl.examples.chat_templates import tokenizer_of

USER, ANSWER = {"role": "user", "content": "hi [b]"}, {"role": "assistant", "content": "yo"}


@pytest.fixture
def printed(monkeypatch):
    """(intake, chat, options) -> what is printed, to a terminal of colours or to a file."""

    def show(intake, chat, *, colours=False, **options):
        file = io.StringIO()
        monkeypatch.setattr(file, "isatty", lambda: colours, raising=False)
        for name, value in {"TERM": "xterm-256color", "NO_COLOR": ""}.items():
            monkeypatch.setenv(name, value)
        show_masks(intake, chat, 2, file=file, **options)
        return file.getvalue()

    return show


def test_what_trains_stands_in_brackets_where_there_are_no_colours(printed):
    chat = Chat(tokenizer_of("chatml"))
    intake = supervised_examples([(f"line {n}", {"messages": [USER, ANSWER]}) for n in (1, 2, 3)], chat, source="data")
    example = "<|im_start|>user\nhi [b]<|im_end|>\n<|im_start|>assistant\n[[yo<|im_end|>]]\n"
    heads = [f"--- {n}. data, line {n}: {13 + 12 + 3} tokens, 3 train\n" for n in (1, 2)]
    assert printed(intake, chat) == "".join(head + example for head in heads) + "3 sequences of 84 tokens, 9 of which train\n"


def test_and_in_a_colour_of_its_own_where_there_are(printed):
    chat = Chat(tokenizer_of("chatml"))
    intake = supervised_examples([("line 1", {"messages": [USER, ANSWER]})], chat, source="data")
    shown = printed(intake, chat, colours=True)
    assert "\x1b[1;32myo<|im_end|>\x1b[0m" in shown
    assert "[[" not in shown


def test_each_token_with_its_id(printed):
    chat = Chat(tokenizer_of("mistral"), use_template=False)
    rows = [("line 1", {"prompt": "1", "chosen": "2", "rejected": "3"})]
    one, two, three, end = (chat.encode(text)[0] for text in ("1", "2", "3", "</s>"))
    shown = printed(preference_examples(rows, chat, source="data"), chat, ids=True).splitlines()
    assert shown == [
        "--- 1. data, line 1 (chosen): 3 tokens, 2 train",
        f"     0 {one:8}          '1'",
        f"     1 {two:8}  trains  '2'",
        f"     2 {end:8}  trains  '</s>'",
        "--- 1. data, line 1 (rejected): 3 tokens, 2 train",
        f"     0 {one:8}          '1'",
        f"     1 {three:8}  trains  '3'",
        f"     2 {end:8}  trains  '</s>'",
        "1 pair of 6 tokens, 4 of which train",
    ]
