from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.sandbox import instants
from airflow_provider_ollang.sandbox.orders import EARLY, Orders
from airflow_provider_ollang.sandbox.vocabulary import CANCELLED, ORDER_TYPES, STATUSES

DAY = 86_400


def ages(orders):
    return [time.time() - instants.from_text(order["createdAt"]) for order in orders]


def timeless(orders):
    return [
        {
            name: value
            for name, value in order.items()
            if name not in ("createdAt", "deliveryEvents")
        }
        for order in orders
    ]


def test_the_same_seed_gives_the_same_orders():
    assert timeless(Orders(seed=7)) == timeless(Orders(seed=7))
    assert timeless(Orders(seed=7).foreign) == timeless(Orders(seed=7).foreign)


def test_the_same_seed_gives_the_same_ages():
    pairs = zip(ages(Orders(seed=7)), ages(Orders(seed=7)), strict=True)

    assert all(abs(one - other) < 60 for one, other in pairs)


def test_another_seed_gives_other_orders():
    assert not {order["id"] for order in Orders(seed=1)} & {order["id"] for order in Orders(seed=2)}


@pytest.mark.parametrize("seed", range(5))
def test_the_orders_are_a_good_mix(seed):
    orders = Orders(240, seed)
    pending = ages(orders.where(status="pending"))

    assert {order["status"] for order in orders} == {*STATUSES, CANCELLED}
    assert {order["type"] for order in orders} == set(ORDER_TYPES)
    assert len({order["projectId"] for order in orders}) > 1
    assert 0.4 < len(pending) / 240 < 0.5
    assert sum(age > 7 * DAY for age in pending) >= 24
    assert sum(age < 7 * DAY for age in pending) >= 24
    early = [age < EARLY.total_seconds() for age in ages(orders.where(status="ongoing"))]
    assert {True, False} == set(early)


def test_ages_go_from_minutes_to_four_months():
    found = ages(Orders(2000))

    assert 300 <= min(found) < 3600
    assert 110 * DAY < max(found) < 121 * DAY


def test_ids_and_dates_have_the_documented_form():
    orders = Orders()

    assert all(re.fullmatch("[0-9a-f]{24}", order["id"]) for order in orders)
    date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert all(re.fullmatch(date, order["createdAt"]) for order in orders)
    assert len({order["id"] for order in orders}) == 240


@pytest.mark.parametrize("count", [0, 1])
def test_few_orders_are_possible(count):
    assert len(Orders(count)) == count


def test_an_added_order_is_as_old_as_asked():
    orders = Orders(0)

    order = orders.add(age=timedelta(days=8), name="Old one")

    assert ages([order]) == [pytest.approx(8 * DAY, abs=60)]
    assert orders.where(name="Old one") == [order]


@given(st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text(), max_size=4))
def test_an_added_order_keeps_any_fields(fields):
    reserved = {"age", "foreign", "without"}
    fields = {name: value for name, value in fields.items() if name not in reserved}
    orders = Orders(0)

    assert orders.add(**fields).items() >= fields.items()
    assert [order.items() >= fields.items() for order in orders] == [True]


def test_what_is_handed_out_is_a_copy():
    orders = Orders(0)
    order_id = orders.add()["id"]

    orders.get(order_id)["status"] = "broken"
    next(iter(orders))["status"] = "broken"

    assert orders.get(order_id)["status"] == "pending"


def test_another_accounts_order_can_be_changed():
    orders = Orders(0)
    [first, *_] = orders.foreign

    assert orders.change(first["id"], status="ongoing")["status"] == "ongoing"
    assert orders.get(first["id"])["status"] == "ongoing"


def test_changing_an_unknown_order_is_an_error():
    with pytest.raises(KeyError, match="nowhere"):
        Orders(0).change("nowhere", status="pending")


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2024-13-01"])
def test_what_is_no_date_has_no_instant(text):
    assert instants.from_text(text) is None


@pytest.mark.parametrize(
    "text", ["2024-01-15T10:30:00.123Z", "2024-01-15T11:30:00.123+01:00", "2024-01-15T10:30:00.123"]
)
def test_dates_are_read_in_utc(text):
    assert instants.to_text(instants.from_text(text)) == "2024-01-15T10:30:00.123Z"
