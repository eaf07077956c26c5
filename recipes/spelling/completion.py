"""`reckon completion SHELL`: a script that makes a shell complete commands, options and their values; tyro writes it."""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Annotated, Any, Literal, Union

from recipes.spelling.help_page import dataclass_to_read
from verifiers.input_error import InputError, did_you_mean

SHELLS = ("bash", "zsh", "fish")
USAGE = """usage: reckon completion {bash,zsh,fish}

Print a script that makes the shell complete reckon's commands and options. To have it in every shell:

  bash   reckon completion bash > ~/.local/share/bash-completion/completions/reckon
  zsh    reckon completion zsh > ~/.zfunc/_reckon        (with ~/.zfunc in fpath)
  fish   reckon completion fish > ~/.config/fish/completions/reckon.fish"""


def completion_script(words: list[str], commands: Mapping[str, Any]) -> str:
    """The script for the shell that `words` names. `commands`: of each the dataclass of its options, or the names of its own commands.

    Raises InputError for any other words.
    """
    import tyro

    if not words or words[0] in ("-h", "--help"):
        return USAGE
    if len(words) != 1 or words[0] not in SHELLS:
        raise InputError(f"reckon completion takes one of {', '.join(SHELLS)}, not {' '.join(words)!r}{did_you_mean(words[0], SHELLS)}")
    kinds = [Annotated[_options(each), tyro.conf.subcommand(name)] for name, each in commands.items()]
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            tyro.cli(Union[tuple(kinds)], args=["--tyro-print-completion", words[0]], prog="reckon")  # type: ignore[call-overload]  # noqa: UP007
    except SystemExit:
        pass  # it has printed
    return text.getvalue()


def _options(of: Any) -> Any:
    import dataclasses

    import tyro

    if isinstance(of, type):
        return dataclass_to_read(of, {})
    return dataclasses.make_dataclass("Names", [("name", Annotated[Literal[tuple(of)], tyro.conf.Positional])])
