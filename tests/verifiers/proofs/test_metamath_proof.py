"""Metamath: what the book calls a proof is accepted, everything else is refused with its step, and hostile text costs nothing.

The small databases are written here; verdicts on them were checked against the `metamath` program 0.195. The large ones are
Debian's, where they are installed.
"""

import itertools
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.metamath import theorem_problem
from tests.clock import processor_time
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.proofs.metamath_database import Database, load
from verifiers.proofs.metamath_proof import extract_proof, verify
from verifiers.rewards.gold_answers import gold_response
from verifiers.verdict import Status, Verdict
from verifiers.worker_pool.verifier_pool import VerifierPool

INSTALLED = Path("/usr/share/metamath/databases")
needs_databases = pytest.mark.skipif(not (INSTALLED / "set.mm").is_file(), reason="needs `apt install metamath-databases`")

# Chapter 2 of the Metamath book.
ARITHMETIC = """
$( A comment with $[ no.mm $] and $v words $)
$c 0 + = -> ( ) term wff |- $.  $v t r s P Q $.
tt $f term t $.  tr $f term r $.  ts $f term s $.  wp $f wff P $.  wq $f wff Q $.
tze $a term 0 $.  tpl $a term ( t + r ) $.  weq $a wff t = r $.  wim $a wff ( P -> Q ) $.
a1 $a |- ( t = r -> ( t = s -> r = s ) ) $.  a2 $a |- ( t + 0 ) = t $.
${ min $e |- P $.  maj $e |- ( P -> Q ) $.  mp $a |- Q $. $}
th1 $p |- t = t $=
  tt tze tpl tt weq tt tt weq tt a2 tt tze tpl tt weq tt tze tpl tt weq tt tt weq wim tt a2 $( half $) tt tze tpl tt tt a1 mp mp $.
${ two.1 $e |- P $.  two.2 $e |- ( P -> ( P -> Q ) ) $.
   two $p |- Q $= ( wim mp ) ABCAABECDFF $. $}
later $p |- r = r $= tr th1 $.
"""
TH1 = "tt tze tpl tt weq tt tt weq tt a2 tt tze tpl tt weq tt tze tpl tt weq tt tt weq wim tt a2 tt tze tpl tt tt a1 mp mp"
TH1_COMPRESSED = "( tze tpl weq a2 wim a1 mp ) ABCZADZAADZAEZJJKFLIAAGHH"

# all.x: a variable may not be put where it would be captured. A miniature of set.mm's ax-5.
QUANTIFIED = """
$c wff setvar |- A. ( ) -> $.  $v ph ps x y z $.
wph $f wff ph $.  wps $f wff ps $.  vx $f setvar x $.  vy $f setvar y $.  vz $f setvar z $.
wi $a wff ( ph -> ps ) $.  wal $a wff A. x ph $.  wxy $a wff ( x y ) $.
${ $d x ph $.  ax-5 $a |- ( ph -> A. x ph ) $. $}
${ $d x y $.  ax-ne $a |- ( x y ) $. $}
${ mp.1 $e |- ph $. mp.2 $e |- ( ph -> ps ) $. mp $a |- ps $. $}
${ drop.1 $e |- ( ( x y ) -> ph ) $.  $d x y z $.  drop $p |- ph $= vx vy wxy wph vx vy ax-ne drop.1 mp $. $}
${ drop2.1 $e |- ph $.  drop2 $p |- A. x ph $= ? $. $}
${ $d x y $.  ne $p |- A. z ( x y ) $= ? $. $}
${ $d x ph $.  $d z ph $.  ok $p |- ( ph -> A. z ph ) $= wph vz ax-5 $. $}
captured $p |- ( ( x y ) -> A. x ( x y ) ) $= ? $.
undeclared $p |- ( ph -> A. x ph ) $= ? $.
"""

# Every use of `dbl` doubles what is on the stack.
DOUBLING = """
$c wff |- ( & ) x1 $.  $v p q $.  wp $f wff p $.  wq $f wff q $.
w1 $a wff x1 $.  dbl $a wff ( p & p ) $.  ax $a |- p $.  pair $a wff ( p & q ) $.  ${ c.1 $e wff p $. const $a wff x1 $. $}
end $p |- x1 $= w1 ax $.
"""

_count = itertools.count()


def judge(folder: Path, text: str, theorem: str, response: str, **meta: Any) -> Verdict:
    path = folder / f"{next(_count)}.mm"
    path.write_text(text)
    return verify(make_problem("?", "?", verifier="metamath_proof", meta={"database": str(path), "theorem": theorem, **meta}), response)


@pytest.mark.parametrize("proof", [TH1, TH1_COMPRESSED, TH1_COMPRESSED.replace("HH", " H\n H"), TH1.replace("a2", "$( axiom $) a2", 1)])
@pytest.mark.parametrize(
    "frame", ["{}", "$= {} $.", "Thus\n```metamath\n{}\n```\nas asked.", "<answer>{}</answer>", "x</think> th1 $p |- 0 = 0 $= {} $."]
)
def test_proofs_are_accepted(tmp_path: Path, proof: str, frame: str) -> None:
    verdict = judge(tmp_path, ARITHMETIC, "th1", frame.format(proof))
    assert (verdict.status, verdict.score) == (Status.RIGHT, 1.0), verdict.detail


@pytest.mark.parametrize("database", [ARITHMETIC, QUANTIFIED, DOUBLING])
def test_the_proofs_of_the_databases_are_their_golds(tmp_path: Path, database: str) -> None:
    path = tmp_path / "small.mm"
    path.write_text(database)
    for label in load(path).theorems():
        problem = theorem_problem(path, label)
        expected = Status.WRONG if problem.answer == "?" else Status.RIGHT
        assert verify(problem, gold_response(problem)).status is expected, label
        assert label in str(problem.prompt)


REFUSED = [
    ("th1", "the theorem itself"),
    ("tt later", "later in the database"),
    ("( later ) AB", "later in the database"),
    ("tt min", "not active"),
    ("tt two.1", "two.1 comes later"),
    ("tt nonsense", "not a label"),
    ("tt 0 +", "not a label"),
    ("?", "unknown step ?"),
    ("tt ? tpl", "unknown step ?"),
    ("( ) A?", "unknown step ?"),
    ("$= $.", "empty"),
    ("( )", "0 expressions are left"),
    ("tt mp", "step 2 (mp): it needs 4 hypotheses but the stack holds 1"),
    ("tt tt", "2 expressions are left"),
    ("tt", "proves 'term t' instead of '|- t = t'"),
    ("tt a2", "proves '|- ( t + 0 ) = t'"),
    ("wp tt weq", "step 3 (weq): tt must be a term but is 'wff P'"),
    (TH1.replace("tt tze tpl tt tt a1", "tt tt tt a1"), "step 31 (mp): maj must be '|- ( ( t + 0 ) = t -> "),
    ("( tt tze ) AB", "mandatory hypothesis, which a compressed proof may not list"),
    ("( tze tpl", "not closed"),
    ("( tze ) ZAB", "Z must follow an assertion's step"),
    ("( tze ) AZB", "Z must follow an assertion's step"),
    (TH1_COMPRESSED.replace("JJK", "JZJK"), "Z must follow an assertion's step"),
    (TH1_COMPRESSED.replace("JJK", "JTK"), "refers to label 20 of 12"),
    (TH1_COMPRESSED + "U", "no letter from A to T ends"),
    (TH1_COMPRESSED.replace("AEZ", "AUZ"), "no letter from A to T ends"),
    ("( tze ) Aa", "no letter of a compressed proof"),
    ("( tze ) " + "U" * 50 + "A", "larger than any list"),
    ("$= tt $[ /etc/passwd $] $.", "$[ in the proof"),
    ("$= tt $( open $.", "$( in the proof"),
    ("$= mine $a |- t = t $.", "$a in the proof"),
    ("$= tt​ th1 $.", "printable ASCII"),
    ("```\n" + "tt " * 200_000 + "\n```", "more than 200000"),
]


@pytest.mark.parametrize(("proof", "why"), REFUSED)
def test_what_is_no_proof_is_refused_with_the_reason(tmp_path: Path, proof: str, why: str) -> None:
    verdict = judge(tmp_path, ARITHMETIC, "th1", proof if proof[0] in "$`" else f"$= {proof} $.")
    assert (verdict.status, verdict.score) == (Status.WRONG, 0.0)
    assert why in verdict.detail
    assert "\n" not in verdict.detail
    assert len(verdict.detail) < 500


@pytest.mark.skipif(shutil.which("metamath") is None, reason="needs `apt install metamath`")
@pytest.mark.parametrize(
    "proof", [*(proof for proof, _ in REFUSED if not set(proof) & set("$`")), TH1, TH1_COMPRESSED, TH1_COMPRESSED.replace("CZ", "CZZ")]
)
def test_the_program_says_the_same(tmp_path: Path, proof: str) -> None:
    """Incomplete proofs, which it only warns of, are refused here."""
    before, after = ARITHMETIC.index("th1"), ARITHMETIC.index("${ two.1")
    text = f"{ARITHMETIC[:before]} th1 $p |- t = t $= {proof} $. {ARITHMETIC[after:]}"
    path = tmp_path / "a.mm"
    path.write_text(text)
    commands = f'read "{path}"\nverify proof th1\nexit\n'
    done = subprocess.run(["metamath"], input=commands, capture_output=True, text=True, check=True, timeout=10)
    accepts = "Error" not in done.stdout and "not proved" not in done.stdout
    assert accepts is (judge(tmp_path, ARITHMETIC, "th1", f"$= {proof} $.").status is Status.RIGHT), done.stdout


def test_two_z_name_one_step_twice(tmp_path: Path) -> None:
    """As the program has it: the second name is the next number."""
    assert judge(tmp_path, ARITHMETIC, "th1", TH1_COMPRESSED.replace("CZ", "CZZ")).status is Status.WRONG
    shifted = "( tze tpl weq a2 wim a1 mp ) ABCZZADZAADZAEZJKLFMIAAGHH".replace("JKLFMI", "KKLFMI")
    assert judge(tmp_path, ARITHMETIC, "th1", shifted).status is Status.RIGHT


@pytest.mark.parametrize(
    "response", ["", "   ", "I cannot prove this.", "x = 5, so it holds", "<answer> </answer>", "<think>tt th1", "th1!"]
)
def test_no_answer(tmp_path: Path, response: str) -> None:
    assert judge(tmp_path, ARITHMETIC, "th1", response).status is Status.NO_ANSWER


def test_the_last_proof_counts_and_thoughts_do_not() -> None:
    assert (extract_proof("$= a b $. but better $= c d $.") or "").split() == ["c", "d"]
    assert extract_proof("$= a $. </think> I give up!") is None
    assert (extract_proof("```\na\n```\nor\n```mm\nb c\n```") or "").split() == ["b", "c"]
    assert extract_proof("c d $.") == "c d"


@pytest.mark.parametrize(
    ("theorem", "proof", "why"),
    [
        ("ok", "wph vz ax-5", ""),
        ("ok", "wph vx ax-5", "instead of"),
        ("undeclared", "wph vx ax-5", "ph and x have no $d"),
        ("captured", "vx vy wxy vx ax-5", "both hold x"),
        ("drop", "vx vx wxy wph vx vx ax-ne drop.1 mp", "both hold x"),
        ("drop", "vx vy wxy wph vx vy ax-ne drop.1 mp", ""),
        ("captured", "vx vy ax-ne", "x and y have no $d"),
    ],
)
def test_disjoint_variables(tmp_path: Path, theorem: str, proof: str, why: str) -> None:
    verdict = judge(tmp_path, QUANTIFIED, theorem, proof)
    assert verdict.status is (Status.WRONG if why else Status.RIGHT), verdict.detail
    assert why in verdict.detail


DETOUR = """
$c wff setvar |- T ( ) $.  $v ph x y $.  wph $f wff ph $.  vx $f setvar x $.  vy $f setvar y $.
wxy $a wff ( x y ) $.  wt $a wff T $.
${ $d x y $. ax-ne $a |- ( x y ) $. $}
${ cut.1 $e |- ph $.  cut $a |- T $. $}
goal $p |- T $= wt cut $.
"""


def test_dummy_variables_need_their_d_unless_the_problem_says_otherwise(tmp_path: Path) -> None:
    proof = "vx vy wxy vx vy ax-ne cut"
    assert "x and y have no $d" in judge(tmp_path, DETOUR, "goal", proof).detail
    assert judge(tmp_path, DETOUR, "goal", proof, dummies_distinct=True).status is Status.RIGHT
    assert judge(tmp_path, DETOUR, "goal", proof.replace("vy", "vx"), dummies_distinct=True).status is Status.WRONG


def test_a_statement_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "q.mm"
    path.write_text(QUANTIFIED)

    def status(proof: str, **meta: Any) -> Status:
        return verify(make_problem("?", "?", meta={"database": str(path), **meta}), proof).status

    own = {"statement": "|- ( x y )", "disjoint": ["x y"]}
    assert status("vx vy ax-ne", **own) is Status.RIGHT
    assert status("vx vy ax-ne", statement="|- ( x y )") is Status.WRONG  # both variables are in the statement: no dummies
    assert status("vx vy ax-ne", **own, before="ax-ne") is Status.WRONG
    given = {"statement": "|- ps", "hypotheses": {"h1": "|- ph", "h2": "|- ( ph -> ps )"}}
    assert status("wph wps h1 h2 mp", **given) is Status.RIGHT
    assert status("( mp ) ABCDE", **given) is Status.RIGHT
    assert status("wph wps h1 h1 mp", **given) is Status.WRONG
    assert status("wph wps mp.1 mp.2 mp", **given) is Status.WRONG


# ---------------------------------------------------------------- hostile proofs


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        ("w1 " + "dbl " * 60 + "ax", "step 16 (dbl): the expression would have"),
        ("( w1 dbl ax ) A" + "B" * 1000, "the expression would have"),
        ("( w1 dbl ax ) A" + "B" * 13 + "Z" + "DB" * 90_000, "more than 20000000 characters in all"),
        ("( w1 pair ) AZ" + "CB" * 90_000, "more than 20000000 characters in all"),
        ("( w1 const ) A" + "AB" * 95_000, "proves 'wff x1'"),
        ("( w1 dbl ) " + "A" * 190_000, "the stack holds more than 5000"),
        ("( w1 const ) AAB" + "ZC" * 95_000, "Z must follow"),
        ("( w1 ) " + "AZ" * 4_000 + "A", "4001 expressions are left"),
        ("( " + "w1 " * 60_000 + ") A", "proves 'wff x1'"),
        ("w1 " * 60_000, "the stack holds more than 5000"),
        ("$= " + "$( x " * 30_000 + " $.", "$( in the proof"),
        ("( w1 ) " + "U" * 199_000, "U begins a number"),
        ("((((" * 40_000 + "$.", ""),
    ],
)
def test_hostile_proofs_end_within_a_second(tmp_path: Path, proof: str, why: str) -> None:
    with processor_time() as took:
        verdict = judge(tmp_path, DOUBLING, "end", f"$= {proof} $.")
    assert took.seconds < 1.5
    assert verdict.status is Status.WRONG
    assert why in verdict.detail


@pytest.mark.parametrize(
    "response", ["a" + " " * 200_000 + "!", "```\n" * 100_000, "$( " * 100_000, "$= " * 100_000, "<answer>" * 50_000, "\n \n" * 99_999]
)
def test_looking_for_a_proof_takes_linear_time(response: str) -> None:
    with processor_time() as took:
        extract_proof(response)
    assert took.seconds < 1.0


def test_random_proofs_never_raise(tmp_path: Path) -> None:
    path = tmp_path / "a.mm"
    path.write_text(ARITHMETIC)
    problem = theorem_problem(path, "th1")
    draw = random.Random(0)
    pieces = [*TH1.split(), *TH1_COMPRESSED.split(), "(", ")", "$=", "$.", "$(", "$)", "?", "Z", "é", "\0", "</think>", "```\n", "%s", "%"]
    found = {verify(problem, " ".join(draw.choices(pieces, k=draw.randrange(40)))).status for _ in range(3000)}
    assert found <= {Status.WRONG, Status.NO_ANSWER}


# ---------------------------------------------------------------- databases


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("$c a $. x $a a", "no statement can be read at 'x $a a'"),
        ("$c a $. ${", "not closed"),
        ("$c a $. $}", "$} without ${"),
        ("$c a a $.", "twice"),
        ("$c a $. $v a $.", "declared twice"),
        ("${ $v a $. $} $c a $.", "variable and a constant"),
        ("${ $c a $. $}", "outermost"),
        ("$c a $. x $a a $. x $a a $.", "label x is used twice"),
        ("$c a $. x $p a $.", "no $= proof"),
        ("$c a $. x $a a $= ? $.", "has a proof"),
        ("$c a $. a $a a $.", "a label and a symbol"),
        ("$c a $. x $f a b $.", "not a constant and an active variable"),
        ("$c a $. $v v $. f $f a v $. g $f a v $.", "types the variable v again"),
        ("$c a $. $d v w $.", "not an active variable"),
        ("$c a $. $v v $. $d v v $.", "twice"),
        ("$c a $. $( never closed", "no statement can be read"),
        ("$c a$.", "no statement can be read"),
        ("$c a $. é", "byte 0xc3"),
    ],
)
def test_malformed_databases_are_our_fault(tmp_path: Path, text: str, why: str) -> None:
    verdict = judge(tmp_path, text, "x", "x")
    assert (verdict.status, verdict.score) == (Status.BAD_GOLD, None)
    assert why in verdict.detail
    assert "\n" not in verdict.detail


@pytest.mark.parametrize(
    "text", ["$c a $. $v v $. x $p a v $= ? $.", "$c a $. $v v $. f $f a v $. x $p v $= ? $.", "$c a $. x $p a b $= ? $. $c b $."]
)
def test_symbols_that_are_not_active(tmp_path: Path, text: str) -> None:
    assert judge(tmp_path, text, "x", "x").status is Status.BAD_GOLD


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        ({}, 'no "database"'),
        ({"database": "absent.mm", "theorem": "x"}, "apt install metamath-databases"),
        ({"database": "D", "theorem": "absent"}, "no theorem 'absent'"),
        ({"database": "D", "theorem": "a1"}, "no theorem 'a1'"),
        ({"database": "D"}, "either"),
        ({"database": "D", "theorem": "th1", "statement": "|- t = t"}, "either"),
        ({"database": "D", "theorem": "th1", "before": "a1"}, "leave one out"),
        ({"database": "D", "statement": "|- t = nothing"}, "neither a declared constant nor"),
        ({"database": "D", "statement": ""}, "not with a declared constant"),
        ({"database": "D", "statement": "|- t = t", "before": "absent"}, "no statement 'absent'"),
        ({"database": "D", "statement": "|- t = t", "hypotheses": {"a1": "|- t = t"}}, "cannot be a hypothesis's label"),
        ({"database": "D", "statement": "|- t = t", "hypotheses": ["|- P"]}, "object of labels"),
        ({"database": "D", "statement": "|- t = t", "disjoint": ["t"]}, "two different variables"),
        ({"database": "D", "statement": "|- t = t", "disjoint": "t r"}, "list of texts"),
        ({"database": "D", "statement": "|- t = t", "disjoint": ["t 0"]}, "no variable"),
    ],
)
def test_bad_problems_say_what_to_do(tmp_path: Path, meta: dict[str, Any], why: str) -> None:
    path = tmp_path / "D.mm"
    path.write_text(ARITHMETIC)
    if meta.get("database") == "D":
        meta = meta | {"database": str(path)}
    verdict = verify(make_problem("?", "?", meta=meta), "th1")
    assert verdict.status is Status.BAD_GOLD
    assert why in verdict.detail
    assert "\n" not in verdict.detail


SCOPED = """
$c wff |- $.  $v p $.  wp $f wff p $.
${ o.1 $e |- p $.
   ${ $v q $.  wq $f wff q $.  i.1 $e |- q $.  inner $a |- p $. $}
   outer $p |- p $= wp o.1 wp o.1 inner $.
   ${ $v q $.  wq2 $f |- q $.  again $p |- p $= o.1 $. $}
$}
after $p wff p $= wp $.
bad1 $p wff p $= wq $.
bad2 $p wff p $= o.1 $.
"""


def test_nested_scopes(tmp_path: Path) -> None:
    """Outer hypotheses are those of inner assertions too; an inner variable is gone afterwards and may come again with another type."""
    path = tmp_path / "s.mm"
    path.write_text(SCOPED)
    database = Database(path)
    assert [h.label for h in database.frame("inner").hypotheses] == ["wp", "o.1", "wq", "i.1"]
    statuses = {}
    for label in database.theorems():
        problem = theorem_problem(path, label)
        statuses[label] = verify(problem, problem.answer).status is Status.RIGHT
    assert statuses == {"outer": True, "again": True, "after": True, "bad1": False, "bad2": False}
    assert "wq must be a wff but is '|- p'" in verify(theorem_problem(path, "outer"), "wp o.1 o.1 wp inner").detail
    assert "needs 4 hypotheses" in verify(theorem_problem(path, "outer"), "wp o.1 inner").detail


def test_an_empty_substitution_and_odd_symbols(tmp_path: Path) -> None:
    """MIU (appendix D of the book) has the empty word; symbols may hold what Python's formatting knows."""
    text = "$c w |- %s % {0} $. $v x $. wx $f w x $. we $a w $. ws $a w x %s % $. ax $a |- x {0} %s x $. t $p |- {0} %s $= we ax $."
    assert judge(tmp_path, text, "t", "we ax").status is Status.RIGHT
    text = text.replace("t $p |- {0} %s $=", "t $p |- %s % {0} %s %s % $=")
    assert judge(tmp_path, text, "t", "we ws ax").status is Status.RIGHT
    assert judge(tmp_path, text, "t", "we ax").status is Status.WRONG


def test_includes_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "part.mm").write_text("$c a $. $[ whole.mm $] x $a a $.")
    (tmp_path / "whole.mm").write_text("$[ part.mm $] $( $[ absent.mm $] $) $[ part.mm $] y $p a $= x $.")
    assert verify(theorem_problem(tmp_path / "whole.mm", "y"), "x").status is Status.RIGHT
    (tmp_path / "whole.mm").write_text("$[ absent.mm $]")
    with pytest.raises(InputError, match=r"absent\.mm cannot be read"):
        load(tmp_path / "whole.mm")


def test_a_database_is_kept_until_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "d.mm"
    path.write_text(ARITHMETIC)
    first = load(path)
    assert load(path) is first
    path.write_text(ARITHMETIC.replace("th1", "th9"))
    os.utime(path, ns=(1, 1))
    assert load(path) is not first
    assert "th9" in load(path)


# ---------------------------------------------------------------- Debian's databases


@needs_databases
@pytest.mark.parametrize("name", ["demo0.mm", "miu.mm", "hol.mm", "big-unifier.mm"])
def test_whole_databases(name: str) -> None:
    for label in load(INSTALLED / name).theorems():
        problem = theorem_problem(INSTALLED / name, label)
        verdict = verify(problem, gold_response(problem))
        assert verdict.status is Status.RIGHT, f"{label}: {verdict.detail}"


@needs_databases
def test_proofs_of_set_mm() -> None:
    """2p2e4 and 100 others; each refused once its last step is gone, and none by a proof of another."""
    path = INSTALLED / "set.mm"
    labels = ["id", "2p2e4", "pm2.43", *random.Random(7).sample(load(path).theorems(), 100)]
    problems = [theorem_problem(path, label) for label in labels]
    for problem, other in zip(problems, problems[1:] + problems[:1], strict=True):
        assert verify(problem, problem.answer).status is Status.RIGHT, problem.meta
        assert verify(problem, problem.answer[:-1]).status is Status.WRONG, problem.meta
        assert verify(problem, other.answer).status is Status.WRONG, problem.meta
    assert verify(problems[0], "( wi ax-1 ax-2 ax-mp ) AAABZBZFAACAFABBGFBAFCAFADEE").status is Status.RIGHT  # id, as idALT has it


@needs_databases
def test_in_the_pool() -> None:
    problem = theorem_problem(INSTALLED / "ql.mm", "id")
    with VerifierPool(workers=1) as pool:
        right, wrong = pool.verify_many([(problem, problem.answer), (problem, "id")])
    assert (right.status, wrong.status) == (Status.RIGHT, Status.WRONG)


@pytest.mark.slow
@needs_databases
def test_all_of_set_mm() -> None:
    """About 40 seconds."""
    path = INSTALLED / "set.mm"
    wrong = [label for label in load(path).theorems() if verify(p := theorem_problem(path, label), p.answer).status is not Status.RIGHT]
    assert wrong == []


@pytest.mark.parametrize("text", ["~~~\n{}\n~~~", "````mm\n{}\n````", "```\nfirst try\n```\n~~~~\n{}\n~~~~"])
def test_fences_of_four_marks_and_of_tildes_are_read(text):
    assert extract_proof(text.format(TH1)) == TH1
