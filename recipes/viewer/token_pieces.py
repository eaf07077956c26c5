"""Token ids to what each stands for in a text, one by one, as a page shows them."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from recipes.setup.model_source import find_model, is_run, model_option
from verifiers.input_error import InputError


class Pieces:
    """A tokenizer's pieces; each is asked for once."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self._found: dict[int, str] = {}
        vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()), ensure_ascii=True)
        self.key = hashlib.sha256(vocabulary.encode()).hexdigest()[:12]
        """The same for tokenizers with the same vocabulary."""
        self._before = self._anchor()

    def of(self, ids: np.ndarray) -> list[str]:
        """A piece need not be a whole number of characters: of half a character it is the replacement character."""
        for token in ids.tolist():
            if token not in self._found:
                self._found[token] = self._piece(token)
        return [self._found[token] for token in ids.tolist()]

    def _anchor(self) -> tuple[list[int], str]:
        """A token to stand before each: at the beginning of a text some tokenizers drop a space."""
        ids = self.tokenizer.encode("a", add_special_tokens=False)[-1:]
        return ids, self._decoded(ids)

    def _piece(self, token: int) -> str:
        if not 0 <= token < len(self.tokenizer):
            return f"<{token}>"
        ids, before = self._before
        whole = self._decoded([*ids, token])
        return whole[len(before) :] if whole.startswith(before) else self._decoded([token])

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def pieces_of_run(run: Path, model: str, given: str | None) -> Pieces | None:
    """By the tokenizer that `given` names, or that lies in the run, or `model`'s, which it was sampled from; None without any.

    Raises InputError only for what was given.
    """
    if given:
        return Pieces(find_model(given).load_tokenizer())
    places = [str(run), *([place] if is_run(run) and (place := model_option(run)) else []), model]
    for place in filter(None, places):
        if not Path(place).exists() and not _is_cached(place):
            continue  # the network is not asked for what is only looked at
        with suppress(InputError):
            return Pieces(find_model(place).load_tokenizer())
    return None


def _is_cached(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError):
        return isinstance(try_to_load_from_cache(model, "tokenizer_config.json"), str)
    return False
