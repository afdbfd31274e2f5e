"""A task of a batch: the question, its files, its own settings and the expected answer."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from agent.answers import AnswerType
from agent.batch.expecting import expected_of
from agent.batch.scoring.matching import Expected
from agent.endpoint.config import Sampling
from agent.errors import UsageError
from agent.limits import Limits
from agent.loop.conversation import check_task
from agent.runtime import Runtime
from agent.validation import excess
from sandbox import Policy

MAX_ID_CHARS = 100
_ID = re.compile(r"\w(?:[\w.+=@-]*[\w+=@-])?")

ModelT = TypeVar("ModelT", bound=BaseModel)


def _id_as_text(name: Any) -> Any:
    """Return the id of a data frame as a text: with a missing one in its column, the id 1 is 1.0."""
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    return str(name) if isinstance(name, int | float) and not isinstance(name, bool) else name


def _check_id(name: str) -> str:
    if not _ID.fullmatch(name) or len(name) > MAX_ID_CHARS or len(name.encode()) > 2 * MAX_ID_CHARS:
        raise PydanticCustomError(
            "id", f"an id names a directory: at most {MAX_ID_CHARS} letters, digits and any of . _ + = @ - between them"
        )
    return name


def _schema_of(given: Any) -> Any:
    """Return a schema that a table holds as a text of JSON, once it is checked."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise PydanticCustomError("schema", "it must be a JSON schema") from error
    if given is not None:
        try:
            AnswerType.of(given if isinstance(given, dict) else {"type": given})
        except UsageError as error:
            raise PydanticCustomError("schema", "{said}", {"said": error.message.rstrip(".")}) from error
    return given


def _check_question(text: str) -> str:
    try:
        check_task(text)
    except UsageError as error:
        raise PydanticCustomError("task", "{said}", {"said": error.message.rstrip(".")}) from error
    return text


def _alone(files: object) -> object:
    """One file alone as a list of files: a text would be taken for a list of characters."""
    return (files,) if isinstance(files, str | Path) else files


class BatchTask(BaseModel):
    """One task. `sampling`, `limits` and `policy` hold only what differs from the rest of the batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, BeforeValidator(_id_as_text), AfterValidator(_check_id)]
    task: Annotated[str, AfterValidator(_check_question)]
    files: Annotated[tuple[Path, ...], BeforeValidator(_alone)] = ()
    """Host files that are copied into the sandbox's /workspace."""
    answer_schema: Annotated[dict[str, Any] | None, BeforeValidator(_schema_of)] = None
    """The JSON schema that the answer must fit."""
    expect: Annotated[Expected | None, BeforeValidator(expected_of)] = None
    sampling: Sampling = Sampling()
    limits: Limits = Limits()
    policy: Policy = Policy()

    @model_validator(mode="before")
    @classmethod
    def _check_size(cls, entry: Any) -> Any:
        if what := excess(entry):
            raise PydanticCustomError("too_much", "{what}", {"what": what})
        return entry

    def matches(self, answer: str | None) -> bool | None:
        """True if the answer is the expected one; None without an expectation."""
        if self.expect is None:
            return None
        return answer is not None and self.expect.matches(answer, self.task)

    def runtime(self, runtime: Runtime) -> Runtime:
        """Return the batch's runtime with this task's settings. Raises UsageError if they do not fit."""
        if not (self.sampling.model_fields_set or self.limits.model_fields_set or self.policy.model_fields_set):
            return runtime
        return replace(
            runtime,
            sampling=_merged(runtime.sampling, self.sampling),
            limits=_merged(runtime.limits, self.limits),
            policy=_merged(runtime.policy, self.policy),
        )

    def fingerprint(self, known: dict[Path, str]) -> str:
        """Return the SHA-256 of the question and its files. Raises OSError if a file cannot be read.

        `known` caches the SHA-256 of files and is updated with those of this task.
        """
        digest = hashlib.sha256(self.task.encode())
        if self.answer_schema is not None:
            digest.update(json.dumps(self.answer_schema, sort_keys=True).encode())
        for path in self.files:
            if path not in known:
                with path.open("rb") as file:
                    known[path] = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"\0{path.name}\0{known[path]}".encode())
        return digest.hexdigest()


def settings_fingerprint(runtime: Runtime) -> str:
    """Return the SHA-256 of model, sampling, limits and sandbox."""
    parts = (runtime.settings, runtime.limits, runtime.policy)
    said = json.dumps([part.model_dump(mode="json") for part in parts], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _merged(base: ModelT, given: ModelT) -> ModelT:
    return base.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})
