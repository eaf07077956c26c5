"""Whether another model reads text as the policy does: what a reference, or a teacher, must."""

from typing import Any

from recipes.setup.model_source import ModelSource, find_model
from verifiers.input_error import InputError

PROBE = "Let f(x) = 3x^2 - 12.5; so f'(2) = 12.\n\n  Zwölf — δ ≤ 1/√2, 東京 ✓\t<|im_end|>"


def find_other(place: str, option: str) -> ModelSource:
    """What stands there, as for --model: a model, a run, a checkpoint, an adapter. Raises InputError where nothing does."""
    try:
        return find_model(place)
    except InputError as error:
        raise InputError(str(error).replace("--model", option, 1)) from error


def check_same_tokenizer(model: str, own: Any, other: str, option: str) -> None:
    """Raises InputError where the other model splits text into other tokens than the policy."""
    source = find_other(other, option)
    theirs = source.load_tokenizer()
    mine, their = own.get_vocab(), theirs.get_vocab()
    odd = sorted(token for token in mine.keys() | their.keys() if mine.get(token) != their.get(token))
    if odd or own.encode(PROBE) != theirs.encode(PROBE):
        what = f"{len(odd):,} tokens differ, such as {odd[0]!r:.40}" if odd else "the same text becomes other tokens"
        raise InputError(f"{option} {other} has another tokenizer than --model {model} ({what}); give a model of the same family")
    size, last = source.load_shape().get_text_config().vocab_size, max(their.values(), default=0)
    if last >= size:
        raise InputError(f"{option} {other} has {size} tokens, and its tokenizer has the token {last}; give a model with all of them")
