"""The labelled tasks are complete and balanced, and no label contradicts its text."""

import re
from collections import Counter

import pytest

from benchmarks.review.__main__ import Outcome, measure, table
from benchmarks.review.labels import LANGUAGES, Half, load_tasks

HALVES: tuple[Half, ...] = ("open", "held_out")
FILE_NAME = re.compile(r"\w\.(?:csv|txt|png|zip|json|xlsx|pdf|docx|log|md|npz)")


@pytest.mark.parametrize("half", HALVES)
def test_each_language_has_as_many_tasks_and_as_many_that_promise_a_file(half: Half) -> None:
    counts = Counter((task.language, bool(task.promised)) for task in load_tasks(half))
    assert {language for language, _ in counts} == set(LANGUAGES)
    assert len({count for (_, promises), count in counts.items() if promises}) == 1
    assert len({count for (_, promises), count in counts.items() if not promises}) == 1


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_names_that_are_only_mentioned(half: Half, language: str) -> None:
    tasks = [task for task in load_tasks(half) if task.language == language]
    assert sum(bool(FILE_NAME.search(task.task)) for task in tasks if not task.promised) >= 4


def test_ids_are_unique() -> None:
    ids = [one.id for half in HALVES for one in load_tasks(half)]
    assert len(set(ids)) == len(ids)


def test_no_task_is_repeated() -> None:
    tasks = [task.task.casefold() for half in HALVES for task in load_tasks(half)]
    assert len(set(tasks)) == len(tasks)


@pytest.mark.parametrize("half", HALVES)
def test_a_promised_file_is_named_in_the_task_and_takes_code_to_save(half: Half) -> None:
    for task in load_tasks(half):
        assert all(name in task.task for name in task.promised), task.id
        assert task.needs_code or not task.promised, task.id


@pytest.mark.parametrize("half", HALVES)
def test_the_check_is_measured_on_each_task(half: Half) -> None:
    assert {check: len(outcomes) for check, outcomes in measure(half).items()} == {"no_file": len(load_tasks(half))}


def test_a_rate_counts_only_the_tasks_to_which_it_applies() -> None:
    outcomes = [Outcome("en", is_false_objection=True, is_miss=None), Outcome("en", False, False)]
    lines = table({"a": [*outcomes, Outcome("de", None, True)]}).splitlines()
    assert lines[2] == "| a | en | 50% (1 of 2) | 0% (0 of 1) |"
    assert lines[4] == "| a | de |  | 100% (1 of 1) |"
    assert lines[-1] == "| a | all | 50% (1 of 2) | 50% (1 of 2) |"
