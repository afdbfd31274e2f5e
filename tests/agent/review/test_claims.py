"""What of an answer can be looked up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.claims import MAX_CLAIMS, claims_in


def texts(answer: str, *files: str) -> list[str]:
    return [claim.text for claim in claims_in(answer, files)]


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("The mean is 34.65.", ["34.65"]),
        ("1.234,5 € und 12 %", ["1.234,5", "12 %"]),
        ("From 3-5 it falls by -2.", ["3", "5", "-2"]),
        ("4. Juli 1976 and July 5, 1976 and 2026年2月10日", ["4. Juli 1976", "July 5, 1976", "2026年2月10日"]),
        ("At 17:45 and 5:45 pm.", ["17:45", "5:45 pm"]),
        ("Die Stadt „Köln“ liegt vor «Lyon» und 'Bonn'.", ["Köln", "Lyon", "Bonn"]),
        ("It's the dog's 2nd bone, isn't it?", ["2"]),
        ("MD5: `5d41402abc4b2a76b9719d911017c592`", ["5d41402abc4b2a76b9719d911017c592"]),
        ('The "12" is a number.', ["12"]),
        ("a\n1. Foo: 7\n2. Bar: 8", ["7", "8"]),
        ("The value is 5 and 5 again.", ["5"]),
        ("Use Q3, x1 and python3 in version 3.11.2.", []),
        ("### 1. Result\n- 2) It is 7.", ["7"]),
        ("GPT-4 at https://example.org/2024/07/a.html says $x^2$, R^2 and 1.5e-05.", ["1.5e-05"]),
        ("```python\nprint(99)\n```\nIt is 7.", ["7"]),
        ("The answer is three.", []),
        ("", []),
    ],
)
def test_claims_are_numbers_days_times_codes_and_quoted_names(answer: str, claims: list[str]) -> None:
    assert texts(answer) == claims


def test_the_values_of_json_are_claims_and_its_keys_are_not() -> None:
    answer = (
        '```json\n{"mean of 3": 34.60, "cities": ["Köln", "7"], "day": "2024-01-02", "ok": true, "none": null}\n```'
    )
    assert texts(answer) == ["34.60", "Köln", "7", "2024-01-02"]


def test_the_name_of_a_file_is_no_claim() -> None:
    assert texts('Saved as "out_2024.csv" and plot 3.png.', "out_2024.csv", "plot 3.png") == []
    assert texts('Saved as "out_2024.csv".') == ["out_2024.csv"]


def test_an_answer_of_many_numbers_is_read_in_part() -> None:
    assert len(texts(" and ".join(map(str, range(10, 1_000))))) == MAX_CLAIMS


@given(st.text())
def test_any_text_is_read(answer: str) -> None:
    assert all(claim.text for claim in claims_in(answer))
