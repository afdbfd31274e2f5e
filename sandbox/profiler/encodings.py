"""The encoding of a text. What is valid UTF-8 is UTF-8; otherwise, the language decides that it looks like."""

import codecs
import re
from collections.abc import Iterator

MAX_CHECKED_BYTES = 128 << 20
PIECE_BYTES = 1 << 20
MAX_EVIDENCE_BYTES = 1 << 15
"""How much of a text that is not UTF-8 is read to tell its encoding."""
MIN_KOREAN_BYTES = 16
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LANGUAGES = (
    ("cp1252", "äöüß"),
    ("cp1252", "éèêëàâçîïôûùüœæ"),
    ("cp1252", "áéíóúüñªº"),
    ("cp1252", "àèéìíòóù"),
    ("cp1252", "ãõáéíóúâêôçà"),
    ("cp1252", "åäöæøéü"),
    ("iso8859_15", "äöüßéèêëàâçîïôûùáíóúñåæøœ"),
    ("cp1250", "ąćęłńóśźż"),
    ("cp1250", "áčďéěíňóřšťúůýž"),
    ("cp1250", "áäčďéíĺľňóôŕšťúýž"),
    ("cp1250", "áéíóöőúüű"),
    ("cp1250", "čćđšž"),
    ("cp1250", "ăâîşţ"),
    ("cp1254", "çğıöşüİâî"),
    ("cp1252", "áéíóúýþðæö"),
    ("cp1257", "ąčęėįšųūž"),
    ("cp1257", "āčēģīķļņšūž"),
    ("cp1251", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    ("cp1251", "абвгдежзийклмнопрстуфхцчшщьюяєіїґ"),
    ("koi8_r", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    ("cp866", "абвгдежзийклмнопрстуфхцчшщъыьэюяё"),
    ("cp1253", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ"),
    ("cp1255", "אבגדהוזחטיךכלםמןנסעףפץצקרשת"),
    ("cp1256", "ابتثجحخدذرزسشصضطظعغفقكلمنهويىءآأؤإئةپچژگ"),
    ("cp850", "äöüßéèêëàâçîïôûùáíóúñåæø"),
    ("mac_roman", "äöüßéèêëàâçîïôûùáíóúñåæø"),
)
"""Encodings of one byte, and the letters beyond ASCII of languages that are written in them, the likeliest first."""
_SYMBOLS = frozenset("€£§°²³µ½¼¾“”„…«»•·®©™±¡¿№‰\xa0\xd7\xb4\u2013\u2014\u2018\u2019\u201a")
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1a\x7f]")
_JAPANESE_7BIT = re.compile(rb"\x1b\$[@B]")
_JOINING = frozenset("\u2019·\xad")
_IN_WORDS = re.compile(r"(?<![0-9\x80-\U0010ffff])[^\x00-\x7f]+")
_HIGH = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")


def encoding_of(head: bytes, pieces: Iterator[bytes]) -> str | None:
    """The encoding of a file that begins with `head`, and has all these pieces; None if it is no text."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if not head.strip(b"\x00\t\n\r "):
        return None if b"\x00" in head else "utf-8"
    if b"\x00" in head:
        return _wide_encoding(head)
    if _JAPANESE_7BIT.search(head) and head.isascii():
        return "iso2022_jp"
    evidence, is_utf8 = _evidence_against_utf8(pieces)
    if is_utf8:
        return "utf-8"
    return _eastern_encoding(evidence) or _western_encoding(evidence)


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 without its mark: every other byte of most texts is zero."""
    half = max(len(head) // 2, 1)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    rest = head.replace(b"\x00", b"")
    return "utf-8" if len(rest) > 0.9 * len(head) and not _CONTROLS.search(rest) and _decodes(rest, "utf-8") else None


def _evidence_against_utf8(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """The lines with bytes beyond ASCII, and whether all is valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    evidence, is_utf8 = bytearray(), True
    for piece in pieces:
        if is_utf8:
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                is_utf8 = False
        if not is_utf8 and not piece.isascii():
            for found in _HIGH.finditer(piece):
                evidence += found[0][:MAX_EVIDENCE_BYTES]
                if len(evidence) > MAX_EVIDENCE_BYTES:
                    return bytes(evidence), False
    return bytes(evidence), is_utf8


def _decodes(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        cut = len(data) - error.start < 4 and error.start > 0
        return data[: error.start].decode(encoding) if cut else None


def _eastern_encoding(data: bytes) -> str | None:
    """Chinese, Japanese or Korean, if nearly all characters beyond ASCII are common ones."""
    shares = {
        name: _share(text, common) for name, common in _COMMON.items() if (text := _decodes(data, name)) is not None
    }
    if shares.get("cp949", 0) > 0.98 and len(data) > MIN_KOREAN_BYTES:  # which is also valid Chinese
        return "cp949"
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best and shares[best] > 0.8 else None


def _share(text: str, common: tuple[str, bytes, bytes]) -> float:
    """How many of the characters beyond ASCII are among the common ones."""
    codec, low, high = common
    runs = [len(run) for run in _IN_WORDS.findall(text)]
    if (
        runs and sum(length for length in runs if length > 1) <= sum(runs) / 2
    ):  # a character alone is two of another encoding
        return 0.0
    wide = [character for character in text if character > "\x7f"]
    good = 0.0
    for character in wide:
        if "\u3040" <= character <= "\u30ff":
            good += codec in ("shift_jis", "euc_jp")
        elif "\u3000" <= character <= "\u303f" or "\uff01" <= character <= "\uff5e":
            good += 0.9
        else:
            good += low <= character.encode(codec, "ignore")[:1] <= high
    return good / len(wide) if wide else 0.0


_COMMON = {
    "gb18030": ("gb2312", b"\xb0", b"\xd7"),
    "cp932": ("shift_jis", b"\x88", b"\x97"),
    "euc_jp": ("euc_jp", b"\xb0", b"\xcf"),
    "cp949": ("euc_kr", b"\xb0", b"\xc8"),
    "big5": ("big5", b"\xa4", b"\xc6"),
}
"""Where the standard has its common characters: the codec and the range of the first byte."""


def _western_encoding(data: bytes) -> str:
    best, encoding = -1.0, "cp1252"
    for name, letters in LANGUAGES:
        text = data.decode(name, "replace")
        share = _fit(text, frozenset(letters + letters.upper()))
        if share > best + 1e-9:
            best, encoding = share, name
    if best < 0.5 and not _decodes(data, "cp1252"):
        return "latin-1"
    return encoding


def _fit(text: str, letters: frozenset[str]) -> float:
    """How well a text fits a language: each character beyond ASCII is one of its letters, or a symbol between words.

    A capital inside a word does not fit, nor does a letter of another script beside one of ASCII.
    """
    good = count = 0.0
    padded = f" {text} "
    for before, character, after in zip(padded, padded[1:], padded[2:], strict=False):
        if character <= "\x7f":
            continue
        count += 1
        if character in letters:
            is_mixed = character > "\u036f" and any(other.isascii() and other.isalpha() for other in (before, after))
            good += not is_mixed and not (character.isupper() and before.islower())
        elif character in _SYMBOLS:
            good += character in _JOINING or not (before.isalpha() and after.isalpha())
        elif character.isalpha():
            good += 0.3 if character != "\ufffd" else 0
    return good / count if count else 1.0
