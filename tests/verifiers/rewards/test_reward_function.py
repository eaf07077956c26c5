"""The three kinds of reward function, TRL's own among them, and what is said of what is none of them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pytest

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.load_reward import compose_rewards, load
from verifiers.rewards.reward_kinds import WrongReturnError, as_verifier
from verifiers.verdict import Status, Verdict

REWARDS = """
import functools
from dataclasses import dataclass
from helper_of_rewards import ANSWER
from verifiers.verdict import Status, Verdict

@dataclass(frozen=True)
class Length:
    limit: int
    def __call__(self, problem, response):
        return len(response) <= self.limit

class Async:
    async def __call__(self, problem, response):
        return 0.25

short = Length(3)
waiting = Async()
constant = 3

def ours(problem, response): return response == problem.answer
def swapped(response, problem): return response == problem.answer
def keywords(*, problem, response, strict=True): return response == problem.answer
def verdict(problem, response): return Verdict(0.5, Status.RIGHT, "half")
def helped(problem, response): return response == ANSWER
async def later(problem, response): return -1
partial = functools.partial(lambda factor, problem, response: factor * len(response), 2)
def one(response): return 1.0
def text(problem, response): return "abc"
"""


@pytest.fixture(autouse=True)
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    (tmp_path / "helper_of_rewards.py").write_text("ANSWER = '4'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())


FOUR = make_problem("2 + 2?", "4", meta={"level": 3, "solution": "2 + 2 = 4"})


def scores(spec: str) -> list[float | None]:
    verify = load(spec)
    return [verify(FOUR, "4").score, verify(FOUR, "five").score]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ours", [1.0, 0.0]),
        ("swapped", [1.0, 0.0]),
        ("keywords", [1.0, 0.0]),
        ("verdict", [0.5, 0.5]),
        ("helped", [1.0, 0.0]),
        ("later", [-1.0, -1.0]),
        ("waiting", [0.25, 0.25]),
        ("partial", [2.0, 8.0]),
        ("short", [1.0, 0.0]),
    ],
)
def test_our_kind_sync_and_async(name: str, wanted: list[float]) -> None:
    assert scores(f"my_rewards.py:{name}") == wanted
    assert load(f"my_rewards.py:{name}").__name__ == name


def test_a_module_and_our_own_verifiers_are_found() -> None:
    assert scores("my_rewards:ours") == [1.0, 0.0]
    assert scores(str(Path("my_rewards.py").resolve()) + ":ours") == [1.0, 0.0]
    assert load("math_answer")(FOUR, r"\boxed{4.0}").status is Status.RIGHT


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("my_rewards.py", r"say which function of the file, as my_rewards.py:FUNCTION"),
        ("my_rewards.ours", "put a colon before the function, as my_rewards:ours"),
        ("nothing", "no verifier is called 'nothing'; there are .*math_answer"),
        ("pool", "no verifier is called 'pool'"),
        ("missing.py:f", "no file .*missing.py"),
        ("nowhere.at.all:f", "no module 'nowhere.at.all' in .*no 'nowhere'"),
        ("my rewards:f", "no module 'my rewards'"),
        ("..:f", "not a module's name"),
        (":f", "write FILE.py:FUNCTION"),
        ("my_rewards.py:", "write FILE.py:FUNCTION"),
        ("my_rewards.py:our", "has no function 'our'; did you mean 'ours'"),
        ("my_rewards.py:zzz", "it defines Length, "),
        ("my_rewards.py:constant", "is not a function but 3"),
        ("my_rewards.py:Length", "is a class: name an instance of it"),
        ("my_rewards.py:one", r"my_rewards.py:one takes \(response\); a reward takes \(problem, response\)"),
        ("syntax.py:f", r"syntax.py:2: SyntaxError: .*; mend the file"),
        (
            "needs.py:f",
            r"needs.py cannot be imported: ModuleNotFoundError: No module named 'absent_one' \(.*needs.py:1: import absent_one\)",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why_in_one_line(spec: str, text: str) -> None:
    Path("syntax.py").write_text("x = 1\ndef f(problem, response) return 1\n")
    Path("needs.py").write_text("import absent_one\n")
    with pytest.raises(InputError, match=text) as caught:
        load(spec)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_is_quoted() -> None:
    with pytest.raises(WrongReturnError, match=r"^my_rewards.py:text returned 'abc' \(str\); expected a finite number"):
        load("my_rewards.py:text")(FOUR, "4")


CHAT = make_problem([{"role": "user", "content": "2 + 2?"}], "4", meta={"level": 3})


def trl(function: Callable[..., Any], problem: Problem = FOUR, response: str = "4") -> Verdict:
    return as_verifier(function, "it")(problem, response)


def test_trl_functions_get_the_columns_that_they_take() -> None:
    seen: dict[str, Any] = {}

    def named(prompts: list[str], completions: list[str], answer: list[str], level: list[int]) -> list[float]:
        seen.update(prompts=prompts, completions=completions, answer=answer, level=level)
        return [float(c == a) for c, a in zip(completions, answer, strict=True)]

    def everything(completions: list[Any], **kwargs: Any) -> list[float | None]:
        seen.update(kwargs, completions=completions)
        return [None]

    assert trl(named).score == 1.0
    assert seen == {"prompts": ["2 + 2?"], "completions": ["4"], "answer": ["4"], "level": [3]}
    seen.clear()
    assert trl(everything, CHAT).score is None
    assert seen == {
        "prompts": [[{"role": "user", "content": "2 + 2?"}]],
        "completions": [[{"role": "assistant", "content": "4"}]],
        "answer": ["4"],
        "level": [3],
    }

    async def awaited(completions: list[str], **kwargs: Any) -> list[float]:
        return [len(completion) for completion in completions]

    assert trl(awaited, response="four").score == 4.0


def test_what_only_a_trainer_has_is_asked_for_by_name() -> None:
    def ids(completions: list[str], completion_ids: list[list[int]]) -> list[float]:
        return [0.0]

    def optional(completions: list[str], completion_ids: Any = None, trainer_state: Any = None, log_extra: Any = None) -> list[float]:
        assert completion_ids is trainer_state is log_extra is None
        return [1.0]

    def logging(completions: list[str], log_metric: Callable[[str, float], None]) -> list[float]:
        log_metric("rewards", 1.0)
        return [1.0]

    def column(completions: list[str], difficulty: list[str]) -> list[float]:
        return [1.0]

    with pytest.raises(InputError, match="it requires 'completion_ids', which only a trainer has"):
        trl(ids)
    assert trl(optional).score == 1.0
    assert trl(logging).score == 1.0
    with pytest.raises(InputError, match=r"requires the column 'difficulty', .* \(it has level, solution, answer\)"):
        trl(column)


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0], [], "1", ["abc"], None])
def test_a_trl_function_must_return_one_reward_per_completion(value: object) -> None:
    def fixed(completions: list[str]) -> object:
        return value

    with pytest.raises(WrongReturnError, match=r"^it returned .*expected"):
        trl(fixed)


def test_rewards_that_ship_with_trl_run_on_either_kind_of_prompt() -> None:
    for problem in (FOUR, CHAT):
        assert load("trl.rewards:think_format_reward")(problem, "<think>\nadd\n</think>\n4").score == 1.0
        assert load("trl.rewards:think_format_reward")(problem, "4").score == 0.0


def test_rewards_compose_with_weights_and_unique_names() -> None:
    assert compose_rewards(["my_rewards.py:ours"])(FOUR, "4").score == 1.0
    assert compose_rewards(["my_rewards.py:ours=0.5"])(FOUR, "4").score == 0.5
    verdict = compose_rewards(["math_answer=1.0", "my_rewards.py:verdict=0.5", "my_rewards:verdict=-2"])(FOUR, r"\boxed{4}")
    assert verdict.score == 1.0 + 0.5 * 0.5 - 2 * 0.5
    assert set(verdict.parts) == {"math_answer", "verdict", "verdict_2"}
    for specs, text in [
        ([], "no reward was named"),
        (["math_answer=heavy"], "'heavy' is not a finite number"),
        (["math_answer=nan"], "nan"),
    ]:
        with pytest.raises(InputError, match=text):
            compose_rewards(specs)


class Prediction:
    """Its name has "dict" in it."""


class Message(TypedDict):
    role: str
    content: str


def test_a_type_whose_name_contains_dict_is_not_taken_for_messages() -> None:
    got: list[Any] = []

    def reward(completions, **columns):
        got.append(completions[0])
        return [1.0]

    strings = [
        list[Prediction], "list[Prediction]", "list[Unknown_dict]", list[str], "list[str]", "Sequence['verdict.Text']",
        inspect.Parameter.empty,
    ]  # fmt: skip
    messages = [
        list[dict[str, str]], "list[list[dict[str, str]]]", "Dict", list[list[Message]], Sequence[Mapping[str, str]],
        "typing.Mapping[str, str]",
        list[Prediction] | list[list[dict[str, Any]]], "list[list[Message]]",
    ]  # fmt: skip
    for annotations, kind in ((strings, str), (messages, list)):
        for annotation in annotations:
            reward.__annotations__ = {} if annotation is inspect.Parameter.empty else {"completions": annotation}
            assert trl(reward).score == 1.0
            assert type(got[-1]) is kind, annotation
