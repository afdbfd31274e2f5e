"""What the answers of a run leave in the workspace."""

import asyncio
from collections.abc import Collection
from contextlib import suppress

from agent.loop.files import Artifacts, collect_artifacts
from agent.record.events import FileRecord, RunFinished
from agent.record.transcript import Transcript
from agent.replay.resuming import Past
from sandbox import FileInfo, SandboxError, Session


class Workspace:
    """Keeps apart what was there before an answer and what the answer left, and counts over all answers of a run."""

    def __init__(self, sandbox: Session) -> None:
        self.artifacts: dict[str, FileRecord] = {}
        """The newest of each name."""
        self.omitted = 0
        """Files that were not copied."""
        self._sandbox = sandbox
        self._seen: list[FileInfo] | None = None
        """The files at the last collection. Those of a stopped answer are missing: the next answer collects them."""

    def take_over(self, past: Past) -> None:
        """Count what a run has left before it is resumed."""
        for event in past.transcript.events:
            if isinstance(event, RunFinished):
                self.artifacts |= {record.name: record for record in event.artifacts}
        self.omitted = past.finished.artifacts_omitted if past.finished else 0

    def look_back(self, past: Past) -> None:
        """Let the next answer collect what the last question of that run has left, too."""
        self._seen = past.before

    async def begin(self, given: Collection[str]) -> None:
        """Note what is there before an answer; `given` are the files that come with its question."""
        there = await self._sandbox.list_files()
        self._seen = [file for file in there if self._seen is None or file in self._seen or file.name in given]

    async def collect(self, transcript: Transcript, *, within_s: float | None) -> list[FileRecord]:
        """Copy what the answer left. A lost sandbox, or the end of the time, ends the copying and is no error."""
        assert self._seen is not None, "begin comes first"
        artifacts = Artifacts()
        try:
            with suppress(SandboxError, TimeoutError):
                async with asyncio.timeout(within_s):
                    await collect_artifacts(self._sandbox, self._seen, transcript, artifacts)
                    self._seen = await self._sandbox.list_files()
        finally:
            self.artifacts |= {record.name: record for record in artifacts.records}
            self.omitted += artifacts.omitted
        return artifacts.records
