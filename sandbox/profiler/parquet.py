"""Parquet's footer: columns, types and the number of rows, in Thrift's compact protocol."""

import os
import struct
from collections.abc import Iterator
from typing import Any

from sandbox.profiler.source import Source, lacking
from sandbox.profiler.tables import MAX_COLUMNS, MAX_NAME_CHARS

MAX_FOOTER_BYTES = 16 << 20
MAX_FOOTER_VALUES = 1 << 18
MAX_DEPTH = 32
PHYSICAL = ("boolean", "integer", "integer", "datetime", "decimal", "decimal", "binary", "binary")
CONVERTED = {0: "text", 1: "object", 3: "list", 4: "text", 5: "decimal", 6: "date", 7: "time", 8: "time",
             9: "datetime", 10: "datetime", 19: "object"}  # fmt: skip
"""By the number of the ConvertedType; those of integers are as their physical types."""
LOGICAL = {1: "text", 2: "object", 3: "list", 4: "text", 5: "decimal", 6: "date", 7: "time", 8: "datetime"}
"""By the field of the union LogicalType."""


def profile_parquet(source: Source) -> Iterator[dict[str, Any]]:
    """What is told of a Parquet file."""
    told = {"kind": "parquet", "needs": lacking("pyarrow", "fastparquet")}
    yield told
    with source.open() as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        tail = file.read(8)
        if tail[4:] not in (b"PAR1", b"PARE"):
            yield told | {"problem": "damaged"}
            return
        (size,) = struct.unpack("<I", tail[:4])
        if size > min(MAX_FOOTER_BYTES, end - 8):
            return
        file.seek(end - 8 - size)
        footer = _Compact(file.read(size)).struct()
    yield told | {"tables": [_table(footer)]}


def _table(footer: dict[int, Any]) -> dict[str, Any]:
    """From FileMetaData: its field 2 is the schema, a tree in the order of its nodes, and field 3 the rows."""
    schema = footer[2]
    columns: list[dict[str, Any]] = []
    place, count = 1, 0
    while place < len(schema):
        count += 1
        if len(columns) < MAX_COLUMNS:
            name = schema[place].get(4, b"").decode("utf-8", "replace")[:MAX_NAME_CHARS]
            columns.append({"name": name, "type": _type(schema[place])})
        place = _behind(schema, place)
    rows = footer.get(3)
    return {"name": "", "header_row": 0, "rows": rows, "column_count": count, "columns": columns, "sample": []}


def _behind(schema: list[dict[int, Any]], place: int) -> int:
    """The place behind a node and all below it."""
    left = 1
    while left and place < len(schema):
        left += schema[place].get(5, 0) - 1
        place += 1
    return place


def _type(node: dict[int, Any]) -> str:
    if (logical := node.get(10)) and (found := LOGICAL.get(next(iter(logical), 0))):
        return found
    if node.get(6) in CONVERTED:
        return CONVERTED[node[6]]
    return PHYSICAL[node[1]] if 1 in node else "object"


class _Compact:
    """Reads structs of Thrift's compact protocol as dicts from the number of a field to its value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = MAX_FOOTER_VALUES

    def struct(self, depth: int = 0) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth + 1)
        return fields

    def _byte(self) -> int:
        self._left -= 1
        if self._left < 0:
            raise ValueError("the footer has too many values")
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128 or shift > 63:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("the footer is too deep")
        match kind:
            case 1 | 2:
                return kind == 1
            case 3 | 4 | 5 | 6:
                return self._byte() if kind == 3 else self._zigzag()
            case 7:
                self._at += 8
                return 0.0  # no field that is told is one
            case 8:
                size = self._varint()
                self._at += size
                return self._data[self._at - size : self._at]
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.struct(depth)
        raise ValueError(f"the footer has a value of type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if head & 15 in (1, 2):
            return [self._byte() == 1 for _ in range(count)]
        return [self._value(head & 15, depth + 1) for _ in range(count)]
