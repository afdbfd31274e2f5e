"""The command that replays a recorded run: replay."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agent.cli.app import app, print_json, print_note, stdout_console
from agent.cli.options import SectionedCommand, with_policy
from agent.cli.runs import NewestRun, run_meant
from agent.progress import ignore
from agent.replay.replaying import Item, Replay, replay
from agent.text import cut_middle, harmless, plain, visible
from sandbox import Policy
from sandbox.docker import DockerLauncher

WORDS = {
    "same": "same",
    "same_after_normalisation": "same after normalisation",
    "different": "different",
    "not_run": "not run",
}
STYLES = {"different": "red", "not_run": "yellow"}
MAX_CODE_CHARS = 60


@app.command(name="replay", cls=SectionedCommand)
@with_policy
def replay_run(
    run: NewestRun = None,
    update_image: Annotated[
        bool, typer.Option("--update-image", help="Use the image that the recorded name means now, and compare.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    *,
    policy: Policy,
) -> None:
    """Run the cells of RUN again, without a model, and compare outputs and files; the exit code is 1 if they differ.

    The policy of the run narrows yours. A note names each request beyond yours, and the option that grants it.
    """
    console, meant = stdout_console(), run_meant(run)

    async def work() -> Replay:
        async with DockerLauncher() as launcher:
            return await replay(
                meant,
                launcher,
                policy=policy,
                update_image=update_image,
                on_item=ignore if as_json else lambda item: _show(item, console),
                on_note=print_note,
            )

    done = asyncio.run(work())
    if as_json:
        print_json(json.dumps(as_value(done), ensure_ascii=False))
    else:
        _show_end(done, console)
    raise typer.Exit(0 if done.is_same else 1)


def as_value(done: Replay) -> dict[str, object]:
    """A replay as a JSON value."""
    items = [
        {
            "kind": item.kind,
            "name": item.name,
            "verdict": item.comparison.verdict,
            "why": item.comparison.why,
            "diff": list(item.comparison.diff),
            "duration_s": round(item.duration_s, 3),
        }
        for item in done.items
    ]
    return {"same": done.is_same, "explained": done.is_explained, "items": items, "changes": done.changes}


def summary(items: list[Item]) -> str:
    """The number of each verdict, in one line."""
    verdicts = [item.comparison.verdict for item in items]
    counted = ", ".join(f"{verdicts.count(name)} {word}" for name, word in WORDS.items() if name in verdicts)
    explained = sum(item.comparison.is_explained for item in items)
    cells = sum(item.kind == "cell" for item in items)
    of_what = f"{_counted(cells, 'cell')}, {_counted(len(items) - cells, 'file')}"
    return f"{of_what}: {counted or 'nothing to compare'}" + (f" ({explained} explained)" if explained else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _show(item: Item, console: Console) -> None:
    """Print one line."""
    verdict, why = item.comparison.verdict, item.comparison.why
    what = _first_line(item.code) if item.kind == "cell" else ""
    console.print(
        Text(f"{item.kind + ' ' + plain(item.name):<9} "),
        Text(f"{WORDS[verdict]:<24}", style=STYLES.get(verdict, "green")),
        Text(f" {what}" + (f"  ({plain(why)})" if why else ""), style="dim"),
        sep="",
    )


def _show_end(done: Replay, console: Console) -> None:
    for item in done.items:
        if item.comparison.verdict == "different":
            console.print(Text(f"\n── {item.kind} {plain(item.name)}", style="cyan"))
            if item.comparison.why:
                console.print(Text(plain(item.comparison.why), style="yellow"))
            for line in item.comparison.diff:
                console.print(Text(harmless(line), style=_diff_style(line)))
    for change in done.changes:
        console.print(Text(plain(change), style="yellow"))
    console.print(Text(summary(done.items), style="bold"))


def _first_line(code: str) -> str:
    lines = [line for line in visible(code).strip().split("\n") if line.strip()]
    more = " …" if len(lines) > 1 else ""
    return cut_middle(lines[0], MAX_CODE_CHARS, "…") + more if lines else ""


def _diff_style(line: str) -> str:
    return "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
