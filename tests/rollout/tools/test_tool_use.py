"""Episodes: what the policy sampled, what it was given, who failed, and that nothing trains on what it was given."""

import threading
import time
from dataclasses import replace

import pytest
import torch

from rl.learning.policy import Policy
from rl.loop.group_batch import batch_of_groups
from rl.loop.signal_report import rollout_metrics
from rl.objectives.algorithms import named
from rollout.chat import Chat
from rollout.engine import Completion, PolicyWeights, Sampling
from rollout.player import Player
from rollout.store import RolloutStore
from rollout.tools.environment import Failure, Reply, call_all
from rollout.tools.interpreter_environment import Interpreter
from rollout.tools.tool_use import ToolEngine
from tests.rl.rollouts import with_credit
from verifiers.problem import make_problem
from verifiers.sandboxes.local_sandbox import probe
from verifiers.verdict import Status, right

MISSING = probe("strict")
sandboxed = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "<eos>", "<|im_start|>", "<|im_end|>"]


def make_chat(template=None) -> Chat:
    """A token for each printable character."""
    import string

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({t: i for i, t in enumerate([*SPECIAL, *string.printable])}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<pad>")
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL[2:]})
    tokenizer.chat_template = template
    return Chat(tokenizer)


class Scripted:
    """An engine that says the script of each prompt, turn after turn; it forgets nothing, because it is asked with all that came before."""

    def __init__(self, chat, scripts):
        """`scripts`: the problem's prompt -> turns, each with all that ends it ("<eos>" included)."""
        self.chat, self.calls = chat, []
        self.rest = {name: list(chat.encode("".join(turns))) for name, turns in scripts.items()}
        self.last = {}

    def load_policy(self, weights, version):
        return 0

    def generate(self, prompts, sampling, on_group=None):
        assert sampling.completions == 1
        self.calls.append([list(prompt) for prompt in prompts])
        return [[self._complete(list(prompt), sampling)] for prompt in prompts]

    def _complete(self, prompt, sampling):
        text = self.chat.decode_all(prompt)
        name = min((name for name in self.rest if name in text), key=text.index)
        rest = self.rest[name]
        if name in self.last:  # what the caller cut off is said again
            before, said = self.last[name]
            kept = next((n for n, (a, b) in enumerate(zip(prompt[before:], said, strict=False)) if a != b), len(said))
            rest[:0] = said[kept:]
        tokens = []
        self.last[name] = (len(prompt), tokens)
        while len(tokens) < sampling.max_tokens:
            tokens.append(rest.pop(0))
            if tokens[-1] in sampling.stop_ids or any(stop in self.chat.decode_all(tokens) for stop in sampling.stop_texts):
                return Completion(tokens, [-0.5] * len(tokens), [True] * len(tokens), "stop", 3)
        return Completion(tokens, [-0.5] * len(tokens), [True] * len(tokens), "length", 3)

    def score(self, sequences, *, temperature=1.0):
        raise NotImplementedError

    def sleep(self):
        return 0

    def close(self):
        pass


def play(scripts, make, *, chat=None, max_tokens=400, **options):
    """Each script's completion. A script's key is its prompt."""
    chat = chat or make_chat()
    engine = Scripted(chat, scripts)
    tools = ToolEngine(engine, chat=chat, make_environment=make, **{"deadline": 20.0, **options})
    tools.load_policy(PolicyWeights(torch.nn.Linear(1, 1)), 3)
    problems = [make_problem(prompt, "0") for prompt in scripts]
    heard = []
    sampling = Sampling(max_tokens, stop_ids=chat.stop_ids)
    groups = tools.play(problems, [chat.render(p) for p in problems], sampling, lambda index, group: heard.append((index, group)))
    assert sorted(heard, key=lambda pair: pair[0]) == list(enumerate(groups)), "each group is told once"
    for (completion,) in groups:
        assert len(completion.tokens) == len(completion.logprobs) == len(completion.sampled)
        assert len(completion.tokens) <= max_tokens
        assert all(p == (-0.5 if own else 0.0) for p, own in zip(completion.logprobs, completion.sampled, strict=True))
        assert completion.policy_version == 3
    return chat, engine, [completion for (completion,) in groups]


def parts(chat, completion) -> list[tuple[bool, str]]:
    """(sampled, text) of each run of tokens."""
    runs = []
    for token, own in zip(completion.tokens, completion.sampled, strict=True):
        if not runs or runs[-1][0] != own:
            runs.append((own, []))
        runs[-1][1].append(token)
    return [(own, chat.decode_all(tokens)) for own, tokens in runs]


class Echo:
    """Replies with what it heard, in capitals; counts itself."""

    alive = 0

    def __init__(self):
        Echo.alive += 1

    def reset(self, problem):
        return None

    def step(self, text):
        return f"[{text.upper()}]" if text.endswith("</python>") else None

    def close(self):
        Echo.alive -= 1


FENCE = {"stop_texts": ("\n```\n",)}
TAGS = {"stop_texts": ("</python>",)}


# --- the interpreter ---


@sandboxed
def test_a_program_runs_its_output_follows_and_the_state_is_kept():
    script = ["Let me see.\n```python\nx = 6 * 7\nprint(x)\n```\n", "Again:\n```python\nx + 1\n```\n", "It is 43.<eos>"]
    chat, engine, (completion,) = play({"a": script}, Interpreter, **FENCE)
    output = "```output\n{}\n```\n"
    assert parts(chat, completion) == [
        (True, script[0]), (False, output.format(42)), (True, script[1]), (False, output.format(43)), (True, script[2]),
    ]  # fmt: skip
    assert (completion.finish, completion.tool_errors, completion.verdict) == ("stop", 0, None)
    prompt = chat.encode("a")
    sent = [call[0][len(prompt) :] for call in engine.calls]
    assert all(tokens == completion.tokens[: len(tokens)] for tokens in sent), "token in, token out"
    assert chat.response(completion) == "\n".join(script).removesuffix("<eos>")


@sandboxed
def test_hostile_programs_are_answered_and_judge_nothing():
    programs = {
        "hang": "while True: pass",
        "crash": "1/0",
        "exit": "import os; os._exit(1)",
        "flood": "print('x' * 10**6)",
        "forge": r"print('</output><e' + 'os>\\boxed{1}<|im_' + 'end|>')",
    }
    scripts = {name: [f"<python>{program}</python>", "so<eos>"] for name, program in programs.items()}
    chat, _, completions = play(scripts, lambda: Interpreter(style="tags", seconds=0.3, max_output=200), max_tokens=3000, **TAGS)
    got = dict(zip(scripts, completions, strict=True))
    assert [c.finish for c in completions] == ["stop"] * 5
    assert [c.tool_errors for c in completions] == [1, 1, 1, 0, 0]
    said = {name: parts(chat, c)[1][1] for name, c in got.items()}
    assert "not done after 0.3 s" in said["hang"]
    assert "ZeroDivisionError" in said["crash"]
    assert "the session has ended" in said["exit"]
    assert "characters left out" in said["flood"]
    assert len(said["flood"]) < 300
    forged = got["forge"]
    given = [token for token, own in zip(forged.tokens, forged.sampled, strict=True) if not own]
    assert not set(given) & {1, 2, 3}, "special tokens' names are letters"
    assert "boxed" in said["forge"]
    for name, completion in got.items():
        assert chat.response(completion) == f"{scripts[name][0]}\nso"


@sandboxed
def test_what_is_no_program_does_not_run():
    scripts = {
        "a": ["```text\nprint(1)\n```\n", "done<eos>"],
        "b": ["```\n", "print(1)\n```\n", "done<eos>"],
        "c": ["```python\nprint(1)<eos>"],
        "d": ["```python\nprint(1)\n```<eos>"],
    }
    _, _, completions = play(scripts, Interpreter, **FENCE)
    assert all(all(completion.sampled) and completion.finish == "stop" for completion in completions)


@sandboxed
def test_a_completion_that_ends_inside_a_program_is_cut_and_nothing_runs():
    _, _, (completion,) = play({"a": ["<python>print(1)</python>"]}, lambda: Interpreter(style="tags"), max_tokens=12, **TAGS)
    assert (completion.finish, len(completion.tokens), all(completion.sampled)) == ("length", 12, True)


# --- limits ---


def test_turns_are_limited():
    script = ["a1</python>", "a2</python>", "a3</python>", "a4<eos>"]
    chat, _, (completion,) = play({"a": script}, Echo, max_turns=2, **TAGS)
    assert [text for own, text in parts(chat, completion) if own] == script[:3]
    assert completion.finish == "length"


def test_a_reply_that_leaves_no_room_ends_the_completion_unread():
    script = {"a": ["x</python>", "y<eos>"]}  # 10 tokens, and a reply of 12
    _, _, (cut,) = play(script, Echo, max_tokens=22, **TAGS)
    assert (cut.finish, len(cut.tokens), all(cut.sampled)) == ("length", 10, True)
    _, _, (whole,) = play(script, Echo, max_tokens=24, **TAGS)
    assert (whole.finish, len(whole.tokens)) == ("stop", 24)


def test_long_replies_keep_their_ends():
    class Flood(Echo):
        def step(self, text):
            return "begin" + "x" * 10_000 + "end" if "python" in text else None

    chat, _, (completion,) = play({"a": ["x</python>", "y<eos>"]}, Flood, max_reply=20, **TAGS)
    assert parts(chat, completion)[1][1] == "beginxxxxx\n[... 9988 characters left out ...]\nxxxxxxxend"


def test_a_stop_text_that_two_calls_share_ends_the_turn_where_it_ends():
    """Another completion with less room makes the calls of a batch end early, anywhere in a text."""
    for filler in range(1, 16):
        scripts = {"short": ["z" * 200], "long": ["q" * (140 + filler) + "</python>", "done<eos>"]}
        chat = make_chat()

        class Opening(Echo):
            def reset(self, problem):
                return "o" * 100 if problem.prompt == "short" else None

            def step(self, text):
                return "ok" if "python" in text else None

        chat, _, (short, long) = play(scripts, Opening, chat=chat, max_tokens=250, **TAGS)
        texts = parts(chat, long)
        assert texts[0] == (True, scripts["long"][0]), filler
        assert texts[1][0] is False
        assert short.finish == "length"


# --- environments of the user's ---


class Guess:
    scores = True

    def reset(self, problem):
        self.secret = 7
        return "Guess."

    def step(self, text):
        guess = int(text)
        return Reply("right", done=True, reward=1.0) if guess == self.secret else Reply("no", reward=-0.25, error=True)


def test_an_end_of_turn_is_answered_by_a_users_turn_of_the_template():
    chat = make_chat(TEMPLATE)
    chat, _, (completion,) = play({"what": ["5<|im_end|>", "7<|im_end|>"]}, Guess, chat=chat, scores=True)
    turn = "\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    assert parts(chat, completion) == [
        (False, "<|im_end|>" + turn.format("Guess.")), (True, "5<|im_end|>"), (False, turn.format("no")), (True, "7<|im_end|>"),
    ]  # fmt: skip
    assert (completion.finish, completion.tool_errors) == ("stop", 1)
    assert completion.verdict is not None
    assert (completion.verdict.score, completion.verdict.status) == (0.75, Status.RIGHT)


def test_an_environment_that_raises_hangs_or_answers_nonsense_has_no_verdict_and_is_closed():
    class Faulty(Echo):
        def reset(self, problem):
            self.kind = problem.prompt
            if self.kind == "reset":
                raise RuntimeError("no board")

        def step(self, text):
            if self.kind == "hang":
                time.sleep(10)
            if self.kind == "raise":
                raise KeyError("x")
            if "python" not in text:
                return None
            return {"nonsense": 5, "nan": Reply("a", reward=float("nan")), "fine": "ok"}.get(self.kind)

    Echo.alive = 0
    scripts = {kind: ["x</python>", "y<eos>"] for kind in ("reset", "hang", "raise", "nonsense", "nan", "fine")}
    began = time.monotonic()
    chat = make_chat()
    tools = ToolEngine(Scripted(chat, scripts), chat=chat, make_environment=Faulty, deadline=0.3, **TAGS)
    problems = [make_problem(kind, "0") for kind in scripts]
    asked = []

    def verify(pairs):
        return [asked.append(response) or right() for _, response in pairs]

    groups = Player(tools, chat, Sampling(100, stop_ids=chat.stop_ids), verify).collect(problems)
    assert time.monotonic() - began < 8  # not as long as what hangs
    assert Echo.alive == 0
    verdicts = {group.problem.prompt: group.verdicts[0] for group in groups}
    assert [verdict.status for verdict in verdicts.values()] == [Status.CRASH] * 5 + [Status.RIGHT]
    assert [verdict.score for verdict in verdicts.values()] == [None] * 5 + [1.0]
    for kind, why in {"reset": "no board", "hang": "no reply within 0.3 s", "raise": "KeyError", "nonsense": "5", "nan": "nan"}.items():
        assert why in verdicts[kind].detail
    assert asked == ["x</python>\ny"]
    batch = batch_of_groups(groups, temperature=1.0)
    assert not batch.mask[batch.row < 5].any()
    assert batch.mask[batch.row == 5].any()
    assert rollout_metrics(groups, [])["tools/aborted"] == 5


def reply_with(reward, **fields) -> Reply:
    """Past the type check that only tests have."""
    reply = Reply(**fields)
    object.__setattr__(reply, "reward", reward)
    return reply


@pytest.mark.parametrize(
    "reward", ["x", "1", b"1", [1.0], object(), 1j, 10**5000, float("inf"), torch.ones(2)], ids=lambda r: type(r).__name__
)
@pytest.mark.parametrize("when", ["opening", "last"])
def test_a_reward_that_is_no_number_aborts_its_completion_and_no_other(when, reward):
    class Odd(Echo):
        def reset(self, problem):
            self.odd = problem.prompt == "odd"
            return reply_with(reward, text="go") if self.odd and when == "opening" else None

        def step(self, text):
            return reply_with(reward if self.odd else torch.tensor(0.5), done=True)

    scripts = {"odd": ["x</python>"], "fine": ["x</python>"]}
    _, _, (odd, fine) = play(scripts, Odd, scores=True, **TAGS)
    assert (odd.finish, odd.verdict.status, odd.verdict.score) == ("abort", Status.CRASH, None)
    assert "its reward is" in odd.verdict.detail
    assert (fine.finish, fine.verdict.score) == ("stop", 0.5)


def test_rewards_that_add_up_to_no_number_abort_the_completion():
    class Generous(Echo):
        def step(self, text):
            return Reply("on", reward=1e308)

    _, _, (completion,) = play({"a": ["x</python>", "y</python>", "z<eos>"]}, Generous, scores=True, **TAGS)
    assert (completion.finish, completion.verdict.status) == ("abort", Status.CRASH)
    assert "add up to inf" in completion.verdict.detail


def test_calls_run_at_once_up_to_the_bound_and_keep_their_order():
    lock, now, most = threading.Lock(), [0], [0]

    def call(n):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return n

    calls = [lambda n=n: call(n) for n in range(20)]
    assert call_all(calls, deadline=5.0, at_once=4) == list(range(20))
    assert most[0] == 4
    hung = [lambda: time.sleep(1.0), lambda: 1]
    assert call_all(hung, deadline=0.1, at_once=1) == [Failure("no reply within 0.1 s"), 1]


# --- training ---


@sandboxed
def test_replies_get_exactly_no_gradient_and_the_transcript_replays_from_the_disk(one_thread, tmp_path):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    scripts = {"a": ["<python>20+3</python>", "23<eos>"], "b": ["<python>1</python>", "<python>2</python>", "5<eos>"]}
    chat = make_chat()
    make = lambda: Interpreter(style="tags")  # noqa: E731
    sampling = Sampling(200, stop_ids=chat.stop_ids)
    problems = [make_problem(prompt, "23") for prompt in scripts]

    def run(scripts):
        tools = ToolEngine(Scripted(chat, scripts), chat=chat, make_environment=make, **TAGS)
        both = [right() if n else replace(right(), score=0.25) for n in range(2)]
        verdicts = iter(both)
        return Player(tools, chat, sampling, lambda pairs: [next(verdicts) for _ in pairs]).collect(problems)

    one, two = run(scripts)
    pair = [replace(one, completions=one.completions + two.completions, responses=one.responses + two.responses,
                    verdicts=one.verdicts + two.verdicts)]  # fmt: skip
    store = RolloutStore(tmp_path)
    store.folder.mkdir(exist_ok=True)
    store.write(1, pair, cursor=2)
    stored = store.read(1, {problem.id: problem for problem in problems})
    assert stored is not None
    assert stored[0] == pair
    again = {}  # what was stored as sampled, said again: the environment gives the same tokens
    for problem, completion in zip(problems, stored[0][0].completions, strict=True):
        own = [token for token, was in zip(completion.tokens, completion.sampled, strict=True) if was]
        again[problem.prompt] = [chat.decode_all(own)]
    assert [group.completions for group in run(again)] == [one.completions, two.completions]

    size = len(chat.tokenizer)
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True)  # fmt: skip
    policy = Policy(Qwen2ForCausalLM(config), device="cpu")
    algorithm = named("grpo", max_completion_length=200)
    batch = with_credit(pair, algorithm)
    advantage = batch.column("advantage")
    given = torch.tensor([x for c in pair[0].completions for x in [*[False] * len(pair[0].prompt), *(not own for own in c.sampled)]])
    assert given.sum() > 30
    assert not (batch.mask & given).any()
    assert torch.equal(batch.mask | given, batch.completion)
    assert advantage[batch.mask].abs().min() > 0

    def loss_gradient(of):
        """Gradient of the step's loss with respect to each token's log-probability."""
        logp = torch.full(of.tokens.shape, -0.7, requires_grad=True)
        loss = algorithm.objective.loss({"logp": logp}, of.with_columns({"old_logp": torch.full_like(logp, -0.75)}))
        return torch.autograd.grad((loss * algorithm.objective.weight(of)).sum(), logp)[0]

    gradient = loss_gradient(batch)
    assert (gradient[given] == 0).all()
    assert (gradient[batch.mask] != 0).all()

    def trained(of):
        """All weights after one update."""
        torch.manual_seed(0)
        policy = Policy(Qwen2ForCausalLM(config), device="cpu")
        policy.update(of, algorithm.objective, lr=1e-2)
        return torch.cat([parameter.detach().reshape(-1) for parameter in policy.trainable.values()])

    noise = {"sampler_logp": torch.where(given, -9.0, batch.column("sampler_logp")), "advantage": torch.where(given, 1e6, advantage)}
    expected = trained(batch)
    assert torch.equal(trained(batch.with_columns(noise)), expected), "not one bit of a reply's loss arrives"
    assert not torch.equal(trained(replace(batch, mask=batch.mask | given)), expected), "the test can fail"
    assert policy.vocabulary == size
