"""Databases, documents, archives and all that is no text: the bytes tell, and not the name."""

import base64
import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.prompting.reading import joined_reading, reading_of
from sandbox.profiler.main import told_of
from sandbox.profiles import FileProfile
from tests.sandbox.profiler.conftest import Look

HOSTILE_SQL = """
CREATE TABLE t (a INTEGER, b GENERATED ALWAYS AS (hex(zeroblob(450000000))) VIRTUAL);
INSERT INTO t (a) VALUES (1);
CREATE VIEW v AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) AS n FROM r;
CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END;
"""
FIELDS = ["a", "b", "c"]


def database(path: Path, sql: str) -> FileProfile:
    with closing(sqlite3.connect(path)) as base:
        base.executescript(sql)
    return [FileProfile.model_validate(told) for told in told_of(str(path))][-1]


def test_the_tables_of_a_database(tmp_path: Path) -> None:
    told = database(
        tmp_path / "x.data",
        "CREATE TABLE b (id INTEGER, title TEXT); INSERT INTO b VALUES (1, 'x'), (2, 'y'), (3, 'z');"
        'CREATE TABLE "a b" (q REAL); CREATE VIEW w AS SELECT title FROM b',
    )
    assert told.kind == "sqlite"
    assert [(table.name, table.rows, table.is_view) for table in told.tables] == [
        ("a b", 0, False), ("b", 3, False), ("w", None, True)
    ]  # fmt: skip
    assert [(column.name, column.declared) for column in told.tables[1].columns] == [
        ("id", "INTEGER"),
        ("title", "TEXT"),
    ]
    assert told.tables[1].sample == [["1", "x"], ["2", "y"]]


def test_no_program_in_a_database_runs_and_it_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    told = database(path, HOSTILE_SQL)
    before = path.read_bytes()
    assert [table.name for table in told.tables] == ["t", "v"]
    assert (told.tables[0].rows, told.tables[0].sample) == (1, [])
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"x.db"}


def test_json_lines_and_lists_of_records_are_tables(look: Look) -> None:
    records = [{"a": 1, "b": "x"}, {"a": 2.5, "c": [1]}]
    for name, content, kind in (
        ("x.jsonl", "\n".join(map(json.dumps, records)), "jsonl"),
        ("x.txt", "\ufeff" + "\n".join(map(json.dumps, records)), "jsonl"),
        ("x.json", json.dumps(records, indent=1), "json"),
    ):
        told = look(name, content)
        assert told.kind == kind
        assert [(column.name, column.type, column.blank) for column in told.tables[0].columns] == [
            ("a", "decimal", 0), ("b", "text", 1), ("c", "list", 1)
        ]  # fmt: skip


def test_the_keys_of_a_document_are_told(look: Look) -> None:
    told = look("x.json", '{"school": {"year": 2024, "courses": [{"title": "A", "ids": []}]}}')
    assert told.outline == "{school: {year: number, courses: list of 1, such as: {title: text, ids: empty list}}}"


def test_a_document_that_is_too_deep_is_a_text(look: Look) -> None:
    assert look("x.json", "[" * 100_000).kind == "text"


def test_xml_and_html(look: Look) -> None:
    rows = '<row id="1"><name>A</name></row>' * 2
    assert look("x.xml", f'<?xml version="1.0"?><rows>{rows}</rows>').outline == "<rows> with 2 row; each has: id, name"
    page = look("x.xls", "<html><table><tr><th>N</th><th>V</th></tr><tr><td>A</td><td>1,5</td></tr></table></html>")
    assert (page.kind, page.decimal) == ("html", ",")
    assert [column.name for column in page.tables[0].columns] == ["N", "V"]


def test_entities_that_grow_are_not_followed(look: Look) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(12))
    assert look("x.xml", f"<!DOCTYPE l [{entities}]><l>&a11;</l>").kind == "xml"


def zipped(names: list[str], content: bytes = b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return held.getvalue()


def test_archives_are_listed(look: Look) -> None:
    told = look("x.zip", zipped([f"f{n}" for n in range(50)], bytes(1_000_000)))
    assert (told.kind, told.member_count, len(told.members), told.members[0].size_bytes) == ("zip", 50, 30, 1_000_000)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for n in range(40):
            archive.addfile(tarfile.TarInfo(f"f{n}"))
    for name, content in (("x.tar", held.getvalue()), ("x.tgz", gzip.compress(held.getvalue()))):
        told = look(name, content)
        assert (told.kind, len(told.members), told.has_more_members) == ("tar", 30, True)


def test_a_list_that_is_too_long_is_only_counted(look: Look) -> None:
    end = b"PK\x05\x06" + bytes(4) + (9).to_bytes(2, "little") * 2 + (1 << 30).to_bytes(4, "little") + bytes(6)
    told = look("x.zip", b"PK\x03\x04" + bytes(100) + end)
    assert (told.kind, told.member_count, told.members) == ("zip", 9, [])


PARQUET = base64.b64decode(
    "UEFSMRUAFTwVPCwVBhUAFQYVBhwAAAACAAAABgEBAAAAAAAAAAIAAAAAAAAAAwAAAAAAAAAVABUqFSosFQYVABUGFQYcAAAAAgAA"
    "AAYBAQAAAGEBAAAAYgEAAABjFQAVJBUkLBUGFQAVBhUGHAAAAAIAAAAGAQtNAAALTQAAC00AABUAFTwVPCwVBhUAFQYVBhwAAAAC"
    "AAAABgEAAAAAAAD4PwAAAAAAAARAAAAAAAAADEAVABUuFS4sFQYVABUGFQYcAAAAAgAAAAYAAwAAAAM3AAEAAAB4AQAAAHkVBBmM"
    "NQAYBnNjaGVtYRUKABUEJQIYAmlkABUMJQIYBG5hbWUlAEwcAAAAFQIlAhgEd2hlbiUMTGwAAAAVCiUCGAVwcmljZQA1AhgEdGFn"
    "cxUCFQZMPAAAADUEGARsaXN0FQIAFQwlAhgHZWxlbWVudCUATBwAAAAWBhkcGVwmABwVBBklBgAZGAJpZBUAFgYWYhZiJghJHBUA"
    "FQAVAgA8KQYZJgAGAAAAJgAcFQwZJQYAGRgEbmFtZRUAFgYWUBZQJmpJHBUAFQAVAgA8FgYZBhkmAAYAAAAmABwVAhklBgAZGAR3"
    "aGVuFQAWBhZKFkomugFJHBUAFQAVAgA8KQYZJgAGAAAAJgAcFQoZJQYAGRgFcHJpY2UVABYGFmIWYiaEAkkcFQAVABUCADwpBhkm"
    "AAYAAAAmABwVDBklBgAZOAR0YWdzBGxpc3QHZWxlbWVudBUAFgYWVBZUJuYCSRwVABUAFQIAPBYEGSYGABlGAAIABAAAABayAxYG"
    "JggWsgMAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRlcHAAAHAAAHAAAHAAAHAAAALUBAABQQVIx"
)


def test_the_columns_of_parquet_are_told_and_what_it_needs(look: Look) -> None:
    told = look("x.parquet", PARQUET)
    needs = "" if find_spec("pyarrow") else "pyarrow"
    assert (told.kind, told.needs, told.tables[0].rows) == ("parquet", needs, 3)
    assert [(column.name, column.type) for column in told.tables[0].columns] == [
        ("id", "integer"), ("name", "text"), ("when", "date"), ("price", "decimal"), ("tags", "list")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"%PDF-1.7\n", "pdf"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(20), "png"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(600) + "Workbook".encode("utf-16-le"), "old_excel"),
        ("a.csv", zipped(["word/document.xml"]), "docx"),
        ("a.csv", zipped(["xl/workbook.bin"]), "xlsb"),
        ("a.csv", bytes(range(256)) * 9, "binary"),
        ("a.csv", b"PAR1" + bytes(20), "parquet"),
    ],
)
def test_the_bytes_tell_the_kind(look: Look, name: str, content: bytes, kind: str) -> None:
    assert look(name, content).kind == kind


def test_a_workbook_behind_a_password_is_told(look: Look) -> None:
    content = b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    assert look("x.xlsx", content).problem == "password"


def test_parquet_that_is_cut_off_is_damaged(look: Look) -> None:
    assert look("x.parquet", PARQUET[:-9]).problem == "damaged"


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0" encoding="utf-8"?><r><a n="1">K\xf6ln</a></r>'.encode("latin-1"),
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><a>&x;</a><a>2</a></r>',
        b"<r><a>1</a><a>2",
    ],
)
def test_xml_that_no_parser_reads_is_damaged_and_not_counted(look: Look, content: bytes) -> None:
    told = look("x.xml", content)
    assert (told.kind, told.problem, told.outline) == ("xml", "damaged", "")


def test_the_rows_of_nested_xml_have_no_one_line_that_reads_them(look: Look) -> None:
    told = look("x.xml", b"<r><rows><row><a>1</a></row><row><a>2</a></row></rows></r>")
    assert told.is_nested
    assert reading_of("x.xml", told) is None


def test_the_decimal_comma_of_a_page_is_no_mark_of_thousands(look: Look) -> None:
    told = look("x.html", "<html><table><tr><td>a</td></tr><tr><td>1,5</td></tr><tr><td>2,5</td></tr></table></html>")
    options = told.model_copy(update={"needs": ""})
    assert str(reading_of("x.html", options)) == (
        'pd.read_html("/workspace/x.html", header=0, decimal=",", thousands=".")'
    )


def test_a_database_with_a_newer_log_beside_it_is_not_told_from_its_old_state(look: Look, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE t(a)")
        base.commit()
        told = look("x.db", (tmp_path / "x.db").read_bytes())
        assert (told.kind, told.tables) == ("sqlite", [])


def test_xml_that_is_not_utf_8_is_read_with_its_encoding(look: Look) -> None:
    content = '<?xml version="1.0" encoding="iso-8859-1"?><r><a n="1">Köln</a><a n="2">x</a></r>'
    reading = reading_of("x.xml", look("x.xml", content.encode("latin-1")))
    assert str(reading) == 'pd.read_xml("/workspace/x.xml", parser="etree", encoding="cp1252")'


def test_missing_values_of_a_database_are_counted_in_all_rows_and_only_null_is_one(tmp_path: Path) -> None:
    rows = ", ".join(f"({number}, {'NULL' if number % 10 == 0 else repr('2023-01-31')}, '')" for number in range(900))
    told = database(tmp_path / "x.db", f"CREATE TABLE t (n INT, day TEXT, note TEXT); INSERT INTO t VALUES {rows}")
    [table] = told.tables
    assert [(column.type, column.blank) for column in table.columns] == [("integer", 0), ("date", 90), ("text", 0)]
    assert (table.seen_rows, table.columns[1].is_text, table.columns[2].values) == (None, True, [""])


def test_a_long_table_of_a_database_is_told_by_its_first_rows(tmp_path: Path) -> None:
    numbers = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 50000)"
    told = database(tmp_path / "x.db", f"CREATE TABLE t (n INT); INSERT INTO t {numbers} SELECT x FROM r")
    [table] = told.tables
    assert table.rows == 50_000
    assert table.seen_rows is not None
    assert table.seen_rows < 50_000


def test_the_tables_of_a_database_are_joined_by_its_foreign_keys(tmp_path: Path) -> None:
    told = database(
        tmp_path / "x.db",
        "CREATE TABLE artists (artist_id INTEGER PRIMARY KEY, name TEXT);"
        'CREATE TABLE tracks (id INTEGER PRIMARY KEY, name TEXT, artist INT REFERENCES artists, "order" INT);'
        "INSERT INTO artists VALUES (1, 'x'); INSERT INTO tracks VALUES (1, 'y', 1, 1), (2, 'z', NULL, 2);",
    )
    [link] = told.links
    assert (link.table, link.column, link.other_table, link.other_column) == (
        "tracks", "artist", "artists", "artist_id"
    )  # fmt: skip
    joined = joined_reading("x.db", told)
    assert joined is not None
    sql = joined.options["sql"]
    with closing(sqlite3.connect(tmp_path / "x.db")) as base:
        cursor = base.execute(sql)
        assert [name for name, *_ in cursor.description] == ["id", "name", "artist", "order", "artists_name"]
        assert cursor.fetchall() == [(1, "y", 1, 1, "x"), (2, "z", None, 2, None)]


def test_nested_records_are_told_by_the_paths_to_their_values(look: Look) -> None:
    records = [
        {"id": 1, "user": {"geo": None}, "tags": ["a"]},
        {"id": 2, "user": {"geo": {"country": "DE"}}, "order": {"items": [{"sku": "S1", "qty": 1}, {"sku": "S2"}]}},
        {"id": 3, "user": {}},
    ]
    lines = look("x.jsonl", "".join(f"{json.dumps(record)}\n" for record in records))
    listed = look("x.json", json.dumps(records))
    for told in (lines, listed):
        [table] = told.tables
        assert [(column.name, column.type, column.blank) for column in table.columns] == [
            ("id", "integer", 0), ("user.geo.country", "text", 2), ("tags", "list", 2),
            ("order.items[].sku", "text", 0), ("order.items[].qty", "integer", 1),
        ]  # fmt: skip
        assert table.sample[1] == [json.dumps(records[1])]
    opened = 'json.loads(line) for line in open("/workspace/x.jsonl")'
    assert str(reading_of("x.jsonl", lines)) == f"pd.json_normalize([{opened}])"
    assert str(reading_of("x.json", listed)) == 'pd.json_normalize(json.load(open("/workspace/x.json")))'


def test_an_object_whose_keys_are_data_is_one_column(look: Look) -> None:
    record = {"name": "x", "prices": {f"2024-{day}": day for day in range(99)}}
    [table] = look("x.jsonl", f"{json.dumps(record)}\n{json.dumps(record)}\n").tables
    assert [(column.name, column.type) for column in table.columns] == [("name", "text"), ("prices", "object")]


def test_the_outline_of_a_list_has_the_fields_of_all_its_elements(look: Look) -> None:
    told = look("x.json", '{"rows": [{"a": 1, "b": null}, {"a": 2, "b": {"c": "x"}, "d": [1]}]}')
    assert told.outline == "{rows: list of 2, such as: {a: number, b: {c: text}, d: list of 1, such as: number}}"
