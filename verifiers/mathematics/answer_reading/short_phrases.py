r"""English phrases of an answer: which name what was asked for, what short sentences mean, and when two lists of words are the same.

"The area is 5" answers a question about the area, and so it is the answer 5. "Twice the area is 5" gives 2.5 to whatever was asked, "an
estimate is 5" gives nothing. No problem is at hand here, so a noun phrase is taken to name what was asked, unless a word of it computes
with that, hedges it, or says that there are others. "Yes, it is possible" is yes, "Alice wins" is Alice: each form is a whole sentence of
fixed words around one free part; a sentence with anything else in it stays as it is. A list of words has no order where "and" joins it on
one side ("red and blue"), and keeps its order between commas alone, as a ranking does. Left out: whether the noun is the right one.
"""

import re

from verifiers.first_use import compiled

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

# --- which words name what was asked for

_ANSWER = compiled(
    r"(?i)(?:so |thus |therefore |hence )?(?:(?:the|our|my) )?(?:(?:final|correct|right|required|desired) )?(?:answer|result)"
)
_ANSWER_WORDS = compiled(r"(?i)\b(?:answers?|results?)\b")
_COMPUTES = compiled(
    r"(?i)\b(?:twice|thrice|half|(?<!number of )times|plus|minus|multiplied|divided|raised|doubled|tripled|halved|squared|cubed"
    r"|increased|decreased|double|triple|(?:square|cube|negative|negation|opposite|reciprocal|inverse|complement|third|quarter"
    r"|factorial|log|logarithm|exponential|sine|cosine|tangent|floor|ceiling|rounding|absolute value) of|(?:square|cube"
    r"|cubic|fourth) root of|more|less|fewer|modulo|mod)\b"
    r"|^(?:the |its )?(?:square|cube|negative|reciprocal|opposite|inverse)$"
)
_HEDGES = compiled(
    r"(?i)\b(?:approximations?|approximate(?:ly)?|estimates?|estimated|estimation|guess(?:es|ed)?|bounds?|conjectures?|conjectured|candidates?"
    r"|assumption|assumed|supposed?|attempts?|(?:upper|lower) limit|almost|nearly|about|roughly|around|maybe|perhaps"
    r"|possibly|probably|likely"
    r"|mistakes?|mistaken|sometimes|rarely|hardly|instead|another|but|is|are|was|were|be|been|equals)\b"
)
_HEDGED = compiled(
    r"(?i)\b(?:approximations?|estimates?|estimated|estimation|guess|bounds?|conjectures?|candidates?|assum\w+|suppos\w+|mistak\w+)\b"
)
_COUNT = compiled(r"(?i)(?:the )?(?:total |minimum |maximum )?number of .*")
_OTHERS = compiled(
    r"(?i)(?:an?|our|my|your|some|any|each|every|most|many|few|several|part|zero|one|two|three|four|five|six|seven|eight|nine|ten"
    r"|first|second|third|given|when|where|while|because|since|although|though|assuming|before|after|without|until)\b.*"
)
_UNSAFE = compiled(
    r"(?i)\b(?:not|no|never|none|nor|neither|either|or|if|unless|except|than|least|most|may|might|could|cannot|nothing|false|wrong|incorrect"
    r"|impossible)\b"
)
_VALUE_OF = compiled(r"(?i)(?:the )?(?:value of|number|variable|unknown|integer) ([a-z])")
_ONLY = compiled(
    r"(?i)(?:the|our) (?:only |unique |general )?(?:such )?(?:solution|function|answer|pair|triple|value|polynomial|number|integer)s?"
)


def is_unsafe(words: str) -> bool:
    """Whether a word here denies, doubts or sets apart what the rest says."""
    return _UNSAFE.search(words) is not None


def is_the_answer(name: str) -> bool:
    """the answer, our final answer: a name that adds nothing to the value."""
    return _ANSWER.fullmatch(name) is not None


def is_the_solution(name: str) -> bool:
    """the only solution, the answer: a name of what may itself be named, as in "the only solution is f(x) = x"."""
    return is_the_answer(name) or _ONLY.fullmatch(name) is not None


def letter_named(name: str) -> str:
    """The x of "the value of x"; empty for anything else."""
    match = _VALUE_OF.fullmatch(name)
    return match[1] if match else ""


def is_derived(words: str) -> bool:
    """Whether words before a number compute with what was asked, or hedge it, so that the number is not its value."""
    return _COMPUTES.search(words) is not None or _HEDGED.search(words) is not None


def names_a_quantity(name: str) -> bool:
    """Whether the value that a sentence gives to this name can be the answer itself."""
    if len(name) == 1 or is_the_answer(name):
        return True
    if is_unsafe(name) or _OTHERS.fullmatch(name) or _ANSWER_WORDS.search(name):
        return False
    counted = _COUNT.fullmatch(name)  # the number of guesses is no guess
    return not (_COMPUTES.search(name) or (not counted and _HEDGES.search(name)))


# --- short sentences


def parity(words: str) -> tuple[str, str] | None:
    """ "n is even", "even n" as ("n", "even")."""
    match = _PARITY.fullmatch(words)
    return None if match is None else (match[2] or match[3], (match[1] or match[4]).lower())


def meaning_of(words: str) -> str:
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
    return _without_dollars(left) == _without_dollars(right)


def _without_dollars(text: str) -> str:
    text = _DOLLARS.sub(lambda signs: " " if signs[1] else "", text)
    return " ".join(_PUNCTUATION.sub(r"\1", text).split()).rstrip(". ")


def same_word_list(left: str, right: str) -> bool:
    """Ann, Bob and Carl; I and III: the same items, in the same order unless "and" says that there is none."""
    (a, joined), (b, joined_too) = _word_list(left), _word_list(right)
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
            found += [formula for formula in (cut.strip(" .") for cut in _cut_at_commas(part)) if formula]
    return [] if any(part in _FUNCTION_WORDS for part in found) else found


def _cut_at_commas(text: str) -> list[str]:
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


def _word_list(text: str) -> tuple[list[str], bool]:
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
