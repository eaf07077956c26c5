"""Models and data from elsewhere: code that a folder wants to run, templates without an end, adapters, tables, SFT's messages."""

import ast
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from recipes.setup.problem_source import load_problems
from rollout.chat import Chat, generation_stops, load_tokenizer
from rollout.engine import Completion
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.rewards.problem_file import read_problems

ROOT = Path(PACKAGE_ROOT)
PACKAGES = ("benchmarks", "data_pipeline", "recipes", "rl", "rollout", "verifiers")
ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(1, 7)]
SMALL = ["--steps", "1", "--problems-per-step", "2", "--completions-per-problem", "2", "--max-completion-length", "4", "--workers", "1"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def copy(model_folder: Path, to: Path) -> Path:
    shutil.copytree(model_folder, to)
    return to


def with_template(model_folder: Path, to: Path, template: str) -> Path:
    tokenizer = load_tokenizer(str(model_folder))
    copy(model_folder, to)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(to)
    return to


# --- code of a model's own ---

CODE = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\nfrom transformers import Qwen2Config, Qwen2ForCausalLM\n"
CODE += "class C(Qwen2Config):\n    model_type = 'mine'\nclass M(Qwen2ForCausalLM):\n    config_class = C\n"


@pytest.mark.parametrize("place", ["config", "tokenizer"])
def test_a_model_folder_runs_no_code_whatever_waits_on_the_pipe(place: str, model_folder: Path, data: Path, tmp_path: Path) -> None:
    """transformers asks on the terminal whether to run it, and takes a pipe's `y` for consent."""
    model, mark = copy(model_folder, tmp_path / "model"), tmp_path / "ran"
    (model / "own.py").write_text(CODE.format(mark=str(mark)))
    file = model / ("config.json" if place == "config" else "tokenizer_config.json")
    settings = json.loads(file.read_text())
    if place == "config":
        settings |= {"model_type": "mine", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    else:
        settings |= {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["own.C", "own.C"]}}
    file.write_text(json.dumps(settings))
    arguments = ["grpo-math", "--model", model, "--data", data, "--run", tmp_path / "run", *SMALL]
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules")}
    done = subprocess.run(
        [sys.executable, "-m", "recipes.commands.cli", *map(str, arguments)], cwd=ROOT, input="y\ny\ny\n", text=True, capture_output=True,
        timeout=300, env=environment, check=False,
    )  # fmt: skip
    assert not mark.exists(), "the folder's code was run"
    assert "Traceback" not in done.stderr
    if place == "tokenizer":  # its tokenizer.json is read without the class
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "needs Python code of its own" in done.stderr


def test_weights_with_code_of_their_own_are_refused(model_folder: Path, tmp_path: Path) -> None:
    from rl.learning.model_loading import load_model

    model, mark = copy(model_folder, tmp_path / "model"), tmp_path / "ran"
    (model / "own.py").write_text(CODE.format(mark=str(mark)))
    settings = json.loads((model / "config.json").read_text())
    settings |= {"model_type": "mine", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (model / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"needs Python code of its own \(auto_map\), which is not run here"):
        load_model(str(model))
    assert not mark.exists()


def test_every_reader_of_a_model_folder_is_told_to_run_no_code() -> None:
    """The others cannot each be tried with such a folder: what transformers' Auto classes read says so where it is called."""
    asked = 0
    for file in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and re.match(r"Auto\w+\.from_(?:pretrained|config)$", ast.unparse(node.func))):
                continue
            told = [word.value for word in node.keywords if word.arg == "trust_remote_code"]
            assert [ast.unparse(value) for value in told] == ["False"], f"{file.relative_to(ROOT)}:{node.lineno}"
            asked += 1
    assert asked > 10


# --- chat templates ---

TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    "a recursive macro's tree": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "a huge number": "{% set x = 9 ** 999999999 %}{{ x % 7 }}",
    "a huge text": "{{ 'a' * 4000000000 }}",
    "too much text": "{{ 'a' * 90000000 }}",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_chat_template_that_does_not_end_is_one_line(kind: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.rendering.SECONDS", 2)
    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = ENDLESS[kind] + TURNS
    began = time.monotonic()
    with pytest.raises(
        InputError, match=r"^problem .*: the model's chat template (did not end within 2 s|makes more).*--no-chat-template\)$"
    ):
        Chat(tokenizer).render(make_problem("1+1", "2"))
    assert time.monotonic() - began < 100


DEEP = "[" * 200_000
BROKEN = {
    "tokenizer.json": ["", "null", "[]", "{}", DEEP], "tokenizer_config.json": ["null", "[1]", DEEP, '{"eos_token": 5}'],
    "config.json": ["null", "[]", DEEP, '{"model_type": 5}', '{"model_type": "qwen2", "max_position_embeddings": "x"}'],
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, contents in BROKEN.items() for content in contents])
def test_a_model_folder_with_a_broken_file_is_one_line(name: str, content: str, model_folder: Path, tmp_path: Path) -> None:
    from recipes.grpo_math import Config, load_shape
    from rl.learning.model_loading import load_model

    def load() -> None:
        load_shape(Config(model=str(model)))
        Chat(load_tokenizer(str(model))).render(make_problem("1 + 1?", "2"))
        load_model(str(model))

    model = copy(model_folder, tmp_path / "model")
    (model / name).write_text(content)
    with pytest.raises(InputError) as caught:
        load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ['"x"', "[0, null]", "true", "1.5", "-1", "[[0]]"])
def test_stop_ids_that_are_none_are_one_line(given: str, model_folder: Path, tmp_path: Path) -> None:
    model = copy(model_folder, tmp_path / "model")
    (model / "generation_config.json").write_text(f'{{"eos_token_id": {given}}}')
    with pytest.raises(InputError, match="eos_token_id of its generation_config"):
        generation_stops(str(model))


FAILING = [
    "{{ 1 / 0 }}",
    "{{ messages + 1 }}",
    "{{ raise_exception('no\nthanks') }}",
    "{{ none() }}",
    "{{ messages[0].a.b }}",
    "{{ range(-1, 10**30) }}",
]


@pytest.mark.parametrize("template", [*FAILING, "{% for", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {"tools": "x"}])
def test_a_chat_template_that_fails_is_one_line(template: Any, model_folder: Path) -> None:
    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = template
    with pytest.raises(InputError, match="the model's chat template") as caught:
        Chat(tokenizer).render(make_problem("1 + 1?", "2"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["model.embed_tokens.weight", "model.norm.weight"])
def test_a_model_that_lacks_a_tensor_is_refused(lost: str, model_folder: Path, tmp_path: Path) -> None:
    """transformers fills it with random numbers, and training goes on from there."""
    from safetensors.torch import load_file, save_file

    from rl.learning.model_loading import load_model

    model = copy(model_folder, tmp_path / "model")
    tensors = load_file(model / "model.safetensors")
    del tensors[lost]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks \d of its tensors, such as "):
        load_model(str(model))


def test_a_template_that_is_endless_for_one_prompt_alone_is_found(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.rendering.SECONDS", 2)
    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = "{% if 'x' in messages[0]['content'] %}" + ENDLESS["nested loops"] + "{% endif %}" + TURNS
    good, bad = make_problem("1+1", "2"), make_problem("x+1", "2")
    chat = Chat(tokenizer)
    chat.vet([good])
    with pytest.raises(InputError, match=f"^problem {bad.id}: the model's chat template did not end"):
        chat.vet([good, bad])


def test_rendering_after_the_first_is_as_cheap_as_without_a_deadline(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat(load_tokenizer(str(model_folder)))
    first = chat.render(make_problem("1+1", "2"))
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked again"))
    assert chat.render(make_problem("1+1", "2")) == first


# --- what was given ---

OPENS = TURNS + "{% if 'hard' in messages[-1]['content'] %}<think>\n{% endif %}"


def response(chat: Chat, prompt: str, said: str) -> str:
    tokens = chat.encode(said)
    completion = Completion(tokens, [0.0] * len(tokens), [True] * len(tokens), "stop", 0)
    return chat.response(completion, chat.render(make_problem(prompt, "2")))


def test_what_was_given_is_read_from_each_prompt(model_folder: Path) -> None:
    """The template opens the thought of one message and not of another."""
    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = OPENS
    chat = Chat(tokenizer)
    assert response(chat, "hard: 1+1", "so</think>2") == "<think>\nso</think>2"
    assert response(chat, "easy: 1+1", "2") == "2"
    assert response(chat, "what does <think> mean?", "2") == "2"
    prefilled = Chat(tokenizer, prefill="Well, ")
    assert response(prefilled, "hard: 1+1", "so</think>2") == "<think>\nWell, so</think>2"
    assert response(prefilled, "easy: 1+1", "2") == "Well, 2"


def test_what_was_given_in_a_closed_thought_or_a_bare_prompt(model_folder: Path) -> None:
    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = TURNS + "<think>\n\n</think>\n\n"
    assert response(Chat(tokenizer), "1+1", "2") == "2"
    bare = Chat(tokenizer, use_template=False)
    assert response(bare, "1+1 <think>", " so</think>2") == "<think> so</think>2"
    assert response(bare, "1+1", "2") == "2"


@pytest.mark.parametrize("reward", ["response_format", "response_format(think_prefilled=true)"])
def test_the_format_reward_of_the_docs_takes_what_a_template_opened(reward: str, model_folder: Path) -> None:
    from verifiers.rewards.load_reward import load

    tokenizer = load_tokenizer(str(model_folder))
    tokenizer.chat_template = OPENS
    chat, judge, problem = Chat(tokenizer), load(f"gate({reward}, math_answer)"), make_problem("hard: 1+1", "2")
    assert judge(problem, response(chat, "hard: 1+1", "so\n</think>\n<answer>2</answer>")).score == 1.0
    assert judge(problem, response(chat, "hard: 1+1", "<think>so\n</think>\n<answer>2</answer>")).score == 0.0


# --- what ends a raw prompt ---


@pytest.mark.parametrize(
    ("single", "expected"), [("<bos> $A <eos>", "<bos>1+1="), ("$A <eos>", "1+1="), ("<bos> $A <eos> <eos>", "<bos>1+1=")]
)
def test_a_tokenizers_eos_at_the_end_of_a_raw_prompt_is_dropped(single: str, expected: str) -> None:
    import string

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({t: i for i, t in enumerate(["<eos>", "<bos>", *string.printable])}, unk_token="<eos>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<bos>", 1), ("<eos>", 0)])
    chat = Chat(PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", bos_token="<bos>"))
    assert chat.decode_all(chat.render(make_problem("1+1=", "2"))) == expected


# --- data ---

SFT = [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": r"It is \boxed{4}."}]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_messages_that_end_with_the_assistants_turn_are_refused_in_one_line(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "sft.jsonl", {"messages": SFT, "answer": "4"})
    arguments = ["grpo-math", "--model", model_folder, "--data", path, "--prompt-column", "messages", "--run", tmp_path / "run", *SMALL]
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert "line 1: 'messages' ends with the assistant's turn" in said
    assert "--drop-answer-turn" in said
    assert "\n" not in said


def test_a_dropped_answer_turn_is_the_gold_only_where_the_gold_column_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "sft.jsonl", {"messages": SFT, "answer": "5"})
    [problem] = read_problems(path, prompt_field="messages", drop_answer_turn=True)
    assert (list(problem.prompt), problem.answer) == (SFT[:1], "5")
    [problem] = read_problems(path, prompt_field="messages", answer_field="messages", drop_answer_turn=True)
    assert (list(problem.prompt), problem.answer) == (SFT[:1], "4")
    bare = write(tmp_path / "bare.jsonl", {"messages": SFT})
    with pytest.raises(InputError, match="no 'answer'"):
        read_problems(bare, prompt_field="messages", drop_answer_turn=True)
    only = write(tmp_path / "only.jsonl", {"messages": SFT[1:], "answer": "4"})
    with pytest.raises(InputError, match="turns of the assistant's only"):
        read_problems(only, prompt_field="messages", drop_answer_turn=True)
    two = write(tmp_path / "two.jsonl", {"messages": [*SFT, {"role": "assistant", "content": "Sure."}], "answer": "4"})
    assert read_problems(two, prompt_field="messages", drop_answer_turn=True)[0].prompt == tuple(SFT[:1])
    other = write(tmp_path / "other.jsonl", {"messages": [SFT[0], {"role": "model", "content": "4"}], "answer": "4"})
    with pytest.raises(InputError, match="ends with the model's turn"):
        read_problems(other, prompt_field="messages")


def test_a_problem_made_in_python_cannot_end_with_the_assistants_turn_either(model_folder: Path) -> None:
    with pytest.raises(InputError, match="ends with the assistant's turn"):
        Chat(load_tokenizer(str(model_folder))).render(make_problem(SFT, "4"))


def test_verls_rows_and_other_nested_columns_are_read_by_dotted_names(tmp_path: Path) -> None:
    verl = {"data_source": "gsm8k", "prompt": SFT[:1], "reward_model": {"style": "rule", "ground_truth": "4"}, "extra_info": {"index": 0}}
    [problem] = read_problems(write(tmp_path / "verl.jsonl", verl))
    assert (list(problem.prompt), problem.answer) == (SFT[:1], "4")
    row = {"a": {"b": {"q": "1+1", "g": 2}}, "a.b.g": "dotted itself"}
    [problem] = read_problems(write(tmp_path / "deep.jsonl", row), prompt_field="a.b.q", answer_field="a.b.g")
    assert (problem.prompt, problem.answer) == ("1+1", "dotted itself")
    with pytest.raises(InputError, match=r"no 'a\.b\.x' among its fields"):
        read_problems(tmp_path / "deep.jsonl", prompt_field="a.b.x", answer_field="a.b.g")


def test_tables_compressed_files_and_saved_data_sets_are_read(tmp_path: Path) -> None:
    import bz2
    import lzma

    import zstandard
    from datasets import Dataset, DatasetDict

    text = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    table, wanted = Dataset.from_list(ROWS), [(row["question"], row["answer"]) for row in ROWS]
    table.to_parquet(tmp_path / "one.parquet")
    table.to_csv(tmp_path / "one.csv")
    for suffix, compress in {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}.items():
        (tmp_path / f"p.jsonl.{suffix}").write_bytes(compress(text))
    table.save_to_disk(tmp_path / "saved")
    DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(tmp_path / "splits")
    names = ["one.parquet", "one.csv", "p.jsonl.gz", "p.jsonl.bz2", "p.jsonl.xz", "p.jsonl.zst", "saved", "splits"]
    for name in names:
        assert [(problem.prompt, problem.answer) for problem in load_problems(str(tmp_path / name))] == wanted, name
    assert len(load_problems(str(tmp_path / "splits"), split="test")) == 1
    with pytest.raises(InputError, match="has no split 'dev' but train, test"):
        load_problems(str(tmp_path / "splits"), split="dev")


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "other.jsonl.gz", "no.parquet", "other.jsonl.zst", "none.jsonl.gz"])
def test_files_that_are_not_what_their_names_say_are_one_line(name: str, tmp_path: Path) -> None:
    content = gzip.compress(b'{"question": "1", "answer": "1"}\n' * 100)[:-12] if name.startswith("cut") else b"nothing of the kind"
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(content)
    said = f"there is no file or folder {tmp_path / name}" if name.startswith("none") else f"{tmp_path / name} cannot be read"
    with pytest.raises(InputError, match=f"^{re.escape(said)}") as error:
        load_problems(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_overlong_prompts_are_dropped_and_counted_where_asked(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from recipes.setup.online import check_prompts
    from recipes.setup.options import Options

    chat, options = Chat(load_tokenizer(str(model_folder))), Options(max_completion_length=100)
    problems = [make_problem("a" * length, "1") for length in (10, 500, 20, 600)]
    with pytest.raises(InputError, match=r"\('a{40}\.\.\.'\).*and 1 more are too long.*model's context is 200.*--skip-long-prompts"):
        check_prompts(problems, chat, options, 200)
    assert check_prompts(problems, chat, options, 200, skip=True) == [problems[0], problems[2]]
    assert "left out 2 of 4 problems, whose prompts are longer than 100 tokens" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"shorten one of them$"):
        check_prompts(problems[1:2], chat, options, 200, skip=True)
    with pytest.raises(InputError, match=r"shorten one of them$"):  # to drop all of them is no remedy
        check_prompts(problems[1:2], chat, options, 200)
