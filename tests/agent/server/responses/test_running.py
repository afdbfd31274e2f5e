"""The events of a response on its way, as its readers get them."""

import asyncio
from itertools import chain

from agent.server.responses.request import CreateRequest, Tools
from agent.server.responses.response import ResponseObject
from agent.server.responses.running import MAX_TOGETHER, Event, Running


def running() -> Running:
    request = CreateRequest(model="m", input="Hi")
    return Running(ResponseObject("resp_1", 0, request, Tools(None, (), (), ()), None), with_outputs=False)


async def read(running: Running, after: int = -1) -> list[list[int]]:
    return [[event["sequence_number"] for event in news] async for news in running.follow(after)]


def events(number: int) -> list[Event]:
    return [{"type": "response.output_text.delta"}] * number


async def test_what_is_there_at_a_time_comes_together() -> None:
    answer = running()
    reading = asyncio.create_task(read(answer))
    answer.emit_all(events(2))
    await asyncio.sleep(0)
    answer.emit_all(events(3))
    answer.end("completed")
    assert await reading == [[0, 1], [2, 3, 4, 5]]


async def test_a_late_reader_gets_all_in_portions_that_a_slow_one_can_take() -> None:
    answer = running()
    answer.emit_all(events(2 * MAX_TOGETHER))
    answer.end("completed")
    told = await read(answer, after=0)
    assert list(chain(*told)) == list(range(1, 2 * MAX_TOGETHER + 1))
    assert max(map(len, told)) == MAX_TOGETHER
    assert await read(answer, after=2 * MAX_TOGETHER) == []
