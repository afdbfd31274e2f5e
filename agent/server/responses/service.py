"""Creates responses: finds what a request goes on from, lets the desk answer, and keeps what came of it."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from agent.loop.conversation import Conversation
from agent.loop.result import RunResult
from agent.loop.setup import Anew
from agent.messages import RUN_PYTHON, Usage
from agent.progress import Progress, TurnEnded
from agent.runtime import Runtime
from agent.server.faults import Fault, fault_of, not_found
from agent.server.owner import Owner
from agent.server.responses.asking import Asking, Clock, Past, fingerprint_after
from agent.server.responses.attached import check_files
from agent.server.responses.choice import chosen
from agent.server.responses.containers import ContainerRoom
from agent.server.responses.images import Images
from agent.server.responses.items import fingerprint, instructions_in, messages_of
from agent.server.responses.request import CreateRequest, Tools, tools_of
from agent.server.responses.response import ResponseObject, Status
from agent.server.responses.running import Running
from agent.server.responses.speech import Citation
from agent.server.responses.translator import Translator
from agent.server.state.containers import ContainerFile, StoredContainer
from agent.server.state.database import DatabaseError
from agent.server.state.responses import StoredResponse, packed
from agent.server.state.state import State
from agent.server.work.desk import Desk
from agent.server.work.job import Job
from agent.server.work.plain import Turn
from agent.server.work.sandboxes import Live

NOTE_CHARS = 512
"""A value of a response's metadata may be so long."""
LOST = (
    "the run directory of this container is gone: the variables and files of earlier answers are lost; "
    "uploaded files are there again"
)
_log = logging.getLogger("cellblock.server")


@dataclass(frozen=True)
class Plan:
    """All that an answer needs."""

    request: CreateRequest
    owner: Owner
    asking: Asking
    tools: Tools
    job: Job
    runtime: Runtime
    container: StoredContainer | None
    """None if no code may run."""


class ResponseService:
    """The responses of a server, those that are stored and those on their way."""

    def __init__(
        self,
        desk: Desk,
        state: State,
        room: ContainerRoom,
        clock: Clock,
        *,
        count: Callable[[Owner, Usage], None],
        is_strict: bool,
    ) -> None:
        """`count` hears what each answer used. With `is_strict`, a tool that the server does not have is an error."""
        self._desk = desk
        self._state = state
        self._room = room
        self._clock = clock
        self._count = count
        self._is_strict = is_strict
        self._past = Past(state.responses, state.conversations, Images(state.files, state.contents), state.new_id)
        self._running: dict[tuple[str, str], Running] = {}

    def running(self, owner: Owner, response_id: str) -> Running | None:
        """The owner's response of this id, if it is on its way."""
        return self._running.get((owner.id, response_id))

    def runs(self) -> list[str]:
        """The run directories of the responses on their way."""
        return [running.run for running in self._running.values() if running.run]

    async def create(self, request: CreateRequest, owner: Owner, *, with_outputs: bool) -> Running:
        """Begin to answer. Returns when the request is granted; in the background, at once. Raises Fault."""
        plan = await self._plan(request, owner)
        response = ResponseObject(
            id=self._state.new_id("resp"),
            created_at=self._clock(),
            request=request,
            tools=plan.tools,
            thinking=plan.runtime.sampling.thinking,
            status="queued" if request.background else "in_progress",
            notes={"cellblock_ignored_tools": ", ".join(plan.tools.ignored)[:NOTE_CHARS]} if plan.tools.ignored else {},
        )
        running = Running(response, with_outputs=with_outputs)
        if request.background:
            self._keep(plan, running, is_new=True)
            running.emit_state("created")
            running.emit_state("queued")
            running.admitted.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._running[owner.id, response.id] = running
        running.task = asyncio.create_task(self._answer(plan, running))
        if not request.background:
            await self._admitted(running)
        return running

    async def _admitted(self, running: Running) -> None:
        """Wait until it is granted. A client who leaves before that ends it."""
        try:
            await running.admitted
        except asyncio.CancelledError:
            await running.cancel()
            raise

    async def close(self) -> None:
        """Stop all answers."""
        await asyncio.gather(*(running.cancel() for running in list(self._running.values())))

    # --- the plan

    async def _plan(self, request: CreateRequest, owner: Owner) -> Plan:
        tools = chosen(tools_of(request, is_strict=self._is_strict), request.tool_choice)
        asking = self._past.asking(request, owner)
        check_files(asking.spoken[-1:], can_run_code=tools.container is not None)
        told = (request.instructions or "", instructions_in(asking.items))
        job = Job(
            owner=owner,
            model=request.model,
            question=asking.question,
            images=asking.images,
            call_id=asking.call_id,
            instructions="\n\n".join(filter(None, told)),
            functions=tools.functions,
            must_call=tools.must_call,
            sampling=request.sampling,
            max_calls=request.max_tool_calls,
            max_written_tokens=request.max_output_tokens,
        )
        runtime = await self._desk.models.runtime_for(job)
        container = None
        if tools.container is not None:
            container = self._room.chosen(tools.container, asking, owner)
            await self._room.bring_files(container, tools.container, asking, owner)
        return Plan(request, owner, asking, tools, job, runtime, container)

    # --- the answer

    async def _answer(self, plan: Plan, running: Running) -> None:
        container_id = plan.container.id if plan.container else ""
        translator = Translator(self._state.new_id, lambda: container_id, is_live=self._is_live(plan))
        running.response.output = translator.output
        used = Usage()  # by an answer that does not finish
        try:
            async with aclosing(self._pieces(plan, running)) as pieces:
                async for piece in pieces:
                    if not running.admitted.done():
                        self._admit(plan, running)
                    if isinstance(piece, RunResult | Turn):
                        used = Usage()
                        self._finish(plan, running, translator, piece)
                    else:
                        used += piece.usage if isinstance(piece, TurnEnded) else Usage()
                        running.emit_all(translator.feed(piece))
        except asyncio.CancelledError:
            self._end(plan, running, "cancelled")
            raise
        except Exception as error:
            self._fail(plan, running, error)
        finally:
            try:
                self._count(plan.owner, used)
                await self._keep_events(plan, running)
            finally:
                del self._running[plan.owner.id, running.response.id]

    def _is_live(self, plan: Plan) -> bool:
        """True if the text is told as the model writes it: it is streamed, and nothing can object to it."""
        if plan.container is None:
            return bool(plan.request.stream) and not plan.job.must_call
        is_free = _schema(plan.request) is None and self._desk.models.may_tell(plan.job)
        return bool(plan.request.stream) and is_free

    def _admit(self, plan: Plan, running: Running) -> None:
        running.response.status = "in_progress"
        if not plan.request.background:
            self._keep(plan, running, is_new=True)
            running.emit_state("created")
        running.emit_state("in_progress")
        running.admitted.set_result(None)

    def _pieces(self, plan: Plan, running: Running) -> AsyncGenerator[Progress | RunResult | Turn]:
        if plan.container is None:
            settings, job = plan.runtime.settings, plan.job
            told = messages_of(plan.asking.spoken, settings)
            system = [{"role": "system", "content": plan.runtime.instructions}] if plan.runtime.instructions else []
            return self._desk.one_turn(job, plan.runtime, [*system, *told], _schema(plan.request))
        container = plan.container
        running.run = container.run or container.id

        async def ask(live: Live) -> RunResult:
            return await self._ask(plan, running, container, live)

        return self._desk.answer_in(self._room.home(container, plan.owner), ask)

    async def _ask(self, plan: Plan, running: Running, container: StoredContainer, live: Live) -> RunResult:
        """Put the question, or the results of calls, to the conversation of a container."""
        asking, conversation = plan.asking, live.conversation
        container = await self._current(container)
        _note_rerun(running.response, live)
        setup = await self._desk.opened.setup(plan.runtime)
        waiting, last_sha256 = {call.id for call in conversation.waiting}, self._last_history_sha256(container)
        goes_on = waiting and waiting == asking.results.keys() and not plan.job.must_call
        if goes_on and last_sha256 == fingerprint(asking.history_before_results):
            return await conversation.bring(asking.results, setup)
        files = self._files_for(plan, running, container, conversation)
        removed = self._state.containers.removed(plan.owner.id, container.id)
        anew = Anew(
            setup,
            messages_of(asking.history, plan.runtime.settings),
            asking.call_id,
            plan.job.must_call,
            removed,
            is_said_here=last_sha256 == fingerprint(asking.history),
        )
        result = await conversation.ask(
            asking.question or "Look at the files.",
            files=[self._room.path(file) for file in files],
            images=asking.images,
            answer=_schema(plan.request),
            anew=anew,
        )
        self._room.note_put(files, plan.owner)
        self._state.containers.note_removed(plan.owner.id, container.id, removed)
        return result

    def _files_for(
        self, plan: Plan, running: Running, container: StoredContainer, conversation: Conversation
    ) -> list[ContainerFile]:
        """The files to put into the sandbox: the new ones, or, if its run directory is gone, all that clients sent."""
        if container.head_response is None or conversation.has_begun:
            return self._room.pending(container, plan.owner)
        running.response.notes["cellblock_lost"] = LOST
        return self._room.sent(container, plan.owner)

    async def _current(self, container: StoredContainer) -> StoredContainer:
        """The container as it is now. One that was deleted while its sandbox started is a Fault; the sandbox ends."""
        current = self._state.containers.get(container.owner_id, container.id)
        if current is None or current.status == "deleted":
            await self._desk.sandboxes.end(container.id)
            raise not_found(f"Container with id {container.id!r} was deleted before the answer began.", "container")
        return current

    def _last_history_sha256(self, container: StoredContainer) -> str | None:
        """The fingerprint of the history after the last answer in a container; None if that was not stored."""
        if container.head_response is None:
            return None
        return self._state.responses.history_sha256(container.owner_id, container.head_response)

    # --- the end

    def _finish(self, plan: Plan, running: Running, translator: Translator, result: RunResult | Turn) -> None:
        response = running.response
        response.usage, response.cells = result.usage, translator.cells
        self._count(plan.owner, result.usage)
        text = result.answer if isinstance(result, RunResult) else result.text
        citations: list[Citation] = []
        if isinstance(result, RunResult) and plan.container is not None:
            citations = self._room.note_answer(plan.container, plan.owner, result.artifacts, response.id)
            _note_outcome(response, result)
        running.emit_all(translator.answer(text, result.calls, citations))
        _note_uncalled(response, plan.job.must_call)
        if _is_cut(result):
            response.incomplete_reason = "max_output_tokens"
        self._end(plan, running, "incomplete" if response.incomplete_reason else "completed")

    def _fail(self, plan: Plan, running: Running, error: Exception) -> None:
        fault = fault_of(error)
        if fault.status >= 500:
            _log.error("%s failed: %s", running.response.id, error, exc_info=not isinstance(error, Fault))
        if not running.admitted.done():
            running.admitted.set_exception(fault)
            if not plan.request.background:
                return
        running.response.fault = fault
        running.emit({"type": "error", "code": fault.code, "message": fault.message, "param": fault.param})
        self._end(plan, running, "failed")

    def _end(self, plan: Plan, running: Running, status: Status) -> None:
        response = running.response
        if not running.admitted.done():
            running.admitted.cancel()
        response.completed_at = self._clock() if status == "completed" else None
        response.usage = response.usage or Usage()
        response.status = status
        is_answered = status in ("completed", "incomplete")
        try:
            self._keep(plan, running)
            if plan.request.conversation_id is not None and is_answered:
                items = [*plan.asking.new, *response.output]
                self._state.conversations.append(plan.owner.id, plan.request.conversation_id, items, self._clock())
        except DatabaseError as error:
            if is_answered:
                raise  # it fails then
            _log.error("%s could not be stored: %s", response.id, error)
        running.end(status)

    def _keep(self, plan: Plan, running: Running, *, is_new: bool = False) -> None:
        """Store the response as it is now, unless the request wants it not to be stored."""
        response = running.response
        if plan.request.store is False:
            return
        stored = StoredResponse(
            id=response.id,
            owner_id=plan.owner.id,
            created_at=response.created_at,
            status=response.status,
            body=response.body(),
            input=plan.asking.new,
            previous_id=plan.request.previous_response_id,
            conversation_id=plan.request.conversation_id,
            container_id=plan.container.id if plan.container else None,
            run=running.run or None,
            history_sha256=None if is_new else fingerprint_after(plan.asking, response.output),
            is_background=bool(plan.request.background),
        )
        if is_new:
            self._state.responses.insert(stored)
        else:
            self._state.responses.update(stored)

    async def _keep_events(self, plan: Plan, running: Running) -> None:
        if plan.request.store is False or not running.events:
            return
        text = "\n".join(json.dumps(event, ensure_ascii=False) for event in running.events)
        events = await asyncio.to_thread(packed, text.encode("utf-8", "replace"))
        try:
            self._state.responses.keep_events(plan.owner.id, running.response.id, events)
        except DatabaseError as error:
            _log.error("the events of %s could not be stored: %s", running.response.id, error)


def _schema(request: CreateRequest) -> dict[str, Any] | None:
    wanted = request.text.format
    return wanted.json_schema if wanted.type == "json_schema" else None


def _is_cut(result: RunResult | Turn) -> bool:
    return result.limit == "written" if isinstance(result, RunResult) else result.finish_reason == "length"


def _note_outcome(response: ResponseObject, result: RunResult) -> None:
    """What the answer alone does not tell."""
    if result.outcome not in ("answered", "called"):
        told = f"{result.outcome} ({result.limit})" if result.limit else result.outcome
        response.notes["cellblock_outcome"] = told
    if result.unsupported:
        response.notes["cellblock_not_computed"] = ", ".join(result.unsupported)[:NOTE_CHARS]


def _note_uncalled(response: ResponseObject, must_call: Collection[str]) -> None:
    """Say which calls the request demands and the model did not make."""
    called = {RUN_PYTHON if item["type"] == "code_interpreter_call" else item.get("name") for item in response.output}
    if must_call and called.isdisjoint(must_call):
        response.notes["cellblock_uncalled"] = ", ".join(must_call)[:NOTE_CHARS]


def _note_rerun(response: ResponseObject, live: Live) -> None:
    """Say that the cells on record were run again in a fresh sandbox, and what they gave that they did not give."""
    if not live.is_rerun:
        return
    live.is_rerun = False
    different = live.conversation.different
    told = f"; cells {', '.join(different)} gave something else" if different else ""
    response.notes["cellblock_rerun"] = f"the cells so far were run again in a fresh sandbox{told}"[:NOTE_CHARS]
