"""Texts about the run as a whole, which several formats share."""

from collections.abc import Iterable, Iterator, Sequence

from agent.export.markdown import in_code
from agent.record.called import call_lines
from agent.record.events import Claim, FileRecord, FunctionCalled, RunFinished, RunStarted
from agent.record.support import source_of
from agent.text import plain
from sandbox.packages import versions_in


def facts(started: RunStarted) -> dict[str, str]:
    """The model and the environment of the run. An empty value was not recorded."""
    environment = started.environment
    return {
        "run": started.run_id,
        "asked": f"{started.time[:10]} {started.time[11:19]} UTC" if started.time else "",
        "model": started.settings.model,
        "python": f"{environment.implementation} {environment.python}".strip(),
        "kernel": environment.kernel,
        "image": environment.image,
        "image_id": environment.image_id,
        **({"added": installing(started)} if environment.locked else {}),
        "system": environment.distribution,
        "engine": f"{environment.engine}, {environment.runtime}",
        "cellblock": started.cellblock_version,
    }


def installing(started: RunStarted) -> str:
    """The command that installs what was added to the image of the run; empty if nothing was."""
    versions = versions_in(started.environment.locked)
    return " ".join(["pip install", *(f"{name}=={version}" for name, version in versions.items())]) if versions else ""


def ending_line(finished: RunFinished | None) -> str:
    """One line with the outcome, the tokens, the time and the cost of the run."""
    if finished is None:
        return "The run has no end: it crashed, or it still ran when this was written."
    outcome = f"{finished.outcome} ({finished.limit})" if finished.limit else finished.outcome
    parts = [f"Outcome: {outcome}", f"{finished.usage.input_tokens} + {finished.usage.output_tokens} tokens"]
    if finished.duration_s:
        parts.append(f"{finished.duration_s:.1f} s")
    if finished.cost is not None:
        parts.append(str(finished.cost))
    if finished.error:
        parts.append(" ".join(plain(finished.error).split()))
    return ", ".join(parts)


def call_list(calls: Sequence[FunctionCalled]) -> Iterator[str]:
    """The calls of a cell, as a Markdown list."""
    for place, line in enumerate(call_lines(calls)):
        yield ("\n- " if place else "- ") + in_code(line)


def support_table(claims: Iterable[Claim]) -> Iterator[str]:
    """What an answer states, and where each comes from, as a Markdown table."""
    yield "| In the answer | Comes from |\n|---|---|"
    for claim in claims:
        yield f"\n| {in_code(claim.text)} | {source_of(claim)} |"


def file_table(files: Iterable[FileRecord]) -> Iterator[str]:
    """Files with their sizes and hashes, as a Markdown table."""
    yield "| File | Bytes | SHA-256 |\n|---|---:|---|"
    for file in files:
        yield f"\n| {in_code(file.name)} | {file.size_bytes} | {in_code(file.sha256)} |"
