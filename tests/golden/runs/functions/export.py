# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

import asyncio as _asyncio
import builtins as _builtins
import json as _json

_answers = {}


def _key(function, arguments):
    text = _json.dumps(arguments, default=lambda one: one.item() if _builtins.hasattr(one, "item") else one.isoformat())
    return _json.dumps([function, _json.loads(text, parse_constant=lambda _: None)], sort_keys=True)


def _error(name, message):
    kind = _builtins.getattr(_builtins, name, None)
    try:
        if _builtins.issubclass(kind, Exception):
            return kind(message)
    except TypeError:  # there is no such class, or it takes more than a text
        pass
    return _builtins.type(name, (RuntimeError,), {})(message)


def record_answers(function, lines):
    """Keep the answers that the calls of a function had in the run, one call a line."""
    for line in lines.strip().splitlines():
        arguments, *answer = _json.loads(line)
        _answers.setdefault(_key(function, arguments), []).append(answer)


def recorded_answer(function, /, **arguments):
    """The answer that a call had in the run. Equal calls get theirs in the order of the run."""
    key = _key(function, {name: value for name, value in arguments.items() if value is not ...})
    if not _answers.get(key):
        raise LookupError(f"The run has no such call: {key}")
    answer = _answers[key].pop(0)
    if not answer:
        raise _StoppedError("The cell has ended.")
    value, *error = answer
    if error:
        raise _error(*error)
    return value


async def recorded_coroutine(function, /, **arguments):
    """The same for a coroutine. A call that the run stopped never comes back, as it did then."""
    try:
        return recorded_answer(function, **arguments)
    except _StoppedError:
        await _asyncio.Event().wait()


class _StoppedError(RuntimeError):
    pass


record_answers("price_of", r"""
[{"product": "nut", "pieces": 1}, 0.1]
[{"product": "nut", "pieces": 2}, 0.2]
[{"product": "nut", "pieces": 3}, 0.30000000000000004]
[{"product": "nut", "pieces": 4}, 0.4]
[{"product": "nut", "pieces": 5}, 0.5]
[{"product": "nut", "pieces": 6}, 0.6000000000000001]
[{"product": "screw"}, null, "KeyError", "screw"]
""")


def price_of(product, pieces=...):
    return recorded_answer("price_of", product=product, pieces=pieces)


# ── Question
# What do one to six nuts cost together, and a screw?

# ── Cell 1
total = sum(price_of("nut", pieces) for pieces in range(1, 7))
try:
    print(price_of(product="screw"))
except KeyError:
    print(round(total, 2), "no such product")

# ── Answer
# The nuts cost 2.10 euros, and there is no screw.

# ── Outcome: answered, 20 + 10 tokens, 2.5 s
