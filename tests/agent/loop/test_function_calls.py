"""Functions of the caller that code calls: what the code gets, what is recorded, and what is told of them."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import Limits, tool
from agent.loop.function_calls import FunctionCalls
from agent.record.events import Event, FunctionCalled, ToolRan
from agent.record.reading import read
from agent.record.redaction import Redactor
from agent.record.transcript import Transcript
from agent.testing import Reply, calls, says
from agent.tools.functions import FunctionTool, function_tools
from sandbox.calls import HostAnswer, HostCall
from sandbox.testing import Step, printed
from tests.agent.loop.test_loop import Ran, run_loop
from tests.samples import STARTED, said

PRICES = {"bolt": 0.4, "nut": 0.1}


def price_of(product: str, pieces: int = 1) -> float:
    """The price of so many pieces, in euros."""
    return PRICES[product] * pieces


async def run_cells(tmp_path: Path, *cells: Step, tools: list[Any], **options: Any) -> Ran:
    """A run of these cells, one a turn."""
    script: list[Reply] = [calls(cell.code, call_id=f"c{place}") for place, cell in enumerate(cells)]
    return await run_loop(tmp_path, [*script, says("12 euros")], *cells, tools=function_tools(tools), **options)


def cell(*made: tuple[str, dict[str, Any]], code: str = "f()", prints: str = "12.0\n") -> Step:
    return Step(code, printed(prints), calls=made)


async def answering(
    tmp_path: Path, *made: tuple[str, dict[str, Any]], tools: list[Any], **limits: Any
) -> tuple[list[HostAnswer], list[Event]]:
    """What these calls of one cell give, and the events of the run."""
    with Transcript(tmp_path / "run", redactor=Redactor(["topsecret"])) as transcript:
        transcript.append(said(STARTED))
        options: dict[str, Any] = {"may_call": lambda: True, "within_s": 60.0, "max_result_bytes": 1 << 20, **limits}
        answerer = FunctionCalls(function_tools(tools), transcript, **options)
        answerer.begin("c")
        found = [await answerer.answer(HostCall(number, *call)) for number, call in enumerate(made, start=1)]
    return found, read(tmp_path / "run").events[1:]


async def test_each_call_of_a_cell_is_recorded_before_the_cell(tmp_path: Path) -> None:
    made: list[tuple[str, dict[str, Any]]] = [
        ("price_of", {"product": "bolt", "pieces": 30}),
        ("price_of", {"product": "screw"}),
    ]
    ran = await run_cells(tmp_path, cell(*made), tools=[price_of])
    kinds = [type(event) for event in ran.events if isinstance(event, FunctionCalled | ToolRan)]
    assert kinds == [FunctionCalled, FunctionCalled, ToolRan]
    shown = [(one.call_id, one.number, one.arguments, one.result, one.error_type) for one in ran.of(FunctionCalled)]
    assert shown == [("c0", 1, made[0][1], 12.0, ""), ("c0", 2, made[1][1], None, "KeyError")]


async def test_code_gets_an_error_as_a_type_and_one_line(tmp_path: Path) -> None:
    def fail(how: str) -> None:
        raise RuntimeError("one\ntwo") if how == "lines" else KeyError(how)

    made = [("fail", {"how": how}) for how in ("lines", "x")] + [("fail", {"how": 3}), ("fail", {})]
    found, _ = await answering(tmp_path, *made, tools=[fail])
    assert [(one.error_type, one.error) for one in found[:2]] == [("RuntimeError", "one two"), ("KeyError", "x")]
    assert [one.error_type for one in found[2:]] == ["ValueError", "ValueError"]
    assert found[3].error == "The arguments of fail are wrong, so it was not called: how: Field required."


NO_JSON: dict[str, tuple[Callable[[], Any], str]] = {
    "bytes": (lambda: {"data": b"x"}, "bytes is no JSON value: return base64.b64encode(data).decode()"),
    "a path": (lambda: [Path("a.csv")], "path.read_text() for what is in it, or str(path) for its name"),
    "a frame": (type("DataFrame", (), {}), 'return frame.to_dict("records")'),
    "an iterator": (lambda: iter([1]), "return list(values)"),
    "a number of too many digits": (lambda: [10**5000], "return str(number)"),
    "too many bytes": (lambda: "x" * (1 << 20), "over the limit of 1048576"),
}


@pytest.mark.parametrize("kind", NO_JSON)
async def test_what_json_lacks_is_an_error_that_names_the_conversion(tmp_path: Path, kind: str) -> None:
    make, words = NO_JSON[kind]

    def give() -> Any:
        return make()

    [answer], [event] = await answering(tmp_path, ("give", {}), tools=[give])
    assert words in (answer.error or "")
    assert isinstance(event, FunctionCalled)
    assert (event.error, event.result) == (answer.error, None)


async def test_the_code_gets_what_the_record_has(tmp_path: Path) -> None:
    def look() -> dict[str, Any]:
        return {"url": "https://ann:hunter2hunter2@example.com", "note": "topsecret", "ratio": float("nan")}

    [answer], [event] = await answering(tmp_path, ("look", {}), tools=[look])
    assert isinstance(event, FunctionCalled)
    assert answer.value == event.result == {
        "url": "https://[redacted]@example.com", "note": "[redacted]", "ratio": None
    }  # fmt: skip


async def test_over_the_limit_of_a_question_calls_fail(tmp_path: Path) -> None:
    made = [("price_of", {"product": "bolt"})] * 3
    ran = await run_cells(
        tmp_path, cell(*made), cell(*made, code="g()"), tools=[price_of], limits=Limits(max_function_calls=4)
    )
    assert [one.error for one in ran.of(FunctionCalled)] == [None] * 4 + [
        "The limit on calls of functions is reached for this question."
    ] * 2


async def test_a_call_that_takes_too_long_fails(tmp_path: Path) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    [answer], _ = await answering(tmp_path, ("wait", {}), tools=[wait], within_s=0.01)
    assert (answer.error_type, answer.error) == ("TimeoutError", "wait took longer than 0.01 s")


async def test_a_call_that_is_stopped_with_its_cell_is_recorded_without_an_answer(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    answering_it = asyncio.create_task(answering(tmp_path, ("wait", {}), tools=[wait]))
    await begun.wait()
    answering_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering_it
    [event] = read(tmp_path / "run").events[1:]
    assert isinstance(event, FunctionCalled)
    assert event.is_stopped


async def test_without_consent_a_function_is_not_called(tmp_path: Path) -> None:
    asked: list[Any] = []

    def delete(number: int) -> None:
        raise AssertionError("it must not be called")

    async def refuse(name: str, arguments: dict[str, Any]) -> bool:
        asked.append((name, arguments))
        return False

    def blocking(name: str, arguments: dict[str, Any]) -> bool:
        return threading.current_thread() is threading.main_thread()

    for approve in (refuse, blocking):
        folder = tmp_path / approve.__name__
        folder.mkdir()
        guarded = tool(delete, approve=approve)
        [answer], _ = await answering(folder, ("delete", {"number": 3}), tools=[guarded])
        assert (answer.error_type, answer.error) == ("PermissionError", "the user does not allow this call of delete")
    assert asked == [("delete", {"number": 3})]


async def test_what_was_called_before_a_crash_is_answered_from_the_record_and_the_rest_is_asked(tmp_path: Path) -> None:
    count = iter(range(10))

    def draw(tag: str) -> int:
        return next(count)

    with Transcript(tmp_path / "run") as transcript:
        transcript.append(said(STARTED))
        answerer = FunctionCalls(
            [FunctionTool(draw)], transcript, may_call=lambda: True, within_s=None, max_result_bytes=99
        )
        answerer.begin("c")
        await answerer.answer(HostCall(1, "draw", {"tag": "a"}))
        before = [event for event in transcript.events if isinstance(event, FunctionCalled)]
        answerer.begin("c", before)
        found = [await answerer.answer(HostCall(number, "draw", {"tag": tag})) for number, tag in enumerate("baa", 1)]
        repeated = [event.is_repeated for event in transcript.events if isinstance(event, FunctionCalled)]
    assert [answer.value for answer in found] == [1, 0, 2]
    assert repeated == [False, False, True, False]


async def test_a_function_for_code_only_is_no_tool_of_the_endpoint(tmp_path: Path) -> None:
    script: list[Reply] = [calls("x", name="price_of"), says("12 euros"), says("12 euros")]
    ran = await run_loop(tmp_path, script, tools=[tool(price_of, callers="code")])
    assert ran.of(ToolRan)[0].observation == (
        "price_of can be called in code only, so it was not called: call it in a program."
    )
