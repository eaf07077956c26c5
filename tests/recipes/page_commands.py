"""The command lines that a page shows, and whether the programs that they name would take them.

What a reader would type is read as a shell reads it and given to the real parsers with the real options. Nothing is run.
"""

import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from data_pipeline.commands import mine_command
from data_pipeline.commands.command_options import Parser
from recipes.commands import data, plan
from recipes.commands.cli import COMMANDS
from recipes.setup.command_line import parse_options
from recipes.spelling.completion import SHELLS as SHELLS_COMPLETED

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)\n(?P=indent)```$", re.MULTILINE | re.DOTALL)
SHELLS = ("sh", "bash")
SPOKEN_OF = ("reckon ", "make ", "python -m ", "torchrun ", "generate ")
_NAMES = re.compile(rf"\.\.\.|…|^reckon (?:{'|'.join(COMMANDS)})(?: --[\w-]+)?$")
PASSED_BY = {"cd", "cat", "echo", "export", "generate", "git", "mkdir", "source", "ls", "head", "tail"}
"""Programs that are nobody's business here; `generate` stands for whatever writes answers."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of each fenced block, and of each block of lines that are indented."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield found["language"], found["body"]
    outside = FENCE.sub("", text)
    for block in re.findall(r"(?:^    \S.*\n)+", outside, re.MULTILINE):
        yield "", re.sub(r"^    ", "", block, flags=re.MULTILINE)


def command_lines(page: Path) -> list[str]:
    """What a reader would type: every line of a shell's block, and of others those that begin with a program of ours."""
    lines = []
    for language, body in blocks(page):
        joined = re.sub(r"\\\n\s*", " ", re.sub(r"(<<'?EOF'?.*)\n(?:.*\n)*?EOF$", r"\1", body, flags=re.MULTILINE))
        for line in joined.splitlines():
            shown = line.strip() and not line.lstrip().startswith("#") if language in SHELLS else line.startswith(SPOKEN_OF)
            if shown and language in ("", *SHELLS):
                lines.append(line)
    return lines


def spoken_commands(page: Path) -> list[str]:
    """The commands within sentences and tables. Left out: `reckon dpo --loss ...`, `reckon dpo --loss`, which name and do not command."""
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [span.replace("\\|", "|") for span in spans if span.startswith(SPOKEN_OF) and not _NAMES.search(span)]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, by what joins them; variables before one, and redirections, are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    skip = False
    for token in lexer:
        if set(token) <= set("|&;"):
            yield words
            words = []
        elif set(token) <= set("<>&"):
            skip = True
        elif skip:
            skip = False
        elif words or not re.fullmatch(r"[A-Z_]+=.*", token):
            words.append(token)
    yield words


def check_line(line: str, page: Path | None = None) -> None:
    """Raises what the parser of the program raises, or ValueError, for what would not be taken."""
    for words in simple_commands(line):
        if words:
            _check(words, page)


def _check(words: list[str], page: Path | None) -> None:
    program = words[0].removeprefix(".venv/bin/")
    if program == "reckon":
        check_reckon(words[1:])
    elif program == "make":
        _check_make(words[1:])
    elif program in ("python", "python3") and words[1:2] == ["-m"]:
        check_module(words[2], words[3:])
    elif program in ("python", "python3") and words[1:2] and words[1].endswith(".py"):
        if page is None or not re.search(rf"^# {re.escape(words[1])}\b", page.read_text(encoding="utf-8"), re.MULTILINE):
            raise ValueError(f"{words[1]} stands nowhere on the page")
    elif program == "torchrun":
        check_reckon(words[words.index("recipes.commands.cli") + 1 :])
    elif program == "pip":
        _check_pip(words[1:])
    elif program not in PASSED_BY:
        raise ValueError(f"nobody knows how to check {program}; teach this file, or leave the command out")


def check_reckon(words: Sequence[str]) -> None:
    """Parses the options of a `reckon` command by its own parser."""
    if list(words) in ([], ["--help"], ["verifiers"], ["COMMAND", "--help"]):
        return
    name, *rest = words
    if name not in COMMANDS:
        raise ValueError(f"there is no command {name}")
    if "COMMAND" in rest[:1] or "--help" in rest or "--help-all" in rest or (name in ("plan", "data", "mine") and not rest):
        return
    if name == "plan":
        name, *rest = rest
        place: str = (plan.RECIPES | plan.OFFLINE | plan.ROUNDS)[name]
    else:
        place = COMMANDS[name][0]
    module = importlib.import_module(place)
    if name == "data":
        parse_options(data.COMMANDS[rest[0]][0], rest[1:], name=name)
    elif name == "mine":
        _parse_mine(rest)
    elif name == "completion":
        if len(rest) != 1 or rest[0] not in SHELLS_COMPLETED:
            raise ValueError(f"reckon completion {rest}")
    else:
        parse_options(module.Config, rest, name=name)


class Parsed(BaseException):
    """The parser was content."""


def _parse_mine(words: list[str]) -> None:
    """Each of its commands has a parser of its own, which is asked, and nothing after it."""
    parse = Parser.parse

    def stop(self: Parser, arguments: Sequence[str]) -> NoReturn:
        parse(self, arguments)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parser, "parse", stop)
        try:
            mine_command.command(words)
        except Parsed:
            return
    raise ValueError(f"reckon mine {shlex.join(words)} has not been parsed")


def check_module(name: str, words: Sequence[str]) -> None:
    """`python -m NAME`: it is there, and takes these options. A benchmark's must stand in its text."""
    spec = importlib.util.find_spec(name)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise ValueError(f"there is no module {name}")
    if name.startswith("recipes."):
        module = importlib.import_module(name)
        if hasattr(module, "Config"):
            parse_options(module.Config, words, name=name)
    elif name.startswith("benchmarks."):
        place = Path(spec.origin or "")
        files = place.parent.glob("*.py") if place.name == "__init__.py" else [place]
        text = "\n".join(file.read_text(encoding="utf-8") for file in [*files, ROOT / "benchmarks" / "parts.py"])
        for word in words:
            option = word.partition("=")[0]
            if word.startswith("--") and not {f'"{option}"', f'"{option[2:]}"'} & set(re.findall(r'"[^"\n]*"', text)):
                raise ValueError(f"{name} has no option {word}")


def _check_make(words: Sequence[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, equals, _ = word.partition("=")
        known = rf"^{re.escape(name)} \??[:]?=" if equals else rf"^{re.escape(name)}:"
        if not re.search(known, text, re.MULTILINE):
            raise ValueError(f"the Makefile has no {word}")


def _check_pip(words: Sequence[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for word in words:
        for named in re.findall(r"\[([\w,-]+)\]", word):
            if unknown := set(named.split(",")) - extras.keys():
                raise ValueError(f"there are no extras {unknown}")
