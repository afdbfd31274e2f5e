"""The command line. stdout is the result, stderr is the story; exit codes are in `sandbox.errors`."""

import asyncio
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from typer.core import TyperGroup

from agent import local, transcript
from agent.agent import DEFAULT_MAX_TURNS, Agent
from agent.doctor import check_all
from agent.errors import InterruptedRunError
from agent.messages import Cost
from agent.options import ModelOptions, SectionedCommand, with_model, with_policy
from agent.showing import show_run
from agent.text import plain
from agent.view import RunView
from sandbox import CellblockError, Policy
from sandbox.docker import build_image, connect, default_image, find_orphans, list_images, remove_container


class _Commands(TyperGroup):
    """Typer itself would answer Ctrl-C with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedRunError("interrupted") from error


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A self-hosted, sandboxed code interpreter: a Qwen coder writes Python, a locked container runs it.",
)
image_app = typer.Typer(no_args_is_help=True, help="The sandbox image.")
model_app = typer.Typer(no_args_is_help=True, help="The built-in local models.")
app.add_typer(image_app, name="image")
app.add_typer(model_app, name="model")


@app.command(cls=SectionedCommand)
@with_policy
@with_model
def run(
    task: Annotated[str, typer.Argument(help="What to find out; - reads it from stdin.")],
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="File to put into /workspace.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Run directory to make.")] = None,
    max_turns: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Turns of the model.")] = DEFAULT_MAX_TURNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    *,
    asked: ModelOptions,
    policy: Policy,
) -> None:
    """Answer TASK: the model writes Python, the sandbox runs it, the answer is printed."""
    task = sys.stdin.read() if task == "-" else task
    agent = _agent(asked, policy, max_turns)
    console = _story()
    with RunView(console) as view:
        result = agent.run_sync(task, files=file or [], run_directory=output, on_progress=view)
    console.print(
        f"[dim]{escape(str(result.run_directory))}: {result.outcome}, "
        f"{result.usage.input_tokens} + {result.usage.output_tokens} tokens{escape(_price(result.cost))}[/dim]",
        soft_wrap=True,
    )
    if as_json:
        _result(
            json.dumps(
                {
                    "outcome": result.outcome,
                    "answer": result.answer,
                    "run_directory": str(result.run_directory),
                    "usage": result.usage.model_dump(),
                    "cost": result.cost and result.cost.model_dump(mode="json"),
                    "artifacts": [artifact.model_dump() for artifact in result.artifacts],
                },
                ensure_ascii=False,
            )
        )
    else:
        _result(plain(result.answer or ""))
    raise typer.Exit(0 if result.outcome == "answered" else 1)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="Run directory or transcript.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the events, one a line.")] = False,
) -> None:
    """Show a recorded RUN: what was asked, thought, run, seen and answered."""
    recorded = transcript.read(run)
    if as_json:
        for event in recorded.events:
            _result(event.model_dump_json())
    else:
        show_run(recorded, Console(highlight=False, soft_wrap=True))


@app.command(cls=SectionedCommand)
@with_policy
@with_model
def doctor(*, asked: ModelOptions, policy: Policy) -> None:
    """Check engine, image, model, disk, memory and one real sandbox, and say what mends each line that fails."""
    agent = _agent(asked, policy)
    checks = asyncio.run(check_all(agent.model, agent.policy, agent.sampling))
    for check in checks:
        mend = f"\n       mend: {check.mend}" if check.mend and check.level != "ok" else ""
        _result(f"{check.level:<4}  {check.name}: {plain(check.detail)}{mend}")
    raise typer.Exit(3 if any(check.level == "FAIL" for check in checks) else 0)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove sandboxes whose owner no longer lives; prints one line for each.

    Sandboxes of a process on another machine that shares this engine are left alone: run gc there.
    """
    with closing(connect()) as client:
        for orphan in find_orphans(client):
            if not dry_run:
                remove_container(client, orphan.id)
            verb = "would remove" if dry_run else "removed"
            _result(f"{verb} {orphan.id[:12]}  {orphan.status}  {orphan.image}  {orphan.created:%Y-%m-%d %H:%M} UTC")


@image_app.command("build")
def image_build(
    base: Annotated[str | None, typer.Option(help="Base image, instead of debian:trixie-slim.")] = None,
) -> None:
    """Build the sandbox image, or do nothing where it is there. Prints its name and size."""
    console = _story()
    with closing(connect()) as client:
        info = build_image(client, base=base, progress=lambda line: console.print(escape(line), style="dim"))
    _result(f"{info.tag}  {info.size_bytes / 1e6:.0f} MB")


@image_app.command("ls")
def image_list() -> None:
    """List the sandbox images of this engine; the one that runs use is marked."""
    with closing(connect()) as client:
        for info in list_images(client):
            mark = "*" if info.tag == default_image() else " "
            _result(f"{mark} {info.tag}  {info.size_bytes / 1e6:.0f} MB  {info.created:%Y-%m-%d %H:%M}")


@model_app.command("pull")
def model_pull(
    name: Annotated[str, typer.Argument(help="Which built-in model.")] = local.DEFAULT_MODEL.name,
) -> None:
    """Download a built-in model; an interrupted download goes on where it stopped. Prints its path."""
    model = local.model_named(name)
    _result(str(local.find(model) or _download(model)))


@model_app.command("ls")
def model_list() -> None:
    """List the built-in models and where they lie."""
    for model in local.MODELS.values():
        path = local.find(model)
        _result(f"{model.name}  {model.size_bytes / 1e6:.0f} MB  {path or 'not downloaded'}")


def _download(model: local.ModelFile) -> Path:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_story()) as bar:
        shown = bar.add_task(model.name, total=model.size_bytes)

        def progress(done_bytes: int, total_bytes: int, source: str) -> None:
            bar.update(shown, completed=done_bytes, total=total_bytes, description=f"{model.name} from {source}")

        return local.pull(model, progress=progress)


def _agent(asked: ModelOptions, policy: Policy, max_turns: int = DEFAULT_MAX_TURNS) -> Agent:
    return Agent(
        model=asked.model,
        base_url=asked.base_url,
        provider=asked.provider,
        sampling=asked.sampling,
        prices=asked.prices,
        policy=policy,
        max_turns=max_turns,
    )


def _price(cost: Cost | None) -> str:
    return "" if cost is None else f", {cost}"


def _story() -> Console:
    return Console(stderr=True, highlight=False)


def _result(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def command_line(arguments: list[str]) -> int:
    """Run one command. Every foreseen failure is one line on stderr; returns the exit code."""
    try:
        app(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except CellblockError as error:
        _story().print(f"cellblock: {escape(plain(str(error)))}", style="red", soft_wrap=True)
        return error.exit_code
    return 0
