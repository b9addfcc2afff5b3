from __future__ import annotations

import re
import time

import pytest
import requests

from airflow_provider_ollang.sandbox.generation import PROJECT_IDS

CREATE = "/integration/orders/create"
BODY = {
    "projectId": PROJECT_IDS[1],
    "orderType": "subtitle",
    "level": 1,
    "targetLanguageConfigs": [{"language": "fr", "isRush": False}, {"language": "ja"}],
}


def test_health_needs_no_key(sandbox):
    response = requests.get(f"{sandbox.url}/health", timeout=10)

    assert response.status_code == 200
    assert response.json()["status"] == "OK"
    assert abs(response.json()["time"] - time.time() * 1000) < 60_000


def test_an_order_is_read_in_full(sandbox, client):
    order = sandbox.orders.where(status="delivered", level=1)[0]

    response = client.get(f"/integration/orders/{order['id']}")

    assert response.status_code == 200
    assert response.json() == order
    assert order["finance"]["paymentAmount"] > 0
    assert [event["type"] for event in order["deliveryEvents"]] == [
        "ai_delivered",
        "translator_delivered",
        "lsp_approved",
        "order_delivered",
    ]
    occurred = [event["occurredAt"] for event in order["deliveryEvents"]]
    assert order["createdAt"] < occurred[0]
    assert occurred == sorted(occurred)


def test_an_unknown_order_cannot_be_read(client):
    response = client.get("/integration/orders/nowhere")

    assert (response.status_code, response.json()["code"]) == (404, "ORDER_NOT_FOUND")


def test_another_accounts_order_cannot_be_read(sandbox, client):
    response = client.get(f"/integration/orders/{sandbox.orders.foreign[0]['id']}")

    assert (response.status_code, response.json()["code"]) == (403, "ACCESS_DENIED")


@pytest.mark.parametrize("path", ["/", "/integration/orders/", "/integration/orders/a/b"])
def test_an_unknown_address_has_no_route(client, path):
    response = client.get(path)

    assert response.status_code == 404
    assert response.json() == {
        "message": f"Cannot GET {path}",
        "error": "Not Found",
    }


def test_one_order_is_created_for_each_language(sandbox, client):
    response = client.post(CREATE, json=BODY)

    assert response.status_code == 201
    created = [sandbox.orders.get(entry["orderId"]) for entry in response.json()]
    assert [set(entry) for entry in response.json()] == [{"orderId"}, {"orderId"}]
    assert [order["targetLanguage"] for order in created] == ["fr", "ja"]
    assert {(order["status"], order["type"], order["level"]) for order in created} == {
        ("pending", "subtitle", 1)
    }
    assert {order["projectId"] for order in created} == {PROJECT_IDS[1]}


def test_a_created_order_comes_first_in_a_listing(client):
    [first, second] = client.post(CREATE, json=BODY).json()

    assert set(client.list_ids()[:2]) == {first["orderId"], second["orderId"]}


def test_every_optional_field_is_taken(client):
    body = BODY | {
        "orderSubType": "closedCaption",
        "dubbingStyle": "lipsync",
        "callbackUrl": "https://example.com/done",
        "autoQc": True,
        "selectedMemories": ["memory"] * 20,
    }

    assert client.post(CREATE, json=body).status_code == 201


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"projectId": None}, "projectId must be a non-empty string"),
        ({"orderType": "proofreading"}, "orderType must be one of the following values: cc, "),
        ({"level": 2}, "level must be one of the following values: 0, 1"),
        ({"level": True}, "level must be one of the following values: 0, 1"),
        ({"targetLanguageConfigs": []}, "targetLanguageConfigs must be a non-empty array"),
        ({"targetLanguageConfigs": [{}]}, "targetLanguageConfigs must be a non-empty array"),
        ({"orderSubType": "karaoke"}, "orderSubType must be one of the following values: "),
        ({"dubbingStyle": "mime"}, "dubbingStyle must be one of the following values: "),
        ({"callbackUrl": "ftp://example.com"}, "callbackUrl must be a URL address"),
        ({"autoQc": "yes"}, "autoQc must be a boolean value"),
        ({"selectedMemories": ["memory"] * 21}, "selectedMemories must be an array of at most 20"),
    ],
)
def test_a_bad_field_creates_nothing(sandbox, client, change, complaint):
    response = client.post(CREATE, json=BODY | change)

    assert response.status_code == 400
    assert response.json()["error"] == "Bad Request"
    [message] = response.json()["message"]
    assert message.startswith(complaint)
    assert len(sandbox.orders) == 240


@pytest.mark.parametrize("body", ["[]", "null", "{}"])
def test_every_missing_field_is_named(client, body):
    message = client.post(CREATE, data=body).json()["message"]

    assert [line.split()[0] for line in message] == [
        "projectId",
        "orderType",
        "level",
        "targetLanguageConfigs",
    ]


def test_a_body_that_is_no_json_is_a_bad_request(client):
    response = client.post(CREATE, data="{")

    assert response.status_code == 400
    assert re.match("The body is no JSON", response.json()["message"])


def test_an_unknown_project_is_not_found(client):
    response = client.post(CREATE, json=BODY | {"projectId": "0" * 24})

    assert (response.status_code, response.json()["code"]) == (404, "PROJECT_NOT_FOUND")
