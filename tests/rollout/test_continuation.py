"""Prompts that hold a response's beginning, and the whole response that comes of them."""

import pytest

from rollout.chat import Chat
from rollout.continuation import ContinuingChat
from rollout.engine import Completion
from tests.rollout.test_chat import TEMPLATE, make_chat_tokenizer
from tests.rollout.test_token_ends import CHAT as BYTES
from verifiers.problem import make_problem

PROBLEM = make_problem("1+1=", "2")


def said(tokens: list[int]) -> Completion:
    return Completion(tokens, [0.0] * len(tokens), [True] * len(tokens), "stop", 0)


@pytest.mark.parametrize("beginning", ["It is\n\n", "It is  ", "", "a \n b", "你🙂\n\n"])
def test_the_prompt_goes_on_and_the_response_is_whole(beginning: str) -> None:
    for chat, text in ((BYTES, "é 2"), (Chat(make_chat_tokenizer()), " 2") if beginning.isascii() else (BYTES, "2")):
        begun = ContinuingChat(chat, {PROBLEM.id: beginning})
        prompt = begun.render(PROBLEM)
        kept = beginning.rstrip(" ")
        assert prompt == [*chat.render(PROBLEM), *chat.encode(kept)]
        assert begun.response(said([*chat.encode(text), chat.stop_ids[-1]]), prompt) == kept + text


def test_what_the_template_opens_is_not_said_twice() -> None:
    template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    chat = Chat(make_chat_tokenizer(template))
    begun = ContinuingChat(chat, {PROBLEM.id: "<think>\nOne.\n\n"})
    prompt = begun.render(PROBLEM)
    assert chat.tokenizer.decode(prompt).endswith("assistant\n<think>\nOne.\n\n")
    assert begun.response(said(chat.encode("Two.")), prompt) == "<think>\nOne.\n\nTwo."
    elsewhere = ContinuingChat(Chat(make_chat_tokenizer()), {PROBLEM.id: "<think>\nOne.\n\n"})
    prompt = elsewhere.render(PROBLEM)
    assert chat.tokenizer.decode(prompt).endswith("assistant\n<think>\nOne.\n\n")
    assert elsewhere.response(said(chat.encode("Two.")), prompt) == "<think>\nOne.\n\nTwo."


def test_a_prefill_is_part_of_the_beginning() -> None:
    chat = Chat(make_chat_tokenizer(), prefill="<think>")
    begun = ContinuingChat(chat, {PROBLEM.id: "<think>a\n\n"})
    prompt = begun.render(PROBLEM)
    assert chat.tokenizer.decode(prompt).endswith("assistant\n<think>a\n\n")
    assert begun.response(said(chat.encode("b")), prompt) == "<think>a\n\nb"
