"""The verifier of problems that were rows of written data: is the response what the data say? It needs nothing, as workers import it."""

from verifiers.problem import Problem


def says_the_same(problem: Problem, response: str) -> bool:
    """Whether a response is the text of the data, white space aside."""
    return problem.answer.split() == response.split()


SAME = f"{__name__}:{says_the_same.__name__}"
