"""How many tokens a text is: an estimate, or by a tokenizer of the user's choice.

That one is loaded when asked for: transformers is heavy, and a hub may be far.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from verifiers.input_error import InputError

CHARACTERS_PER_TOKEN = 3.5
"""What GPT-like tokenizers come to on LaTeX-heavy English."""
Counts = Callable[[Sequence[str]], list[int]]


def estimated_tokens(text: str) -> int:
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN))


def token_counter(name: str) -> Counts:
    """A function from texts to numbers of tokens, special tokens left out.

    name: a `tokenizer.json`, a folder that holds one, or whatever transformers' AutoTokenizer takes (a cached name works offline).
    """
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    if path.is_dir() and not any(path.glob("*token*")) and not any(path.glob("vocab*")):
        raise InputError(f"tokenizer {name!r} cannot be loaded: the folder holds no tokenizer.json")
    try:
        return _from_file(file) if file.is_file() else _from_name(name)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"tokenizer {name!r} cannot be loaded ({str(error).strip().splitlines()[0]}); give a folder or a cached name"
        ) from None


def _from_file(file: Path) -> Counts:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001  the binding raises plain Exception for a broken file
        raise ValueError(f"{file}: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(encoded.ids) for encoded in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _from_name(name: str) -> Counts:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]
