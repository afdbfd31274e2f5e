"""Tables in text: separator, marks, header and types of all kinds of them."""

import gzip

import pytest

from agent.prompting.reading import reading_of
from sandbox.profiles import FileProfile, FileTable
from tests.sandbox.profiler.conftest import Look

GERMAN = "Datum;Filiale;Umsatz;PLZ\n01.03.2024;Köln;1.234,50;01067\n13.03.2024;Ulm;99,00;80331\n"


def types(table: FileTable) -> dict[str, str]:
    return {column.name: f"{column.type}{column.format and ' ' + column.format}" for column in table.columns}


def only_table(profile: FileProfile) -> FileTable:
    [table] = profile.tables
    return table


def test_a_german_table(look: Look) -> None:
    told = look("x.csv", GERMAN.encode("cp1252"))
    assert (told.kind, told.encoding, told.separator, told.decimal, told.thousands) == ("csv", "cp1252", ";", ",", ".")
    table = only_table(told)
    assert (table.rows, table.header_row) == (2, 0)
    assert types(table) == {"Datum": "date %d.%m.%Y", "Filiale": "text", "Umsatz": "decimal", "PLZ": "code"}
    assert table.sample[0] == ["01.03.2024", "Köln", "1.234,50", "01067"]


SEPARATED = {
    "comma": ("a.csv", "a,b\n1,2\n", ","),
    "semicolon": ("a.csv", "a;b\n1,5;2,5\n3,5;4,5\n", ";"),
    "tab": ("a.txt", "a\tb\n1\t2\n", "\t"),
    "bar": ("a.csv", "a|b\n1|2\n", "|"),
    "stated": ("a.csv", "sep=;\na;b\n1;2\n", ";"),
    "one column": ("a.csv", "a\n1\n2\n", ""),
    "a wrong ending": ("a.xls", "a;b\n1;2\n", ";"),
    "commas inside of quotes": ("a.csv", 'a;b\n"x, y";"1, 2, 3"\n"z, y";"1, 2"\n', ";"),
}


@pytest.mark.parametrize("case", SEPARATED)
def test_the_separator(look: Look, case: str) -> None:
    name, content, separator = SEPARATED[case]
    assert look(name, content).separator == separator


NUMBERS = {
    "1,5 2,25": (",", ""),
    "1.5 2.25": (".", ""),
    "1.234,50 99,00": (",", "."),
    "1,234.50 99.00": (".", ","),
    "1.234 2.345": (".", ""),
    "1.234.567 12": (",", "."),
    "1'234.50 5.00": (".", "'"),
    "1\xa0234,50 5,00": (",", "\xa0"),
    "1e5 2.5": (".", ""),
    "-1,5 +2,5": (",", ""),
}


@pytest.mark.parametrize("values", NUMBERS)
def test_how_numbers_are_written(look: Look, values: str) -> None:
    first, second = values.split(" ")
    told = look("x.csv", f"name;value\na;{first}\nb;{second}\n")
    assert (told.decimal, told.thousands) == NUMBERS[values]
    assert only_table(told).columns[1].type in ("integer", "decimal")


COLUMNS = {
    "01/31/2024 02/28/2024": "date %m/%d/%Y",
    "31/01/2024 28/02/2024": "date %d/%m/%Y",
    "01/02/2024 03/04/2024": "date ?",
    "2024-01-31 2024-02-28": "date",
    "2024-01-31T10:00:00Z 2024-02-28T10:00:00Z": "datetime",
    "2024年3月1日 2024年12月31日": "date %Y年%m月%d日",
    "10:30 23:15": "time",
    "true false": "boolean",
    "5€ 1.250,00€": "quantity",
    "12% 5%": "quantity",
    "10.0.0.1 10.0.0.2": "code",
    "007 123": "code",
    "A1 B2": "text",
    "12 13": "integer",
}


@pytest.mark.parametrize("values", COLUMNS)
def test_the_type_of_a_column(look: Look, values: str) -> None:
    first, second = values.split(" ")
    assert types(only_table(look("x.csv", f"name;value\nx;{first}\ny;{second}\n")))["value"] == COLUMNS[values]


def test_missing_and_odd_values_are_counted(look: Look) -> None:
    rows = ["5", "6", "7", "8", "9", "10", "", "n/a", "error"]
    column = only_table(look("x.csv", "a,b\n" + "".join(f"x,{row}\n" for row in rows))).columns[1]
    assert (column.type, column.blank, column.odd_count, column.odd) == ("integer", 2, 1, ["error"])


def test_titles_above_the_header_and_the_sum_at_the_end_are_told(look: Look) -> None:
    told = look("x.csv", "Report\nas of April\n\nMonth;Place;Sum\nJan;A;1,5\nFeb;B;2,5\nMar;C;3,5\nTotal;;7,5\n")
    table = only_table(told)
    assert (told.header_lines, table.total) == (3, "Total")
    assert [column.name for column in table.columns] == ["Month", "Place", "Sum"]


HEADERS = {
    "1,2,x\n3,4,y\n5,6,z\n": None,
    "Country,2019,2020\nFrance,1,2\nSpain,3,4\n": 0,
    "a,b\n": 0,
    "x,y\nz,w\n": 0,
    "2024-01-01,5\n2024-01-02,6\n": None,
}


@pytest.mark.parametrize("content", HEADERS)
def test_whether_there_is_a_header(look: Look, content: str) -> None:
    assert only_table(look("x.csv", content)).header_row == HEADERS[content]


def test_names_are_those_that_pandas_gives(look: Look) -> None:
    table = only_table(look("x.csv", "a,a,,b\n1,2,3,4\n5,6,7,8\n"))
    assert [column.name for column in table.columns] == ["a", "a.1", "Unnamed: 2", "b"]


def test_rows_that_end_with_a_separator_are_told(look: Look) -> None:
    assert look("x.csv", "a,b,c\n1,2,3,\n4,5,6,\n").has_longer_rows


def test_other_line_ends_and_lines_inside_of_quotes_are_no_rows(look: Look) -> None:
    assert only_table(look("x.csv", "a,b\r1,2\r3,4\r")).rows == 2
    table = only_table(look("y.csv", 'id,note\n1,"two\nlines"\n2,x\n'))
    assert (table.rows, table.sample[0]) == (2, ["1", "two\\nlines"])


def test_a_long_file_is_counted_and_a_compressed_one_is_looked_into(look: Look) -> None:
    content = "a;b\n" + "1,5;2\n" * 60_000
    assert only_table(look("x.csv", content)).rows == 60_000
    packed = look("x.csv.gz", gzip.compress(content.encode()))
    assert (packed.compression, packed.has_packed_ending, only_table(packed).rows) == ("gzip", True, 60_000)
    assert not look("y.csv", gzip.compress(content.encode())).has_packed_ending


def test_a_wide_table_is_told_in_part(look: Look) -> None:
    names, values = ",".join(f"c{n}" for n in range(1000)), ",".join(map(str, range(1000)))
    table = only_table(look("x.csv", f"{names}\n{values}\n{values}\n"))
    assert (table.column_count, len(table.columns), len(table.sample[0])) == (1000, 200, 30)


def test_a_table_without_separators_is_told_by_its_columns(look: Look) -> None:
    fixed = look("x.txt", "Name      Age City\nAnna       12 New York\nBob         3 Ulm\nChristine  44 Rio\n")
    assert (fixed.kind, types(only_table(fixed))) == ("fixed", {"Name": "text", "Age": "integer", "City": "text"})
    assert look("y.txt", "x y z\n1 2 3\n4 5 6\n7 8 9\n").kind == "spaced"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prose.txt", "This is a text, with commas, and more.\nAnother line, too.\nThe end.\n"),
        ("app.log", "2024-01-01 10:00:00 ERROR x, y\n" * 5),
        ("long.csv", "x" * 3_000_000),
        ("quotes.csv", 'a,b\n"' + '"",' * 600_000),
    ],
)
def test_what_is_no_table_is_told_by_its_first_lines(look: Look, name: str, content: str) -> None:
    told = look(name, content)
    assert (told.kind, told.tables) == ("text", [])
    assert told.lines[0] == content.split("\n", maxsplit=1)[0][:200]


def test_an_empty_file_is_empty(look: Look) -> None:
    assert look("x.csv", b"").problem == "empty"


def test_a_row_that_is_longer_by_its_name_keeps_its_last_cell(look: Look) -> None:
    told = look("x.csv", '"mpg","cyl"\n"Mazda",21,6\n"Datsun",22.8,4\n')
    assert (told.has_row_names, told.has_longer_rows) == (True, False)
    assert types(only_table(told)) == {"mpg": "decimal", "cyl": "integer"}
    assert str(reading_of("x.csv", told)) == 'pd.read_csv("/workspace/x.csv")'


@pytest.mark.parametrize("content", ["a,b,c\n1,2\n3,4,5\n6,7,8,9,10\n", "a,b\n1,2\n1,2,3\n", "a,b,c\n1,2,3\n4,5,6,\n"])
def test_rows_longer_than_the_first_have_no_one_line_that_reads_them(look: Look, content: str) -> None:
    told = look("x.csv", content)
    assert told.has_uneven_rows
    assert reading_of("x.csv", told) is None


def test_a_long_cell_ends_no_table(look: Look) -> None:
    assert only_table(look("x.csv", f"a,b\n{'y' * 200_000},1\nz,2\n")).rows == 2


def test_the_rows_of_a_large_table_are_those_below_its_header(look: Look) -> None:
    assert only_table(look("x.csv", "1,2\n" * 60_000)).rows == 60_000
    assert only_table(look("x.csv", "My report\n\na,b\n" + "1,2\n" * 60_000)).rows == 60_000


COMMENTED = {
    "# by X\n# on 2024-01-01, by me\na,b,c\n1,2,3\n4,5,6\n": (2, ["a", "b", "c"]),
    "# a, b\n\na,b\n1,2\n3,4\n": (2, ["a", "b"]),
    "#a,b\n1,2\n3,4\n": (0, ["#a", "b"]),
    "#name,city\nbob,berlin\nal,rome\n": (0, ["#name", "city"]),
}


@pytest.mark.parametrize("content", COMMENTED)
def test_comments_above_a_header_are_none(look: Look, content: str) -> None:
    told = look("x.csv", content)
    assert (told.header_lines, [column.name for column in only_table(told).columns]) == COMMENTED[content]


@pytest.mark.parametrize("content", ["value\n1,5\n2,5\n3,5\n", "name\nSmith, Bob\nMiller, Al\nX, Y\n"])
def test_a_column_whose_texts_have_commas_is_no_table(look: Look, content: str) -> None:
    assert look("x.csv", content).tables == []


def test_a_title_over_two_lines_is_skipped_as_one(look: Look) -> None:
    told = look("x.csv", '"A title\nover two lines"\nDate,Shop,Sum\n2024-01-01,A,1.5\n2024-01-02,B,2.5\n')
    assert str(reading_of("x.csv", told)) == 'pd.read_csv("/workspace/x.csv", skiprows=1, parse_dates=["Date"])'


def test_a_blank_that_pandas_does_not_know_is_told_to_it(look: Look) -> None:
    told = look("x.csv", "a,b\n1,-\n-,y\n3,z\nNA,x\n")
    assert only_table(told).columns[0].blank_marks == ["-"]
    assert str(reading_of("x.csv", told)) == 'pd.read_csv("/workspace/x.csv", na_values=["-"])'


TIMES = {
    "31.12.2024 14:30:01.123": "datetime %d.%m.%Y %H:%M:%S.%f",
    "31/12/2024T14:30": "datetime %d/%m/%YT%H:%M",
    "31.12.2024 14:30Z": "datetime %d.%m.%Y %H:%M%z",
    "31-Dec-2024": "date %d-%b-%Y",
    "31-Dez-2024": "text",
    "31.13.2024": "code",
    "12/31/2024,31/12/2024": "date ?",
}


@pytest.mark.parametrize("written", TIMES)
def test_a_date_is_told_in_the_format_that_reads_it(look: Look, written: str) -> None:
    rows = "".join(f"{each};1\n" for each in written.split(","))
    assert types(only_table(look("x.csv", f"d;n\n{rows}")))["d"] == TIMES[written]


def test_a_word_that_other_rows_have_too_makes_no_total(look: Look) -> None:
    assert only_table(look("x.csv", "kind,b\ntotal,1\nsum,2\ntotal,3\n")).total == ""


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_broken_json_is_no_table(look: Look, name: str) -> None:
    assert look(name, '{"a": 1,}\n{"b": 2,}\n').kind == "text"


def test_codes_keep_their_zeros_in_each_kind_of_text(look: Look) -> None:
    told = look("x.txt", "id    name        value\n001   Ann Smith    1.50\n002   Bob Jones   12.75\n")
    assert str(reading_of("x.txt", told)) == 'pd.read_fwf("/workspace/x.txt", dtype={"id": "str"})'
    told = look("x.jsonl", '{"id": "001"}\n{"id": "002"}\n')
    assert str(reading_of("x.jsonl", told)) == 'pd.read_json("/workspace/x.jsonl", lines=True, dtype={"id": "str"})'


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["a", "A", "a", "b ", ""], ["a", "A", "b "]),
        (["01", "02", "01", "02", "01"], ["01", "02"]),
        (["19 %", "7 %", "19 %", "19 %", "7 %"], ["19 %", "7 %"]),
        ([f"v{number}" for number in range(12)], [f"v{number}" for number in range(12)]),
        ([f"v{number}" for number in range(13)], []),
        (["a", "b" * 41, "a", "a", "a"], []),
        (["1", "2", "1", "2", "1"], []),
        (["2024-01-01", "2024-01-02"], []),
    ],
)
def test_a_column_with_few_texts_has_them_as_they_are_spelled(look: Look, cells: list[str], values: list[str]) -> None:
    [table] = look("x.csv", "n,c\n" + "".join(f"{place},{cell}\n" for place, cell in enumerate(cells))).tables
    assert table.columns[1].values == values


def test_the_second_row_that_is_shown_differs_from_the_first(look: Look) -> None:
    rows = [("1", "red", "S"), ("2", "red", "S"), ("3", "blue", "S"), ("4", "blue", "L"), ("5", "green", "L")]
    [table] = look("x.csv", "n,colour,size\n" + "".join(f"{','.join(row)}\n" for row in rows)).tables
    assert table.sample == [["1", "red", "S"], ["4", "blue", "L"]]


def test_what_is_said_of_the_columns_of_a_long_table_is_said_of_its_first_rows(look: Look) -> None:
    [long] = look("x.csv", "a,b\n" + "x,1\n" * 60_000 + ",2\n" * 9).tables
    [short] = look("x.csv", "a,b\n" + "x,1\n" * 600 + ",2\n" * 9).tables
    assert (long.rows, short.rows, short.seen_rows) == (60_009, 609, None)
    assert long.seen_rows is not None
    assert long.seen_rows < 60_000
    assert (long.columns[0].blank, short.columns[0].blank) == (0, 9)


def test_rows_without_values_are_counted_apart(look: Look) -> None:
    [table] = look("x.csv", "a;b\nx;1\n;\ny;2\n;\nz;\n").tables
    assert (table.rows, table.empty_rows, [column.blank for column in table.columns]) == (5, 2, [0, 1])


@pytest.mark.parametrize(
    ("top", "above"),
    [
        ("# unit: kWh\n", ["# unit: kWh"]),
        ("Report 2024\nall values in kEUR\n\n", ["Report 2024", "all values in kEUR"]),
        ("a\nb\nc\nd\n", ["b", "c", "d"]),
        ("", []),
    ],
)
def test_the_lines_above_a_header_are_kept(look: Look, top: str, above: list[str]) -> None:
    [table] = look("x.csv", f"{top}when,what,much\n" + "2024-01-01,x,1.5\n" * 9).tables
    assert (table.header_row, table.above) == (len([line for line in top.splitlines() if line]), above)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["2024-01-01 00:00", "2024-01-01 03:00"], 'parse_dates=["d"]'),
        (["2024-01-01T00:00:00Z", "2024-01-01T03:00:00.5Z"], 'parse_dates=["d"], date_format="ISO8601"'),
        (["24.12.2024", "31.12.2024"], 'parse_dates=["d"], date_format="%d.%m.%Y"'),
    ],
)
def test_a_column_of_dates_is_read_as_dates(look: Look, cells: list[str], options: str) -> None:
    told = look("x.csv", "d,n\n" + "".join(f"{cell},1\n" for cell in cells))
    assert str(reading_of("x.csv", told)) == f'pd.read_csv("/workspace/x.csv", {options})'


def test_dates_in_two_formats_are_read_each_in_its_own(look: Look) -> None:
    told = look("x.csv", "a,b\n2024-01-31,31.01.2024\n2024-02-01,01.02.2024\n")
    wanted = 'parse_dates=["a", "b"], date_format={"b": "%d.%m.%Y"}'
    assert str(reading_of("x.csv", told)) == f'pd.read_csv("/workspace/x.csv", {wanted})'


@pytest.mark.parametrize("date", ["31.06.2023", "29.02.2023", "30.02.2024"])
def test_a_day_that_no_calendar_has_does_not_fit(look: Look, date: str) -> None:
    [table] = look("x.csv", "d,n\n" + "28.02.2023,1\n" * 9 + f"{date},2\n").tables
    assert (table.columns[0].type, table.columns[0].odd, table.columns[0].odd_count) == ("date", [date], 1)
