"""The files that a task asks to be made."""

import re
from collections.abc import Collection

_KINDS = "png|jpe?g|svg|gif|pdf|csv|tsv|jsonl?|xlsx|txt|md|html|parquet|np[yz]|zip"
_NAME = rf"[`'\"\u201c]?(?P<name>[\w-][\w.-]{{0,100}}\.(?:{_KINDS}))\b"
_SAVED = re.compile(
    r"(?:\b(?:sav|writ|stor|export|dump|output)\w*\b(?:(?!\.\s)[^?!\n]){0,100}?\b(?:as|to|into|in|named|called|file)\s+"
    rf"|(?:保存|存|写入|导出)(?:为|到|成|入)?\s*){_NAME}",
    re.IGNORECASE,
)


def asked_for(task: str, given: Collection[str]) -> list[str]:
    """The names of files that the task says are to be saved; those that came with it are there already."""
    names = [found["name"] for found in _SAVED.finditer(task)]
    return [name for name in dict.fromkeys(names) if name not in given]
