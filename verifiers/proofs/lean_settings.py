r"""Which `(name := value)` in a Lean proof may be a tactic's setting whose value is code.

`simp (maxSteps := term)` and `simp (config := term)` compile the term and run it, so a value must be plain: numbers, names, lists
and structures of them, and no application but `.pos [1, 2]`, `some 3` and the like. `exact foo (n := k + 1)` looks the same and is
harmless. The difference is whether a tactic or a term is being called, and the names of tactics have no end; so any value is
allowed only where the tokens before it lead back to what only a term can follow (`exact`, `:=`, a comma), and never for
the names in NEVER_COMPUTED. `(disch := tactic)` and `(norm := tactic)` hold tactics, which are read like all others.

Errs to the side of refusal: `try foo (n := k + 1)` and `a + foo (n := k + 1)` are refused, as `foo` may be a tactic or an option.
"""

from collections.abc import Mapping, Sequence

from verifiers.proofs.lean_tokens import LeanToken

NEVER_COMPUTED = frozenset({"config", "simp_config", "discharger", "preprocessors", "oracle"})
_TACTIC_BLOCKS = frozenset({"disch", "norm"})
_MAX_TOKENS = 200
"""How far a value, or what stands before it, is read; beyond that it is refused."""
_OPEN, _CLOSE = "([{⟨", ")]}⟩"
_TERM_WORDS = frozenset({
    "exact", "exacts", "apply", "refine", "refine'", "eapply", "use", "exists", "convert", "rcases", "cases", "cases'", "induction",
    "specialize", "from", "using", "show", "change", "trans", "calc", "obtain", "suffices", "have",
})  # fmt: skip
"""What a term follows, after which a setting could only stand at once."""
_NO_TERM = frozenset({"by", "then", "else", "in", "do", "with", "at", "only", "generalizing"})
"""What ends a walk backwards: a tactic may follow, or what came before is no application."""
_TERM_SYMBOLS = frozenset(":=≠≤≥<∣/^*∧∨→↔←▸∘∈∉⊆≡↦¬$↑×")
_TAKES_ARGUMENT = frozenset({"pos", "neg", "some"})


def computed_setting(text: str, read: Sequence[LeanToken]) -> LeanToken | None:
    """The name of the first setting, in the order of the text, whose value may be code; None if there is none."""
    opener: dict[int, int] = {}  # of a closing bracket
    around: list[int] = []  # the bracket that is open around each token, or -1
    stack: list[int] = []
    for index, token in enumerate(read):
        if token.text in _CLOSE and stack:
            opener[index] = stack.pop()
        around.append(stack[-1] if stack else -1)
        if token.text in _OPEN:
            stack.append(index)
    for index in range(len(read) - 2):
        if read[index].text != "(" or read[index + 1].kind != "word" or read[index + 2].text != ":=":
            continue
        name = read[index + 1].text.replace("«", "").replace("»", "")
        if name in _TACTIC_BLOCKS or _is_plain_value(read, index + 3):
            continue
        if name in NEVER_COMPUTED or not _in_term(text, read, index, opener, around):
            return read[index + 1]
    return None


def _is_plain_value(read: Sequence[LeanToken], begin: int) -> bool:
    """Whether the value that begins here, up to its closing parenthesis, is made of literals and names without application."""
    depth = 0
    for index in range(begin, min(begin + _MAX_TOKENS, len(read) - 1)):
        token, before, after = read[index], read[index - 1], read[index + 1]
        if token.text == ")":
            return depth == 0
        if token.text in ("by", "do", "fun", "match"):
            return False
        if token.text in "{[":
            depth += 1
        elif token.text in "]}":
            depth -= 1
        elif token.kind not in ("word", "number") and token.text not in (",", ".", "-", ":="):
            return False
        ends = before.kind in ("word", "number") or before.text in "]}"
        begins = token.kind in ("word", "number") or token.text in "{[."
        glued = token.text == "." and before.end == token.begin
        field = after.text == ":=" or token.text == "with" or before.text == "with"
        if ends and begins and not field and not glued and before.text.split(".")[-1] not in _TAKES_ARGUMENT:
            return False
    return read[-1].text == ")" and len(read) - begin <= _MAX_TOKENS and depth == 0  # the proof's last token is not in the loop


def _in_term(text: str, read: Sequence[LeanToken], index: int, opener: Mapping[int, int], around: Sequence[int]) -> bool:
    """Whether the parenthesis at index is an argument in a term: read backwards over what it is applied to."""
    place, head, need_head = index, False, True
    for _ in range(_MAX_TOKENS):
        place -= 1
        if place < 0:
            return False
        token, after = read[place], read[place + 1]
        same_line = "\n" not in text[token.end : after.begin]
        if token.text in _NO_TERM:
            return False
        if _begins_term(read, place, around, same_line):
            if not (token.text == ":=" and place > 1 and read[place - 1].kind == "word" and read[place - 2].text == "("):
                return head or not need_head
            if read[place - 1].text in _TACTIC_BLOCKS | NEVER_COMPUTED:
                return False
            place, head, need_head = place - 2, False, True  # the value of an outer named argument: is that one in a term?
        elif not same_line and (after.text not in _OPEN or (place + 1 != index and not head and not need_head)):
            return False
        elif place in opener:
            place, head = opener[place], False
        elif token.text == "(":
            if need_head and not head:
                return False
            head = need_head = False
        elif token.kind in ("word", "number"):
            head = token.kind == "word"
        elif token.text not in ("@", ".", "?"):
            return False
    return False


def _begins_term(read: Sequence[LeanToken], place: int, around: Sequence[int], same_line: bool) -> bool:
    """Whether what follows this token can only be a term."""
    token, before = read[place], read[place - 1] if place else None
    if token.kind == "word":
        return token.text in _TERM_WORDS
    if token.text in ("[", ","):
        bracket = place if token.text == "[" else around[place]
        if bracket > 0 and read[bracket].text == "[":  # `<;> [simp, skip]` and `map_tacs [simp; skip]` are lists of tactics
            return read[bracket - 1].text not in (">", "map_tacs")
        return True
    if token.text == ">" and before is not None and before.text == "=" and before.end == token.begin:
        return _is_function(read, place - 2)
    if token.text == "|":
        return before is not None and before.text == "<" and before.end == token.begin
    return token.text in ("⟨", ":=") or (token.text in _TERM_SYMBOLS and same_line)


def _is_function(read: Sequence[LeanToken], place: int) -> bool:
    """Whether the `=>` behind this token is that of a `fun`, with names and no more between."""
    while place >= 0 and read[place].kind == "word" and read[place].text not in _NO_TERM:
        if read[place].text == "fun":
            return True
        place -= 1
    return place >= 0 and read[place].text == "λ"
