"""The screen of Lean proofs: what is refused, what is not, and that words hidden from a naive reader are found."""

from contextlib import suppress

import pytest

from tests.clock import stopwatch
from verifiers.proofs.lean_screen import screen
from verifiers.proofs.lean_tokens import ScreenError, read_tokens

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
    "a command behind a quoted name": "by exact «s».fstᶜrun_cmd pure ()",
    "a command behind a quoted name, with a string": 'by exact «s».fstᶜelab "foo" : command => pure ()',
    "a command behind a number behind a letter that is none": "by exact sᶜ2e5run_cmd pure ()",
    "a theorem behind a hexadecimal number": "sᶜ0xftheorem x : True := trivial",
    "sorry behind a number behind a letter that is none": "sᶜ2e5sorry",
    "sorry behind an exponent behind a point": "1.e5sorry",
    "sorry between characters behind a letter that is none": "sᶜ'\"' sorry sᶜ'\"' 'a'",
    "sorry behind a raw string behind a letter that is none": r'sᶜr"\" sorry --"',
    "sorry behind a raw string behind a number": r'f 2r"\" sorry --"',
    "sorry before a string of a letter that is one": r'℃r"\" " sorry " " -- "',
    "sorry between characters behind a prime": "⨆'\"' sorry ⨆'\"' 'a'",
    "sorry behind a letter of newer versions": "é'\"' sorry é'\"' 'a'",
    "a command behind a letter of newer versions": "é.run_cmd",
    "a string with an unknown escape": r'by trace "\q"',
    "a word behind a longer operator": "by exact (f : a →oby_elab pure x)",
    "a word behind a bracket that is longer": "by exact (h : a ≡ b [MODby_elab pure x])",
    "IO": 'by exact IO.FS.writeFile "/tmp/x" "y"',
    "unsafeBaseIO": "by exact unsafeBaseIO (pure 1)",
    "plausible": "by plausible",
    "slim_check": "by slim_check",
    "polyrith": "by polyrith",
    "a configuration by a do block": "by simp (config := f (do let _ ← g; pure {}))",
    "a configuration in a term's place": "by exact foo (config := f 1)",
    "a setting by match": "by\n  simp (maxSteps := match f () with | .ok _ _ => 1 | .error _ _ => 2)",
    "a setting by a function": "by\n  simp (maxSteps := f ())",
    "a setting by a function of a name": "by simp (maxSteps := f x)",
    "a setting by an operator": "by simp (maxSteps := x |>.run)",
    "a setting on the next line": "by\n  simp\n    (maxSteps := f ())",
    "a setting after another": "by simp +arith (maxSteps := f ())",
    "a setting after a plain one": "by simp (arith := true) (maxSteps := f ())",
    "a setting with a quoted name": "by simp («maxSteps» := f ())",
    "a setting with a comment": "by simp (/- -/ maxSteps /- -/ := f ())",
    "a setting of apply": "by apply (transparency := f ()) h",
    "a setting of apply after an option": "by apply +x (transparency := f ()) h",
    "a setting behind try": "by try simp (maxSteps := f ())",
    "a setting behind a sequence": "by exact h <;> simp (maxSteps := f ())",
    "a setting in a list of tactics": "by exact h <;> [simp (maxSteps := f ()), skip]",
    "a later setting in a list of tactics": "by exact h <;> [skip, simp (maxSteps := f ())]",
    "a setting behind a line": "by\n  exact h\n  simp (maxSteps := f ())",
    "a setting in parentheses behind a line": "by\n  exact h\n  (simp (maxSteps := f ()))",
    "a setting in braces": "by\n  { simp (maxSteps := f ()) }",
    "a setting behind a bullet": "by\n  · simp (maxSteps := f ())",
    "a setting behind an alternative": "by first | exact h | simp (maxSteps := f ())",
    "a setting behind an arrow": "by\n  cases h with\n  | inl h => simp (maxSteps := f ())",
    "a setting in a discharger": "by simp (disch := simp (maxSteps := f ()))",
    "a setting behind induction's with": "by induction n using foo with simp (maxSteps := f ())",
    "a setting behind then": "by if h : p then simp (maxSteps := f ()) else simp",
    "a discharger by a do block": "by\n  linarith (config := {discharger := do f (← g)})",
    "a discharger of linarith": "by linarith (discharger := do f)",
    "preprocessors by a function": "by linarith (config := {preprocessors := [f x]})",
    "an oracle by a function": "by linarith (oracle := some (f x))",
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
    "complements": "by simp [sᶜ, Aᶜ.ncard, (sᶜ)ᶜ, s ×ˢ t, f =ᵐ[μ] g, a →ₗ[ℝ] b, 𝟙 X, λ x => x, Π₀ i, x₁, aᵢ, ℝ≥0∞]",
    "a name of newer letters": "by exact «Erdős» é",
    "congruences": "by exact (h : a ≡ b [MOD 3]).trans (k : a ≡ b [ZMOD n])",
    "names glued to arrows": "by rw [←h_def, ←hdef, -x_end, ↑prefix_of]",
    "a plain configuration": "by simp (config := {decide := true, maxSteps := 3})",
    "plain configurations": (
        "by\n  norm_num (config := { decide := true })\n  congr! (config := .unfoldSameFun)"
        "\n  simp (config := { zeta := false\n    arith := true })"
    ),
    "a configuration with another": "by simp (config := { Simp.neutralConfig with arith := true })",
    "occurrences": "by rw (config := {occs := .pos [1, 3]}) [h]; rw (occs := Occurrences.pos [2]) [h]; simp (maxDepth := some 3)",
    "settings": "by simp (arith := true) (maxSteps := 100000) [h]; linarith (splitNe := true); aesop (rule_sets := [A, -default])",
    "a discharger by name": "by field_simp (discharger := assumption)",
    "dischargers": "by simp (disch := first | assumption | positivity) [h]; linear_combination (norm := (field_simp; ring)) (exp := 2) h",
    "named arguments": "by\n  have h := foo (n := 3) (x := y)\n  exact bar (m := 2)",
    "computed named arguments": "by\n  have h := foo (n := k + 1)\n  exact lt_of_lt (p := fun x => x + 1) (h := by simp) h",
    "computed named arguments in lists": (
        "by nlinarith [sq_nonneg (x := a - b), foo (n := k + 1), mul_pos h (bar (y := f x))]; rw [← foo (n := k + 1)]"
    ),
    "computed named arguments elsewhere": (
        "by\n  refine ⟨foo (n := k + 1), fun x => bar (y := x + 1), h.le (c := a + b)⟩\n  simpa using @foo a b (n := k + 1)"
    ),
    "a computed motive": "by\n  induction n using Nat.rec (motive := fun n => n = n) with\n  | zero => rfl\n  | succ k ih => simp",
    "a nested named argument": "by exact foo (h := bar (n := k + 1))",
    "a computed argument on its own line": "by\n  have h :=\n    foo a b\n      (n := k + 1)\n  exact (h (x := a + b)).le",
    "a computed argument behind an operator": "by exact a ▸ foo (n := k + 1) <| bar (n := k + 1)",
    "lemmas and places": "by\n  norm_num [foo, bar] at h ⊢\n  nlinarith [sq_nonneg (a - b), mul_self_nonneg (a + b)]",
    "patterns": "by\n  rcases h with ⟨x, rfl | hx⟩\n  obtain ⟨x, hx⟩ := h\n  rintro ⟨a, b⟩ (h | h)",
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
    read = read_tokens(text)
    assert [token.text for token in read] == ["theorem", "a.b", "(", "x", ":", "ℕ", ")", ":", "x", "=", "1", ":=", "by", "simp"]
    assert all(text[token.begin : token.end] == token.text for token in read)


@pytest.mark.parametrize(
    "piece",
    [
        "/-",
        '"',
        "'",
        "«",
        "a.",
        "0b",
        "open a ",
        "\\",
        "⁻¹'",
        "#",
        "-- ",
        "r#",
        "«a».",
        "set_option ",
        "x ",
        "@[",
        "f (n := f ",
        "(n := {",
        "→a",
        "exact f (n := k + 1) ",
    ],
)
def test_hostile_text_takes_linear_time(piece):
    took = stopwatch()
    with suppress(ScreenError):
        screen(piece * (190_000 // len(piece)))
    assert took() < 3
