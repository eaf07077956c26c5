"""Numbers in words: cardinals up to trillions, ordinals, simple fractions, minus; everything else is None, never a part of it."""

from fractions import Fraction

_BELOW_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
ONES = {word: n for n, word in enumerate(_BELOW_TWENTY.split())}
_TENS = {word: 10 * n for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)}
SCALES = {"thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9, "trillion": 10**12}
_ORDINALS = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine", "twelfth": "twelve",
} | {f"{word}th": word for word in (*ONES, *_TENS)} | {f"{word[:-1]}ieth": word for word in _TENS}  # fmt: skip
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5, "fifths": 5,
    "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8, "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10,
}  # fmt: skip
_MAX_WORDS = 24


def number_in_words(words: str) -> Fraction | None:
    """ "three hundred forty-five", "minus two", "two thirds", "two and a half", "twenty-first"."""
    parts = words.lower().replace("-", " ").split()
    sign = -1 if parts[:1] in (["minus"], ["negative"]) else 1
    parts = parts[1:] if sign == -1 else parts
    if not 0 < len(parts) <= _MAX_WORDS:
        return None
    found = _fraction(parts)
    if found is None:
        cardinal = _cardinal(parts)
        found = Fraction(cardinal) if cardinal is not None else _ordinal(parts) if sign == 1 else None
    return None if found is None else sign * found


def _fraction(parts: list[str]) -> Fraction | None:
    """A counted part, and what stands with "and" before it: half, two thirds, two and a half."""
    if parts == ["half"]:
        return Fraction(1, 2)
    whole, last = 0, parts
    if "and" in parts and parts[-1] in _PARTS and len(parts) > 3:
        place = len(parts) - 1 - parts[::-1].index("and")
        before = _cardinal(parts[:place])
        whole, last = (before, parts[place + 1 :]) if before is not None else (0, parts)
    if len(last) < 2 or last[-1] not in _PARTS:
        return None
    top, bottom = _cardinal(last[:-1]), _PARTS[last[-1]]
    if not top or (last[-1].endswith("s") == (top == 1)) or (top >= 20 and not last[-1].endswith("s")):
        return None
    return whole + Fraction(top, bottom)


def _cardinal(parts: list[str]) -> int | None:
    total, part, seen, scale = 0, 0, "", 10**15
    for word in ["one", *parts[1:]] if parts[:1] == ["a"] and parts[1:2] != [] else parts:
        if word in ONES and seen in ("", "tens" if 0 < ONES[word] < 10 else "", "hundred", "scale"):
            part, seen = part + ONES[word], "ones"
        elif word in _TENS and seen in ("", "hundred", "scale"):
            part, seen = part + _TENS[word], "tens"
        elif word == "hundred" and seen == "ones" and 0 < part < 10:
            part, seen = part * 100, "hundred"
        elif word in SCALES and part and SCALES[word] < scale:
            scale = SCALES[word]
            total, part, seen = total + part * scale, 0, "scale"
        elif word != "and" or seen not in ("hundred", "scale"):
            return None
    return total + part if seen else None


def _ordinal(parts: list[str]) -> Fraction | None:
    """ "third", "twenty-first": the number of a place, as in 3rd and 21st."""
    word = _ORDINALS.get(parts[-1])
    cardinal = None if word is None else _cardinal([*parts[:-1], word])
    return None if cardinal is None else Fraction(cardinal)
