"""When a completion has ended: by a token id, or by a text, which may be spread over tokens and may end inside one."""

from collections.abc import Callable, Sequence

from rollout.engine import Sampling

Decode = Callable[[Sequence[int]], str]
"""Token ids to text, special tokens included."""

_MARGIN = 4  # tokens: a decoder may treat the first ones of a window differently (a leading space, half a character)


def stop_test(sampling: Sampling, decode: Decode | None) -> Callable[[Sequence[int]], bool]:
    """Whether the tokens sampled so far end with the last of them; to be asked after each token.

    Raises ValueError if there are stop texts and nothing to decode with.
    """
    if not sampling.stop_texts:
        return lambda tokens: bool(tokens) and tokens[-1] in sampling.stop_ids
    if decode is None:
        raise ValueError(f"stop texts {sampling.stop_texts} need an engine that was made with `decode`")
    window = _MARGIN + max(len(text.encode()) for text in sampling.stop_texts)  # a token is at least a byte

    def ended(tokens: Sequence[int]) -> bool:
        if not tokens:
            return False
        if tokens[-1] in sampling.stop_ids:
            return True
        tail = decode(list(tokens[-window:]))
        return any(text in tail for text in sampling.stop_texts)

    return ended
