import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox, Stub

KEY = "a-key-that-must-not-show"


def control(sandbox, path):
    return requests.get(f"{sandbox.url}/_sandbox/{path}", timeout=10)


def test_orders_are_shown_in_full_without_a_key(sandbox):
    shown = control(sandbox, "orders").json()
    flags = [order.pop("foreign") for order in shown]
    assert shown == [*sandbox.orders, *sandbox.orders.foreign]
    assert flags == [False] * 240 + [True] * len(sandbox.orders.foreign)
    assert any(flags)


def test_requests_are_shown_with_their_response_over_http_and_in_python(sandbox, client):
    order_id = sandbox.orders.add()["id"]
    client.cancel(order_id)
    client.list(take=7)

    cancel, listing = control(sandbox, "requests").json()

    assert abs(cancel.pop("time") - cancel.pop("acted")) < 60
    assert cancel == {
        "method": "POST",
        "path": f"/integration/orders/cancel/{order_id}",
        "order_id": order_id,
        "key_accepted": True,
        "status": 204,
        "fault": None,
    }
    assert (listing["method"], listing["order_id"], listing["status"]) == ("GET", None, 200)
    assert listing["path"] == "/integration/orders?pageOptions%5Btake%5D=7"
    assert [it.is_cancel for it in sandbox.requests] == [True, False]
    assert sandbox.requests[1].query == {"pageOptions[take]": "7"}


@pytest.mark.parametrize("key", [KEY, "another-secret"])
def test_a_key_never_shows(key):
    with Sandbox(api_key=KEY) as sandbox:
        path = f"/integration/orders/{KEY}?apiKey={KEY}"
        headers = {"X-Api-Key": key, "Authorization": f"Bearer {key}", "User-Agent": KEY}
        requests.get(sandbox.url + path, headers=headers, timeout=10)

        shown = control(sandbox, "requests").text
        assert f'"key_accepted":{str(key == KEY).lower()}' in shown
        assert key not in shown
        assert KEY not in shown
        assert KEY not in repr(sandbox.requests)


def test_reset_starts_over(sandbox, client):
    before = [(order["id"], order["status"]) for order in sandbox.orders]
    client.cancel(sandbox.orders.where(status="pending")[0]["id"])
    sandbox.orders.add()
    sandbox.respond_always(Stub(status=500))

    response = requests.post(f"{sandbox.url}/_sandbox/reset", timeout=10)

    assert response.status_code == 204
    assert sandbox.requests == []
    assert [(order["id"], order["status"]) for order in sandbox.orders] == before
    assert client.get("/health").status_code == 200


def test_an_order_can_be_added_and_changed_over_http(sandbox, client):
    def put(body):
        return requests.post(f"{sandbox.url}/_sandbox/orders", json=body, timeout=10)

    added = put({"name": "Mine", "createdAt": "yesterday", "age": "no field of an order"})
    foreign = put({"foreign": True}).json()

    assert added.status_code == 201
    assert sandbox.orders.where(name="Mine", createdAt="yesterday") == [added.json()]
    changed = put({"id": added.json()["id"], "status": "delayed"})
    assert changed.json() == added.json() | {"status": "delayed"}
    assert client.cancel(foreign["id"]).status_code == 403
    assert "age" not in added.json()
    assert put([]).status_code == 400


def test_control_requests_meet_no_trouble_and_are_not_recorded():
    with Sandbox(faults="500=1", rate_limit=0.001, latency_ms=600_000) as sandbox:
        sandbox.respond_always(Stub(status=503))
        assert [control(sandbox, "requests").status_code for _ in range(3)] == [200] * 3
        assert sandbox.requests == []
