"""What was written to tokens, and which of them train: by rendering each trained turn and comparing token ids, never by searching text.

For a turn k of the assistant's, the chat template writes messages[:k] up to where the model answers (what the model is given), and
messages[:k + 1] (what it should then have said). The first's ids begin the second's; what follows, to the end-of-turn token and with it,
trains. So a turn trains exactly behind the tokens that the model will be given, whatever the template's headers are.

Templates that write earlier turns otherwise than the last one (Qwen3 takes the thoughts out of them) have no single rendering in which
all turns are right. Turns share a sequence where one rendering begins with the other's tokens; else each trains in the rendering that
ends with it, which is what the model sees when it answers there.

A turn that the template does not write as the data have it, or behind other text than it asks with (R1's takes the thought out of every
turn; Mistral's puts the system prompt before the last user's turn while that is the last of all), trains as it would have been sampled:
the template's prompt, the words, the end of turn. Left out: templates that end no turn by a stop token (an error).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rl.examples.example import Example, example_of
from rl.examples.written import Conversation, PromptAndCompletion, Text, Written
from rollout.chat import Chat
from verifiers.input_error import InputError

Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Masked:
    """What one row became."""

    examples: tuple[Example, ...]
    as_sampled: int = 0
    """Trained turns that the template could not write."""


@dataclass(frozen=True)
class _Turn:
    """One trained turn: the tokens up to its end, and where it begins."""

    tokens: list[int]
    begin: int
    as_sampled: bool = False


@dataclass(frozen=True)
class Rendered:
    """A conversation as the chat template writes it, once for each turn that trains."""

    conversation: Conversation
    turns: tuple[tuple[int, str, str], ...]
    """(number of the turn, what the model is given, the same with what it should say)."""


def rendered(written: Written, chat: Chat, place: str) -> Rendered | PromptAndCompletion | Text:
    """What was written, by the chat template where that has a say. Raises InputError where it cannot be, or nothing trains."""
    if isinstance(written, Text) or (isinstance(written, PromptAndCompletion) and not chat.has_template):
        return written
    if not chat.has_template:
        raise InputError(
            f"{place}: it has messages but the tokenizer has no chat template; give plain text, or a tokenizer with a template"
        )
    conversation = as_conversation(written)
    calling = [turn for turn in trained_turns(conversation, place) if conversation.messages[turn].get("tool_calls")]
    if calling and not chat.reads("tool_calls"):
        raise InputError(
            f"{place}: message {calling[0]} calls a tool, which the chat template does not write, so it would train to say nothing there; "
            "mend the template, or mark that turn not to train (train: false)"
        )
    turns = ((turn, *_asked_and_said(conversation, turn, chat, place)) for turn in trained_turns(conversation, place))
    return Rendered(conversation, tuple(turns))


def texts_of(each: Rendered | PromptAndCompletion | Text) -> list[str]:
    """The texts of which `masked` wants the tokens, special ones left out."""
    if isinstance(each, Rendered):
        return [text for _, asked, said in each.turns for text in (asked, said)]
    return [each.completion] if isinstance(each, PromptAndCompletion) else []


def masked(each: Rendered | PromptAndCompletion | Text, chat: Chat, place: str, encode: Encode | None = None) -> Masked:
    """The sequences of one row: one, or several where the template rewrites earlier turns. Raises InputError where the mask cannot be.

    `encode`: the tokens of a text, `chat.encode` by default.
    """
    encode = encode or chat.encode
    if isinstance(each, Text):
        return Masked((_text(each, chat, place),))
    if isinstance(each, PromptAndCompletion):
        return Masked((_plain(each, chat, place, encode),))
    turns = [_trained_turn(each.conversation, turn, chat, place, encode) for turn in each.turns]
    return Masked(tuple(_sharing(turns, place)), sum(turn.as_sampled for turn in turns))


def as_conversation(written: Conversation | PromptAndCompletion) -> Conversation:
    """A plain prompt is one user turn, as it is when problems are sampled."""
    if isinstance(written, Conversation):
        return written
    turns = ({"role": "user", "content": written.prompt}, {"role": "assistant", "content": written.completion})
    return Conversation(turns, (False, True))


def trained_turns(conversation: Conversation, place: str) -> list[int]:
    """Numbers of the turns that train. One that nothing precedes has no prompt, and trains only where others do not."""
    turns = [n for n, trains in enumerate(conversation.trains) if trains and any(m["role"] != "system" for m in conversation.messages[:n])]
    if not turns:
        raise InputError(f"{place}: nothing in it trains: the assistant's turn has no prompt before it")
    return turns


def _asked_and_said(conversation: Conversation, turn: int, chat: Chat, place: str) -> tuple[str, str]:
    """(what the model is given, the same with what it should say)."""
    messages, arguments = conversation.messages, conversation.arguments
    asked = chat.write_turns(chat.with_system_turn(messages[:turn]), place, ask=True, arguments=arguments)
    said = chat.write_turns(chat.with_system_turn(messages[: turn + 1]), place, ask=False, arguments=arguments)
    return asked, said


def _trained_turn(conversation: Conversation, rendering: tuple[int, str, str], chat: Chat, place: str, encode: Encode) -> _Turn:
    turn, asked, said = rendering
    prompt, whole = encode(asked), encode(said)
    message = conversation.messages[turn]
    if not said.startswith(asked) or _lost(message, asked, said):
        before = chat.write_turns(chat.with_system_turn(conversation.messages[:turn]), place, ask=False, arguments=conversation.arguments)
        begun = said.startswith(before) and not said.startswith(asked)
        return _as_sampled(message, prompt, whole, asked, chat, place, begun=begun)
    if whole[: len(prompt)] != prompt:  # a token lies across the border; the model is given the prompt's own
        whole = [*prompt, *encode(said[len(asked) :])]
    return _Turn(whole[: _turn_end(whole, len(prompt), message, chat, place)], len(prompt))


def _turn_end(tokens: Sequence[int], begin: int, message: Mapping[str, Any], chat: Chat, place: str) -> int:
    """Behind the turn's first stop token. Raises InputError where there is none, or where the turn's own words hold it."""
    stop = next((n for n in range(begin, len(tokens)) if tokens[n] in chat.stop_ids), None)
    if stop is None:
        raise InputError(
            f"{place}: the chat template ends the assistant's turn ({chat.decode_all(tokens[begin:])[-30:]!r}) by no stop token "
            f"({', '.join(repr(chat.decode_all([each])) for each in chat.stop_ids)}), so a model would learn not to stop; mend the "
            "template, or set the tokenizer's eos_token to what ends a turn"
        )
    if any(token not in chat.stop_ids and chat.decode_all([token]).strip() for token in tokens[stop + 1 :]):
        _refuse_inner_ends(_words(message), chat, place)  # else it is the template that goes on, to where the model answers next
    return stop + 1


def _refuse_inner_ends(texts: Iterable[str], chat: Chat, place: str) -> None:
    for token in (token for text in texts for token in chat.encode(text)):
        if token in chat.stop_ids:
            raise InputError(f"{place}: the assistant's turn holds the end-of-turn token {chat.decode_all([token])!r} inside; take it out")


# --- turns that the template does not write as they are ------------------------------------------------------------------


def _lost(message: Mapping[str, Any], asked: str, said: str) -> bool:
    """Whether the template left out words of the turn; white space aside, which templates trim.

    Words that the prompt has begun (an empty thought) end behind it all the same.
    """
    before, text = "".join(asked.split()), "".join(said.split())
    words = ["".join(part.split()) for part in _words(message)]
    return any(part and text.find(part, max(0, len(before) - len(part) + 1)) < 0 for part in words)


def _words(message: Mapping[str, Any]) -> Iterator[str]:
    yield from (value for value in (message.get("reasoning_content"), message["content"]) if isinstance(value, str))


def _as_sampled(
    message: Mapping[str, Any], prompt: list[int], whole: list[int], asked: str, chat: Chat, place: str, *, begun: bool
) -> _Turn:
    """The template's prompt, the words, and the end of turn as the template writes it.

    `begun`: it is the prompt's own last words that the template then writes otherwise, and not what stands before them.
    Raises InputError where the prompt has begun an answer that these words do not begin with.
    """
    content, thought = message["content"], message.get("reasoning_content")
    if not isinstance(content, str) or message.get("tool_calls"):
        raise InputError(f"{place}: the chat template leaves out words of a turn that has more than text; mend the template")
    words = f"<think>\n{thought}\n</think>\n\n{content}" if isinstance(thought, str) and thought else content
    given = chat.given(prompt).strip()
    if (begun or given) and not (given and words.lstrip().startswith(given)):
        raise InputError(
            f"{place}: the chat template gives the model {asked[-40:]!r} to go on from, and the turn begins {words[:40]!r}, which does not "
            "go on from it; change the template's arguments, such as enable_thinking, or the data"
        )
    if given:
        words = words.lstrip()[len(given) :].lstrip("\n")
    _refuse_inner_ends([words], chat, place)
    return _Turn([*prompt, *chat.encode(words), _last_turn_end(whole, chat)], len(prompt), as_sampled=True)


def _last_turn_end(tokens: Sequence[int], chat: Chat) -> int:
    """The stop token that ends the last turn: the first of those at the end; EOS where the template writes none."""
    end = chat.tokenizer.eos_token_id
    for token in reversed(tokens):
        if token in chat.stop_ids:
            end = token
        elif chat.decode_all([token]).strip():
            break
    return int(end)


# --- sequences ---------------------------------------------------------------------------------------------------------


def _sharing(turns: Sequence[_Turn], place: str) -> Iterator[Example]:
    """Turns in as few sequences as hold them token by token, from the first to the last."""
    hosts: list[tuple[list[int], list[tuple[int, int]]]] = []
    for turn in reversed(turns):
        span = (turn.begin, len(turn.tokens))
        host = next((spans for tokens, spans in hosts if tokens[: len(turn.tokens)] == turn.tokens), None)
        if host is None:
            hosts.append((turn.tokens, [span]))
        else:
            host.insert(0, span)
    for tokens, spans in reversed(hosts):
        yield example_of(tokens, spans, place)


def _plain(written: PromptAndCompletion, chat: Chat, place: str, encode: Encode) -> Example:
    """Tokenised apart, as when the completion is sampled; EOS ends it."""
    prompt, completion = chat.encode_plain_prompt(chat.with_system_text(written.prompt)), encode(written.completion)
    if not prompt:
        raise InputError(f"{place}: its prompt has no tokens")
    _refuse_inner_ends([written.completion], chat, place)
    tokens = [*prompt, *completion, chat.tokenizer.eos_token_id]
    return example_of(tokens, [(len(prompt), len(tokens))], place)


def _text(written: Text, chat: Chat, place: str) -> Example:
    """All of it trains but for the first token, which nothing predicts: BOS, where the tokenizer begins a text with it. EOS ends it."""
    tokens = chat.encode(written.text, special=True)
    if not tokens or tokens[-1] != chat.tokenizer.eos_token_id:
        tokens.append(chat.tokenizer.eos_token_id)
    if len(tokens) < 2:
        raise InputError(f"{place}: its text has no tokens")
    return example_of(tokens, [(1, len(tokens))], place)
