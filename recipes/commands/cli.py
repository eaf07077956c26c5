"""The `reckon` command: one name a recipe or tool, each imported only when it is called."""

import importlib
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recipes.setup.command_line import guarded, parse_options
from recipes.spelling.completion import completion_script
from recipes.spelling.help_page import HELP, HELP_ALL
from verifiers.input_error import InputError, did_you_mean

COMMANDS = {  # name -> (module with `Config` and `run(config) -> exit code`, or `command(words) -> exit code`; what it does)
    "quickstart": ("recipes.quickstart", "GRPO teaches a tiny model arithmetic, on any machine, in minutes"),
    "grpo-math": ("recipes.grpo_math", "GRPO and its relatives on your model and your problems"),
    "ppo": ("recipes.ppo_math", "PPO with a critic: a head on the policy, a second adapter, or a model of its own"),
    "iterate": ("recipes.iterative_grpo", "GRPO by a reward model that learns anew what the policy says, in rounds"),
    "deepseek-math": ("recipes.deepseek_math", "DeepSeekMath: mine, SFT, RFT, reward models, GRPO by outcome, by process, iterated"),
    "r1-zero": ("recipes.r1_zero", "R1-Zero: GRPO from a base model by accuracy and format"),
    "r1": ("recipes.r1", "R1: cold start, GRPO, rejection sampling, SFT, GRPO, and a distilled student"),
    "deliberate": ("recipes.deliberative_alignment", "deliberative alignment: a policy learnt by thinking of it"),
    "grpo-tools": ("recipes.grpo_tools", "the same where the policy may run programs, or talk with an environment of yours"),
    "sample": ("recipes.training.sample", "completions of any model for your problems, scored, into a store"),
    "sft": ("recipes.training.sft", "supervised fine-tuning on prompts with completions, conversations or texts"),
    "mix": ("recipes.mixing.mix", "how much of each domain to train on, found by a small model: DoReMi, Skill-It"),
    "dpo": ("recipes.training.dpo", "preferences out of pairs of answers: DPO, IPO, hinge, robust, SimPO"),
    "orpo": ("recipes.training.orpo", "likelihood and preference in one, out of pairs, without a reference"),
    "kto": ("recipes.training.kto", "preferences out of single answers with a label"),
    "reward-model": ("recipes.training.reward_model", "a reward model: pairs of answers, right and wrong ones, or labelled steps"),
    "rft": ("recipes.training.rft", "rounds of sampling, keeping right answers and learning from them: RFT, STaR, ReST-EM"),
    "spin": ("recipes.training.spin", "rounds of the data's answers against the model's own, by DPO: self-play"),
    "distill": ("recipes.policies.distill", "the policy's own samples, by what a teacher thinks of them: on-policy distillation"),
    "warp": ("recipes.policies.warp", "rounds of several policies from one start, merged by spherical interpolation (WARP)"),
    "eval": ("recipes.evaluation.eval_command", "what a model can do: accuracy, pass@k, maj@k, paired tests, each with its interval"),
    "data": ("recipes.commands.data", "training data out of stored rollouts: sft, pairs, difficulty, labels of steps"),
    "plan": ("recipes.commands.plan", "what a recipe would do: options, loss, tokens, memory; without running it"),
    "verify": ("recipes.commands.verify", "one verdict for each row of a JSONL file or a pipe"),
    "verifiers": ("recipes.commands.verifier_list", "the verifiers and their parameters, a line each"),
    "audit": ("recipes.commands.audit", "golds that fail, conflicts, duplicates, leaks and answer types of a data set"),
    "merge": ("recipes.commands.merge", "a run or an adapter as one plain model, or several policies as one: slerp, average, TIES, DARE"),
    "push": ("recipes.commands.push", "a model or an adapter to the Hugging Face hub, with a card that says how it was made"),
    "runs": ("recipes.looking.runs", "the runs of a folder, a line each: status, steps, best accuracy, what they differ in"),
    "view": ("recipes.viewer.view", "runs as a page that opens from disk: curves, rollouts, tokens, problems; or data to be trained on"),
    "watch": ("recipes.viewer.watch", "the same page, kept up to date while a run goes on"),
    "show": ("recipes.looking.show", "what the policy said, in the terminal: by step, verdict, problem; held-out answers too"),
    "diff": ("recipes.looking.diff", "what two runs differ in, and what came of it"),
    "compare": ("recipes.commands.compare", "runs of several methods: accuracy against steps, tokens and seconds, one table and picture"),
    "plot": ("recipes.commands.plot", "draw the plots of a run again"),
    "completion": ("recipes.spelling.completion", "a script that makes bash, zsh or fish complete commands and options"),
    "mine": (
        "data_pipeline.commands.mine_command",
        "mathematics out of web archives: extract, classify, by domain, in rounds; to a corpus and to problems",
    ),
}


SECTIONS = {  # of `reckon --help`: the commands that it explains, and those that it only names
    "train": (
        ("quickstart", "sft", "dpo", "grpo-math", "ppo", "rft", "distill"),
        ("orpo", "kto", "spin", "warp", "reward-model", "iterate", "grpo-tools", "deepseek-math", "r1-zero", "r1", "deliberate"),
    ),
    "data": (("sample", "data", "audit", "mine"), ("mix",)),
    "judge": (("eval", "verify"), ("verifiers",)),
    "look": (("plan", "runs", "view", "show", "compare"), ("diff", "watch", "plot")),
    "hand on": (("merge", "push"), ("completion",)),
}


def usage(everything: bool = False) -> str:
    """What commands there are, in 24 lines, or each with what it does."""
    width = max(map(len, COMMANDS))
    lines = []
    for section, (explained, named) in SECTIONS.items():
        shown = (*explained, *named) if everything else explained
        lines += [f"{section if name == shown[0] else '':8}{name.ljust(width)}  {COMMANDS[name][1]}" for name in shown]
        if named and not everything:
            lines += textwrap.wrap("also " + ", ".join(named), 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    end = "reckon COMMAND --help lists a command's options" + ("" if everything else "; reckon --help-all what each command does") + "."
    return "\n".join(["Reckon: reinforcement learning of reasoning.  reckon COMMAND [OPTIONS]", "", *lines, "", end])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code (`guarded` says which there are)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments))


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in (*HELP, HELP_ALL):
        print(usage(everything=HELP_ALL in arguments[:1]))
        return 0
    if arguments[0] == "--version":
        print(f"reckon {version('reckon-rl')}")
        return 0
    _check_verifiers_is_ours()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours are enough; transformers would draw one a tensor
    name, rest = arguments[0].replace("_", "-"), arguments[1:]
    if name not in COMMANDS:
        of_trl = (command for command in sorted(COMMANDS) if command.startswith(f"{name}-"))  # `trl grpo`, `trl reward`
        begun = next((f"; did you mean {command}?" for command in of_trl), "")
        hint = begun or did_you_mean(name, COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        raise InputError(f"unknown command {arguments[0]!r}{hint}")
    if name == "completion":
        print(completion_script(rest, {each: _options_of(each) for each in COMMANDS if each != name}))
        return 0
    module: Any = importlib.import_module(COMMANDS[name][0])
    if hasattr(module, "command"):
        return int(module.command(rest))
    return int(module.run(parse_options(module.Config, rest, name=name)))


def _options_of(name: str) -> Any:
    """The dataclass of a command's options, or the names of its own commands."""
    module = importlib.import_module(COMMANDS[name][0])
    return getattr(module, "Config", None) or tuple(module.command_names())


def _check_verifiers_is_ours() -> None:
    import verifiers

    here = Path(__file__).resolve().parents[2] / "verifiers"
    found = [Path(place).resolve() for place in verifiers.__path__]
    if here not in found:
        raise InputError(f"the package `verifiers` in {found[0]} hides Reckon's own; uninstall it: pip uninstall verifiers")


if __name__ == "__main__":
    sys.exit(main())
