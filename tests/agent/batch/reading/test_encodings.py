"""A tasks file in an encoding that is certain is read; any other one is refused with what fixes it."""

import codecs
from pathlib import Path

import pytest

from agent.batch.input import read_tasks
from tests.agent.batch.reading.samples import complaint, read

TEXT = 'id\ttask\texpect\r\na\t"Größe, 数量?"\t3,5\r\n'


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\r\n", "\r").encode(),
        TEXT.replace("\r\n", "\n").encode(),
    ],
    ids=["utf-8-sig", "utf-16", "be with mark", "le without mark", "be without mark", "utf-32", "cr", "lf"],
)
@pytest.mark.parametrize("name", ["tasks.txt", "tasks.tsv", "tasks.csv"])
def test_the_unicode_text_of_a_spreadsheet_is_read(tmp_path: Path, data: bytes, name: str) -> None:
    (task,) = read(tmp_path, name, data)
    assert (task.id, task.task) == ("a", "Größe, 数量?")
    assert task.matches("3.5")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Quelle est la durée moyenne du café?", "cp1252"),
        ("Wie groß ist der “Mittelwert” für Müller in €?", "cp1252"),
        ("¿Cuántos años tiene España?", "cp1252"),
        ("北京的人口是多少?", "gb18030"),
        ("表格里有多少行，请计算总和。", "gb18030"),
    ],
)
def test_an_old_encoding_is_recognized_if_it_is_certain(tmp_path: Path, text: str, encoding: str) -> None:
    (task,) = read(tmp_path, "tasks.csv", f"id,task\na,{text}\n".encode(encoding))
    assert task.task == text


@pytest.mark.parametrize(
    "data",
    ["Größe".encode("cp1252"), "Сколько строк в таблице?".encode("cp1251"), "Zażółć gęślą jaźń".encode("cp1250")],
)
def test_an_encoding_that_cannot_be_told_is_refused(tmp_path: Path, data: bytes) -> None:
    said = complaint(tmp_path, "tasks.csv", b"id,task\na," + data + b"\n")
    assert said.startswith("'tasks.csv' has 1 bad line, and nothing was started:\n  line 2: it is not UTF-8: byte 0x")
    assert said.endswith("; save the file as UTF-8")


@pytest.mark.parametrize(
    ("magic", "why"),
    [
        (
            b"PK\x03\x04",
            "'tasks.xlsx' is a workbook of Excel or another zip file, not a text. Try: save it as CSV UTF-8",
        ),
        (b"\xd0\xcf\x11\xe0", "'tasks.xlsx' is an old workbook of Excel, not a text. Try: save it as CSV UTF-8"),
        (b"\x1f\x8b", "'tasks.xlsx' is compressed, not a text. Try: gunzip FILE"),
    ],
)
def test_a_file_of_another_program_is_refused_with_what_to_do(tmp_path: Path, magic: bytes, why: str) -> None:
    assert complaint(tmp_path, "tasks.xlsx", magic + bytes(100)).startswith(why)


def test_a_text_that_breaks_the_promise_of_its_mark_is_refused(tmp_path: Path) -> None:
    said = complaint(tmp_path, "tasks.csv", b"\xff\xfei\x00d\x00\x00\xd8")
    assert said == "'tasks.csv' is not valid UTF-16. Try: save it as UTF-8"


def test_stdin_may_be_utf_16_too() -> None:
    assert [task.task for task in read_tasks("-", "What is 1?".encode("utf-16"))] == ["What is 1?"]
