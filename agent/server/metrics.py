"""What a server counts, in the text format of Prometheus: counters and gauges, which need no library.

See https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agent.server.work.places import Places

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counts since the start of the server. All labels are words of ours, so their number is bounded."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._requests: Counter[Labels] = Counter()
        self._tokens: Counter[Labels] = Counter({(("direction", "in"),): 0, (("direction", "out"),): 0})
        self._deaths: Counter[Labels] = Counter()
        self._cell_s = 0.0
        self._answers = 0

    def count_request(self, protocol: str, status: int) -> None:
        """Count a request that has ended."""
        self._requests[("protocol", protocol), ("status", str(status))] += 1

    def count_tokens(self, input_tokens: int, output_tokens: int) -> None:
        """Count the tokens of an answer."""
        self._tokens[(("direction", "in"),)] += input_tokens
        self._tokens[(("direction", "out"),)] += output_tokens

    def count_cell(self, duration_s: float) -> None:
        """Count a cell that has run."""
        self._cell_s += duration_s

    def count_death(self, cause: str) -> None:
        """Count a kernel or sandbox that has ended before its time."""
        self._deaths[(("cause", cause),)] += 1

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer as running for as long as the block runs."""
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    def text(self) -> str:
        """All of it as Prometheus reads it."""
        used = self._places.taken
        sandboxes: dict[Labels, int] = {
            (("state", "used"),): used,
            (("state", "free"),): max(self._places.number - used, 0),
        }
        lines = (
            *_series("requests_total", "counter", "Requests that have ended.", self._requests),
            *_series("tokens_total", "counter", "Tokens read and written by models.", self._tokens),
            *_series("sandboxes", "gauge", "Places for sandboxes.", sandboxes),
            *_series("cell_seconds_total", "counter", "Time for which cells have run.", {(): self._cell_s}),
            *_series("deaths_total", "counter", "Kernels and sandboxes that ended early.", self._deaths),
            *_series("running_answers", "gauge", "Answers at work.", {(): self._answers}),
        )
        return "".join(f"{line}\n" for line in lines)


def _series(name: str, kind: str, told: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# HELP cellblock_{name} {told}"
    yield f"# TYPE cellblock_{name} {kind}"
    for labels, value in sorted(values.items()):
        named = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"cellblock_{name}{{{named}}} {value}" if named else f"cellblock_{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
