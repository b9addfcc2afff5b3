"""What one cancel means for its task: every row of the operator's table of outcomes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from airflow_provider_ollang.operators.ollang import CancelOrderOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub

CANCELS = "/integration/orders/cancel/*"


def cancel(order_id: str, **parameters: Any) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id=order_id, **parameters)


def error(status: int, code: str | None, **more: Any) -> Stub:
    body = {"error": "Refused", "message": "No, thanks", **({"code": code} if code else {})}
    return Stub.json(status, body | more)


def cancels(sandbox: Sandbox) -> int:
    return sum(request.is_cancel for request in sandbox.requests)


def test_a_confirmed_cancel_succeeds_and_returns_the_id(sandbox, add_orders, run, logged):
    wanted, other = add_orders(3, 4)
    assert run.execute(cancel(wanted)) == wanted
    where = f"at {sandbox.url} (connection 'ollang_default')"
    assert f"Cancelling order {wanted} {where}." in logged()
    assert sandbox.orders.get(wanted)["status"] == "cancelled"
    assert sandbox.orders.get(other)["status"] == "pending"
    assert [(request.method, request.order_id) for request in sandbox.requests] == [
        ("POST", wanted)
    ]


def test_an_order_that_was_cancelled_before_skips_the_task(add_orders, run, logged):
    [order] = add_orders(3, status="cancelled")
    with pytest.raises(AirflowSkipException, match="ORDER_ALREADY_CANCELLED") as caught:
        run.execute(cancel(order))
    assert "lost" not in str(caught.value)
    assert "no response" not in str(caught.value)
    # Not only where Airflow's UI folds it away.
    assert f"Skipped: {caught.value}" in logged()


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (400, "ORDER_NOT_CANCELLABLE", ""),
        (401, "UNAUTHORIZED", "Copy the API key again from Ollang: Project settings"),
        (403, "ACCESS_DENIED", "Use an API key of the account that owns the order. "),
        (
            404,
            "ORDER_NOT_FOUND",
            "Check the order id, and that the API key belongs to the account ",
        ),
    ],
)
def test_a_documented_error_fails_without_retries_and_says_what_to_do(
    sandbox, run, status, code, hint
):
    sandbox.respond_always(error(status, code))
    with pytest.raises(AirflowFailException, match=f"HTTP {status}") as caught:
        run.execute(cancel("abc"))
    assert f"No, thanks. {hint}" in str(caught.value)
    assert f"(connection 'ollang_default' to {sandbox.url})" in str(caught.value)
    assert cancels(sandbox) == 1


@pytest.mark.parametrize("trouble", [Stub(fault="429"), Stub(503), Stub(fault="reset-before")])
def test_trouble_that_lasts_fails_so_that_airflows_retries_apply(sandbox, add_orders, run, trouble):
    [order] = add_orders(3)
    sandbox.respond_always(trouble, path=CANCELS)
    with pytest.raises(AirflowException) as caught:
        run.execute(cancel(order))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 4, "the client's own retries come first"
    assert sandbox.orders.get(order)["status"] == "pending"


def test_a_time_out_fails_so_that_airflows_retries_apply(sandbox, run, monkeypatch):
    uri = f"ollang://:{sandbox.api_key}@{quote(sandbox.url, safe='')}?timeout=0.2&max_attempts=2"
    monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", uri)
    sandbox.respond_always(Stub(fault="timeout-before"))
    with pytest.raises(AirflowException, match="2 attempts") as caught:
        run.execute(cancel("abc"))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 2


HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Stub(200, HTML, b"<h1>Sign in</h1>"), "HTTP 200.*text/html.*Sign in"),
        (Stub(404, HTML, b"<h1>No route</h1>"), "HTTP 404.*No route"),
        (error(409, "ORDER_LOCKED"), "HTTP 409, ORDER_LOCKED.*No, thanks"),
    ],
)
def test_a_response_that_is_not_documented_fails_and_says_what_was_received(
    sandbox, run, response, said
):
    sandbox.respond_always(response)
    with pytest.raises(AirflowException, match=said) as caught:
        run.execute(cancel("abc"))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 1


@pytest.mark.parametrize("lost", ["reset-after", "504"])
def test_a_skip_after_a_lost_response_names_the_lost_request(sandbox, add_orders, run, lost):
    [order] = add_orders(3)
    sandbox.respond_next(Stub(fault=lost))
    if lost == "504":  # the gateway gave up, the order was cancelled anyway
        sandbox.orders.change(order, status="cancelled")
    with pytest.raises(AirflowSkipException, match="ORDER_ALREADY_CANCELLED") as caught:
        run.execute(cancel(order))
    assert "probably cancelled by this task: the response to an earlier request was lost" in str(
        caught.value
    )
    assert cancels(sandbox) == 2
    assert sandbox.orders.get(order)["status"] == "cancelled"


@pytest.mark.parametrize(
    ("first", "code"), [("429", "ORDER_ALREADY_CANCELLED"), ("503", "ORDER_NOT_CANCELLABLE")]
)
def test_a_skip_for_another_cause_is_not_put_down_to_an_earlier_request(sandbox, run, first, code):
    sandbox.respond_next(Stub(fault=first), error(409, code))
    with pytest.raises(AirflowSkipException, match=code) as caught:
        run.execute(cancel("abc", skip_on_codes=[code]))
    assert "probably cancelled by this task" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "skip_on"), [(409, "LOCKED", "LOCKED"), (404, None, "ORDER_NOT_FOUND")]
)
def test_any_code_in_skip_on_codes_skips(sandbox, run, status, code, skip_on):
    sandbox.respond_always(error(status, code))
    with pytest.raises(AirflowSkipException, match=code or "No, thanks"):
        run.execute(cancel("abc", skip_on_codes=["SOMETHING_ELSE", skip_on]))


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_teardown_is_skipped_for_an_order_that_is_finished(sandbox, add_orders, run, status):
    [order] = add_orders(3, status=status)
    with pytest.raises(AirflowSkipException):
        run.execute(cancel(order).as_teardown())


@pytest.mark.parametrize("status", ["ongoing", "cancelled", "brandNew"])
def test_another_status_than_required_skips_without_a_cancel(sandbox, add_orders, run, status):
    [order] = add_orders(3, status=status)
    with pytest.raises(AirflowSkipException, match=repr(status)):
        run.execute(cancel(order, require_status=("pending",)))
    assert [request.method for request in sandbox.requests] == ["GET"]


@pytest.mark.parametrize(
    ("skip_on", "kind"),
    [([], AirflowFailException), (["ORDER_NOT_FOUND"], AirflowSkipException)],
)
def test_a_refused_read_counts_like_a_refused_cancel(sandbox, run, skip_on, kind):
    with pytest.raises(kind, match="ORDER_NOT_FOUND"):
        run.execute(cancel("abc", require_status=("pending",), skip_on_codes=skip_on))
    assert cancels(sandbox) == 0


def test_what_to_do_stands_in_the_error(sandbox, run, monkeypatch):
    operator = CancelOrderOperator(task_id="cancel", order_id="o-1")
    name, url = "AIRFLOW_CONN_OLLANG_DEFAULT", sandbox.url.replace("http://", "https://")
    monkeypatch.setenv(name, json.dumps({"conn_type": "ollang", "host": url, "password": "any"}))
    with pytest.raises(AirflowException, match=rf"{url}.*TLS.*http://.*Check the base URL"):
        run.execute(operator)

    monkeypatch.delenv(name)
    with pytest.raises(AirflowFailException, match=r"ollang_default.*Add a connection"):
        run.execute(operator)
