"""The cost of a request, by examples computed by hand, and the errors for a bad table."""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Cost, Prices, Usage, UsageError
from agent.pricing import Tier, cost_of, read_prices, total_cost
from tests.docs.pages import blocks

TABLE = """
currency = "USD"

[models."coder"]
input = 1
output = 5

[[models."tiered*".tiers]]
up_to_input_tokens = 32_000
input = 1.0
output = 5.0

[[models."tiered*".tiers]]
up_to_input_tokens = 128_000
input = 1.8
output = 9.0

[models."thinker"]
input = 0.4
output = 1.2
thinking_output = 4

[models."own-shares"]
input = 10
output = 20
cached_input = 3
explicit_cached_input = 0
cache_creation = 10
"""


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    path = tmp_path / "prices.toml"
    path.write_text(TABLE)
    return read_prices(path)


GOLDEN: dict[str, tuple[str, Usage, str]] = {
    # 1000 * 1 + 200 * 5 = 2000 millionths
    "plain": ("coder", Usage(input_tokens=1000, output_tokens=200), "0.002"),
    # 400 * 1 + 600 * 0.2 + 200 * 5 = 1520
    "implicit cache": ("coder", Usage(input_tokens=1000, cached_tokens=600, output_tokens=200), "0.00152"),
    # 100 * 1 + 600 * 0.1 + 300 * 1.25 + 200 * 5 = 1535
    "explicit cache": (
        "coder",
        Usage(input_tokens=1000, explicit_cached_tokens=600, cache_creation_tokens=300, output_tokens=200),
        "0.001535",
    ),
    # 100 * 10 + 200 * 3 + 300 * 0 + 400 * 10 + 1 * 20 = 5620
    "shares of the table": (
        "own-shares",
        Usage(
            input_tokens=1000,
            cached_tokens=200,
            explicit_cached_tokens=300,
            cache_creation_tokens=400,
            output_tokens=1,
        ),
        "0.00562",
    ),
    # 32000 * 1 + 1000 * 5 = 37000
    "the end of a tier": ("tiered-model", Usage(input_tokens=32_000, output_tokens=1000), "0.037"),
    # 32001 * 1.8 + 1000 * 9 = 57601.8 + 9000 = 66601.8: the whole request at the second tier
    "the start of the next": ("tiered-model", Usage(input_tokens=32_001, output_tokens=1000), "0.0666018"),
    # 100000 * 1.8 * 0.2 + 0 = 36000: cached tokens count for the tier
    "a tier by cached tokens": ("tiered-model", Usage(input_tokens=100_000, cached_tokens=100_000), "0.036"),
    # 100 * 0.4 + 50 * 1.2 = 100
    "without thinking": ("thinker", Usage(input_tokens=100, output_tokens=50), "0.0001"),
    # 100 * 0.4 + 50 * 4 = 240: the whole output, thinking and answer
    "with thinking": ("thinker", Usage(input_tokens=100, output_tokens=50, reasoning_tokens=20), "0.00024"),
    # a price for thinking alone changes nothing elsewhere: 50 * 5 = 250
    "thinking at one price": ("coder", Usage(output_tokens=50, reasoning_tokens=20), "0.00025"),
    "nothing": ("coder", Usage(), "0"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_a_request_costs_what_the_table_says_to_the_last_digit(case: str, prices: Prices) -> None:
    model, usage, amount = GOLDEN[case]
    assert cost_of(model, usage, prices) == Cost(amount=Decimal(amount), currency="USD")


def test_the_caller_reports_thinking_that_the_endpoint_does_not_count(prices: Prices) -> None:
    usage = Usage(input_tokens=100, output_tokens=50)
    cost = cost_of("thinker", usage, prices, thought=True)
    assert cost is not None
    assert cost.amount == Decimal("0.00024")


@pytest.mark.parametrize(("model", "tokens"), [("unknown", 1), ("tiered-model", 128_001)])
def test_a_request_outside_the_table_has_no_price(model: str, tokens: int, prices: Prices) -> None:
    assert cost_of(model, Usage(input_tokens=tokens), prices) is None
    assert cost_of(model, Usage(input_tokens=tokens), None) is None


def test_a_name_takes_precedence_over_a_pattern() -> None:
    prices = Prices.model_validate(
        {"currency": "CNY", "models": {"q*": {"input": 1, "output": 1}, "qwen": {"input": 2, "output": 2}}}
    )
    assert cost_of("qwen", Usage(input_tokens=1_000_000), prices) == Cost(amount=Decimal(2), currency="CNY")


def test_a_run_costs_the_sum_of_its_requests_and_not_the_tier_of_their_sum(prices: Prices) -> None:
    turn = Usage(input_tokens=20_000, output_tokens=100)
    cost = total_cost([cost_of("tiered-model", turn, prices)] * 2)
    assert str(cost) == "0.041 USD"  # 2 * (20000 * 1 + 100 * 5); at the second tier it would be 0.0738


def test_a_run_has_no_price_if_one_of_its_turns_has_none() -> None:
    assert total_cost([Cost(amount=Decimal(1), currency="USD"), None]) is None
    assert total_cost([]) is None


def test_prices_may_be_for_a_thousand_tokens() -> None:
    prices = Prices.model_validate(
        {"currency": "CNY", "per_tokens": 1000, "models": {"m": {"input": Decimal("0.004"), "output": 0}}}
    )
    assert str(cost_of("m", Usage(input_tokens=500), prices)) == "0.002 CNY"


counts = st.integers(0, 10**7)


@given(st.lists(st.builds(Usage, input_tokens=counts, output_tokens=counts), min_size=1, max_size=5))
def test_the_cost_of_a_sum_is_the_sum_of_the_costs_if_there_are_no_tiers(usages: list[Usage]) -> None:
    prices = Prices.model_validate({"currency": "USD", "models": {"m": {"input": Decimal("0.3"), "output": "0.7"}}})
    whole = sum(usages, Usage())
    assert cost_of("m", whole, prices) == total_cost(cost_of("m", usage, prices) for usage in usages)


def test_the_table_in_the_documentation_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(blocks("docs/prices.md", "toml")[0])
    table = read_prices(path)
    shown = {name for price in table.models.values() for tier in price.tiers for name in tier.model_fields_set}
    assert shown == set(Tier.model_fields)
    assert set(Prices.model_fields) == table.model_fields_set


BAD: dict[str, tuple[bytes, str]] = {
    "no TOML": (
        b'currency = "USD"\n[models\n',
        "is not TOML: Expected ']' at the end of a table declaration (at line 2, column 8).",
    ),
    "no currency": (b"[models]\n", "is wrong at currency: field required."),
    "no models": (b'currency = "USD"\n', "is wrong at models: field required."),
    "a price below nothing": (
        b'currency = "USD"\n[models.m]\ninput = -1\noutput = 1\n',
        "is wrong at models.m.input: input should be greater than or equal to 0.",
    ),
    "no output price": (
        b'currency = "USD"\n[models.m]\ninput = 1\n', "is wrong at models.m.output: field required.",
    ),
    "an unknown key": (
        b'currency = "USD"\n[models.m]\ninput = 1\noutput = 1\noutpt = 1\n',
        "is wrong at models.m.outpt: extra inputs are not permitted.",
    ),
    "no number": (
        b'currency = "USD"\n[models.m]\ninput = "free"\noutput = 1\n',
        "is wrong at models.m.input: input should be a valid decimal.",
    ),
    "infinity": (
        b'currency = "USD"\n[models.m]\ninput = inf\noutput = 1\n',
        "is wrong at models.m.input: input should be a finite number.",
    ),
    "tiers out of order": (
        b'currency = "USD"\n[[models.m.tiers]]\nup_to_input_tokens = 9\ninput = 1\noutput = 1\n'
        b"[[models.m.tiers]]\nup_to_input_tokens = 3\ninput = 1\noutput = 1\n",
        "is wrong at models.m: the tiers must go from small to large, and only the last may be without end.",
    ),
    "a tier behind one without end": (
        b'currency = "USD"\n[[models.m.tiers]]\ninput = 1\noutput = 1\n'
        b"[[models.m.tiers]]\nup_to_input_tokens = 3\ninput = 1\noutput = 1\n",
        "is wrong at models.m: the tiers must go from small to large, and only the last may be without end.",
    ),
    "tokens by the dozen": (
        b'currency = "USD"\nper_tokens = 12\n[models]\n',
        "is wrong at per_tokens: input should be 1, 1000 or 1000000.",
    ),
    "a price below nothing in a tier": (
        b'currency = "USD"\n[[models.m.tiers]]\ninput = 1\noutput = -1\n',
        "is wrong at models.m.tiers.0.output: input should be greater than or equal to 0.",
    ),
    "far too many errors": (
        b'currency = "USD"\n[models]\n' + b"".join(b"%d = 1\n" % model for model in range(1001)),
        "is wrong: 1001 things are wrong with it.",
    ),
    "no text": (b"\xff", "is not UTF-8."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_line_with_the_file_and_the_place(case: str, tmp_path: Path) -> None:
    content, words = BAD[case]
    path = tmp_path / "prices.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_prices(path)
    assert str(caught.value) == f"The price table {str(path)!r} {words} Try: cat {path}"


def test_a_missing_table_is_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        read_prices(Path("/nowhere/prices.toml"))
    assert str(caught.value) == (
        "Cannot read the price table '/nowhere/prices.toml': No such file or directory. Try: ls"
    )


@given(
    st.binary(max_size=200) | st.text(alphabet='[]=".\n0123456789models_inputcurrency', max_size=200).map(str.encode)
)
def test_fuzz_a_broken_table_gives_a_table_or_one_line(content: bytes) -> None:
    said = ""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "prices.toml"
        path.write_bytes(content)
        try:
            read_prices(path)
        except UsageError as error:
            said = str(error)
    assert "\n" not in said
