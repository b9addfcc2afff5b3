"""What each answer to a cancel is raised as, through real HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import MAX_BODY_BYTES, OllangClient
from airflow_provider_ollang.api.models import CancelReceipt, Order
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.cleanup.conftest import wait_until

from .conftest import CANCEL, SOME_ID, RawServer, client_of, error_of_cancel

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
def test_a_documented_refusal_is_an_error_of_its_own(
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
    ("answer", "kind"),
    [
        (Stub.json(200, {}), errors.UnexpectedResponseError),
        (Stub.json(200, {"status": "cancelled"}), errors.UnexpectedResponseError),
        (Stub.json(200, ALREADY_CANCELLED), errors.UnexpectedResponseError),
        (Stub(200, HTML, b"<html>Welcome</html>"), errors.UnexpectedResponseError),
        (Stub(200), errors.UnexpectedResponseError),
        (Stub(201), errors.UnexpectedResponseError),
        (Stub(202), errors.UnexpectedResponseError),
        (Stub(205), errors.UnexpectedResponseError),
        (Stub.json(206, {}), errors.UnexpectedResponseError),
        (Stub.json(302, ALREADY_CANCELLED), errors.UnexpectedResponseError),
        (Stub(403, HTML, b"<html>Blocked</html>"), errors.UnexpectedResponseError),
        (Stub(404, HTML, b"<html>Not Found</html>"), errors.UnexpectedResponseError),
        (Stub(409, HTML, b"<html>Conflict</html>"), errors.UnexpectedResponseError),
        (Stub(409), errors.UnexpectedResponseError),
        (Stub.json(409, ["ORDER_ALREADY_CANCELLED"]), errors.UnexpectedResponseError),
        (Stub(401, HTML, b"<html>Log in</html>"), errors.UnauthorizedError),
        (Stub.json(409, {"code": "ORDER_LOCKED"}), errors.ApiError),
        (Stub.json(409, {"message": "Conflict"}), errors.OrderAlreadyCancelledError),
        (Stub.json(400, {"statusCode": 400, "message": ["a", "b"]}), errors.BadRequestError),
        (Stub.json(404, {"statusCode": 404, "message": "x"}), errors.OrderNotFoundError),
        (Stub.json(403, {"statusCode": 403, "message": "x"}), errors.AccessDeniedError),
        (Stub.json(400, ALREADY_CANCELLED), errors.OrderAlreadyCancelledError),
        (Stub.json(418, {}), errors.ApiError),
    ],
)
def test_an_answer_is_a_success_or_a_refusal_only_where_it_is_documented(
    sandbox: Sandbox, client: OllangClient, answer: Stub, kind: type[errors.OllangError]
) -> None:
    sandbox.respond_next(answer, path=CANCEL)

    error = error_of_cancel(client)

    assert type(error) is kind
    assert (error.status, error.order_id) == (answer.status, SOME_ID)
    assert len(sandbox.requests) == 1


def test_a_409_without_a_code_means_already_cancelled(
    sandbox: Sandbox, client: OllangClient
) -> None:
    sandbox.respond_next(Stub.json(409, {"statusCode": 409, "message": "Conflict"}))

    error = error_of_cancel(client)

    assert isinstance(error, errors.OrderAlreadyCancelledError)
    assert (error.code, error.meaning) == (None, "ORDER_ALREADY_CANCELLED")


def test_the_message_of_a_refusal_is_shown(sandbox: Sandbox, client: OllangClient) -> None:
    sandbox.respond_next(Stub.json(400, {"message": ["id must be", "a mongodb id"]}))

    assert "id must be; a mongodb id" in str(error_of_cancel(client))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/integration/orders/cancel/other", "/health"])
def test_no_redirect_is_followed(
    sandbox: Sandbox, client: OllangClient, status: int, target: str
) -> None:
    with Sandbox(order_count=0) as elsewhere:
        sandbox.respond_next(Stub(status, {"Location": elsewhere.url + target}))

        error = error_of_cancel(client)

        assert elsewhere.requests == []
    assert type(error) is errors.UnexpectedResponseError
    assert error.status == status
    assert len(sandbox.requests) == 1


def test_a_redirected_listing_is_not_followed_either(
    sandbox: Sandbox, client: OllangClient
) -> None:
    with Sandbox() as elsewhere:
        sandbox.respond_always(Stub(307, {"Location": elsewhere.url + "/integration/orders"}))

        with pytest.raises(errors.UnexpectedResponseError):
            list(client.iter_orders())

        assert elsewhere.requests == []


@pytest.mark.parametrize("location", [b"http://[", b"http://[::1", b"\xff\xfe", b"http://a:b", b""])
def test_a_redirect_to_nonsense_is_an_unexpected_answer(location: bytes) -> None:
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with (
        RawServer(answer) as server,
        OllangClient("a-key", base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        error = error_of_cancel(client)

    assert type(error) is errors.UnexpectedResponseError
    assert error.order_id == SOME_ID


@pytest.mark.parametrize("status", [200, 302, 400, 409])
def test_an_answer_without_end_is_not_read_to_its_end(
    sandbox: Sandbox, client: OllangClient, status: int
) -> None:
    headers = {"Location": sandbox.url} if status == 302 else {}
    sandbox.respond_next(Stub(status, headers, body=b" " * (MAX_BODY_BYTES + 1)))

    error = error_of_cancel(client)

    assert type(error) is errors.UnexpectedResponseError
    assert (error.status, error.order_id) == (status, SOME_ID)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("order_id", ["", None, 5, "a/b", "..", "None", "a b", "ä"])
def test_what_is_no_order_id_never_leaves(
    sandbox: Sandbox, client: OllangClient, order_id: Any
) -> None:
    with pytest.raises(errors.InvalidInputError):
        client.cancel_order(order_id)
    with pytest.raises(errors.InvalidInputError):
        client.get_order(order_id)
    assert sandbox.requests == []


def test_a_raised_error_has_no_order_where_the_call_was_about_none(
    sandbox: Sandbox, client: OllangClient
) -> None:
    sandbox.respond_always(Stub(403))
    with pytest.raises(errors.UnexpectedResponseError) as caught:
        client.list_orders()
    assert caught.value.order_id is None


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
def test_a_read_that_is_answered_as_a_cancel_is_unexpected(
    sandbox: Sandbox, client: OllangClient, code: str
) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_always(Stub.json(409, {"code": code}))
    with pytest.raises(errors.UnexpectedResponseError):
        client.cancel_order(order_id, check=require_pending)
    assert {it.method for it in sandbox.requests} == {"GET"}


@pytest.mark.parametrize(
    ("answer", "may_have_been_acted_on"),
    [
        (Stub(200, HTML, b"<html>Welcome</html>"), True),
        (Stub(500), True),
        (Stub.json(418, {"code": "TEAPOT"}), False),
        (Stub.json(403, {"code": "ACCESS_DENIED"}), False),
    ],
)
def test_an_answer_that_proves_nothing_leaves_open_whether_it_was_acted_on(
    sandbox: Sandbox, client: OllangClient, answer: Stub, may_have_been_acted_on: bool
) -> None:
    sandbox.respond_always(answer)

    assert error_of_cancel(client).response_lost is may_have_been_acted_on
