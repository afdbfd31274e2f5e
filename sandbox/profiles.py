"""What is known of a file: the values that the profiler sends, and how it is sent into the container.

The profiler, `sandbox/profiler/`, runs beside a kernel that may hold any code, so all that it says is untrusted: it is
bounded here, and what does not fit is as good as not said.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROFILER_TIMEOUT_S = 6.0
LOOKING_S = 5.0
"""For all files together; the program ends by itself then."""
MAX_REPORT_BYTES = 4 << 20

PROFILER = (
    "import json, sys, types\n"
    "asked = json.loads(sys.stdin.buffer.read())\n"
    "start = types.ModuleType('start')\n"
    "exec(asked['sources']['sandbox.guest.start'], vars(start))\n"
    "sys.meta_path.insert(0, start.SentModules(asked['sources']))\n"
    "from sandbox.profiler.main import main\n"
    "main(asked['folder'], asked['names'], asked['within_s'])\n"
)
"""The program of `python -c`: it reads the profiler's modules and the names of files from stdin."""

Count = Annotated[int, Field(ge=0, le=1 << 53)]
Text = Annotated[str, Field(max_length=200)]
Kind = Literal[
    "csv", "spaced", "fixed", "text", "json", "jsonl", "xml", "html", "excel", "old_excel", "xlsb", "ods", "sqlite",
    "parquet", "zip", "tar", "docx", "pptx", "word", "old_office", "pdf", "png", "jpeg", "gif", "tiff", "bmp", "webp",
    "wav", "mp3", "hdf5", "netcdf", "npy", "npz", "mat", "stata", "sas", "spss", "feather", "orc", "avro", "pickle",
    "7z", "rar", "zstandard", "program", "binary",
]  # fmt: skip
ColumnType = Literal[
    "integer", "decimal", "text", "code", "quantity", "date", "datetime", "time", "boolean", "list", "object",
    "binary", "empty", "unknown",
]  # fmt: skip
Encoding = Literal[
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1250", "cp1251", "cp1252",
    "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "cp866", "cp850", "mac_roman", "gb18030", "cp932",
    "euc_jp", "cp949", "big5", "iso2022_jp", "iso8859_15",
]  # fmt: skip
Problem = Literal["", "empty", "password", "damaged"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileColumn(_Value):
    """A column of a table, or a field of records."""

    name: Text
    type: ColumnType
    """A `code` is made of digits and begins with 0; a `quantity` is a number with a unit, or one stored as text."""
    format: Annotated[str, Field(max_length=40)] = ""
    """How dates are written, as strptime has it; empty for ISO 8601, `?` if day and month could be exchanged."""
    declared: Annotated[str, Field(max_length=40)] = ""
    """The type that a database states."""
    blank: Count = 0
    """How many of the values that were looked at are missing."""
    blank_marks: list[Text] = Field([], max_length=3)
    """How missing values are written where pandas takes them for text, such as a dash."""
    odd: list[Text] = Field([], max_length=3)
    """Some values of another type; of a quantity, one of its values."""
    odd_count: Count = 0
    values: list[Text] = Field([], max_length=50)
    """All its distinct texts, if they are few."""


class FileTable(_Value):
    """A table of a file: all of it, a sheet, or a table of a database."""

    name: Text = ""
    rows: Count | None = None
    """Without the header; None if unknown."""
    is_estimate: bool = False
    column_count: Count = 0
    columns: list[FileColumn] = Field([], max_length=200)
    """The first of them."""
    header_row: Count | None = None
    """How many rows are above the names of the columns; None if there are no names."""
    skipped_rows: Count = 0
    """How many rows are above the first of a table without names."""
    sample: list[Annotated[list[Text], Field(max_length=30)]] = Field([], max_length=2)
    """The first rows; of JSON, each is a single text."""
    total: Text = ""
    """The word that makes the last row a sum of the others."""
    is_hidden: bool = False
    is_view: bool = False
    """A view or a virtual table, which is not read before it is needed."""
    has_bare_formulas: bool = False
    """Formulas without their results: the workbook was never calculated."""


class FileMember(_Value):
    """A file in an archive."""

    name: Text
    size_bytes: Count


class FileProfile(_Value):
    """What is known of a file of the workspace."""

    kind: Kind
    problem: Problem = ""
    needs: Annotated[str, Field(max_length=40)] = ""
    """A package that is needed to read it, and is not installed."""
    compression: Literal["", "gzip", "bz2", "xz"] = ""
    has_packed_ending: bool = True
    """Whether the name tells the compression."""
    encoding: Encoding | None = None
    has_nul: bool = False
    separator: Annotated[str, Field(max_length=1)] = ""
    """Empty for a single column."""
    decimal: Literal[".", ","] = "."
    thousands: Annotated[str, Field(max_length=1)] = ""
    header_lines: Count = 0
    """The lines above the header of a CSV file."""
    has_longer_rows: bool = False
    """Each row has one cell more than the header, as where it ends with a separator."""
    has_row_names: bool = False
    """Each row begins with a cell that has no name in the header."""
    has_uneven_rows: bool = False
    """Some rows are longer than the first, so that no one line reads them."""
    is_nested: bool = False
    """The elements of an XML document that are its rows have elements with elements in them."""
    lines: list[Text] = Field([], max_length=3)
    """The first lines of a text that is no table."""
    outline: Annotated[str, Field(max_length=1_200)] = ""
    """The keys of a JSON document, or the elements of an XML document."""
    is_estimate: bool = False
    tables: list[FileTable] = Field([], max_length=40)
    """The first of them."""
    table_count: Count = 0
    members: list[FileMember] = Field([], max_length=30)
    """The first files of an archive."""
    member_count: Count = 0
    has_more_members: bool = False
    """There are more than were counted."""


class _Report(_Value):
    name: str
    profile: FileProfile


def profiler_input(names: Sequence[str]) -> bytes:
    """What the program reads: its own modules, and the names of the files."""
    here = Path(__file__).parent
    modules = [here / "guest" / "start.py", *(here / "profiler").glob("[!_]*.py")]
    sources = {f"sandbox.{path.parent.name}.{path.stem}": path.read_text("utf-8") for path in modules}
    asked = {"sources": sources, "folder": "/workspace", "names": list(names), "within_s": LOOKING_S}
    return json.dumps(asked).encode()


def profiles_in(report: bytes, names: Sequence[str]) -> dict[str, FileProfile]:
    """The profiles in what the program has written; a line that is none is left out."""
    found: dict[str, FileProfile] = {}
    for line in report.splitlines():
        with suppress(ValidationError):
            read = _Report.model_validate_json(line)
            if read.name in names:
                found[read.name] = read.profile
    return found
