r"""Whether the words before "is 5" only name what was asked for, so that the sentence gives it the value 5.

"The area is 5" answers a question about the area, and so it is the answer 5. "Twice the area is 5" gives 2.5 to whatever was asked, "an
estimate is 5" gives nothing. No problem is at hand here, so a noun phrase is taken to name what was asked, unless a word of it computes
with that, hedges it, or says that there are others. Left out: whether the noun is the right one.
"""

from verifiers.first_use import compiled

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
