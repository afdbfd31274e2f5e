"""The guest's answers."""

import pytest

from sandbox.guest.guest import MAX_REASON_CHARS, reason_for
from sandbox.guest.workspace import RefusedError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(36, "File name too long", "x"), "File name too long: 'x'"),
        (OSError("no number"), "no number"),
        (RefusedError("'x' is no file"), "'x' is no file"),
        (RecursionError(), "RecursionError"),
        (ValueError("x" * 5000), "x" * MAX_REASON_CHARS),
    ],
)
def test_any_error_of_a_request_is_one_line_without_what_is_not_known(error: Exception, reason: str) -> None:
    assert reason_for(error) == reason
