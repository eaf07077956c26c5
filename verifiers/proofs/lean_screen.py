r"""What a Lean proof may not contain, found by reading its tokens: before Lean sees it, and without Lean.

A proof that a policy wrote is one term (mostly `by` and tactics) that follows our `:=`. Lean ends a declaration where the next
command begins, and every command that could change what the theorem means, or what may be assumed, begins with a reserved word.
So the rule is: no reserved word of a command anywhere in the proof, whatever its column, except `open ... in` and a few
`set_option ... in`. Nothing can then be declared before, beside or after the theorem. The other words refused are those that leave
a goal unproved (`sorry`, `admit`, `apply?`), trust the compiler (`native_decide`), or run code of the policy's in the elaborator.
A tactic's setting, `simp (maxSteps := term)`, is such code, for Lean compiles and runs the term: a value in `(name := value)` must be
a plain one (numbers, names, lists and structures of them), unless all before it shows that it is an argument of a term.

Words count where Lean would read them: not in comments, strings or characters. Where reading alike is uncertain (a string with a
brace, which may be interpolated code; a comment or a quote glued to an operator; a number that runs into a refused word; a doc
comment) the proof is refused as a whole. This is a screen, not the judge: Lean's errors, the `sorries` it reports and the axioms
it lists decide (`lean_proof.py`). Left out: notation that the problem's own preamble or Mathlib defines.
"""

import re
from collections.abc import Sequence

from verifiers.proofs.lean_settings import computed_setting
from verifiers.proofs.lean_tokens import APART, LeanToken, ScreenError, at_line, read_tokens

MAX_HEARTBEATS = 1_000_000
"""The most that `set_option maxHeartbeats` in a proof may ask for; 0, which is without limit, is refused."""
_MAX_OPTIONS = {"maxHeartbeats": MAX_HEARTBEATS, "synthInstance.maxHeartbeats": MAX_HEARTBEATS, "maxRecDepth": 100_000}


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNPROVED = _word_set("sorry admit stop sorryAx lcProof lcUnreachable apply? exact? rw? rewrites? observe? have?")
COMPILED = _word_set("native_decide ofReduceBool ofReduceNat reduceBool reduceNat trustCompiler")
ELABORATOR = _word_set(
    """run_tac run_conv by_elab Elab unsafe unsafeCast unsafeIO implemented_by extern csimp include_str dbg_trace skipKernelTC
    IO EIO BaseIO RealWorld unsafeBaseIO unsafeEIO setEnv modifyEnv addDecl addAndCompile evalExpr evalConst TacticM MetaM CoreM
    TermElabM CommandElabM plausible slim_check polyrith with_panel_widgets"""
)
COMMANDS = _word_set(
    """abbrev add_aesop_rules add_decl_doc alias assert_exists assert_not_exists attribute axiom axioms binder_predicate
    builtin_dsimproc builtin_initialize builtin_simproc class coinductive count_heartbeats declare_aesop_rule_sets
    declare_syntax_cat def deriving dsimproc dsimproc_decl elab elab_rules end erase_aesop_rules example export
    gen_injective_theorems grind_pattern import include inductive infix infixl infixr init_quot initialize
    initialize_simps_projections instance irreducible_def lemma library_note local macro macro_rules meta
    mk_iff_of_inductive_prop mutual namespace noncomputable nonrec notation notation3 omit opaque open_locale partial postfix
    prefix prelude private proof_wanted protected public recall register_builtin_option register_error_explanation
    register_label_attr register_linter_set register_option register_simp_attr register_tactic_tag register_try?_tactic run_cmd
    run_elab run_meta scoped seal section simproc simproc_decl structure suppress_compilation syntax tactic_extension theorem
    unif_hint universe unseal unsuppress_compilation variable variable? whatsnew"""
)
"""Reserved words that begin a command, or a modifier of one. `open` and `set_option` are looked at more closely."""
HASH_COMMANDS = _word_set(
    """eval eval! check check_failure check_simp check_tactic exit print reduce synth guard guard_msgs guard_expr help where find
    find_home import lint simp norm_num conv ring_nf push_cast unify widget html test sample instances explode loogle moogle
    leansearch min_imports count_heartbeats long_names show_deprecated_to redundant_imports aesop_rules version dump_async
    discr_tree_key discr_tree_simp_key grind_lint info_trees"""
)
_NAMES = UNPROVED | COMPILED | ELABORATOR  # refused in any part of a dotted name: `Lean.ofReduceBool`, «sorryAx»
_WHOLE = COMMANDS | {"#" + word for word in HASH_COMMANDS}
_IN_NUMBERS = tuple(sorted(_NAMES | COMMANDS))

_SWALLOWED = re.compile(r"[A-Z]?MOD|_+|[A-Za-z]")  # how an operator can go on in letters: ⊤_, →o, [MOD
_BROKEN_OFF = re.compile(r"(?<=[^\x00-\x7f»])[A-Za-z_][A-Za-z_0-9'!?]*")  # what follows a letter outside ASCII


def screen(proof: str) -> None:
    """Raises ScreenError, naming line and word, if the proof holds anything that it may not."""
    read = read_tokens(proof)
    for index, token in enumerate(read):
        word = _refused_word(token) or _behind_operator(read, index)
        if token.text in ("open", "set_option"):
            word = _not_local(read, index)
        elif token.text == "scoped" and index and read[index - 1].text == "open":
            word = ""  # open scoped Name in
        elif token.text == "[" and index and read[index - 1] == ("@", "symbol", token.begin - 1, token.begin):
            word = "@["
        elif token.text == "%" and index and read[index - 1].text in ("eval", "sorry"):
            word = read[index - 1].text + "%"
        elif token.text == "native" and token.kind == "word":
            word = "native"  # decide +native, and (config := {native := true})
        if word:
            raise ScreenError(at_line(proof, token.begin, f"{word} is not allowed in a proof"))
    if setting := computed_setting(proof, read):
        raise ScreenError(at_line(proof, setting.begin, f"({setting.text} := ...) with a value that may be code is not allowed in a proof"))


def _refused_word(token: LeanToken) -> str:
    """The refused word that a token is or holds, or ""."""
    if token.kind == "hash":
        return token.text if token.text in _WHOLE else ""
    if token.kind == "number":
        return next((word for word in _IN_NUMBERS if word in token.text), "")
    if token.kind != "word":
        return ""
    if token.text in _WHOLE:
        return token.text
    if not token.text.isascii() and (hit := (COMMANDS | _NAMES).intersection(_BROKEN_OFF.findall(token.text))):
        return min(hit)  # should a version of Lean end a name where we do not
    return next((part for part in token.text.replace("«", "").replace("»", "").split(".") if part in _NAMES), "")


def _behind_operator(read: Sequence[LeanToken], index: int) -> str:
    """The refused word that is left of a word if the operator right before it is a longer one: `→orun_cmd` may be `→o run_cmd`."""
    token, before = read[index], read[index - 1] if index else None
    if token.kind != "word" or before is None or before.end != token.begin or before.kind != "symbol" or before.text == "←":
        return ""
    if before.text in APART and before.text != "[":
        return ""
    first = token.text.split(".")[0]
    swallowed = _SWALLOWED.match(first)
    rests = (first[swallowed.end() :] if swallowed else "", first[2:] if first[:2].isalpha() else "")  # two letters: →co
    return next((rest for rest in rests if rest in _NAMES or rest in COMMANDS), "")


def _not_local(read: Sequence[LeanToken], index: int) -> str:
    """What is wrong with an `open` or a `set_option`: it must end in `in`, and the option must be harmless."""
    keyword = read[index].text
    rest = [token.text for token in read[index + 1 : index + 40]]
    if keyword == "open":
        names = rest[: rest.index("in")] if "in" in rest else []
        local = bool(names) and all(_PLAIN_NAME.fullmatch(name) for name in names) and len(rest) > len(names) + 1
        return "" if local else "open without `in` and something after it"
    name, value, after, there = (*rest, "", "", "", "")[:4]
    if name not in _MAX_OPTIONS:
        return f"set_option {name}"
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not 0 < int(value) <= _MAX_OPTIONS[name]:
        return f"set_option {name} {value[:12]} (allowed are 1 to {_MAX_OPTIONS[name]})"
    return "" if after == "in" and there else "set_option without `in` and something after it"


_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.']*|[()]")
