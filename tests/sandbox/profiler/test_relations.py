"""Which columns of two tables fit: by their values, and of numbers also by their names."""

from typing import Any

import pytest

from sandbox.profiler.relations import links_between
from sandbox.profiler.tables import table_of
from sandbox.profiler.values import Marks

Sheet = list[list[Any]]
ORDERS: Sheet = [["No", "Customer"], *([number, f"C{number % 7}"] for number in range(1, 30))]
CUSTOMERS: Sheet = [["ID", "Name"], *([f"C{number}", f"N{number // 2}"] for number in range(9))]


def fitting(**sheets: Sheet) -> list[tuple[str, str]]:
    tables = [table_of(rows, Marks(), name=name) for name, rows in sheets.items()]
    found = links_between(tables, [rows[1:] for rows in sheets.values()])
    return [(f"{link['table']}.{link['column']}", f"{link['other_table']}.{link['other_column']}") for link in found]


def test_texts_fit_by_their_values() -> None:
    assert fitting(orders=ORDERS, customers=CUSTOMERS) == [("orders.Customer", "customers.ID")]
    assert fitting(customers=CUSTOMERS, orders=ORDERS) == [("orders.Customer", "customers.ID")]


@pytest.mark.parametrize("name", ["member_id", "memberId", "Member", "members"])
def test_numbers_fit_by_their_names_too(name: str) -> None:
    loans: Sheet = [["id", name], *([number, number % 5 + 1] for number in range(1, 30))]
    members: Sheet = [["id", "age"], *([number, number % 3] for number in range(1, 10))]
    assert fitting(loans=loans, members=members) == [(f"loans.{name}", "members.id")]
    loans[0][1] = "amount"
    assert fitting(loans=loans, members=members) == []


def test_a_column_whose_values_recur_is_no_key_and_one_with_other_values_does_not_fit() -> None:
    twice: Sheet = [*CUSTOMERS, ["C1", "again"]]
    others: Sheet = [["No", "Customer"], *([number, f"D{number % 7}"] for number in range(1, 30))]
    assert fitting(orders=ORDERS, customers=twice) == []
    assert fitting(orders=others, customers=CUSTOMERS) == []
