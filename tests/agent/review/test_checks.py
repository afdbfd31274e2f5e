"""The names of the checks, and what an answer must do to break one."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent import UsageError
from agent.messages import Usage
from agent.prompting.words import INSTRUCTION
from agent.record.events import Instructed, ModelReplied, ToolRan
from agent.record.question import Question
from agent.review.checks import CHECKS, Answer, checks_named, objections_in
from agent.review.named_values import Unused
from sandbox import ErrorOutput, Execution
from sandbox.testing import printed
from tests.samples import STARTED

FAILED = Execution(status="error", outputs=[ErrorOutput(ename="E", evalue="v", traceback=["E: v"])])


def replied(text: str, finish_reason: str = "stop") -> ModelReplied:
    return ModelReplied.model_validate(
        {
            "turn": 1, "content": text, "reasoning": "", "tool_calls": [], "finish_reason": finish_reason,
            "usage": Usage(), "attempts": [], "duration_s": 0, "request_sha256": "0" * 64,
        }
    )  # fmt: skip


def ran(execution: Execution | None, code: str = "f()", tool: str = "run_python") -> ToolRan:
    return ToolRan(
        tool=tool, call_id="a", arguments="{}", code=code, execution=execution, observation="", notes=[]
    )  # fmt: skip


def broken(answer: Answer) -> list[str]:
    return [check.name for check in CHECKS if check.is_broken(answer)]


def answer(
    text: str, *events: ToolRan | Instructed, missing: list[str] | None = None, task: str = STARTED.task
) -> Answer:
    asked = STARTED.model_copy(update={"task": task})
    return Answer(replied(text), Question(asked, list(events)), {"look_up"}, missing or [])


def test_a_right_answer_breaks_no_check() -> None:
    assert broken(answer("It is 42.", ran(printed("42")))) == []
    assert broken(answer("Hello!")) == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (answer(" "), "empty"),
        (answer("It is 7.", ran(printed("7")), ran(FAILED)), "failed"),
        (answer("It is 7.", ran(FAILED), ran(Execution(status="ok"))), "unseen"),
        (answer("It is saved.", ran(printed("1")), missing=["a.png"]), "no_file"),
        (replace(answer("It is 7.", ran(printed("8"))), unsupported=["7"]), "support"),
        (answer("It is 7.", ran(printed("7")), task="Answer as @sum[value]."), "format"),
        (answer("The program is correct.", ran(printed("15.57"))), "unstated"),
        (replace(answer("It is 7.", ran(printed("7"))), unused=Unused("Küche", "Gruppe")), "unused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_check_objects_to_its_own_case_alone(given: Answer, name: str) -> None:
    assert broken(given) == [name]


def test_a_second_wish_for_an_installation_is_answered() -> None:
    failed = Instructed(reason="failed", text="")
    ended = (ran(printed("1")), ran(FAILED))
    assert broken(answer("Run pip install f.", *ended)) == ["failed"]
    assert broken(answer("Run pip install f.", *ended, failed)) == ["failed", "no_install"]


def test_an_answer_after_nothing_succeeded_has_no_result() -> None:
    assert broken(answer("It is 7.", ran(FAILED))) == ["failed", "no_result"]
    assert broken(answer("It is 7.", ran(FAILED), ran(None))) == ["failed", "not_run", "no_result"]
    assert broken(answer("It is 7.", ran(None))) == ["not_run"]


def test_a_cut_reply_is_no_answer() -> None:
    given = Answer(replied("It is", finish_reason="length"), Question(STARTED, []), (), [])
    assert broken(given) == ["cut"]


@pytest.mark.parametrize("code", ["!pip install f", "%pip install f", "subprocess.run(['pip', 'install', 'f'])"])
def test_a_cell_that_only_installs_shows_nothing(code: str) -> None:
    assert broken(answer("Done.", ran(FAILED), ran(printed("ok"), code))) == ["failed"]


@pytest.mark.parametrize("code", ["# needs: pip install f\nf()", "raise RuntimeError('run pip install f first')"])
def test_a_mention_of_an_installation_hides_no_failure(code: str) -> None:
    assert broken(answer("Done.", ran(printed("1")), ran(FAILED, code))) == ["failed"]


def test_a_tool_of_the_caller_that_was_called_last_counts() -> None:
    assert broken(answer("Found.", ran(FAILED), ran(None, tool="look_up"))) == []


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("none", []),
        ("strict", [check.name for check in CHECKS if check.name != "support"]),
        ("failed, cut", ["cut", "failed"]),
        ("none,support", ["support"]),
        (
            "default,support",
            ["cut", "empty", "failed", "no_result", "no_file", "format", "unstated", "unused", "support"],
        ),
    ],
)
def test_checks_are_named_on_the_command_line(asked: str, names: list[str]) -> None:
    assert checks_named(asked, "native") == names


def test_a_model_that_calls_natively_has_only_the_checks_that_need_no_language() -> None:
    named = ["cut", "empty", "failed", "no_result", "no_file", "format", "unstated", "unused"]
    assert checks_named("default", "native") == named
    assert checks_named("default", "fenced") == [check.name for check in CHECKS if check.name != "support"]


@pytest.mark.parametrize("asked", ["", "nonsense", "cut,nonsense", "CUT"])
def test_a_name_that_no_check_has_is_one_line(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        checks_named(asked, "native")
    name = asked.rsplit(",", maxsplit=1)[-1]
    assert caught.value.for_shell == (
        f"There is no check {name!r}. Try: --review none, default, strict, or "
        "cut,empty,no_code,failed,not_run,no_install,no_result,unseen,no_file,format,unstated,unused,support"
    )


def test_each_check_has_its_sentence_for_the_model() -> None:
    assert {check.name for check in CHECKS} <= INSTRUCTION.keys()


def test_a_check_that_asks_for_code_says_so_to_the_model() -> None:
    asking = {check.name for check in CHECKS if check.asks_for_code}
    assert asking == {"no_code", "failed", "not_run", "no_install", "unseen", "no_file", "unused", "support"}
    assert all("```python" in INSTRUCTION[name] for name in asking)


def test_objections_are_counted_by_check() -> None:
    said = [Instructed(reason=reason, text="") for reason in ("limit", "failed", "cut", "failed")]
    assert objections_in(said) == {"cut": 1, "failed": 2}


def test_the_documentation_lists_each_check() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    for check in CHECKS:
        when = "yes" if "native" in check.is_default_for else "for code blocks" if check.is_default_for else "no"
        assert f"| `{check.name}` | {check.reason} | {when} |" in page
