"""Checks that a run directory holds what was recorded: each event, each blob and each file, and nothing else.

Each line ends with its own hash and holds the hash of the previous event. Blobs are named by their hash, and events
hold the hashes of files. So any change breaks a hash. A person who rewrites the whole directory can forge all of it; if
you keep the hash of the last event elsewhere, it shows that too.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.errors import TranscriptError
from agent.record import lines
from agent.record.contents import check_contents
from agent.record.events import SCHEMA_VERSION, Beginning, Event, ModelFailed, ModelReplied, ReplyCut, RunStarted
from agent.record.history import begun_by
from agent.record.reading import Recorded, Source
from agent.record.requests import Requests

State = Literal["whole", "incomplete", "damaged"]


@dataclass
class Verdict:
    """The result of a verification."""

    schema_version: int
    events: int = 0
    """The number of valid events."""
    blobs: int = 0
    artifacts: int = 0
    sha256: str | None = None
    """The hash of the last event, which covers the whole run; None if an event is invalid or has no hash."""
    problems: list[str] = field(default_factory=list)
    """The first invalid event and each invalid file: where, what was expected, and what was found."""
    notes: list[str] = field(default_factory=list)
    """Other findings that are no damage."""
    has_end: bool = False

    @property
    def state(self) -> State:
        """An incomplete run has no end: it crashed, is still running, or was cut."""
        return "damaged" if self.problems else "whole" if self.has_end else "incomplete"


def verify(run: Path) -> Verdict:
    """Check a run directory. Raises TranscriptError if there is no transcript, or if its schema version is too new."""
    source = Source.open(run)
    verdict = Verdict(source.schema_version)
    chain = _Chain(source)
    try:
        for line in source.whole_lines():
            chain.check(line)
    except TranscriptError as error:
        verdict.problems.append(f"line {len(chain.events) + 1}: {error.message}")
    verdict.events = len(chain.events)
    if not verdict.problems:
        _check_end(source, chain, verdict)
    return verdict


def _check_end(source: Source, chain: "_Chain", verdict: Verdict) -> None:
    """Check the end of the transcript, and the blobs and files of all events."""
    recorded = Recorded(source, chain.parsed)
    verdict.has_end = recorded.finished is not None
    verdict.sha256 = recorded.events[-1].sha256 or None
    if source.torn and verdict.has_end:
        verdict.problems.append(f"line {verdict.events + 1}: {len(source.torn)} bytes follow the end of the run.")
    elif source.torn:
        verdict.notes.append(f"line {verdict.events + 1} is torn: its {len(source.torn)} bytes are not an event.")
    if not verdict.has_end:
        verdict.notes.append("The run is still running." if recorded.is_being_written else "The run has no end.")
    if source.schema_version < SCHEMA_VERSION:
        verdict.notes.append(
            f"The requests are not recomputed: schema version {source.schema_version} does not hold their messages."
        )
    contents = check_contents(recorded)
    verdict.blobs, verdict.artifacts = contents.blobs, contents.artifacts
    verdict.problems += contents.problems
    verdict.notes += contents.notes


class _Chain:
    """The events of a transcript, each checked against those before it."""

    def __init__(self, source: Source) -> None:
        self.events: list[Event] = []
        self.parsed: list[lines.Parsed] = []
        self._source = source
        self._begun: RunStarted | Beginning | None = None
        """What requests begin with; None before the first event."""
        self._requests: Requests | None = None
        """The requests that follow from the events; None before the first."""
        self._previous_sha256 = ""
        """The `previous_sha256` that the next event must have."""

    def check(self, line: bytes) -> None:
        """Check the next line. Raises TranscriptError that says what is wrong."""
        number, sha256 = len(self.events) + 1, self._own_sha256(line)
        parsed = lines.parse(line, self._source.schema_version, self._source.blobs)
        event = parsed.event
        _expect("sha256", sha256 if self._source.schema_version > lines.FIRST_VERSION else "", event.sha256)
        _expect("seq", number - 1, event.seq)
        _expect("previous_sha256", self._previous_sha256, event.previous_sha256)
        if (number == 1) != isinstance(event, RunStarted):
            raise TranscriptError(f"A run has one run_started, as its first event; this event is {event.type}.")
        if isinstance(event, ModelReplied | ReplyCut | ModelFailed) and self._source.schema_version == SCHEMA_VERSION:
            self._check_request(event)
        self._previous_sha256 = sha256
        self._begun = begun_by(event) or self._begun
        self.events.append(event)
        self.parsed.append(parsed)

    def _own_sha256(self, line: bytes) -> str:
        """The hash that the next event must have as its `previous_sha256`."""
        if self._source.schema_version == lines.FIRST_VERSION:
            return hashlib.sha256(line).hexdigest()
        hashes = lines.own_sha256(line)
        if hashes is None:
            raise TranscriptError("The line does not end with its hash.")
        said, found = hashes
        _expect("The SHA-256 of the line", said, found)
        return found

    def _check_request(self, event: ModelReplied | ReplyCut | ModelFailed) -> None:
        """Check that the request of a turn follows from the events before it."""
        assert self._begun is not None
        self._requests = self._requests or Requests(self.events)
        offered = [
            [tool for tool in self._begun.tools if event.tools is None or tool["function"]["name"] in event.tools]
        ]
        if event.tools is None:  # not recorded: all, or none in the last turn
            offered.append([])
        hashes = [self._requests.sha256(tools) for tools in offered]
        if event.request_sha256 not in hashes:
            _expect("request_sha256, which follows from the earlier events,", hashes[0], event.request_sha256)


def _expect(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise TranscriptError(f"{what} is {found!r}, expected {expected!r}.")
