from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import islice

import pytest
import requests

from airflow_provider_ollang.sandbox import Answer, Sandbox
from airflow_provider_ollang.sandbox.dice import FaultDice, parse
from airflow_provider_ollang.sandbox.faults import KINDS
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
    ("kind", "status", "content_type"),
    [
        ("429", 429, "application/json"),
        ("429-date", 429, "application/json"),
        ("429-bare", 429, "application/json"),
        ("429-nonsense", 429, "application/json"),
        ("429-hour", 429, "application/json"),
        ("500", 500, "application/json"),
        ("502", 502, "text/html"),
        ("503", 503, "application/json"),
        ("504", 504, "text/html"),
        ("html", 200, "text/html"),
        ("redirect", 302, "text/html"),
    ],
)
def test_a_fault_with_a_status_acts_on_nothing(sandbox, client, kind, status, content_type):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    response = client.cancel(order["id"], allow_redirects=False)

    assert response.status_code == status
    assert response.headers["content-type"].startswith(content_type)
    assert sandbox.orders.get(order["id"])["status"] == "pending"
    assert sandbox.requests[-1].fault == kind
    assert sandbox.requests[-1].status == status


def test_each_refusal_for_speed_says_in_its_own_way_how_long_to_wait(sandbox, client):
    kinds = ["429", "429-bare", "429-nonsense", "429-hour", "429-date"]
    sandbox.answer_next(*(Answer(fault=kind) for kind in kinds))

    *waits, date = [client.get("/health").headers.get("Retry-After") for _ in kinds]

    assert waits == ["1", None, "soon", "3600"]
    ahead = parsedate_to_datetime(date) - datetime.now(UTC)
    assert timedelta() < ahead <= timedelta(seconds=2)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("reset-before", "pending"), ("reset-after", "cancelled"), ("truncated", "cancelled")],
)
def test_a_broken_connection_leaves_a_cancel_unanswered(sandbox, client, kind, status):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    with pytest.raises(requests.exceptions.ConnectionError):
        client.cancel(order["id"])
    assert sandbox.orders.get(order["id"])["status"] == status
    [received] = sandbox.requests
    assert (received.fault, received.status) == (kind, None)
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize(
    ("kind", "status"), [("timeout-before", "pending"), ("timeout-after", "cancelled")]
)
def test_a_timeout_answers_nothing(sandbox, kind, status):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    with pytest.raises(requests.exceptions.ReadTimeout):
        Client(sandbox).cancel(order["id"], timeout=0.5)
    assert sandbox.orders.get(order["id"])["status"] == status


def test_a_drip_goes_on_until_the_client_leaves(sandbox):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault="slow-drip"))

    with requests.get(f"{sandbox.url}/health", stream=True, timeout=10) as response:
        assert list(islice(response.iter_content(1), 3)) == [b" "] * 3
    assert sandbox.orders.get(order["id"])["status"] == "pending"


def test_a_refusing_server_takes_no_connection_for_a_moment(sandbox):
    client = Client(sandbox)
    sandbox.answer_next(Answer(fault="refused"))

    assert client.get("/health").status_code == 200
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        client.get("/health")
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        try:
            assert client.get("/health").status_code == 200
            break
        except requests.exceptions.ConnectionError:
            time.sleep(0.05)
    assert statuses(client, 3) == [200] * 3


def test_a_sandbox_stops_while_it_refuses_connections():
    with Sandbox() as sandbox:
        sandbox.answer_next(Answer(fault="refused"))
        assert Client(sandbox).get("/health").status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("wrong-type", 204, b""),
        ("malformed", 200, b"{"),
        ("empty", 200, b""),
    ],
)
def test_a_cancel_holds_though_its_answer_is_spoilt(sandbox, client, kind, status, body):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))

    response = client.cancel(order["id"])

    assert (response.status_code, response.content) == (status, body)
    assert sandbox.orders.get(order["id"])["status"] == "cancelled"


def test_a_listings_answer_can_be_spoilt(sandbox, client):
    sandbox.orders.add()
    whole = client.get("/integration/orders")
    sandbox.answer_next(*(Answer(fault=kind) for kind in ("wrong-type", "malformed", "empty")))

    wrong_type, malformed, empty = [client.get("/integration/orders") for _ in range(3)]

    assert wrong_type.content == whole.content
    assert wrong_type.headers["content-type"] == "application/octet-stream"
    assert malformed.content == whole.content[:-1]
    assert empty.content == b""
    assert {answer.status_code for answer in (wrong_type, malformed, empty)} == {200}
    sandbox.answer_next(Answer(fault="truncated"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.get("/integration/orders")


def test_a_page_can_be_not_what_it_says(sandbox, client):
    for _ in range(5):
        sandbox.orders.add()

    def ids(number, fault=None):
        sandbox.answer_next(Answer(fault=fault))
        params = {"pageOptions[page]": number, "pageOptions[take]": 2}
        body = client.get("/integration/orders", params=params).json()
        return [order["id"] for order in body["data"]], body["meta"]

    (first, _), (second, said_of_second), (third, said_of_third) = ids(1), ids(2), ids(3)

    assert ids(2, "page-repeats") == (first, said_of_second)
    assert ids(2, "page-shrinks") == (second[:1], said_of_second)
    assert ids(3, "page-without-end") == (third, {**said_of_third, "hasNextPage": True})
    assert ids(1, "page-repeats")[0] == first  # nothing comes before it


@pytest.mark.parametrize(
    ("kind", "acted"), [(None, True), ("timeout-after", True), ("reset-before", False)]
)
def test_a_request_tells_whether_the_api_did_as_it_was_asked(sandbox, kind, acted):
    order = sandbox.orders.add()
    sandbox.answer_next(Answer(fault=kind))
    before = time.time()

    with suppress(requests.RequestException):
        Client(sandbox).cancel(order["id"], timeout=0.5)
    [received] = sandbox.requests
    assert (received.acted is not None) == acted
    assert not acted or before <= received.acted <= time.time()
    assert Client(sandbox).cancel("f" * 24).status_code == 404
    assert sandbox.requests[-1].acted is None


@pytest.mark.parametrize("kind", ["page-repeats", "page-shrinks", "page-without-end", "moves-on"])
def test_a_fault_that_a_request_cannot_meet_leaves_it_alone(sandbox, client, kind):
    sandbox.answer_next(Answer(fault=kind))

    assert client.get("/health").json()["status"] == "OK"
    assert sandbox.requests[-1].fault is None


@pytest.mark.parametrize(("before", "after"), [("pending", "ongoing"), ("cancelled",) * 2])
def test_work_on_an_order_can_begin_before_it_is_cancelled(sandbox, client, before, after):
    order = sandbox.orders.add(status=before)
    sandbox.answer_next(Answer(fault="moves-on"))

    assert client.cancel(order["id"]).status_code in (400, 409)
    assert sandbox.orders.get(order["id"])["status"] == after


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
    specification = ",".join(f"{kind}=0.01" for kind in KINDS)

    assert parse(specification) == pytest.approx(dict.fromkeys(KINDS, 0.01))
    assert parse("") == {}


def test_every_kind_can_be_asked_for_together():
    assert parse("all=0.25") == pytest.approx(dict.fromkeys(KINDS, 0.25 / len(KINDS)))
    assert parse("500=0.3,all=0.24") == {
        "500": 0.3,
        **dict.fromkeys(KINDS.keys() - {"500"}, 0.24 / (len(KINDS) - 1)),
    }


def test_a_certain_fault_is_always_drawn():
    dice = FaultDice({"500": 1.0}, seed=0)

    assert {dice.draw() for _ in range(100)} == {"500"}


@pytest.mark.parametrize(
    ("specification", "complaint"),
    [
        ("flood=0.1", "unknown kind 'flood'; the kinds are refused, reset-before"),
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
            "error": "Too Many Requests",
            "message": "ThrottlerException: Too Many Requests",
        }
        sandbox.reset()
        assert statuses(client, 2) == [200, 429]


def test_the_rate_limit_can_change(sandbox, client):
    assert statuses(client, 3) == [200] * 3
    sandbox.limit_rate(0.001)
    assert statuses(client, 2) == [200, 429]
    sandbox.limit_rate(None)
    assert statuses(client, 3) == [200] * 3


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
        sandbox.answer_always(Answer(fault="timeout-before"))
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
