from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api._responses import error_from_response, one_line, parse_retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SECRET = "k3y-that-nobody-may-see"


def error_from_json(status: int, value: Any, **options: Any) -> errors.OllangError:
    return error_from_response(
        status, {}, json.dumps(value).encode(), **{"order_id": "o-1", **options}
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("inf", None),
        ("٣", None),
        ("60,120 , 90", 120),
        ("7, soon, -1, ", 7),
        ("40, Thu, 01 Jan 2026 12:00:30 GMT", 40),
        ("Thu, 01 Jan 2026 12:00:30 GMT, Thu, 01 Jan 2026 12:00:50 GMT", 50),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


# Around the two lengths at which text is cut.
@pytest.mark.parametrize("before", [280, 290, 299, 99_980, 99_990, 99_999])
@pytest.mark.parametrize("space", ["x", " "])
def test_no_cut_goes_through_a_secret(before, space):
    text = space * before + SECRET + " and so on" * 10
    for shown in (
        one_line(text, secret=SECRET),
        str(error_from_response(502, {}, text.encode(), secret=SECRET)),
        str(error_from_response(400, {}, json.dumps({"message": text}).encode(), secret=SECRET)),
    ):
        assert SECRET[:4] not in shown


@pytest.mark.parametrize("status", [400, 401, 404, 503])
@pytest.mark.parametrize(("code", "kind"), list(errors.ERROR_BY_CODE.items()))
def test_a_known_code_decides_over_the_status(status, code, kind):
    error = error_from_json(status, {"error": "x", "message": "y", "code": code})
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, code, "y")


@pytest.mark.parametrize(
    ("status", "kind", "meaning"),
    [
        (400, errors.BadRequestError, None),
        (401, errors.UnauthorizedError, "UNAUTHORIZED"),
        (403, errors.AccessDeniedError, "ACCESS_DENIED"),
        (404, errors.OrderNotFoundError, "ORDER_NOT_FOUND"),
        (409, errors.OrderAlreadyCancelledError, "ORDER_ALREADY_CANCELLED"),
        (418, errors.ApiError, None),
        (429, errors.RateLimitedError, None),
        (500, errors.ServerError, None),
        (599, errors.ServerError, None),
    ],
)
def test_without_a_code_the_status_decides(status, kind, meaning):
    error = error_from_json(status, {"statusCode": status, "message": "m", "error": "e"})
    assert type(error) is kind
    assert isinstance(error, errors.ApiError)
    assert (error.code, error.meaning) == (None, meaning)


def envelope(detail: object, **fields: object) -> dict[str, object]:
    generic = {"code": -1, "error": "UnknownError", "message": "unknown error"}
    return {**generic, "detail": detail, **fields}


@pytest.mark.parametrize(
    ("status", "detail", "kind", "meaning"),
    [
        (400, "The order is already in progress or completed", "NotCancellable", True),
        (400, "Order is not eligible for cancellation", "NotCancellable", True),
        (400, "Order not cancellable", "NotCancellable", True),
        (400, "This order cannot be cancelled", "NotCancellable", True),
        (400, "orderId must be a mongodb id", "BadRequest", False),
        (400, "Unexpected token } in JSON", "BadRequest", False),
        (401, "Invalid or missing API key", "Unauthorized", True),
        (403, "Access denied", "AccessDenied", True),
        (404, "Not Found", "OrderNotFound", True),
        (404, "Cannot POST /api/integration/orders/cancel/o-1", "WrongBaseUrl", False),
        (409, "Order already cancelled", "OrderAlreadyCancelled", True),
        (409, "ORDER_ALREADY_CANCELLED", "OrderAlreadyCancelled", True),
        (409, "ORDER_LOCKED", "Api", True),
        (500, "The first argument must be of type string", "Server", False),
        (429, "slow down", "RateLimited", False),
    ],
)
@pytest.mark.parametrize("code", [-1, "-1", None, ""])
def test_the_generic_envelope_leaves_it_to_the_status_and_shows_its_detail(
    status, detail, kind, meaning, code
):
    error = error_from_json(status, envelope(detail, code=code))
    assert type(error).__name__.removeprefix("Order") == f"{kind.removeprefix('Order')}Error"
    assert isinstance(error, errors.ApiError)
    assert (error.meaning is not None) is meaning
    assert error.message == detail


@pytest.mark.parametrize(
    ("body", "order_id"),
    [
        ({"message": "Cannot POST /integration/x", "error": "Not Found"}, "o-1"),
        ({"message": "Route POST:/integration/x not found", "error": "Not Found"}, "o-1"),
        ({"message": "no Route matched with those values"}, "o-1"),
        ({"detail": "Not Found"}, "o-1"),
        ({"timestamp": 1, "status": 404, "error": "Not Found", "path": "/integration/x"}, "o-1"),
        ({}, "o-1"),
        ({"statusCode": 404, "message": "Not Found"}, None),  # to a request about no order
    ],
)
def test_a_404_of_a_router_is_a_wrong_base_url_and_not_a_missing_order(body, order_id):
    error = error_from_json(404, body, order_id=order_id)
    assert type(error) is errors.WrongBaseUrlError
    assert error.meaning is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.UnexpectedResponseError),
        (401, errors.UnauthorizedError),
        (403, errors.UnexpectedResponseError),
        (404, errors.UnexpectedResponseError),
        (409, errors.UnexpectedResponseError),
        (429, errors.RateLimitedError),
        (502, errors.ServerError),
    ],
)
@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[]", b"\xff"])
def test_a_body_that_is_not_a_json_object_proves_no_error_of_an_order(status, kind, body):
    error = error_from_response(status, {"Content-Type": "text/html"}, body)
    assert type(error) is kind
    assert "text/html" in str(error)


@pytest.mark.parametrize(
    "code",
    [
        *("ORDER_ALREADY_CANCELLED ", "\tORDER_ALREADY_CANCELLED", " \n"),
        *(0, True, ["ORDER_ALREADY_CANCELLED"], {"a": 1}),
    ],
)
def test_a_code_that_is_nearly_a_known_one_is_unknown(code):
    error = error_from_json(409, {"code": code})
    assert type(error) is errors.ApiError
    assert error.meaning == repr(code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "one"}, "one"),
        ({"message": ["one", "two"]}, "one; two"),
        ({"message": "one\n\x1b[31mtwo"}, "one [31mtwo"),
        ({"error": "Not Found"}, "Not Found"),
        ({"message": [], "error": "e"}, "e"),
        ({"message": {"deep": 1}}, "{'deep': 1}"),
        ({}, "no message"),
        *((envelope(detail), "unknown error") for detail in (None, "", [])),
    ],
)
def test_the_message_is_the_bodys(body, message):
    assert error_from_json(403, body).message == message


def test_an_error_says_what_is_known_of_it():
    error = error_from_response(
        429, {"Retry-After": "90"}, b'{"message": "slow down", "code": "SLOW"}', order_id="o-1"
    )
    error.attempts = 3
    for part in ("order o-1", "HTTP 429", "SLOW", "slow down", "90 s", "3 attempts"):
        assert part in str(error)
    assert error.retry_after == 90


@pytest.mark.parametrize(
    "body",
    [
        b'{"vttUrl": "https://files.example/SIGNED.vtt?signature=SIGNED", "id": 1',
        b'{"vttUrl":"https://files.example/a.vtt?signature=SIGNED","id":1}',
        b'{"orderDocs": [{"url": "https://files.example/a.docx?X-Signature=SIGNED&a=b"}]}',
        b"moved to https://files.example/a.vtt?signature=SIGNED",
    ],
)
def test_a_signed_url_is_not_shown(body):
    assert "SIGNED" not in str(error_from_response(200, {}, body))
    assert "SIGNED" not in one_line(body.decode())
