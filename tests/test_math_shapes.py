"""The shape of an answer: choices, names, lists, sets, remarks and sentences around the values that are compared.

Each test holds pairs of a gold and an answer that say the same, and near misses of the same kind that do not.
"""

from verifiers.math_answer import equivalent


def check(same: list[tuple[str, str]], different: list[tuple[str, str]]) -> None:
    assert [pair for pair in same if not equivalent(*pair)] == []
    assert [pair for pair in different if equivalent(*pair)] == []


def test_a_choice_letter_does_not_decide_where_the_quoted_options_differ() -> None:
    check(
        [
            ("C. 1-i", "C"),
            ("C", "C. 1-i"),
            ("C. 1-i", "(C) 1-i"),
            ("(B) 5", "B. 5.0"),
            (r"\text{(B)} 5", r"\textbf{(B)}\ 5"),
            ("C. Cecile", "C) cecile"),
            ("B. 12 cm", "B: 12"),
            (r"\text{(D)}\ \frac{1}{2}", "D. 0.5"),
            ("C. The line is parallel.", "(C) the line is parallel"),
        ],
        [
            (r"C. 1-\mathrm{i}", r"C. 3-\mathrm{i}"),
            (r"C. {x \mid-3<x<4}", r"C. {x \mid-3\le x<4}"),
            ("(B) 5", "B. 6"),
            ("C. Cecile", "C. Carol"),
            ("C", "D. 1-i"),
            ("C. x", "D. x"),
            ("A. yes", "A. no"),
            ("(A) or (B)", "(A)"),
        ],
    )


def test_a_choice_in_lower_case() -> None:
    check(
        [
            ("C", "c"),
            ("C", "(c)"),
            ("B", "b)"),
            ("(D)", "d"),
            ("A", r"\text{a}"),
        ],
        [
            ("c", "D"),
            ("N", "n"),
            ("x", "X"),
            ("I", "i"),
            ("E", "e"),
            ("c", "C"),
            ("C", "b"),
        ],
    )


def test_a_parameter_named_in_the_words_is_one_of_the_value() -> None:
    check(
        [
            ("$(2t, t)$ for all real numbers $t$", "$(2s, s)$ for all real numbers $s$"),
            ("$(2t, t)$ for all real numbers $t$", "$(2t, t)$"),
            (r"f(x)=0 \text{ for all real } x", r"f(t)=0 \text{ for all real } t"),
            (r"x = 2\pi k, k \in \mathbb{Z}", r"x = 2\pi n, n \in \mathbb{Z}"),
        ],
        [
            (
                r"$\left(\frac{19}{13} t+1, t\right)$ for all real numbers $t$",
                r"$\left(\frac{19}{13} t+1, t\right)$ for all real numbers $q$",
            ),
            ("$(2t, t)$, where $t$ is real", "$(2t, t)$, where $u$ is real"),
            (r"x = 2\pi k, k \in \mathbb{Z}", r"x = 2\pi k, n \in \mathbb{Z}"),
        ],
    )


def test_names_are_stripped_from_tuples_families_and_chains() -> None:
    check(
        [
            ("(1,2,3)", "(x,y,z)=(1,2,3)"),
            ("2, 4", "T(10)=2, T(11)=4"),
            ("T(10)=2, T(11)=4", "T(11)=4, T(10)=2"),
            ("5", "x=y=z=5"),
            ("(5,5,5)", "x=y=z=5"),
            (r"m_{\max }=7", "7"),
            ("7", r"m_{\max}=7"),
            (r"m_{\text{max}}=7", r"m_{\max }=7"),
            (r"S_{\min}=12", "12"),
            (r"\frac{s_{mbcn}}{s} = \frac{7}{32}", "$S_{MBCN}:S=7:32$"),
            ("7:32", "S_{MBCN}:S=7:32"),
            (r"\frac{7}{32}", r"\frac{S_{MBCN}}{S}=\frac{7}{32}"),
            ("f(x)=2x+3", "y=2x+3"),
            ("y=2x+3", "f(x)=2x+3"),
            ("y = 2t+3", "f(t) = 3+2t"),
            ("y(x) = x^2", "y=x^2"),
            (r"p = 5, q = 2 \quad \text{and} \quad p = 7, q = 2", "p=5,q=2;p=7,q=2"),
            (r"p = 5, q = 2 \text{ and } p = 7, q = 2", "(p,q)=(5,2),(7,2)"),
            (r"p=5, q=2 \text{ or } p=7, q=2", "(5,2),(7,2)"),
            ("x=1,y=2,x=3,y=4", "(1,2),(3,4)"),
            ("x=1, y=2 or x=3, y=4", "x=3, y=4; x=1, y=2"),
            ("x=1 and y=2; x=3 and y=4", "(1,2), (3,4)"),
            ("(x,y)=(1,2) or (x,y)=(3,4)", "(1,2), (3,4)"),
            (
                r"2,3,\frac{3 + i\sqrt{3}}{2}, \frac{3 - i\sqrt{3}}{2}",
                r"a = 2, a = 3, a = \frac{3 + i\sqrt{3}}{2}, \text{ or } a = \frac{3 - i\sqrt{3}}{2}",
            ),
            ("2,3,5", r"x=2, x=3, \text{ or } x=5"),
            ("2,3", r"x=2 \text{ or } x=3"),
            ("1,2,3", "x = 1, x = 2 and x = 3"),
        ],
        [
            ("(x,y)=(1,2)", "(y,x)=(1,2)"),
            ("T(10)=2, T(11)=4", "T(10)=4, T(11)=2"),
            ("4, 2", "T(10)=2, T(11)=4"),
            ("5", "x=y=z=6"),
            ("x=y=z=5", "5"),
            ("(5,5,5)", "5"),
            (r"m_{\min}=7", r"m_{\max}=7"),
            (r"\frac{s_{mbcn}}{s} = \frac{7}{32}", "$S:S_{MBCN}=7:32$"),
            (r"\frac{s_{mbcn}}{s} = \frac{7}{32}", "$S_{MBCD}:S=7:32$"),
            ("f(x)=2x+3", "y=2x+4"),
            ("f'(x)=2x+3", "y=2x+3"),
            ("f(x)=2x+3", "x=2y+3"),
            ("f(x)=2x+3", "y=2t+3"),
            ("y = 2x+3", "g(x)=2x+3"),
            ("f^{-1}(x)=2x+3", "y=2x+3"),
            ("f(2)=3", "y=3"),
            (r"p = 5, q = 2 \quad \text{and} \quad p = 7, q = 2", "p=5,q=7;p=2,q=2"),
            ("x=1,y=2,x=3,y=4", "(1,4),(3,2)"),
            ("x=1,y=2 or x=3,y=4", "x=1,y=4 or x=3,y=2"),
            ("2,3,5", r"x=2, x=3, \text{ or } x=4"),
            ("2,3", r"x=2 \text{ or } y=3, z=4"),
        ],
    )


def test_sets_have_no_repeats_and_one_element_is_a_number() -> None:
    check(
        [
            (
                r"\{2,3,\frac{3}{2}+\frac{\sqrt{3}*i}{2},\frac{3}{2}-\frac{\sqrt{3}*i}{2}\}",
                r"\{\,2,\ 3,\ 2+e^{2\pi i/3},\ 2+e^{4\pi i/3}\,\}=\{\,2,\ 3,\ \tfrac{3}{2}\pm \tfrac{\sqrt{3}}{2}i\,\}",
            ),
            (r"\{1,2\}", r"\{\frac{2}{2},\sqrt{4}\}=\{1,2\}"),
            ("(1,2)", r"(\frac{2}{2},\sqrt 4)=(1,2)"),
            (r"\{1,2\}", r"S=\{2,1\}=\{1,2\}"),
            ("[0,1]", r"[0,\frac{2}{2}]=[0,1]"),
            (r"\{1,1,2\}", r"\{1,2\}"),
            (r"\{1,2\}", r"\{1,2,2\}"),
            (r"\{1,1,2\}", "1,2"),
            (r"\{\frac12,0.5\}", r"\{0.5\}"),
            (r"\{a,a,b\}", r"\{a,b\}"),
            ("5", r"\{5\}"),
            (r"\{5\}", "5"),
            ("x=5", r"x\in\{5\}"),
            (r"\{\frac12\}", "0.5"),
            (r"5 \text{ cm}", r"\{5\}"),
        ],
        [
            (r"\{1,2\}", r"\{1,3\}=\{1,2\}"),
            ("(1,2)", "(2,1)=(1,2)"),
            ("1,1,2", "1,2"),
            (r"\{1,2\}", r"\{1,1\}"),
            (r"\{1,2\}", "1,1,2"),
            ("(1,1,2)", "(1,2)"),
            ("5", r"\{6\}"),
            ("5", r"\{5,6\}"),
            (r"\{5\}", "(5,5)"),
            (r"\{\}", "0"),
            ("(0,5)", r"\{5\}"),
        ],
    )


def test_a_computation_and_its_result_is_the_result() -> None:
    check(
        [
            ("3", r"\begin{vmatrix} 2 & 1 \\ 1 & 2 \end{vmatrix} = 3"),
            ("2", r"17 \bmod 5 = 2"),
            ("6", r"\gcd(12,18)=6"),
            ("10", r"\sum_{k=1}^{4} k = 10"),
            (r"\frac12", r"\int_0^1 x\,dx=\frac{1}{2}"),
            ("1", r"\lim_{x\to 0}\frac{\sin x}{x}=1"),
            ("5", r"\max(3,5)=5"),
            (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k=\frac{n(n+1)}{2}"),
            ("2x", r"\frac{d}{dx} x^2=2x"),
            ("3", r"\lfloor 3.5 \rfloor = 3"),
            ("x=2", r"x=\gcd(4,6)=2"),
        ],
        [
            ("2", r"17 \bmod 6 = 2"),
            ("2", r"17 \bmod 5"),
            ("6", r"6=\gcd(12,18)"),
            ("6", r"\gcd(12,18)=\gcd(12,18)"),
            ("6", r"\gcd(12,18)"),
            ("6", r"\gcd(12,18)=3"),
            (r"\frac12", r"\int_0^1 x\,dx=\frac{1}{3}"),
            ("120", r"\binom{10}{3}=121"),
            ("x=2", r"x=\gcd(4,6)"),
        ],
    )


def test_an_exact_value_before_an_approximation() -> None:
    check(
        [
            (r"$\frac{9.5}{3.14159}$", r"$\frac{9.5}{3.14159} \approx 3.01$"),
            ("1/3", r"x=1/3\approx1.3"),
            (r"\frac{737}{39}", r"\displaystyle \frac{737}{39}\;\text{(about }18.9\text{ cards)}"),
            (r"\sqrt{2}", r"\sqrt 2 (approximately 1.414)"),
            (r"\sqrt2", r"\sqrt{2}\approx 1.41\text{ cm}"),
            (r"\sqrt{2} \text{ cm}", r"\sqrt{2}\text{ cm}\approx 1.41\text{ cm}"),
            (r"\frac{1}{2\sin(\frac{\pi}{26})}}", r"\dfrac{1}{2\sin\!\left(\pi/26\right)} \quad\text{(approximately }4.14812\text{)}"),
            (r"100\pi", r"100\pi \text{ or about } 314"),
            (r"100\pi", r"100\pi (\approx 314.16)"),
            (r"100\pi", r"100\pi \text{ cm}^2 \approx 314"),
            (r"\frac{22}{7}", r"$\frac{22}{7}$ (about 3.14)"),
            (r"\ln 2, \ln 3", r"\ln 2 \approx 0.69, \ln 3 \approx 1.1"),
        ],
        [
            ("1.3", r"1/3\approx 1.3"),
            ("18.9", r"\frac{737}{39}\;\text{(about }18.9\text{ cards)}"),
            ("5", r"5 \approx 7"),
            ("7", r"5\approx 7"),
            ("about 5", "6"),
            ("5", "4 (about 5)"),
            (r"100\pi", r"99\pi (about 314)"),
            ("3", r"\text{about } 3"),
        ],
    )


def test_lists_by_lines() -> None:
    check(
        [
            ("2,3,3/2+(√3/2)i,3/2-(√3/2)i", "2\n\n3\n\n3/2+(√3/2)i\n\n3/2-(√3/2)i"),
            ("2, 3", "2\n3"),
            ("1,2", "$1$\n$2$"),
            ("x=1, y=2", "x=1\ny=2"),
            ("5", "\n5\n"),
            ("(1,2),(3,4)", "(1,2)\n(3,4)"),
            ("1+2x", "1\n+2x"),
        ],
        [
            ("5", "2\n+3x"),
            ("2", "2\n3"),
            ("-2,-3", "- 2\n- 3"),
            ("23", "2\n3"),
        ],
    )


def test_a_value_in_a_sentence_set_as_mathematics() -> None:
    check(
        [
            (r"\frac{54\sqrt{6}}{25}", r"The\ area\ of\ triangle\ ABC\ is\ \frac{54\sqrt{6}}{25}"),
            ("5", "The~value~of~x~is~5"),
            ("yes", r"\text{Yes}"),
            ("5", r"Thus\ the\ answer\ is\ 5"),
            ("505", r"\text{Bob wins exactly for those }G\text{ with }\forall p,\ a_p=0,\ \text{ and the requested sum is }505."),
            ("7", "We get x=3, so the required number is 7."),
        ],
        [
            ("5", r"The\ area\ is\ not\ 5"),
            ("5", r"Twice\ the\ area\ is\ 5"),
            ("505", r"\text{If Bob wins, the requested sum is }505."),
            ("505", r"\text{It is not true that the requested sum is }505."),
            ("7", "The required number is 7 or 8"),
            ("7", "So the required number is 7 times x"),
        ],
    )


def test_words_and_formulas_are_compared_piece_by_piece() -> None:
    check(
        [
            ("interval (0, f(1))", "interval $(0,f(1))$"),
            ("$C$ is not invertible", "C is not invertible"),
            ("local min. $(0,0) $", "local min. (0,0) "),
            ("local min. $(1,-1)$, saddle pt. $(0,0) $", "local min. (1,-1), saddle pt. (0,0) "),
            (r"Yes, since $\mathbf{v} \cdot \mathbf{w}=0", r"Yes, since \mathbf{v} \cdot \mathbf{w}=0"),
            (r"Only $\mathbf{w}$ is a unit vector.", r"Only \mathbf{w} is a unit vector."),
            (r"$\$ 3000 @ 11 \%$; $\$ 24000 @ 7 \%$", r"\ 3000 @ 11 \%; \ 24000 @ 7 \%"),
            (r"5000 pens should be produced for a cost of $\$ 200$.", r"5000 pens should be produced for a cost of \ 200."),
            ("local max at $x = 1/2$", "local max at x = 0.5"),
            ("increasing on $(0,1)$ and decreasing on $(1,2)$", "Increasing on (0,1) and decreasing on (1,2)"),
        ],
        [
            ("sinc(x)^2", "sinc(x^2)"),
            ("sinc (x)^2 + y", "sinc (x^2) + y"),
            ("erf x^2 at 1", "erf x^3 at 1"),
            ("$C$ is not invertible", "C is invertible"),
            ("$C$ is not invertible", "G is not invertible"),
            ("local min. $(0,0) $", "local min. (0,1) "),
            ("local min. $(1,-1)$, saddle pt. $(0,0) $", "local min. (0,0), saddle pt. (1,-1)"),
            (r"Only $\mathbf{w}$ is a unit vector.", r"Only \mathbf{v} is a unit vector."),
            (r"$\$ 3000 @ 11 \%$; $\$ 24000 @ 7 \%$", r"\ 3000 @ 7 \%; \ 24000 @ 11 \%"),
            (r"5000 pens should be produced for a cost of $\$ 200$.", r"500 pens should be produced for a cost of \ 200."),
            ("local max at $x = 1/2$", "local min at x = 0.5"),
            ("increasing on $(0,1)$ and decreasing on $(1,2)$", "increasing on (1,2) and decreasing on (0,1)"),
        ],
    )
