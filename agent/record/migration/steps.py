"""The JSON of old events as the current version has it. Each step goes from one version to the next."""

from collections.abc import Callable
from typing import Any

from agent.record.events import SCHEMA_VERSION

Json = dict[str, Any]


def upgraded(event: Json, version: int) -> Json:
    """The JSON of an event of an old version as the current version has it."""
    for step in _STEPS[version - 1 : SCHEMA_VERSION - 1]:
        event = step(event)
    return event


def _from_1(event: Json) -> Json:
    """What version 2 adds has defaults that say: not recorded."""
    return event | {"schema_version": 2} if event.get("type") == "run_started" else event


def _from_2(event: Json) -> Json:
    """Version 3 holds messages, which `version2` renders when all events are there."""
    match event:
        case {"type": "run_started"}:
            return event | {"schema_version": 3}
        case {"type": "instruction", "reason": str(reason)}:
            return event | {"reason": _CHECKS.get(reason, reason)}
        case {"type": "history_shortened", "observations": list(observations)}:
            cuts = [cut | {"content": ""} if isinstance(cut, dict) else cut for cut in observations]
            return event | {"observations": cuts}
        case _:
            return event


_CHECKS = {"nudge": "no_code", "unsaid": "miscopied"}
_STEPS: tuple[Callable[[Json], Json], ...] = (_from_1, _from_2)
