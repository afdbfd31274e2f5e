"""What requests say beside their bodies: who sends them, and which part of a list they ask for."""

from typing import Any

from starlette.requests import Request

from agent.server.faults import bad_request
from agent.server.owner import Owner
from agent.server.state.paging import DEFAULT_LIMIT, PageQuery

MAX_LIMIT = 100
MAX_LIMIT_DIGITS = 9


def owner_of(request: Request) -> Owner:
    """Who sends a request."""
    owner = request.scope.get("owner")
    return owner if isinstance(owner, Owner) else Owner()


def page_query(request: Request, order: str = "desc") -> PageQuery:
    """Which part of a list a request asks for. Raises Fault."""
    params = request.query_params
    limit, direction = params.get("limit", str(DEFAULT_LIMIT)), params.get("order", order)
    if not limit.isdecimal() or len(limit) > MAX_LIMIT_DIGITS or not 1 <= int(limit) <= MAX_LIMIT:
        raise bad_request(f"limit must be from 1 to {MAX_LIMIT}, and is {limit[:20]!r}.", "limit")
    if direction not in ("asc", "desc"):
        raise bad_request(f"order must be asc or desc, and is {direction[:20]!r}.", "order")
    return PageQuery(params.get("after"), int(limit), "asc" if direction == "asc" else "desc")


def listed(items: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list, in the form of OpenAI."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }
