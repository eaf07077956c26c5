"""The screen of Lean proofs: what is refused, what is not, and that words hidden from a naive reader are found."""

import time
from contextlib import suppress

import pytest

from verifiers.lean_screen import ScreenError, screen, tokens

REFUSED = {
    "sorry": "by sorry",
    "sorry as a term": "⟨sorry, rfl⟩",
    "sorry behind an operator": "by rw [← h]; exact (fun x ↦sorry) 1",
    "sorry behind lambda": "λsorry",
    "sorry behind a letter outside ASCII": "ℝsorry",
    "sorry after a comment that seems longer": "by /- -/ sorry /- -/",
    "sorry after a nested comment": "by /- /- -/ -/ sorry",
    "sorry after a string with an escaped quote": r'by trace "\"" ; sorry',
    "sorry after a raw string": r'by trace r"\" ; sorry -- "',
    "sorry after a character": "by exact f '\"' sorry '\"'",
    "sorry in an interpolated string": 'by trace s!"{sorry}"',
    "sorry behind a comment glued to an arrow": "by rw [<--sorry]",
    "sorry behind a binary number": "0b1sorry",
    "sorry behind an exponent": "1e5sorry",
    "sorry by its constant": "sorryAx _ true",
    "sorry by its quoted constant": "«sorryAx» _ true",
    "admit": "by admit",
    "stop": "by stop\n  simp",
    "apply?": "by apply?",
    "exact?": "by exact?",
    "native_decide": "by native_decide",
    "native_decide by its option": "by decide +native",
    "native_decide by its configuration": "by decide (config := { native := true })",
    "native_decide by its axiom": "Lean.ofReduceBool _ _ rfl",
    "axiom": "by exact ax\naxiom ax : 1 = 2",
    "axiom on the same line": "ax axiom ax : 1 = 2",
    "axiom behind an indent": "by exact ax\n    axiom ax : 1 = 2",
    "local instance": "by rfl\nlocal instance : Add Nat := ⟨Nat.mul⟩",
    "instance": "by rfl\ninstance : Add Nat := ⟨Nat.mul⟩",
    "notation": 'by rfl\nnotation "x" => 1',
    "infixl": 'by rfl\ninfixl:65 " + " => Nat.mul',
    "macro": 'by rfl\nmacro "t" : tactic => `(tactic| trivial)',
    "macro_rules": "by rfl\nmacro_rules | `(tactic| t) => `(tactic| trivial)",
    "syntax": 'by rfl\nsyntax "t" : tactic',
    "elab": 'by rfl\nelab "t" : tactic => pure ()',
    "run_cmd": "by rfl\nrun_cmd pure ()",
    "run_tac": "by run_tac pure ()",
    "by_elab": "by exact by_elab return default",
    "eval%": "eval% 1",
    "#eval": "by rfl\n#eval 1",
    "#exit": "by rfl\n#exit",
    "#print": "by rfl\n#print axioms foo",
    "attribute": "by rfl\nattribute [simp] foo",
    "an attribute": "by rfl\n@[simp] foo",
    "open": "by rfl\nopen Nat",
    "open for what follows": "by rfl\nopen Nat in",
    "open for what follows, behind a comment": "by rfl\nopen Nat in -- simp",
    "set_option": "by rfl\nset_option autoImplicit true",
    "set_option debug.skipKernelTC": "by set_option debug.skipKernelTC true in rfl",
    "unlimited heartbeats": "by set_option maxHeartbeats 0 in simp",
    "too many heartbeats": "by set_option maxHeartbeats 99999999 in simp",
    "set_option for what follows": "by rfl\nset_option maxRecDepth 1000 in",
    "import": "by rfl\nimport Lean",
    "end": "by rfl\nend",
    "namespace": "by rfl\nnamespace A",
    "section": "by rfl\nsection",
    "variable": "by rfl\nvariable (h : False)",
    "theorem": "by rfl\ntheorem easier : True := trivial",
    "private def": "by rfl\nprivate def x := 1",
    "unsafe": "unsafe foo",
    "implemented_by": "by rfl\nattribute [implemented_by foo] bar",
    "extern": 'by rfl\n@[extern "x"] opaque y : Nat',
    "csimp": "csimp",
    "Elab": "by exact Lean.Elab.foo",
    "initialize": "by rfl\ninitialize pure ()",
    "a doc comment": "by rfl\n/-- x -/",
    "a module doc": "by rfl\n/-! x -/",
    "a comment that does not end": "by rfl /- /- -/",
    "a string that does not end": 'by trace "',
    "a raw string that does not end": 'by trace r#"a"',
    "an unpaired guillemet": "by exact «h",
    "a carriage return": "by rfl -- \r sorry",
    "a tabulator": "by\n\trfl",
    "a null": "by rfl\0",
}

ALLOWED = {
    "words in comments": "by -- sorry axiom\n  /- native_decide /- theorem -/ #eval -/\n  rfl",
    "words in a string": 'by trace "sorry axiom"; rfl',
    "words in a raw string": 'by trace r#"sorry " axiom"#; rfl',
    "words within names": "by exact sorry_free (h.prefix_of axiomatic) (unsorry endless) my_instance",
    "words as parts of dotted names": "by exact List.prefix.theorem.end",
    "apply with a hole": "by apply ?succ",
    "open ... in": "by open Nat in simp",
    "open scoped ... in": "by open scoped BigOperators Real in simp",
    "some heartbeats": "by\n  set_option maxHeartbeats 400000 in\n  nlinarith",
    "primes": "by intro h'; rcases h'' with ⟨x', hx'⟩; simp [f' , cases']",
    "image and preimage": "by simp [f '' s, f ⁻¹' t, ∑' i, g i]",
    "characters": "by exact h 'a' '\\n' '\\x41' '\\''",
    "quoted names": "by exact «my hypothesis»",
    "cardinality": "by simp [#s]",
    "where and termination": "fun n => go n\nwhere\n  go n := n\ntermination_by n => n\ndecreasing_by simp",
    "have, show and calc": "by\n  have h : a = b := by ring\n  calc a = b := h\n    _ = c := by norm_num",
    "numbers": "by norm_num [1.5e3, 0xff, 0b101, 2x]",
    "local definitions": "by\n  let rec go (n : Nat) : Nat := n\n  letI := h\n  rfl",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_proof_is_refused_that_holds(name):
    with pytest.raises(ScreenError):
        screen(REFUSED[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_a_proof_may_hold(name):
    screen(ALLOWED[name])


def test_a_refusal_names_the_line_and_the_word():
    with pytest.raises(ScreenError, match=r"^line 3: axiom is not allowed in a proof$"):
        screen("by\n  rfl\naxiom a : False")


def test_tokens_stand_where_they_say():
    text = "theorem a.b (x : ℕ) : x = 1 := /- c -/ by simp"
    read = tokens(text)
    assert [token.text for token in read] == ["theorem", "a.b", "(", "x", ":", "ℕ", ")", ":", "x", "=", "1", ":=", "by", "simp"]
    assert all(text[token.begin : token.end] == token.text for token in read)


@pytest.mark.parametrize(
    "piece", ["/-", '"', "'", "«", "a.", "0b", "open a ", "\\", "⁻¹'", "#", "-- ", "r#", "«a».", "set_option ", "x ", "@["]
)
def test_hostile_text_takes_linear_time(piece):
    start = time.perf_counter()
    with suppress(ScreenError):
        screen(piece * (190_000 // len(piece)))
    assert time.perf_counter() - start < 3
