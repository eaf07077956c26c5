"""How numbers are written in the wild: nouns, currencies, glued units, times, circled numbers, digit groups, commas, stray marks.

Each test holds pairs of a gold and an answer that say the same, and near misses of the same kind that do not.
"""

from verifiers.math_answer import equivalent


def check(same: list[tuple[str, str]], different: list[tuple[str, str]]) -> None:
    assert [pair for pair in same if not equivalent(*pair)] == []
    assert [pair for pair in different if equivalent(*pair)] == []


def test_nouns_in_lists_and_in_brackets() -> None:
    check(
        [
            ("3 apples, 5 oranges", "3, 5"),
            ("3 apples, 5 oranges", "5 oranges, 3 apples"),
            ("3 apples and 5 oranges", "3 apples, 5 oranges"),
            (r"3 \text{ apples}, 5 \text{ oranges}", "3 apples and 5 oranges"),
            ("24 chickens and 11 rabbits", "24, 11"),
            ("3 cm, 5 cm", "5 cm, 3 cm"),
            ("9 (apples)", "9"),
            ("9", "9 (apples)"),
            ("15 (balls)", "15"),
            ("108", "9 (dozen)"),
            (r"6 \text{ (balloons)}", "6"),
            ("3.5 (hours)", "3.5 hours"),
            ("9 (red apples)", "9"),
            ("9 (cm)", "9 cm"),
            ("2, 3", "2 (apples), 3 (pears)"),
        ],
        [
            ("3 apples, 5 oranges", "5, 3"),
            ("3 apples, 5 oranges", "5 apples, 3 oranges"),
            ("9", "9 (of 10)"),
            ("9", "9 (wrong)"),
            ("10", "9 (apples)"),
            ("9", "9 (dozen)"),
            ("3.5 (hours)", "3.5 minutes"),
            ("9", "9 (ab)"),
            ("9", "9 (mod 10)"),
            ("9", "9 (thousand)"),
            ("9", "9 (not)"),
            ("1.5 hours", "1.5 minutes"),
        ],
    )


def test_currency_before_the_number() -> None:
    check(
        [
            (r"\$5", "5"),
            ("5 dollars", r"\$5"),
            (r"US\$5", "5"),
            ("USD 5", r"\$5"),
            ("5", "Rs. 5"),
            ("5", "Rs 5"),
            ("₹500", "500"),
            ("500 rupees", "Rs. 500"),
            ("€5", "5 euros"),
            ("EUR 5", "€5"),
            ("5 USD", "$5"),
            ("1,200", "Rs 1,200"),
            (r"HK\$30", "30"),
        ],
        [
            ("€5", r"\$5"),
            ("USD 5", "USD 6"),
            ("Rs 5", r"\$5"),
        ],
    )


def test_units_glued_to_the_number() -> None:
    check(
        [
            ("10weeks", "10"),
            ("10weeks", "10 weeks"),
            ("5cm", "5 cm"),
            ("30minutes", "30 minutes"),
            ("12apples", "12"),
            ("70days", "10weeks"),
            ("3hours", "180 minutes"),
            ("50km/h", "50"),
            (r"15\text{cm}", "15"),
            ("25students", "25 students"),
        ],
        [
            ("2abcd", "2"),
            ("10weeks", "10 days"),
            ("2xyzw", "2"),
            ("2sinx", "2"),
            ("4sqrt", "4"),
            ("5doubled", "5"),
        ],
    )


def test_times_of_day() -> None:
    check(
        [
            ("20:34", "20:34:00"),
            ("20:34", r"08:34 \text{P.M.}"),
            ("8:34 a.m.", "08:34"),
            ("7:05 pm", "19:05"),
            ("7:5 pm", "19:05"),
            ("12:00", "noon"),
            ("8:30 pm", "20:30"),
            (r"\text{8:30 PM}", "8:30 p.m."),
            ("9:05", "09:05"),
            ("10:17", "20:34"),
            ("1:2:3", "2:4:6"),
            ("3{:}05", "3:05"),
            ("12:30 a.m.", "00:30"),
            ("8:30:00 pm", "20:30"),
            ("9:30am", "9:30"),
        ],
        [
            ("20:34", "8:34 a.m."),
            ("20:34", "20:34:10"),
            ("9:05", "9:50"),
            ("20:34", "10:17:00"),
            ("25:00", "1:00 am"),
        ],
    )


def test_circled_numbers() -> None:
    check(
        [
            ("①", "①"),
            ("①③", "①, ③"),
            ("①③", "③①"),
            ("①③", "13"),
            ("①③", "1, 3"),
            ("①②④", "①、②、④"),
            ("②", "(2)"),
            ("①②④", "(1)(2)(4)"),
            ("①和③", "①③"),
        ],
        [
            ("①③", "14"),
            ("①,③", "13"),
            ("①③", "①②"),
            ("①②④", "8"),
            ("①②④", "①②"),
        ],
    )


def test_digit_groups_by_spaces_and_decimal_commas() -> None:
    check(
        [
            ("1000", "1 000"),
            ("1000000", "1 000 000"),
            ("1000.99", "1000,99"),
            ("1234", "1,234"),
            ("3.5", "3,5"),
            ("3, 5", "3,5"),
            ("1234.56", "1.234,56"),
            (r"2.5 \text{ cm}", "2,5 cm"),
            ("2.5", "2{,}5"),
            ("12345.67", "12 345,67"),
            ("-0.5", "-0,5"),
            ("3.14159", "3,14159"),
            ("10000", "10{,}000"),
        ],
        [
            ("1.234", "1,234"),
            ("3.5", "3, 5"),
            ("3.5", "(3,5)"),
            ("3.5", "3,6"),
            ("35", "3,5"),
            ("10.000", "10,000"),
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
        ],
        [
            ("185\\", "186"),
            (r"\frac12}", "2"),
        ],
    )


def test_a_decimal_in_scientific_notation_rounds_a_fraction() -> None:
    check(
        [
            (r"2.314814814815 \times 10^{-3}", r"\frac{1}{432}"),
            ("2.314814814815e-3", r"\frac{1}{432}"),
            (r"3.33333 \cdot 10^{-1}", r"\frac13"),
            (r"-2.314814814815 \times 10^{-3}", r"-\frac{1}{432}"),
            (r"1.2345 \times 10^{3}", "1234.5"),
        ],
        [
            (r"2.414814814815 \times 10^{-3}", r"\frac{1}{432}"),
            (r"2.3 \times 10^{-3}", r"\frac{1}{432}"),
            (r"2.314814814816 \times 10^{-3}", r"\frac{1}{432}"),
            (r"2.3148148148 \times 10^{-2}", r"\frac{1}{432}"),
        ],
    )


def test_a_decimal_that_is_said_to_repeat() -> None:
    check(
        [
            ("1/6", "0.1666 repeating"),
            (r"\left( \frac{1}{6}, \frac{1}{6} \right)", "(0.1666 repeating, 0.1666 repeating)"),
            ("1/3", "0.3 repeating"),
            ("2/3", "0.66 repeating"),
            ("1/7", "0.142857 repeating"),
            ("1/3", "0.333 (repeating)"),
            ("4/3", "1.333 recurring"),
            ("1/6", r"0.1666\text{ repeating}"),
        ],
        [
            ("1/6", "0.16 repeating"),
            ("1/6", "0.1777 repeating"),
            ("1/3", "3 repeating"),
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
        ],
        [
            ("充分", "必要"),
            ("да нет", "данет"),
            ("不是", "是"),
        ],
    )
