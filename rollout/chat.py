"""Problems to token ids and token ids to text: the only file that touches a tokenizer or a chat template.

A prompt that is a list of messages goes through the model's chat template; a plain string does too where the tokenizer has a
template (as one user turn, after the system prompt), and is encoded as it stands where it has none.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rollout.engine import Completion
from rollout.rendering import rendered_in_time
from rollout.text_places import TextPlaces
from verifiers.input_error import InputError, did_you_mean, first_line, missing_place
from verifiers.problem import Message, Problem

_TAIL = 32  # tokens at the end of a prompt, in which "<think>" is looked for
_MOST_RENDERED = 2**15
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|eot|>", "<turn|>", "<|return|>", "<|END_OF_TURN_TOKEN|>")
_OURS = ("messages", "add_generation_prompt", "continue_final_message", "tokenize", "return_dict")  # given by us, or not a template's


class Chat:
    """How a run speaks to its model. `tokenizer` is a transformers tokenizer."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        system_prompt: str = "",
        prefill: str = "",
        use_template: bool = True,
        extra_stop_ids: Sequence[int] = (),
        template_arguments: Mapping[str, Any] = MappingProxyType({}),
    ):
        """`prefill`: the assistant's first words, given rather than sampled ("<think>"). Raises InputError without an EOS token.

        `extra_stop_ids`: beside EOS and the template's end of turn, such as the model's `generation_stops`. `template_arguments`: what the
        chat template reads besides the messages (`enable_thinking`); InputError for one that it does not read.
        """
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt
        self.prefill = prefill
        self.has_template = use_template and bool(tokenizer.chat_template)
        self.template_arguments = dict(template_arguments)
        self._check_template_arguments()
        if tokenizer.eos_token_id is None:
            raise InputError("the tokenizer has no end-of-sequence token, so no completion could ever stop; set eos_token in it")
        self.stop_ids = tuple(sorted({*self._stop_ids(), *extra_stop_ids}))
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self._vetted = False
        """Whether the template is known to end."""
        self._rendered: dict[int, tuple[Problem, array[int]]] = {}
        """By the problem's address: a run asks for a prompt when it is checked, when room is made for it and in every epoch."""
        self._given_last: tuple[list[int], str] = ([], "")
        """A prompt's end and what it gave: a group's completions ask for the same one in turn."""
        self._piece_lengths: dict[int, int] = {}
        """Characters of each token that was asked for, decoded by itself."""

    def given(self, prompt: Sequence[int]) -> str:
        """What stands in a rendered prompt before the first sampled token and belongs to the response: an opened thought, the prefill.

        R1's template and its relatives open the thought themselves, some for one message and not for another, so it is read from
        each prompt; verifiers want to see it closed.
        """
        if not prompt:
            return self.prefill
        end = list(prompt[-(_TAIL + len(self.prefill)) :])
        known, found = self._given_last
        if end != known:
            before = self.decode_all(end).removesuffix(self.prefill)
            opened = before[before.rindex("<think>") :] if before.rstrip().endswith("<think>") else ""
            found = opened + self.prefill
            self._given_last = end, found
        return found

    def vet(self, problems: Sequence[Problem]) -> None:
        """Raises InputError unless the chat template renders each of these within its deadline, whatever it loops over.

        It runs once in a process that can be killed; `render` is free of that afterwards.
        """
        if not self.has_template:
            return
        rendered_in_time([(f"problem {problem.id}", partial(self._render_prompt, problem)) for problem in problems])
        self._vetted = True

    def _render_prompt(self, problem: Problem) -> str:
        """The prompt as text, by the template."""
        turns = [Message(role="user", content=problem.prompt)] if isinstance(problem.prompt, str) else list(problem.prompt)
        if turns[-1]["role"] == "assistant":
            raise InputError(
                f"problem {problem.id} ends with the assistant's turn, which would put its answer into the prompt; drop that turn"
            )
        return self.write_turns(self.with_system_turn(turns), f"problem {problem.id}")

    def write_turns(
        self, turns: Sequence[Mapping[str, Any]], place: str, *, ask: bool = True, arguments: Mapping[str, Any] = MappingProxyType({})
    ) -> str:
        """Turns as text, by the template; with `ask`, up to where the model answers. Raises InputError that names `place`.

        `arguments`: more that the template reads, of these turns alone (`tools`).
        """
        from jinja2 import TemplateError

        given = {**self.template_arguments, **arguments}
        try:
            return str(self.tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=ask, **given))
        except TemplateError as error:
            raise InputError(
                f"{place}: the model's chat template refuses these messages ({first_line(error)}); if it has no system role, give "
                "--system-prompt ''"
            ) from error
        except MemoryError:
            raise  # for whoever vets the template: it would be tried again where nothing bounds it
        except Exception as error:  # a template is a program, which may divide by zero
            raise InputError(
                f"{place}: the model's chat template fails on these messages ({type(error).__name__}: {first_line(error)}); mend it in its "
                "tokenizer's folder, or do without it (--no-chat-template)"
            ) from error

    def _check_template_arguments(self) -> None:
        """Raises InputError for an argument that would be ignored: jinja passes over names that a template does not have."""
        if self.template_arguments and not self.has_template:
            raise InputError(f"the template argument {next(iter(self.template_arguments))} would be ignored: there is no chat template")
        for name in self.template_arguments:
            if name in _OURS or not self.reads(name):
                hint = did_you_mean(name, self._template_words() - {*_OURS}) or "; leave it out"
                raise InputError(f"the template argument {name} would be ignored: the model's chat template does not read it{hint}")

    def reads(self, name: str) -> bool:
        """Whether the chat template speaks of an argument."""
        return self.has_template and name in self._template_words()

    def _template_words(self) -> set[str]:
        return set(re.findall(r"[A-Za-z_]\w*", self._template_text()))

    def _stop_ids(self) -> set[int]:
        """EOS, and the token that ends a turn in the model's template where that is another one (<|im_end|>, <|eot_id|>)."""
        ends = {self.tokenizer.eos_token_id}
        if self.has_template:
            vocabulary = self.tokenizer.get_added_vocab()
            template = self._template_text()
            ends |= {vocabulary[t] for t in _TURN_ENDS if t in vocabulary and t in template}
        return ends

    def _template_text(self) -> str:
        template = self.tokenizer.chat_template
        return template if isinstance(template, str) else " ".join(template.values())

    def render(self, problem: Problem) -> list[int]:
        """Token ids of the prompt, up to where the policy begins. The answer is never part of it."""
        known = self._rendered.get(id(problem))
        if known and known[0] is problem:
            return list(known[1])
        tokens = self._tokens_of(problem)
        if len(self._rendered) >= _MOST_RENDERED:
            self._rendered.clear()
        self._rendered[id(problem)] = (problem, array("q", tokens))
        return tokens

    def _tokens_of(self, problem: Problem) -> list[int]:
        if self.has_template:
            if not self._vetted:
                self.vet([problem])
            return self.encode(self._render_prompt(problem) + self.prefill, special=False)
        if not isinstance(problem.prompt, str):
            raise InputError(f"problem {problem.id} is a list of messages but the tokenizer has no chat template; give plain prompts")
        return self.encode_plain_prompt(self.with_system_text(problem.prompt) + self.prefill)

    def with_system_text(self, prompt: str) -> str:
        """A plain prompt after the system prompt, where no template says how the two stand together."""
        return f"{self.system_prompt}\n\n{prompt}" if self.system_prompt else prompt

    def with_system_turn(self, turns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Turns after the system prompt, unless they bring their own."""
        if self.system_prompt and not any(turn["role"] == "system" for turn in turns[:1]):
            return [Message(role="system", content=self.system_prompt), *turns]
        return list(turns)

    def encode_plain_prompt(self, text: str) -> list[int]:
        """With what the tokenizer puts before a text (BOS) and without what it appends (EOS): the policy would go on after the end."""
        whole, plain = self.encode(text, special=True), self.encode(text)
        for start in range(len(whole) - len(plain) + 1):
            if whole[start : start + len(plain)] == plain:
                return whole[: start + len(plain)]
        while whole and whole[-1] in self.stop_ids:
            whole.pop()
        return whole

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        try:
            return list(self.tokenizer.encode(text, add_special_tokens=special))
        except TypeError as error:  # what the tokenizers library says to a lone surrogate
            raise InputError(f"a text that is not valid Unicode cannot be encoded: {text!r:.80}") from error

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode` of each, on all cores. Raises InputError for a text that is not valid Unicode."""
        if not texts:
            return []
        try:
            return list(self.tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"])
        except TypeError as error:
            raise InputError("a text that is not valid Unicode cannot be encoded") from error

    def decode(self, tokens: Sequence[int], prompt: Sequence[int] = ()) -> str:
        """The response as the verifier reads it: special tokens left out, what the `prompt` gave put back in front."""
        return self.given(prompt) + self._text(tokens)

    def response(self, completion: Completion, prompt: Sequence[int] = ()) -> str:
        """As `decode`, without the tokens that the policy did not sample; what it said between two of a tool's replies is a line or more.

        A tool's output is no part of what is judged: it may hold an answer that the policy never gave.
        """
        return self.given(prompt) + "\n".join(self._text(completion.tokens[start:end]) for start, end in _turns(completion))

    def token_ends(self, completion: Completion, prompt: Sequence[int], ends: Sequence[int]) -> list[int]:
        """For each end in characters of `response`, the place in `completion.tokens` of the token that finishes the character before it.

        A line break between two turns is no token's: the last one before it stands for it. -1 where that would be what the prompt gave,
        or nothing was said yet. Special tokens have no text, so they finish none. Raises InputError for an end outside of the response.
        """
        at = len(self.given(prompt))
        length, turns = at, []
        for start, stop in _turns(completion):
            places = TextPlaces(completion.tokens[start:stop], self._text, self._piece_length)
            length = at + len(places.text)
            if places.text:
                turns.append((at, start, places))
            at = length + 1
        if outside := [end for end in ends if not 0 <= end <= length]:
            raise InputError(f"a step ends at character {outside[0]} of a response that has {length}; its end must lie in the response")
        found = []
        for end in ends:
            at, start, places = next((turn for turn in reversed(turns) if turn[0] < end), (0, 0, None))
            found.append(-1 if places is None else start + places.finishing(min(end - at, len(places.text))))
        return found

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _piece_length(self, token: int) -> int:
        if token not in self._piece_lengths:
            self._piece_lengths[token] = len(self._text([token]))
        return self._piece_lengths[token]

    def said(self, tokens: Sequence[int]) -> str:
        """What the policy said in one turn, as an environment hears it: with special tokens, but for the one that ended the turn."""
        ended = bool(tokens) and tokens[-1] in self.stop_ids
        return self.decode_all(tokens[:-1] if ended else tokens)

    def decode_all(self, tokens: Sequence[int]) -> str:
        """The tokens as text, special tokens included: what engines look for stop texts in."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False))

    def encode_foreign(self, text: str) -> list[int]:
        """What a tool or an environment wrote: a special token's name in it is a few letters, and ends or begins no turn."""
        clean = text.encode("utf-8", "replace").decode()
        tokens = self.tokenizer.encode(clean, add_special_tokens=False, split_special_tokens=True)
        return [token for token in tokens if token not in self.stop_ids]

    def user_turn(self, text: str, *, after_stop: bool) -> list[int]:
        """A user's turn that follows a turn of the model's, up to where the policy goes on. `after_stop`: it sampled its stop id itself."""
        head, tail = self._between_turns
        if after_stop:
            head = next((head[len(end) :] for end in (self.decode_all([stop]) for stop in self.stop_ids) if head.startswith(end)), head)
        return [*self.encode(head), *self.encode_foreign(text), *self.encode(tail)]

    @cached_property
    def _between_turns(self) -> tuple[str, str]:
        """What stands between the model's words and the user's next ones, and between those and the model's."""
        if not self.has_template:
            return "\n", "\n"
        mine, yours = "first-mark", "second-mark"
        turns = [("user", "?"), ("assistant", mine), ("user", yours)]
        render = partial(
            self.write_turns, [Message(role=role, content=content) for role, content in turns], "a user's turn after the model's"
        )
        rendered_in_time([("a user's turn after the model's", render)])
        text = render()
        head, _, tail = text.partition(mine)[2].partition(yours)
        return head, tail


def _turns(completion: Completion) -> list[tuple[int, int]]:
    """Where what the policy said in one go begins and ends, in tokens."""
    runs = groupby(range(len(completion.tokens)), key=lambda place: completion.sampled[place])
    turns = [list(places) for sampled, places in runs if sampled]
    return [(places[0], places[-1] + 1) for places in turns]


def load_tokenizer(model: str, *, gguf_file: str | None = None) -> Any:
    """The tokenizer of a hub id or a local folder, or of a GGUF file there.

    Raises InputError with the remedy where it has none, or would run code of its own.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if (missing := missing_place(model)) is not None:
        raise InputError(missing)
    place = f"the file {gguf_file} of" if gguf_file else "folder" if Path(model).is_dir() else "hub id"
    remedy = "it is damaged, or of a kind that transformers does not read" if gguf_file else "save one there with save_pretrained"
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, **({"gguf_file": gguf_file} if gguf_file else {}))
        if not gguf_file and _is_replaced(model, tokenizer):
            tokenizer = PreTrainedTokenizerFast.from_pretrained(model, trust_remote_code=False)
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # transformers and tokenizers have each their own, bare Exception among them, for files that are not theirs
        gone = f"{absent}, and " if (absent := missing_place(model, tried=True)) else ""
        said = own_code(model, error) or f"{gone}cannot load a tokenizer from {place} {model!r}: {first_line(error)} ({remedy})"
        raise InputError(said) from error
    if not tokenizer.encode("1 + 1 = 2", add_special_tokens=False):  # without files, transformers makes an empty one and says nothing
        raise InputError(f"cannot load a tokenizer from {place} {model!r}: it has no tokenizer files ({remedy})")
    return tokenizer


def _is_replaced(model: str, loaded: Any) -> bool:
    """Whether transformers took its own tokenizer of the model's type for one that was saved as `tokenizer.json` has it.

    It does so for qwen2, llama and others, and keeps of the saved one the vocabulary alone: text is then split in another way, and
    characters without a token of that kind (a space) are silently lost.
    """
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    as_saved = ("TokenizersBackend", "PreTrainedTokenizerFast")
    return get_tokenizer_config(model).get("tokenizer_class") in as_saved and type(loaded).__name__ not in as_saved


def own_code(model: str, error: Exception) -> str:
    """One line about a model that asked to run code of its own, which is refused; "" where `error` says something else."""
    if "trust_remote_code" not in str(error) and "custom code" not in str(error):
        return ""
    return f"{model!r} needs Python code of its own (auto_map), which is not run here; give a model of one of transformers' own types"


def generation_stops(model: str) -> tuple[int, ...]:
    """The stop ids of a model's generation config, if it has one: some families end a turn by a token that is not their EOS."""
    from transformers import GenerationConfig

    try:
        ends = GenerationConfig.from_pretrained(model, trust_remote_code=False).eos_token_id
    except Exception:  # noqa: BLE001  # none, or a file that is none: whatever transformers raises
        return ()
    ids = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(type(each) is int and each >= 0 for each in ids):
        raise InputError(f"{model!r}: eos_token_id of its generation_config.json is {ends!r:.60}; give a token's id, or a list of them")
    return tuple(ids)
