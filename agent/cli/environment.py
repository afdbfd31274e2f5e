"""The commands for everything that a run needs: doctor, gc, image and model."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from agent import local
from agent.cli.agents import agent_for
from agent.cli.app import Commands, app, print_note, print_result, stderr_console
from agent.cli.doctor import check_all
from agent.cli.options import ModelOptions, SectionedCommand, with_model, with_policy
from agent.cli.serving import StateOption, seconds_in, state_directory
from agent.errors import UsageError
from agent.server.settings import ServerSettings
from agent.server.state.retention import cleaned
from agent.text import plain
from sandbox import Policy
from sandbox.docker import (
    build_image,
    connect,
    default_image,
    find_orphans,
    list_images,
    lock_in,
    remove_container,
    remove_image,
)
from sandbox.packages import versions_in

image_app = typer.Typer(cls=Commands, no_args_is_help=True, help="The sandbox image.")
model_app = typer.Typer(cls=Commands, no_args_is_help=True, help="The built-in local models.")
app.add_typer(image_app, name="image")
app.add_typer(model_app, name="model")


@app.command(cls=SectionedCommand)
@with_policy
@with_model
def doctor(*, asked: ModelOptions, policy: Policy) -> None:
    """Check engine, image, proxies, certificates, model, disk, memory and a sandbox, with a fix for each failure."""
    runtime = agent_for(asked, policy).runtime
    checks = asyncio.run(check_all(runtime.model, runtime.policy, runtime.sampling))
    for check in checks:
        hint = f"\n       try: {check.hint}" if check.hint and check.level != "ok" else ""
        print_result(f"{check.level:<4}  {check.name}: {plain(check.detail)}{hint}")
    raise typer.Exit(3 if any(check.level == "FAIL" for check in checks) else 0)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    keep: Annotated[
        str, typer.Option("--keep", metavar="TIME", help="How long the server's responses and files are kept.")
    ] = "30d",
    directory: StateOption = None,
) -> None:
    """Remove sandboxes whose owner process is dead, and print one line for each.

    Sandboxes of other machines that share this engine are left alone: run gc there. What cellblock serve has kept for
    longer than --keep is deleted, too.
    """
    place = state_directory(directory)
    if not dry_run and place.exists():
        removed = cleaned(ServerSettings(place, keep_s=seconds_in(keep, "--keep")))
        for what, count in vars(removed).items():
            if count:
                print_result(f"removed {count} {what} of the server")
    with closing(connect()) as client:
        for orphan in find_orphans(client):
            if not dry_run:
                remove_container(client, orphan.id)
            verb = "would remove" if dry_run else "removed"
            created = f"{orphan.created:%Y-%m-%d %H:%M} UTC"
            print_result(f"{verb} {orphan.id[:12]}  {orphan.status}  {orphan.image}  {created}")


@image_app.command("build")
def image_build(
    base: Annotated[str | None, typer.Option(help="Base image, instead of debian:trixie-slim.")] = None,
) -> None:
    """Build the sandbox image, unless it exists. Prints its name and size."""
    console = stderr_console()
    with closing(connect()) as client:
        info = build_image(client, base=base, progress=lambda line: console.print(Text(plain(line), style="dim")))
    print_result(f"{info.tag}  {info.size_bytes / 1e6:.0f} MB")


@image_app.command("ls")
def image_list() -> None:
    """List the sandbox images of this engine with what was added to them; * marks the one that runs use."""
    with closing(connect()) as client:
        for info in list_images(client):
            mark = "*" if info.tag == default_image() else " "
            added = "".join(f"  {name}=={version}" for name, version in versions_in(lock_in(client, info.tag)).items())
            print_result(f"{mark} {info.tag}  {info.size_bytes / 1e6:.0f} MB  {info.created:%Y-%m-%d %H:%M}{added}")


@image_app.command("rm")
def image_remove(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Names from cellblock image ls.")],
) -> None:
    """Remove sandbox images. The next run with the same packages chooses their versions anew."""
    with closing(connect()) as client:
        for tag in images:
            remove_image(client, tag)
            print_result(f"removed {tag}")


@model_app.command("pull")
def model_pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")] = local.DEFAULT_MODEL.name,
) -> None:
    """Download a built-in model, or continue an interrupted download. Prints its path."""
    model = local.model_named(name)
    print_result(str(local.find(model) or _download(model)))


@model_app.command("ls")
def model_list() -> None:
    """List the built-in models and their paths."""
    for model in local.MODELS.values():
        path = local.find(model)
        print_result(f"{model.name}  {model.size_bytes / 1e6:.0f} MB  {path or 'not downloaded'}")


@model_app.command("serve")
def model_serve(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")] = local.DEFAULT_MODEL.name,
    idle_minutes: Annotated[
        float, typer.Option("--idle-minutes", metavar="NUMBER", min=0.01, help="End after so long without a run.")
    ] = 60.0,
    slots: Annotated[int, typer.Option("--slots", metavar="NUMBER", min=1, help="Requests answered at a time.")] = 1,
) -> None:
    """Keep a built-in model loaded, so that each run finds it and answers at once. Prints its URL; Ctrl-C ends it.

    Only runs of the same user find it. Other programs can ask it with the key in the file that is named.
    """
    asyncio.run(_serve(local.file_to_serve(name), name, idle_minutes * 60, slots))


async def _serve(path: Path, name: str, idle_s: float, slots: int) -> None:
    async with local.in_use(path) as other:
        if other is not None:
            raise UsageError(f"The model {name!r} is served already, by process {other.pid}.", hint=f"kill {other.pid}")
    async with local.serve(path, name=name, slots=slots) as server:
        with local.announced(server, path) as file:
            print_note(f"{name} is loaded; its address and key are in {file}.")
            print_result(server.base_url)
            await local.until_idle(file, server, idle_s)


def _download(model: local.ModelFile) -> Path:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console()) as bar:
        shown = bar.add_task(model.name, total=model.size_bytes)

        def progress(done_bytes: int, total_bytes: int, source: str) -> None:
            bar.update(shown, completed=done_bytes, total=total_bytes, description=f"{model.name} from {source}")

        return local.pull(model, progress=progress)
