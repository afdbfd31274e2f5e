"""The real model goes on with a reply of its own that was cut off."""

import pytest

from agent import Sampling
from agent.endpoint.config import LocalModel
from agent.endpoint.model import Model
from agent.local import DEFAULT_MODEL, find, serve

pytestmark = pytest.mark.model
MESSAGES = [
    {"role": "system", "content": "You are a Python programmer."},
    {"role": "user", "content": "Write the numbers from one to ten in words, separated by commas."},
]


async def test_both_parts_are_what_it_would_have_said_at_once() -> None:
    path = find(DEFAULT_MODEL)
    assert path is not None
    async with serve(path) as server:
        endpoint = LocalModel().endpoint(server.base_url, server.api_key)
        async with (
            Model(endpoint, Sampling(temperature=0, max_output_tokens=60), headers=server.headers) as patient,
            Model(endpoint, Sampling(temperature=0, max_output_tokens=8), headers=server.headers) as hasty,
        ):
            whole = (await patient.generate(MESSAGES, [], lambda kind, text: None)).reply
            cut = (await hasty.generate(MESSAGES, [], lambda kind, text: None)).reply
            prefix = cut.content.rstrip()
            assert cut.finish_reason == "length"
            both = (await patient.generate(MESSAGES, [], lambda kind, text: None, prefix=prefix)).reply
    assert whole.content.startswith(prefix)
    assert both.content == whole.content
