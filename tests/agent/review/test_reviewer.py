"""When a reply is reviewed, and what is looked at for it."""

import pytest

from agent.record.events import CheckName, Event, Instructed
from agent.review.checks import checks_named
from agent.review.reviewer import Reviewer
from sandbox.testing import printed
from tests.agent.review.test_checks import FAILED, ran, replied
from tests.samples import STARTED

PLOT = STARTED.model_copy(update={"task": "Save the plot as peak.png."})
STRICT = checks_named("strict", "native")
SAID = Instructed(reason="no_file", text="")


async def reviewed(
    checks: list[CheckName], *events: Event, text: str = "Saved.", is_last_turn: bool = False
) -> tuple[str | None, int]:
    """The check that objects, and how often the workspace was listed for that."""
    listings = 0

    async def file_names() -> list[str]:
        nonlocal listings
        listings += 1
        return ["other.png"]

    reviewer = Reviewer(checks, (), file_names)
    objection = await reviewer.objection(replied(text), [PLOT, *events], is_last_turn=is_last_turn)
    return objection.reason if objection else None, listings


async def test_a_file_that_is_asked_for_is_looked_for_once() -> None:
    assert await reviewed(STRICT, ran(printed("1"))) == ("no_file", 1)


@pytest.mark.parametrize("checks", [[], ["cut", "empty", "failed"]])
async def test_the_workspace_is_not_listed_for_checks_that_do_not_need_it(checks: list[CheckName]) -> None:
    assert await reviewed(checks, ran(printed("1"))) == (None, 0)


async def test_the_workspace_is_not_listed_if_an_earlier_check_objects() -> None:
    assert await reviewed(STRICT, ran(FAILED)) == ("failed", 0)
    assert await reviewed(STRICT, ran(printed("1")), text="") == ("empty", 0)


async def test_the_workspace_is_not_listed_in_the_last_turn_nor_after_the_file_was_asked_for() -> None:
    assert await reviewed(STRICT, ran(printed("1")), is_last_turn=True) == (None, 0)
    assert await reviewed(STRICT, ran(printed("1")), SAID) == (None, 0)


async def test_the_workspace_is_not_listed_before_code_ran() -> None:
    assert await reviewed(STRICT) == (None, 0)
