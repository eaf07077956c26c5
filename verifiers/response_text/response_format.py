"""Is the response laid out as a thought and then an answer, in tags, and nothing else? DeepSeek-R1's format reward.

Source: arXiv:2501.12948, section 2.2. Only the layout is judged, never what is inside; `combined_rewards.py` joins it with a verifier that
does. The rule is strict, because each exception is a layout that the policy will find: each of the four tags exactly once, in order.
"""

from verifiers.problem import Problem
from verifiers.verdict import Verdict, right, wrong


def verify(problem: Problem, response: str, *, think_prefilled: bool = False) -> Verdict:
    """1 if the response is <think>...</think><answer>...</answer>, both with content, with only white space around them; else 0.

    `think_prefilled`: the prompt may end with <think> (a chat template's doing, or --prefill), so the response may lack it. Reckon's
    own runs put what the prompt gave back in front of the response, and need no parameter; other trainers (TRL) do not.
    """
    fault = _fault(response, think_prefilled=think_prefilled)
    return wrong(fault) if fault else right("thought, then answer")


def _fault(response: str, *, think_prefilled: bool) -> str:
    """What is wrong, or "". Once every tag is known to be there once, cutting at each in turn finds any wrong order."""
    if think_prefilled and not response.lstrip().startswith("<think>"):
        response = "<think>" + response
    for tag in ("<think>", "</think>", "<answer>", "</answer>"):
        if (count := response.count(tag)) != 1:
            return f"{tag} {count} times instead of once" if count else f"no {tag}"
    before, _, rest = response.partition("<think>")
    thought, closed, rest = rest.partition("</think>")
    between, opened, rest = rest.partition("<answer>")
    answer, ended, after = rest.partition("</answer>")
    if not (closed and opened and ended):
        return "the tags are not in the order <think> </think> <answer> </answer>"
    for place, text in (("before <think>", before), ("between </think> and <answer>", between), ("after </answer>", after)):
        if text.strip():
            return f"text {place}: {text.strip()!r:.60}"
    for place, text in (("thought", thought), ("answer", answer)):
        if not text.strip():
            return f"the {place} is empty"
    return ""
