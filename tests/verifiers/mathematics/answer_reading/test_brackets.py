r"""Arrays, matrices, sets, and brackets that group, each beside what it means and beside what it does not mean.

A line is "one ~ other"; both directions are tried, by the whole check of two answers.
"""

import pytest

from tests.verifiers.mathematics.notation_tables import pairs
from verifiers.mathematics.equality.math_answer import equivalent

SAME = r"""
# arrays and matrices
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ \left[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}\right]
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
(\begin{array}{c}1 \\ 2\end{array}) ~ \begin{pmatrix}1\\2\end{pmatrix}
\bigl(\begin{smallmatrix}1&2\\3&4\end{smallmatrix}\bigr) ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}
\Big[\begin{array}{c}1 \\ 2\end{array}\Big] ~ \begin{pmatrix}1\\2\end{pmatrix}
[[3,7],[5,12]] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
[[1,2,3],[4,5,6]] ~ [\begin{array}{ccc}1&2&3\\4&5&6\end{array}]
[3,7;5,12] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
[1/2, 1] ~ \begin{matrix} \frac12 \\ 1 \end{matrix}
(1,2,3) ~ \begin{pmatrix}1\\2\\3\end{pmatrix}
\langle 1,2,3\rangle ~ [\begin{array}{c}1 \\ 2\\3\end{array}]
\left|\begin{array}{cc}2&1\\1&2\end{array}\right| ~ \begin{vmatrix}2&1\\1&2\end{vmatrix}
\begin{vmatrix}2&1\\1&2\end{vmatrix}=3 ~ 3
17 \bmod 5 = 2 ~ 2
2[\begin{array}{c}1 \\ 2\end{array}] ~ \begin{pmatrix}2\\4\end{pmatrix}
\\begin{pmatrix} 1 \\\\ \\frac12 \\end{pmatrix} ~ \begin{pmatrix} 1 \\ 0.5 \end{pmatrix}
\\frac{1}{2} ~ 0.5
A^{-1}=[\begin{array}{cc}1&0\\0&2\end{array}] ~ A^{-1} = \left[\begin{array}{ll}1&0\\0&2\end{array}\right]
# more arrays
\left(\begin{array}{cc}1&2\\3&4\end{array}\right) ~ (\begin{array}{cc}1&2\\3&4\end{array})
[\begin{matrix}1&2\\3&4\end{matrix}] ~ \begin{bmatrix}1&2\\3&4\end{bmatrix}
\Bigl(\begin{matrix}1\\2\end{matrix}\Bigr) ~ \begin{pmatrix}1\\2\end{pmatrix}
[\begin{array}{l}1 \\ 9 \\ 0\end{array}] ~ (1,9,0)
[\begin{array}{l}1 \\ 9 \\ 0\end{array}] ~ [1,9,0]
B^{-1}=[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ \left[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}\right]
\frac{1}{2}[\begin{array}{rr}1 & 2 \\ 3 & 4\end{array}] ~ \begin{bmatrix}0.5&1\\1.5&2\end{bmatrix}
[\begin{array}{c}1\\0\end{array}]+t[\begin{array}{c}0\\1\end{array}] ~ \begin{pmatrix}1\\t\end{pmatrix}
[[1,0],[0,1]] ~ \begin{pmatrix}1&0\\0&1\end{pmatrix}
[[1/2,x],[y,0]] ~ \begin{pmatrix}\frac12&x\\y&0\end{pmatrix}
[[1],[2],[3]] ~ \begin{pmatrix}1\\2\\3\end{pmatrix}
[[1,2,3]] ~ \begin{pmatrix}1&2&3\end{pmatrix}
\left[\left[1,2\right],\left[3,4\right]\right] ~ \begin{bmatrix}1&2\\3&4\end{bmatrix}
\begin{Bmatrix}1&2\\3&4\end{Bmatrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}
\begin{matrix}1&2\\3&4\end{matrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}
\begin{vmatrix}1&2\\3&4\end{vmatrix} = -2 ~ -2
\det\begin{pmatrix}1&2\\3&4\end{pmatrix} = -2 ~ -2
\begin{vmatrix}1&2\\3&4\end{vmatrix} = 4-6 = -2 ~ -2
\begin{pmatrix}1&2\\3&4\end{pmatrix}\cdot\begin{pmatrix}1\\1\end{pmatrix}=\begin{pmatrix}3\\7\end{pmatrix} ~ (3,7)
[2,3] ~ \begin{bmatrix}2\\3\end{bmatrix}
[2;3] ~ \begin{bmatrix}2\\3\end{bmatrix}
(2,3)^T ~ \begin{pmatrix}2\\3\end{pmatrix}
[2,3]^T ~ \begin{pmatrix}2\\3\end{pmatrix}
\\left(\\frac{1}{2}, \\sqrt{3}\\right) ~ (1/2,\sqrt3)
\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} ~ \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
x \\in [1, \\infty) ~ [1,\infty)
\\dfrac{\\pi}{2} ~ \pi/2
\\sqrt{2} \\cdot 3 ~ 3\sqrt2
# sets in braces without a backslash
{1,2} \cup {2,3} ~ \{1,2\}\cup\{2,3\}
{1,2} \setminus {2} ~ \{1,2\}\setminus\{2\}
{1,2} \cup {3,4} \cup {5,6} ~ (\{1,2\}\cup\{3,4\})\cup\{5,6\}
(0,1) \cap {0.5} ~ (0,1)\cap\{0.5\}
{{1},{2},{3}} ~ \{\{1\},\{2\},\{3\}\}
{{1,2},{3}} ~ \{\{1,2\},\{3\}\}
{1,2} ~ \{2,1\}
\mathbb{R} \setminus {0} ~ \mathbb R\setminus\{0\}
\mathbb{R} - {0} ~ (-\infty,0)\cup(0,\infty)
(-\infty,0) \cup {5} ~ (-\infty,0)\cup\{5\}
{1} \cup {2} ~ \{1\}\cup\{2\}
[1,2] \cup {3} ~ \{3\}\cup[1,2]
# more sets in braces
{1, 2, 3} ~ \{3,2,1\}
{1,2}\cap{2,3} ~ \{1,2\}\cap\{2,3\}
{x} \cup {y} ~ \{x\}\cup\{y\}
{-1} \cup [0,7) ~ \{-1\}\cup[0,7)
\mathbb{Z} \setminus {0} ~ \mathbb{Z}\setminus\{0\}
\mathbb{R}\setminus{1,2} ~ \mathbb{R}\setminus\{1,2\}
{(1,2),(3,4)} ~ \{(3,4),(1,2)\}
{{1,2},{3,4}} ~ \{\{1,2\},\{3,4\}\}
{1}\cup(2,3) ~ (2,3)\cup\{1\}
{0,1}\cup{2} ~ \{0,1\}\cup\{2\}
\left{1,2\right} ~ \{1,2\}
{} ~ \emptyset
\{\} ~ \emptyset
(1,2) \setminus {1.5} ~ (1,1.5)\cup(1.5,2)
{1,2} ∪ {3} ~ \{1,2\} \cup \{3\}
{1,2} union {3} ~ \{1,2\} \cup \{3\}
A = {1,2} ~ \{1,2\}
x \in {1,2} ~ \{1,2\}
\left\{{1,2}\right\} ~ \{1,2\}
# brackets and braces that group
\{1+2\}\{3-4\} ~ (1+2)(3-4)
[1+2][3-4] ~ (1+2)(3-4)
\int \{x dx\} ~ \int x\,dx
\sin\{\theta\} ~ \sin{\left(\theta\right)}
2\{3[x-(y+1)]+2\} ~ 6x-6y-2
[x+1]^2 ~ (x+1)^2
[x+1][x-1] ~ x^2-1
3[2+(5-1)] ~ 18
\{1+2\}^2 ~ 9
]1,2[ ~ (1,2)
]1,2[\cup]3,4[ ~ (1,2)\cup(3,4)
[1,2[ \cup ]2,3] ~ [1,2)\cup(2,3]
\{{1,2}\} ~ \{1,2\}
13_{\text{six}} ~ 13_6
13_{four} ~ 7_{10}
# more grouping
[(x+1)(x-2)]^2 ~ (x+1)^2(x-2)^2
\left[x+1\right]\left[x-1\right] ~ x^2-1
2[x+3] ~ 2x+6
-[x+3] ~ -x-3
\frac{[x+1]}{2} ~ \frac{x+1}{2}
\left\{x+[y-(z+1)]\right\}\cdot 2 ~ 2x+2y-2z-2
\cos\{2x\} ~ \cos 2x
\ln\{x+1\} ~ \ln(x+1)
\sqrt{[x+1]} ~ \sqrt{x+1}
\exp\left\{-\frac{x^2}{2}\right\} ~ e^{-x^2/2}
\exp\left[-x\right] ~ e^{-x}
\{3+4\}\cdot\{1+1\} ~ 14
[3+4]*[1+1] ~ 14
\int [x+1] dx ~ \int (x+1)\,dx
"""

DIFFERENT = r"""
# arrays and matrices
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ [\begin{array}{rr}3 & 5 \\ 7 & 12\end{array}]
[[3,7],[5,12]] ~ \begin{bmatrix}3 & 5 \\ 7 & 12\end{bmatrix}
[3,7;5,12] ~ [3,7,5,12]
[1,2] ~ \begin{pmatrix}2\\1\end{pmatrix}
[1,2) ~ \begin{pmatrix}1\\2\end{pmatrix}
\{1,2\} ~ \begin{pmatrix}1\\2\end{pmatrix}
[1,2] ~ (1,2)
x\in[1,2] ~ x\in(1,2)
\begin{vmatrix}2&1\\1&2\end{vmatrix}=3 ~ 5
\begin{vmatrix}2&1\\1&2\end{vmatrix} ~ 3
17 \bmod 5 = 3 ~ 2
# more arrays
[\begin{array}{l}1 \\ 9 \\ 0\end{array}] ~ [1,0,9]
[[1,0],[0,1]] ~ \begin{pmatrix}0&1\\1&0\end{pmatrix}
[1,2],[3,4] ~ [[1,2],[3,4]]
\det\begin{pmatrix}1&2\\3&4\end{pmatrix} = -2 ~ 2
\begin{vmatrix}1&2\\3&4\end{vmatrix} = 5 ~ -2
\begin{vmatrix}1&2\\3&4\end{vmatrix} = 5 ~ 5
[2,3]\cup[4,5] ~ [[2,3],[4,5]]
# sets in braces without a backslash
{{1},{2},{3}} ~ \{1,2,3\}
{1,2} ~ (1,2)
{1,2} ~ [1,2]
\mathbb{R} - {0} ~ (-\infty,1)\cup(1,\infty)
(-\infty,0) \cup {5} ~ (-\infty,0)\cup\{4\}
{1,2} \cup {2,3} ~ {1,2} \cap {2,3}
# more sets in braces
\mathbb{R}\setminus{1,2} ~ \mathbb{R}\setminus\{1,3\}
{(1,2),(3,4)} ~ \{(2,1),(3,4)\}
{1}\cup(2,3) ~ (2,3)\cup\{2\}
# brackets and braces that group
2\{3[x-(y+1)]+2\} ~ 6x-6y+2
2\{x\} ~ 2x
\{x\} ~ x
\{1,2\}\{3\} ~ 6
[1,2][3,4] ~ [1,2]\cup[3,4]
x[2] ~ 2x
\{x+1\}\{x-1\} ~ x^2-1
\{\{1,2\}\} ~ \{1,2\}
"""


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_the_same_in_another_notation(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), pairs(DIFFERENT))
def test_what_a_notation_does_not_mean(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)


@pytest.mark.parametrize(
    ("interval", "other"),
    [
        (r"x\in[2,3]", r"\begin{pmatrix}2\\3\end{pmatrix}"),
        (r"x\in(2,3)", r"\begin{pmatrix}2\\3\end{pmatrix}"),
        (r"x\in[2,3]", r"\begin{bmatrix}2&3\end{bmatrix}"),
        (r"x\in(2,3)", "a = 2, b = 3"),
        (r"t\in(-1,4), s\in[0,1]", r"t=\begin{pmatrix}-1\\4\end{pmatrix}, s=\begin{pmatrix}0\\1\end{pmatrix}"),
    ],
)
def test_an_interval_that_a_letter_is_in_is_no_vector(interval: str, other: str) -> None:
    assert not equivalent(interval, other)
    assert not equivalent(other, interval)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"x\in[2,3]", "[2,3]"),
        (r"x\in(2,3)", "2<x<3"),
        (r"x\in\{2,3\}", "x=2, x=3"),
        ("v=(2,3)", r"v=\begin{pmatrix}2\\3\end{pmatrix}"),
        ("[2,3]", r"\begin{pmatrix}2\\3\end{pmatrix}"),
    ],
)
def test_intervals_and_vectors_in_other_words(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


def test_a_text_too_long_to_be_read_is_compared_as_its_tokens() -> None:
    plain = " = ".join([r"[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}]"] * 25)
    sized = plain.replace("[", "\\left[").replace("}]", r"}\right]")
    assert min(len(plain), len(sized)) > 1000
    assert equivalent(plain, sized)
    assert not equivalent(plain, sized.replace("12", "13", 1))
