"""Hints that name what a given file holds: each as a whole text, and when there is none."""

import pytest

from agent.prompting.hints import Scene, hints, needs_files
from sandbox import ErrorOutput, Execution, FileProfile

CSV = FileProfile.model_validate({
    "kind": "csv", "encoding": "cp1252", "separator": ";", "decimal": ",",
    "tables": [{"rows": 2, "column_count": 3, "header_row": 0, "columns": [
        {"name": name, "type": "text"} for name in ("Datum", "Unit Price", "Ort")]}],
})  # fmt: skip
BOOK = FileProfile.model_validate({
    "kind": "excel",
    "tables": [{"name": name, "rows": 1, "column_count": 1, "header_row": 0,
                "columns": [{"name": name.lower(), "type": "text"}]} for name in ("Umsatz", "Kosten")],
})  # fmt: skip
BASE = FileProfile.model_validate({
    "kind": "sqlite",
    "tables": [{"name": name, "columns": [{"name": f"{name}_id", "type": "integer"}]} for name in ("books", "loans")],
})  # fmt: skip
LINES = FileProfile.model_validate({"kind": "jsonl", "encoding": "utf-8"})
CLOSED = FileProfile.model_validate({"kind": "excel", "problem": "password"})
TEXT = FileProfile.model_validate({"kind": "text", "encoding": "cp1252"})
OLD = FileProfile.model_validate({"kind": "old_excel", "needs": "xlrd"})
PARQUET = FileProfile.model_validate({"kind": "parquet", "needs": "pyarrow"})
GIVEN = {
    "t.txt": TEXT,
    "o.xls": OLD,
    "q.parquet": PARQUET,
    "x.csv": CSV,
    "b.xlsx": BOOK,
    "l.db": BASE,
    "e.jsonl": LINES,
    "p.xlsx": CLOSED,
}
READ = 'df = pd.read_csv("/workspace/x.csv")\n'
RIGHT = 'df = pd.read_csv("/workspace/x.csv", sep=";", decimal=",", encoding="CP1252")\n'
READ_IT = 'pd.read_csv("/workspace/x.csv", sep=";", decimal=",", encoding="cp1252")'
IS_CSV = f"x.csv is CSV, encoding cp1252, separator ';', decimal comma. Read it with {READ_IT}"
COLUMNS = "The columns of x.csv are: 'Datum', 'Unit Price', 'Ort'."


def failed(ename: str, evalue: str) -> Execution:
    return Execution(
        status="error", outputs=[ErrorOutput(ename=ename, evalue=evalue, traceback=[f"{ename}: {evalue}"])]
    )


TOLD = {
    "an encoding": (READ, "UnicodeDecodeError", "'utf-8' codec can't decode byte 0xf6 in position 3", IS_CSV),
    "a separator": (READ, "ParserError", "Error tokenizing data. C error: Expected 1 fields in line 5, saw 3", IS_CSV),
    "a decimal comma": (READ, "ValueError", "could not convert string to float: '1,5'", IS_CSV),
    "a column that the wrong separator hides": (READ + "df['Ort']", "KeyError", "'Ort'", IS_CSV),
    "a column": (RIGHT + "df['Preis']", "KeyError", "'Preis'", COLUMNS),
    "a column in other letters": (
        RIGHT + "df['unit_price']", "KeyError", "'unit_price'",
        "Did you mean 'Unit Price'? The columns of x.csv are: 'Unit Price', 'Datum', 'Ort'.",
    ),
    "columns of a list": (RIGHT + "df[['A', 'Ort']]", "KeyError", "\"['A'] not in index\"", COLUMNS),
    "columns that are all missing": (
        RIGHT + "df[['A']]", "KeyError", "\"None of [Index(['A'], dtype='str')] are in the [columns]\"", COLUMNS
    ),
    "columns to read": (
        RIGHT, "ValueError", "Usecols do not match columns, columns expected but not found: ['A']", COLUMNS
    ),
    "an attribute": (
        RIGHT + "df.ort_", "AttributeError", "'DataFrame' object has no attribute 'ort_'",
        "Did you mean 'Ort'? The columns of x.csv are: 'Ort', 'Datum', 'Unit Price'.",
    ),
    "a query": (RIGHT + "df.query('A > 1')", "UndefinedVariableError", "name 'A' is not defined", COLUMNS),
    "a sheet": (
        "pd.read_excel('b.xlsx', sheet_name='X')", "ValueError", "Worksheet named 'X' not found",
        "The sheets of b.xlsx are: 'Umsatz', 'Kosten'.",
    ),
    "a sheet by openpyxl": (
        "openpyxl.load_workbook('b.xlsx')['X']", "KeyError", "'Worksheet X does not exist.'",
        "The sheets of b.xlsx are: 'Umsatz', 'Kosten'.",
    ),
    "a column of a sheet": (
        "pd.read_excel('b.xlsx', sheet_name='Kosten')['Nr']", "KeyError", "'Nr'",
        "b.xlsx has: Kosten ('kosten'); Umsatz ('umsatz').",
    ),
    "a table": (
        "c.execute('select * from book')", "OperationalError", "no such table: book",
        "The tables of /workspace/l.db are: 'books', 'loans'.",
    ),
    "a table by pandas": (
        "pd.read_sql('select * from loan', c)", "DatabaseError", "Execution failed on sql 'x': no such table: loan",
        "The tables of /workspace/l.db are: 'loans', 'books'.",
    ),
    "a column of a table": (
        "c.execute('select id from books')", "OperationalError", "no such column: id",
        "l.db has: books ('books_id'); loans ('loans_id').",
    ),
    "JSON lines": (
        "json.load(open('e.jsonl'))", "JSONDecodeError", "Extra data: line 2 column 1 (char 9)",
        'e.jsonl is JSON lines. Read it with pd.read_json("/workspace/e.jsonl", lines=True)',
    ),
    "a text": (
        "open('t.txt').read()", "UnicodeDecodeError", "'utf-8' codec can't decode byte 0xf6 in position 3",
        't.txt is text, encoding cp1252. Read it with open("/workspace/t.txt", encoding="cp1252")',
    ),
    "a workbook that is taken for text": (
        "pd.read_csv('b.xlsx')", "UnicodeDecodeError", "'utf-8' codec can't decode byte 0x8b in position 10",
        'b.xlsx is an Excel workbook. Read it with pd.read_excel("/workspace/b.xlsx", '
        'sheet_name="Umsatz", engine="openpyxl")',
    ),
    "an old workbook": (
        "pd.read_excel('o.xls')", "ImportError", "Missing optional dependency 'xlrd'.",
        "o.xls is an old Excel workbook (.xls), which cannot be read here: xlrd is not installed.",
    ),
    "what needs a package": (
        "pd.read_parquet('q.parquet')", "ImportError", "Missing optional dependency 'pyarrow'.",
        "q.parquet is Parquet, which cannot be read here: pyarrow is not installed.",
    ),
    "a password": (
        "pd.read_excel('p.xlsx')", "ValueError", "Excel file format cannot be determined, you must specify an engine",
        "p.xlsx is an Excel workbook, protected by a password, so it cannot be read.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_the_exact_words(case: str) -> None:
    code, ename, evalue, words = TOLD[case]
    execution = failed(ename, evalue)
    assert needs_files(execution)
    assert hints(f"import pandas as pd\n{code}", execution, Scene(given=GIVEN)) == [words]


def test_a_file_that_an_earlier_cell_has_read_is_found() -> None:
    scene = Scene(given=GIVEN, earlier_code=f"import pandas as pd\n{RIGHT}")
    assert hints("df['Preis']", failed("KeyError", "'Preis'"), scene) == [COLUMNS]


QUIET = {
    "a file that was read as it should be": (RIGHT, "UnicodeDecodeError", "'charmap' codec can't decode byte 0x81"),
    "a column that the code has made": (RIGHT + "df['New'] = 1\ng['New']", "KeyError", "'New'"),
    "a column that the code has renamed": (
        RIGHT + "df = df.rename(columns={'Ort': 'Place'})\ndf['Place']", "KeyError", "'Place'"
    ),
    "a column of a frame that the code has made": (
        RIGHT + "g = pd.DataFrame([[1]], columns=['New'])\ng.New.x\ndf['New']", "KeyError", "'New'"
    ),
    "a column that a melted frame has": (RIGHT + "df.melt(value_name='New')['New']", "KeyError", "'New'"),
    "a column that is there, of a frame that the code has changed": (RIGHT + "g['Ort']", "KeyError", "'Ort'"),
    "a file that the module csv reads as it should be read": (
        "import csv, json\nr = csv.DictReader(open('x.csv', encoding='cp1252'), delimiter=';')\nnext(r)['Ort']",
        "KeyError", "'Ort'",
    ),
    "a method that is not there": (
        RIGHT + "df.append(1)", "AttributeError", "'DataFrame' object has no attribute 'append'"
    ),
    "a name that is no column": (RIGHT + "x", "NameError", "name 'x' is not defined"),
    "a key of a dictionary": ("d = {}\nd['x']", "KeyError", "'x'"),
    "a number for a key": (RIGHT + "df[3]", "KeyError", "3"),
    "another error": (RIGHT + "1/0", "ZeroDivisionError", "division by zero"),
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
def test_what_a_file_does_not_explain_has_no_hint(case: str) -> None:
    code, ename, evalue = QUIET[case]
    start = "" if case == "a key of a dictionary" else "import pandas as pd\n"
    assert hints(start + code, failed(ename, evalue), Scene(given=GIVEN)) == []


def test_many_columns_are_told_in_part() -> None:
    columns = [{"name": f"c{place}", "type": "text"} for place in range(50)]
    wide = FileProfile.model_validate({"kind": "csv", "tables": [{"columns": columns, "header_row": 0}]})
    [told] = hints("pd.read_csv('w.csv')['x']", failed("KeyError", "'x'"), Scene(given={"w.csv": wide}))
    assert told.endswith("'c19', and 30 more.")


SHOP = FileProfile.model_validate({
    "kind": "excel",
    "tables": [
        {"name": "Orders", "header_row": 2, "rows": 9, "column_count": 1, "columns": [{"name": "Who", "type": "text"}]},
        {"name": "Customers", "header_row": 0, "rows": 9, "column_count": 2,
         "columns": [{"name": name, "type": "text"} for name in ("ID", "Country")]},
    ],
    "links": [{"table": "Orders", "column": "Who", "other_table": "Customers", "other_column": "ID"}],
})  # fmt: skip
LIBRARY = FileProfile.model_validate({
    "kind": "sqlite",
    "tables": [{"name": name, "columns": [{"name": column, "type": "text"}]}
               for name, column in (("books", "title"), ("loans", "member"), ("members", "city"))],
    "links": [{"table": "loans", "column": "member", "other_table": "members", "other_column": "id",
               "is_declared": True}],
})  # fmt: skip
EVENTS = FileProfile.model_validate({
    "kind": "jsonl", "encoding": "utf-8",
    "tables": [{"has_objects": True, "columns": [
        {"name": "id", "type": "integer"}, {"name": "user.geo.country", "type": "text", "blank": 207},
        {"name": "order.items[].sku", "type": "text"}]}],
})  # fmt: skip
ORDERS = 'o = pd.read_excel("shop.xlsx", sheet_name="Orders", header=2)\n'
FITS = "Orders.Who fits Customers.ID."
SHEET = 'Read it with pd.read_excel("/workspace/shop.xlsx", sheet_name="Customers", engine="openpyxl")'
NORMALIZED = 'import json; pd.json_normalize([json.loads(line) for line in open("/workspace/e.jsonl")])'
IN_OTHER_PARTS = {
    "another sheet": (
        ORDERS + "o['Country']", "KeyError", "'Country'",
        [f"'Country' is in the sheet 'Customers' of shop.xlsx. {FITS} {SHEET}"],
    ),
    "a sheet with the wrong header": (
        ORDERS + 'c = pd.read_excel("shop.xlsx", sheet_name="Customers", header=2)\nc["Country"]', "KeyError",
        "'Country'", [f"'Country' is in the sheet 'Customers' of shop.xlsx. {FITS} {SHEET}"],
    ),
    "sheets that are not joined": (
        ORDERS + 'c = pd.read_excel("shop.xlsx", "Customers")\no["Country"]', "KeyError", "'Country'",
        [f"'Country' is in the sheet 'Customers' of shop.xlsx. {FITS}"],
    ),
    "no sheet": (
        ORDERS + "o['Nr']", "KeyError", "'Nr'", ["shop.xlsx has: Orders ('Who'); Customers ('ID', 'Country')."]
    ),
    "a sheet that is read right": (
        'c = pd.read_excel("shop.xlsx", sheet_name="Customers")\nc.groupby("ID").size()["Country"]', "KeyError",
        "'Country'", [],
    ),
    "another table": (
        "pd.read_sql('select m.city from loans m', sqlite3.connect('lib.db'))", "DatabaseError",
        "Execution failed on sql 'select m.city from loans m': no such column: m.city",
        ["'city' is in the table 'members' of lib.db. Foreign keys: loans.member = members.id."],
    ),
    "another table, by pandas": (
        "d = pd.read_sql('select * from loans', sqlite3.connect('lib.db'))\nd['city']", "KeyError", "'city'",
        ["'city' is in the table 'members' of lib.db. Foreign keys: loans.member = members.id."],
    ),
    "no table": (
        "pd.read_sql('select nr from loans', sqlite3.connect('lib.db'))", "DatabaseError", "no such column: nr",
        ["lib.db has: loans ('member'); books ('title'); members ('city')."],
    ),
    "inside of a record": (
        "d = pd.read_json('e.jsonl', lines=True)\nd['geo']", "KeyError", "'geo'",
        [f"In e.jsonl, 'geo' is in user.geo.country (missing in 207). Read it with {NORMALIZED}"],
    ),
    "a part that not each record has": (
        "r = [json.loads(line) for line in open('e.jsonl')]\nr[0]['order']", "KeyError", "'order'",
        [f"In e.jsonl, 'order' is in order.items[].sku. Read it with {NORMALIZED}"],
    ),
    "a part by its name, where it is a path": (
        "d = pd.json_normalize([json.loads(line) for line in open('e.jsonl')])\nd['country']", "KeyError", "'country'",
        ["In e.jsonl, 'country' is in user.geo.country (missing in 207)."],
    ),
    "null in place of an object": (
        "r = [json.loads(line) for line in open('e.jsonl')]\nr[0]['user']['geo']['country']", "TypeError",
        "'NoneType' object is not subscriptable",
        ["Some records of e.jsonl have no user.geo.country (missing in 207): use .get(), or check for None."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IN_OTHER_PARTS)
def test_what_is_in_another_part_of_a_file_is_found_there(case: str) -> None:
    code, ename, evalue, words = IN_OTHER_PARTS[case]
    execution = failed(ename, evalue)
    assert needs_files(execution)
    scene = Scene(given={"shop.xlsx": SHOP, "lib.db": LIBRARY, "e.jsonl": EVENTS})
    assert hints(f"import json, sqlite3, pandas as pd\n{code}", execution, scene) == words


IMPOSSIBLE = {
    "in the code": ("df[df.d <= '31.06.2023']", "ValueError: day is out of range for month", "31.06.2023", "June", 30),
    "in ISO": ("pd.Timestamp('2023-02-30')", "DateParseError: day is out of range", "2023-02-30", "February 2023", 28),
    "in a longer text": ("df.query('d > \"2024-02-30\"')", "ValueError: bad date", "2024-02-30", "February", 29),
    "with the month first": ("pd.to_datetime('06/31/2023')", "ValueError: day", "06/31/2023", "June", 30),
    "in the error": ("pd.to_datetime(df.d)", "ValueError: time data '31/09/2023' is no date", "31/09/2023", "September",
                     30),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_date_that_no_calendar_has_is_named(case: str) -> None:
    code, error, date, month, days = IMPOSSIBLE[case]
    ename, _, evalue = error.partition(": ")
    assert hints(code, failed(ename, evalue), Scene()) == [f"{date} is no date: {month} has {days} days."]


def test_a_date_that_there_is_and_what_is_no_date_have_no_hint() -> None:
    code = "x = '29.02.2024', '30.06.2023', '06/30/2023', '10.0.31.2023', '1.2.3', 'v31.06.2023'"
    assert hints(code, failed("ValueError", "day is out of range for month"), Scene()) == []
    assert hints("x = '31.06.2023'", failed("KeyError", "'a'"), Scene()) == []
