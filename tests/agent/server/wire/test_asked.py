"""Which part of a list a request asks for."""

import pytest
from starlette.requests import Request

from agent.server.faults import Fault
from agent.server.wire.asked import page_query


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e1", "", "0000000010000", "9" * 5000])
def test_a_limit_out_of_its_bounds_is_refused(limit: str) -> None:
    with pytest.raises(Fault, match="limit must be from 1 to 100"):
        page_query(Request({"type": "http", "headers": [], "query_string": f"limit={limit}".encode()}))
