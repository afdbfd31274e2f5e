"""What LibreChat asks for."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

MAX_FILES = 200
MAX_WORD_CHARS = 200
PYTHON = ("py", "python")
_ID = re.compile(r"[A-Za-z0-9_-]{21}")


class FileRef(BaseModel):
    """A file that a cell is to find, by its id and the session that it lies in."""

    model_config = ConfigDict(extra="ignore")

    id: str
    session_id: str = Field(validation_alias=AliasChoices("storage_session_id", "session_id"))
    name: str = ""


class ExecRequest(BaseModel):
    """The body of `POST /exec`."""

    model_config = ConfigDict(extra="ignore")

    lang: str = Field(max_length=MAX_WORD_CHARS)
    code: str
    args: Any = None
    files: list[FileRef] = Field(default_factory=list, max_length=MAX_FILES)
    session_id: str | None = None
    user_id: str | None = Field(default=None, max_length=MAX_WORD_CHARS)
    entity_id: str | None = Field(default=None, max_length=MAX_WORD_CHARS)

    @property
    def arguments(self) -> Sequence[str]:
        """What the cell finds in `sys.argv` after the first entry."""
        given = self.args if isinstance(self.args, list) else [] if self.args is None else [self.args]
        return [str(each) for each in given]


def is_id(text: str | None) -> bool:
    """Whether a text has the form of LibreChat's ids: its own routes refuse any other."""
    return text is not None and _ID.fullmatch(text) is not None
