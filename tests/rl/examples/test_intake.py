"""Data sets to what trains: long sequences, bad rows, pairs that a cut makes equal; and that all of it is counted and said."""

import pytest

from rl.examples.intake import Limits, preference_examples, supervised_examples
from rollout.chat import Chat
from tests.rl.examples.chat_templates import tokenizer_of
from verifiers.input_error import InputError


@pytest.fixture(scope="module")
def plain():
    return Chat(tokenizer_of("mistral"), use_template=False)


def numbered(*rows):
    return [(f"line {n}", row) for n, row in enumerate(rows, 1)]


def completion(text, **columns):
    return {"prompt": "1+1=", "completion": text, **columns}


def texts(intake, chat):
    return [chat.decode_all(example.tokens) for example in intake.examples]


def test_long_sequences_are_dropped_and_counted(plain):
    rows = numbered(completion("2"), completion("222"), completion("2222"))  # 4 + 1 + 1, 8 and 9 tokens
    intake = supervised_examples(rows, plain, source="data", limits=Limits(max_length=8))
    assert texts(intake, plain) == ["1+1=2</s>", "1+1=222</s>"]
    assert intake.lines() == ["2 sequences of 14 tokens, 6 of which train; left out: 1 longer than 8 tokens"]


def test_or_cut_at_their_end_which_does_not_train(plain):
    rows = numbered(completion("2"), completion("12345"), {"prompt": "12345678", "completion": "9"})
    intake = supervised_examples(rows, plain, source="data", limits=Limits(max_length=8, too_long="truncate"))
    assert texts(intake, plain) == ["1+1=2</s>", "1+1=1234"]
    assert [example.trained for example in intake.examples] == [2, 4]
    assert intake.lines() == [
        "2 sequences of 14 tokens, 6 of which train; left out: 1 whose prompt leaves no room in 8 tokens",
        "cut at their end, so that they do not train to stop there: 1 (first: data, line 2)",
    ]


def test_nothing_left_says_why(plain):
    with pytest.raises(InputError, match=r"^data holds nothing to train on: of its rows, 1 longer than 3 tokens$"):
        supervised_examples(numbered(completion("2")), plain, source="data", limits=Limits(max_length=3))
    with pytest.raises(InputError, match=r"^data holds nothing to train on; it has no rows$"):
        supervised_examples([], plain, source="data")


def test_a_bad_row_stops_with_its_place_or_is_skipped_and_counted(plain):
    rows = numbered(completion("2"), {"prompt": "1+1="}, completion("</s>"))
    with pytest.raises(InputError, match=r"^data, line 2: no completion among its fields"):
        supervised_examples(rows, plain, source="data")
    intake = supervised_examples(rows, plain, source="data", limits=Limits(skip_bad=True))
    assert texts(intake, plain) == ["1+1=2</s>"]
    assert dict(intake.dropped) == {"that cannot be used": 2}
    assert intake.notes[0].startswith("the first row that cannot be used: data, line 2: no completion")
    with pytest.raises(InputError, match=r"^data, line 1: a text that is not valid Unicode"):
        supervised_examples(numbered(completion("\ud800")), plain, source="data")


def test_a_template_that_rewrites_turns_is_said_or_refused():
    thought = {"role": "assistant", "content": "<think>\na\n</think>\n\nyo"}
    user = {"role": "user", "content": "hi"}
    rows = numbered({"messages": [user, thought]}, {"messages": [user, thought, user, thought]})
    chat = Chat(tokenizer_of("qwen3"))
    intake = supervised_examples(rows, chat, source="data")
    assert len(intake.units) == 3
    assert intake.notes == (
        "the chat template writes earlier turns of 1 conversations otherwise than the last (first: data, line 2): their turns train in "
        "renderings that each end with one, as the model sees it: 2 sequences",
    )
    with pytest.raises(InputError, match=r"^data, line 2: the chat template rewrites turns of it"):
        supervised_examples(rows, chat, source="data", limits=Limits(strict=True))
    [note] = supervised_examples(rows[:1], Chat(tokenizer_of("r1")), source="data").notes
    assert note.startswith("the chat template writes 1 turns that train, or what stands before them, otherwise than when it asks")
    with pytest.raises(InputError, match=r"^data, line 1: the chat template rewrites"):
        supervised_examples(rows[:1], Chat(tokenizer_of("r1")), source="data", limits=Limits(strict=True))


def test_a_template_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr("rollout.rendering.SECONDS", 1)
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template += "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(InputError, match=r"^data, line 1: the model's chat template did not end within"):
        supervised_examples(numbered(completion("2")), Chat(tokenizer), source="data")


def test_tools_that_a_template_passes_over_are_said():
    rows = numbered({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}], "tools": [{"name": "f"}]})
    intake = supervised_examples(rows, Chat(tokenizer_of("chatml")), source="data")
    assert intake.notes == (
        "1 rows have tools (first: data, line 1), which the chat template does not read: the model is not told of them",
    )
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = "{% if tools %}{{ tools[0].name }} {% endif %}" + tokenizer.chat_template
    chat = Chat(tokenizer)
    told = supervised_examples(rows, chat, source="data")
    assert told.notes == ()
    assert texts(told, chat)[0].startswith("f <|im_start|>user")


# --- preferences -------------------------------------------------------------------------------------------------------


def test_a_call_that_the_template_does_not_write_does_not_train_as_an_empty_turn():
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    messages = [{"role": "user", "content": "hi"}, call, {"role": "tool", "content": "3"}, {"role": "assistant", "content": "yo"}]
    tokenizer = tokenizer_of("chatml")
    with pytest.raises(InputError, match=r"^data, line 1: message 1 calls a tool, which the chat template does not write"):
        supervised_examples(numbered({"messages": messages}), Chat(tokenizer), source="data")
    assert supervised_examples(numbered({"messages": messages}), Chat(tokenizer), source="data", train_on="last").units
    tokenizer.chat_template = tokenizer.chat_template.replace("message['content']", "(message.content ~ (message.tool_calls or ''))")
    assert supervised_examples(numbered({"messages": messages}), Chat(tokenizer), source="data").units


def test_pairs_share_the_tokens_of_their_prompt():
    rows = numbered({"prompt": "hi", "chosen": "yo", "rejected": "<think>\na\n</think>\n\nno"})
    [(chosen, rejected)] = preference_examples(rows, Chat(tokenizer_of("qwen3")), source="data").units
    assert list(chosen.prompt) == list(rejected.prompt)
    assert chosen.trained == len("<think>\n\n</think>\n\nyo") + 1
    assert rejected.trained == len("<think>\na\n</think>\n\nno") + 1


def pair(chosen, rejected, prompt="1+1="):
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def test_a_pair_is_whole_or_gone(plain):
    rows = numbered(pair("2", "3"), pair("2", "33333"), pair("22221", "22222"), pair("2", "3", prompt="1234567"))
    dropped = preference_examples(rows, plain, source="data", limits=Limits(max_length=8))
    assert [plain.decode_all(e.tokens) for e in dropped.examples] == ["1+1=2</s>", "1+1=3</s>"]
    assert dropped.lines() == ["1 pair of 12 tokens, 4 of which train; left out: 3 longer than 8 tokens"]
    cut = preference_examples(rows, plain, source="data", limits=Limits(max_length=8, too_long="truncate"))
    # 1+1=2222 twice; 12345672 and 12345673, whose ends are cut
    assert [plain.decode_all(e.tokens) for e in cut.examples] == ["1+1=2</s>", "1+1=3</s>", "1+1=2</s>", "1+1=3333", "12345672", "12345673"]
    assert dict(cut.dropped) == {"whose two sides are the same tokens": 1}
    short = preference_examples(rows, plain, source="data", limits=Limits(max_length=7, too_long="truncate"))
    assert short.dropped["whose prompt leaves no room in 7 tokens"] == 1


def test_equal_or_missing_sides_stop_the_run(plain):
    with pytest.raises(InputError, match=r"^data, line 2: its chosen and its rejected side are equal"):
        preference_examples(numbered(pair("2", "3"), pair("2", "2")), plain, source="data")
    with pytest.raises(InputError, match=r"^data, line 1: no rejected side"):
        preference_examples(numbered({"prompt": "1+1=", "chosen": "2"}), plain, source="data")


def test_labels_travel_with_their_example(plain):
    rows = numbered(completion("2", label=True), completion("3", label=False))
    units = preference_examples(rows, plain, source="data", labelled=True).units
    assert [dict(example.columns) for (example,) in units] == [{"label": 1.0}, {"label": 0.0}]
