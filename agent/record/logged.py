"""What the logger "cellblock" says of each event as it is recorded, so without the secrets of the run."""

import logging
from pathlib import Path

from agent.record.events import (
    Event,
    FunctionCalled,
    HistoryShortened,
    Instructed,
    ModelFailed,
    ModelReplied,
    ReplyCut,
    RunFinished,
    RunStarted,
    SandboxChanged,
    ToolRan,
)

LOGGER = logging.getLogger("cellblock")
LOGGER.addHandler(logging.NullHandler())


def log(event: Event, run: Path) -> None:
    """Log an event of a run: the beginning and the end as INFO, failures as WARNING, the rest as DEBUG."""
    match event:
        case RunStarted():
            LOGGER.info("%s: started with %s at %s", run, event.settings.model, event.settings.base_url)
        case RunFinished():
            LOGGER.info("%s: %s after %.1f s", run, event.outcome, event.duration_s)
        case ModelReplied() | ReplyCut():
            _log_reply(event, run)
        case ModelFailed():
            LOGGER.warning("%s: turn %d failed: %s", run, event.turn, event.error)
        case FunctionCalled():
            LOGGER.debug("%s: a cell called %s, %s", run, event.name, event.error_type or "which answered")
        case ToolRan():
            took = f"{event.execution.status} in {event.execution.duration_s:.2f} s" if event.execution else "not run"
            LOGGER.debug("%s: %s %s", run, event.tool, took)
        case SandboxChanged():
            LOGGER.debug("%s: sandbox %s", run, event.kind)
        case Instructed():
            LOGGER.debug("%s: the model was told: %s", run, event.reason)
        case HistoryShortened():
            LOGGER.debug("%s: %d old outputs were shortened", run, len(event.observations))


def _log_reply(event: ModelReplied | ReplyCut, run: Path) -> None:
    for attempt in event.attempts:
        LOGGER.warning("%s: turn %d was retried after %s", run, event.turn, attempt.error)
    used = event.usage
    LOGGER.debug(
        "%s: turn %d took %d + %d tokens and %.1f s",
        *(run, event.turn, used.input_tokens, used.output_tokens, event.duration_s),
    )
