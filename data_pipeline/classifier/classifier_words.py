r"""One line of words out of a document's text: what the classifier sees, in training and in prediction alike.

It decides how the classifier does on sites it has never seen. Whatever tells sites and writers apart and not subjects is taken away:
letter case, punctuation, numbers, operators, addresses, navigation, code, English function words, filler text ("lorem ipsum"), and the
delimiters and letters of formulas. A formula is one word, `ƒ`, and its TeX commands (`\frac`), so that the same mathematics reads alike
whether a site writes `$..$`, `\(..\)` or an environment. Identifiers are cut into the words they are made of (`PolynomialRing`,
`trek_separation`). No word counts more than `REPEATS` times, and only the beginning of a page is read (`MAX_WORDS`): a table of symbols
or a long chapter would otherwise drown what the page is about. Lines are joined by a space.

Not here: what is the main text (`page_to_document.py`) and which language it is in; words of other languages stay as they are. Linear time
on any text: single passes and bounded repeats.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

MAX_WORDS = 600
REPEATS = 5
MAX_CHARACTERS = 25_000
"""A longer text is cut before anything looks at it."""
FORMULA = "ƒ"
_COMMANDS = 6  # different ones of one formula; a table of symbols is no more mathematical than a paragraph
_INLINE, _DISPLAY = 1000, 4000  # characters; a longer "formula" is two stray delimiters

_FENCE = re.compile(r" {0,3}(```|~~~)")
_PROMPT = re.compile(r"[ \t]{0,20}(?:>>>|sage:|(?:In|Out) ?\[\d{0,5}\]:|[io]\d{1,5} ?[:=]|octave:\d|\$ )")
NAVIGATION = re.compile(
    r"(?:\W|\d|\b(?:next|previous|prev|forward|backward|back|up|top|home|index|toc|contents|modules?|search|menu|navigation|website|main|skip|to|content"
    r"|log ?in|sign ?in|register|share|tweet|print|comments?|reply|subscribe|about|contact|help|privacy|cookies?|page|source)\b){1,400}",
    re.I,
)
ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]\"'`]{1,2000}")
_ENVIRONMENT = r"\{(?:equation|align|gather|multline|eqnarray|displaymath|math|alignat|flalign)\*?\}"
_DELIMITER = re.compile(rf"(?<!\\)\$\$?|\\[(\[]|\\begin{_ENVIRONMENT}")
_CLOSES = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_COMMAND = re.compile(r"\\[A-Za-z]{2,20}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"\\[A-Za-z]{2,20}|[^\W\d_]{1,30}|[^\x00-\x7f\w\s]")
_ENGLISH = """
a about above after again against all also am an and any are as at be because been before being below between both but by can cannot
could d did do does doing down during each either else etc even ever every few first for from further get gets got had has have having
he her here hers herself him himself his how however i if in into is it its itself just like ll m made make makes many may me might
more most much must my myself need neither no nor not now of off often on once one only or other others our ours ourselves out over
own per rather re s same second see shall she should since so some such t than that the their theirs them themselves then there
therefore these they this those through thus to too two under until up upon us use used uses using ve very via was way we well were
what when where whether which while who whom whose why will with within without would yet you your yours yourself
"""
_FUNCTION_WORDS = frozenset(_ENGLISH.split())
_LOREM = """
lorem ipsum dolor sit amet consectetur adipisicing adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua
enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo consequat duis aute irure in reprehenderit
voluptate velit esse cillum eu fugiat nulla pariatur excepteur sint occaecat cupidatat non proident sunt culpa qui officia deserunt
mollit anim id est laborum
"""
_FILLER = frozenset(_LOREM.split())
_FILLER_RUN = 8  # words in a row: by themselves many are words of other languages


def normalise(text: str) -> str:
    """The text as the classifier reads it: words between single spaces, on one line, at most `MAX_WORDS` of them."""
    text = _without_code(text[:MAX_CHARACTERS])
    text = unicodedata.normalize("NFKC", ADDRESS.sub(" ", "".join(formulas_named(text))))
    found: list[str] = _WORD.findall(text)
    if "ipsum" in text:
        found = list(_without_filler(found))
    counts: Counter[str] = Counter()
    words: list[str] = []
    for token in found:
        for word in telling(token):
            counts[word] += 1
            if counts[word] <= REPEATS:
                words.append(word)
        if len(words) >= MAX_WORDS:
            break
    return " ".join(words[:MAX_WORDS])


@lru_cache(maxsize=100_000)
def telling(token: str) -> tuple[str, ...]:
    """What a token says of the subject: its words in lower case without function words; of symbols, the mathematical ones."""
    if token[0] == "\\":
        return (token.lower(),)
    if not token[0].isalpha():
        return (token,) if unicodedata.category(token) == "Sm" else ()
    words = _CAMEL.sub(" ", token).lower().replace("\u0307", "").split()  # the dot that a Turkish capital leaves in lower case
    return tuple(word for word in words if word not in _FUNCTION_WORDS)


def _without_filler(words: Iterable[str]) -> Iterator[str]:
    run: list[str] = []
    for word in words:
        if word.lower() in _FILLER:
            run.append(word)
            continue
        if len(run) < _FILLER_RUN:
            yield from run
        run.clear()
        yield word
    if len(run) < _FILLER_RUN:
        yield from run


def _without_code(text: str) -> str:
    """Without fenced blocks, lines typed at a prompt, and lines of nothing but navigation."""
    kept, fence = [], ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark.group(1)):
            fence = "" if fence else mark.group(1)
        elif not fence and not _PROMPT.match(line) and not (len(line) < 200 and NAVIGATION.fullmatch(line)):
            kept.append(line)
    return "\n".join(kept)


def formulas_named(text: str, name: str = FORMULA) -> Iterator[str]:
    """The text in pieces, each formula replaced by its name and commands, or by nothing for no name; an opener alone is text."""
    start = 0
    for opener in _DELIMITER.finditer(text):
        if opener.start() < start:
            continue
        mark = opener.group()
        closer = _CLOSES.get(mark) or mark.replace("begin", "end")
        end = _dollar_closes(text, opener) if mark == "$" else text.find(closer, opener.end(), opener.end() + _DISPLAY)
        if end > opener.end():
            yield text[start : opener.start()]
            yield f" {name} {' '.join(_commands(text[opener.end() : end]))} " if name else " "
            start = end + len(closer)
    yield text[start:]


def _dollar_closes(text: str, opener: re.Match[str]) -> int:
    """Where the formula behind a dollar ends; -1 for money: a word before it ("US$5"), a space behind it, or no dollar to close it."""
    begin, before = opener.end(), text[opener.start() - 1 : opener.start()]
    end = text.find("$", begin, begin + _INLINE)
    while end > 0 and text[end - 1] == "\\":
        end = text.find("$", end + 1, begin + _INLINE)
    inside = text[begin:end]
    if end < 0 or not inside or inside[0].isspace() or inside[-1].isspace() or "\n\n" in inside:
        return -1
    money = (before.isalnum() and before.isascii()) or text[end + 1 : end + 2].isdigit()
    return -1 if money else end


def _commands(tex: str) -> list[str]:
    return list(dict.fromkeys(_COMMAND.findall(tex)))[:_COMMANDS]
