r"""Under which names functions are written: in LaTeX, in plain text, and in the code of programs and algebra systems.

`function_named` gives the one name that `exact_functions.py` and the parsers know. Some names are functions only as commands (\det, \sh),
and some only directly before a bracket, as programs write them: "floor(x)" is a function, "first floor" is none. Left out: names with two
meanings in use, such as sinc, are read as functions of which nothing is known.
"""

FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch", "arcsin", "arccos", "arctan", "arccot",
    "arcsec", "arccsc", "arcsinh", "arccosh", "arctanh", "arccoth", "arcsech", "arccsch", "sinc", "log", "ln", "exp", "log10", "gcd", "lcm",
    "max", "min", "sgn", "cis", "det", "re", "im", "abs", "erf", "erfc", "erfi",
))  # fmt: skip
_ALIASES = {
    "tg": "tan", "ctg": "cot", "cotg": "cot", "cosec": "csc", "arctg": "arctan", "arcctg": "arccot", "arccosec": "arccsc",
    "arcosec": "arccsc", "cosech": "csch", "arccosech": "arccsch", "arcosech": "arccsch", "acosech": "arccsch", "ctanh": "coth",
    "lg": "log10", "sign": "sgn", "mcm": "lcm", "Re": "re", "Im": "im",
} | {f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc")} | {
    f"{prefix}{name}": f"arc{name}" for name in ("sinh", "cosh", "tanh", "coth", "sech", "csch") for prefix in ("a", "ar")
}  # fmt: skip
_AS_COMMANDS = {"sh": "sinh", "ch": "cosh", "th": "tanh", "cth": "coth", "arsh": "arcsinh", "arch": "arccosh", "arth": "arctanh"}
_BEFORE_BRACKETS = {
    "Abs": "abs", "floor": "floor", "ceil": "ceil", "ceiling": "ceil", "Max": "max", "Min": "min", "Floor": "floor", "Ceiling": "ceil",
    "binomial": "binom", "binom": "binom", "comb": "binom", "factorial": "factorial", "pow": "pow", "cbrt": "cbrt", "log2": "log2",
}  # fmt: skip
_NO_WORDS = frozenset({"re", "im", "det"})


def function_named(name: str, kind: str, *, called: bool) -> str:
    r"""The function that a name is, or "": as a "word", a "command" (\sh), an "operator" (\operatorname{floor}) or in \text{}."""
    if kind == "word" and name in _NO_WORDS:
        return ""
    if ((called and kind != "command") or kind == "operator") and (found := _BEFORE_BRACKETS.get(name)):
        return found
    if kind in ("command", "operator"):
        name = _AS_COMMANDS.get(name, name)
    name = _ALIASES.get(name, name)
    return name if name in FUNCTIONS else ""
