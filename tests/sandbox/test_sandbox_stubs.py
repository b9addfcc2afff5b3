import pytest

from airflow_provider_ollang.sandbox import Stub


def statuses(client, count):
    return [client.get("/health").status_code for _ in range(count)]


def test_stub_responses_are_given_in_order_and_once_each(sandbox, client):
    sandbox.respond_next(Stub(status=503), Stub(), Stub(status=418))
    assert statuses(client, 4) == [503, 200, 418, 200]
    assert [request.status for request in sandbox.requests] == [503, 200, 418, 200]


def test_a_stub_response_is_given_as_it_is(sandbox, client):
    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Content-Type": "text/plain"}
    sandbox.respond_next(Stub(status=429, headers=headers, body=b"\xff slow"), Stub.json(409, {}))
    response = client.get("/health")
    assert (response.status_code, response.content) == (429, b"\xff slow")
    assert response.headers["Retry-After"] == headers["Retry-After"]
    assert response.headers["Content-Type"] == "text/plain"
    assert client.get("/health").json() == {}


def test_a_stub_response_waits_for_a_request_that_fits(sandbox, client):
    order = sandbox.orders.add()
    sandbox.respond_next(Stub(status=204), method="POST", path="/integration/orders/cancel/*")
    assert statuses(client, 1) == [200]
    assert client.get("/integration/orders").status_code == 200
    assert client.cancel(order["id"]).status_code == 204
    assert sandbox.orders.get(order["id"])["status"] == "pending"  # instead of the API
    assert client.cancel(order["id"]).status_code == 204


def test_a_standing_response_is_given_until_it_is_dropped(sandbox, client):
    sandbox.respond_always(Stub(status=503), path="/health")
    sandbox.respond_next(Stub(status=418))
    assert statuses(client, 3) == [418, 503, 503]
    assert client.get("/integration/orders").status_code == 200
    sandbox.respond_normally()
    assert statuses(client, 1) == [200]


@pytest.mark.parametrize("stub", [{"fault": "flood"}, {"fault": "500", "status": 200}])
def test_an_invalid_stub_is_an_error(stub):
    with pytest.raises(ValueError, match="fault"):
        Stub(**stub)
