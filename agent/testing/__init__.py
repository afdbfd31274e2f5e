"""A real HTTP server on loopback that answers from a strict script, for tests of code that talks to a model.

    with ScriptedEndpoint([calls("print(6*7)"), says("It is 42.")], profile=OLLAMA) as endpoint:
        ...  # code that asks endpoint.base_url

Content and format are separate: `script` has the replies and the faults, `profiles` the formats of known servers. A
request beyond the script, a request that differs from its step, and an unused step fail the test with a message.
"""

from agent.testing.profiles import (
    GATEWAY,
    LLAMA_CPP,
    MODEL_STUDIO,
    OLLAMA,
    OPENAI,
    PLAIN,
    PROFILES,
    SGLANG,
    UNPARSED,
    VLLM,
    Answer,
    Chunk,
    Profile,
    ScriptedCall,
)
from agent.testing.script import (
    EMPTY_STREAM,
    GARBAGE,
    HTML_PAGE,
    Cut,
    Failing,
    Hang,
    Late,
    Mislabelled,
    Raw,
    Refusal,
    Reply,
    Slow,
    Stream,
    Unstreamed,
    When,
    calls,
    says,
    stream_of,
    thinks,
    when,
)
from agent.testing.server import ScriptedEndpoint

__all__ = [
    "EMPTY_STREAM",
    "GARBAGE",
    "GATEWAY",
    "HTML_PAGE",
    "LLAMA_CPP",
    "MODEL_STUDIO",
    "OLLAMA",
    "OPENAI",
    "PLAIN",
    "PROFILES",
    "SGLANG",
    "UNPARSED",
    "VLLM",
    "Answer",
    "Chunk",
    "Cut",
    "Failing",
    "Hang",
    "Late",
    "Mislabelled",
    "Profile",
    "Raw",
    "Refusal",
    "Reply",
    "ScriptedCall",
    "ScriptedEndpoint",
    "Slow",
    "Stream",
    "Unstreamed",
    "When",
    "calls",
    "says",
    "stream_of",
    "thinks",
    "when",
]
