"""Changes the JSON of a run directory (with hashes that match again), its bytes, and its files."""

import base64
import copy
import gzip
import hashlib
import json
import os
import socket
import stat
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

Json = Any
MIB = 1 << 20
FILE_NAME = "transcript.jsonl"


# --- lines


def read_lines(run: Path) -> list[bytes]:
    with suppress(OSError):
        path = run / FILE_NAME
        if stat.S_ISREG(path.lstat().st_mode) and path.stat().st_size < 64 * MIB:
            return path.read_bytes().splitlines(keepends=True)
    return []


def write_lines(run: Path, lines: list[bytes]) -> None:
    with suppress(OSError):
        (run / FILE_NAME).unlink(missing_ok=True)
        (run / FILE_NAME).write_bytes(b"".join(lines))


def chained(lines: list[bytes], bodies: dict[int, str]) -> list[bytes]:
    """The lines with new JSON in some of them, and with hashes that match again."""
    made, previous = [], ""
    for number, line in enumerate(lines):
        text = bodies.get(number)
        try:
            event = json.loads(text if text is not None else line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and "sha256" in event and text is None:
            event.pop("sha256")
            event["previous_sha256"] = previous
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        elif text is not None:
            text = text.replace("@PREVIOUS@", previous)
        else:
            made.append(line)
            continue
        body = text.removesuffix("}").encode("utf-8", "surrogatepass")
        previous = hashlib.sha256(body).hexdigest()
        made.append(b'%s,"sha256":"%s"}\n' % (body, previous.encode()))
    return made


# --- values


def put_blob(run: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    path = run / "blobs" / name
    with suppress(OSError):
        if not path.parent.is_symlink() and not os.path.lexists(path):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    return name


def is_own(run: Path, path: Path) -> bool:
    """True if no link leads to the path, so that a change stays in the run."""
    return not any(parent.is_symlink() for parent in path.parents if parent.is_relative_to(run))


@cache
def _packed(piece: bytes, mib: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*(packer.compress(piece * MIB) for _ in range(mib)), packer.flush()])


def gzip_bomb(chance: Random) -> bytes:
    """A few KB that unpack to up to 300 MiB."""
    return _packed(chance.choice([b"\0", b"{}\n", b"\n", b"[],"]), chance.choice([1, 40, 300]))


KINDS = ("text/plain", "text/html", "text/markdown", "image/png", "image/svg+xml", "application/json", "text/latex")


def text_blob(run: Path, chance: Random) -> Json:
    """A reference to a text that is hard to show."""
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(600_000))
    pieces = [
        b"x",
        "😀".encode(),
        b"<div>",
        b"\x1b[31m",
        b"\n",
        b"line\n",
        b"* a\n",
        b"| a ",
        b"`",
        b"$",
        b"[",
        b"&lt;",
        b"\0",
        b"\x7f",
        "\u202e".encode(),
    ]
    piece = chance.choice(pieces)
    return {"$text": put_blob(run, chance.choice([png, b"<svg" + piece * 1000, piece * (MIB // len(piece))]))}


def json_bomb(run: Path, chance: Random) -> Json:
    value: Json = {"$text": put_blob(run, b"x" * chance.choice([100, 100_000]))}
    for _ in range(chance.randrange(1, 14)):
        value = {"$json": put_blob(run, json.dumps([value] * chance.choice([2, 10, 100])).encode())}
    return value


def nested(levels: int, kind: str) -> str:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    return opening * levels + ("1" if kind != "list" else "") + closing * levels


def odd_value(run: Path, chance: Random) -> Json:
    """A value that no event has, as JSON text in `Raw`, or as a value."""

    def blob() -> str:
        return put_blob(run, chance.choice([b"x" * MIB, "😀".encode() * 250_000, b"[" + b"[]," * 300_000 + b"[]]"]))

    makers: list[Callable[[], Json]] = [
        lambda: None,
        lambda: chance.choice([0, -1, 1, 2**31, 2**63, 2**64, 10**30, 10**4000, -(10**4000), 0.5, -1e308, 1e308]),
        lambda: Raw(chance.choice(["1e999", "-1e999", "NaN", "Infinity", "-0", "1" * 5000, "0." + "1" * 400])),
        lambda: chance.choice(["", "\0", "../../etc/passwd", "/etc/passwd", "a\0b", "A" * 64, "0" * 64, "0" * 63, "."]),
        lambda: chance.choice(["x" * MIB, "\r\x1b]0;t\x07" * 100, "\u202e", "\u2028", "\x9b31m", "☃" * 10_000]),
        lambda: Raw(chance.choice(['"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '{"a":1,"a":2}', '""' * 2, "'a'"])),
        lambda: Raw(nested(chance.choice([10, 100, 190, 250, 300, 1000, 100_000]), chance.choice(["list", "dict"]))),
        lambda: chance.choice([{}, [], [{}], [[]], [None], {"": ""}, {"$text": 1}, {"$json": None}, True, False]),
        lambda: [{"$text": blob()}] * chance.choice([1, 3, 20, 3000]),
        lambda: {"$json": blob()},
        lambda: [{"$json": blob()}] * chance.choice([2, 10, 1000]),
        lambda: {"$text": blob()},
        lambda: json_bomb(run, chance),
        lambda: {"$text": chance.choice(["", "\0", "..", "0" * 64, "A" * 64, "/dev/zero"])},
        lambda: {"sha256": put_blob(run, gzip_bomb(chance)), "size_bytes": 10},
        lambda: {"sha256": chance.choice(["\0", "", "../x", "0" * 64]), "size_bytes": chance.choice([0, -1, 2**70])},
        lambda: chance.choice(["1E+999999999", "1e-999999999", "NaN", "sNaN", "Infinity", "-1", "1" * 500]),
        lambda: chance.choice(["http://[", "http://a:99999999", "file:///etc/passwd", "http://\0", "local", "//"]),
        lambda: [{"type": "function", "function": {"name": chance.choice([1, None, "x", {}])}}],
        lambda: {
            "name": chance.choice(["..", "/etc/x", "a/../b", "\0", "a" * 300, "a/" * 3000]),
            "size_bytes": 1,
        },
        lambda: chance.choice(["9999-99-99T99:99", "now", "2026-01-01T00:00:00", "a", "2026"]),
        lambda: [0] * chance.choice([10, 100_000]),
        lambda: Raw("[" + chance.choice(["0,", "{},", "[],", '"",']) * 900_000 + "0]"),
        lambda: Raw("{" + "".join(f'"k{number}":0,' for number in range(chance.choice([99_000, 200_000]))) + '"k":0}'),
        lambda: {"$json": put_blob(run, b"[" + chance.choice([b"0,", b"{},", b"[],"]) * 5_000_000 + b"0]")},
    ]
    return chance.choice(makers)()


class Raw:
    """JSON text that no encoder writes."""

    def __init__(self, text: str) -> None:
        self.text = text


def dumped(event: Json) -> str:
    """JSON that contains each `Raw` value unchanged."""
    raws: list[str] = []

    def default(value: object) -> str:
        assert isinstance(value, Raw)
        raws.append(value.text)
        return f"@RAW{len(raws) - 1}@"

    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=default)
    for number, raw in enumerate(raws):
        text = text.replace(f'"@RAW{number}@"', raw)
    return text


def places_in(value: Json, path: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places_in(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value[:50]):
            found += places_in(item, (*path, number))
    return found


def change_value(event: Json, run: Path, chance: Random) -> None:
    """Change one place of an event."""
    places = [path for path in places_in(event) if path[0] not in ("sha256", "previous_sha256")]
    if not places:
        return
    *outer, last = chance.choice(places)
    holder = event
    for step in outer:
        holder = holder[step]
    action = chance.choice(["odd", "odd", "odd", "odd", "delete", "duplicate", "rename", "wrap", "shuffle"])
    if action == "odd":
        holder[last] = odd_value(run, chance)
    elif action == "delete":
        del holder[last]
    elif action == "duplicate" and isinstance(holder, list):
        holder[last:last] = [holder[last]] * chance.choice([1, 10, 2000])
    elif action == "duplicate" and isinstance(holder[last], list):
        holder[last] = holder[last] * chance.choice([2, 100])
    elif action == "rename" and isinstance(holder, dict):
        holder[chance.choice(["$text", "$json", "$$text", "", "x"])] = holder.pop(last)
    elif action == "wrap":
        holder[last] = chance.choice([[holder[last]], {"a": holder[last]}, str(holder[last])])
    elif action == "shuffle":
        other = chance.choice(places)
        value = event
        for step in other:
            value = value[step]
        holder[last] = copy.deepcopy(value)


def change_json(run: Path, chance: Random) -> None:
    """Change one to three places of one or two lines, and make all hashes match again."""
    lines = read_lines(run)
    if not lines:
        return
    bodies = {}
    for _ in range(chance.choice([1, 1, 2])):
        number = chance.randrange(len(lines))
        with suppress(ValueError, RecursionError, KeyError, IndexError, TypeError):
            event = json.loads(lines[number])
            event.pop("sha256", None)
            for _ in range(chance.choice([1, 1, 3])):
                with suppress(KeyError, IndexError, TypeError):
                    change_value(event, run, chance)
            event["previous_sha256"] = "@PREVIOUS@"
            bodies[number] = dumped(event)
    write_lines(run, chained(lines, bodies))


def change_lines(run: Path, chance: Random) -> None:
    """Drop, repeat or move whole lines, and make all hashes match again."""
    lines = read_lines(run)
    if not lines:
        return
    number = chance.randrange(len(lines))
    match chance.choice(["drop", "repeat", "swap", "cut", "head"]):
        case "drop":
            del lines[number]
        case "repeat":
            lines[number:number] = [lines[number]] * chance.choice([1, 5, 300])
        case "swap":
            other = chance.randrange(len(lines))
            lines[number], lines[other] = lines[other], lines[number]
        case "cut":
            lines = lines[: number + 1]
        case "head":
            lines = lines[number:]
    renumbered = {}
    for place, line in enumerate(lines):
        with suppress(ValueError, RecursionError, TypeError, AttributeError):
            event = json.loads(line)
            event.pop("sha256", None)
            renumbered[place] = dumped(event | {"seq": place, "previous_sha256": "@PREVIOUS@"})
    write_lines(run, chained(lines, renumbered))


# --- bytes


def change_bytes(run: Path, chance: Random) -> None:
    """Change bytes of any file."""
    paths = [path for path in sorted(run.rglob("*")) if stat.S_ISREG(path.lstat().st_mode)]
    if not paths:
        return
    path = chance.choice([*paths, run / FILE_NAME, run / FILE_NAME])
    with suppress(OSError):
        if path.lstat().st_size > 64 * MIB or not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_nlink > 1:
            return
        data = bytearray(path.read_bytes())
        place = chance.randrange(len(data) + 1)
        match chance.choice(["flip", "cut", "insert", "zeros", "append", "newlines", "empty"]):
            case "flip" if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case "cut":
                del data[place:]
            case "insert":
                data[place:place] = chance.choice([b"\0", b"\xff", b'"', b"{", b"\n", b"\r", chance.randbytes(20)])
            case "zeros":
                data[place:place] = b"\0" * chance.choice([100, MIB, 6 * MIB])
            case "append":
                data += chance.choice([b"{}\n", b"torn", b"\n", chance.randbytes(1000)])
            case "newlines":
                data[place:place] = b"\n" * chance.choice([10, MIB])
            case "empty":
                data.clear()
        path.write_bytes(data)


# --- files


def _replace(path: Path, run: Path, outside: Path, chance: Random) -> None:
    """Replace a file or a folder with something else."""
    if not is_own(run, path):
        return
    kept = run / f"kept-{chance.randrange(1000)}"
    with suppress(OSError):
        path.rename(kept)
    elsewhere = [Path("/etc/passwd"), Path("/dev/zero"), Path("/proc/self/mem")]
    inner = chance.choice([*sorted(outside.rglob("*")), outside, *elsewhere])
    kinds = ["link", "link", "link", "own", "fifo", "socket", "folder", "sparse", "device", "hard", "full"]
    with suppress(OSError):
        match chance.choice(kinds):
            case "link":
                path.symlink_to(inner, target_is_directory=inner.is_dir())
            case "own":
                path.symlink_to(os.path.relpath(kept, path.parent))
            case "fifo":
                os.mkfifo(path)
            case "socket":
                with socket.socket(socket.AF_UNIX) as bound:
                    bound.bind(os.path.relpath(path))
            case "folder":
                (path / "a" / "b").mkdir(parents=True)
                (path / "a" / "b" / "file").write_text("of the stranger")
            case "sparse":
                with path.open("wb") as file:
                    file.write(kept.read_bytes() if chance.random() < 0.5 and kept.is_file() else b"")
                    file.truncate(chance.choice([MIB, 100 * MIB, 1 << 40]))
            case "device":
                os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, chance.choice([5, 7, 8, 9])))
            case "hard":
                files = [file for file in sorted(outside.rglob("*")) if file.is_file()]
                os.link(chance.choice(files), path)
            case "full":
                path.write_bytes(b"")
                os.link(path, run / "second-name")


def replace_file(run: Path, outside: Path, chance: Random) -> None:
    """Replace a part of the run with something else."""
    parts = [path for path in sorted(run.rglob("*")) if path.relative_to(run).parts[0][:4] != "kept"]
    named = [run / FILE_NAME, run / "blobs", run / "files"]
    _replace(chance.choice([*parts, *named]), run, outside, chance)


def add_file(run: Path, outside: Path, chance: Random) -> None:
    """Add something that no event mentions."""
    names = ["unknown-1", "blobs/more", "files/more", "blobs/.x.part", "files/a/b/c", "kernel", "files/new\nline"]
    names += ["blobs/" + "0" * 64, os.fsdecode(b"files/\xff"), "files/" + "d/" * 300 + "d"]
    names += [".lock", "results.jsonl", "tasks", "abandoned", "summary.json", "replaced.jsonl"]
    path = run / chance.choice(names)
    with suppress(OSError):
        if not is_own(run, path) or os.path.lexists(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if chance.random() < 0.5:
            path.write_bytes(chance.choice([b"", b"x", b"x" * MIB]))
        else:
            _replace(path, run, outside, chance)


def swap_files(run: Path, chance: Random) -> None:
    """Swap two files."""
    files = [path for path in sorted(run.rglob("*")) if stat.S_ISREG(path.lstat().st_mode)]
    if len(files) > 1:
        one, other = chance.sample(files, 2)
        with suppress(OSError):
            one.rename(run / "swapping")
            other.rename(one)
            (run / "swapping").rename(other)


def bomb_reply(run: Path, chance: Random) -> None:
    """Replace the chunks of each reply with bombs or broken data."""
    lines, bodies = read_lines(run), {}
    for number, line in enumerate(lines):
        with suppress(ValueError, RecursionError, TypeError, AttributeError):
            event = json.loads(line)
            if event.get("type") in ("model", "model_cut"):
                event.pop("sha256", None)
                good = gzip.compress(b'{"choices":[]}\n' * chance.choice([1, 100]))
                data = chance.choice([gzip_bomb(chance), good, b"", good[:-4], chance.randbytes(50)])
                raw = {"sha256": put_blob(run, data), "size_bytes": len(data)}
                bodies[number] = dumped(event | {"raw": raw, "previous_sha256": "@PREVIOUS@"})
    write_lines(run, chained(lines, bodies))


def large_outputs(run: Path, chance: Random) -> None:
    """Make valid events that references make large."""
    lines, bodies = read_lines(run), {}
    text, data = text_blob(run, chance), {"$json": put_blob(run, chance.choice([b"[" + b"0," * 99_999 + b"0]", b"{}"]))}
    times = chance.choice([1, 5, 14, 60, 1000, 30_000])
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "display_data", "data": {chance.choice(KINDS): text}, "metadata": {}},
        {"output_type": "display_data", "data": {chance.choice(KINDS): data}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": [text]},
        {"output_type": "stream", "name": "stderr", "text": ""},
    ]
    for number, line in enumerate(lines):
        with suppress(ValueError, RecursionError, TypeError, AttributeError):
            event = json.loads(line)
            event.pop("sha256", None)
            match event.get("type"):
                case "tool" if event.get("execution"):
                    made = [chance.choice(outputs)] * times
                    inline = chance.random() < 0.5
                    packed = {"$json": put_blob(run, json.dumps(made).encode())}
                    event["execution"] |= {"outputs": made if inline else packed, "omitted_bytes": 0}
                    event |= chance.choice([{"code": text}, {"arguments": text}, {"observation": text}, {}])
                case "model" | "model_cut":
                    event |= chance.choice([{"content": text}, {"reasoning": text}, {}])
                case "instruction":
                    event["text"] = text
            bodies[number] = dumped(event | {"previous_sha256": "@PREVIOUS@"})
    write_lines(run, chained(lines, bodies))


def crowd(run: Path, chance: Random) -> None:
    """Repeat one event, or a shortening of the history, thousands of times."""
    if not (lines := read_lines(run)):
        return
    place, times = chance.randrange(1, len(lines) + 1), chance.choice([100, 3_000, 20_000])
    shortened = '{"type":"history_shortened","observations":[%s]}'
    cut = chance.choice(["", '{"seq":2,"max_chars":1,"content":"x"}', '{"seq":3,"max_chars":1,"content":"x"}'])
    changed = '{"type":"sandbox","kind":"started","reason":"x"}'
    bodies = [shortened % cut, changed, lines[min(place, len(lines) - 1)].decode("utf-8", "replace")]
    with suppress(ValueError, RecursionError, AttributeError):
        event = json.loads(chance.choice(bodies))
        before, after = lines[:place], [json.loads(line) for line in lines[place:]]
        events = [{"time": "", **event}] * times + after
        placed = enumerate(events, start=place)
        made = {number: dumped(_placed(event, number)) for number, event in placed}
        write_lines(run, chained(before + [b"{}\n"] * len(events), made))


def _placed(event: Json, number: int) -> Json:
    return {name: value for name, value in event.items() if name != "sha256"} | {
        "seq": number,
        "previous_sha256": "@PREVIOUS@",
    }


def mutate(run: Path, outside: Path, chance: Random) -> list[str]:
    """Change a run directory, and return the names of the changes."""
    changes: dict[str, Callable[[], None]] = {
        "json": lambda: change_json(run, chance),
        "lines": lambda: change_lines(run, chance),
        "bytes": lambda: change_bytes(run, chance),
        "replaced": lambda: replace_file(run, outside, chance),
        "added": lambda: add_file(run, outside, chance),
        "swapped": lambda: swap_files(run, chance),
        "chunks": lambda: bomb_reply(run, chance),
        "large": lambda: large_outputs(run, chance),
        "crowded": lambda: crowd(run, chance),
    }
    names = chance.choices(list(changes), weights=[8, 3, 3, 4, 3, 1, 1, 1, 0.3], k=chance.choice([1, 1, 1, 2, 3]))
    for name in names:
        changes[name]()
    return names
