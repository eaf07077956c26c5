"""A Python interpreter as an environment: the program that ends a turn runs in a sandbox, and the policy reads what came of it.

Tool-integrated reasoning as in ToRA (arXiv:2309.17452) and ReTool (arXiv:2504.11536). Two styles of a call and its reply:

    fence       ```python           and       ```output
                print(6 * 7)                  42
                ```                           ```

    tags        <python>6 * 7</python>        <output>42</output>

Variables, imports and files are kept from one program of a completion to its next; nothing is shared between completions. A
program that fails, hangs, floods or kills its interpreter is the policy's doing: it reads that and goes on. Only a sandbox that
fails is ours, and raises. An unlabelled block does not run; a program that ends in the model's end of turn does not either.
"""

from typing import Literal

from rollout.tools.environment import Reply
from verifiers.problem import Problem
from verifiers.response_text.fenced_blocks import fence, fenced_blocks
from verifiers.sandboxes.interpreter import Session
from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.running_program import Outcome

Style = Literal["fence", "tags"]
STOPS: dict[Style, str] = {"fence": "\n```\n", "tags": "</python>"}
LANGUAGES = ("python", "py", "python3")
GRACE = 5.0
"""Seconds that a call may take beyond the program's own: to start the process, to interrupt, to kill."""


class Interpreter:
    """One for each completion. The process starts with the first program."""

    def __init__(self, *, style: Style = "fence", seconds: float = 10.0, max_output: int = 4000, sandbox: Sandbox | None = None):
        """`seconds`: for each program; `max_output`: characters, of which the first and the last are kept."""
        self.stop_texts = (STOPS[style],)
        self.style, self.seconds, self.max_output, self.sandbox = style, seconds, max_output, sandbox
        self._session: Session | None = None

    def reset(self, problem: Problem) -> None:
        self.close()

    def step(self, text: str) -> Reply | None:
        if STOPS[self.style] not in text:
            return None
        program = _last_fenced_program(text) if self.style == "fence" else _last_tagged_program(text)
        if program is None:
            return Reply()
        if self._session is None:
            self._session = Session(sandbox=self.sandbox, max_output=self.max_output)
        answer = self._session.run(program, deadline=self.seconds)
        if answer.status is Outcome.SANDBOX_ERROR:
            raise RuntimeError(f"the sandbox failed: {answer.output}")
        return Reply(self._format_output(answer.output), error=answer.status is not Outcome.OK)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _format_output(self, output: str) -> str:
        if self.style == "fence":
            return fence("output", output) + "\n"
        return f"<output>{output.rstrip()}</output>"


def _last_fenced_program(text: str) -> str | None:
    """The last block, if it is one of Python's."""
    language, program = "", None
    for language, program in fenced_blocks(text):  # noqa: B007  # the last one is wanted
        pass
    return program if language in LANGUAGES else None


def _last_tagged_program(text: str) -> str | None:
    before, _, _ = text.partition(STOPS["tags"])
    _, opened, program = before.rpartition("<python>")
    return program if opened else None
