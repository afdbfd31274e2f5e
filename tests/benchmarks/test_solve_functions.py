"""The tasks about functions: each expected answer is what the functions give."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from benchmarks.solve.functions import (
    FUNCTIONS,
    country_of,
    is_active,
    order,
    order_numbers,
    price_of,
    product_ids,
    rating_of,
    stock_of,
    supplier_of,
)
from benchmarks.solve.tasks import load_tasks

TASKS = {task.id: task for task in load_tasks("functions")}


def most_ordered() -> str:
    pieces: Counter[str] = Counter()
    for found in map(order, order_numbers()):
        pieces[found["product"]] += found["pieces"]
    (first, most), (_, second) = pieces.most_common(2)
    assert most > second
    return first


def well_rated_and_scarce() -> int:
    ratings = {product: asyncio.run(rating_of(product)) for product in product_ids()}
    return sum(ratings[product] > 4 and stock_of(product) < 30 for product in ratings)


ANSWERS: dict[str, Callable[[], object]] = {
    "sum-over-ids": lambda: round(sum(map(price_of, product_ids())), 2),
    "highest-price": lambda: max(product_ids(), key=price_of),
    "all-stock": lambda: sum(map(stock_of, product_ids())),
    "value-of-stock": lambda: round(sum(price_of(one) * stock_of(one) for one in product_ids()), 2),
    "busiest-supplier": lambda: Counter(map(supplier_of, product_ids())).most_common(1)[0][0],
    "products-of-a-country": lambda: sum(country_of(supplier_of(one)) == "Spain" for one in product_ids()),
    "orders-of-active-customers": lambda: sum(
        one["pieces"] for one in map(order, order_numbers()) if is_active(one["customer"])
    ),
    "total-of-orders": lambda: round(
        sum(one["pieces"] * price_of(one["product"]) for one in map(order, order_numbers())), 2
    ),
    "most-ordered": most_ordered,
    "well-rated-and-scarce": well_rated_and_scarce,
}


@pytest.mark.parametrize("name", TASKS)
def test_the_expected_answer_is_what_the_functions_give(name: str) -> None:
    assert TASKS[name].expected.matches(f"It is {ANSWERS[name]()}.", TASKS[name].text)


def test_each_function_is_used() -> None:
    assert len(TASKS) == 10
    assert {name for task in TASKS.values() for name in task.functions} == set(FUNCTIONS)
