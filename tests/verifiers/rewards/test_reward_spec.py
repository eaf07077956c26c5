"""How rewards are written: parameters, nested rewards and weights, and one line for each mistake."""

from pathlib import Path

import pytest

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.rewards.load_reward import compose_rewards, load
from verifiers.rewards.named_functions import own_names
from verifiers.rewards.reward_text import Spec, parse, short_name, split_weight

ONE = make_problem("?", "1")
HALF = make_problem("?", "1/2")


def test_a_spec_is_cut_into_name_rewards_and_parameters() -> None:
    spec = parse('gate(response_format(think_prefilled=true), my.py:f(text="a, (b)=c", n=3))')
    inner = Spec("my.py:f", (), (("text", '"a, (b)=c"'), ("n", "3")))
    assert spec == Spec("gate", (Spec("response_format", (), (("think_prefilled", "true"),)), inner), ())


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [
        ("length(limit=9)=0.2", "length(limit=9)", 0.2),
        ("length(limit=9)", "length(limit=9)", 1.0),
        ("runs/lr=3/a.py:f", "runs/lr=3/a.py:f", 1.0),
        ("runs/lr=3/a.py:f=-2", "runs/lr=3/a.py:f", -2.0),
    ],
)
def test_the_weight_stands_last(text: str, name: str, weight: float) -> None:
    assert split_weight(text) == (name, weight)


def test_math_answers_policy_can_be_set() -> None:
    answer = r"\boxed{50\%}"
    assert load("math_answer")(HALF, answer).score == 1.0
    assert load("math_answer(percent=strict)")(HALF, answer).score == 0.0
    third = make_problem("?", "1/3")
    assert load("math_answer")(third, "0.3333").score == 1.0
    assert load("math_answer(tolerance=exact)")(third, "0.3333").score == 0.0
    total = make_problem("?", "3")
    assert load("math_answer")(total, r"\boxed{\max(1, 3)}").score == 0.0


def test_gate_and_minimum_can_be_written() -> None:
    gated = load("gate(response_format(think_prefilled=true), math_answer)")
    assert gated(ONE, "a</think><answer>1</answer>").score == 1.0
    assert gated(ONE, r"\boxed{1}").score == 0.0
    least = load("minimum(math_answer, length(limit=10, cache=10))")
    assert least(ONE, "1   ").score == pytest.approx(-0.4)
    assert dict(least(ONE, "12345").parts) == {"math_answer": 0.0, "length": -0.5}
    summed = compose_rewards(["gate(response_format, exact)=2", "length(limit=100,cache=50)=0.5"])(
        ONE, "<think>a</think><answer>1</answer>"
    )
    assert summed.score == 2.0
    assert dict(summed.parts) == {"gate": 1.0, "gate/gate": 1.0, "gate/score": 1.0, "length": 0.0}


def test_a_users_function_has_parameters_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def brief(problem, response, *, limit=3, scale: float = 1.0, word='x'):\n"
        "    return scale * (len(response) <= limit) if word == 'x' else -1\n"
        "def trl(completions, answer, bonus=0.0, **kwargs):\n"
        "    return [float(c == a) + bonus for c, a in zip(completions, answer)]\n"
    )
    assert load(f"{file}:brief")(ONE, "four").score == 0.0
    assert load(f"{file}:brief(limit=4, scale=0.5)")(ONE, "four").score == 0.5
    assert load(f"{file}:brief(word='y')")(ONE, "four").score == -1.0
    assert load(f"{file}:trl(bonus=2)")(ONE, "1").score == 3.0


def test_a_name_for_the_log_lacks_parameters_and_weight() -> None:
    assert [short_name(s) for s in ("math_answer(percent=strict)=2", "a/b.py:f(x=1)", "m:g", "exact=0.5")] == [
        "math_answer",
        "f",
        "g",
        "exact",
    ]


def test_the_table_of_rewards_has_a_row_for_each_verifier() -> None:
    page = (Path(PACKAGE_ROOT) / "docs" / "rewards.md").read_text(encoding="utf-8")
    rows = [line.partition("`")[2].partition("`")[0].partition("(")[0] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted([*own_names(), "gate", "minimum"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("length(limt=3)", "no parameter 'limt'; did you mean 'limit'"),
        ("length(limit=abc)", "limit must be a whole number, not 'abc'"),
        ("length(limit=1.5)", "limit must be a whole number"),
        ("response_format(think_prefilled=2)", "must be true or false, not '2'"),
        ("math_answer(percent=strickt)", "one of either, strict, not 'strickt'; did you mean 'strict'"),
        ("length_cosine(right_long=nan)", "right_long must be a number, not 'nan'"),
        ("length(3)", "'3' has no place"),
        ("length_budget(exact, exact)", "takes 1 reward"),
        ("exact(x=1)", "no parameter 'x'; it has none"),
        ("gate(exact)", "gate takes two rewards"),
        ("gate(exact, exact, n=1)", "no parameter 'n'; it has refused"),
        ("minimum()", "minimum takes rewards"),
        ("minimum(exact,)", "an empty part"),
        ("length(limit=3", "not closed"),
        ("math_answer(percent=strict", "not closed"),
        ("length(limit=1,limit=2)", "given twice"),
        ("length(unit='a)", "do not match"),
        ("gate(" * 12 + ")" * 12, "nested deeper"),
        ("maths_answer", "did you mean 'math_answer'"),
    ],
)
def test_a_mistake_costs_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_spec_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("__import__('pathlib').Path('x').touch()", "open('x','w')"):
        with pytest.raises(InputError):
            load(f"length(limit={value})")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["math_answer(percent=strict", "length(limit=3", "gate(response_format, math_answer=0.5"])
def test_a_parenthesis_that_is_not_closed_is_no_weight(text: str) -> None:
    with pytest.raises(InputError, match="the parenthesis is not closed"):
        compose_rewards([text])


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUDGE_ENDPOINT", "JUDGE_MODEL", "LEAN_REPL", "LEAN_URL", "LEAN_REPLAY", "LEAN_MEMORY", "SANDBOX"):
        monkeypatch.delenv(f"RECKON_{name}", raising=False)


OUT_OF_RANGE = [
    ("length(limit=1000)", "cache must be from 1 to limit, not 2048 with limit 1000"),
    ("length(unit=wrods)", "'wrods' is neither characters nor words"),
    ("length_cosine(limit=0)", "limit must be at least 1"),
    ("length_cosine(unit=wrods)", "'wrods' is neither"),
    ("length_budget(alpha=0)", "alpha must be above 0"),
    ("length_budget(budget=0)", "the budget 0 is no number above 0"),
    ("repetition(n=0)", "n must be at least 1"),
    ("regex(flags=q)", "no flag is called 'q'"),
    ("language(target=cn)", "did you mean 'zh'"),
    ("language(target=promt)", "did you mean 'prompt'"),
    ("language(least=5)", "from 0 to 1, not 5"),
    ("judge", "no endpoint is named; set RECKON_JUDGE_ENDPOINT"),
    ("judge(endpoint='http://h/v1')", "no model is named"),
    ("judge(endpoint='http://h/v1', model=m, threshold=2)", "threshold above 0"),
    ("judge(endpoint='http://h/v1', model=m, least=-1)", "least must be at least 0"),
    ("judge(endpoint='http://h/v1', model=m, rubric_file=none.txt)", "rubric_file none.txt cannot be read"),
    ("lean_proof", "no Lean to ask"),
]


@pytest.mark.usefixtures("nothing_set")
@pytest.mark.parametrize("form", ["{}", "gate(response_format, {})", "minimum(exact, length_cosine({}))"])
@pytest.mark.parametrize(("text", "said"), OUT_OF_RANGE)
def test_what_no_response_could_be_judged_with_is_refused_when_it_is_loaded(text: str, said: str, form: str) -> None:
    with pytest.raises(InputError, match=r"\A[^\n]+\Z") as caught:
        load(form.format(text))
    assert said in str(caught.value)


@pytest.mark.usefixtures("nothing_set")
def test_what_is_in_order_is_loaded_without_asking_anyone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECKON_LEAN_URL", "http://127.0.0.1:1")  # nobody answers
    for text in ("language(target=zh, least=1)", "language(target=yue)", "judge(endpoint='http://127.0.0.1:1', model=m)", "lean_proof"):
        load(text)
    monkeypatch.delenv("RECKON_LEAN_URL")
    monkeypatch.setenv("RECKON_LEAN_REPL", f"{tmp_path}/lake env repl")
    with pytest.raises(InputError, match="there is no program"):
        load("lean_proof")


def test_a_level_of_isolation_that_there_is_not_is_refused_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECKON_SANDBOX", "strickt")
    for name in ("python_tests", "program_tests"):
        with pytest.raises(InputError, match="no isolation level 'strickt'"):
            load(name)


@pytest.mark.parametrize("text", ["exact", "a.py:f", "length(limit=9, unit=words)", "gate(a, minimum(b(x='1, (2)'), c:d), v=e(f))"])
def test_a_spec_as_text_is_that_spec(text: str) -> None:
    assert parse(str(parse(text))) == parse(text)
