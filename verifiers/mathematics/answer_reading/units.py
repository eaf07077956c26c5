r"""Units of measure: names made one, and quantities of one dimension made comparable (1 m = 100 cm, 1 h = 60 min, \$1 = 100 cents).

A unit that is not in the table is a dimension of its own, so that goats are not helicopters. Temperatures are not converted: their scales
have different zeros. Symbols of units in plain text are told from variables by the white space before them: 10 m/s, 2 kg m^2; one letter
alone (5 m) stays a product, and `lone_unit` offers the other reading of it where it stands outside the signs of mathematics.
"""

import re
from fractions import Fraction
from functools import lru_cache

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.number_words import SCALES

_TABLE: dict[str, tuple[str, Fraction]] = {}


def _add_units(dimension: str, *units: tuple[str, str | int]) -> None:
    for names, factor in units:
        for name in names.split():
            _TABLE[name] = (dimension, Fraction(factor))


_add_units("length", ("m meter metre", 1), ("cm centimeter centimetre", "0.01"), ("mm millimeter millimetre", "0.001"))
_add_units("length", ("km kilometer kilometre", 1000), ("nm nanometer", "1e-9"), ("inch inche in", "0.0254"), ("ft foot feet", "0.3048"))
_add_units("length", ("um micrometer micrometre micron", "1e-6"))
_add_units("length", ("yd yard", "0.9144"), ("mi mile", "1609.344"))
_add_units("mass", ("kg kilogram", 1), ("g gram", "0.001"), ("mg milligram", "0.000001"))
_add_units("mass", ("lb pound", "0.45359237"), ("oz ounce", "0.028349523125"))
_add_units("time", ("s sec second", 1), ("min minute", 60), ("h hr hour", 3600), ("day", 86400), ("week", 604800))
_add_units("months", ("month", 1), ("yr year", 12))
_add_units("money", ("$ dollar usd", 1), ("¢ cent", "0.01"))
_add_units("euro", ("€ euro eur", 1))
_add_units("sterling", ("£ gbp", 1))
_add_units("yen", ("¥ yen rmb", 1))
_add_units("rupee", ("₹ rupee rs inr", 1))
_add_units("volume", ("l liter litre", 1), ("ml milliliter millilitre", "0.001"))
_add_units("force", ("n newton", 1))
_add_units("energy", ("j joule", 1), ("kj kilojoule", 1000))
_add_units("power", ("w watt", 1), ("kw kilowatt", 1000))
_add_units("voltage", ("v volt", 1))
_add_units("current", ("a ampere amp", 1))
_add_units("frequency", ("hz hertz", 1), ("khz", 1000), ("mhz", 10**6))
_add_units("celsius", ("°c celsius", 1))
_add_units("fahrenheit", ("°f fahrenheit", 1))
_add_units("angle", ("° degree deg", 1))
_add_units("percent", ("% percent percentage pct", 1))
_ALIASES = {"mph": "mile/hour", "rad": "radian", "people": "person", "men": "man", "women": "woman", "children": "child", "ω": "ohm"}
_CHINESE = {
    "千米": "km", "厘米": "cm", "毫米": "mm", "米": "m", "千克": "kg", "克": "g", "小时": "h", "分钟": "min", "天": "day", "岁": "year",
    "人": "person", "平方米": "m^2", "平方厘米": "cm^2", "元": "yuan", "个": "个", "只": "只", "本": "本", "种": "种", "条": "条",
    "张": "张", "件": "件", "棵": "棵", "页": "页", "支": "支",
}  # fmt: skip
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_COUNTS = {"dozen": 12, "hundred": 100} | SCALES
MULTIPLIERS = {"tens": 10} | _COUNTS | {f"{name}s": size for name, size in _COUNTS.items()}

UNIT_WORDS = frozenset((
    "cm", "mm", "km", "kg", "mg", "ml", "ft", "in", "mi", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph", "day", "Day", "yr", "yrs",
    "Hz", "kHz", "MHz", "kW", "mol", "rad", "deg", "pct", "kJ", "cal", "eV", "nm", "per", "sq",
    "atm", "Pa", "kPa", "kWh", "ohm", "ohms", "USD", "EUR", "GBP", "INR", "RMB", "yen",
))  # fmt: skip
SURE_UNITS = frozenset({"cm", "mm", "km", "kg", "ft", "lb", "lbs", "oz", "hr", "hrs", "sec", "mph", "kPa", "kWh", "kHz", "MHz"})
CURRENCIES = ("$", "€", "£", "¥", "¢", "₹")
CURRENCY_CODES = {"USD": r"\$", "EUR": "€", "GBP": "£", "JPY": "¥", "RMB": "¥", "CNY": "¥", "INR": "₹", "Rs": "₹"}

Dimension = tuple[tuple[str, int], ...]


_SYMBOL = r"(?:km|cm|mm|kg|mg|ml|mL|kJ|kW|Hz|min|mol|m|s|h|g|N|J|W|V|A|K|L|C)"
_COMPOUND_ENDS = frozenset("mglLJWzAnshNVKC0123456789}")  # what a symbol or its power ends with
_POWER = r"(?:\s?\^\s?(?:\{\s?-?\d\s?\}|-?\d))?"
_JOINT = r"\s?(?:/|\\cdot\s|\*|\\,|\s)\s?"
_SPACE = r"(?<=[\d})])(?:\s|~|\\[,;: ])+"


_UPRIGHT = r"\\(?:text|mathrm)\s?\{\s?([A-Za-z]{1,8}(?:\^-?\d)?)\s?\}"
_LONG_SYMBOL = "(?:km|cm|mm|kg|mg|ml|mL|kJ|kW)"
_COMPOUND = compiled(rf"(?a){_SPACE}((?:{_SYMBOL}{_POWER}{_JOINT}){{1,3}}{_SYMBOL}{_POWER})$")
_GLUED = compiled(rf"(?a)(?<=\d)({_LONG_SYMBOL}{_POWER}/(?:{_SYMBOL}{_POWER}{_JOINT}){{0,2}}{_SYMBOL}{_POWER})$")
_BRACKETED = compiled(rf"(?a){_SPACE}\(\s?({_LONG_SYMBOL}{_POWER}(?:/{_SYMBOL}{_POWER})?)\s?\)$")
_IN_CHINESE = compiled(rf"(?a)(?<=\d)\s?\(?\s?({'|'.join(_CHINESE)})\s?\)?$")
_FRACTION = compiled(rf"(?a)\\[dt]?frac\s?\{{\s?{_UPRIGHT}\s?\}}\{{\s?{_UPRIGHT}\s?\}}$")
_UPRIGHT_POWERS = compiled(r"(?a)(\\(?:text|mathrm)\s?\{[^{}]{0,40})(?:\^\{(-?\d)\}|\\[,; ])([^{}]{0,40}(?:\^\{-?\d\}[^{}]{0,40}){0,3}\})")
_MICROMETRE = compiled(rf"(?a){_SPACE}(?:\\mu\s?|μ)(?:\\(?:text|mathrm)\s?\{{\s?m\s?\}}|m)$")
_OHM = compiled(rf"(?a){_SPACE}(?:\\(?:text|mathrm)\s?\{{\s?\\Omega\s?\}}|\\Omega)\s?$")
_ARC_MINUTES = compiled(r"(?a)(\d{1,3})°\s?(\d{1,2})\s?['′](?:\s?(\d{1,2})\s?(?:''|′′|\"))?")
_STUCK_LETTER = compiled(rf"(?a)([-+\d.,/ ]*\d)([mshgLNJWVAK])({_POWER}(?:/{_SYMBOL}{_POWER})?)")
_LONE_LETTER = compiled(rf"(?a)([-+\d.,/ ]+)(?:\s|\\[,;: ]|~)+([mshgLNJWVAK])({_POWER})")


def spell_compound_units(source: str) -> str:
    r"""The symbols of a compound unit as \text, so that they are no variables: "10 m/s", "\frac{\mathrm{m}}{\mathrm{s}}", "m\,s^{-1}"."""
    if "rm" in source or "text" in source:
        for _ in range(4):
            source = _UPRIGHT_POWERS.sub(lambda m: m[1] + (f"^{m[2]}" if m[2] else " ") + m[3], source)
        source = _FRACTION.sub(r"\\text{ \1/\2}", source) if "frac" in source else source
        source = re.sub(r"\}\s?\\cdot(?=\s?\\(?:text|mathrm)\s?\{)", "} ", source)
    if "°" in source:
        source = _ARC_MINUTES.sub(lambda m: rf"({m[1]}+\frac{{{60 * int(m[2]) + int(m[3] or 0)}}}{{3600}})°", source)
    if "\\Omega" in source:
        source = _OHM.sub(r"\\text{ ohm}", source)
    if "\\mu" in source:
        source = _MICROMETRE.sub(r"\\text{ um}", source)
    if "sq" in source or "cu." in source:
        source = re.sub(r"\b(sq|cu)\.\s?(?=[a-z])", r"\1 ", source)
        source = re.sub(r"\bper (second|sec|minute|hour|foot|meter|metre) squared\b", r"per \1^2", source)
    if "(" in source:
        source = _BRACKETED.sub(lambda m: rf"\text{{ {_plain_symbols(m[1])}}}", source)
    if not source.isascii():
        source = _IN_CHINESE.sub(lambda m: rf"\text{{ {_CHINESE[m[1]]}}}", source)
    if "/" in source:
        source = _GLUED.sub(lambda m: rf"\text{{ {_plain_symbols(m[1])}}}", source)
    if source.rstrip()[-1:] not in _COMPOUND_ENDS or not ("\\" in source or "~" in source or len(source.split(None, 1)) > 1):
        return source
    return _COMPOUND.sub(lambda m: rf"\text{{ {_plain_symbols(m[1])}}}", source)


def lone_unit(text: str, *, glued: bool = False) -> str | None:
    """5 m or 25 m^2, written plainly and with white space, as a quantity; `glued`: 5m and 3m/s too."""
    plain = text.strip(" .").replace("²", "^2").replace("³", "^3")
    match = None if "$" in text or "\\(" in text else _LONE_LETTER.fullmatch(plain)
    if match is None and glued:
        match = _STUCK_LETTER.fullmatch(plain)
    return None if match is None else rf"{match[1]}\text{{ {match[2]}{_plain_symbols(match[3])}}}"


def _plain_symbols(symbols: str) -> str:
    return re.sub(r"\s?\^\s?|[{}]", lambda m: "^" if "^" in m[0] else "", re.sub(r"\\cdot|\\,|\*", " ", symbols))


@lru_cache(maxsize=2048)
def read_unit(text: str) -> tuple[Fraction, Dimension]:
    """How many base units one such unit is, and of what dimension: "cm^2" is 1/10000 of length²."""
    factor, powers, direction, times = Fraction(1), dict[str, int](), 1, 1
    words = re.sub(r"(?<=[a-z])([23])\b", r"^\1", re.sub(r"([$€£¥₹])", r"\1 ", text.lower()).replace("/", " / "))
    words = re.sub(r"(?<!\^)-", " ", re.sub(r"\bdegrees? (?=[cf])", "°", words)).replace("°celsius", "°c").replace("°fahrenheit", "°f")
    for word in " ".join(_ALIASES.get(word, word) for word in words.split()).replace("/", " / ").split():
        if word in ("/", "per"):
            direction = -1
        elif word in _POWERS:
            times = _POWERS[word]
        elif word in MULTIPLIERS:
            factor *= MULTIPLIERS[word]
        elif word not in ("units", "unit", "of"):
            name, _, exponent = word.partition("^")
            n = direction * times * (int(exponent) if re.fullmatch(r"-?\d", exponent) else 1)
            dimension, size = _dimension_and_size(name)
            if dimension != "money" or not powers.get("money"):  # \$5 \text{ dollars}
                powers[dimension] = powers.get(dimension, 0) + n
                factor *= size**n
            times = 1
    return factor, tuple(sorted((name, n) for name, n in powers.items() if n))


_FUNCTION = r"sin|cos|tan|cot|sec|csc|log|exp|sqrt|ln|pi"


def is_glued(word: str) -> bool:
    """Whether a word right behind a number (10weeks, 12apples) is a unit and no product of letters or functions (2abcd, 3sinx): one of the
    table, or a plural with vowels and consonants that is not in the order of the alphabet."""
    if _dimension_and_size(word.lower())[0] != word.lower().removesuffix("s") or word in MULTIPLIERS:
        return True
    if word in _ALIASES:
        return True  # 6people
    letters = list(word)
    mixed = any(c in "aeiou" for c in word) and sum(c not in "aeiou" for c in word[:-1]) > 1
    return (
        len(word) > 4 and word.endswith("s") and word.islower() and mixed and letters != sorted(letters) and not re.search(_FUNCTION, word)
    )


def _dimension_and_size(name: str) -> tuple[str, Fraction]:
    single = name[:-1] if len(name) > 2 and name.endswith("s") and not name.endswith("ss") else name
    return _TABLE.get(name) or _TABLE.get(single) or (single, Fraction(1))
