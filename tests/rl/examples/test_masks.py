"""Masks of known chat templates, token by token, against masks written by hand: what stands in « » trains, and nothing else."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rl.examples.masks import masked, rendered
from rl.examples.written import PromptAndCompletion, Text, read_supervised
from rollout.chat import Chat
from tests.rl.examples.chat_templates import CHATML, tokenizer_of
from verifiers.input_error import InputError

USER, ANSWER, MORE, LAST = (
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yo"},
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": "ok"},
)
SYSTEM = {"role": "system", "content": "be"}
TWO_TURNS = [USER, ANSWER, MORE, LAST]
THOUGHTS = [
    USER,
    {"role": "assistant", "content": "<think>\na\n</think>\n\nyo"},
    MORE,
    {"role": "assistant", "content": "<think>\nb\n</think>\n\nok"},
]


def marked(chat, row, **how):
    """Every sequence that a row becomes, as text with « » around what trains, one character a token."""
    found = []
    for example in examples_of(read_supervised(row, **how), chat).examples:
        text, before = "", False
        for token, trains in zip(example.tokens, example.mask, strict=True):
            text += ("«" if trains and not before else "»" if before and not trains else "") + chat.decode_all([token])
            before = trains
        found.append(text + "»" * before)
    return found


def examples_of(written, chat):
    return masked(rendered(written, chat, "row"), chat, "row")


def chat_of(family, **options):
    return Chat(tokenizer_of(family), **options)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("chatml", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»\n<|im_start|>user\ngo<|im_end|>\n"
                   "<|im_start|>assistant\n«ok<|im_end|>»"),
        ("smollm2", "<|im_start|>system\nYou are SmolLM.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»\n"
                    "<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n«ok<|im_end|>»"),
        ("qwen2.5", "<|im_start|>system\nYou are Qwen.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»\n"
                    "<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n«ok<|im_end|>»"),
        ("llama3", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
                   "<|start_header_id|>assistant<|end_header_id|>\n\n«yo<|eot_id|>»"
                   "<|start_header_id|>user<|end_header_id|>\n\ngo<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n«ok<|eot_id|>»"),
        ("gemma", "<bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n«yo<end_of_turn>»\n"
                  "<start_of_turn>user\ngo<end_of_turn>\n<start_of_turn>model\n«ok<end_of_turn>»"),
        ("mistral", "<s>[INST] hi [/INST]«yo</s>»[INST] go [/INST]«ok</s>»"),
        ("mistral-v3", "<s>[INST] hi[/INST]« yo</s>»[INST] go[/INST]« ok</s>»"),
        ("phi3", "<|user|>\nhi<|end|>\n<|assistant|>\n«yo<|end|>»\n<|user|>\ngo<|end|>\n<|assistant|>\n«ok<|end|>»"),
    ],
)  # fmt: skip
def test_two_turns_of_every_family(family, expected):
    assert marked(chat_of(family), {"messages": TWO_TURNS}) == [expected]


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("chatml", "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»"),
        ("smollm2", "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»"),
        ("qwen2.5", "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»"),
        ("llama3", "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
                   "hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n«yo<|eot_id|>»"),
        ("phi3", "<|system|>\nbe<|end|>\n<|user|>\nhi<|end|>\n<|assistant|>\n«yo<|end|>»"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own", [True, False])
def test_a_system_prompt_of_the_data_or_of_the_run(family, expected, own):
    chat = chat_of(family, system_prompt="" if own else "be")
    assert marked(chat, {"messages": [*([SYSTEM] if own else []), USER, ANSWER]}) == [expected]


def test_an_empty_system_prompt_is_the_datas_own():
    empty = {"role": "system", "content": ""}
    expected = "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«yo<|im_end|>»"
    for family in ("chatml", "smollm2", "qwen2.5"):
        assert marked(chat_of(family, system_prompt="be"), {"messages": [empty, USER, ANSWER]}) == [expected]


def test_a_template_that_always_asks_for_an_answer():
    expected = (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "«yo<|eot_id|>»"
    )
    assert marked(chat_of("llama3-first"), {"messages": [USER, ANSWER]}) == [expected]


# --- thoughts ----------------------------------------------------------------------------------------------------------


def test_qwen3_takes_earlier_thoughts_out_so_each_turn_ends_a_sequence_of_its_own():
    first = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«<think>\na\n</think>\n\nyo<|im_end|>»"
    second = (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n<|im_start|>user\ngo<|im_end|>\n"
        "<|im_start|>assistant\n«<think>\nb\n</think>\n\nok<|im_end|>»"
    )
    assert marked(chat_of("qwen3"), {"messages": THOUGHTS}) == [first, second]
    assert marked(chat_of("qwen3"), {"messages": THOUGHTS}, train_on="last") == [second]


def test_qwen3_writes_thoughts_that_stand_in_a_field_of_their_own():
    own = {"role": "assistant", "content": "yo", "reasoning_content": "a"}
    assert marked(chat_of("qwen3"), {"messages": [USER, own]}) == [
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«<think>\na\n</think>\n\nyo<|im_end|>»"
    ]


def test_qwen3_without_thinking_gives_the_empty_thought_and_does_not_train_it():
    chat = chat_of("qwen3", template_arguments={"enable_thinking": False})
    expected = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n«yo<|im_end|>»"
    assert marked(chat, {"messages": [USER, ANSWER]}) == [expected]
    assert marked(chat_of("qwen3"), {"messages": [USER, ANSWER]}) == [expected.replace("«", "").replace("assistant\n", "assistant\n«")]
    with pytest.raises(InputError, match=r"^row: the chat template gives the model .*</think>.* and the turn begins '<think>"):
        marked(chat, {"messages": THOUGHTS[:2]})


def test_r1_opens_the_thought_itself_and_writes_none_so_turns_train_as_they_are_sampled():
    row = {"messages": THOUGHTS}
    first = "<|begin_of_sentence|><|User|>hi<|Assistant|><think>\n«a\n</think>\n\nyo<|end_of_sentence|>»"
    second = "<|begin_of_sentence|><|User|>hi<|Assistant|>\n\nyo<|end_of_sentence|>"
    second += "<|User|>go<|Assistant|><think>\n«b\n</think>\n\nok<|end_of_sentence|>»"
    assert marked(chat_of("r1"), row) == [first, second]
    assert examples_of(read_supervised(row), chat_of("r1")).as_sampled == 2
    with pytest.raises(InputError, match="does not go on from it"):
        marked(chat_of("r1"), {"messages": [USER, ANSWER]})  # no thought, where one is open


def test_a_thought_that_a_template_passes_over_is_written_in():
    thought = "a"  # also a letter of the header; and one longer than all that stands before
    own = {"role": "assistant", "content": "yo", "reasoning_content": thought}
    long = {"role": "assistant", "content": "yo", "reasoning_content": "b" * 200}
    assert marked(chat_of("chatml"), {"messages": [USER, long]})[0].endswith("«<think>\n" + "b" * 200 + "\n</think>\n\nyo<|im_end|>»")
    assert marked(chat_of("chatml"), {"messages": [USER, own]}) == [
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n«<think>\na\n</think>\n\nyo<|im_end|>»"
    ]


def test_a_system_prompt_that_moves_stands_where_the_model_is_given_it():
    assert marked(chat_of("mistral-v3"), {"messages": [SYSTEM, *TWO_TURNS]}) == [
        "<s>[INST] be\n\nhi[/INST]«yo</s>»",
        "<s>[INST] hi[/INST] yo</s>[INST] be\n\ngo[/INST]«ok</s>»",
    ]


# --- which turns -------------------------------------------------------------------------------------------------------


HEAD = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
NEXT = "<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("marks", [({"train": False}, {"train": True}), ({"weight": 0}, {"weight": 1}), ({"loss": False}, {})])
def test_marked_turns(marks):
    first, second = ({**turn, **mark} for turn, mark in zip((ANSWER, LAST), marks, strict=True))
    assert marked(chat_of("chatml"), {"messages": [USER, first, MORE, second]}) == [f"{HEAD}yo<|im_end|>\n{NEXT}«ok<|im_end|>»"]


def test_the_first_turn_alone_ends_the_sequence():
    messages = [USER, {**ANSWER, "train": True}, MORE, {**LAST, "train": False}]
    assert marked(chat_of("chatml"), {"messages": messages}) == [f"{HEAD}«yo<|im_end|>»"]
    assert marked(chat_of("chatml"), {"messages": messages}, train_on="all") == [f"{HEAD}«yo<|im_end|>»\n{NEXT}«ok<|im_end|>»"]
    assert marked(chat_of("chatml"), {"messages": messages}, train_on="last") == [f"{HEAD}yo<|im_end|>\n{NEXT}«ok<|im_end|>»"]


def test_what_follows_the_last_trained_turn_is_left_out():
    assert marked(chat_of("chatml"), {"messages": [USER, ANSWER, MORE]}) == [f"{HEAD}«yo<|im_end|>»"]


def test_a_greeting_that_nothing_precedes_is_read_and_does_not_train():
    greeting = {"role": "assistant", "content": "hello"}
    assert marked(chat_of("chatml"), {"messages": [greeting, USER, ANSWER]}) == [
        f"<|im_start|>assistant\nhello<|im_end|>\n{HEAD}«yo<|im_end|>»"
    ]
    with pytest.raises(InputError, match=r"^row: nothing in it trains"):
        marked(chat_of("chatml"), {"messages": [greeting, USER]})


# --- prompts, completions, texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "hi", "completion": "yo"},
        {"prompt": [USER], "completion": [ANSWER]},
        {"prompt": [USER], "completion": "yo"},
        {"prompt": "hi", "completion": ANSWER},
        {"question": "hi", "answer": "yo"},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]},
    ],
)
def test_a_prompt_and_its_completion_are_two_turns(row):
    assert marked(chat_of("chatml"), row) == [f"{HEAD}«yo<|im_end|>»"]


def test_turns_of_a_prompt_do_not_train():
    assert marked(chat_of("chatml"), {"prompt": [USER, ANSWER, MORE], "completion": [LAST]}) == [
        f"{HEAD}yo<|im_end|>\n{NEXT}«ok<|im_end|>»"
    ]


def test_without_a_template_the_completion_and_the_end_of_sequence_train():
    chat = chat_of("mistral", use_template=False)
    assert marked(chat, {"prompt": "1+1=", "completion": "2"}) == ["1+1=«2</s>»"]
    assert marked(chat_of("mistral", use_template=False, system_prompt="Add."), {"prompt": "1+1=", "completion": "2"}) == [
        "Add.\n\n1+1=«2</s>»"
    ]
    assert marked(chat, {"text": "ab"}) == ["a«b</s>»"]
    with pytest.raises(InputError, match="no chat template"):
        marked(chat, {"messages": TWO_TURNS})


def test_a_text_is_no_turn_even_where_there_is_a_template():
    assert marked(chat_of("chatml"), {"text": "ab"}) == ["a«b<|im_end|>»"]


# --- what must not pass ------------------------------------------------------------------------------------------------


def test_a_template_that_ends_no_turn_is_refused():
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = CHATML.replace("+ '<|im_end|>' ", "")
    with pytest.raises(
        InputError, match=r"^row: the chat template ends the assistant's turn \('yo.n'\) by no stop token \('<\|im_end\|>'\)"
    ):
        marked(Chat(tokenizer), {"messages": [USER, ANSWER]})


@pytest.mark.parametrize("family", ["chatml", "phi3", "llama3", "llama3-first", "mistral"])
def test_an_end_of_turn_inside_a_turn_is_refused(family):
    chat = chat_of(family)
    end = chat.decode_all([max(chat.stop_ids, key=lambda stop: stop == chat.tokenizer.convert_tokens_to_ids("<|end|>"))])
    with pytest.raises(InputError, match=r"^row: the assistant's turn holds the end-of-turn token .* inside; take it out$"):
        marked(chat, {"messages": [USER, {"role": "assistant", "content": f"yo{end}more"}]})
    with pytest.raises(InputError, match="inside; take it out"):
        examples_of(PromptAndCompletion("hi", f"yo{chat.tokenizer.eos_token}x"), chat_of(family, use_template=False))


def test_what_a_template_refuses_names_the_row():
    with pytest.raises(InputError, match=r"^row: the model's chat template refuses these messages \(System role not supported\)"):
        marked(chat_of("gemma"), {"messages": [SYSTEM, USER, ANSWER]})


# --- tokens across borders ---------------------------------------------------------------------------------------------


def test_a_turn_that_begins_inside_a_token_begins_where_the_model_is_given_its_prompt():
    """Of "assistant\\n" + "\\nyo", a tokenizer with a token for two line breaks has no border between prompt and turn."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĊĊ"])}
    inner = Tokenizer(models.BPE(vocabulary, [("Ċ", "Ċ")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", additional_special_tokens=special)
    tokenizer.chat_template = CHATML
    chat = Chat(tokenizer)
    [example] = examples_of(read_supervised({"messages": [USER, {"role": "assistant", "content": "\nyo"}]}), chat).examples
    assert list(example.prompt) == tokenizer.encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    assert [chat.decode_all([token]) for token in example.completion] == ["\n", "y", "o", "<|im_end|>"]
    assert "\n\n" in [chat.decode_all([token]) for token in tokenizer.encode("assistant\n\nyo")]


def test_a_text_begins_with_what_the_tokenizer_puts_before_it(tokenizer):
    [example] = examples_of(Text("1+2=3"), Chat(tokenizer)).examples
    assert example.tokens[-1] == tokenizer.eos_token_id
    assert example.mask == [False, *[True] * (len(example) - 1)]
