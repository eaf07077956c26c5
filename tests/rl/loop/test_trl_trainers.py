"""The first ten steps of TRL's own trainers and of ours are the same: data, order, masks, reference, loss, gradient and step.

Losses alone are compared elsewhere; here nothing is shared but the rows, the weights that both begin with, and plain SGD. Equal losses
after the first step need equal steps before.
"""

import copy
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from rl.learning import scoring
from rl.learning.adapters import Lora
from rl.learning.learner import Learner, Optimizer
from rl.learning.reference import initial_reference
from rl.learning.schedule import Schedule
from rl.loop.offline import fit
from rl.objectives.batch import Batch, lay_out
from rl.objectives.objective import Objective
from rl.objectives.preferences import dpo, ipo, kto, orpo, reference_point, with_trained_prompts

STEPS, PAIRS = 10, 4
LR = 0.003  # small: where losses jump about, rounding errors grow a hundredfold in a few steps
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Sums with a right and a wrong answer, of different lengths, some with a thought; every other step sees the same ones again."""
    draw = random.Random(0)
    found = []
    for _ in range(2 * PAIRS):
        a, b = draw.randrange(100), draw.randrange(100)
        thought = f"<think>{a}+{b}={a + b}</think>" if draw.random() < 0.5 else ""
        wrong = a + b + draw.randrange(1, 900)
        found.append({"prompt": f"{a}+{b}=", "chosen": f"{thought}<answer>{a + b}</answer>", "rejected": f"<answer>{wrong}</answer>"})
    return found * (STEPS // 2)


def losses_of_trl(
    trainer_type: Any, config_type: Any, rows: Rows, tokenizer: Any, folder: Path, *, models: dict[str, Any], **options: Any
) -> list[float]:
    """What TRL's trainer minimised at each step, over the rows in their order."""
    seen: list[float] = []

    class Watched(trainer_type):  # type: ignore[misc, valid-type]
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            seen.append(float(loss))
            return loss

    settings = config_type(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=PAIRS, learning_rate=options.pop("lr"), optim="sgd",
        lr_scheduler_type="constant", max_grad_norm=0.0, train_sampling_strategy="sequential", gradient_checkpointing=False, bf16=False,
        use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True, max_length=128, **options,
    )  # fmt: skip
    Watched(**models, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train()
    return seen


def losses_of_ours(
    learner: Learner, objective: Objective, rows: Rows, tokenizer: Any, *, lr: float, prompts: bool = False,
    batch_of: "Callable[[Sequence[dict[str, Any]], Any], Batch] | None" = None,
) -> list[float]:  # fmt: skip
    learner.optimizer = torch.optim.SGD(list(learner.trainable.values()), lr=0.0)  # type: ignore[assignment]

    def batch_of_step(step: int) -> Batch:
        batch = (batch_of or pairs_of)(rows[(step - 1) * PAIRS : step * PAIRS], tokenizer)
        return with_trained_prompts(batch) if prompts else batch

    seen: list[float] = []
    reference = initial_reference(learner) if "ref_logp" in objective.reads else None
    fit(
        learner=learner, objective=objective, batch_of_step=batch_of_step, steps=STEPS, lr=Schedule(lr, STEPS), reference=reference,
        should_stop=lambda step, loss: seen.append(loss) or False,  # type: ignore[func-returns-value]
    )  # fmt: skip
    return seen


def pairs_of(rows: Sequence[dict[str, str]], tokenizer: Any) -> Batch:
    prompts = [tokenizer.encode(row["prompt"]) for row in rows for _ in range(2)]
    answers = [[*tokenizer.encode(row[side]), tokenizer.eos_token_id] for row in rows for side in ("chosen", "rejected")]
    return lay_out(
        [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)],
        [[*[False] * len(prompt), *[True] * len(answer)] for prompt, answer in zip(prompts, answers, strict=True)],
        [len(prompt) for prompt in prompts],
        groups=[number // 2 for number in range(len(prompts))],
    )


def labelled_of(rows: Sequence[dict[str, Any]], tokenizer: Any) -> Batch:
    """In the opposite order: TRL's prompts meet the completion before theirs, KTO's paper's and ours the one after."""
    turned = rows[::-1]
    prompts = [tokenizer.encode(row["prompt"]) for row in turned]
    assert len({tuple(prompt) for prompt in prompts}) == len(prompts), "equal prompts are not mismatched here; TRL would not see"
    answers = [[*tokenizer.encode(row["completion"]), tokenizer.eos_token_id] for row in turned]
    batch = lay_out(
        [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)],
        [[*[False] * len(prompt), *[True] * len(answer)] for prompt, answer in zip(prompts, answers, strict=True)],
        [len(prompt) for prompt in prompts],
    )
    return batch.with_columns({"label": torch.tensor([float(row["label"]) for row in turned])})


def learner_of(model: Any, lora: Lora | None = None) -> Learner:
    return Learner(model, lora=lora, optimizer=Optimizer(max_grad_norm=1e9), tokens_per_micro_batch=100)


@pytest.mark.filterwarnings("ignore")  # TRL's own
@pytest.mark.parametrize("lora", [None, Lora(4)], ids=["full", "lora"])
@pytest.mark.parametrize(
    ("objective", "options"),
    [(dpo(beta=0.3), {"loss_type": ["sigmoid"]}), (ipo(beta=0.3), {"loss_type": ["ipo"]})],
    ids=["dpo", "ipo"],
)
def test_ten_steps_of_dpo(
    objective: Objective,
    options: dict[str, Any],
    lora: Lora | None,
    rows: Rows,
    tokenizer: Any,
    make_llama: Callable[..., Any],
    tmp_path: Path,
) -> None:
    from trl import DPOConfig, DPOTrainer

    learner = learner_of(make_llama(), lora)
    models = {"model": copy.deepcopy(learner.model)} | ({} if lora else {"ref_model": copy.deepcopy(learner.model)})
    theirs = losses_of_trl(DPOTrainer, DPOConfig, rows, tokenizer, tmp_path, models=models, lr=LR, beta=0.3, **options)
    ours = losses_of_ours(learner, objective, rows, tokenizer, lr=LR)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert abs(theirs[-1] - theirs[1]) > 1e-2, "the steps did nothing, so equal losses say nothing"


@pytest.mark.filterwarnings("ignore")
def test_ten_steps_of_orpo(rows: Rows, tokenizer: Any, make_llama: Callable[..., Any], tmp_path: Path) -> None:
    """With the likelihood of prompt and completion, averaged over tokens, as TRL's experimental trainer has it."""
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    learner = learner_of(make_llama())
    models = {"model": copy.deepcopy(learner.model)}
    theirs = losses_of_trl(ORPOTrainer, ORPOConfig, rows, tokenizer, tmp_path, models=models, lr=LR, beta=0.2)
    objective = orpo(beta=0.2, nll_over="everything", nll_mean="token")
    ours = losses_of_ours(learner, objective, rows, tokenizer, lr=LR, prompts=True)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert abs(theirs[-1] - theirs[1]) > 1e-2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lora", [None, Lora(4)], ids=["full", "lora"])
def test_ten_steps_of_kto(
    lora: Lora | None, rows: Rows, tokenizer: Any, make_llama: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One device whose batch is the step, and different prompts in it: there TRL's reference point is the paper's."""
    from trl import KTOConfig, KTOTrainer

    labelled: Any = [
        {"prompt": row["prompt"], "completion": row["chosen" if number % 3 else "rejected"], "label": bool(number % 3)}
        for number, row in enumerate(rows)
    ]
    points: list[float] = []
    monkeypatch.setattr(scoring, "reference_point", lambda gains: points.append(float(gains.mean())) or reference_point(gains))
    learner = learner_of(make_llama(), lora)
    models = {"model": copy.deepcopy(learner.model)} | ({} if lora else {"ref_model": copy.deepcopy(learner.model)})
    weights = {"desirable_weight": 1.2, "undesirable_weight": 0.7}
    theirs = losses_of_trl(KTOTrainer, KTOConfig, labelled, tokenizer, tmp_path, models=models, lr=10 * LR, beta=0.3, **weights)
    ours = losses_of_ours(learner, kto(beta=0.3, **weights), labelled, tokenizer, lr=10 * LR, batch_of=labelled_of)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert abs(theirs[-1] - theirs[1]) > 1e-2
    assert max(points) > 0.1, "the reference point was 0 throughout, so it was not compared"
