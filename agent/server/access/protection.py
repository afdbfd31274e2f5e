"""All layers around the server, in their order."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from agent.server.access.bodies import BodyLimit
from agent.server.access.draining import Drain, DrainCheck
from agent.server.access.hosts import HostCheck, is_loopback
from agent.server.access.keys import KeyCheck
from agent.server.access.log import Count, RequestLog
from agent.server.access.origins import OriginCheck
from agent.server.metrics import Metrics
from agent.server.settings import AccessRules
from agent.server.state.keys import Keys


def protected(
    app: ASGIApp,
    rules: AccessRules,
    *,
    keys: Keys,
    drain: Drain,
    metrics: Metrics,
    count: Count,
) -> ASGIApp:
    """The server inside of its layers."""
    return RequestLog(checked(app, rules, keys=keys, drain=drain), metrics=metrics, count=count)


def checked(app: ASGIApp, rules: AccessRules, *, keys: Keys, drain: Drain) -> ASGIApp:
    """The server behind the checks of who may ask. What is cheap to refuse is refused first."""
    app = BodyLimit(app, rules.bodies)
    app = KeyCheck(app, keys=keys, needs_key=not is_loopback(rules.host))
    if rules.origins:
        app = CORSMiddleware(
            app, allow_origins=rules.origins, allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
        )
    app = OriginCheck(app, allowed=rules.origins)
    app = HostCheck(app, host=rules.host, further=rules.hosts)
    return DrainCheck(app, drain=drain)
