"""Attempts to fill the guest with messages of a kernel: they cost the cell or its kernel, never the sandbox."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import Session
from sandbox.docker import DockerLauncher
from tests.security.attempts import POLICY, assert_well

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

PRELUDE = """
import json, os
kernel = get_ipython().kernel
def say(kind, content):
    type(kernel.session).send(kernel.session, kernel.iopub_socket, kind, content, parent=kernel.get_parent())
def show(data): say("display_data", {"data": data, "metadata": {}})
def raw(content, kind="status", parent=None, more=()):
    # sign the content without a check
    session = kernel.session
    header = {"msg_id": os.urandom(8).hex(), "msg_type": kind, "username": "", "session": "", "version": "5.3"}
    header |= {"date": "2026-01-01T00:00:00Z"}
    parent = parent or json.dumps(kernel.get_parent()["header"], default=str).encode()
    parts = [json.dumps(header).encode(), parent, b"{}", content]
    kernel.iopub_socket.send_multipart([b"t", b"<IDS|MSG>", session.sign(parts), *parts, *more])
"""
FLOODS = {
    "large outputs without a mark": "while True: show({'text/plain': 'x' * 100_000})",
    "small outputs without a mark": "while True: show({'text/plain': 'x'})",
    "outputs of other cells": "kernel.get_parent = lambda: {}\nwhile True: show({'text/plain': 'x' * 100_000})",
    "states": "while True: say('status', {'execution_state': 'busy', 'more': 'x' * 1_000_000})",
    "streams": "while True: say('stream', {'name': 'stdout', 'text': 'x' * 1_000_000})",
    "one huge output": "show({'text/plain': 'x' * 100_000_000})",
    "one huge message": "kernel.iopub_socket.send_multipart([b'x' * 200_000_000])",
    "many kinds": "show({f'a/{i}': 'x' * 200 for i in range(35_000)})",
    "a message of many objects": "raw(b'{\"a\":[' + b'{},' * 10_900_000 + b'{}]}')",
    "a message of many lists": "raw(b'{\"data\":{\"a/b\":[' + b'[1],' * 5_000_000 + b'1]}}', 'display_data')",
    "a message of many texts": "raw(b'{\"data\":{\"a/b\":[' + b'\"\",' * 10_000_000 + b'1]}}', 'display_data')",
    "a message of many names": "raw(b'{\"a\":{' + b'\"\":1,' * 6_000_000 + b'\"\":1}}')",
    "a long text of wide letters": "raw(b'{\"text\":\"' + chr(0x1f600).encode() * 7_000_000 + b'\"}', 'stream')",
    "a large header": "raw(b'{}', parent=b'{\"a\":[' + b'{},' * 10_900_000 + b'{}]}')",
    "large outputs without an end": "while True: show({'application/json': [1] * 2_000_000})",
    "outputs of many parts without an end": "while True: show({'application/json': [[]] * 3_900_000})",
    "many parts": "kernel.session.pack = lambda v: json.dumps(v).encode()\nshow({'a': [[] for _ in range(2_000_000)]})",
}
QUICK = POLICY.model_copy(update={"cell_timeout_s": 1.5, "interrupt_grace_s": 0.5, "rich_bytes": 2 << 20})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quick() -> AsyncIterator[Session]:
    async with DockerLauncher() as launcher, Session(launcher, QUICK) as session:
        yield session


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_messages_costs_only_the_cell(quick: Session, flood: str) -> None:
    await quick.execute(f"open('kept.txt', 'w').write('kept')\n{PRELUDE}")
    sandbox_id = quick.info.sandbox_id
    execution = await quick.execute(FLOODS[flood])
    assert not execution.files_lost
    assert sum(len(str(output)) for output in execution.outputs) < 2 * QUICK.rich_bytes
    await assert_well(quick)
    assert (await quick.execute("open('kept.txt').read()")).text == "'kept'\n"
    assert quick.info.sandbox_id == sandbox_id


NUMBERS = {
    "sizes": 'for _ in range(2): raw(b\'{"cellblock_omitted_bytes":%s}\' % DIGITS, "display_data")',
    "counts of results": 'raw(b\'{"execution_count":%s,"data":{"text/plain":"x"}}\' % DIGITS, "execute_result")',
    "negative counts": 'raw(b\'{"execution_count":-%s,"data":{"text/plain":"x"}}\' % DIGITS, "execute_result")',
    "counts of cells": "get_ipython()._trait_values['execution_count'] = 10 ** 4299",
    "values": 'raw(b\'{"data":{"application/json":%s}}\' % DIGITS, "display_data")',
    "deep texts": 'raw(b\'{"name":"stdout","text":%s1%s}\' % (b"[" * 900, b"]" * 900), "stream")',
    "deep tracebacks": 'raw(b\'{"traceback":[%s1%s]}\' % (b"[" * 900, b"]" * 900), "error")',
}


@pytest.mark.parametrize("number", NUMBERS)
async def test_an_oversized_number_does_not_end_the_sandbox(quick: Session, number: str) -> None:
    await quick.execute(f"open('kept.txt', 'w').write('kept')\n{PRELUDE}\nDIGITS = b'9' * 4300")
    sandbox_id = quick.info.sandbox_id
    execution = await quick.execute(NUMBERS[number])
    assert not execution.files_lost
    assert execution.omitted_bytes <= 1 << 53
    await quick.restart()
    await assert_well(quick)
    assert (await quick.execute("open('kept.txt').read()")).text == "'kept'\n"
    assert quick.info.sandbox_id == sandbox_id


async def test_an_output_too_large_for_the_guest_is_counted_as_omitted(quick: Session) -> None:
    execution = await quick.execute("from IPython.display import HTML\nHTML('x' * 40_000_000)")
    assert (execution.status, execution.omitted_outputs) == ("ok", 1)
    assert execution.omitted_bytes > 40_000_000
