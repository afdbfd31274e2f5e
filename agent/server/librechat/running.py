"""Runs a cell of LibreChat in its session."""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from agent.loop.client_run import ClientRun
from agent.server.librechat.form import answer, made_file, pictures_of, stderr_of, stdout_of
from agent.server.librechat.request import PYTHON, ExecRequest
from agent.server.librechat.sessions import Sessions, new_id
from agent.server.owner import Owner
from agent.server.state.containers import StoredContainer
from agent.server.work.client_cells import ClientCells, RunCell

FRESH = (
    "The sandbox of this session had ended, and this cell ran in a fresh one: its files were put back, except those in "
    "folders, and its variables are gone."
)
MISSING = "The file {name!r} is no longer here: upload it again."
ONLY_PYTHON = "Only Python runs here, and lang is {lang!r}: write the code in Python, with lang 'py'."


class Interpreter:
    """Answers `POST /exec`."""

    def __init__(self, cells: ClientCells, sessions: Sessions) -> None:
        self._cells = cells
        self._sessions = sessions

    async def run(self, asked: ExecRequest, owner: Owner, user: str) -> tuple[dict[str, Any], str]:
        """The answer, and the name of the run directory. Raises Fault, UsageError and SandboxError.

        Another language is an answer, too: so the model that wrote the code reads what mends it.
        """
        if asked.lang not in PYTHON:
            return answer(asked.session_id or new_id(), stderr=ONLY_PYTHON.format(lang=asked.lang)), ""
        session = self._sessions.to_run_in(self._cells.owner_id(owner), asked, user)
        missing = self._sessions.link(session, asked)

        async def work(run: ClientRun, run_cell: RunCell) -> tuple[dict[str, Any], str]:
            is_again = await self._prepare(session, run)
            notes = [FRESH] * is_again + [MISSING.format(name=name) for name in missing]
            return await self._answered(session, asked, run, run_cell, notes), run.directory.name

        return await self._cells.use(session.id, owner, work)

    async def _prepare(self, session: StoredContainer, run: ClientRun) -> bool:
        """Put the files that are not there yet. Returns True if another sandbox of the session had ended."""
        before = self._sessions.get(session.owner_id, session.id) or session
        is_fresh = before.run != run.directory.name
        if files := self._sessions.to_put(session, is_fresh=is_fresh):
            await run.give([self._sessions.path(file) for file in files])
            self._sessions.note_put(session, files)
        self._sessions.note_use(session, run.directory.name)
        return is_fresh and before.run is not None

    async def _answered(
        self, session: StoredContainer, asked: ExecRequest, run: ClientRun, run_cell: RunCell, notes: list[str]
    ) -> dict[str, Any]:
        if asked.arguments:
            await run_cell(f"import sys\nsys.argv[1:] = {list(asked.arguments)!r}")
        ran = await run_cell(asked.code)
        made = self._sessions.note_made(session, run.directory.name, await run.collect())
        for number, picture in enumerate(pictures_of(ran.execution), 1):
            with suppress(binascii.Error):
                name = f"cell_{len(run.cells)}_plot_{number}.png"
                made.append((await self._sessions.save(session, name, _piece(picture), "assistant"), None))
        self._sessions.note_use(session, run.directory.name)
        return answer(
            session.id,
            stdout=stdout_of(ran.execution),
            stderr=stderr_of(ran, notes),
            files=[made_file(file, original) for file, original in made],
        )


async def _piece(encoded: str) -> AsyncIterator[bytes]:
    yield base64.b64decode(encoded)
