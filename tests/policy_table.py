"""The README's table of sandbox options, made from the policy's fields; run as a program, it writes it there."""

import re
from pathlib import Path

from agent.cli.options import PolicyOption, policy_options

README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"(<!-- policy: .*? -->\n).*?(<!-- /policy -->)", re.DOTALL)


def table() -> str:
    rows = [_row(option) for option in policy_options()]
    return "\n".join(["| Option | Field | Default | Bounds | Meaning |", "|---|---|---|---|---|", *rows, ""])


def with_table(readme: str) -> str:
    """The text with the table in its place."""
    text, places = PLACE.subn(lambda place: place[1] + table() + place[2], readme)
    if places != 1:
        raise AssertionError(f"the README has {places} places for the table of sandbox options")
    return text


def _row(option: PolicyOption) -> str:
    cells = (f"`{option.flag} {option.metavar}`", f"`{option.field}`", option.default, option.bounds, option.help)
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
