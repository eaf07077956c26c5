"""The quickstart's world: arithmetic problems, worked solutions, a character tokenizer and a tiny Qwen2 model, all made on the spot.

Problems and the final judge are reasoning-gym's (`chain_sum`, two numbers); the worked steps, column by column as at school, are
ours. A response looks as in R1, `<think>7+8=15 5+6+1=12</think><answer>125</answer>`, or gives the answer at once, `<answer>125</answer>`.
"""

from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
CHARACTERS = "0123456789+-= "
PAD, EOS = "<pad>", "<eos>"
FAMILY = "chain_sum"


def make_problems(count: int, *, seed: int, digits: int = 2, exclude: frozenset[str] = frozenset()) -> list[Problem]:
    """`count` different sums or differences of two numbers, none whose id is in `exclude`. The entry of reasoning-gym is in `meta`."""
    try:
        import reasoning_gym
    except ImportError as error:
        raise InputError("the quickstart needs reasoning-gym; install it with: pip install 'reckon-rl[demo]'") from error
    settings = {"min_terms": 2, "max_terms": 2, "min_digits": digits, "max_digits": digits}
    found: dict[str, Problem] = {}
    for entry in reasoning_gym.create_dataset(FAMILY, size=20 * count, seed=seed, **settings):
        expression = entry["metadata"]["expression"].replace(" ", "")
        problem = make_problem(f"{expression}=", entry["answer"], meta={"entry": dict(entry)})
        if problem.id not in exclude:
            found.setdefault(problem.id, problem)
        if len(found) == count:
            return list(found.values())
    raise InputError(f"there are only {len(found)} different problems of {digits} digits, {count} were asked for; ask for fewer")


def judge(problem: Problem, answer: str) -> bool:
    """reasoning-gym's own scorer: independent of our verifiers."""
    import reasoning_gym

    scorer = reasoning_gym.get_score_answer_fn(FAMILY)
    return bool(scorer(answer, problem.meta["entry"]) == 1.0)


def answer_at_once(problem: Problem) -> str:
    """The answer without a thought."""
    return f"<answer>{problem.answer}</answer>"


def worked_solution(problem: Problem) -> str:
    """The steps of column addition or subtraction, and the answer."""
    text = str(problem.prompt).rstrip("=")
    operator = "-" if "-" in text[1:] else "+"
    left, right = text.split(operator)
    steps = _addition(left, right) if operator == "+" else _subtraction(left, right)
    return f"<think>{' '.join(steps)}</think>{answer_at_once(problem)}"


def _addition(left: str, right: str) -> list[str]:
    steps, carry = [], 0
    for a, b in zip(reversed(left), reversed(right), strict=True):
        total = int(a) + int(b) + carry
        steps.append(f"{a}+{b}{'+1' if carry else ''}={total}")
        carry = total // 10
    return steps


def _subtraction(left: str, right: str) -> list[str]:
    swapped = int(left) < int(right)
    high, low = (right, left) if swapped else (left, right)
    steps, borrow = [f"{high}-{low}"] if swapped else [], 0
    for a, b in zip(reversed(high), reversed(low), strict=True):
        ten = int(a) - borrow < int(b)
        steps.append(f"{int(a) + 10 * ten}-{b}{'-1' if borrow else ''}={int(a) + 10 * ten - int(b) - borrow}")
        borrow = int(ten)
    return steps


def make_tokenizer(characters: str = CHARACTERS) -> Any:
    """A token for each character and each tag."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([PAD, EOS, *TAGS, *characters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=EOS, pad_token=PAD)
    tokenizer.add_tokens(list(TAGS))  # ordinary tokens that are never cut into characters; decoding keeps them
    return tokenizer


def model_shape(vocabulary: int, *, hidden: int = 96, layers: int = 2, context: int = 64) -> Any:
    """The configuration of a Qwen2 model of about 0.3M parameters; vLLM's CPU build takes heads of 32, and none narrower."""
    from transformers import Qwen2Config

    heads = hidden // 32 if hidden % 32 == 0 else 4
    return Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )


def make_model(vocabulary: int, **sizes: int) -> Any:
    """A randomly initialised model of that shape; seed torch first."""
    from transformers import Qwen2ForCausalLM

    return Qwen2ForCausalLM(model_shape(vocabulary, **sizes))


def save(folder: Path, model: Any, tokenizer: Any) -> None:
    """In the format that `from_pretrained` reads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
