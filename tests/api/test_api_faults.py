"""Every kind of fault that the sandbox can make, and what the client makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.faults import KINDS

from .conftest import client_of, each_kind, error_of_listing

PASSES = ("cancelled", 2, False)
PASSES_UNSURE = ("cancelled", 2, True)
DONE_BEFORE = (errors.OrderAlreadyCancelledError, 2, True)
UNSURE = (errors.UnexpectedResponseError, 1, True)
NO_MATTER = ("cancelled", 1, False)

#: How a cancel ends whose first request meets the fault: the outcome, the requests that were sent,
#: and whether one of them may have been acted on although no response says so.
CANCELS: dict[str, tuple[Any, int, bool]] = {
    "reset-before": PASSES_UNSURE,
    "reset-after": DONE_BEFORE,
    "timeout-before": PASSES_UNSURE,
    "timeout-after": DONE_BEFORE,
    "slow-drip": PASSES_UNSURE,
    "truncated": DONE_BEFORE,
    "429": PASSES,
    "429-date": PASSES,
    "429-bare": PASSES,
    "429-nonsense": PASSES,
    "429-hour": (errors.RateLimitedError, 1, False),
    "500": PASSES_UNSURE,
    "502": PASSES_UNSURE,
    "503": PASSES_UNSURE,
    "504": PASSES_UNSURE,
    "html": UNSURE,
    "redirect": UNSURE,
    "wrong-type": NO_MATTER,
    "malformed": UNSURE,
    "empty": UNSURE,
    "page-without-end": NO_MATTER,
    "moves-on": (errors.OrderNotCancellableError, 1, False),
}


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    with no_waiting(), client_of(sandbox, timeout=1) as client:
        yield client


@each_kind
def test_a_cancel_that_meets_a_fault_ends_as_it_should(sandbox, client, kind):
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(Stub(fault=KINDS[kind]))

    outcome: Any = "cancelled"
    try:
        told: Any = client.cancel_order(order_id)
    except errors.OllangError as error:
        outcome, told = type(error), error

    assert (outcome, told.attempts, told.response_lost) == CANCELS[kind]
    assert len(sandbox.requests) == told.attempts
    if outcome == "cancelled":
        assert sandbox.orders.get(order_id)["status"] == "cancelled"
    elif sandbox.orders.get(order_id)["status"] == "cancelled":
        assert told.response_lost


@each_kind
def test_a_listing_with_a_fault_on_any_page_is_whole_or_an_error(sandbox, client, kind):
    ids = {sandbox.orders.add()["id"] for _ in range(120)}
    for page in range(3):
        sandbox.respond_next(*[Stub()] * page, Stub(fault=KINDS[kind]))
        if kind == "429-hour":
            assert error_of_listing(client).retry_after == 3600
        else:
            assert {order.id for order in client.iter_orders()} == ids
        sandbox.respond_normally()


@each_kind
def test_a_listing_whose_faults_never_end_is_an_error_or_whole(sandbox, kind):
    ids = {sandbox.orders.add()["id"] for _ in range(60)}
    sandbox.respond_always(Stub(fault=KINDS[kind]), path="/integration/orders")

    twice = RetryPolicy(max_attempts=2)
    try:
        with no_waiting(), client_of(sandbox, timeout=1, retry_policy=twice) as client:
            read = {order.id for order in client.iter_orders()}
    except errors.OllangError:
        return
    assert read == ids
