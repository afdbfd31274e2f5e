"""Which failures belong to one task, and which end the batch."""

import pytest

from agent.batch.results import TaskResult
from agent.batch.triage import IN_A_ROW, MAX_RERUNS, PATIENCE_S, PAUSES_S, FailureTriage, Verdict
from agent.errors import AccessError, ContextLengthError, EndpointError, UnreachableError, UsageError
from sandbox import CellblockError, EngineError, FileTransferError, ImageError, ProtocolError, StartError


class Place:
    """An engine and an endpoint that fail the first `away` checks."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.slept_s = 0.0
        self.triage = FailureTriage(self.check, sleep=self.sleep)

    async def check(self) -> None:
        self.away -= 1
        if self.away >= 0:
            raise EngineError("No engine.")

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    async def judge(self, failure: CellblockError, reruns: int = 0) -> Verdict:
        verdict = await self.triage.judge(failure, reruns=reruns)
        if verdict == "defer":
            self.triage.defer(TaskResult(id="a", outcome="error", answer=None, duration_s=1, run_directory="a"))
        return verdict


@pytest.mark.parametrize("failure", [ContextLengthError("x"), FileTransferError("x"), UsageError("x")])
async def test_a_failure_of_the_task_itself_is_always_recorded(failure: CellblockError) -> None:
    place = Place()
    assert [await place.judge(failure) for _ in range(50)] == ["record"] * 50


@pytest.mark.parametrize("failure", [AccessError("x"), ImageError("x")])
async def test_a_permanent_failure_ends_the_batch_at_once(failure: CellblockError) -> None:
    with pytest.raises(type(failure)):
        await Place().judge(failure)


async def test_after_an_answer_a_refused_key_must_be_refused_three_times_in_a_row() -> None:
    place = Place()
    place.triage.release()
    for _ in range(3):
        assert [await place.judge(AccessError("x")) for _ in range(2)] == ["defer", "defer"]
        assert len(place.triage.release()) == 2
    assert [await place.judge(AccessError("x")) for _ in range(2)] == ["defer", "defer"]
    with pytest.raises(AccessError):
        await place.judge(AccessError("x"))


@pytest.mark.parametrize("failure", [EngineError("x"), UnreachableError("x"), StartError("x")])
async def test_a_task_is_run_again_when_the_engine_or_endpoint_comes_back(failure: CellblockError) -> None:
    place = Place(away=3)
    assert await place.judge(failure) == "again"
    assert 0 < place.slept_s < PATIENCE_S


async def test_the_number_of_reruns_is_limited() -> None:
    assert await Place(away=1).judge(EngineError("x"), reruns=2) == "defer"


async def test_an_engine_that_stays_away_ends_the_batch_with_its_own_message() -> None:
    place = Place(away=1000)
    with pytest.raises(EngineError, match=r"^No engine\.$"):
        await place.judge(UnreachableError("x"))
    assert place.slept_s == PATIENCE_S


@pytest.mark.parametrize("failure", [StartError("Too many references"), EngineError("cannot fork")])
async def test_a_failed_start_on_an_engine_that_answers_is_repeated_later(failure: CellblockError) -> None:
    place = Place()
    assert [await place.judge(failure, reruns) for reruns in range(MAX_RERUNS)] == ["again"] * MAX_RERUNS
    assert place.slept_s == sum(PAUSES_S)
    assert await place.judge(failure, MAX_RERUNS) == "defer"


@pytest.mark.parametrize("failure", [EndpointError("x"), ProtocolError("x"), StartError("x")])
async def test_ten_failures_in_a_row_end_the_batch_without_a_result(failure: CellblockError) -> None:
    place = Place()
    assert [await place.judge(failure, MAX_RERUNS) for _ in range(IN_A_ROW - 1)] == ["defer"] * (IN_A_ROW - 1)
    with pytest.raises(type(failure)):
        await place.judge(failure, MAX_RERUNS)


async def test_after_an_answer_deferred_failures_belong_to_their_tasks() -> None:
    place = Place()
    for _ in range(10):
        assert [await place.judge(EndpointError("x")) for _ in range(5)] == ["defer"] * 5
        assert len(place.triage.release()) == 5
