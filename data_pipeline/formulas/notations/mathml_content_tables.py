"""Names of Content MathML and how they are written: infix signs with their precedence, functions, constants, strict names.

Precedences are those of `mathml_content`: larger binds tighter.
"""

INFIX: dict[str, tuple[str, int]] = {
    "plus": (" + ", 50), "times": (" ", 60), "eq": (" = ", 30), "neq": (" \\neq ", 30), "lt": (" < ", 30), "gt": (" > ", 30),
    "leq": (" \\leq ", 30), "geq": (" \\geq ", 30), "equivalent": (" \\equiv ", 20), "approx": (" \\approx ", 30),
    "factorof": (" \\mid ", 30), "implies": (" \\implies ", 15), "and": (" \\land ", 25), "or": (" \\lor ", 22), "xor": (" \\oplus ", 23),
    "in": (" \\in ", 30), "notin": (" \\notin ", 30), "subset": (" \\subseteq ", 30), "prsubset": (" \\subset ", 30),
    "notsubset": (" \\nsubseteq ", 30), "notprsubset": (" \\not\\subset ", 30), "union": (" \\cup ", 45), "intersect": (" \\cap ", 46),
    "setdiff": (" \\setminus ", 45), "cartesianproduct": (" \\times ", 47), "compose": (" \\circ ", 65), "vectorproduct": (" \\times ", 60),
    "scalarproduct": (" \\cdot ", 60), "outerproduct": (" \\otimes ", 60), "tendsto": (" \\to ", 30), "assign": (" := ", 12),
    "list-separator": (", ", 5),
}  # fmt: skip
RELATIVE = frozenset({"setdiff", "implies", "lt", "gt", "leq", "geq", "eq", "neq"})
"""Infix operators whose right side must bind tighter."""

FUNCTIONS: dict[str, str] = {
    **{name: "\\" + name for name in ["sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh", "coth", "arcsin",
    "arccos", "arctan", "ln", "gcd", "arg", "det", "dim", "ker", "deg"]},
    **{
        name: f"\\operatorname{{{name}}}"
        for name in ["sech", "csch", "arccot", "arcsec", "arccsc", "arcsinh", "arccosh", "arctanh", "arcsech", "arccsch",
        "arccoth", "lcm", "domain", "codomain", "image", "median", "mode", "erf"]
    },
    "determinant": "\\det", "real": "\\operatorname{Re}", "imaginary": "\\operatorname{Im}", "gcd": "\\gcd", "trace": "\\operatorname{tr}",
    "rank": "\\operatorname{rank}", "ident": "\\mathrm{id}",
}  # fmt: skip

WRAPPED: dict[str, tuple[str, str]] = {
    "abs": ("|", "|"), "card": ("|", "|"), "norm": ("\\|", "\\|"), "floor": ("\\lfloor", "\\rfloor"), "ceiling": ("\\lceil", "\\rceil"),
}  # fmt: skip

CONSTANTS: dict[str, str] = {
    "pi": "\\pi", "exponentiale": "e", "imaginaryi": "i", "infinity": "\\infty", "eulergamma": "\\gamma", "emptyset": "\\emptyset",
    "true": "\\mathrm{true}", "false": "\\mathrm{false}", "notanumber": "\\mathrm{NaN}", "integers": "\\mathbb{Z}", "reals": "\\mathbb{R}",
    "rationals": "\\mathbb{Q}", "naturalnumbers": "\\mathbb{N}", "complexes": "\\mathbb{C}", "primes": "\\mathbb{P}",
    "ident": "\\mathrm{id}",
}  # fmt: skip

NAMES: dict[str, str] = {
    "unary_minus": "minus", "size": "card", "cartesian_product": "cartesianproduct", "left_compose": "compose", "remainder": "rem",
    "argument": "arg", "e": "exponentiale", "i": "imaginaryi", "gamma": "eulergamma", "NaN": "notanumber", "Z": "integers", "R": "reals",
    "Q": "rationals", "N": "naturalnumbers", "C": "complexes", "P": "primes", "divergence": "divergence", "trunc": "floor",
    "identity": "ident", "matrix_selector": "selector", "vector_selector": "selector", "nthdiff": "diff", "both_sides": "null",
    "asymptotically-equals": "approx", "less-than": "lt", "greater-than": "gt", "open-interval": "interval_oo",
    "closed-interval": "interval_cc", "subset-of": "prsubset", "formulae-sequence": "list-separator", "sequence": "list-separator",
    "list": "list-separator", "evaluated-at": "subscript", "conditional": "factorof", "absolute-value": "abs", "square-root": "root",
    "contour-integral": "int", "integral": "int", "infimum": "min", "supremum": "max", "superscript": "superscript",
    "not-equals": "neq", "element-of": "in", "tensor-product": "outerproduct", "direct-product": "cartesianproduct",
}  # fmt: skip
"""Strict (OpenMath) and LaTeXML symbol names -> the element that means the same."""

QUALIFIERS = frozenset({"bvar", "lowlimit", "uplimit", "condition", "domainofapplication", "degree", "logbase", "momentabout"})

CONTENT = frozenset(
    {
        "apply",
        "reln",
        "bind",
        "ci",
        "cn",
        "csymbol",
        "cs",
        "interval",
        "set",
        "list",
        "vector",
        "matrix",
        "piecewise",
        "lambda",
        "fn",
        "declare",
    }
    | set(INFIX) - {"list-separator", "assign"}
    | set(CONSTANTS)
)
"""Elements that start content markup."""
