"""What stands around a value: a computation, an approximation, a sentence, line breaks, stray marks.

Each test holds pairs of a gold and an answer that say the same, and near misses of the same kind that do not.
"""

from verifiers.mathematics.equality.math_answer import equivalent


def check(same: list[tuple[str, str]], different: list[tuple[str, str]]) -> None:
    assert [pair for pair in same if not equivalent(*pair)] == []
    assert [pair for pair in different if equivalent(*pair)] == []


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
            ("4", r"\lceil 3.2 \rceil = 4"),
            ("12", r"\text{lcm}(4,6) = 12"),
            ("7", r"\max\{3,7\}=7"),
            ("-2", r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix} = -2"),
            ("1", r"7^{100} \bmod 6 = 1"),
            (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}"),
            ("24", r"\prod_{k=1}^4 k = 24"),
            ("e", r"\lim_{n\to\infty}\left(1+\frac1n\right)^n = e"),
            ("5", r"|3+4i| = \sqrt{9+16} = 5"),
            ("x=6", r"x = \gcd(12,18) = 6"),
            ("I=2", r"I=\int_0^2 1\,dx=2"),
            ("11", "5+6=11"),
            (r"M=\gcd(a,b)", r"\gcd(a,b)=M"),
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
            ("12", r"\text{lcm}(4,6) = 24"),
            ("24", r"24 = \prod_{k=1}^4 k"),
            ("1", r"7^{100} \bmod 6"),
            ("x=6", r"x = \gcd(12,18)"),
            ("I=2", r"I=\int_0^3 1\,dx=2"),
            (r"\frac12", r"\int_0^2 x\,dx=\frac{1}{2}"),
            ("2x", r"\frac{d}{dx} x^3=2x"),
            ("11", "5+6=12"),
            ("3", r"\gcd(12,18)=3"),
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
            ("x=1, x=3", "x=1\n\nx=3"),
            ("1, 2, 3", "1\n2\n3\n"),
            ("1, 2", "\n1\n\n2\n"),
            (r"\frac12, 3", "$\\frac{1}{2}$\n\n$3$"),
            ("(1,2), (3,4)", "$(1,2)$\n\n$(3,4)$"),
            ("a=2\nb=3", "a=2, b=3"),
            ("2x+1", "2x\n+ 1"),
            ("2, -3", "2\n\n-3"),
        ],
        [
            ("5", "2\n+3x"),
            ("2", "2\n3"),
            ("-2,-3", "- 2\n- 3"),
            ("23", "2\n3"),
            ("1, 2", "1\n\n3"),
            ("3", "1\n\n3"),
            ("1", "1\n\nbecause x is 1"),
            ("12", "1\n2"),
        ],
    )


def test_trailing_backslashes_and_a_brace_too_many() -> None:
    check(
        [
            ("185\\", "185"),
            ("185", "185\\"),
            ("185\\", "185\\"),
            ("x=2\\\\", "2"),
            (r"185\ ", "185"),
            (r"\frac12}", "0.5"),
            (r"\{1,2\}\ ", r"\{1,2\}"),
            ("42\\", "42"),
            ("\\frac{1}{2}\\", "0.5"),
            ("(1,2)\\\\", "(1,2)"),
            (r"5\,", "5"),
            (r"5 \ ", "5"),
            ("x^2\\\\", "x^2"),
            ("5.\\", "5"),
            (r"\sqrt{2}}", r"\sqrt2"),
        ],
        [
            ("185\\", "186"),
            (r"\frac12}", "2"),
            ("42\\", "43"),
            ("\\{1\\}\\", "2"),
            ("}", "5"),
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
            ("12", r"The\ total\ cost\ is\ 12"),
            (r"\frac{1}{2}", r"\text{The probability is } \frac{1}{2}"),
            ("12", r"\text{So the area is }12\text{.}"),
            ("x=3", r"The\ solution\ is\ x=3"),
            ("25", r"The\ number\ of\ ways\ is\ 25"),
            ("42", "Since it is even, the final value is 42."),
            ("10", "It follows that n = 9, hence the required sum is 10"),
            (
                r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}",
                r"The identity matrix is $ \begin{pmatrix}1 & 0 \\ 0 & 1\end{pmatrix} $.",
            ),
        ],
        [
            ("5", r"The\ area\ is\ not\ 5"),
            ("5", r"Twice\ the\ area\ is\ 5"),
            ("505", r"\text{If Bob wins, the requested sum is }505."),
            ("505", r"\text{It is not true that the requested sum is }505."),
            ("7", "The required number is 7 or 8"),
            ("7", "So the required number is 7 times x"),
            ("12", r"The\ area\ is\ at\ least\ 12"),
            ("12", r"Half\ the\ area\ is\ 12"),
            ("12", r"The\ area\ is\ not\ 12"),
            ("42", "Unless it is even, the final value is 42."),
            ("42", "The required number is 42 or 43."),
            ("9", "It follows that n = 9, hence the required sum is 10"),
            (
                r"\begin{pmatrix} 1 & 0 \\ 0 & 2 \end{pmatrix}",
                r"The identity matrix is $ \begin{pmatrix}1 & 0 \\ 0 & 1\end{pmatrix} $.",
            ),
        ],
    )


def test_spacing_of_non_latin_text() -> None:
    check(
        [
            (
                "三组对面分别平行的四棱柱为平行六面体;平行六面体的对角线交于一点,并且在交点处互相平分",
                "三组对面分别平行的四棱柱为平行六面体;平行六面体的对角线交于一点, 并且在交点处互相平分",
            ),
            ("是 的", "是的"),
            ("充分不必要条件", "充分 不必要 条件"),
            ("да, нет", "да,нет"),
            ("，对", "，对"),
            ("增大，减小", "增大, 减小"),
            ("充要条件", "充要 条件"),
            ("增函数,减函数", "增函数， 减函数"),
            ("はい", "は い"),
            ("等腰三角形", "等腰三角形。"),
            ("a > b, 成立", "a > b，成立"),
        ],
        [
            ("充分", "必要"),
            ("да нет", "данет"),
            ("不是", "是"),
            ("充分条件", "必要条件"),
            ("等腰三角形", "等边三角形"),
            ("5个", "6个"),
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
            ("The function is continuous at $x=0$", "The function is continuous at x = 0"),
            ("center $(2,-3)$, radius $5$", "center (2,-3), radius 5"),
            (r"vertex $(1,2)$; focus $(1,\frac{9}{4})$", "vertex (1,2); focus (1, 2.25)"),
            (r"converges to $\frac12$", "converges to 1/2"),
            ("$f$ is even and $g$ is odd", "f is even and g is odd"),
            ("minimum $-4$ at $x=2$, no maximum", "minimum -4 at x=2, no maximum"),
            (r"$\angle A = 30^\circ$ and side $b=4$", r"\angle A = 30^\circ and side b=4"),
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
            ("The function is continuous at $x=0$", "The function is continuous at x = 1"),
            ("The function is continuous at $x=0$", "The function is discontinuous at x = 0"),
            ("center $(2,-3)$, radius $5$", "center (2,3), radius 5"),
            ("center $(2,-3)$, radius $5$", "center (-3,2), radius 5"),
            (r"converges to $\frac12$", "converges to 1/3"),
            (r"converges to $\frac12$", "diverges to 1/2"),
            ("$f$ is even and $g$ is odd", "g is even and f is odd"),
            ("minimum $-4$ at $x=2$, no maximum", "minimum 2 at x=-4, no maximum"),
            ("5 pens and 3 books cost $10$", "3 pens and 5 books cost 10"),
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
            (r"\frac{2}{3}", r"\frac{2}{3} \approx 0.67"),
            (r"\pi", r"\pi \text{ (approximately } 3.14)"),
            (r"\frac{5}{7}", r"\frac{5}{7} \text{ or approximately } 0.714"),
            (r"2\sqrt{5}", r"2\sqrt{5} \quad (\text{about } 4.47)"),
            (r"2\sqrt{5}", r"2\sqrt{5} (about 4.47 units)"),
            (r"2\sqrt{5}", r"2\sqrt{5}\text{ m}\approx 4.47\text{ m}"),
            (r"\ln 3", r"$\ln 3 \approx 1.0986$"),
            ("e^2", "e^2 ≈ 7.389"),
            (r"\frac{1}{7}", r"\frac17 (roughly 0.14)"),
            (r"\sqrt{3}", r"\sqrt{3} (approx. 1.73)"),
            (r"x=\frac{1}{7}", r"x = \frac17 \approx 0.143"),
            (r"\frac{5}{3} \approx 1.67", r"\frac{5}{3}"),
            (r"\sqrt{7} \approx 2.646", r"\sqrt7"),
            (r"\approx 2.646", "2.646"),
            (r"\frac{5}{3}", r"\frac{5}{3} = 1.\overline{6} \approx 1.67"),
            (r"\frac{5}{3}", r"\frac53 \; (\approx 1.667)"),
            (r"\frac53", r"\frac53 \text{ (i.e., approximately 1.667)}"),
            (r"\frac53", r"\frac53,\text{ approximately }1.667"),
            (r"\frac53", r"\frac53 \text{ which is approximately } 1.667"),
            (r"\frac53", r"\frac53 \text{ or } 1.667"),
            (r"\frac53", r"\frac{5}{3} \simeq 1.667"),
            (r"\frac53", r"\frac53 \text{ or } 1\frac23"),
            (r"12\pi", r"12\pi \text{ (about 37.7 square units)}"),
            (r"12\pi", r"12\pi\text{ square units} \approx 37.7\text{ square units}"),
            (r"12\pi", r"12\pi\approx37.70"),
            (r"\frac{25}{4}", r"6.25 = \frac{25}{4}"),
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
            (r"2\sqrt{5}", r"2\sqrt{6} (about 4.47 units)"),
            (r"2\sqrt{5}", r"\approx 4.47"),
            ("4.47", r"2\sqrt{5} (about 4.47)"),
            ("e^2", "e^3 ≈ 7.389"),
            ("5 or about 6", "5"),
            ("5", "5 or 6"),
            ("100", "100 (approximately 200)"),
            (r"\sqrt{3}", r"\sqrt{3} (approximately 2.73)"),
            (r"\frac{1}{7}", "about 1/7"),
        ],
    )
