"""Applies a record's policy to the user's own settings: it can narrow them, but not widen them without permission.

A record may be a stranger's. Therefore each limit is the smaller of the two, and the record's user, runtime, image and
network are used only if the user's own settings name the same.
"""

import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.errors import UsageError
from agent.limits import Limits
from agent.record.transcript import Recorded
from sandbox import Policy

OWN_IMAGE = re.compile(r"cellblock/python:[0-9a-f]{12}")
FORMER_USER = "1000:1000"
"""The default user in old records, from before each sandbox had its own user. It is no request."""
OTHER_FLAGS = {"rich_bytes": "--rich-output", "max_consecutive_failures": "--max-failures"}
Rule = Literal["least", "if_named", "harmless", "image", "network", "packages"]
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("memory_bytes", "cpus", "pids", "open_files", "workspace_bytes", "tmp_bytes", "max_files"), "least"
    ),
    **dict.fromkeys(("start_timeout_s", "cell_timeout_s", "session_timeout_s"), "least"),
    **dict.fromkeys(("interrupt_grace_s", "restart_grace_s"), "least"),
    **dict.fromkeys(("stream_head_bytes", "stream_tail_bytes", "spool_bytes", "rich_bytes"), "least"),
    **dict.fromkeys(("function_calls", "function_calls_at_once"), "least"),
    **dict.fromkeys(("function_arguments_bytes", "function_result_bytes"), "least"),
    **dict.fromkeys(("user", "runtime"), "if_named"),
    **dict.fromkeys(("environment", "seed"), "harmless"),  # code inside the lock could set them itself
    "image": "image",
    "network": "network",
    "packages": "packages",
}


@dataclass(frozen=True)
class Narrowed:
    """The policy to use, and one line for each request of the record that is not granted."""

    policy: Policy
    notes: list[str] = field(default_factory=list)


def narrowed(recorded: Recorded, own: Policy, *, update_image: bool = False) -> Narrowed:
    """Narrow the user's `own` policy by the record's. Raises UsageError for a network or an image that `own` lacks.

    With `update_image`, the image is the one that the record's image name means now.
    """
    wished, values, notes = recorded.started.environment.policy, dict[str, Any](), list[str]()
    for name, rule in RULES.items():
        wish, mine = getattr(wished, name), getattr(own, name)
        values[name] = wish if rule == "harmless" else min(wish, mine) if rule == "least" else mine
        is_former = name == "user" and wish == FORMER_USER
        if rule in ("least", "if_named") and wish is not None and values[name] != wish and not is_former:
            notes.append(_note(name, wish, values[name]))
    values["network"] = _network(recorded, own)
    values["image"] = _image(recorded, own, update_image=update_image)
    values["packages"] = _packages(recorded, own, update_image=update_image)
    return Narrowed(Policy.model_validate(values), notes)


def narrowed_limits(wished: Limits, own: Limits) -> tuple[Limits, list[str]]:
    """Narrow the user's `own` limits by the record's. Limits that the user has set explicitly take precedence."""
    values, notes = own.model_dump(), []
    for name in Limits.model_fields.keys() - own.model_fields_set:
        wish, mine = getattr(wished, name), getattr(own, name)
        values[name] = min((limit for limit in (wish, mine) if limit is not None), default=None)
        if values[name] != wish:
            notes.append(_note(name, "none" if wish is None else wish, values[name]))
    return Limits(**values), sorted(notes)


def _note(name: str, wish: object, used: object) -> str:
    flag = OTHER_FLAGS.get(name) or "--" + name.removesuffix("_bytes").removesuffix("_s").replace("_", "-")
    grant = f"{flag} {shlex.quote(str(wish))}"
    return f"The record asks for {name} {wish}; {used if used is not None else 'none'} is used ({grant} grants it)."


def _network(recorded: Recorded, own: Policy) -> str:
    wished = recorded.started.environment.policy.network
    if wished not in ("none", own.network):
        raise UsageError(
            f"The run {str(recorded.directory)!r} had the network {wished!r}; its code would have it again.",
            hint=f"the same command with --network {shlex.quote(wished)}, if you allow it",
            in_python=f"policy=Policy(network={wished!r}), if you allow it",
        )
    return wished


def _packages(recorded: Recorded, own: Policy, *, update_image: bool) -> list[str]:
    """The packages as they were chosen then, by version and hash; with `update_image`, as they are chosen now."""
    environment = recorded.started.environment
    wished = environment.policy.packages
    if not set(wished) <= set(own.packages) and set(environment.locked) != set(own.packages):
        options = " ".join("--with " + shlex.quote(package) for package in wished)
        raise UsageError(
            f"The run {str(recorded.directory)!r} had added packages: {', '.join(map(repr, wished))}.",
            hint="the same command with " + options + ", if you allow them",
        )
    return list(wished) if update_image or not wished else environment.locked


def _image(recorded: Recorded, own: Policy, *, update_image: bool) -> str | None:
    """The name of the image to start. The caller compares its digest."""
    environment = recorded.started.environment
    wished = environment.policy.image
    if wished is not None and wished != own.image:
        raise UsageError(
            f"The run {str(recorded.directory)!r} had the image {wished!r}, which is not Cellblock's own.",
            hint=f"the same command with --image {shlex.quote(wished)}, if you allow it",
            in_python=f"policy=Policy(image={wished!r}), if you allow it",
        )
    if own.image is not None or update_image:
        return own.image
    return environment.image if OWN_IMAGE.fullmatch(environment.image) else None
