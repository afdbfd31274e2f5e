"""What a program beside the kernel says about files is taken within bounds, or not at all."""

import json

from sandbox.profiles import profiler_input, profiles_in

GOOD = {"name": "a.csv", "profile": {"kind": "csv", "encoding": "cp1252"}}


def report(*lines: object) -> bytes:
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


def test_what_is_no_profile_is_left_out() -> None:
    told = profiles_in(
        report(
            b"\xff{", {"name": "b", "profile": {"kind": "virus"}}, {"name": "c", "profile": {"kind": "csv", "x": 1}},
            {"name": "c", "profile": {"kind": "text", "lines": ["x" * 201]}}, {"name": "unknown", **GOOD}, GOOD,
            {"name": "never asked for", "profile": {"kind": "csv"}}, b"[" * 100_000,
        ),
        ["a.csv", "b", "c"],
    )  # fmt: skip
    assert {name: profile.encoding for name, profile in told.items()} == {"a.csv": "cp1252"}


def test_the_program_is_sent_with_all_its_modules() -> None:
    asked = json.loads(profiler_input(["a", "b"]))
    assert asked["names"] == ["a", "b"]
    assert {"sandbox.profiler.main", "sandbox.profiler.kinds", "sandbox.guest.start"} <= set(asked["sources"])
