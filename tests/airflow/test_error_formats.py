"""Outcomes are the same whichever of its three error formats the API uses."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox

MISSING = "65a4f0000123456789abcdef"


@pytest.fixture(params=["documented", "envelope", "framework"], autouse=True)
def error_format(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    sandbox.error_format = request.param
    return str(request.param)


@pytest.fixture
def wrong_base_url(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"{sandbox.url}/wrong"
    fields = {"conn_type": "ollang", "host": url, "password": sandbox.api_key}
    monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", json.dumps(fields))
    return url


@pytest.mark.parametrize(
    ("order", "error", "said"),
    [
        ({"status": "cancelled"}, AirflowSkipException, "already been cancelled"),
        ({"status": "completed"}, AirflowFailException, "already in progress or completed"),
        ({"foreign": True}, AirflowFailException, "permission"),
        ({"id": "another"}, AirflowFailException, "No order found"),
    ],
)
def test_one_cancel(sandbox, run, order, error, said):
    sandbox.orders.add(**{"id": MISSING, **order})

    with pytest.raises(error, match=said):
        run.execute(CancelOrderOperator(task_id="cancel", order_id=MISSING))
    assert [it.method for it in sandbox.requests] == ["POST"]


def test_a_batch(sandbox, add_orders, run):
    wanted, foreign = add_orders(1), add_orders(4, foreign=True)
    ended = add_orders(2, status="cancelled") + add_orders(3, status="completed")
    ids = [*wanted, *ended, *foreign, MISSING]
    codes = ["ORDER_ALREADY_CANCELLED", "ORDER_NOT_CANCELLABLE", "ACCESS_DENIED", "ORDER_NOT_FOUND"]

    counts = run.execute(
        BatchCancelOrdersOperator(task_id="batch", order_ids=ids, tolerated_codes=codes)
    )

    one_each = ["cancelled", "already_cancelled", "not_cancellable", "access_denied", "not_found"]
    assert counts == {"total": 5, **dict.fromkeys(one_each, 1)}


def test_a_wrong_base_url_is_not_a_missing_order(sandbox, run, wrong_base_url):
    batch = BatchCancelOrdersOperator(
        task_id="batch",
        order_ids=[f"order-{number}" for number in range(100)],
        max_workers=2,
        tolerated_codes=["ORDER_NOT_FOUND"],
    )

    with pytest.raises(AirflowFailException, match=r"Cannot POST /wrong.*Check the base URL"):
        run.execute(batch)
    assert run.xcoms["counts"]["not_tried"] >= 98


def test_a_listing_at_a_wrong_base_url_says_so(sandbox, run, wrong_base_url):
    with pytest.raises(AirflowFailException) as caught:
        run.execute(FindStaleOrdersOperator(task_id="find", older_than="P7D"))

    for part in ("Cannot GET /wrong", "Check the base URL", "'ollang_default'", wrong_base_url):
        assert part in str(caught.value)
