"""What kind of file one is, by its bytes and not by its name, and who looks at it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from sandbox.profiler.delimited import profile_text
from sandbox.profiler.source import Source, lacking

MAGIC = (
    (b"%PDF", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"\x93NUMPY", "npy"),
    (b"ARROW1", "feather"),
    (b"ORC", "orc"),
    (b"Obj\x01", "avro"),
    (b"MATLAB 5.0", "mat"),
    (b"$FL2", "spss"),
    (b"<stata_dta>", "stata"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x80\x04\x95", "pickle"),
    (b"\x80\x05\x95", "pickle"),
    (b"ID3", "mp3"),
    (b"\x7fELF", "program"),
)
_SAS = bytes.fromhex("000000000000000000000000c2ea8160b31411cfbd92080009c7318c181f1011")


def profiles_of(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a file, more of it each time."""
    if source.packed_as:
        yield from _unpacked(source)
        return
    head = source.head
    if not head:
        yield {"kind": "text", "problem": "empty"}
    elif head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        yield from _zipped(source)
    elif head.startswith(b"\xd0\xcf\x11\xe0"):
        from sandbox.profiler.workbooks import profile_old_office

        yield from profile_old_office(source)
    elif head.startswith(b"SQLite format 3\x00"):
        from sandbox.profiler.databases import profile_sqlite

        yield from profile_sqlite(source)
    elif head.startswith((b"PAR1", b"PARE")):
        from sandbox.profiler.parquet import profile_parquet

        yield from profile_parquet(source)
    elif kind := _known(head):
        yield {"kind": kind}
    else:
        yield from _tar_or_text(source)


def _known(head: bytes) -> str:
    if head.startswith(_SAS):
        return "sas"
    if head.startswith(b"RIFF"):
        return {b"WAVE": "wav", b"WEBP": "webp"}.get(head[8:12], "")
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "bmp"
    return next((kind for magic, kind in MAGIC if head.startswith(magic)), "")


def _unpacked(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a compressed file: of what is inside."""
    inside = Source(source.path, compression=source.packed_as)
    packing = {"compression": inside.compression, "has_packed_ending": inside.has_ending}
    yield {"kind": "binary"} | packing
    if inside.head[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"SQLi", b"PAR1") or inside.packed_as:
        return
    for told in _tar_or_text(inside):
        yield told | packing


def _zipped(source: Source) -> Iterator[dict[str, Any]]:
    from sandbox.profiler.archives import profile_zip, zip_members

    found = zip_members(source)
    if found is None:
        yield {"kind": "zip", "problem": "damaged"}
        return
    members, count = found
    names = {member.filename for member in members}
    if any(name.startswith("xl/") for name in names):
        if "xl/workbook.bin" in names:
            yield {"kind": "xlsb", "needs": lacking("python_calamine", "pyxlsb")}
            return
        from sandbox.profiler.workbooks import profile_workbook

        yield from profile_workbook(source)
    elif "mimetype" in names and source.head[38:].startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        from sandbox.profiler.workbooks import profile_opendocument

        yield from profile_opendocument(source)
    elif any(name.startswith("word/") for name in names):
        yield {"kind": "docx"}
    elif any(name.startswith("ppt/") for name in names):
        yield {"kind": "pptx"}
    elif names and all(name.endswith(".npy") for name in names):
        yield profile_zip(members, count) | {"kind": "npz"}
    else:
        yield profile_zip(members, count)


def _tar_or_text(source: Source) -> Iterator[dict[str, Any]]:
    from sandbox.profiler.archives import is_tar, profile_tar

    if is_tar(source):
        yield from profile_tar(source)
        return
    text = source.head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    found: Iterator[dict[str, Any]] = iter(())
    if text[:1] in (b"{", b"["):
        from sandbox.profiler.documents import profile_json

        found = profile_json(source)
    elif text[:1] == b"<":
        from sandbox.profiler.documents import profile_markup

        found = profile_markup(source)
    first = next(found, None)
    if first is None:
        found = profile_text(source)
        first = next(found, None) or {"kind": "binary"}
    yield from chain([first], found)
