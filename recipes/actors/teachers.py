"""The teacher that the options describe: a model beside the policy, one behind an engine of its own, or one that somebody serves."""

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from recipes.actors.engines import make_engine
from recipes.actors.same_tokenizer import PROBE, check_same_tokenizer, find_other
from recipes.setup.choices import HF, VLLM, TopK
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rl.learning.teacher import Teacher
    from rollout.chat import Chat

OPTION = "--teacher"


def is_served(place: str) -> bool:
    """Whether that is the address of a server."""
    return place.startswith(("http://", "https://"))


def check_teacher(config: Any, chat: "Chat") -> None:
    """Raises InputError, before any weights are read, for a teacher that cannot be. Of options without one it says nothing."""
    place = getattr(config, "teacher", None)
    if place is None:
        return
    exact = isinstance(config.algorithm, TopK)
    if exact and (is_served(place) or config.teacher_by == "engine"):
        what = "a server" if is_served(place) else "an engine"
        raise InputError(
            f"--algorithm top-k needs the teacher's most likely tokens, and {what} says those of given tokens alone; use sampled, or a "
            "teacher beside the policy"
        )
    if is_served(place):
        _check_served(config, chat)
        return
    check_same_tokenizer(config.model, chat.tokenizer, place, OPTION)
    size = find_other(place, OPTION).load_shape().get_text_config().vocab_size
    if exact and config.algorithm.k >= min(size, len(chat.tokenizer)):
        raise InputError(f"--k {config.algorithm.k}: the teacher has {size} tokens, of which fewer must be singled out; give fewer")
    if config.teacher_by == "engine" and not isinstance(config.engine, HF | VLLM):
        raise InputError(
            "--teacher-by engine starts another engine of the same kind, hf or vllm; use one of them, or give a server's address"
        )


def _check_served(config: Any, chat: "Chat") -> None:
    from rollout.engines.served_scores import ServedScores

    if config.teacher_by == "engine":
        raise InputError("--teacher-by engine would be ignored: the teacher is a server; leave it out")
    if config.temperature != 1:
        raise InputError(
            f"--temperature {config.temperature:g}: a server says log-probabilities at temperature 1 alone; use 1, or a teacher beside the "
            "policy"
        )
    server = ServedScores(config.teacher)
    for text in (PROBE, *chat.tokenizer.all_special_tokens[:4]):
        theirs, own = server.tokens_of(text), chat.tokenizer.encode(text, add_special_tokens=False)
        if theirs != own:
            raise InputError(
                f"{OPTION} {config.teacher} has another tokenizer than --model {config.model} ({text[:20]!r} becomes {theirs[:6]}, not "
                f"{own[:6]}); serve a model of the same family"
            )


def make_teacher(
    config: Any, policy: "Policy", chat: "Chat", opened: ExitStack, *, longest: int, dtype: Literal["fp32", "bf16"]
) -> "Teacher | None":
    """None for options without one. `longest`: tokens of a sequence, at most."""
    place = getattr(config, "teacher", None)
    if place is None:
        return None
    from rl.learning.teacher import EngineTeacher, ModelTeacher

    if is_served(place):
        from rollout.engines.served_scores import ServedScores

        server = ServedScores(place)
        if server.max_model_len is not None and int(server.max_model_len) <= longest:
            raise InputError(f"{server.url} has --max-model-len {server.max_model_len} and the run needs {longest + 1}; start it with that")
        return EngineTeacher(server)
    from rl.learning.learner import Learner
    from rl.learning.policy import Policy
    from rollout.progress import watched

    source = find_other(place, OPTION)
    with watched(f"loading the teacher {source.in_words()}"):
        model = source.load_model(dtype, lora=True)  # as narrow as a base that is frozen
    settings: dict[str, Any] = {"dtype": dtype, "tokens_per_micro_batch": config.tokens_per_micro_batch}
    if config.teacher_by == "engine":
        teacher = Policy(model, **settings)
        asked = replace(config, ahead=0)
        engine = make_engine(asked, policy=teacher, chat=chat, max_sequences=config.max_sequences, longest=longest + 1)
        opened.enter_context(closing(engine))
        engine.load_policy(teacher.weights(), 0)
        return EngineTeacher(engine)
    top = config.algorithm.k if isinstance(config.algorithm, TopK) else 1
    return ModelTeacher(Learner(model, layout=policy.layout, **settings), top=top, policy_vocabulary=policy.vocabulary)
