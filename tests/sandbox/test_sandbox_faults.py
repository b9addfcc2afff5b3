"""Faults, the sandbox's own and those of the tests; and the rate limit and the latency."""

from __future__ import annotations

import time

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox, Stub
from airflow_provider_ollang.sandbox import _faults as faults
from airflow_provider_ollang.sandbox._faults import RateLimiter, parse_faults
from tests.faults import KINDS

from .conftest import Client


def statuses(client, count):
    return [client.get("/health").status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "order_status"),
    [
        ("429", 429, "application/json", "pending"),
        ("500", 500, "application/json", "pending"),
        ("html", 200, "text/html", "pending"),
        ("malformed", 200, "application/json", "cancelled"),
        ("moves-on", 400, "application/json", "ongoing"),
        ("reset-before", None, "", "pending"),
        ("reset-after", None, "", "cancelled"),
        ("truncated", None, "", "cancelled"),
        ("timeout-after", None, "", "cancelled"),
    ],
)
def test_a_cancel_meets_a_fault(sandbox, client, kind, status, content_type, order_status):
    order = sandbox.orders.add()
    sandbox.respond_next(Stub(fault=KINDS[kind]))
    before = time.time()

    try:
        response = client.cancel(order["id"], allow_redirects=False, timeout=1)
    except requests.RequestException:
        assert status is None
    else:
        assert response.status_code == status
        assert response.headers.get("content-type", "").startswith(content_type)

    assert sandbox.orders.get(order["id"])["status"] == order_status
    [request] = sandbox.requests
    assert (request.fault, request.status) == (kind, status)
    assert (request.acted is not None) == (order_status == "cancelled")
    assert request.acted is None or before <= request.acted <= time.time()
    assert statuses(client, 1) == [200]


def test_faults_are_as_frequent_as_asked_by_seed_and_the_same_after_a_reset():
    def drawn(seed):
        with Sandbox(faults="500=0.3,503=0.2", seed=seed) as sandbox:
            first = statuses(Client(sandbox), 100)
            sandbox.reset()
            assert statuses(Client(sandbox), 20) == first[:20]
            return first

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert 10 < first.count(500) < 55
    assert 5 < first.count(503) < 40
    assert set(first) == {200, 500, 503}


def test_every_kind_can_be_asked_for_together():
    own = faults.KINDS
    others = dict.fromkeys((own[kind] for kind in own if kind != "500"), 0.2 / (len(own) - 1))
    assert parse_faults("") == {}
    assert parse_faults("500=0.3,all=0.2") == pytest.approx({own["500"]: 0.3, **others})
    assert parse_faults("all=0.2", KINDS) == dict.fromkeys(KINDS.values(), 0.2 / len(KINDS))


def test_requests_beyond_the_rate_limit_are_told_to_wait(sandbox, client):
    sandbox.limit_rate(0.001)
    served, limited = client.get("/health"), client.get("/health")

    assert (served.status_code, limited.status_code) == (200, 429)
    assert 0 < int(limited.headers["Retry-After"]) <= 1000
    sandbox.reset()
    assert statuses(client, 2) == [200, 429]
    sandbox.limit_rate(None)
    assert statuses(client, 3) == [200] * 3
    with pytest.raises(ValueError, match="rate_limit must be a number above 0, got 0"):
        sandbox.limit_rate(0)


@pytest.mark.parametrize(
    ("per_second", "at", "waits"),
    [
        (None, [0] * 5, [0] * 5),
        (3, [0, 0, 0, 0, 0.1], [0, 0, 0, 1, 1]),
        (3, [0, 0, 0, 0.4, 0.5], [0, 0, 0, 0, 1]),
        (2, [60, 60, 60], [0, 0, 1]),
        (0.125, [0, 0, 2, 8], [0, 8, 6, 0]),
    ],
)
def test_the_rate_limit_lets_a_seconds_worth_through(per_second, at, waits):
    limiter = RateLimiter(per_second)
    assert [limiter.acquire(now) for now in at] == waits


def test_latency_delays_every_response():
    with Sandbox(latency_ms=200) as sandbox:
        assert Client(sandbox).get("/health").elapsed.total_seconds() >= 0.2
