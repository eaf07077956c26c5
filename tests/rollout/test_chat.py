"""Problems to token ids and back: templates, system prompts, prefills, stop ids, and what must never be in a prompt."""

import string

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from recipes.setup.arithmetic import model_shape
from rollout.chat import Chat, load_tokenizer
from verifiers.input_error import InputError
from verifiers.problem import make_problem

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<|im_start|>", "<|im_end|>"]


def make_chat_tokenizer(template=TEMPLATE, *, bos=False, **options):
    """A token for each printable character; with `bos`, a beginning-of-sequence token is added as many models' tokenizers do."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *string.printable])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    if bos:
        inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **({"eos_token": "<eos>", "pad_token": "<pad>"} | options))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<bos>", "<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


def rendered(chat, prompt, answer="42"):
    """The prompt as text, special tokens included."""
    return chat.tokenizer.decode(chat.render(make_problem(prompt, answer)))


def test_a_prompt_is_rendered_once_however_often_it_is_asked_for(monkeypatch):
    chat, asked = Chat(make_chat_tokenizer()), []
    own = chat.write_turns
    monkeypatch.setattr(chat, "write_turns", lambda *turns, **how: asked.append(turns) or own(*turns, **how))
    problem, other = (make_problem(text, "42") for text in ("6*7=", "7*6="))
    chat.vet([problem])
    asked.clear()
    first = chat.render(problem)
    first.append(3)  # what is given out is the caller's own
    assert [chat.render(problem), chat.render(other), chat.render(problem)] == [first[:-1], chat.render(other), first[:-1]]
    assert len(asked) == 2
    alike = make_problem("6*7=", "42")
    assert chat.render(alike) == first[:-1]


def test_a_string_becomes_one_user_turn():
    assert rendered(Chat(make_chat_tokenizer()), "6*7=?") == "<|im_start|>user\n6*7=?<|im_end|>\n<|im_start|>assistant\n"


def test_template_tokens_are_single_ids():
    ids = Chat(make_chat_tokenizer()).render(make_problem("1", "2"))
    assert (ids.count(3), ids.count(4)) == (2, 1)  # <|im_start|>, <|im_end|>
    assert 0 not in ids


def test_messages_keep_their_roles_and_order():
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    turns = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
    assert rendered(Chat(make_chat_tokenizer()), messages) == turns + "<|im_start|>assistant\n"


def test_a_system_prompt_comes_first_unless_the_messages_bring_their_own():
    chat = Chat(make_chat_tokenizer(), system_prompt="Think.")
    assert rendered(chat, "q").startswith("<|im_start|>system\nThink.<|im_end|>\n<|im_start|>user\nq")
    own = [{"role": "system", "content": "Mine."}, {"role": "user", "content": "q"}]
    assert rendered(chat, own).startswith("<|im_start|>system\nMine.<|im_end|>\n<|im_start|>user\nq")
    assert "Think." not in rendered(chat, own)
    user_first = [{"role": "user", "content": "q"}]
    assert rendered(chat, user_first) == rendered(chat, "q")
    assert user_first == [{"role": "user", "content": "q"}], "the problem was changed"


def test_a_prefill_opens_the_assistants_turn_and_is_read_by_the_verifier():
    chat = Chat(make_chat_tokenizer(), prefill="<think>")
    assert rendered(chat, "q").endswith("<|im_end|>\n<|im_start|>assistant\n<think>")
    assert chat.decode(chat.encode("6*7</think>42")) == "<think>6*7</think>42"


@pytest.mark.parametrize("use_template", [True, False])
def test_without_a_template_text_is_encoded_as_it_stands(use_template):
    tokenizer = make_chat_tokenizer(None if use_template else TEMPLATE)
    assert rendered(Chat(tokenizer, use_template=use_template), "1+1=") == "1+1="
    spoken = Chat(tokenizer, use_template=use_template, system_prompt="Add.", prefill="It is ")
    assert rendered(spoken, "1+1=") == "Add.\n\n1+1=It is "


def test_messages_without_a_template_are_the_users_mistake():
    problem = make_problem([{"role": "user", "content": "1+1="}], "2")
    for chat in (Chat(make_chat_tokenizer(None)), Chat(make_chat_tokenizer(), use_template=False)):
        with pytest.raises(InputError, match=rf"^problem {problem.id} is a list of messages but .* no chat template; give plain prompts$"):
            chat.render(problem)


THINKING = TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"


def test_arguments_of_the_template_reach_it():
    silent = Chat(make_chat_tokenizer(THINKING), template_arguments={"enable_thinking": False})
    assert rendered(silent, "q") == rendered(Chat(make_chat_tokenizer(THINKING)), "q") + "<think></think>"


@pytest.mark.parametrize(("name", "hint"), [("enable_thinkng", "did you mean enable_thinking"), ("add_generation_prompt", "leave it out")])
def test_an_argument_that_the_template_does_not_read_is_refused(name, hint):
    with pytest.raises(InputError, match=rf"^the template argument {name} would be ignored: .*{hint}"):
        Chat(make_chat_tokenizer(THINKING), template_arguments={name: False})
    with pytest.raises(InputError, match="there is no chat template"):
        Chat(make_chat_tokenizer(THINKING), use_template=False, template_arguments={"enable_thinking": False})


def test_a_beginning_of_sequence_token_is_there_exactly_once():
    plain = Chat(make_chat_tokenizer(None, bos=True, bos_token="<bos>"))
    assert rendered(plain, "1+1=") == "<bos>1+1="
    templated = Chat(make_chat_tokenizer("{{ bos_token }}" + TEMPLATE, bos=True, bos_token="<bos>"))
    assert rendered(templated, "q") == "<bos><|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
    assert plain.encode("1") == [5 + string.printable.index("1")]  # a piece of text, not a sequence


def test_stop_ids_are_eos_and_the_end_of_turn_of_the_template():
    assert Chat(make_chat_tokenizer()).stop_ids == (1, 4)
    assert Chat(make_chat_tokenizer(), use_template=False).stop_ids == (1,)
    assert Chat(make_chat_tokenizer(None)).stop_ids == (1,)
    assert Chat(make_chat_tokenizer("{% for m in messages %}{{ m['content'] }}{% endfor %}")).stop_ids == (1,)
    assert Chat(make_chat_tokenizer(eos_token="<|im_end|>")).stop_ids == (4,)
    assert Chat(make_chat_tokenizer({"default": TEMPLATE, "tool_use": "{{ messages }}"})).stop_ids == (1, 4)


def test_padding_falls_back_to_eos_and_no_eos_is_the_users_mistake():
    assert Chat(make_chat_tokenizer()).pad_id == 0
    assert Chat(make_chat_tokenizer(pad_token=None)).pad_id == 1
    with pytest.raises(InputError, match="no end-of-sequence token"):
        Chat(make_chat_tokenizer(eos_token=None))


@pytest.mark.parametrize("template", [TEMPLATE, None])
@pytest.mark.parametrize("options", [{}, {"system_prompt": "Think.", "prefill": "<think>"}])
def test_the_answer_is_never_in_the_prompt(template, options):
    chat = Chat(make_chat_tokenizer(template), **options)
    problem = make_problem("What is it?", "918273", meta={"solution": "it is 918273", "answer": "918273"})
    assert "918273" not in chat.tokenizer.decode(chat.render(problem))
    assert chat.render(problem) == chat.render(make_problem("What is it?", "other"))


def test_decoding_leaves_out_what_only_ends_a_turn(tokenizer):
    chat = Chat(make_chat_tokenizer())
    assert chat.decode([*chat.encode("the answer is 42"), 4]) == "the answer is 42"
    assert chat.decode([*chat.encode("42"), 1]) == "42"
    assert chat.decode([]) == ""
    arithmetic = Chat(tokenizer)
    assert arithmetic.decode([*arithmetic.encode("<think>1+1=2</think><answer>2</answer>"), 1]) == "<think>1+1=2</think><answer>2</answer>"
    assert len(arithmetic.encode("<think>1+1=2</think>")) == 7  # a tag is one token


def test_spaces_and_line_breaks_survive():
    chat = Chat(make_chat_tokenizer())
    for text in (" leading", "trailing ", "two  spaces", "a\n\nb\t", "x , y ."):
        assert chat.decode(chat.encode(text)) == text


def test_a_tokenizer_of_its_own_is_not_replaced_by_its_models_type(tokenizer, tmp_path):
    """transformers would split text as Qwen2 does, and lose the spaces, for which this vocabulary has no token of Qwen2's."""
    tokenizer.save_pretrained(tmp_path)
    model_shape(len(tokenizer)).save_pretrained(tmp_path)
    text = "<think>7+8=15 5+6+1=12</think><answer>125</answer>"
    loaded = load_tokenizer(str(tmp_path))
    assert loaded.encode(text) == tokenizer.encode(text)
    assert Chat(loaded).decode(loaded.encode(text)) == text


def test_a_folder_without_a_tokenizer_is_one_line_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"^cannot load a tokenizer from folder .* \(save one there with save_pretrained\)$"):
        load_tokenizer(str(tmp_path))


def test_a_saved_tokenizer_loads_with_its_template(tmp_path):
    make_chat_tokenizer().save_pretrained(tmp_path)
    chat = Chat(load_tokenizer(str(tmp_path)))
    assert rendered(chat, "6*7=?") == rendered(Chat(make_chat_tokenizer()), "6*7=?")
    assert chat.stop_ids == (1, 4)
