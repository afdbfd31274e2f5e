"""So many sandboxes and no more; an idle one gives way; who waits gets the next place."""

import asyncio

import pytest

from agent.server.faults import Fault
from agent.server.owner import Owner
from agent.server.work.places import Places

ALICE, BOB = Owner("a", "alice", max_sessions=1), Owner("b", "bob")


class Idle:
    """Sandboxes that nobody asks. To end one takes a moment."""

    def __init__(self, *owners: Owner) -> None:
        self.owners = list(owners)
        self.places: Places | None = None

    async def make_room(self, owner_id: str | None) -> bool:
        found = next((owner for owner in self.owners if owner_id in (None, owner.id)), None)
        if found is None or self.places is None:
            return False
        self.owners.remove(found)
        await asyncio.sleep(0.001)
        self.places.release(found)
        return True


async def places_of(number: int, *idle: Owner, queue_s: float = 0.0) -> Places:
    """Places of which some are taken by idle sandboxes."""
    ended = Idle(*idle)
    places = Places(number, queue_s=queue_s, make_room=ended.make_room)
    for owner in idle:
        await places.take(owner)
    ended.places = places
    return places


async def test_a_full_server_refuses_at_once_and_says_when_to_come_again() -> None:
    places = await places_of(1)
    await places.take(BOB)
    with pytest.raises(Fault) as raised:
        await places.take(BOB)
    assert (raised.value.status, set(raised.value.headers)) == (429, {"Retry-After"})
    places.release(BOB)
    await places.take(BOB)
    assert places.taken == 1


async def test_an_idle_sandbox_gives_way_even_if_its_end_takes_a_moment_and_nobody_may_wait() -> None:
    places = await places_of(2, BOB, BOB)
    await places.take(BOB)
    assert places.taken == 2


async def test_an_owner_has_no_more_than_its_own_and_its_own_idle_one_gives_way() -> None:
    places = await places_of(3, ALICE, BOB)
    await places.take(ALICE)
    with pytest.raises(Fault, match="of this key"):
        await places.take(ALICE)
    await places.take(BOB)
    assert places.taken == 3


async def test_who_waits_gets_the_place_that_is_released() -> None:
    places = await places_of(1, queue_s=60)
    await places.take(BOB)
    waiting = [asyncio.create_task(places.take(BOB)) for _ in range(3)]
    for _ in waiting:
        await asyncio.sleep(0)
        places.release(BOB)
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting = [task for task in waiting if task not in done]
        assert len(done) == 1
    assert places.taken == 1
