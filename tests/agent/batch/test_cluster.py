"""What can be said of a cluster without one; `tests/chaos/test_ray.py` has a real one."""

import socket

import pytest

from agent import Agent, ClusterError, Limiter, RateLimit, UsageError
from agent.batch.cluster import RayWorker

pytestmark = pytest.mark.usefixtures("clean_environ")


def agent(limiter: Limiter | None = None) -> Agent:
    return Agent(model="m", base_url="http://127.0.0.1:9/v1", limiter=limiter)


@pytest.mark.parametrize(
    "address", ["", "head", "head:", ":6379", "head:0", "head:99999", "ray://head:10001", "head:x"]
)
def test_an_address_that_is_none_is_refused_with_its_value(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        RayWorker(agent(), address)
    assert str(caught.value) == f"A Ray address is HOST:PORT of the head, or auto, not {address!r}. Try: ray status"


def test_a_limiter_of_this_process_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be shared between machines"):
        RayWorker(agent(Limiter(RateLimit())), "auto")


async def test_an_address_where_nobody_listens_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.batch.cluster.get_node_ip_address", lambda: "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^No Ray cluster answers at '{address}': "):
            async with RayWorker(agent(), address):
                pass


def test_the_limits_are_shared_out_so_that_all_together_keep_to_them() -> None:
    worker = RayWorker(agent(), "auto", jobs=8, rate=RateLimit(10, 3000, 5))
    assert worker._share(3) == RateLimit(3, 1000, 1)
    assert RayWorker(agent(), "auto", jobs=8)._share(3) == RateLimit(None, None, 3)
