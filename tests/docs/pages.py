"""The pages that people read, and what can be run in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in PATHS}

_COMMAND = re.compile(r"^\$ (.+)$", re.MULTILINE)


def commands() -> set[str]:
    """Every command that a page shows behind a prompt."""
    return {command for page in PAGES.values() for command in _COMMAND.findall(page)}


def programs(language: str = "python") -> dict[str, tuple[str, str]]:
    """Every program in a language with what it prints, by page and number."""
    program = re.compile(rf"```{language}\n(.*?)```\s*```text\n(.*?)```", re.DOTALL)
    return {
        f"{name}-{number}": (code, shown)
        for name, page in PAGES.items()
        for number, (code, shown) in enumerate(program.findall(page), 1)
    }


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def inline_code(page: str) -> list[str]:
    """What stands between single backticks, outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)
