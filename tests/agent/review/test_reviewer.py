"""When a reply is reviewed, and what is looked at for it."""

import pytest

from agent.record.events import CheckName, Event, GivenFile, Instructed
from agent.review.checks import checks_named
from agent.review.reviewer import Reviewer
from sandbox import FileProfile
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


async def test_an_answer_without_the_output_is_objected_to_once_with_the_output() -> None:
    async def file_names() -> list[str]:
        return []

    events: list[Event] = [STARTED, ran(printed("15.57 days"))]
    reviewer = Reviewer(["unstated"], (), file_names)
    reply = replied("The program is correct, and it works.")
    objection = await reviewer.objection(reply, events, is_last_turn=False)
    assert objection is not None
    assert "15.57 days" in objection.text
    assert await reviewer.objection(reply, [*events, objection], is_last_turn=False) is None


async def test_a_value_of_the_question_that_no_program_used_is_named_with_its_column() -> None:
    async def file_names() -> list[str]:
        return []

    column = {"name": "Warengruppe", "type": "text", "values": ["Möbel", "Küche", "Büro"]}
    profile = FileProfile.model_validate({"kind": "csv", "tables": [{"columns": [column]}]})
    file = GivenFile(name="u.csv", size_bytes=9, sha256="0" * 64, profile=profile)
    asked = STARTED.model_copy(update={"task": "Mittel der Gruppe Küche?", "files": [file]})
    wrong, right = (
        ran(printed("675.49"), f"print(d[d.Warengruppe == {name!r}].n.mean())") for name in ("Möbel", "Küche")
    )
    reviewer = Reviewer(["unused"], (), file_names)
    objection = await reviewer.objection(replied("It is 675.49."), [asked, wrong], is_last_turn=False)
    assert objection is not None
    assert objection.text.startswith("The question names 'Küche', a value of the column Warengruppe, and no program")
    assert (
        await reviewer.objection(replied("It is 452.29."), [asked, wrong, objection, right], is_last_turn=False) is None
    )
