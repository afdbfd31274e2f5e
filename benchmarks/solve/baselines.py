"""Two plain loops to compare with, over the same model, sandbox, prompt and observations.

`plain` trusts the endpoint's tool_calls and nothing else; `regex` also runs what one of two regular expressions
finds in the text. Neither nudges the model, tells it what is wrong with a call, or asks for a last answer.
"""

import json
import re
import time
from collections.abc import Callable
from importlib.resources import files as package_files

from agent.endpoint.model import Model
from agent.loop.cells import CodeRunner
from agent.messages import Message, Reply, Usage
from agent.prompting.observation import observe
from agent.tools.run_python import TOOL
from benchmarks.solve.trace import Cell, Ending, Trace, Turn

_PYTHON_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
_JSON_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


def codes_in_text(text: str) -> list[str]:
    """What two regular expressions find: ```python fences, or else one JSON object that has code."""
    if fences := _PYTHON_FENCE.findall(text):
        return [str(fence) for fence in fences]
    found = _JSON_OBJECT.search(text)
    try:
        return [str(json.loads(found[0])["arguments"]["code"])] if found else []
    except (ValueError, KeyError, TypeError):
        return []


def no_codes(text: str) -> list[str]:
    """Text is text."""
    return []


BASELINES: dict[str, Callable[[str], list[str]]] = {"plain": no_codes, "regex": codes_in_text}


class PlainLoop:
    """Asks, runs, shows the output, until there is no call. What happened so far is in `turns`."""

    def __init__(self, model: Model, sandbox: CodeRunner, codes_in: Callable[[str], list[str]]) -> None:
        self._model = model
        self._sandbox = sandbox
        self._codes_in = codes_in
        self._usage = Usage()
        self._begun = time.monotonic()
        self.turns: list[Turn] = []

    async def run(self, task: str, file_names: list[str], max_turns: int) -> None:
        """At most so many turns; the files lie in the workspace already."""
        names = [f"- /workspace/{name}" for name in file_names]
        messages: list[Message] = [
            {"role": "system", "content": package_files("agent.prompting").joinpath("native.md").read_text()},
            {"role": "user", "content": "\n".join([task, *names])},
        ]
        for _ in range(max_turns):
            reply = (await self._model.generate(messages, [TOOL], lambda kind, text: None)).reply
            self._usage += reply.usage
            if not await self._answer_calls(reply, messages):
                return

    def trace(self, ending: Ending, error: str | None, artifacts: list[str]) -> Trace:
        """What happened; a run that ended with calls has reached its limit."""
        return Trace(
            ending="limit" if ending == "answered" and self.turns[-1].cells else ending,
            error=error,
            answer=self.turns[-1].text if self.turns else "",
            turns=self.turns,
            artifacts=artifacts,
            usage=self._usage,
            duration_s=round(time.monotonic() - self._begun, 1),
        )

    async def _answer_calls(self, reply: Reply, messages: list[Message]) -> bool:
        """Run the calls of a reply and put both into the history; False where there are none."""
        messages.append({"role": "assistant", "content": reply.content})
        if reply.tool_calls:
            messages[-1]["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in reply.tool_calls
            ]
            codes = [str(json.loads(call.arguments)["code"]) for call in reply.tool_calls]
        else:
            codes = self._codes_in(reply.content)
        cells = [await self._run(code) for code in codes]
        for place, cell in enumerate(cells):
            native = reply.tool_calls[place] if reply.tool_calls else None
            messages.append(
                {"role": "tool", "tool_call_id": native.id, "content": cell.output}
                if native
                else {"role": "user", "content": f"Output:\n{cell.output}"}
            )
        shape = "text" if codes and not reply.tool_calls else None
        self.turns.append(Turn(text=reply.content, finish_reason=reply.finish_reason, recovered_as=shape, cells=cells))
        return bool(cells)

    async def _run(self, code: str) -> Cell:
        execution = await self._sandbox.execute(code, on_output=lambda output: None)
        return Cell.of(code, execution, observe(execution))
