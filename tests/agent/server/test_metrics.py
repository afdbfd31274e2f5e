"""What is counted, as Prometheus reads it."""

import re

import pytest

from agent.server.metrics import Metrics
from agent.server.owner import Owner
from agent.server.work.places import Places


async def no_room(owner_id: str | None) -> bool:
    return False


@pytest.fixture
def places() -> Places:
    return Places(3, queue_s=0, make_room=no_room)


def samples(metrics: Metrics) -> dict[str, float]:
    """The value of each series, without the prefix of all names."""
    lines = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    return {
        name.removeprefix("cellblock_"): float(value) for name, _, value in (line.rpartition(" ") for line in lines)
    }


async def test_all_is_counted(places: Places) -> None:
    metrics = Metrics(places)
    await places.take(Owner())
    metrics.count_request("responses", 200)
    metrics.count_request("responses", 200)
    metrics.count_tokens(100, 20)
    metrics.count_tokens(1, 2)
    metrics.count_cell(0.5)
    metrics.count_cell(1.25)
    metrics.count_death("out_of_memory")
    with metrics.answering():
        assert samples(metrics) == {
            'requests_total{protocol="responses",status="200"}': 2,
            'tokens_total{direction="in"}': 101,
            'tokens_total{direction="out"}': 22,
            'sandboxes{state="used"}': 1,
            'sandboxes{state="free"}': 2,
            "cell_seconds_total": 1.75,
            'deaths_total{cause="out_of_memory"}': 1,
            "running_answers": 1,
        }
    assert samples(metrics)["running_answers"] == 0


def test_an_answer_that_fails_runs_no_more(places: Places) -> None:
    metrics = Metrics(places)
    with pytest.raises(ZeroDivisionError), metrics.answering():
        raise ZeroDivisionError
    assert samples(metrics)["running_answers"] == 0


def test_each_line_has_the_form_of_the_format(places: Places) -> None:
    metrics = Metrics(places)
    metrics.count_death('a "quoted"\\cause\nof death')
    text = metrics.text()
    assert text.endswith("\n")
    name = r"cellblock_[a-z_]+"
    sample = rf'{name}(\{{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\}})? [0-9.e+-]+'
    form = re.compile(rf"# HELP {name} .+|# TYPE {name} (counter|gauge)|{sample}")
    assert [line for line in text.splitlines() if not form.fullmatch(line)] == []
