"""What one cancel means for its task: every row of the operator's table of outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from airflow_provider_ollang.operators.ollang import CancelOrderOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub

CANCELS = "/integration/orders/cancel/*"
READS = "/integration/orders/*"


def cancel(order_id: str, **parameters: Any) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id=order_id, **parameters)


def refusal(status: int, code: str | None, **more: Any) -> Stub:
    body = {"error": "Refused", "message": "No, thanks", **({"code": code} if code else {})}
    return Stub.json(status, body | more)


def cancels(sandbox: Sandbox) -> int:
    return sum(request.is_cancel for request in sandbox.requests)


def test_a_confirmed_cancel_succeeds_and_returns_the_id(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, logged: Callable[[], str]
) -> None:
    wanted, other = add_orders(3, 4)
    assert run.execute(cancel(wanted)) == wanted
    where = f"at {sandbox.url} (connection 'ollang_default')"
    assert f"Cancelling order {wanted} {where}." in logged()
    assert sandbox.orders.get(wanted)["status"] == "cancelled"
    assert sandbox.orders.get(other)["status"] == "pending"
    assert [(request.method, request.order_id) for request in sandbox.requests] == [
        ("POST", wanted)
    ]


def test_an_order_that_was_cancelled_before_skips_the_task(
    add_orders: Callable[..., list[str]], run: Any, logged: Callable[[], str]
) -> None:
    [order] = add_orders(3, status="cancelled")
    with pytest.raises(AirflowSkipException, match="ORDER_ALREADY_CANCELLED") as caught:
        run.execute(cancel(order))
    assert "lost" not in str(caught.value)
    assert "no answer" not in str(caught.value)
    # Not only where Airflow's UI folds it away.
    assert f"Skipped: {caught.value}" in logged()


FINAL_REFUSALS = [
    pytest.param(400, "ORDER_NOT_CANCELLABLE", id="not cancellable"),
    pytest.param(401, "UNAUTHORIZED", id="key rejected"),
    pytest.param(403, "ACCESS_DENIED", id="access denied"),
    pytest.param(404, "ORDER_NOT_FOUND", id="not found"),
    pytest.param(400, None, id="400 without a code"),
    pytest.param(401, None, id="401 without a code"),
    pytest.param(403, None, id="403 without a code"),
    pytest.param(404, None, id="404 without a code"),
]


@pytest.mark.parametrize(("status", "code"), FINAL_REFUSALS)
def test_a_documented_refusal_fails_without_retries(
    sandbox: Sandbox, run: Any, status: int, code: str | None
) -> None:
    sandbox.respond_always(refusal(status, code))
    with pytest.raises(AirflowFailException, match=f"HTTP {status}.*No, thanks"):
        run.execute(cancel("abc"))
    assert cancels(sandbox) == 1


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (401, "UNAUTHORIZED", "Copy the API key again from Ollang: Project settings > API keys."),
        (403, "ACCESS_DENIED", "Use an API key of the account that owns the order."),
        (
            404,
            "ORDER_NOT_FOUND",
            "Check the order id, and that the API key belongs to the account that owns the order.",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    sandbox: Sandbox, run: Any, status: int, code: str, hint: str
) -> None:
    sandbox.respond_always(refusal(status, code))
    with pytest.raises(AirflowFailException) as caught:
        run.execute(cancel("abc"))
    assert f"No, thanks. {hint} (connection 'ollang_default' to {sandbox.url})" in str(caught.value)


def test_the_frameworks_own_error_body_is_understood(sandbox: Sandbox, run: Any) -> None:
    body = {"statusCode": 404, "message": ["not", "there"], "error": "Not Found"}
    sandbox.respond_always(Stub.json(404, body))
    with pytest.raises(AirflowFailException, match="not; there"):
        run.execute(cancel("abc"))


def test_the_code_decides_whatever_the_status(sandbox: Sandbox, run: Any) -> None:
    sandbox.respond_always(refusal(400, "ORDER_ALREADY_CANCELLED"))
    with pytest.raises(AirflowSkipException):
        run.execute(cancel("abc"))


def test_409_without_a_code_means_cancelled_before(sandbox: Sandbox, run: Any) -> None:
    sandbox.respond_always(refusal(409, None))
    with pytest.raises(AirflowSkipException):
        run.execute(cancel("abc"))


PASSING_TROUBLE = [
    pytest.param(Stub(fault="429"), id="429"),
    pytest.param(Stub(fault="500"), id="500"),
    pytest.param(Stub(fault="502"), id="502"),
    pytest.param(Stub(fault="503"), id="503"),
    pytest.param(Stub(fault="504"), id="504"),
    pytest.param(Stub(fault="reset-before"), id="reset"),
]


@pytest.mark.parametrize("trouble", PASSING_TROUBLE)
def test_trouble_that_lasts_fails_so_that_airflows_retries_apply(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, trouble: Stub
) -> None:
    [order] = add_orders(3)
    sandbox.respond_always(trouble, path=CANCELS)
    with pytest.raises(AirflowException) as caught:
        run.execute(cancel(order))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 4, "the client's own retries come first"
    assert sandbox.orders.get(order)["status"] == "pending"


@pytest.mark.parametrize("trouble", PASSING_TROUBLE)
def test_trouble_that_passes_is_not_noticed(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, trouble: Stub
) -> None:
    [order] = add_orders(3)
    sandbox.respond_next(trouble, trouble, path=CANCELS)
    assert run.execute(cancel(order)) == order
    assert cancels(sandbox) == 3


def test_a_time_out_fails_so_that_airflows_retries_apply(
    sandbox: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = "__extra__=%7B%22timeout%22%3A+%220.2%22%2C+%22max_attempts%22%3A+%222%22%7D"
    host = sandbox.url.replace(":", "%3A").replace("/", "%2F")
    uri = f"ollang://:{sandbox.api_key}@{host}/?{extra}"
    monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", uri)
    sandbox.respond_always(Stub(fault="timeout-before"))
    with pytest.raises(AirflowException, match="2 attempts") as caught:
        run.execute(cancel("abc"))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 2


def test_an_api_that_cannot_be_reached_fails_so_that_airflows_retries_apply(
    sandbox: Sandbox, run: Any
) -> None:
    sandbox.stop()
    with pytest.raises(AirflowException) as caught:
        run.execute(cancel("abc"))
    assert type(caught.value) is AirflowException


NEVER_A_SUCCESS = [
    pytest.param(Stub(200), "HTTP 200", id="200, empty"),
    pytest.param(Stub.json(200, {"status": "cancelled"}), "HTTP 200.*cancelled", id="200, JSON"),
    pytest.param(Stub.json(201, [{"orderId": "abc"}]), "HTTP 201", id="201"),
    pytest.param(Stub(202), "HTTP 202", id="202"),
    pytest.param(Stub(206), "HTTP 206", id="206"),
    pytest.param(
        Stub(200, {"content-type": "text/html"}, b"<h1>Sign in</h1>"),
        "text/html.*Sign in",
        id="200, a page",
    ),
    pytest.param(refusal(409, "ORDER_LOCKED"), "HTTP 409, ORDER_LOCKED.*No, thanks", id="409"),
    pytest.param(refusal(418, "TEAPOT"), "HTTP 418, TEAPOT", id="418"),
    pytest.param(
        Stub(404, {"content-type": "text/html"}, b"<h1>No route</h1>"),
        "HTTP 404.*No route",
        id="404, a page",
    ),
    pytest.param(Stub(409, body=b"ORDER_ALREADY_CANCELLED"), "HTTP 409", id="409, no JSON"),
    pytest.param(Stub.json(409, "ORDER_ALREADY_CANCELLED"), "HTTP 409", id="409, a JSON text"),
    pytest.param(
        Stub.json(200, {"code": "ORDER_ALREADY_CANCELLED"}), "HTTP 200", id="200 with a code"
    ),
]


@pytest.mark.parametrize(("answer", "said"), NEVER_A_SUCCESS)
def test_an_answer_that_is_not_documented_fails_and_says_what_came(
    sandbox: Sandbox, run: Any, answer: Stub, said: str
) -> None:
    sandbox.respond_always(answer)
    with pytest.raises(AirflowException, match=said) as caught:
        run.execute(cancel("abc"))
    assert not isinstance(caught.value, AirflowSkipException)
    assert cancels(sandbox) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_fails(sandbox: Sandbox, run: Any, status: int) -> None:
    with Sandbox() as elsewhere:
        sandbox.respond_always(Stub(status, {"location": f"{elsewhere.url}/integration/orders"}))
        with pytest.raises(AirflowException, match=f"HTTP {status}.*redirect to http") as caught:
            run.execute(cancel("abc"))
        assert elsewhere.requests == [], "the key must not travel"
    assert not isinstance(caught.value, AirflowSkipException)
    assert cancels(sandbox) == 1


@pytest.mark.parametrize("lost", ["reset-after", "504"])
def test_a_skip_after_a_lost_answer_names_the_lost_request(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, lost: str
) -> None:
    [order] = add_orders(3)
    sandbox.respond_next(Stub(fault=lost))
    if lost == "504":  # the gateway gave up, the order was cancelled all the same
        sandbox.orders.change(order, status="cancelled")
    with pytest.raises(AirflowSkipException, match="ORDER_ALREADY_CANCELLED") as caught:
        run.execute(cancel(order))
    assert "probably cancelled by this task: the response to an earlier request was lost" in str(
        caught.value
    )
    assert cancels(sandbox) == 2
    assert sandbox.orders.get(order)["status"] == "cancelled"


def test_a_request_that_was_refused_as_too_many_is_not_blamed(sandbox: Sandbox, run: Any) -> None:
    sandbox.respond_next(Stub(fault="429"))
    sandbox.respond_next(refusal(409, "ORDER_ALREADY_CANCELLED"))
    with pytest.raises(AirflowSkipException) as caught:
        run.execute(cancel("abc"))
    assert "probably cancelled by this task" not in str(caught.value)


def test_a_lost_answer_is_no_cause_of_a_refusal_that_is_no_cancellation(
    sandbox: Sandbox, run: Any
) -> None:
    sandbox.respond_next(Stub(fault="503"), refusal(400, "ORDER_NOT_CANCELLABLE"))
    with pytest.raises(AirflowSkipException, match="ORDER_NOT_CANCELLABLE") as caught:
        run.execute(cancel("abc", skip_on_codes=["ORDER_NOT_CANCELLABLE"]))
    assert "probably cancelled by this task" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ORDER_NOT_CANCELLABLE"),
        (404, "ORDER_NOT_FOUND"),
        (409, "ORDER_LOCKED"),
        (409, "ORDER_ALREADY_CANCELLED"),
    ],
)
def test_any_code_in_skip_on_codes_skips(
    sandbox: Sandbox, run: Any, status: int, code: str
) -> None:
    sandbox.respond_always(refusal(status, code))
    with pytest.raises(AirflowSkipException, match=code):
        run.execute(cancel("abc", skip_on_codes=["SOMETHING_ELSE", code]))


def test_a_code_in_skip_on_codes_skips_even_where_only_its_status_came(
    sandbox: Sandbox, run: Any
) -> None:
    sandbox.respond_always(refusal(404, None))
    with pytest.raises(AirflowSkipException):
        run.execute(cancel("abc", skip_on_codes=["ORDER_NOT_FOUND"]))


@pytest.mark.parametrize("codes", [(), [], "[]", ["ORDER_NOT_FOUND"]])
def test_without_its_code_in_skip_on_codes_a_cancelled_order_fails(
    add_orders: Callable[..., list[str]], run: Any, codes: Any
) -> None:
    [order] = add_orders(3, status="cancelled")
    with pytest.raises(AirflowFailException, match="ORDER_ALREADY_CANCELLED"):
        run.execute(cancel(order, skip_on_codes=codes))


@pytest.mark.parametrize("status", ["ongoing", "completed", "cancelled", "brandNew"])
def test_another_status_than_required_skips_without_a_cancel(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, status: Any
) -> None:
    [order] = add_orders(3, status=status)
    with pytest.raises(AirflowSkipException, match=repr(status)):
        run.execute(cancel(order, require_status=("pending",)))
    assert [request.method for request in sandbox.requests] == ["GET"]


@pytest.mark.parametrize("status", [None, 7, ["pending"]])
def test_a_status_that_is_no_text_fails_without_a_cancel(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, status: Any
) -> None:
    [order] = add_orders(3, status=status)
    with pytest.raises(AirflowException, match="its status is") as caught:
        run.execute(cancel(order, require_status=("pending",)))
    assert type(caught.value) is AirflowException
    assert [request.method for request in sandbox.requests] == ["GET"]


@pytest.mark.parametrize("required", [("pending",), ["ongoing", "pending"], "['pending']"])
def test_a_required_status_lets_the_cancel_go(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, required: Any
) -> None:
    [order] = add_orders(3)
    assert run.execute(cancel(order, require_status=required)) == order
    assert [request.method for request in sandbox.requests] == ["GET", "POST"]


UNREADABLE = [
    pytest.param(Stub(fault="503"), id="503"),
    pytest.param(Stub(200, body=b"<html>"), id="no JSON"),
    pytest.param(Stub.json(200, {"id": "another", "status": "pending"}), id="another order"),
    pytest.param(Stub(302, {"location": "/"}), id="redirect"),
]


@pytest.mark.parametrize("answer", UNREADABLE)
def test_where_the_status_cannot_be_read_no_cancel_is_sent(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any, answer: Stub
) -> None:
    [order] = add_orders(3)
    sandbox.respond_always(answer, path=READS)
    with pytest.raises(AirflowException) as caught:
        run.execute(cancel(order, require_status=("pending",)))
    assert type(caught.value) is AirflowException
    assert cancels(sandbox) == 0


def test_a_refused_read_fails_without_retries(sandbox: Sandbox, run: Any) -> None:
    with pytest.raises(AirflowFailException, match="ORDER_NOT_FOUND"):
        run.execute(cancel("abc", require_status=("pending",)))
    assert cancels(sandbox) == 0


def test_a_code_in_skip_on_codes_skips_where_the_read_brings_it(sandbox: Sandbox, run: Any) -> None:
    with pytest.raises(AirflowSkipException, match="ORDER_NOT_FOUND"):
        run.execute(cancel("abc", require_status=("pending",), skip_on_codes=["ORDER_NOT_FOUND"]))
    assert cancels(sandbox) == 0


def test_a_task_that_is_told_to_end_before_its_request_sends_none(
    sandbox: Sandbox, add_orders: Callable[..., list[str]], run: Any
) -> None:
    operator = cancel(*add_orders(3))
    operator.on_kill()  # nothing is under way: no error
    assert sandbox.requests == []


def test_the_key_is_in_no_message(sandbox: Sandbox, run: Any) -> None:
    echo = {"message": f"bad key {sandbox.api_key}", "code": "UNAUTHORIZED"}
    sandbox.respond_always(Stub.json(401, echo))
    with pytest.raises(AirflowFailException) as caught:
        run.execute(cancel("abc"))
    assert sandbox.api_key not in str(caught.value)


def test_a_connection_that_is_not_there_is_named(run: Any, airflow: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="no_such_connection"):
        run.execute(cancel("abc", ollang_conn_id="no_such_connection"))


def test_what_to_do_stands_in_the_error(
    sandbox: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = CancelOrderOperator(task_id="cancel", order_id="o-1")
    name, url = "AIRFLOW_CONN_OLLANG_DEFAULT", sandbox.url
    monkeypatch.setenv(name, json.dumps({"conn_type": "ollang", "host": url, "password": "wrong"}))
    with pytest.raises(
        AirflowFailException, match=r"401.*\w\. Copy the API key again.*connection 'ollang_default'"
    ):
        run.execute(operator)

    url = url.replace("http://", "https://")
    monkeypatch.setenv(name, json.dumps({"conn_type": "ollang", "host": url, "password": "any"}))
    with pytest.raises(AirflowException, match=rf"{url}.*TLS.*http://.*Check the base URL"):
        run.execute(operator)

    monkeypatch.delenv(name)
    with pytest.raises(AirflowFailException, match=r"ollang_default.*Add a connection"):
        run.execute(operator)
