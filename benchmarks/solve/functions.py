"""The functions of a small shop. No file has what they know, and most questions need twenty calls or more."""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from benchmarks.solve.draws import draws


@dataclass(frozen=True)
class Product:
    """What the shop knows of one product."""

    price: float
    stock: int
    rating: float
    supplier: str


@dataclass(frozen=True)
class Order:
    """One order."""

    product: str
    pieces: int
    customer: str


SUPPLIERS = {"Alba": "Spain", "Brandt": "Germany", "Celik": "Turkey", "Duarte": "Spain", "Eriksen": "Norway"}
CUSTOMERS = ("C1", "C2", "C3", "C4", "C5")
ACTIVE = frozenset({"C1", "C3", "C4"})


@cache
def products() -> dict[str, Product]:
    """All products by their ids."""
    draw = draws(163)
    return {
        f"P{number:02}": Product(
            price=(next(draw) % 9_000 + 500) / 100,
            stock=next(draw) % 60,
            rating=(next(draw) % 41 + 10) / 10,
            supplier=tuple(SUPPLIERS)[next(draw) % 5],
        )
        for number in range(1, 21)
    }


@cache
def orders() -> dict[int, Order]:
    """All orders by their numbers."""
    draw = draws(167)
    return {
        number: Order(f"P{next(draw) % 20 + 1:02}", pieces=next(draw) % 9 + 1, customer=CUSTOMERS[next(draw) % 5])
        for number in range(101, 126)
    }


def product_ids() -> list[str]:
    """The ids of all products."""
    return list(products())


def price_of(product: str) -> float:
    """The price of one piece of a product, by its id, in euros."""
    return products()[product].price


def stock_of(product: str) -> int:
    """How many pieces of a product are in stock, by its id."""
    return products()[product].stock


async def rating_of(product: str) -> float:
    """The mean rating of a product, by its id, from 1 to 5."""
    return products()[product].rating


def supplier_of(product: str) -> str:
    """The name of the supplier of a product, by the product's id."""
    return products()[product].supplier


def country_of(supplier: str) -> str:
    """The country of a supplier, by its name."""
    return SUPPLIERS[supplier]


def order_numbers() -> list[int]:
    """The numbers of all orders."""
    return list(orders())


def order(number: int) -> dict[str, Any]:
    """One order: {"product": its id, "pieces": how many, "customer": the customer's id}."""
    return asdict(orders()[number])


def is_active(customer: str) -> bool:
    """Whether a customer is active, by the customer's id."""
    return customer in ACTIVE


FUNCTIONS = {
    function.__name__: function
    for function in (
        *(product_ids, price_of, stock_of, rating_of, supplier_of, country_of),
        *(order_numbers, order, is_active),
    )
}
