"""How a conversation goes on where something has changed: ids twice, a lost run directory, another model."""

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from agent.pricing import Prices
from agent.record.transcript import read
from agent.testing import calls, says
from tests.agent.server.serving import CODE_TOOL, served

pytestmark = [pytest.mark.usefixtures("no_engine", "clean_environ")]
POWER: list[Any] = [calls("x = 42\nprint(x)"), says("It is 42.")]


@pytest.mark.parametrize("is_before", [True, False])
async def test_an_item_that_is_there_already_is_refused_by_its_id(tmp_path: Path, is_before: bool) -> None:
    async with served(POWER, tmp_path) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="6 * 7?", tools=[CODE_TOOL])
        said = first.output[-1].model_dump()
        items = [said, {"role": "user", "content": "Again?"}]
        options = {"previous_response_id": first.id, "input": items} if is_before else {"input": [said, *items]}
        with pytest.raises(openai.BadRequestError, match=said["id"]) as raised:
            await client.responses.create(model="m", tools=[CODE_TOOL], **options)
    assert raised.value.param == "input"


async def test_a_run_directory_that_is_gone_is_told_and_what_was_uploaded_is_put_there_again(tmp_path: Path) -> None:
    async with served([*POWER, says("Lost."), says("Lost still.")], tmp_path) as server:
        client = server.client()
        container = await client.containers.create(name="c")
        await client.containers.files.create(container.id, file=("in.txt", b"ab"))
        tools = [{"type": "code_interpreter", "container": container.id}]
        first = await client.responses.create(model="m", input="6 * 7?", tools=tools)
        await server.service.desk.sandboxes.end(container.id)
        shutil.rmtree(tmp_path / "runs" / container.id)
        second = await client.responses.create(model="m", input="?", tools=tools, previous_response_id=first.id)
        third = await client.responses.create(model="m", input="?", tools=tools, previous_response_id=second.id)
    assert "variables and files of earlier answers are lost" in second.metadata["cellblock_lost"]
    assert [file.name for file in read(tmp_path / "runs" / container.id).started.files] == ["in.txt"]
    assert not third.metadata


async def test_each_model_of_a_container_is_counted_with_its_own_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def names(_: object) -> list[str]:
        return ["m", "dear"]

    monkeypatch.setattr("agent.endpoint.model.Model.names", names)
    priced = {name: {"input": price, "output": 0} for name, price in (("m", 1), ("dear", 100))}
    prices = Prices.model_validate({"currency": "EUR", "models": priced})
    async with served([*POWER, says("It is 42.")], tmp_path, options={"prices": prices}) as server:
        client = server.client()
        first = await client.responses.create(model="m", input="6 * 7?", tools=[CODE_TOOL])
        second = await client.responses.create(
            model="dear", input="Again?", tools=[CODE_TOOL], previous_response_id=first.id
        )
    assert (first.usage.input_tokens, second.usage.input_tokens) == (20, 10)
    (run,) = (tmp_path / "runs").iterdir()
    finished = read(run).finished
    assert finished is not None
    assert finished.cost is not None
    assert finished.cost.amount == Decimal(20 * 1 + 10 * 100) / 1_000_000
