"""The batch with a worker without sandboxes: what is run, what is written, and what ends it."""

import asyncio
import base64
import json
import os
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from agent import Agent, BatchTask, Budget, TaskResult, TranscriptError, UsageError, read_results, run_batch
from agent.batch.batch import Batch
from agent.batch.results import ABANDONED, REPLACED, SUMMARY
from agent.batch.worker import Ran
from agent.errors import AccessError, AgentError, EndpointError, UnreachableError
from agent.limits import Limits
from agent.messages import Usage
from agent.progress import Progress, TurnEnded
from sandbox import CellblockError, ImageError, Policy

pytestmark = pytest.mark.usefixtures("clean_environ")
AGENT_OPTIONS: dict[str, Any] = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
USAGE = Usage(input_tokens=10, output_tokens=5)


class FakeWorker:
    """Answers each task with its own text, or fails as configured."""

    def __init__(self, jobs: int = 2) -> None:
        self.jobs = jobs
        self.ran: list[str] = []
        self.stopped: list[str] = []
        self.failures: dict[str, CellblockError] = {}
        self.answers: dict[str, str] = {}
        self.slow: set[str] = set()
        self.missing: CellblockError | None = None
        self.tidied: list[int] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
        self.ran.append(task.id)
        on_progress(TurnEnded("", "", is_answer=True, usage=USAGE))
        try:
            await asyncio.to_thread(directory.mkdir, parents=True)
            await asyncio.sleep(60 if task.id in self.slow else 0)
        except asyncio.CancelledError:
            self.stopped.append(task.id)
            raise
        ran = Ran("answered", 1.0, self.answers.get(task.id, task.task), usage=USAGE, turns=1)
        failure = self.failures.get(task.id)
        return replace(ran, outcome="error", answer=None, failure=failure) if failure else ran

    async def check(self) -> None:
        if self.missing:
            raise self.missing

    async def tidy(self, pid: int) -> None:
        self.tidied.append(pid)

    def set_remaining(self, tasks: int) -> None:
        pass


def tasks(*names: str, text: str = "The answer is 42.") -> list[BatchTask]:
    return [BatchTask(id=name, task=text, expect=42) for name in names]


def batch(directory: Path, given: list[BatchTask], worker: FakeWorker, **options: Any) -> Batch:
    return Batch(given, directory, Agent(**AGENT_OPTIONS).runtime, worker, **options)


async def run(directory: Path, given: list[BatchTask], worker: FakeWorker, **options: Any) -> list[str]:
    async with aclosing(batch(directory, given, worker, **options).results()) as results:
        return [result.id async for result in results]


def written(directory: Path) -> dict[str, TaskResult]:
    results = list(read_results(directory))
    assert len({result.id for result in results}) == len(results)
    return {result.id: result for result in results}


def summary(directory: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((directory / SUMMARY).read_text())
    return read


async def test_each_task_has_one_result(tmp_path: Path) -> None:
    assert sorted(await run(tmp_path, tasks("a", "b", "c"), FakeWorker())) == ["a", "b", "c"]
    result = written(tmp_path)["b"]
    assert (result.outcome, result.answer, result.match) == ("answered", "The answer is 42.", True)
    assert (result.usage, result.turns, result.run_directory) == (USAGE, 1, "tasks/b")
    told = summary(tmp_path)
    assert (told["end"], told["outcomes"], told["solve_rate"]) == ("done", {"answered": 3}, 1.0)


async def test_a_finished_task_is_not_run_again(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a"), worker)
    assert await run(tmp_path, tasks("a", "b"), worker) == ["b"]
    assert worker.ran == ["a", "b"]
    assert summary(tmp_path)["outcomes"] == {"answered": 2}


async def test_a_failed_task_stops_no_other_and_keeps_its_result(tmp_path: Path) -> None:
    worker = FakeWorker()
    worker.failures = {"b": AgentError("It broke.")}
    assert sorted(await run(tmp_path, tasks("a", "b", "c"), worker)) == ["a", "b", "c"]
    failed = written(tmp_path)["b"]
    assert (failed.outcome, failed.error, failed.match) == ("error", "It broke.", False)
    assert await run(tmp_path, tasks("a", "b", "c"), worker) == []


async def test_retry_failed_runs_unanswered_tasks_and_keeps_their_old_results_apart(tmp_path: Path) -> None:
    worker = FakeWorker()
    worker.failures = {"b": AgentError("It broke.")}
    await run(tmp_path, tasks("a", "b"), worker)
    worker.failures = {}
    assert await run(tmp_path, tasks("a", "b"), worker, retry_failed=True) == ["b"]
    assert {name: result.outcome for name, result in written(tmp_path).items()} == {"a": "answered", "b": "answered"}
    assert "It broke." in (tmp_path / REPLACED).read_text()
    assert (tmp_path / ABANDONED / "b.1").is_dir()


async def test_redo_runs_everything(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a", "b"), worker)
    assert sorted(await run(tmp_path, tasks("a", "b"), worker, redo=True)) == ["a", "b"]
    assert sorted(written(tmp_path)) == ["a", "b"]


async def test_a_task_whose_text_has_changed_is_run_again_with_a_note(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a", "b"), worker)
    notes: list[str] = []
    started = batch(tmp_path, [*tasks("a"), *tasks("b", text="It is 43.")], worker)
    started.on_notes = notes.extend
    async with aclosing(started.results()) as results:
        assert [result.id async for result in results] == ["b"]
    assert notes == [
        "Already finished; use --redo to run again: 1",
        "Changed since they were finished; run again: 1 (b)",
    ]


async def test_a_file_that_has_changed_is_noticed(tmp_path: Path) -> None:
    data, worker = tmp_path / "a.csv", FakeWorker()
    data.write_text("1")
    given = [BatchTask(id="a", task="x", files=(data,))]
    await run(tmp_path / "out", given, worker)
    assert await run(tmp_path / "out", given, worker) == []
    data.write_text("2")
    assert await run(tmp_path / "out", given, worker) == ["a"]


async def test_results_of_other_settings_are_kept_with_a_note(tmp_path: Path) -> None:
    await run(tmp_path, tasks("a"), FakeWorker())
    notes: list[str] = []
    agent = Agent(**AGENT_OPTIONS, limits=Limits(max_turns=3))
    started = Batch(tasks("a"), tmp_path, agent.runtime, FakeWorker())
    started.on_notes = notes.extend
    async with aclosing(started.results()) as results:
        assert [result async for result in results] == []
    assert notes[1] == "Finished with other settings; use --redo to run again: 1 (a)"


async def test_a_changed_expectation_scores_the_old_answer_again(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a"), worker)
    other = [BatchTask(id="a", task="The answer is 42.", expect=43)]
    assert await run(tmp_path, other, worker) == []
    assert written(tmp_path)["a"].match is False


async def test_results_of_tasks_that_are_not_in_the_input_are_kept(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a", "b"), worker)
    await run(tmp_path, tasks("b", text="other"), worker)
    assert sorted(written(tmp_path)) == ["a", "b"]
    assert summary(tmp_path)["tasks"] == 1


async def test_a_refused_key_ends_the_batch_with_one_line_and_no_result(tmp_path: Path) -> None:
    worker = FakeWorker(jobs=1)
    worker.failures = {"a": AccessError("No.")}
    with pytest.raises(AccessError, match=r"^No\.$"):
        await run(tmp_path, tasks("a", "b", "c"), worker)
    assert worker.ran == ["a"]
    assert written(tmp_path) == {}
    assert summary(tmp_path)["end"] == "environment"
    worker.failures = {}
    assert await run(tmp_path, tasks("a", "b", "c"), worker) == ["a", "b", "c"]


async def test_a_missing_image_of_one_task_ends_only_that_task(tmp_path: Path) -> None:
    worker = FakeWorker(jobs=1)
    worker.failures = {"a": ImageError("Not there.")}
    own = BatchTask(id="a", task="x", policy=Policy(image="nowhere:1"))
    assert await run(tmp_path, [own, *tasks("b")], worker) == ["a", "b"]
    assert written(tmp_path)["a"].error == "Not there."
    worker.failures = {"c": ImageError("Not there.")}
    with pytest.raises(ImageError):
        await run(tmp_path / "all", tasks("c", "d"), worker)


async def test_a_batch_without_its_endpoint_starts_no_task(tmp_path: Path) -> None:
    worker = FakeWorker()
    worker.missing = EndpointError("Nobody there.")
    with pytest.raises(EndpointError, match="Nobody there"):
        await run(tmp_path, tasks("a"), worker)
    assert worker.ran == []


async def test_a_task_is_shown_while_engine_and_endpoint_are_checked(tmp_path: Path) -> None:
    worker = FakeWorker(jobs=1)
    worker.failures = {"a": UnreachableError("Nobody there.")}
    started = batch(tmp_path, tasks("a", "b"), worker)
    seen: list[str] = []

    async def look() -> None:
        seen.extend(activity.doing for activity in started.spending.at_work.values())

    worker.check = look  # type: ignore[method-assign]
    async with aclosing(started.results()) as results:
        assert [result.id async for result in results] == ["a", "b"]
    assert seen == ["checking engine and endpoint: Nobody there."]


async def test_deferred_failures_are_written_once_another_task_is_answered(tmp_path: Path) -> None:
    worker = FakeWorker(jobs=1)
    worker.failures = {"a": EndpointError("Busy."), "c": EndpointError("Busy.")}
    assert await run(tmp_path, tasks("a", "b", "c"), worker) == ["a", "b", "c"]
    assert [result.outcome for result in read_results(tmp_path)] == ["error", "answered", "error"]


async def test_an_endpoint_that_never_answers_stops_the_batch_after_ten_failures(tmp_path: Path) -> None:
    worker, names = FakeWorker(), [f"t{number}" for number in range(1000)]
    worker.failures = {name: EndpointError("Busy.") for name in names}
    with pytest.raises(EndpointError):
        await run(tmp_path, tasks(*names), worker)
    assert len(worker.ran) < 15
    assert written(tmp_path) == {}


async def test_a_token_budget_holds_over_all_starts(tmp_path: Path) -> None:
    worker, given = FakeWorker(jobs=1), tasks("a", "b", "c", "d")
    assert await run(tmp_path, given, worker, budget=Budget(tokens=45)) == ["a", "b"]
    told = summary(tmp_path)
    assert (told["end"], told["not_finished"], told["unfinished_runs"]) == ("tokens", 2, 1)
    assert told["spent_usage"]["input_tokens"] == 30
    assert await run(tmp_path, given, worker, budget=Budget(tokens=30)) == []
    assert worker.ran == ["a", "b", "c"]
    assert await run(tmp_path, given, worker) == ["c", "d"]


async def test_a_time_budget_stops_running_tasks(tmp_path: Path) -> None:
    worker = FakeWorker()
    worker.slow = {"b"}
    assert await run(tmp_path, tasks("a", "b"), worker, budget=Budget(seconds=0.2)) == ["a"]
    assert worker.stopped == ["b"]
    assert summary(tmp_path)["end"] == "seconds"


async def test_a_cost_budget_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A limit on cost needs a price, and none is known for model 'm'"):
        batch(tmp_path, tasks("a"), FakeWorker(), budget=Budget(cost=1))


async def test_a_drained_batch_finishes_running_tasks_and_starts_no_other(tmp_path: Path) -> None:
    worker = FakeWorker(jobs=1)
    started = batch(tmp_path, tasks("a", "b", "c"), worker)
    async with aclosing(started.results()) as results:
        async for result in results:
            assert result.id in ("a", "b")
            started.drain()
    assert len(worker.ran) <= 2
    assert sorted(written(tmp_path)) == sorted(worker.ran)
    assert summary(tmp_path)["end"] == "interrupted"


async def test_a_consumer_that_leaves_stops_running_tasks(tmp_path: Path) -> None:
    worker = FakeWorker()
    worker.slow = {"b"}
    async with aclosing(batch(tmp_path, tasks("a", "b"), worker).results()) as results:
        async for _ in results:
            break
    assert worker.stopped == ["b"]
    assert list(written(tmp_path)) == ["a"]
    worker.slow = set()
    assert await run(tmp_path, tasks("a", "b"), worker) == ["b"]
    assert (tmp_path / ABANDONED / "b.1").is_dir()


async def test_a_bug_is_raised_and_not_taken_for_the_end(tmp_path: Path) -> None:
    class Broken(FakeWorker):
        async def run(self, task: BatchTask, directory: Path, on_progress: Callable[[Progress], None]) -> Ran:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(tmp_path, tasks("a", "b"), Broken())


async def test_a_full_disk_ends_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    worker = FakeWorker()
    monkeypatch.setattr("agent.batch.results.os.fsync", full)
    with pytest.raises(TranscriptError, match="No space left on device"):
        await run(tmp_path, tasks(*(f"t{number}" for number in range(100))), worker)
    assert len(worker.ran) < 5


async def test_tasks_that_cannot_be_run_are_reported_together(tmp_path: Path) -> None:
    dear = [BatchTask(id=name, task="x", limits=Limits(max_cost=1)) for name in ("a", "b")]
    with pytest.raises(UsageError) as caught:
        await run(tmp_path, [*dear, *tasks("c")], FakeWorker())
    assert str(caught.value) == (
        "2 tasks cannot be run, and nothing was started:\n"
        "  a: A limit on cost needs a price, and none is known for model 'm'.\n"
        "  b: A limit on cost needs a price, and none is known for model 'm'."
    )


async def test_sandboxes_of_the_previous_process_are_tidied_up(tmp_path: Path) -> None:
    worker = FakeWorker()
    await run(tmp_path, tasks("a"), worker)
    await run(tmp_path, tasks("a", "b"), worker)
    assert worker.tidied == [os.getpid()]


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ([], {"jobs": 0}, "jobs must be at least 1, not 0."),
        ([], {"max_starting": -1}, "max_starting must be at least 1, not -1."),
        ([3], {}, "The batch has 1 bad task, and nothing was started:\n  task 1: it must be an object, not 3"),
    ],
)
async def test_bad_tasks_and_options_are_usage_errors(
    given: list[Any], options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        await anext(run_batch(given, tmp_path, agent=Agent(**AGENT_OPTIONS), **options))
    assert str(caught.value) == said


async def test_a_result_holds_no_secret_that_an_endpoint_or_an_engine_repeats(tmp_path: Path) -> None:
    worker = FakeWorker()
    pair = base64.b64encode(b"bob:secret-passw0rd").decode()
    said = f"got Basic {pair}, {pair}, key-0123456789, sk-proj-0123456789abcdefghij, variable-secret, common-secret"
    worker.failures["a"] = EndpointError(said, hint=f"cellblock run --base-url http://bob:secret-passw0rd@h {said}")
    worker.answers["b"] = "It is key-0123456789, of secret-passw0rd."
    agent = Agent(
        model="m",
        base_url="http://bob:secret-passw0rd@127.0.0.1:9/v1",
        api_key="key-0123456789",
        policy=Policy(environment={"A_TOKEN": "common-secret"}),
    )
    policy = Policy(environment={"MY_TOKEN": "variable-secret"})
    given = [BatchTask(id="a", task="?", policy=policy), BatchTask(id="b", task="?")]
    async with aclosing(Batch(given, tmp_path, agent.runtime, worker).results()) as results:
        listened = [result async for result in results]
    texts = [str(listened), str(written(tmp_path)), str(summary(tmp_path))]
    for secret in ("secret-passw0rd", pair, "0123456789", "variable-secret", "common-secret"):
        assert not any(secret in text for text in texts), secret
    assert "[redacted]" in (written(tmp_path)["a"].error or "")
