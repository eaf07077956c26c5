"""Where a step ends in tokens: against the bytes of a byte-level vocabulary, which say of every token what it holds."""

from itertools import accumulate, groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rollout.chat import Chat
from rollout.engine import Completion
from tests.rollout.test_chat import make_chat_tokenizer
from verifiers.input_error import InputError

TEXT = "Step 1: 12 + 3 = 15.\n\nStep 2: 15 * 2 = 30.\n\nthe answer is 30, an é, a 你好 and a 🙂 "
STOP, END = 0, 1  # <eos>, <|im_end|>


def byte_level():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [AddedToken(name, special=True) for name in ("<eos>", "<|im_end|>")]
    inner.train_from_iterator([TEXT] * 9, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")


CHAT = Chat(byte_level())
BYTES = {  # GPT-2's alphabet of bytes: those that print stand for themselves, the others for what follows 255
    **{chr(b): b for b in (*range(33, 127), *range(161, 173), *range(174, 256))},
    **{chr(256 + n): b for n, b in enumerate([*range(33), *range(127, 161), 173])},
}


def bytes_of(token):
    return b"" if token in (STOP, END) else bytes(BYTES[letter] for letter in CHAT.tokenizer.convert_ids_to_tokens(token))


def slow_token_ends(completion, given):
    """For every end from 0: the bytes of the sampled tokens, counted one turn after the other."""
    places = [-1] * (len(given) + 1)
    turns = [list(g) for own, g in groupby(range(len(completion.tokens)), key=lambda n: completion.sampled[n]) if own]
    last = -1
    for number, turn in enumerate(turns):
        if number:
            places.append(last)  # the line break between two turns
        pieces = [bytes_of(completion.tokens[n]) for n in turn]
        ends = list(accumulate(map(len, pieces)))
        count = 0
        for character in b"".join(pieces).decode():
            count += len(character.encode())
            last = turn[next(n for n, end in enumerate(ends) if end >= count)]
            places.append(last)
    return places


letters = st.sampled_from([*"Step 12=+.\n", "é", "你", "好", "🙂", "\u0301", "\U0001f468\u200d", "\x00", " \n\n"])
said = st.lists(letters, max_size=12).map("".join)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(said, st.booleans(), st.sampled_from([(), (STOP,), (END,), (END, STOP)])), max_size=4))
@example([])
@example([("🙂" * 5, True, (END,)), ("a tool: 你", False, ()), ("", True, (END,)), ("x", False, ()), ("é\n\n🙂", True, (STOP,))])
def test_every_end_of_every_response_is_where_its_bytes_say(turns):
    tokens, sampled = [], []
    for text, own, special in turns:
        turn = [*CHAT.encode(text), *special]
        tokens += turn
        sampled += [own] * len(turn)
    completion = Completion(tokens, [0.0] * len(tokens), sampled, "stop", 0)
    chat = Chat(CHAT.tokenizer, prefill="<think>\n")
    prompt = chat.encode("Q: 你?\n<think>\n")
    response = chat.response(completion, prompt)
    expected = slow_token_ends(completion, "<think>\n")
    assert len(expected) == len(response) + 1
    assert chat.token_ends(completion, prompt, range(len(response) + 1)) == expected
    shuffled = [*range(0, len(response) + 1, 2), *range(1, len(response) + 1, 2)]
    assert chat.token_ends(completion, prompt, shuffled) == [expected[end] for end in shuffled]


def test_by_hand():
    chat = Chat(make_chat_tokenizer())  # a token a character
    tokens = [*chat.encode("ab"), 4, *chat.encode("XY"), *chat.encode("\ncd"), 1]
    completion = Completion(tokens, [0.0] * 9, [True] * 3 + [False] * 2 + [True] * 4, "stop", 0)
    assert chat.response(completion) == "ab\n\ncd"
    assert chat.token_ends(completion, [], [0, 1, 2, 3, 4, 5, 6]) == [-1, 0, 1, 1, 5, 6, 7]


def test_a_letter_of_many_tokens_is_finished_by_its_last():
    tokens = CHAT.tokenizer.convert_tokens_to_ids([next(k for k, b in BYTES.items() if b == byte) for byte in "🙂!".encode()])
    assert CHAT.token_ends(Completion(tokens, [0.0] * 5, [True] * 5, "stop", 0), [], [1, 2]) == [3, 4]


def test_broken_bytes_are_where_their_mark_appears():
    """F0 9F, an emoji's beginning, then a letter: decoding shows one mark from the first byte on."""
    tokens = CHAT.tokenizer.convert_tokens_to_ids([next(k for k, b in BYTES.items() if b == byte) for byte in b"a\xf0\x9fbc"])
    completion = Completion(tokens, [0.0] * 5, [True] * 5, "length", 0)
    assert CHAT.response(completion) == "a\N{REPLACEMENT CHARACTER}bc"
    assert CHAT.token_ends(completion, [], [1, 2, 3, 4]) == [0, 1, 3, 4]


def test_a_first_space_that_decoding_drops_moves_nothing():
    """SentencePiece's way: a word's token begins with a space, which a text's first word is decoded without."""
    vocabulary = [("<eos>", 0.0), ("▁Step", -1.0), ("▁1", -1.0), ("▁is", -1.0), (".", -1.0)]
    inner = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    chat = Chat(PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>"))
    completion = Completion([1, 2, 3, 1, 4], [0.0] * 5, [True] * 5, "stop", 0)
    assert chat.response(completion) == "Step 1 is Step."
    assert chat.token_ends(completion, [], [4, 5, 6, 9, 14, 15]) == [0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("end", [-1, 3, 1000])
def test_an_end_outside_of_the_response_is_refused(end):
    chat = Chat(make_chat_tokenizer())
    completion = Completion(chat.encode("ab"), [0.0] * 2, [True] * 2, "stop", 0)
    with pytest.raises(InputError, match=rf"^a step ends at character {end} of a response that has 2; its end must lie in the response$"):
        chat.token_ends(completion, [], [1, end])
