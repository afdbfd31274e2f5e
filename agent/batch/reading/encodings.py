"""Turns the bytes of a tasks file into UTF-8 with one kind of line ends, if its encoding is certain."""

import codecs
import re
from contextlib import suppress

from agent.errors import UsageError

_FOREIGN = {
    b"PK\x03\x04": "a workbook of Excel or another zip file",
    b"\xd0\xcf\x11\xe0": "an old workbook of Excel",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
}
_HINTS = {b"\x1f\x8b": "gunzip FILE"}
_SAVE_AS = "save it as CSV UTF-8 (in Excel: File, Save As)"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_WESTERN = re.compile(
    r"[\x00-\x7f\xa0-\xa3\xa5\xa7\xa9-\xab\xae\xb0-\xb5\xb7\xba-\xcf\xd1-\xdc\xdf-\xef\xf1-\xfc"
    r"\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u20ac\u2013\u2014\u2018-\u201e\u2022\u2026]+"
)
_SYMBOL_IN_WORD = re.compile(r"[^\W\d_][\xa1-\xa3\xa5\xa7\xaa\xb0-\xb5\xb7\xba\xbc-\xbf](?=[a-z])")
"""What is a letter in another encoding of one byte, read as Western European."""


def as_utf8(data: bytes, name: str) -> bytes:
    """Return the text as UTF-8 without a byte order mark; bytes in an unknown encoding are left as they are.

    Raises UsageError for what is no text, and for a text that does not keep to its byte order mark.
    """
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise UsageError(f"{name} is {kind}, not a text.", hint=_HINTS.get(magic, _SAVE_AS))
    encoding = _encoding(data)
    if encoding is not None:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as error:
            raise UsageError(f"{name} is not valid {encoding.upper()}.", hint="save it as UTF-8") from error
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _encoding(data: bytes) -> str | None:
    """Return the encoding if it is not plain UTF-8; None if it is, or cannot be told."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    head = data[:200]
    if head.count(0) * 3 > len(head) > 1:
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    with suppress(UnicodeDecodeError):
        data.decode()
        return None
    return _legacy_encoding(data)


def _legacy_encoding(data: bytes) -> str | None:
    """Return cp1252 or gb18030, if only one of them can be meant.

    Chinese has two bytes for a character, mostly many in a row. Western European has single bytes between letters.
    """
    runs = [len(run) for run in _HIGH_BYTES.findall(data)]
    if max(runs) >= 4 and not any(length % 2 for length in runs) and _decodes(data, "gb18030"):
        return "gb18030"
    if max(runs) < 4 and 1 in runs and _decodes(data, "cp1252"):
        text = data.decode("cp1252")
        return "cp1252" if _WESTERN.fullmatch(text) and not _SYMBOL_IN_WORD.search(text) else None
    return None


def _decodes(data: bytes, encoding: str) -> bool:
    with suppress(UnicodeDecodeError):
        data.decode(encoding)
        return True
    return False
