"""Events as a run holds them, for the tests of all that reads or writes one."""

from typing import TypeVar, cast

from agent import Limits
from agent.loop.rendering import observation_message, question_message, reply_message
from agent.messages import Message
from agent.record.events import Asked, Environment, Event, ModelReplied, ModelSettings, RunStarted, ToolRan
from agent.review.checks import checks_named
from agent.tools.run_python import TOOL
from sandbox import Policy

EventT = TypeVar("EventT", bound=Event)


STARTED = RunStarted(
    cellblock_version="0",
    run_id="r",
    task="What is 6 * 7?",
    files=[],
    settings=ModelSettings(
        model="m",
        base_url="u",
        temperature=0.2,
        top_p=None,
        max_output_tokens=None,
        seed=None,
        review=checks_named("strict", "native"),
    ),
    tools=[TOOL],
    system_prompt="You run Python.",
    limits=Limits(max_turns=3),
    environment=Environment(
        backend="b",
        engine="e",
        runtime="r",
        image="i",
        image_id="d",
        python="3",
        packages={},
        policy=Policy(),
    ),
)


def said(event: EventT, settings: ModelSettings = STARTED.settings) -> EventT:
    """The event with the message that it adds to the history, if it adds one, as the loop records it."""
    message = _message(event, settings)
    return cast("EventT", event.model_copy(update={"message": message} if message else {}))


def _message(event: Event, settings: ModelSettings) -> Message | None:
    match event:
        case RunStarted():
            return question_message(event, event.settings)
        case Asked():
            return question_message(event, settings)
        case ModelReplied():
            return reply_message(event, settings)
        case ToolRan():
            return observation_message(event, settings)
        case _:
            return None
