"""Which failures are the task's own, and which end the batch before every task meets them."""

import pytest

from agent.batch.results import TaskResult
from agent.batch.triage import IN_A_ROW, MAX_RERUNS, PATIENCE_S, PAUSES_S, FailureTriage, Verdict
from agent.errors import AccessError, ContextLengthError, EndpointError, UnreachableError, UsageError
from sandbox import CellblockError, EngineError, FileTransferError, ImageError, ProtocolError, StartError


class Place:
    """An engine and an endpoint that are away for the first so many looks."""

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
async def test_what_only_this_task_can_meet_is_recorded_however_often(failure: CellblockError) -> None:
    place = Place()
    assert [await place.judge(failure) for _ in range(50)] == ["record"] * 50


@pytest.mark.parametrize("failure", [AccessError("x"), ImageError("x")])
async def test_what_every_task_will_meet_ends_the_batch_at_once(failure: CellblockError) -> None:
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
async def test_an_engine_or_endpoint_that_comes_back_costs_the_task_nothing(failure: CellblockError) -> None:
    place = Place(away=3)
    assert await place.judge(failure) == "again"
    assert 0 < place.slept_s < PATIENCE_S


async def test_a_task_is_not_run_again_for_ever() -> None:
    assert await Place(away=1).judge(EngineError("x"), reruns=2) == "defer"


async def test_one_that_stays_away_ends_the_batch_with_its_own_words() -> None:
    place = Place(away=1000)
    with pytest.raises(EngineError, match=r"^No engine\.$"):
        await place.judge(UnreachableError("x"))
    assert place.slept_s == PATIENCE_S


@pytest.mark.parametrize("failure", [StartError("Too many references"), EngineError("cannot fork")])
async def test_a_start_that_fails_on_an_engine_that_answers_is_tried_again_later(failure: CellblockError) -> None:
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


async def test_an_answer_between_makes_them_their_tasks_own() -> None:
    place = Place()
    for _ in range(10):
        assert [await place.judge(EndpointError("x")) for _ in range(5)] == ["defer"] * 5
        assert len(place.triage.release()) == 5
