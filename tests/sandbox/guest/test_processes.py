"""The processes of the container."""

import pytest

from sandbox.guest.processes import describe_death, kill_all_but


@pytest.mark.parametrize(
    ("wait_status", "ooms", "cause"),
    [
        (0, 0, "exit"),
        (3 << 8, 0, "exit"),
        (9, 1, "out_of_memory"),
        (9, 0, "signal SIGKILL"),
        (11, 0, "signal SIGSEGV"),
    ],
)
def test_causes_of_death_are_told_apart(wait_status: int, ooms: int, cause: str) -> None:
    assert describe_death(wait_status, ooms) == cause


def test_only_the_init_of_a_container_kills_everything() -> None:
    with pytest.raises(RuntimeError, match="only the init"):
        kill_all_but(set())
