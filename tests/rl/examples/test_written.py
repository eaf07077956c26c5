"""Rows as people write them: what is found, what trains, and the line that says why a row cannot be used."""

import pytest

from rl.examples.written import Conversation, Fields, PromptAndCompletion, Text, read_labelled, read_pair, read_supervised
from verifiers.input_error import InputError

USER, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
OTHER = {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "q", "completion": "a"}, PromptAndCompletion("q", "a")),
        ({"problem": "q", "solution": "so a", "answer": "a"}, PromptAndCompletion("q", "so a")),
        ({"question": "q", "answer": "so #### a"}, PromptAndCompletion("q", "so #### a")),
        ({"instruction": "q", "input": "", "output": "a"}, PromptAndCompletion("q", "a")),
        ({"instruction": "q", "input": "it", "output": "a"}, PromptAndCompletion("q\n\nit", "a")),
        ({"prompt": "q", "input": "it", "response": "a"}, PromptAndCompletion("q", "a")),
        ({"question": "q", "answer": 4}, PromptAndCompletion("q", "4")),
        ({"question": "q", "answer": 0.1 + 0.2}, PromptAndCompletion("q", "0.3")),
        ({"text": "t"}, Text("t")),
        ({"text": "t", "prompt": None, "messages": None}, Text("t")),
    ],
)
def test_texts(row, expected):
    assert read_supervised(row) == expected


def test_named_fields_win_and_may_be_nested():
    row = {"messages": [USER, ANSWER], "text": "t", "in": {"q": "ask"}, "out": "say"}
    assert read_supervised(row, Fields(text="text")) == Text("t")
    assert read_supervised(row, Fields(prompt="in.q", completion="out")) == PromptAndCompletion("ask", "say")
    assert read_supervised({"talk": [USER, ANSWER]}, Fields(messages="talk")) == Conversation((USER, ANSWER), (False, True))


def test_roles_have_other_names_and_nulls_of_a_table_are_nothing():
    talk = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    expected = Conversation(({"role": "system", "content": "s"}, USER, ANSWER), (False, False, True))
    assert read_supervised({"conversations": talk}) == expected
    nulls = [{"role": "Human ", "content": "q", "tool_calls": None}, {"role": "MODEL", "content": "a", "weight": None, "name": None}]
    assert read_supervised({"messages": nulls}) == Conversation((USER, ANSWER), (False, True))


def test_what_a_row_gives_its_template():
    written = read_supervised({"messages": [USER, ANSWER], "chat_template_kwargs": {"enable_thinking": False, "other": None}})
    assert dict(written.arguments) == {"enable_thinking": False}


def test_tools_and_their_calls_go_to_the_template():
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}
    written = read_supervised({"messages": [USER, call, {"role": "tool", "content": "1"}, ANSWER], "tools": '[{"name": "f"}]'})
    assert dict(written.arguments) == {"tools": [{"name": "f"}]}
    assert written.messages[1] == {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}
    assert written.trains == (False, True, False, True)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"prompt": "q"}, r"^no completion among its fields \(prompt\); say which one it is with --completion-column$"),
        ({"prompt": "q", "answer": "4", "verifier": "math_answer"}, "^no completion among its fields"),
        ({"prompt": "q", "completion": " \n"}, "^'completion' is empty$"),
        ({"prompt": "", "completion": "a"}, "^'prompt' is empty$"),
        ({"prompt": "q", "completion": True}, "^'completion' is True; it should be a text, or a list of"),
        ({"a": 1}, "^no messages, no prompt and no text among its fields \\(a\\)"),
        ({}, r"\(none\)"),
        ({"text": 3}, "^'text' is 3; it should be a text"),
        ({"messages": "hello"}, "^'messages' is 'hello'; it should be a list"),
        ({"messages": [{"role": "user"}]}, r"^messages\[0\] is .* it should have a role and a content"),
        ({"messages": [USER]}, "^nothing in it trains: it has no turn of the assistant's$"),
        ({"messages": [USER, {**ANSWER, "train": False}]}, "^nothing in it trains: .* that is marked$"),
        ({"messages": [{**USER, "train": True}, ANSWER]}, "^message 0 is marked to train but it is the user's"),
        ({"messages": [USER, {**ANSWER, "train": True}, USER, OTHER]}, "^message 3 is the assistant's and not marked"),
        ({"messages": [USER, {**ANSWER, "weight": 0.5}]}, r"^messages\[1\]: weight is 0.5; a turn trains or does not"),
        ({"messages": [USER, {**ANSWER, "weight": 0, "train": True}]}, "contradict each other"),
        ({"prompt": [USER, ANSWER], "completion": "b"}, "^the prompt ends with the assistant's turn"),
        ({"prompt": "q", "completion": [USER, ANSWER]}, "^what follows the prompt begins with the user's turn"),
        ({"messages": [USER, ANSWER], "tools": "[1"}, "^'tools' is no JSON"),
        ({"messages": [USER, ANSWER], "chat_template_kwargs": {"chat_template": "x"}}, "^'chat_template_kwargs' is"),
        ({"messages": [USER, ANSWER], "chat_template_kwargs": [1]}, "^'chat_template_kwargs' is"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row, line):
    with pytest.raises(InputError, match=line):
        read_supervised(row)


def test_marked_only_is_asked_for_and_nothing_is_marked():
    with pytest.raises(InputError, match=r"^message 1 is the assistant's and not marked"):
        read_supervised({"messages": [USER, ANSWER]}, train_on="marked")


# --- preferences -------------------------------------------------------------------------------------------------------


def conversation(*messages, first):
    return Conversation(tuple(messages), tuple(n >= first and m["role"] == "assistant" for n, m in enumerate(messages)))


def test_two_sides_of_text_or_messages():
    assert read_pair({"prompt": "q", "chosen": "a", "rejected": "b"}).sides == (
        PromptAndCompletion("q", "a"),
        PromptAndCompletion("q", "b"),
    )
    expected = (conversation(USER, ANSWER, first=1), conversation(USER, OTHER, first=1))
    assert read_pair({"prompt": [USER], "chosen": [ANSWER], "rejected": [OTHER]}).sides == expected
    assert read_pair({"prompt": "q", "chosen": ANSWER, "rejected": OTHER}).sides == expected


def test_a_prompt_that_both_sides_begin_with():
    expected = (conversation(USER, ANSWER, first=1), conversation(USER, OTHER, first=1))
    assert read_pair({"chosen": [USER, ANSWER], "rejected": [USER, OTHER]}).sides == expected
    assert read_pair({"prompt": "q", "chosen": [USER, ANSWER], "rejected": [USER, OTHER]}).sides == expected
    longer = read_pair({"chosen": [USER, ANSWER, USER, OTHER], "rejected": [USER, ANSWER, USER, ANSWER]}).sides
    assert longer[0] == conversation(USER, ANSWER, USER, OTHER, first=3)


@pytest.mark.parametrize(("label", "value"), [(True, 1.0), (False, 0.0), (1, 1.0)])
def test_a_label_is_a_column(label, value):
    sides = read_labelled({"prompt": "q", "completion": "a", "label": label})
    assert sides.sides == (PromptAndCompletion("q", "a"),)
    assert dict(sides.columns) == {"label": value}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"prompt": "q", "chosen": "a"}, r"^no rejected side among its fields \(prompt, chosen\); .* --rejected-column$"),
        ({"prompt": "q", "chosen": "a", "rejected": None}, "^its rejected side is empty$"),
        ({"prompt": "q", "chosen": "a", "rejected": "a"}, "^its chosen and its rejected side are equal"),
        ({"chosen": "q a", "rejected": "q b"}, "^it has no prompt"),
        ({"chosen": [USER, ANSWER], "rejected": [{"role": "user", "content": "x"}, OTHER]}, "^its sides are not two answers to one prompt"),
        ({"chosen": [USER, ANSWER], "rejected": [USER, ANSWER, USER, OTHER]}, "^its sides are not two answers to one prompt"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [USER, ANSWER]}, "^one of its sides is nothing but the prompt$"),
    ],
)
def test_what_prefers_nothing_says_why(row, line):
    with pytest.raises(InputError, match=line):
        read_pair(row)


@pytest.mark.parametrize("label", [None, "yes", 0.5, []])
def test_a_label_is_true_or_false(label):
    with pytest.raises(InputError, match=r"^its label is"):
        read_labelled({"prompt": "q", "completion": "a", "label": label})
