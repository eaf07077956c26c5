"""Content MathML to TeX: operators applied to arguments, with brackets where precedence needs them.

Every expression becomes its TeX and how tightly it binds (`Term`); an operator brackets what binds less than it. Content MathML 2 and
pragmatic 3 (`<apply><plus/>..`) and strict 3 (`<csymbol cd="arith1">plus</csymbol>`) are the same here: a head's name decides. A head
that is not known is a function: `f(x, y)`. Presentation markup inside `ci` and `csymbol` goes back through the presentation converter.
"""

from collections.abc import Callable
from typing import NamedTuple

from data_pipeline.formulas.notations.mathml_content_tables import CONSTANTS, FUNCTIONS, INFIX, NAMES, QUALIFIERS, RELATIVE, WRAPPED
from data_pipeline.formulas.notations.mathml_dictionary import FUNCTIONS as COMMANDS
from data_pipeline.formulas.notations.mathml_elements import Element, words
from data_pipeline.formulas.notations.unicode_to_tex import join, symbol, token

ATOM, POWER, APPLY, TIMES, PLUS, RELATION, NOT, BINDER = 100, 80, 70, 60, 50, 30, 28, 10
_TALL = ("\\frac", "\\sum", "\\prod", "\\int", "\\begin", "\\binom")
_MAX_BASE = 12

Presentation = Callable[[list[Element]], str]


class Term(NamedTuple):
    """TeX and how tightly it binds."""

    tex: str
    binds: int = ATOM


def content_to_tex(element: Element, presentation: Presentation) -> str:
    """The TeX of a content expression; `presentation` converts the presentation markup inside it."""
    return _Content(presentation).term(element).tex


def bracket(tex: str, left: str = "(", right: str = ")") -> str:
    """Brackets that grow around what is tall."""
    if any(mark in tex for mark in _TALL):
        return f"\\left{left} {tex} \\right{right}"
    return join([left, tex, right])


def at_least(term: Term, binds: int) -> str:
    """A term's TeX, in brackets where it binds less than its surroundings."""
    return term.tex if term.binds >= binds else bracket(term.tex)


class _Content:
    """The conversion of one expression: it holds only how to convert presentation markup."""

    def __init__(self, presentation: Presentation) -> None:
        self.presentation = presentation

    def term(self, element: Element) -> Term:
        tag = element.tag
        if tag in ("apply", "reln", "bind"):
            return self.apply(element)
        method = _ELEMENTS.get(tag)
        if method is not None:
            return method(self, element)
        if tag in CONSTANTS:
            return Term(CONSTANTS[tag])
        if tag in ("semantics", "fn", "declare", "condition", "lowlimit", "uplimit", "degree", "logbase", "momentabout", "math"):
            return self.term(element.children[0]) if element.children else Term("")
        if tag in INFIX:
            return Term(INFIX[tag][0].strip())
        if tag in FUNCTIONS:
            return Term(FUNCTIONS[tag])
        return Term(self.presentation([element]))

    def terms(self, elements: list[Element]) -> list[Term]:
        return [self.term(element) for element in elements]

    def listed(self, elements: list[Element]) -> str:
        return ", ".join(term.tex for term in self.terms(elements))

    # Leaves

    def identifier(self, element: Element) -> Term:
        """ci, csymbol: a name, or presentation markup."""
        if element.children:
            tex = self.presentation(element.children)
            return Term(tex, ATOM if len(tex) <= _MAX_BASE or tex.startswith("\\") else POWER)
        text = element.content()
        if element.tag == "csymbol" and text in NAMES:
            text = NAMES[text]
        if element.tag == "csymbol" and text in CONSTANTS:
            return Term(CONSTANTS[text])
        if text in COMMANDS:
            return Term("\\" + text)
        if len(text) > 1 and text.isascii() and text.replace("-", "").replace("_", "").isalnum():
            word, _, index = text.partition("_")
            tex = _word(word)
            return Term(f"{tex}_{{{_word(index)}}}" if index and word else tex)
        tex = join(token(text))
        return Term(f"\\mathbf{{{tex}}}" if element.attributes.get("type") in ("vector", "matrix") and tex else tex)

    def number(self, element: Element) -> Term:
        """cn: integers, reals, rationals, complex numbers, e-notation, other bases, named constants."""
        parts = [part.strip() for part in _separated(element)]
        kind = element.attributes.get("type", "")
        first = join(token(parts[0])) if parts else ""
        if kind == "constant":
            return Term(CONSTANTS.get(parts[0], first))
        if len(parts) > 1 and parts[1]:
            second = join(token(parts[1]))
            if kind == "rational":
                return Term(f"\\frac{{{first}}}{{{second}}}", TIMES)
            if kind == "complex-polar":
                return Term(f"{first} e^{{{second} i}}", TIMES)
            if kind.startswith("complex"):
                sign = "" if second.startswith("-") else "+"
                return Term(f"{first} {sign} {second} i".replace("  ", " "), PLUS)
            return Term(f"{first} \\times 10^{{{second}}}", TIMES)
        base = element.attributes.get("base", "10").strip()
        if base != "10" and base.isascii() and base.isdigit() and len(base) < 4:
            return Term(f"{first}_{{{base}}}", POWER)
        return Term(first, PLUS if first.startswith("-") else ATOM)

    def string(self, element: Element) -> Term:
        return Term(f"\\text{{{join(token(element.content()))}}}")

    # Collections

    def interval(self, element: Element) -> Term:
        closure = element.attributes.get("closure", "closed")
        left = "(" if closure.startswith("open") else "["
        right = ")" if closure in ("open", "closed-open") else "]"
        return Term(bracket(self.listed(element.children), left, right))

    def collection(self, element: Element) -> Term:
        """set and list, by their members or by a condition."""
        left, right = ("\\{", "\\}") if element.tag == "set" else ("(", ")")
        qualifiers, members = _split(element.children)
        if not qualifiers:
            return Term(bracket(self.listed(members), left, right))
        condition = next((self.term(child).tex for child in qualifiers if child.tag in ("condition", "domainofapplication")), "")
        variables = ", ".join(self.variable(child) for child in qualifiers if child.tag == "bvar")
        return Term(bracket(f"{self.listed(members) or variables} \\mid {condition}", left, right))

    def vector(self, element: Element) -> Term:
        return Term("\\begin{pmatrix} " + " \\\\ ".join(term.tex for term in self.terms(element.children)) + " \\end{pmatrix}")

    def matrix(self, element: Element) -> Term:
        rows = [" & ".join(term.tex for term in self.terms(row.children)) for row in element.children if row.tag == "matrixrow"]
        return Term("\\begin{pmatrix} " + " \\\\ ".join(rows) + " \\end{pmatrix}")

    def piecewise(self, element: Element) -> Term:
        rows: list[str] = []
        for child in element.children:
            parts = [term.tex for term in self.terms(child.children)]
            if child.tag == "otherwise" and parts:
                rows.append(f"{parts[0]} & \\text{{otherwise}}")
            elif len(parts) > 1:
                rows.append(f"{parts[0]} & \\text{{if }} {parts[1]}")
        return Term("\\begin{cases} " + " \\\\ ".join(rows) + " \\end{cases}")

    def function(self, element: Element) -> Term:
        """lambda: variables to what they are mapped to."""
        qualifiers, body = _split(element.children)
        variables = ", ".join(self.variable(child) for child in qualifiers if child.tag == "bvar")
        return Term(f"{variables} \\mapsto {self.listed(body)}", BINDER)

    def variable(self, bvar: Element) -> str:
        return next((self.term(child).tex for child in bvar.children if child.tag != "degree"), "")

    # Applications

    def apply(self, element: Element) -> Term:
        if not element.children:
            return Term("")
        head, *rest = element.children
        name = _name(head)
        qualifiers, arguments = _split(rest)
        if name == "lambda":
            return self.function(element)
        special = _APPLICATIONS.get(name)
        if special is not None:
            done = special(self, name, qualifiers, arguments)
            if done is not None:
                return done
        if name in INFIX and not qualifiers:
            return self.infix(name, arguments)
        if name in WRAPPED and len(arguments) == 1:
            left, right = WRAPPED[name]
            return Term(bracket(self.term(arguments[0]).tex, left, right))
        if name in FUNCTIONS:
            return self.named(FUNCTIONS[name], qualifiers, arguments)
        if name in CONSTANTS and not arguments:
            return Term(CONSTANTS[name])
        return self.call(self.term(head), arguments)

    def infix(self, name: str, arguments: list[Element]) -> Term:
        sign, binds = INFIX[name]
        if not arguments:
            return Term(sign.strip())
        parts = [at_least(term, binds + (index > 0 and name in RELATIVE)) for index, term in enumerate(self.terms(arguments))]
        if len(parts) == 1:
            return Term(f"{sign.strip()} {parts[0]}" if name in ("and", "or", "tendsto") else parts[0], binds)
        if name == "times":
            return Term(_product(parts), binds)
        return Term(sign.join(parts), binds)

    def named(self, command: str, qualifiers: list[Element], arguments: list[Element], script: str = "") -> Term:
        """A function with a name: brackets only where the argument is more than one symbol."""
        parts = self.terms(arguments)
        under = self.domain(qualifiers)
        head = command + (f"_{{{under}}}" if under else "") + script
        if len(parts) == 1 and parts[0].binds >= POWER:
            return Term(join([head, "" if parts[0].tex.startswith(("\\left", "(")) else " ", parts[0].tex]), APPLY)
        return Term(head + bracket(", ".join(part.tex for part in parts)) if parts else head, APPLY if parts else ATOM)

    def call(self, head: Term, arguments: list[Element]) -> Term:
        return Term(at_least(head, POWER) + bracket(self.listed(arguments)), APPLY + 5)

    def domain(self, qualifiers: list[Element]) -> str:
        """What stands under a big operator: a condition, a domain, or the variable."""
        for child in qualifiers:
            if child.tag in ("condition", "domainofapplication", "interval"):
                tex = self.term(child.children[0] if child.tag != "interval" and child.children else child).tex
                names = [self.variable(bvar) for bvar in qualifiers if bvar.tag == "bvar"]
                return f"{', '.join(names)} \\in {tex}" if child.tag != "condition" and names else tex
        return ", ".join(self.variable(child) for child in qualifiers if child.tag == "bvar")

    def one(self, arguments: list[Element]) -> Term:
        return self.term(arguments[0]) if arguments else Term("")

    def minus(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        parts = self.terms(arguments)
        if len(parts) == 1:
            return Term("-" + at_least(parts[0], TIMES), PLUS)
        return Term(" - ".join([at_least(part, PLUS + (index > 0)) for index, part in enumerate(parts)]), PLUS)

    def plus(self, _name: str, qualifiers: list[Element], arguments: list[Element]) -> Term | None:
        if qualifiers or len(arguments) < 2:
            return None
        tex = at_least(self.term(arguments[0]), PLUS)
        for argument in arguments[1:]:
            part = at_least(self.term(argument), PLUS)
            tex += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
        return Term(tex, PLUS)

    def divide(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term | None:
        if len(arguments) != 2:
            return None
        above, below = self.terms(arguments)
        return Term(f"\\frac{{{above.tex}}}{{{below.tex}}}", TIMES)

    def power(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term | None:
        if len(arguments) != 2:
            return None
        base, exponent = arguments[0], self.term(arguments[1]).tex
        if base.tag == "apply" and base.children and len(base.children) == 2:
            command = FUNCTIONS.get(_name_of(base), "")
            if command.startswith("\\") and command[1:] in COMMANDS and not exponent.startswith("-"):
                return self.named(command, [], base.children[1:], f"^{{{exponent}}}")
        return Term(f"{at_least(self.term(base), POWER + 1)}^{{{exponent}}}", POWER)

    def root(self, _name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        degree = next((self.term(child).tex for child in qualifiers if child.tag == "degree"), "")
        if not degree and len(arguments) == 2:
            degree = self.term(arguments[1]).tex
        return Term(f"\\sqrt{f'[{degree}]' if degree and degree != '2' else ''}{{{self.one(arguments).tex}}}")

    def suffix(self, name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        mark = {"factorial": "!", "transpose": "^{T}", "inverse": "^{-1}"}[name]
        argument = self.one(arguments)
        text = (
            argument.tex
            if name == "inverse" and argument.tex.startswith("\\") and argument.tex[1:].isalpha()
            else at_least(argument, POWER + 1)
        )
        return Term(text + mark, POWER)

    def exponential(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        return Term(f"e^{{{self.one(arguments).tex}}}", POWER)

    def overlined(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        if len(arguments) > 1:
            return Term(f"\\langle {self.listed(arguments)} \\rangle")
        return Term(f"\\overline{{{self.one(arguments).tex}}}")

    def logarithm(self, _name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        base = next((self.term(child).tex for child in qualifiers if child.tag == "logbase"), "")
        if len(arguments) == 2 and not base:
            base, arguments = self.term(arguments[0]).tex, arguments[1:]
        return self.named("\\log" + (f"_{{{base}}}" if base else ""), [], arguments)

    def negation(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        return Term(join(["\\neg", " ", at_least(self.one(arguments), NOT)]), NOT)

    def quotient(self, name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term | None:
        if len(arguments) != 2:
            return None
        above, below = (at_least(term, TIMES + 1) for term in self.terms(arguments))
        return Term(f"\\lfloor {above} / {below} \\rfloor") if name == "quotient" else Term(f"{above} \\bmod {below}", TIMES)

    def big(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        """sum, product, int, and union or intersect with bound variables."""
        sign = {"sum": "\\sum", "product": "\\prod", "int": "\\int", "union": "\\bigcup", "intersect": "\\bigcap", "defint": "\\int"}[name]
        low, high = self.limits(qualifiers)
        if name == "defint" and len(arguments) == 2:
            low, high = self.limits(arguments[:1])
            arguments = arguments[1:]
        variables = [self.variable(child) for child in qualifiers if child.tag == "bvar"]
        if name in ("int", "defint"):
            under = low or self.domain([child for child in qualifiers if child.tag != "bvar"])
            body, variables = self.integrand(arguments, variables)
            tail = "".join(f" \\, d{variable}" for variable in variables)
            return Term(f"{sign}{_script('_', under)}{_script('^', high)} {body}{tail}", PLUS + 5)
        under = f"{', '.join(variables)} = {low}" if low and variables else self.domain(qualifiers)
        return Term(f"{sign}{_script('_', under)}{_script('^', high)} {at_least(self.one(arguments), PLUS + 1)}", PLUS + 5)

    def integrand(self, arguments: list[Element], variables: list[str]) -> tuple[str, list[str]]:
        """What is integrated, and over what: strict markup hides the variable in a lambda."""
        if arguments and arguments[0].tag == "bind" and _name_of(arguments[0]) == "lambda":
            bound, body = _split(arguments[0].children[1:])
            return at_least(self.one(body), PLUS + 1), variables or [self.variable(child) for child in bound if child.tag == "bvar"]
        return at_least(self.one(arguments), PLUS + 1), variables

    def limits(self, qualifiers: list[Element]) -> tuple[str, str]:
        low = next((self.term(child).tex for child in qualifiers if child.tag == "lowlimit"), "")
        high = next((self.term(child).tex for child in qualifiers if child.tag == "uplimit"), "")
        for child in qualifiers:
            inner = child.children[0] if child.tag == "domainofapplication" and child.children else child
            if inner.tag == "apply" and _name_of(inner).startswith("interval"):
                inner = Element("interval")
                inner.children = child.children[0].children[1:] if child.tag == "domainofapplication" else child.children[1:]
            if inner.tag == "interval" and len(inner.children) == 2:
                low, high = (term.tex for term in self.terms(inner.children))
        return low, high

    def limit(self, _name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        condition = next((self.term(child).tex for child in qualifiers if child.tag == "condition"), "")
        if not condition:
            variable = next((self.variable(child) for child in qualifiers if child.tag == "bvar"), "")
            condition = f"{variable} \\to {self.limits(qualifiers)[0]}"
        return Term(f"\\lim_{{{condition}}} {at_least(self.one(arguments), PLUS + 1)}", PLUS + 5)

    def derivative(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        """Leibniz' notation; a derivative without a variable is primed."""
        sign = "d" if name == "diff" else "\\partial"
        body = self.one(arguments)
        bound = [child for child in qualifiers if child.tag == "bvar"]
        if not bound:
            return Term(at_least(body, POWER) + "'", POWER) if name == "diff" else self.call(Term("D"), arguments)
        below: list[str] = []
        orders: list[str] = []
        for child in bound:
            order = next((self.term(part).tex for part in child.children if part.tag == "degree"), "")
            orders.append(order or "1")
            below.append(join([sign, " " if sign != "d" else "", self.variable(child), _script("^", order)]))
        total = next((self.term(child).tex for child in qualifiers if child.tag == "degree"), "")
        if not total:
            digits = all(order.isascii() and order.isdigit() and len(order) < 4 for order in orders)
            total = str(sum(map(int, orders))) if digits else " + ".join(orders)
        above = sign + (_script("^", total) if total != "1" else "")
        under = " ".join(below) if sign != "d" else "\\,".join(below)
        if body.binds >= POWER and len(body.tex) <= _MAX_BASE:
            return Term(f"\\frac{{{join([above, ' ' if sign != 'd' else '', body.tex])}}}{{{under}}}", TIMES)
        return Term(f"\\frac{{{above}}}{{{under}}} {at_least(body, TIMES + 1)}", TIMES)

    def quantifier(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        sign = "\\forall" if name == "forall" else "\\exists"
        variables = ", ".join(self.variable(child) for child in qualifiers if child.tag == "bvar")
        condition = self.domain([child for child in qualifiers if child.tag != "bvar"])
        domain = any(child.tag == "domainofapplication" for child in qualifiers)
        head = f"{sign} {variables}" + (f" \\in {condition}" if domain else f", {condition}" if condition else "")
        return Term(f"{head} \\colon {self.one(arguments).tex}" if arguments else head, BINDER)

    def extremum(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        if qualifiers:
            return Term(f"\\{name}_{{{self.domain(qualifiers)}}} {at_least(self.one(arguments), PLUS + 1)}", APPLY)
        left, right = ("\\{", "\\}") if len(arguments) > 1 else ("(", ")")
        return Term(f"\\{name}" + bracket(self.listed(arguments), left, right), APPLY)

    def selector(self, _name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        return Term(f"{at_least(self.one(arguments), ATOM)}_{{{self.listed(arguments[1:])}}}", POWER)

    def statistic(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        if name == "moment":
            degree = next((self.term(child).tex for child in qualifiers if child.tag == "degree"), "")
            return Term(f"\\langle {at_least(self.one(arguments), POWER + 1)}{_script('^', degree)} \\rangle")
        return Term(("\\sigma" if name == "sdev" else "\\sigma^{2}") + bracket(self.listed(arguments)), APPLY)

    def nabla(self, name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        mark = {"grad": "\\nabla ", "divergence": "\\nabla \\cdot ", "curl": "\\nabla \\times ", "laplacian": "\\nabla^{2} "}[name]
        return Term(mark + at_least(self.one(arguments), APPLY + 1), APPLY)

    def scripted(self, name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        mark = "^" if name == "superscript" else "_"
        return Term(f"{at_least(self.one(arguments), ATOM)}{mark}{{{self.listed(arguments[1:])}}}", POWER)

    def strict_interval(self, name: str, _qualifiers: list[Element], arguments: list[Element]) -> Term:
        closure = name.removeprefix("interval").lstrip("_")
        return Term(bracket(self.listed(arguments), "(" if closure[:1] == "o" else "[", ")" if closure[1:] == "o" else "]"))

    def strict_collection(self, name: str, qualifiers: list[Element], arguments: list[Element]) -> Term:
        element = Element(name)
        element.children = [*qualifiers, *arguments]
        return self.collection(element) if name != "vector" else self.vector(element)

    def rational(self, _name: str, qualifiers: list[Element], arguments: list[Element]) -> Term | None:
        return self.divide("divide", qualifiers, arguments)


def _name(head: Element) -> str:
    """The name that decides what a head does: its element, or the text of a symbol."""
    if head.tag in ("csymbol", "ci") and not head.children:
        text = head.content()
        return NAMES.get(text, text) if head.tag == "csymbol" else ""
    return head.tag


def _name_of(application: Element) -> str:
    return _name(application.children[0]) if application.children else ""


def _split(children: list[Element]) -> tuple[list[Element], list[Element]]:
    """Qualifiers and arguments."""
    return [child for child in children if child.tag in QUALIFIERS], [child for child in children if child.tag not in QUALIFIERS]


def _separated(element: Element) -> list[str]:
    """The parts of a number between its `<sep/>`."""
    parts = [""]
    for part in element.text:
        if isinstance(part, str):
            parts[-1] += part
        elif part.tag == "sep":
            parts.append("")
            parts[-1] += part.spelling()
        else:
            parts[-1] += part.spelling()
    return parts


def _word(text: str) -> str:
    """A name of several letters is upright; a number or one letter is itself; a Greek letter's name its command."""
    if len(text) == 1 or text.isdigit():
        return text
    if text in _GREEK:
        return "\\" + text
    return f"\\mathrm{{{join([symbol(char) for char in text])}}}" if text else ""


_GREEK = words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega Gamma Delta"
    " Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)


def _script(mark: str, tex: str) -> str:
    return f"{mark}{{{tex}}}" if tex else ""


def _product(parts: list[str]) -> str:
    """Factors side by side; a sign between them where two numbers would run together."""
    out: list[str] = []
    for part in parts:
        if out and (part[:1].isdigit() or part.startswith("-")):
            out.append(" \\cdot ")
        elif out and (out[-1][-1:].isalnum() or out[-1][-1:] in "})'!") and part[:1] not in "(\\":
            out.append(" ")
        out.append(part)
    return join(out)


_ELEMENTS: dict[str, Callable[[_Content, Element], Term]] = {
    "ci": _Content.identifier, "csymbol": _Content.identifier, "cn": _Content.number, "cs": _Content.string, "interval": _Content.interval,
    "set": _Content.collection, "list": _Content.collection, "vector": _Content.vector, "matrix": _Content.matrix,
    "piecewise": _Content.piecewise, "lambda": _Content.function,
}  # fmt: skip
_APPLICATIONS: dict[str, Callable[[_Content, str, list[Element], list[Element]], Term | None]] = {
    "minus": _Content.minus, "plus": _Content.plus, "divide": _Content.divide, "power": _Content.power, "root": _Content.root,
    "factorial": _Content.suffix, "transpose": _Content.suffix, "inverse": _Content.suffix, "exp": _Content.exponential,
    "conjugate": _Content.overlined, "mean": _Content.overlined, "log": _Content.logarithm, "not": _Content.negation,
    "quotient": _Content.quotient, "rem": _Content.quotient, "sum": _Content.big, "product": _Content.big, "int": _Content.big,
    "defint": _Content.big, "limit": _Content.limit, "diff": _Content.derivative, "partialdiff": _Content.derivative,
    "forall": _Content.quantifier, "exists": _Content.quantifier, "max": _Content.extremum, "min": _Content.extremum,
    "selector": _Content.selector, "sdev": _Content.statistic, "variance": _Content.statistic, "moment": _Content.statistic,
    "grad": _Content.nabla, "divergence": _Content.nabla, "curl": _Content.nabla, "laplacian": _Content.nabla,
    "superscript": _Content.scripted, "subscript": _Content.scripted, "interval": _Content.strict_interval,
    "interval_cc": _Content.strict_interval, "interval_oo": _Content.strict_interval, "interval_co": _Content.strict_interval,
    "interval_oc": _Content.strict_interval, "set": _Content.strict_collection, "list": _Content.strict_collection,
    "vector": _Content.strict_collection, "rational": _Content.rational,
}  # fmt: skip
