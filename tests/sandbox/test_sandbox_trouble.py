from __future__ import annotations

import threading
import time

import pytest
import requests

from airflow_provider_ollang.sandbox import Answer, Sandbox
from airflow_provider_ollang.sandbox.faults import KINDS, FaultDice, parse
from airflow_provider_ollang.sandbox.ratelimit import RateLimit

from .conftest import Client


def statuses(client, count):
    return [client.get("/health").status_code for _ in range(count)]


def test_canned_answers_come_in_order_and_once_each(sandbox, client):
    sandbox.answer_next(Answer(status=503), Answer(), Answer(status=418))

    assert statuses(client, 4) == [503, 200, 418, 200]
    assert [received.status for received in sandbox.requests] == [503, 200, 418, 200]


def test_a_canned_answer_is_given_as_it_is(sandbox, client):
    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Content-Type": "text/plain"}
    sandbox.answer_next(Answer(status=429, headers=headers, body=b"\xff slow"))

    response = client.get("/health")

    assert (response.status_code, response.content) == (429, b"\xff slow")
    assert response.headers["Retry-After"] == headers["Retry-After"]
    assert response.headers["Content-Type"] == "text/plain"


def test_a_canned_answer_can_be_json(sandbox, client):
    sandbox.answer_next(Answer.json(409, {"code": "OTHER"}, {"X-Trace": "7"}))

    response = client.get("/health")

    assert (response.status_code, response.json()) == (409, {"code": "OTHER"})
    assert response.headers["X-Trace"] == "7"


def test_a_canned_answer_replaces_what_the_api_would_do(sandbox, client):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(status=204))

    assert client.cancel(order["id"]).status_code == 204
    assert sandbox.orders.get(order["id"])["status"] == "pending"


def test_a_canned_answer_waits_for_a_request_that_fits(sandbox, client):
    sandbox.answer_next(Answer(status=500), method="POST", path="/integration/orders/cancel/*")

    assert statuses(client, 1) == [200]
    assert client.get("/integration/orders").status_code == 200
    assert client.cancel("f" * 24).status_code == 500
    assert client.cancel("f" * 24).status_code == 404


def test_a_standing_answer_is_given_until_it_is_dropped(sandbox, client):
    sandbox.answer_always(Answer(status=503), path="/health")
    sandbox.answer_next(Answer(status=418))

    assert statuses(client, 3) == [418, 503, 503]
    assert client.get("/integration/orders").status_code == 200
    sandbox.answer_normally()
    assert statuses(client, 1) == [200]


def test_a_delayed_answer_outlasts_an_impatient_client(sandbox):
    sandbox.answer_next(Answer(delay=30))

    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{sandbox.url}/health", timeout=0.1)
    [received] = sandbox.requests
    assert received.status is None


def test_a_body_shorter_than_promised_is_cut_off(sandbox, client):
    sandbox.answer_next(Answer(status=200, headers={"Content-Length": "100"}, body=b"{"))

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.get("/health")
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize("answer", [{"fault": "flood"}, {"fault": "500", "status": 200}])
def test_a_senseless_answer_is_refused(answer):
    with pytest.raises(ValueError, match="fault"):
        Answer(**answer)


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("429", "application/json"),
        ("500", "application/json"),
        ("502", "text/html"),
        ("503", "application/json"),
        ("504", "text/html"),
    ],
)
def test_a_fault_with_a_status_acts_on_nothing(sandbox, client, kind, content_type):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    response = client.cancel(order["id"])

    assert response.status_code == int(kind)
    assert response.headers["content-type"].startswith(content_type)
    assert ("Retry-After" in response.headers) == (kind == "429")
    assert sandbox.orders.get(order["id"])["status"] == "pending"
    assert sandbox.requests[-1].fault == kind


@pytest.mark.parametrize(
    ("kind", "status"), [("reset-before", "pending"), ("reset-after", "cancelled")]
)
def test_a_reset_breaks_the_connection_off(sandbox, client, kind, status):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    with pytest.raises(requests.exceptions.ConnectionError):
        client.cancel(order["id"])
    assert sandbox.orders.get(order["id"])["status"] == status
    [received] = sandbox.requests
    assert (received.fault, received.status) == (kind, None)
    assert statuses(client, 1) == [200]


def test_a_timeout_answers_nothing(sandbox):
    sandbox.answer_next(Answer(fault="timeout"))

    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{sandbox.url}/health", timeout=0.1)


def test_faults_come_as_often_as_asked_and_by_seed():
    def drawn(seed):
        with Sandbox(faults="500=0.3,503=0.2", seed=seed) as sandbox:
            return statuses(Client(sandbox), 200)

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert 30 < first.count(500) < 90
    assert 20 < first.count(503) < 60
    assert set(first) == {200, 500, 503}


def test_a_reset_starts_the_faults_over():
    with Sandbox(faults="500=0.5") as sandbox:
        client = Client(sandbox)
        first = statuses(client, 30)
        sandbox.reset()
        assert statuses(client, 30) == first
        assert len(set(first)) == 2


def test_every_kind_can_be_asked_for():
    specification = ",".join(f"{kind}=0.1" for kind in KINDS)

    assert parse(specification) == dict.fromkeys(KINDS, 0.1)
    assert parse("") == {}


def test_a_certain_fault_is_always_drawn():
    dice = FaultDice({"500": 1.0}, seed=0)

    assert {dice.draw() for _ in range(100)} == {"500"}


@pytest.mark.parametrize(
    ("specification", "complaint"),
    [
        ("flood=0.1", "unknown kind 'flood'; the kinds are 429, 500"),
        ("500", "'500' must be KIND=RATE"),
        ("500=often", "'500=often' must be KIND=RATE"),
        ("500=1.1", "rate from 0 to 1"),
        ("500=nan", "rate from 0 to 1"),
        ("500=0.6,503=0.6", "must not exceed 1 together"),
    ],
)
def test_a_bad_specification_is_explained(specification, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(specification)


def test_requests_beyond_the_rate_limit_are_told_to_wait():
    with Sandbox(rate_limit=0.001) as sandbox:
        client = Client(sandbox)
        served, refused = client.get("/health"), client.get("/health")

        assert served.status_code == 200
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 1000
        assert refused.json() == {
            "statusCode": 429,
            "message": "ThrottlerException: Too Many Requests",
        }
        sandbox.reset()
        assert statuses(client, 2) == [200, 429]


@pytest.mark.parametrize(
    ("per_second", "at", "waits"),
    [
        (None, [0] * 5, [0] * 5),
        (3, [0, 0, 0, 0, 0.1], [0, 0, 0, 1, 1]),
        (3, [0, 0, 0, 0.4, 0.5], [0, 0, 0, 0, 1]),
        (2, [0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 1]),
        (2, [60, 60, 60], [0, 0, 1]),
        (0.125, [0, 0, 2, 8], [0, 8, 6, 0]),
    ],
)
def test_the_rate_limit_lets_a_seconds_worth_through(per_second, at, waits):
    moments = iter([0, *at])
    limit = RateLimit(per_second, clock=lambda: next(moments))

    assert [limit.wait() for _ in at] == waits


def test_latency_delays_every_answer():
    with Sandbox(latency_ms=200) as sandbox:
        assert Client(sandbox).get("/health").elapsed.total_seconds() >= 0.2


def test_stopping_does_not_wait_for_a_hanging_client():
    with Sandbox() as sandbox:
        sandbox.answer_always(Answer(fault="timeout"))
        failures = []

        def hang():
            try:
                requests.get(f"{sandbox.url}/health", timeout=60)
            except requests.exceptions.ConnectionError as error:
                failures.append(error)

        waiting = threading.Thread(target=hang)
        waiting.start()
        while not sandbox.requests:
            time.sleep(0.01)

    waiting.join(timeout=30)
    assert len(failures) == 1
