import re
import time
from datetime import timedelta

import pytest

from airflow_provider_ollang.sandbox._model import CANCELLED, ORDER_TYPES, STATUSES, parse_time
from airflow_provider_ollang.sandbox._orders import EARLY, Orders

DAY = 86_400


def ages(orders):
    return [time.time() - parse_time(order["createdAt"]) for order in orders]


def timeless(orders):
    dates = ("createdAt", "deliveryEvents")
    return [{name: order[name] for name in order if name not in dates} for order in orders]


def test_the_same_seed_gives_the_same_orders():
    one, same, other = Orders(seed=7), Orders(seed=7), Orders(seed=8)
    assert timeless(one) == timeless(same) != timeless(other)
    assert timeless(one.foreign) == timeless(same.foreign)
    assert all(abs(a - b) < 60 for a, b in zip(ages(one), ages(same), strict=True))


def test_the_orders_are_a_good_mix():
    orders = Orders()
    pending = ages(orders.where(status="pending"))

    assert {order["status"] for order in orders} == {*STATUSES, CANCELLED}
    assert {order["type"] for order in orders} == set(ORDER_TYPES)
    assert {order["folderId"] is None for order in orders} == {True, False}
    assert 24 <= sum(age > 7 * DAY for age in pending) <= len(pending) - 24
    early = {age < EARLY.total_seconds() for age in ages(orders.where(status="ongoing"))}
    assert early == {True, False}


def test_ids_and_dates_have_the_documented_form():
    orders = Orders()
    assert len({order["id"] for order in orders}) == 240
    assert all(re.fullmatch("[0-9a-f]{24}", order["id"]) for order in orders)
    date = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert all(re.fullmatch(date, order["createdAt"]) for order in orders)


def test_an_added_order_is_as_old_as_asked_and_keeps_any_fields():
    orders = Orders(0)
    order = orders.add(age=timedelta(days=8), name="Old one", self=1, status=None, without=["id"])
    assert ages([order]) == [pytest.approx(8 * DAY, abs=60)]
    assert orders.where(name="Old one", self=1, status=None) == [order]
    assert "id" not in order


def test_what_is_handed_out_is_a_copy():
    orders = Orders(0)
    order_id = orders.add()["id"]
    orders.get(order_id)["status"] = "broken"
    next(iter(orders))["status"] = "broken"
    assert orders.get(order_id)["status"] == "pending"


def test_any_order_can_be_changed():
    orders = Orders(0)
    order_id = orders.foreign[0]["id"]
    assert orders.change(order_id, status="ongoing") == orders.get(order_id)
    assert orders.get(order_id)["status"] == "ongoing"
    with pytest.raises(KeyError, match="nowhere"):
        orders.change("nowhere", status="pending")
