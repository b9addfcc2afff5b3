"""The official SDK, unchanged, against the sandbox."""

import pytest
from ollang import Ollang, OllangAPIError

from airflow_provider_ollang.sandbox._model import PROJECT_IDS


@pytest.fixture
def ollang(sandbox):
    return Ollang(api_key=sandbox.api_key, base_url=sandbox.url)


def test_it_lists_with_every_option_and_reads_an_order(sandbox, ollang):
    page = ollang.orders.list(
        page=1,
        take=50,
        search="e",
        order_by="createdAt",
        order_direction="asc",
        status="pending",
        order_type="document",
        project_id=PROJECT_IDS[0],
    )

    expected = sandbox.orders.where(status="pending", type="document", projectId=PROJECT_IDS[0])
    assert {order["id"] for order in page["data"]} == {order["id"] for order in expected}
    assert page["meta"]["itemCount"] == len(expected) > 0
    assert ollang.orders.get(expected[0]["id"]) == expected[0]
    assert ollang.health_check()["status"] == "OK"


def test_it_creates_and_cancels_an_order(sandbox, ollang):
    [created] = ollang.orders.create(
        order_type="cc",
        level=0,
        target_language_configs=[{"language": "fr", "isRush": False}],
        project_id=PROJECT_IDS[0],
        source_language="en",
        order_sub_type="closedCaption",
        auto_qc=True,
    )

    assert ollang.orders.cancel(created["orderId"]) is None
    assert sandbox.orders.get(created["orderId"])["status"] == "cancelled"


def test_it_gets_an_error_response(ollang):
    with pytest.raises(OllangAPIError) as caught:
        ollang.orders.cancel("f" * 24)
    assert caught.value.status_code == 404
    assert caught.value.body["code"] == "ORDER_NOT_FOUND"
