"""What one request asks for, whatever its protocol."""

from dataclasses import dataclass, field

from agent.endpoint.config import Sampling
from agent.messages import Message
from agent.server.owner import Owner
from agent.tools.outside import OutsideTool


@dataclass(frozen=True)
class Job:
    """A question with all that its answer depends on. The server's own settings bound it."""

    owner: Owner
    model: str
    """The model's name as the request has it."""
    question: str
    history: tuple[Message, ...] = ()
    """What was said before, in the form of Chat Completions, without system messages."""
    images: tuple[str, ...] = ()
    """URLs of images that came with the question."""
    call_id: str | None = None
    """The last call of the history, if `question` is its result."""
    instructions: str = ""
    """The request's own instructions and system messages."""
    functions: tuple[OutsideTool, ...] = ()
    must_call: tuple[str, ...] = ()
    """The tools of which one must be called before the answer; empty if the model chooses."""
    sampling: Sampling = field(default_factory=Sampling)
    """What the request asks for; what is None is as the server has it."""
    max_calls: int | None = None
    max_written_tokens: int | None = None
