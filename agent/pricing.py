"""The cost of a run: the user's table of prices, and exact arithmetic. No price is built in.

The whole request is billed at the tier of its input tokens (Model Studio, "tiered pricing"). Unless the table says
otherwise, tokens found in the automatic context cache cost 20 % of the input price, tokens that a marker finds there
10 %, and tokens that a marker stores there 125 %. A reply without thinking is billed without it, in any mode.
"""

import shlex
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from agent.errors import UsageError
from agent.messages import Cost, Usage
from agent.validation import first_complaint
from sandbox.settings import Settings

CACHED_SHARE = Decimal("0.2")
EXPLICIT_CACHED_SHARE = Decimal("0.1")
CACHE_CREATION_SHARE = Decimal("1.25")


Price = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=24)]


class Tier(Settings):
    """The prices of requests up to a number of input tokens. A price that is None is a fixed share of another."""

    up_to_input_tokens: int | None = Field(None, gt=0)
    """The largest input of this tier; None is unlimited."""
    input: Price
    output: Price
    thinking_output: Price | None = None
    """The price of the whole output if the reply has thinking."""
    cached_input: Price | None = None
    explicit_cached_input: Price | None = None
    cache_creation: Price | None = None


class ModelPrice(Settings):
    """The tiers of a model, from small to large; a model without tiers has one."""

    tiers: tuple[Tier, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _one_tier(cls, value: Any) -> Any:
        return value if not isinstance(value, dict) or "tiers" in value else {"tiers": [value]}

    @model_validator(mode="after")
    def _in_order(self) -> "ModelPrice":
        ends = [tier.up_to_input_tokens for tier in self.tiers]
        if None in ends[:-1] or ends[:-1] != sorted(set(ends[:-1]), key=lambda end: end or 0):
            raise ValueError("the tiers must go from small to large, and only the last may be without end")
        if len(ends) > 1 and ends[-1] is not None and ends[-1] <= (ends[-2] or 0):
            raise ValueError("the tiers must go from small to large, and only the last may be without end")
        return self


class Prices(Settings):
    """A table of prices."""

    currency: str = Field(min_length=1)
    per_tokens: Literal[1, 1000, 1_000_000] = 1_000_000
    """The number of tokens that a price is for."""
    models: dict[str, ModelPrice]
    """By name, or by a pattern like `qwen3-coder-plus*`; a name takes precedence over a pattern."""

    def only(self, model: str) -> "Prices | None":
        """The table with only the price of one model, by its name; None if it has none."""
        price = self._price(model)
        return self.model_copy(update={"models": {model: price}}) if price else None

    def tier(self, model: str, input_tokens: int) -> Tier | None:
        """The prices of a request; None if the table has none."""
        price = self._price(model)
        tiers = price.tiers if price else ()
        return next((t for t in tiers if t.up_to_input_tokens is None or input_tokens <= t.up_to_input_tokens), None)

    def _price(self, model: str) -> ModelPrice | None:
        name = next((name for name in self.models if name == model or fnmatchcase(model, name)), None)
        return self.models.get(model) or (self.models[name] if name else None)


def cost_of(model: str, usage: Usage, prices: Prices | None, *, thought: bool | None = None) -> Cost | None:
    """The cost of one request; None if it has no price.

    `thought` says whether the reply has thinking; None decides by the count of its tokens.
    """
    tier = prices.tier(model, usage.input_tokens) if prices else None
    if prices is None or tier is None:
        return None
    special = usage.cached_tokens + usage.explicit_cached_tokens + usage.cache_creation_tokens
    has_thinking = usage.reasoning_tokens > 0 if thought is None else thought
    output = tier.thinking_output if has_thinking and tier.thinking_output is not None else tier.output
    amount = (
        max(0, usage.input_tokens - special) * tier.input
        + usage.cached_tokens * _or_share(tier.cached_input, tier.input, CACHED_SHARE)
        + usage.explicit_cached_tokens * _or_share(tier.explicit_cached_input, tier.input, EXPLICIT_CACHED_SHARE)
        + usage.cache_creation_tokens * _or_share(tier.cache_creation, tier.input, CACHE_CREATION_SHARE)
        + usage.output_tokens * output
    )
    return Cost(amount=amount / prices.per_tokens, currency=prices.currency)


def total_cost(costs: Iterable[Cost | None]) -> Cost | None:
    """The sum; None if there are no costs or one is unknown."""
    known: list[Cost] = []
    for cost in costs:
        if cost is None:
            return None
        known.append(cost)
    if not known:
        return None
    return Cost(amount=sum((cost.amount for cost in known), Decimal(0)), currency=known[0].currency)


def read_prices(path: Path) -> Prices:
    """Read a table. Raises UsageError with the file and the line or the key that is wrong."""
    hint = f"cat {shlex.quote(str(path))}"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise UsageError(f"Cannot read the price table {str(path)!r}: {error.strerror}.", hint="ls") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The price table {str(path)!r} is not UTF-8.", hint=hint) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"The price table {str(path)!r} is not TOML: {str(error)[:200]}.", hint=hint) from error
    try:
        return Prices.model_validate(data)
    except ValidationError as error:
        detail = first_complaint(error)
        place = f" at {_key(data, detail['loc'])}" if detail["loc"] else ""
        reason = detail["msg"].removeprefix("Value error, ")
        reason = reason[:1].lower() + reason[1:]
        raise UsageError(f"The price table {str(path)!r} is wrong{place}: {reason}.", hint=hint) from error


def _key(data: Any, place: tuple[str | int, ...]) -> str:
    """The key as written in the file: no tiers are named for a model without them."""
    parts: list[str] = []
    for part in place:
        is_there = part in data if isinstance(data, dict) else isinstance(part, int) and isinstance(data, list)
        if is_there or part == place[-1]:
            parts.append(str(part))
        data = data[part] if is_there else data
    return ".".join(parts)


def _or_share(price: Decimal | None, of: Decimal, share: Decimal) -> Decimal:
    return of * share if price is None else price
