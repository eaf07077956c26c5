"""Examples as a person reads them, with what trains set apart: in colour on a terminal that has some, else in [[ ]].

What is shown is decoded from the token ids that train, never from the text that they came from, so that a mask that is off by one is
seen to be. It decides nothing and changes nothing.
"""

from collections.abc import Iterator, Sequence
from io import TextIOBase
from typing import IO, cast

from rl.examples.example import Example, Intake
from rollout.chat import Chat

_TRAINS, _DOES_NOT = "bold green", "dim"


def show_masks(intake: Intake, chat: Chat, count: int, *, ids: bool = False, file: TextIOBase | None = None) -> None:
    """Prints the first `count` units; with `ids`, a line for each token. `file`: standard output, if None."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=cast("IO[str] | None", file), highlight=False, soft_wrap=True)
    coloured = console.color_system is not None
    for number, unit in enumerate(intake.units[:count], 1):
        for side, example in zip(("chosen", "rejected") if len(unit) == 2 else ("",), unit, strict=True):
            facts = ", ".join(filter(None, [side, *(f"{name} {value:g}" for name, value in example.columns.items())]))
            head = f"{number}. {example.place}{f' ({facts})' if facts else ''}: {len(example):,} tokens, {example.trained:,} train"
            console.print(Text(f"--- {head}", style="bold"))
            for text in _token_lines(example, chat, coloured) if ids else [_running_text(example, chat, coloured)]:
                console.print(text)
    for line in intake.lines():
        console.print(Text(line))


def _running_text(example: Example, chat: Chat, coloured: bool) -> object:
    from rich.text import Text

    shown = Text()
    for part, trains in _parts(example):
        text = chat.decode_all(part)
        shown.append(text if coloured or not trains else f"[[{text}]]", style=_TRAINS if trains else _DOES_NOT)
    return shown


def _token_lines(example: Example, chat: Chat, coloured: bool) -> Iterator[object]:
    """Number, id, whether it trains, the token."""
    from rich.text import Text

    for number, (token, trains) in enumerate(zip(example.tokens, example.mask, strict=True)):
        line = f"{number:6} {token:8}  {'trains' if trains else '      '}  {chat.decode_all([token])!r}"
        yield Text(line, style=_TRAINS if trains else _DOES_NOT)


def _parts(example: Example) -> Iterator[tuple[Sequence[int], bool]]:
    """Runs of tokens that train or do not."""
    done = 0
    for begin, end in example.spans:
        yield example.tokens[done:begin], False
        yield example.tokens[begin:end], True
        done = end
    if done < len(example.tokens):
        yield example.tokens[done:], False
