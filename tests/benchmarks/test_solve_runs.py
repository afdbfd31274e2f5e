"""The traces of the loops, with a scripted endpoint and a scripted sandbox."""

from pathlib import Path

from agent import Endpoint, Sampling
from agent.endpoint.model import Model
from agent.messages import ToolCall, Usage
from agent.record.events import Instructed, ModelReplied, RunFinished, ToolRan
from agent.record.transcript import Transcript
from agent.testing import Reply, ScriptedEndpoint, calls, says, when
from benchmarks.solve.baselines import BASELINES, PlainLoop
from benchmarks.solve.trace import Cell, Trace, Turn, trace_of
from sandbox.testing import ScriptedSandbox, Step, printed
from tests.samples import said

PYTHON = "```python\nprint(6 * 7)\n```"
CELL = Cell(code="print(6 * 7)\n", status="ok", output="42")


async def run_baseline(variant: str, script: list[Reply], *steps: Step, max_turns: int = 3) -> Trace:
    with ScriptedEndpoint(script) as endpoint, ScriptedSandbox(*steps) as sandbox:
        async with Model(Endpoint(base_url=endpoint.base_url, model="m"), Sampling()) as model:
            loop = PlainLoop(model, sandbox, BASELINES[variant])
            await loop.run("What is 6 * 7?", ["a.csv"], max_turns)
    return loop.trace("answered", None, [])


async def test_the_plain_baseline_returns_code_in_the_text_as_the_answer() -> None:
    trace = await run_baseline("plain", [says(PYTHON)])
    assert (trace.answer, trace.ending, len(trace.turns)) == (PYTHON, "answered", 1)


async def test_the_plain_baseline_runs_native_calls() -> None:
    shown = {"messages": [..., {"role": "tool", "tool_call_id": "call_a", "content": "42"}]}
    script: list[Reply] = [calls("print(6 * 7)"), when(shown, says("It is 42."))]
    trace = await run_baseline("plain", script, Step("print(6 * 7)", printed("42\n")))
    assert trace.answer == "It is 42."
    assert [cell.status for turn in trace.turns for cell in turn.cells] == ["ok"]


async def test_the_regex_baseline_runs_a_fence_and_shows_the_output() -> None:
    shown = {"messages": [{"role": "assistant", "content": PYTHON}, {"role": "user", "content": "Output:\n42"}]}
    script: list[Reply] = [says(PYTHON), when(shown, says("It is 42."))]
    trace = await run_baseline("regex", script, Step("print(6 * 7)\n", printed("42\n")))
    assert trace.turns[0] == Turn(text=PYTHON, finish_reason="stop", recovered_as="text", cells=[CELL])
    assert (trace.answer, trace.ending, trace.usage.output_tokens) == ("It is 42.", "answered", 10)


async def test_a_baseline_that_never_answers_ends_at_its_limit() -> None:
    steps = [Step("print(6 * 7)\n", printed("42\n"))] * 2
    trace = await run_baseline("regex", [says(PYTHON)] * 2, *steps, max_turns=2)
    assert (trace.ending, len(trace.turns)) == ("limit", 2)


def test_the_trace_of_a_transcript_has_its_turns_cells_and_instructions(tmp_path: Path) -> None:
    call = ToolCall(id="call_2_0", name="run_python", arguments="{}")

    def replied(turn: int, content: str, raw: str | None = None) -> ModelReplied:
        return ModelReplied(
            turn=turn,
            content=content,
            reasoning="",
            tool_calls=[call] if raw else [],
            finish_reason="stop",
            usage=Usage(),
            duration_s=1,
            attempts=[],
            request_sha256="",
            recovered_as="python fence" if raw else None,
            raw_content=raw,
        )

    with Transcript(tmp_path / "run") as transcript:
        transcript.append(said(replied(1, "Hm.")))
        transcript.append(Instructed(reason="no_code", text="Check this."))
        transcript.append(said(replied(2, "", PYTHON)))
        transcript.append(
            said(
                ToolRan(
                    call_id=call.id, arguments="{}", code=CELL.code, execution=printed("42\n"), observation=CELL.output
                )
            )
        )
        transcript.append(
            RunFinished(
                outcome="cancelled",
                answer=None,
                error=None,
                usage=Usage(input_tokens=5),
                cost=None,
                duration_s=1,
                artifacts=[],
            )
        )
    assert trace_of(tmp_path / "run", 1.04) == Trace(
        ending="time",
        answer="",
        turns=[
            Turn(text="Hm.", finish_reason="stop", told="Check this."),
            Turn(text=PYTHON, finish_reason="stop", recovered_as="python fence", cells=[CELL]),
        ],
        usage=Usage(input_tokens=5),
        duration_s=1.0,
    )
