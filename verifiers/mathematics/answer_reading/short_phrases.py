r"""Short sentences brought to the words that they mean, and lists of words compared: "Yes, it is possible" is yes, "Alice wins" is Alice.

Each form is a whole sentence of fixed words around one free part; a sentence with anything else in it stays as it is. A list of words has
no order where "and" joins it on one side ("red and blue"), and keeps its order between commas alone, as a ranking does.
"""

import re

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.quantity_names import is_unsafe

_ECHO = r"(?:it|this|that|they|there|he|she|we|one|you) (?:is|are|does|do|can|will|exists?)"
_YES = compiled(rf"(?i)yes,? {_ECHO}(?: (?:possible|true|correct|so|indeed|exist))?")
_NO = compiled(
    rf"(?i)no,? (?:{_ECHO} not(?: (?:possible|true|correct|exist))?|it is (?:impossible|false)|it (?:isn't|cannot|can't|doesn't))"
)
_WINS = r"(?:always |can always |can |will |will always )?wins?(?: the game)?"
_WINNER = compiled(rf"(?i)((?:the )?[a-z]+(?: player)?) (?:{_WINS}|(?:always )?has (?:a|the) winning strategy)")
_IT_IS = compiled(r"(?i)(?:it is|it's|this is|that is|they are)(?: an?| the)? ([a-z]+(?: [a-z]+)?)")
_PARITY = compiled(r"(?i)(?:all )?(?:(odd|even) ([a-z])|([a-z]) (?:is |are )?(?:an )?(odd|even)(?: (?:number|integer))?)")
_MEANS = {"not possible": "impossible", "converges": "convergent", "diverges": "divergent", "it converges": "convergent",
    "it diverges": "divergent", "the series converges": "convergent", "the series diverges": "divergent"}  # fmt: skip
_WRAPPED = r"\\(?:text|textbf|textrm|mbox|mathrm)\s*\{([^{}]*)\}"
_ITEM = compiled(r"(?i)[A-Za-z][A-Za-z'-]{0,30}(?: [A-Za-z][A-Za-z'-]{0,30}){0,2}")
_NO_ITEM = compiled(r"(?i)\b(?:is|are|was|were|then|but|yes|only|for|when|where|with|all|both|it|they|by|to|of|in)\b")
_MAX_ITEMS = 20
_WORD_SOURCE = r"(?i:(?<![\\A-Za-z{_^])(?<!\\begin\{)[A-Za-z]{2,}(?:'[a-z]+)?|@)"
_WORD = compiled(_WORD_SOURCE)
_WORDS_KEPT = compiled(f"({_WORD_SOURCE})")  # for a split that keeps them
_DOLLARS = compiled(r"(?<=\w)(\$+)(?=\w)|\$+")
_PUNCTUATION = compiled(r"\s*([,;.:()])\s*")
_TUPLE = compiled(r"[(\[][^()\[\]]*(?:\([^()\[\]]*\)[^()\[\]]*)*,[^()\[\]]*(?:\([^()\[\]]*\)[^()\[\]]*)*[)\]]")
_SPACING = r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])|(?<!\\)\\[,;:! ]|\\?\$|~|\\q?quad(?![A-Za-z])"
_FUNCTION_WORDS = frozenset({"sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt", "gcd", "lcm", "abs"})
_LONGEST = 1000


def parity(words: str) -> tuple[str, str] | None:
    """ "n is even", "even n" as ("n", "even")."""
    match = _PARITY.fullmatch(words)
    return None if match is None else (match[2] or match[3], (match[1] or match[4]).lower())


def meant(words: str) -> str:
    """The words that a short sentence means; the words themselves where it is none."""
    if words in _MEANS:
        return _MEANS[words]
    if _YES.fullmatch(words):
        return "yes"
    if _NO.fullmatch(words):
        return "no"
    match = _WINNER.fullmatch(words) or _IT_IS.fullmatch(words)
    if match and not is_unsafe(match[1]):
        words = match[1]
    elif match:
        return _MEANS.get(match[1], words)
    article, _, rest = words.partition(" ")
    return rest if article in ("the", "a", "an") and len(rest) > 1 else words


def same_undelimited(left: str, right: str) -> bool:
    """Whether two texts are one but for the dollar signs around formulas, which get lost in a box, and white space that does not count."""
    return _undelimited(left) == _undelimited(right)


def _undelimited(text: str) -> str:
    text = _DOLLARS.sub(lambda signs: " " if signs[1] else "", text)
    return " ".join(_PUNCTUATION.sub(r"\1", text).split()).rstrip(". ")


def same_word_list(left: str, right: str) -> bool:
    """Ann, Bob and Carl; I and III: the same items, in the same order unless "and" says that there is none."""
    (a, joined), (b, joined_too) = _items(left), _items(right)
    return len(a) > 1 and (sorted(a) == sorted(b) if joined or joined_too else a == b)


def pieces(text: str) -> list[str]:
    """A sentence cut into its words, in lower case unless they are all capitals, and the formulas between them, up to a comma outside
    brackets; empty for one that is too long, has no word, or names a function in words, whose argument may not stand alone."""
    if len(text) > _LONGEST or not _WORD.search(text):
        return []
    plain = re.sub(_SPACING, " ", re.sub(_WRAPPED, r" \1 ", text).replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac"))
    found: list[str] = []
    for part in _WORDS_KEPT.split(plain):
        if is_word(part):
            found.append(part if part.isupper() else part.lower())
        else:
            found += [formula for formula in (cut.strip(" .") for cut in _parts(part)) if formula]
    return [] if any(part in _FUNCTION_WORDS for part in found) else found


def _parts(text: str) -> list[str]:
    """Cut at the commas, semicolons and colons outside brackets."""
    parts, start, depth = [], 0, 0
    for at, sign in enumerate(text):
        depth = max(0, depth + (sign in "([{") - (sign in ")]}"))
        if sign in ",;:" and not depth and not (text[at + 1 : at + 2].isdigit() and text[at - 1 : at].isdigit()):
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def stands_alone(piece: str) -> bool:
    """Whether a formula of a sentence may be compared by value: no argument or exponent of the name before it, as in sinc (x)^2."""
    return not is_word(piece) and not piece.startswith(("^", "_")) and (piece[0] not in "([{" or _TUPLE.fullmatch(piece) is not None)


def is_word(piece: str) -> bool:
    return _WORD.fullmatch(piece) is not None


def _items(text: str) -> tuple[list[str], bool]:
    """The items of a list of words, none where this is no such list, and whether "and" joins it."""
    if len(text) > 300:
        return [], False
    plain = " ".join(re.sub(_WRAPPED, r" \1 ", text).strip(" .$\n").split())
    parts = re.split(r" ?, ?(?:and )?| and | & ", plain)
    if not 1 < len(parts) <= _MAX_ITEMS or not all(_ITEM.fullmatch(part) for part in parts):
        return [], False
    if is_unsafe(plain) or _NO_ITEM.search(plain):
        return [], False
    return [part[:1].lower() + part[1:] if len(part) > 1 and not part.isupper() else part for part in parts], bool(
        re.search(r"\band\b|&", plain)
    )
