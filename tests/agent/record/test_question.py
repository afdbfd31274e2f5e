"""What is known of a question while it is answered."""

from agent.record.events import ToolRan
from agent.record.question import Question
from sandbox import DisplayData, ExecuteResult, Execution, Output, StreamOutput
from tests.samples import STARTED

PNG = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"}


def ran(*outputs: Output) -> ToolRan:
    execution = Execution(status="ok", outputs=list(outputs))
    return ToolRan(call_id="a", arguments="", code="x", execution=execution, observation="")


def test_pictures_are_counted_however_they_are_shown() -> None:
    shown = [ran(DisplayData(data=PNG), StreamOutput(name="stdout", text="image/png")), ran(ExecuteResult(data=PNG))]
    other = ran(DisplayData(data={"text/plain": "<Figure>"}))
    not_run = ToolRan(call_id="b", arguments="", code=None, execution=None, observation="It was not run.")
    assert Question(STARTED, [*shown, other, not_run]).pictures == 2
