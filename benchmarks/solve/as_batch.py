"""Write the tasks as the input of a batch: `python -m benchmarks.solve.as_batch DIR`, then `cellblock batch`."""

import json
import sys
from pathlib import Path
from typing import Any

from agent.batch.scoring.matching import Date, Expected, Number, Pattern, Text
from benchmarks.solve.files import write
from benchmarks.solve.tasks import load_tasks


def expectation(expected: Expected) -> Any:
    """What is expected, as a tasks file says it."""
    match expected:
        case Number(value=value, tolerance=tolerance):
            return {"number": value, "tolerance": tolerance}
        case Text(any_of=right, none_of=wrong, case=case):
            return {"text": right, "not": wrong, "case": case}
        case Date(value=day):
            return {"date": day.isoformat()}
        case Pattern(value=pattern):
            return {"regex": f"(?i){pattern}"}
    raise TypeError(f"A task expects no {expected!r}.")


def main() -> None:
    """Write `tasks.jsonl` and the files that its tasks name."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for task in load_tasks():
        for name in task.files:
            write(name, directory)
        line = {"id": task.id, "task": task.text, "files": task.files, "expect": expectation(task.expected)}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    (directory / "tasks.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
