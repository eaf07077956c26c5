"""One world in which every method can run, and each method as the commands that a user types, with one budget of sampled completions.

The world is that of `benchmarks/recipe/chains.py`, sums worked line by line: process supervision needs responses that have steps, and a
verdict of each. All else can run there too, so that there is one table. Every method begins as the same warm start and may sample 7,680
completions: at once as a store (8 of 960 problems), in rounds, or online (30 steps of 32 problems x 8 completions). What a reward
model learns from counts too: half for its samples, half for GRPO by it. Rates are what a few trials on a seed of their own found (3).
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from benchmarks.recipe import chains
from benchmarks.recipe.methods import Method, Steps, online, training, written
from benchmarks.recipe.worlds import World

BUDGET = 7680
"""Completions."""
SELECTIONS = ("sft", "pairs")
ONLINE = ("--problems-per-step", "32", "--completions-per-problem", "8", "--steps", "30")
SMALL_STEPS = ("--problems-per-step", "8", "--completions-per-problem", "8", "--steps", "120")  # as many updates as a round of RFT makes
BY_MODEL = ("--problems-per-step", "16", "--completions-per-problem", "8")  # GRPO by a reward model: half the budget in as many steps
LORA = ("--tune", "lora", "--max-grad-norm", "0.3")


def sums(folder: Path, seed: int) -> World:
    """The sums, and a warm start of their model with this seed; both are made once."""
    train, held_out = chains.write_data(folder, seed=seed)
    start = folder / "sft" / "final"
    if not start.exists():
        chains.warm_start(folder, seed=seed)
    once = ("--per-problem", "1", "--keep", "random")  # one draw of a problem's right answers: each solution once would favour haste
    return World(
        name=f"seed {seed}", model=str(start), train=train, held_out=held_out, system="", max_tokens=chains.MAX_TOKENS, seed=seed,
        tune=("--tune", "full", "--max-grad-norm", "0.3"),
        sampling=("--engine", "hf", "--max-completion-length", str(chains.MAX_TOKENS), "--max-sequences", "1024", "--system-prompt", ""),
        store=("--limit", "960", "--completions-per-problem", "8", "--problems-per-chunk", "96"),
        online=ONLINE,
        own={
            "more": ("--lr", "3e-4", "--epochs", "1", "--examples-per-step", "64"),
            "select_sft": once,
            "sft": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "32"),
            "rft": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "32", "--examples", "latest", *once),
            "dpo": ("--lr", "2e-5", "--epochs", "2", "--examples-per-step", "32"),
            "orpo": ("--lr", "3e-4", "--epochs", "4", "--examples-per-step", "32", "--nll-mean", "token"),
            "raft": ("--lr", "2e-4"),
            **dict.fromkeys(("grpo", "grpo-ps", "ppo"), ("--lr", "1e-4")),
            "iterate": ("--lr", "1e-4", "--kl-coef", "0.04", "--reward-lr", "3e-4", "--reward-epochs", "2"),
            "select_pairs": ("--per-problem", "4"),
        },
    )  # fmt: skip


def more_of_the_start(world: World, folder: Path, run: Path) -> Steps:
    """SFT on what the warm start learnt from, gone through once more: what training alone does."""
    return [((*training(world, "sft", run, name="more"), "--data", str(folder / "worked.jsonl"), "--system-prompt", ""), run)]


def rft(world: World, folder: Path, run: Path) -> Steps:
    """Two rounds of half the budget each, both from the start; the second learns from what the first one's policy samples."""
    half = ("--rounds", "2", "--limit", "960", "--completions-per-problem", "4", "--problems-per-chunk", "192")
    return [((*training(world, "rft", run), "--data", str(world.train), *half, *world.sampling), run)]


def by_steps(world: World, folder: Path, run: Path) -> Steps:
    """GRPO-PS, each line scored by the family's own rule."""
    ((words, place),) = online("grpo-ps")(world, folder, run)
    return [((*words, "--reward", chains.REWARD), place)]


def ppo(critic: str) -> Method:
    def steps(world: World, folder: Path, run: Path) -> Steps:
        words = ("--data", str(world.train), "--critic", critic, *world.sampling, *world.online)
        return [((*training(world, "ppo", run), *words), run)]

    return steps


def iterated(rounds: int) -> Method:
    """GRPO by a reward model that is trained in so many rounds; samples, pairs and GRPO's steps are the same in all."""

    def steps(world: World, folder: Path, run: Path) -> Steps:
        shape = ("--rounds", str(rounds), "--reward-samples", "8", "--reward-problems", str(480 // rounds), "--steps", str(30 // rounds))
        return [((*training(world, "iterate", run), "--data", str(world.train), *shape, *BY_MODEL, *world.sampling), run)]

    return steps


def with_adapter(method: Method) -> Method:
    """The same with a LoRA of rank 16 in place of all parameters, at a rate for it."""

    def steps(world: World, folder: Path, run: Path) -> Steps:
        rates = dict.fromkeys(("grpo", "ppo"), ("--lr", "1e-3"))
        return method(replace(world, tune=LORA, own={**world.own, **rates}), folder, run)

    return steps


def in_small_steps(algorithm: str) -> Method:
    """The online loop with four times as many updates, each on a quarter of the completions; all at one rate."""
    method = by_steps if algorithm == "grpo-ps" else online(algorithm)

    def steps(world: World, folder: Path, run: Path) -> Steps:
        return method(replace(world, online=SMALL_STEPS, own={**world.own, algorithm: ("--lr", "1e-4")}), folder, run)

    return steps


START, CONTROL = "start", "SFT, more of the start's data"
METHODS: Mapping[str, Method] = {
    CONTROL: more_of_the_start,
    "SFT, store": written("sft", "sft"),
    "RFT, 2 rounds": rft,
    "online RFT": online("raft"),
    "DPO, store": written("dpo", "pairs"),
    "ORPO, store": written("orpo", "pairs"),
    "PPO, trunk": ppo("trunk"),
    "PPO, separate": ppo("separate"),
    "GRPO, outcome": online("grpo"),
    "GRPO, process": by_steps,
    "GRPO, reward model once": iterated(1),
    "GRPO, iterative": iterated(2),
    "LoRA: GRPO, outcome": with_adapter(online("grpo")),
    "LoRA: PPO, adapter": with_adapter(ppo("adapter")),
    "120 updates: online RFT": in_small_steps("raft"),
    "120 updates: GRPO, outcome": in_small_steps("grpo"),
    "120 updates: GRPO, process": in_small_steps("grpo-ps"),
}
ORDERS = (
    ("RFT, 2 rounds", "online RFT", "GRPO, outcome", "GRPO, process"),
    ("RFT, 2 rounds", "120 updates: online RFT", "120 updates: GRPO, outcome", "120 updates: GRPO, process"),
)
"""Each better than the one before, as DeepSeekMath has it (arXiv:2402.03300, figure 5); the last at least as good."""
BESIDE: tuple[tuple[str, str], ...] = (
    *((later, earlier) for order in ORDERS for earlier, later in pairwise(order)),
    ("SFT, store", CONTROL),
    ("PPO, trunk", "GRPO, outcome"),
    ("PPO, separate", "GRPO, outcome"),
    ("LoRA: PPO, adapter", "LoRA: GRPO, outcome"),
    ("GRPO, reward model once", "GRPO, outcome"),
    ("GRPO, iterative", "GRPO, reward model once"),
)
"""What is compared in pairs: (one, the other)."""
