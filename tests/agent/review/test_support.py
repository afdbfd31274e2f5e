"""Each claim of an answer is found in an output, in the question, or nowhere."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.record.events import Claim, Event, GivenFile, ToolRan
from agent.record.support import not_computed, unsupported
from agent.review.support import support_of
from sandbox import DisplayData, ErrorOutput, Execution, FileProfile
from sandbox.testing import printed
from tests.samples import STARTED


def ran(execution: Execution, seq: int = 1) -> ToolRan:
    return ToolRan(seq=seq, call_id="a", arguments="", code="f()", execution=execution, observation="")


def run_of(question: str, *outputs: str) -> list[Event]:
    started = STARTED.model_copy(update={"task": question, "message": {"role": "user", "content": question}})
    return [started, *(ran(printed(output), seq) for seq, output in enumerate(outputs, start=1))]


def is_found(answer: str, output: str) -> bool:
    claims = support_of(run_of("?", output), answer)
    assert claims
    return not unsupported(claims)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("34.65", "34.6462"),
        ("34,65 €", "34.6462"),
        ("about 35", "34.6462"),
        ("34.64", "34.6462"),
        ("1.234.567,9", "1234567.891"),
        ("1 234 568", "1234567.891"),
        ("12,34,568", "1234567.891"),
        ("123万4568", "1234567.891"),
        ("1.23 million", "1234567.891"),
        ("1,230", "1234.5"),
        ("1.2e6", "1234567"),
        ("12.3 %", "0.12345"),
        ("12,3 %", "12.345"),
        ("0.12", "12.345 %"),
        ("a loss of 5.2", "-5.2"),
        ("5 km", "5000"),
        ("1.2 MB", "1234567"),
        ("350 ms", "0.35"),
        ("1/3", "0.3333333333333333"),
        ("½", "0.5"),
        ("5/10", "5 of 10"),
        ("$1.2bn", "1234567890"),
        ('"New York"', "1 New York\n2 Ulm"),
        ('"京"', "東京都"),
        ("2^100 = 126765...05376", "1267650600228229401496703205376 2 100"),
        ("July 4, 1976", "1976-07-04 00:00:00"),
        ("4. Juli 1976", "04/07/1976"),
        ("in 1976", "1976-07-04"),
        ("5:45 pm", "2025-01-31 17:45:00"),
        ('the city "köln"', "Name: KÖLN, dtype: object"),
        ('"no such column."', "sqlite3.OperationalError: no such column"),
        ("\uff13\uff14.\uff16\uff15", "34.646"),
    ],
)
def test_a_claim_is_found_however_it_is_written(answer: str, output: str) -> None:
    assert is_found(answer, output)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("3 ERROR lines", "ERROR\nERROR\n55"),
        ("3", "2.87"),
        ("34.65", "34.66"),
        ("34.6", "34.7"),
        ("35", "36.2"),
        ("2,000", "2013"),
        ("-5.2", "5.2"),
        ("13 %", "0.12345"),
        ("1234", "12345"),
        ("July 5, 1976", "1976-07-04"),
        ("6:45 pm", "17:45"),
        ('"Berlin"', "Paris"),
        ('"is"', "This"),
        ('"Ann"', "Annika, Hannover"),
        ("5/11", "5 of 10"),
        ("64", "x 7\ndtype: int64"),
        ("5d41402abc4b2a76b9719d911071c592", "5d41402abc4b2a76b9719d911017c592"),
    ],
)
def test_another_value_is_found_nowhere(answer: str, output: str) -> None:
    assert not is_found(answer, output)


def test_a_claim_names_the_newest_cell_that_has_it_and_then_the_question() -> None:
    events = run_of("Add 2 and 40.", "42", "42", "7")
    assert support_of(events, "2 + 40 = 42, and 43.") == [
        Claim(kind="number", text="2", source="question", seq=0),
        Claim(kind="number", text="40", source="question", seq=0),
        Claim(kind="number", text="42", source="cell", seq=2, cell=2),
        Claim(kind="number", text="43"),
    ]


def test_an_answer_of_a_callers_function_and_an_error_and_a_table_are_outputs() -> None:
    error = Execution(status="error", outputs=[ErrorOutput(ename="KeyError", evalue="'Price'", traceback=["line 99"])])
    table = Execution(status="ok", outputs=[DisplayData(data={"text/html": "<td>17</td>"}, metadata={})])
    looked_up = ToolRan(seq=3, tool="look_up", call_id="c", arguments="", code=None, execution=None, observation="5")
    claims = support_of([*run_of("?"), ran(error, 1), ran(table, 2), looked_up], 'No "Price": 17, 5, 99.')
    assert [(claim.source, claim.cell) for claim in claims] == [
        ("cell", 1), ("cell", 2), ("function", None), (None, None),
    ]  # fmt: skip


def test_a_name_of_a_file_in_the_workspace_is_no_claim() -> None:
    assert support_of(run_of("?", "ok"), 'See "a.png".', ["a.png"]) == []


def test_what_comes_from_nowhere_is_one_line() -> None:
    def of(*texts: str) -> str:
        return not_computed([Claim(kind="number", text=text) for text in texts])

    assert of() == ""
    assert of("3") == 'not computed: "3" is in no output'
    assert of("3", "4") == 'not computed: "3", "4" are in no output'
    assert of(*"1234567") == 'not computed: "1", "2", "3", "4", "5", and 2 more are in no output'


@given(st.decimals(-(10**9), 10**9, places=6), st.integers(0, 5), st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]))
def test_a_rounded_number_is_found(value: Decimal, places: int, how: str) -> None:
    rounded = value.quantize(Decimal(1).scaleb(-places), how)
    if abs(rounded) >= 10 or places:
        assert is_found(f"It is {rounded:f}.", f"{value:f}")


@given(st.text(), st.text())
def test_any_answer_is_looked_up_in_any_output(answer: str, output: str) -> None:
    assert all(claim.source in ("cell", "question", None) for claim in support_of(run_of("?", output), answer))


CUSTOMERS = FileProfile.model_validate(
    {
        "kind": "excel",
        "tables": [
            {
                "name": "Kunden", "rows": 40, "column_count": 2, "header_row": 0,
                "columns": [{"name": "Name", "type": "text"}, {"name": "Land", "type": "text", "blank": 13}],
                "sample": [["Camp Nord 01", "Österreich"], ["Anna Adams 2", "shipped"]],
            },
            {"name": "Ort", "rows": 422, "is_estimate": True, "columns": [
                {"name": "Stadt", "type": "text", "values": ["Köln", "東京"], "blank": 17}
            ]},
        ],
    }
)  # fmt: skip
LOG = FileProfile(kind="text", lines=["2024-05-06 08:00:50,911 POST /cart 404 156ms client=10.0.1.20"])


def with_file(profile: FileProfile, *outputs: str, question: str = "Who?") -> list[Event]:
    file = GivenFile(name="k.xlsx", size_bytes=9_999, sha256="0" * 64, profile=profile)
    started, *rest = run_of(question, *outputs)
    told = {"role": "user", "content": f"{question}\n\n{profile.model_dump_json()}"}
    return [started.model_copy(update={"files": [file], "message": told}), *rest]


@pytest.mark.parametrize(
    "answer",
    ["Camp Nord 01 has 5.", "Anna Adams has 5.", "Es ist Österreich mit 5.", "404", "0.00", "156 ms", "422", "17"],
)
def test_what_only_the_first_rows_of_a_file_or_a_guess_show_comes_from_nowhere(answer: str) -> None:
    claims = [*support_of(with_file(CUSTOMERS, "5"), answer), *support_of(with_file(LOG, "5"), answer)]
    assert unsupported(claims)


@pytest.mark.parametrize("answer", ["It has 40 rows.", "13 sind leer", '"Kunden"', "列 “Land”", '"köln"', "“東京”"])
def test_what_was_counted_over_all_of_a_file_comes_from_that_file(answer: str) -> None:
    assert {claim.source for claim in support_of(with_file(CUSTOMERS), answer)} == {"file"}


@pytest.mark.parametrize(
    ("answer", "output"),
    [("Camp Nord 01", "13 Camp Nord 01 5"), ("Anna Adams", "Anna Adams 2"), ("它是Österreich。", "Österreich 5")],
)
def test_a_name_of_the_first_rows_is_found_in_an_output(answer: str, output: str) -> None:
    assert {claim.source for claim in support_of(with_file(CUSTOMERS, output), answer)} == {"cell"}


def test_an_ordinary_word_is_no_name_though_a_first_row_has_it() -> None:
    assert support_of(with_file(CUSTOMERS, "x"), "All were shipped.") == []


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("Team 02", "header=2"),
        ("Team 02", "2024-02-03 11:02:59"),
        ("Filiale 007", "7"),
        ("C014", "C013, C0140"),
        ("200854", "GET /cart 200 854ms"),
        ("500,746", "500 746 ms"),
        ("4", "/tmp/x.py:4: UserWarning: The engine changes.\n  read(a, header=9)"),
        ("9", "/tmp/x.py:4: UserWarning: The engine changes.\n  read(a, header=9)"),
        ("17", 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g(17)\nKeyError'),
    ],
)
def test_an_identifier_stands_there_as_it_is_and_a_line_of_a_program_has_no_values(answer: str, output: str) -> None:
    assert not is_found(answer, output)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("Team 02", "Team 02\n"),
        ("店铺 007", "007,5"),
        ("C014", "13 C014 4143.25"),
        ("200 854", "GET /cart 200 854ms"),
        ("1234567", "1 234 567"),
        ("0.05", ".05"),
        ("12", "b.py:4: UserWarning: old\n  f()\n12"),
        ('"UserWarning"', "b.py:4: UserWarning: old"),
    ],
)
def test_an_identifier_and_what_stands_beside_a_warning_are_found(answer: str, output: str) -> None:
    assert is_found(answer, output)
