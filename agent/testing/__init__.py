"""For tests of code that talks to a model: a real HTTP server on loopback that answers from a script, strictly.

    with ScriptedEndpoint([calls("print(6*7)"), says("It is 42.")], profile=OLLAMA) as endpoint:
        ...  # whatever asks endpoint.base_url

What a server says and how it says it are apart: `script` holds the replies and the faults, `profiles` the habits of
the servers that one meets. A request beyond the script, one that is not what its step expects, and a step that was
not used fail the test, each by name.
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
