"""Turns a row, or the columns of a data frame, into the fields of a task."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FIELDS = ("id", "task", "files", "expect", "tolerance", "sampling", "limits", "policy")
SECTIONS = ("sampling", "limits", "policy")
"""The fields whose own fields may be columns, such as `limits.max_turns`."""
_MISSING = ("NaTType", "NAType")
"""The types of pandas' missing values beside NaN."""
_UNNAMED = re.compile(r"(?:index|level_\d+|unnamed: ?\d+(?:_level_\d+)?)?", re.IGNORECASE)

Row = tuple[int, Mapping[str, Any]]


def column_name(name: str) -> str:
    """Return the name of a column as a field has it: "Limits.Max turns" is limits.max_turns. Others are unchanged."""
    plain = re.sub(r"\s+", "_", name.strip().lstrip("\ufeff").casefold())
    return plain if plain in FIELDS or plain.startswith(tuple(f"{section}." for section in SECTIONS)) else name.strip()


def entry_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a task. Values that are missing are left out."""
    entry: dict[str, Any] = {}
    for key, value in row.items():
        part, _, field = column_name(str(key)).partition(".")
        if is_missing(value) or is_unnamed(part) or (value == "" and part not in ("id", "task")):
            continue
        if field and part in SECTIONS and isinstance(entry.setdefault(part, {}), Mapping):
            entry[part] = {**entry[part], field: value}
        else:
            entry[f"{part}.{field}" if field else part] = value
    if "tolerance" in entry:
        entry["expect"] = {"number": entry.get("expect"), "tolerance": entry.pop("tolerance")}
    return entry


def is_unnamed(name: str) -> bool:
    """True for a column without a name, and for what pandas calls one and the index of a data frame."""
    return _UNNAMED.fullmatch(name) is not None


def is_missing(value: Any) -> bool:
    """True for null, None, and NaN, NaT and NA of a data frame."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ in _MISSING


def with_ids(rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Add ids that are made from the text alone, so that new rows do not change them; repeated texts are numbered."""
    seen: dict[str, int] = {}
    for number, entry in rows:
        if not isinstance(entry, Mapping) or "id" in entry:
            yield number, entry
            continue
        text = entry.get("task")
        name = _id_from(text if isinstance(text, str) else "")
        seen[name] = seen.get(name, 0) + 1
        yield number, {"id": name if seen[name] == 1 else f"{name}-{seen[name]}", **entry}


def _id_from(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "task"
    return f"{words}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
