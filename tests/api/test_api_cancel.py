"""What each response to a cancel is raised as, through real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.models import CancelReceipt, Order
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.cleanup.conftest import wait_until

from .conftest import CANCEL, SOME_ID, RawServer, client_of, error_of_cancel, error_of_listing

HTML = {"Content-Type": "text/html"}
ALREADY_CANCELLED = {"error": "e", "message": "m", "code": "ORDER_ALREADY_CANCELLED"}


def test_a_204_is_a_confirmed_cancel(sandbox: Sandbox, client: OllangClient) -> None:
    order_id = sandbox.orders.add()["id"]

    assert client.cancel_order(order_id) == CancelReceipt(order_id, attempts=1, response_lost=False)
    assert [order["id"] for order in sandbox.orders.where(status="cancelled")] == [order_id]
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("fields", "kind", "status", "code"),
    [
        ({"status": "completed"}, errors.OrderNotCancellableError, 400, "ORDER_NOT_CANCELLABLE"),
        ({"foreign": True}, errors.AccessDeniedError, 403, "ACCESS_DENIED"),
        ({"id": "another"}, errors.OrderNotFoundError, 404, "ORDER_NOT_FOUND"),
        (
            {"status": "cancelled"},
            errors.OrderAlreadyCancelledError,
            409,
            "ORDER_ALREADY_CANCELLED",
        ),
    ],
)
def test_a_documented_error_response_is_an_error_of_its_own(
    sandbox: Sandbox,
    client: OllangClient,
    fields: dict[str, Any],
    kind: type[errors.ApiError],
    status: int,
    code: str,
) -> None:
    sandbox.orders.add(**{"id": SOME_ID, **fields})

    error = error_of_cancel(client)

    assert type(error) is kind
    assert (error.status, error.code, error.order_id) == (status, code, SOME_ID)
    assert (error.retry_after, error.attempts, error.response_lost) == (None, 1, False)
    assert SOME_ID in str(error)
    assert len(sandbox.requests) == 1


def test_a_rejected_key_is_unauthorized(sandbox: Sandbox) -> None:
    with OllangClient("wrong-key", base_url=sandbox.url) as client:
        error = error_of_cancel(client)

    assert type(error) is errors.UnauthorizedError
    assert (error.status, error.code) == (401, "UNAUTHORIZED")
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Stub.json(200, ALREADY_CANCELLED), errors.UnexpectedResponseError),
        (Stub(200, HTML, b"<html>Welcome</html>"), errors.UnexpectedResponseError),
        (Stub(200), errors.UnexpectedResponseError),
        (Stub(202), errors.UnexpectedResponseError),
        (Stub(205), errors.UnexpectedResponseError),
        (Stub.json(302, ALREADY_CANCELLED), errors.UnexpectedResponseError),
        (Stub(404, HTML, b"<html>Not Found</html>"), errors.UnexpectedResponseError),
        (Stub(409), errors.UnexpectedResponseError),
        (Stub.json(409, ["ORDER_ALREADY_CANCELLED"]), errors.UnexpectedResponseError),
        (Stub(401, HTML, b"<html>Log in</html>"), errors.UnauthorizedError),
        (Stub.json(409, {"code": "ORDER_LOCKED"}), errors.ApiError),
        (Stub.json(409, {"message": "Conflict"}), errors.OrderAlreadyCancelledError),
        (Stub.json(400, ALREADY_CANCELLED), errors.OrderAlreadyCancelledError),
        (Stub.json(418, {}), errors.ApiError),
    ],
)
def test_a_response_is_a_success_or_an_error_of_an_order_only_where_documented(
    sandbox: Sandbox, client: OllangClient, response: Stub, kind: type[errors.OllangError]
) -> None:
    sandbox.respond_next(response, path=CANCEL)

    error = error_of_cancel(client)

    assert type(error) is kind
    assert (error.status, error.order_id) == (response.status, SOME_ID)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("call", [error_of_cancel, error_of_listing])
def test_no_redirect_is_followed(
    sandbox: Sandbox,
    client: OllangClient,
    status: int,
    call: Callable[[OllangClient], errors.OllangError],
) -> None:
    with Sandbox(order_count=0) as elsewhere:
        sandbox.respond_always(Stub(status, {"Location": elsewhere.url + "/health"}))

        error = call(client)

        assert elsewhere.requests == []
    assert isinstance(error, errors.UnexpectedResponseError)
    assert error.status == status


@pytest.mark.parametrize("location", [b"http://[::1", b"\xff\xfe"])
def test_a_redirect_to_nonsense_is_an_unexpected_response(location: bytes) -> None:
    response = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with RawServer(response) as server, server.client() as client:
        error = error_of_cancel(client)

    assert type(error) is errors.UnexpectedResponseError
    assert error.order_id == SOME_ID


@pytest.mark.parametrize("order_id", [None, "a/b", ".."])
def test_an_invalid_order_id_is_never_sent(
    sandbox: Sandbox, client: OllangClient, order_id: Any
) -> None:
    with pytest.raises(errors.InvalidInputError):
        client.cancel_order(order_id)
    with pytest.raises(errors.InvalidInputError):
        client.get_order(order_id)
    assert sandbox.requests == []


def test_several_clients_do_not_disturb_each_other(sandbox: Sandbox) -> None:
    with client_of(sandbox) as first, client_of(sandbox) as second:
        first.close()
        assert second.list_orders()
        assert first.list_orders()  # a closed client opens a connection anew


def require_pending(order: Order) -> None:
    if order.status != "pending":
        raise errors.ConditionNotMetError(order.id, "status_changed", "it is not pending")


def test_an_order_that_moves_on_before_a_second_attempt_gets_no_second_cancel(
    sandbox: Sandbox,
) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(Stub(status=503, headers={"Retry-After": "1"}), method="POST")
    with client_of(sandbox) as client, ThreadPoolExecutor() as pool:
        call = pool.submit(client.cancel_order, order_id, check=require_pending)
        wait_until(lambda: len(sandbox.requests) == 2)
        sandbox.orders.change(order_id, status="ongoing")
        error = call.exception()

    assert isinstance(error, errors.ConditionNotMetError)
    assert (error.outcome, error.attempts, error.response_lost) == ("status_changed", 1, True)
    assert "no further cancel was sent" in str(error)
    assert [(it.method, it.status) for it in sandbox.requests] == [
        ("GET", 200),
        ("POST", 503),
        ("GET", 200),
    ]


@pytest.mark.parametrize("code", ["ORDER_ALREADY_CANCELLED", "ORDER_NOT_CANCELLABLE"])
def test_an_error_of_a_cancel_is_unexpected_as_response_to_a_read(
    sandbox: Sandbox, client: OllangClient, code: str
) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_always(Stub.json(409, {"code": code}))
    with pytest.raises(errors.UnexpectedResponseError):
        client.cancel_order(order_id, check=require_pending)
    assert {it.method for it in sandbox.requests} == {"GET"}


@pytest.mark.parametrize(
    ("response", "may_have_been_acted_on"),
    [
        (Stub(200, HTML, b"<html>Welcome</html>"), True),
        (Stub(500), True),
        (Stub.json(418, {"code": "TEAPOT"}), False),
        (Stub.json(403, {"code": "ACCESS_DENIED"}), False),
    ],
)
def test_a_response_that_proves_nothing_leaves_open_whether_it_was_acted_on(
    sandbox: Sandbox, client: OllangClient, response: Stub, may_have_been_acted_on: bool
) -> None:
    sandbox.respond_always(response)

    assert error_of_cancel(client).response_lost is may_have_been_acted_on
