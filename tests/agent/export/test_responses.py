"""The items of the Responses API, validated by the types of the package openai."""

import pytest

from agent.export.formats import exported
from sandbox import DisplayData, Execution, StreamOutput
from tests.agent.export.responses_api import check_items
from tests.agent.export.runs import cell, run
from tests.golden.scenarios import sine_png
from tests.golden.writing import RUNS


@pytest.mark.parametrize("name", sorted(run.name for run in RUNS.iterdir()))
def test_golden_items_are_of_their_types(name: str) -> None:
    check_items((RUNS / name / "export.responses.json").read_text())


def test_a_run_is_reasoning_calls_and_messages_in_order() -> None:
    items = check_items((RUNS / "thinking" / "export.responses.json").read_text())
    assert [item["type"] for item in items] == [
        "message", "message", "reasoning", "message", "code_interpreter_call", "reasoning", "message",
    ]  # fmt: skip
    assert items[4]["code"] == "print('strawberry'.count('r'))"
    assert items[4]["outputs"] == [{"type": "logs", "logs": "3\n"}]
    assert items[6]["content"][0]["text"] == "There are **3**."


def test_pictures_stand_between_the_logs() -> None:
    png = sine_png()
    outputs = [
        StreamOutput(name="stdout", text="before\n"),
        StreamOutput(name="stderr", text="still\n"),
        DisplayData(data={"image/png": png, "text/plain": "<Figure>"}),
        DisplayData(data={"text/plain": "after"}),
    ]
    items = check_items(exported(run(cell("1", Execution(status="ok", outputs=outputs))), "responses"))
    assert items[2]["outputs"] == [
        {"type": "logs", "logs": "before\nstill\n"},
        {"type": "image", "url": f"data:image/png;base64,{png}"},
        {"type": "logs", "logs": "after\n"},
    ]


@pytest.mark.parametrize(
    ("execution", "status"),
    [
        (Execution(status="ok"), "completed"),
        (Execution(status="error"), "failed"),
        (Execution(status="died"), "failed"),
        (Execution(status="timeout", cause="timeout"), "incomplete"),
        (None, "incomplete"),
    ],
)
def test_a_call_says_how_it_ended(execution: Execution | None, status: str) -> None:
    items = check_items(exported(run(cell("1", execution)), "responses"))
    assert items[2]["status"] == status
