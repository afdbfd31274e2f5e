"""What a finish reason means: servers have many words for few ends."""

import re
from typing import Any

from agent.text import encodable

CUT = "length"
"""The reply is cut off at the limit on output tokens."""
REFUSED = "refusal"
"""The model says in its own words that it does not answer."""

_GOOD = frozenset(
    (
        *("stop", "stopsequence", "stopword", "eos", "eosfound", "eostoken", "endturn", "end", "endoftext", "normal"),
        *("toolcalls", "toolcall", "tooluse", "functioncall", "functioncalls"),
        *("complete", "completed", "done", "finish", "finished", "success", "succeeded", REFUSED),
    )
)
"""The reasons of a whole reply, as letters."""
_CUT = frozenset(
    (
        *("length", "maxlength", "maxtokens", "maxtoken", "maxoutputtokens", "maxcompletiontokens", "tokenlimit"),
        *("modellength", "modelcontextwindowexceeded"),
    )
)
_FILTERED = re.compile(
    r"filter|safety|unsafe|sensitive|moderat|prohibit|block|recitation|spii|guardrail|toxic|refus|inspection|policy"
    r"|violat|harm|copyright"
)


def reason_of(value: Any) -> str | None:
    """The reason as the server writes it, but "length" for each word for a cut. None if there is none."""
    reason = value.get("type") if isinstance(value, dict) else value
    if not isinstance(reason, str) or reason.strip().lower() in ("", "null", "none"):
        return None
    letters = _letters(reason)
    return CUT if letters in _CUT else REFUSED if letters == REFUSED else encodable(reason)


def is_whole(reason: str) -> bool:
    """True if the reason is known to be that of a whole reply, or of one that reached the limit on tokens."""
    return reason == CUT or _letters(reason) in _GOOD


def is_filtered(reason: str) -> bool:
    """True if the provider stopped the reply for what it says."""
    return not is_whole(reason) and _FILTERED.search(_letters(reason)) is not None


def _letters(reason: str) -> str:
    """The last word, such as "endturn" of "FinishReason.END_TURN"."""
    return re.sub(r"[^a-z]", "", reason.rpartition(".")[2].lower())
