"""Real runs are replayed in real sandboxes."""

import hashlib
import json
from pathlib import Path

import pytest

from agent import Agent
from agent.errors import TranscriptError, UsageError
from agent.record.transcript import FILE_NAME
from agent.replay.comparing import CHANCE
from agent.replay.replaying import Item, Replay, replay
from agent.testing import ScriptedEndpoint, calls, says
from sandbox import ImageError, Policy
from sandbox.docker import DockerLauncher
from tests.agent.replay.recording import record

pytestmark = pytest.mark.docker

QUICK = Policy(cell_timeout_s=2)


def verdicts(done: Replay) -> dict[str, str]:
    return {f"{item.kind} {item.name}": item.comparison.verdict for item in done.items}


def edit(run: Path, old: str, new: str) -> None:
    """Change the record, as if other code had made it."""
    path = run / FILE_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def test_a_replay_gives_the_same_outputs_files_and_plots(tmp_path: Path, launcher: DockerLauncher) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('plot.png')\nplt.show()"
    codes = ["import pandas as pd\nframe = pd.read_csv('table.csv')\nprint(frame)", plot, "frame.to_csv('out.csv')"]
    run = await record(tmp_path / "run", codes, ["int(frame.a.sum())"], files=[table])
    table.unlink()
    seen: list[Item] = []
    done = await replay(run, launcher, on_item=seen.append)
    assert set(verdicts(done).values()) == {"same"}
    assert list(verdicts(done)) == ["cell 1", "cell 2", "cell 3", "cell 4", "file out.csv", "file plot.png"]
    assert (seen, done.is_same, done.changes) == (done.items, True, [])


async def test_a_record_gives_no_network_by_itself(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["print(1)"])
    edit(run, '"network":"none"', '"network":"bridge"')
    with pytest.raises(UsageError) as caught:
        await replay(run, launcher, policy=Policy(network="other"))
    assert caught.value.for_shell == (
        f"The run '{run}' had the network 'bridge'; its code would have it again. "
        "Try: the same command with --network bridge, if you allow it"
    )


async def test_refused_requests_of_a_record_are_notes_or_else_warnings(
    tmp_path: Path, launcher: DockerLauncher
) -> None:
    wished = Policy(memory_bytes="3g", session_timeout_s=7200.0)
    run = await record(tmp_path / "run", ["print(1)"], policy=wished)
    line = f"The record asks for memory_bytes {3 << 30}; {2 << 30} is used (--memory {3 << 30} grants it)."
    notes: list[str] = []
    assert (await replay(run, launcher, on_note=notes.append)).is_same
    assert notes == [line]  # nothing about session_timeout_s: a replay has its own
    with pytest.warns(UserWarning, match="The record asks for") as caught:
        await replay(run, launcher)
    assert [str(warning.message) for warning in caught] == [line]
    assert (await replay(run, launcher, policy=Policy(memory_bytes="4g"))).is_same


async def test_stopped_and_dead_cells_are_replayed_as_recorded(tmp_path: Path, launcher: DockerLauncher) -> None:
    endless, deaf = "for n in range(10 ** 12): print(n)", "print(1)\nsum(range(10 ** 13))"
    codes = [
        "x = 1",
        endless,
        "print(x)",
        "import os; os._exit(3)",
        "print(x)",
        "print(" * 3,
        "raise ValueError(5)",
        "print(7)",
    ]
    run = await record(tmp_path / "run", codes, [deaf, "exit()", "print('still here')"], policy=QUICK)
    done = await replay(run, launcher)
    assert done.is_same, [item for item in done.items if item.comparison.diff]


async def test_a_finished_cell_may_take_longer_on_a_slower_machine(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["import time; time.sleep(1); print(1)"], policy=Policy(cell_timeout_s=17))
    edit(run, '"cell_timeout_s":17.0', '"cell_timeout_s":0.5')
    assert (await replay(run, launcher)).is_same


async def test_a_changed_output_or_file_is_shown_as_a_diff(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["print('the sum is', 1 + 1)", "open('n.txt', 'w').write('first')"])
    edit(run, "the sum is 2", "the sum is 3")
    (run / "files" / "n.txt").write_text("second")
    edit(run, "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e", "0" * 64)
    done = await replay(run, launcher)
    assert verdicts(done) == {"cell 1": "different", "cell 2": "same", "file n.txt": "different"}
    cell, _, file = done.items
    assert cell.comparison.diff[-3:] == ("-stdout| the sum is 3", "+stdout| the sum is 2", " stdout| ")
    assert file.comparison.diff[-2:] == ("-second", "+first")
    assert not done.is_same
    assert not done.is_explained


async def test_a_cell_that_differs_by_chance_is_explained_by_another_replay(
    tmp_path: Path, launcher: DockerLauncher
) -> None:
    run = await record(tmp_path / "run", ["import random\nprint('drawn', random.random())", "print(1)"])
    done = await replay(run, launcher)
    assert verdicts(done) == {"cell 1": "different", "cell 2": "same"}
    assert done.items[0].comparison.why == CHANCE
    assert (done.is_same, done.is_explained) == (False, True)


async def test_with_a_seed_random_numbers_repeat(tmp_path: Path, launcher: DockerLauncher) -> None:
    draw = "import random\nimport numpy as np\nprint(random.random(), np.random.rand(), hash('a'))"
    run = await record(tmp_path / "run", [draw, "import os; os._exit(1)", draw], policy=Policy(seed=7))
    assert (await replay(run, launcher)).is_same


async def test_functions_of_the_caller_are_not_run_again(tmp_path: Path, launcher: DockerLauncher) -> None:
    called: list[str] = []

    def note(code: str) -> str:
        """Note it."""
        called.append(code)
        return code

    script = [calls("1 + 1", name="note"), calls("print(2)"), says("done")]
    with ScriptedEndpoint(script) as endpoint:
        agent = Agent(model="m", base_url=endpoint.base_url, tools=[note])
        await agent.run("Do it.", run_directory=tmp_path / "run")
    done = await replay(tmp_path / "run", launcher)
    assert verdicts(done) == {"cell 1": "not_run", "cell 2": "same"}
    assert len(called) == 1


async def test_a_crashed_run_is_replayed_up_to_the_crash(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["print(1)", "print(2)"])
    path = run / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if json.loads(line)["type"] == "tool")
    path.write_bytes(b"".join(lines[:last]) + lines[last][:50])
    assert verdicts(await replay(run, launcher)) == {"cell 1": "same"}


async def test_a_missing_image_is_one_error_line_that_offers_another(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["print(1)"])
    image_id = json.loads((run / FILE_NAME).read_text().splitlines()[0])["environment"]["image_id"]
    edit(run, image_id, "sha256:" + "0" * 64)
    with pytest.raises(ImageError) as caught:
        await replay(run, launcher)
    assert caught.value.for_shell.endswith(f"cellblock replay {run} --update-image")
    done = await replay(run, launcher, update_image=True)
    assert verdicts(done) == {"cell 1": "same"}
    assert done.changes == [f"image: sha256:{'0' * 64} → {image_id}"]


async def test_a_missing_copy_of_a_given_file_is_named(tmp_path: Path, launcher: DockerLauncher) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a\n1\n")
    run = await record(tmp_path / "run", ["print(open('table.csv').read())"], files=[table])
    for blob in (run / "blobs").iterdir():
        if blob.read_bytes() == b"a\n1\n":
            blob.unlink()
    with pytest.raises(TranscriptError) as caught:
        await replay(run, launcher)
    assert caught.value.for_shell == f"The run {str(run)!r} holds no copy of 'table.csv'."


async def test_a_record_cannot_show_a_file_of_the_host(tmp_path: Path, launcher: DockerLauncher) -> None:
    run = await record(tmp_path / "run", ["open('made.txt', 'w').write('made');"])
    (tmp_path / "private.txt").write_text("private")
    (run / "files" / "made.txt").unlink()
    (run / "files" / "made.txt").symlink_to(tmp_path / "private.txt")
    edit(run, hashlib.sha256(b"made").hexdigest(), "0" * 64)
    done = await replay(run, launcher)
    assert [item.comparison.verdict for item in done.items if item.kind == "file"] == ["different"]
    assert not any("private" in line for item in done.items for line in item.comparison.diff)
    edit(run, '"artifacts":[{"name":"made.txt"', '"artifacts":[{"name":"../../private.txt"')
    with pytest.raises(TranscriptError, match="it must be the name of a file below the workspace"):
        await replay(run, launcher)
