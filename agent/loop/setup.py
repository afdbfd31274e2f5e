"""How the questions of a conversation are answered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.endpoint.generator import Generator
from agent.limits import Limits
from agent.loop.loop import CostOf
from agent.messages import Message
from agent.pricing import Prices
from agent.record.events import ModelSettings
from agent.tools.functions import FunctionTool
from agent.tools.outside import OutsideTool


@dataclass(frozen=True)
class Setup:
    """The model and the rules of one conversation, whatever it is asked."""

    model: Generator
    settings: ModelSettings
    limits: Limits
    tools: Sequence[FunctionTool | OutsideTool]
    prices: Prices | None
    """The prices of the model; None if it has none."""
    cost_of: CostOf
    context_tokens: int | None
    """How many tokens the model can read and write together; None if unknown."""
    secrets: Collection[str]
    """What must not be recorded."""
    instructions: str = ""
    """The caller's own, which the system prompt ends with."""


@dataclass(frozen=True)
class Anew:
    """How a question is answered whose caller has its own history and rules. The sandbox goes on."""

    setup: Setup
    history: Sequence[Message] = ()
    """What was said before it, by the account of the caller, in the form of Chat Completions."""
    call_id: str | None = None
    """The last call of the history, if the caller tells its result in place of a question."""
    must_call: Sequence[str] = ()
    """The tools of which the caller wants one to be called before the answer."""
    removed: Sequence[str] = ()
    """The names of the files that the caller removes from the workspace first."""
    is_said_here: bool = False
    """True if the history is what was said in this conversation: it goes on if the rules are the same, too."""
