"""What each response to a cancel is raised as, through real HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.models import CancelReceipt, Order
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import CANCEL, SOME_ID, client_of, error_of_cancel, error_of_listing, wait_until

HTML = {"Content-Type": "text/html"}
ALREADY_CANCELLED = {"error": "e", "message": "m", "code": "ORDER_ALREADY_CANCELLED"}


def test_a_204_is_a_confirmed_cancel(sandbox, client):
    order_id = sandbox.orders.add()["id"]
    assert client.cancel_order(order_id) == CancelReceipt(order_id, attempts=1, response_lost=False)
    assert [order["id"] for order in sandbox.orders.where(status="cancelled")] == [order_id]
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("response", "kind", "may_have_been_acted_on"),
    [
        (Stub.json(200, ALREADY_CANCELLED), errors.UnexpectedResponseError, True),
        (Stub(200, HTML, b"<html>Welcome</html>"), errors.UnexpectedResponseError, True),
        (Stub(200), errors.UnexpectedResponseError, True),
        (Stub(202), errors.UnexpectedResponseError, True),
        (Stub(205), errors.UnexpectedResponseError, True),
        (Stub.json(302, ALREADY_CANCELLED), errors.UnexpectedResponseError, True),
        (Stub(404, HTML, b"<html>Not Found</html>"), errors.UnexpectedResponseError, True),
        (Stub(409), errors.UnexpectedResponseError, True),
        (Stub.json(409, ["ORDER_ALREADY_CANCELLED"]), errors.UnexpectedResponseError, True),
        (Stub(401, HTML, b"<html>Log in</html>"), errors.UnauthorizedError, False),
        (Stub.json(409, {"code": "ORDER_LOCKED"}), errors.ApiError, False),
        (Stub.json(409, {"code": "order_already_cancelled"}), errors.ApiError, False),
        (Stub.json(409, {"message": "Conflict"}), errors.OrderAlreadyCancelledError, False),
        (Stub.json(400, ALREADY_CANCELLED), errors.OrderAlreadyCancelledError, False),
        (Stub.json(403, {"code": "ACCESS_DENIED"}), errors.AccessDeniedError, False),
        (Stub.json(418, {}), errors.ApiError, False),
    ],
)
def test_a_response_is_a_success_or_an_error_of_an_order_only_where_documented(
    sandbox, client, response, kind, may_have_been_acted_on
):
    sandbox.respond_next(response, path=CANCEL)
    error = error_of_cancel(client)
    assert type(error) is kind
    assert (error.status, error.order_id) == (response.status, SOME_ID)
    assert error.response_lost is may_have_been_acted_on
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("call", [error_of_cancel, error_of_listing])
def test_no_redirect_is_followed(sandbox, client, status, call):
    with Sandbox(order_count=0) as elsewhere:
        sandbox.respond_always(Stub(status, {"Location": elsewhere.url + "/health"}))
        error = call(client)
        assert elsewhere.requests == []
        assert f"a redirect to {elsewhere.url}" in str(error)
    assert isinstance(error, errors.UnexpectedResponseError)
    assert error.status == status


@pytest.mark.parametrize("order_id", [None, "a/b", ".."])
def test_an_invalid_order_id_is_never_sent(sandbox, client, order_id):
    with pytest.raises(errors.InvalidInputError):
        client.cancel_order(order_id)
    with pytest.raises(errors.InvalidInputError):
        client.get_order(order_id)
    assert sandbox.requests == []


def require_pending(order: Order) -> None:
    if order.status != "pending":
        raise errors.ConditionNotMetError(order.id, "status_changed", "it is not pending")


def test_an_order_that_moves_on_before_a_second_attempt_gets_no_second_cancel(sandbox):
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(Stub(status=503, headers={"Retry-After": "1"}), method="POST")
    with client_of(sandbox) as client, ThreadPoolExecutor() as pool:
        call = pool.submit(client.cancel_order, order_id, check=require_pending)
        wait_until(lambda: len(sandbox.requests) == 2)
        sandbox.orders.change(order_id, status="ongoing")
        error = call.exception()

    assert isinstance(error, errors.ConditionNotMetError)
    assert (error.outcome, error.attempts, error.response_lost) == ("status_changed", 1, True)
    assert "no further cancel request was sent" in str(error)
    assert [(it.method, it.status) for it in sandbox.requests] == [
        ("GET", 200),
        ("POST", 503),
        ("GET", 200),
    ]


@pytest.mark.parametrize("code", ["ORDER_ALREADY_CANCELLED", "ORDER_NOT_CANCELLABLE"])
def test_an_error_of_a_cancel_is_unexpected_as_response_to_a_read(sandbox, client, code):
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_always(Stub.json(409, {"code": code}))
    with pytest.raises(errors.UnexpectedResponseError):
        client.cancel_order(order_id, check=require_pending)
    assert {it.method for it in sandbox.requests} == {"GET"}
