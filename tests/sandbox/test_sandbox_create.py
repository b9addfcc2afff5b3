import pytest

from airflow_provider_ollang.sandbox._model import PROJECT_IDS

CREATE = "/integration/orders/create"
BODY = {
    "projectId": PROJECT_IDS[1],
    "orderType": "document",
    "level": 1,
    "targetLanguageConfigs": [{"language": "fr", "isRush": False}, {"language": "ja"}],
}


def test_one_order_is_created_for_each_language(sandbox, client):
    optional = {
        "orderSubType": "closedCaption",
        "dubbingStyle": "lipsync",
        "callbackUrl": "https://example.com/done",
        "autoQc": True,
        "selectedMemories": ["memory"] * 20,
    }
    response = client.post(CREATE, json=BODY | optional)

    assert response.status_code == 201
    assert [set(entry) for entry in response.json()] == [{"orderId"}, {"orderId"}]
    created = [sandbox.orders.get(entry["orderId"]) for entry in response.json()]
    shown = ("status", "type", "level", "projectId", "targetLanguage")
    assert [[order[name] for name in shown] for order in created] == [
        ["pending", "document", 1, PROJECT_IDS[1], "fr"],
        ["pending", "document", 1, PROJECT_IDS[1], "ja"],
    ]
    assert set(client.list_ids()[:2]) == {order["id"] for order in created}


@pytest.mark.parametrize(
    ("order_type", "types"),
    [
        ("subtitle", ["cc", "subtitle", "subtitle"]),
        ("aiDubbing", ["cc", "aiDubbing", "aiDubbing"]),
        ("cc", [None, None]),
    ],
)
def test_subtitles_and_dubbing_bring_a_cc_order_along(sandbox, client, order_type, types):
    created = client.post(CREATE, json=BODY | {"orderType": order_type}).json()
    assert [entry.get("orderType") for entry in created] == types
    orders = [sandbox.orders.get(entry["orderId"]) for entry in created]
    assert [order["type"] for order in orders] == [name or "cc" for name in types]
    assert [order["targetLanguage"] for order in orders][-2:] == ["fr", "ja"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"projectId": None}, "projectId must be a non-empty string"),
        ({"orderType": "proofreading"}, "orderType must be one of the following values: cc, "),
        ({"level": 2}, "level must be 0 or 1"),
        ({"targetLanguageConfigs": [{}]}, "targetLanguageConfigs must be a non-empty array"),
        ({"dubbingStyle": "mime"}, "dubbingStyle must be one of the following values: "),
        ({"callbackUrl": "http://"}, "callbackUrl must be a URL address"),
        ({"autoQc": "yes"}, "autoQc must be a boolean value"),
        ({"selectedMemories": ["memory"] * 21}, "selectedMemories must be an array of at most 20"),
    ],
)
def test_a_bad_field_creates_nothing(sandbox, client, change, complaint):
    response = client.post(CREATE, json=BODY | change)
    assert response.status_code == 400
    [message] = response.json()["message"]
    assert message.startswith(complaint)
    assert len(sandbox.orders) == 240


def test_every_missing_field_is_named(client):
    message = client.post(CREATE, json={}).json()["message"]
    missing = ["projectId", "orderType", "level", "targetLanguageConfigs"]
    assert [line.split()[0] for line in message] == missing


@pytest.mark.parametrize(
    ("body", "message"), [("{", "The body is not JSON: "), ("[]", "The body is not a JSON object")]
)
def test_a_body_that_is_no_json_object_is_a_bad_request(client, body, message):
    response = client.post(CREATE, data=body)
    assert response.status_code == 400
    assert response.json()["message"].startswith(message)
