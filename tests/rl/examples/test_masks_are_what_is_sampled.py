"""A turn trains behind the very tokens that the model is given when the same conversation is a problem to be sampled on."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.examples.masks import masked, rendered
from rl.examples.written import read_supervised
from rollout.chat import Chat
from tests.rl.examples.chat_templates import FAMILIES, tokenizer_of
from verifiers.problem import make_problem

texts = st.text(alphabet="ab<|/> \n", min_size=1, max_size=12).filter(str.strip)
talks = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)


@cache
def chat_of(family: str) -> Chat:
    return Chat(tokenizer_of(family))


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "r1"])  # which wants a thought in every answer
@settings(max_examples=25, deadline=None)
@given(talk=talks, system=st.none() | texts)
def test_prompts_are_those_of_rollouts_and_turns_are_the_words(family: str, talk: list[tuple[str, str]], system: str | None) -> None:
    chat = chat_of(family)
    says = [{"role": "system", "content": system}] if system and family not in ("gemma", "mistral") else []
    for question, answer in talk:
        says += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    made = masked(rendered(read_supervised({"messages": says}), chat, "row"), chat, "row")
    turns = [n for n, message in enumerate(says) if message["role"] == "assistant"]
    spans = [(example, span) for example in made.examples for span in example.spans]
    assert len(spans) == len(turns)
    for turn, (example, (begin, end)) in zip(turns, spans, strict=True):
        assert list(example.tokens[:begin]) == chat.render(make_problem(says[:turn], "?"))
        *words, stop = example.tokens[begin:end]
        assert stop in chat.stop_ids
        assert not set(words) & set(chat.stop_ids)
        said = "".join(chat.decode_all(words).removeprefix("<think>\n\n</think>\n\n").split())
        assert said == "".join(says[turn]["content"].split())
        assert end == len(example.tokens) or len(example.spans) > 1
