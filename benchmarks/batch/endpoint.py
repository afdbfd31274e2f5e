"""A scripted endpoint in its own process. It reads from the text of a task how to answer it.

A task is like "Task t17: add 5 numbers. Fault: 429." The endpoint replies with a cell for each number and then with
their sum. The task's fault occurs once.
"""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import docker.errors

from agent.record.events import SandboxChanged
from agent.record.transcript import read
from agent.testing import Answer, Cut, Late, Refusal, Reply, ScriptedCall, ScriptedEndpoint, calls, says
from benchmarks.batch.tasks import Asked, asked_in
from sandbox import CellblockError
from sandbox.docker import connect

SPIN = "while True: pass"
HOARD = "hoard = bytearray(2 << 30)"
SLEEP = "import time; time.sleep(3)"
KILL_AFTER_S = 0.5


class Answers:
    """The script: a function from a request to a reply."""

    def __init__(self, batch: Path, turn_s: float) -> None:
        self._batch = batch
        self._turn_s = turn_s
        self._refused: set[str] = set()
        """Tasks whose request has failed once; the next one is answered."""

    def __call__(self, body: dict[str, Any]) -> Reply:
        """Return the reply to a request."""
        said = [message["role"] for message in body["messages"]]
        question = next(message["content"] for message in body["messages"] if message["role"] == "user")
        asked = asked_in(question)
        turn = said.count("assistant")
        if turn == 1 and asked.fault in ("429", "500", "dropped stream") and asked.id not in self._refused:
            self._refused.add(asked.id)
            return self._fails(asked)
        steps = self._steps(asked)
        reply = steps[turn] if turn < len(steps) else says(f"The sum is {asked.answer}.")
        if turn == 1 and asked.fault == "container killed":
            threading.Thread(target=self._kill, args=(asked.id,), daemon=True).start()
        return Late(reply, self._turn_s) if self._turn_s else reply

    def _fails(self, asked: Asked) -> Reply:
        match asked.fault:
            case "429":
                return Refusal(429, retry_after_s=0.2)
            case "500":
                return Refusal(500)
        return Cut(calls("print('never')"), after=2)

    def _steps(self, asked: Asked) -> list[Answer]:
        steps = [calls(f"print({number})", call_id=f"call_{number}") for number in range(asked.numbers)]
        extra = {
            "garbage call": Answer(calls=(ScriptedCall("call_x", "run_python", '{"code": '),)),
            "cell time-out": calls(SPIN, call_id="call_x"),
            "out of memory": calls(HOARD, call_id="call_x"),
            "container killed": calls(SLEEP, call_id="call_x"),
        }.get(asked.fault)
        return [*steps[:1], extra, *steps[1:]] if extra else steps

    def _kill(self, task: str) -> None:
        """Kill the container in which the task's cell runs."""
        time.sleep(KILL_AFTER_S)
        with suppress(CellblockError, docker.errors.APIError, IndexError), closing(connect()) as client:
            events = read(self._batch / "tasks" / task).events
            sandbox = [
                event.reason for event in events if isinstance(event, SandboxChanged) and event.kind == "started"
            ]
            client.api.kill(sandbox[-1])


def _serve(pipe: Connection, batch: Path, turn_s: float) -> None:
    with ScriptedEndpoint(Answers(batch, turn_s)) as endpoint:
        pipe.send(endpoint.base_url)
        pipe.recv()


@contextmanager
def served(batch: Path, *, turn_s: float = 0) -> Iterator[str]:
    """Serve an endpoint for the batch in this directory; each turn takes `turn_s`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, batch, turn_s))
    process.start()
    try:
        yield str(ours.recv())
    finally:
        ours.send("end")
        process.join()
