"""Creating orders: sent once, and what a lost response may have created is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.adoption import (
    Watermark,
    look_for_created,
    match_orders,
    read_watermark,
)
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.creation import OrderRequest, TargetLanguage
from airflow_provider_ollang.api.models import Order
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.faults import KINDS

from .conftest import RawServer, client_of, each_kind

CREATE = "/integration/orders/create"
#: One of the projects that the sandbox knows.
PROJECT = "65a1f00d3c5e7a0011223301"
FRENCH, GERMAN = TargetLanguage("fr"), TargetLanguage("de", is_rush=True)


def request_of(**fields: Any) -> OrderRequest:
    wanted = {"project_id": PROJECT, "order_type": "document", "target_languages": [FRENCH, GERMAN]}
    return OrderRequest(**{**wanted, **fields})


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[OllangClient]:
    with no_waiting(), client_of(sandbox, timeout=1) as client:
        yield client


def sent(sandbox: Sandbox) -> int:
    return sum(request.path == CREATE for request in sandbox.requests)


def test_every_order_that_a_request_creates_is_returned(sandbox, client):
    created = client.create_order(request_of(level=1, auto_qc=False, selected_memories=["m1"]))
    assert {order.id for order in created} == {order["id"] for order in sandbox.orders}
    assert [order["targetLanguage"] for order in sandbox.orders] == ["fr", "de"]


def test_a_request_says_what_was_set_and_nothing_else():
    assert request_of().to_json() == {
        "projectId": PROJECT,
        "orderType": "document",
        "level": 0,
        "targetLanguageConfigs": [
            {"language": "fr", "isRush": False},
            {"language": "de", "isRush": True},
        ],
    }


NOT_ACTED_ON = {"429", "429-date", "429-bare", "429-nonsense"}
#: The response is still understood.
UNHARMED = {"refused", "wrong-type", "page-without-end", "moves-on"}
#: The API has acted on the request, and its response is lost.
ACTED_ON = {"reset-after", "timeout-after", "truncated", "malformed", "empty"}


@each_kind
def test_a_create_is_sent_again_only_where_nothing_can_have_been_created(sandbox, client, kind):
    before = read_watermark(client)
    sandbox.respond_next(Stub(fault=KINDS[kind]), path=CREATE)

    if kind in NOT_ACTED_ON | UNHARMED:
        assert len(client.create_order(request_of())) == 2
    else:
        with pytest.raises(errors.OllangError) as caught:
            client.create_order(request_of())
        assert caught.value.response_lost is (kind != "429-hour")
    assert sent(sandbox) == (2 if kind in NOT_ACTED_ON else 1)
    if kind in ACTED_ON:
        found = look_for_created(client, request_of(), before)
        assert {order.id for order in found} == {order["id"] for order in sandbox.orders}
    elif kind not in NOT_ACTED_ON | UNHARMED:
        assert look_for_created(client, request_of(), before) == []


@pytest.mark.parametrize("error_format", ["documented", "envelope", "framework"])
def test_an_unknown_project_is_named_whatever_the_errors_format(sandbox, client, error_format):
    sandbox.error_format = error_format
    with pytest.raises(errors.ProjectNotFoundError, match="project nowhere") as caught:
        client.create_order(request_of(project_id="nowhere"))
    assert caught.value.is_final
    assert not caught.value.response_lost


@pytest.mark.parametrize("body", [b"{}", b"[]", b'[{"orderId": "a b"}]', b'[{"orderId": "a"}, 5]'])
def test_a_201_that_lists_no_orders_may_have_created_some(body):
    head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(body)}\r\n\r\n"
    with RawServer(head.encode() + body) as server, server.client() as client:
        with pytest.raises(errors.UnexpectedResponseError) as caught:
            client.create_order(request_of())
        assert len(server.requests) == 1
    assert caught.value.response_lost


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ORDER_ALREADY_CANCELLED"), (400, "ORDER_NOT_CANCELLABLE")]
)
def test_an_error_that_only_an_existing_order_can_meet_says_nothing_of_a_new_one(
    sandbox, client, status, code
):
    sandbox.respond_next(Stub.json(status, {"code": code, "message": "x"}), path=CREATE)
    with pytest.raises(errors.UnexpectedResponseError):
        client.create_order(request_of())


def test_orders_that_were_there_before_are_never_taken_for_new_ones(sandbox, client):
    moment = {"createdAt": "2026-01-01T00:00:00.000Z", "projectId": PROJECT, "type": "document"}
    for language in ["fr", "de", "fr"]:
        sandbox.orders.add(targetLanguage=language, **moment)
    before = Watermark.from_json(json.loads(json.dumps(read_watermark(client).to_json())))
    assert look_for_created(client, request_of(), before) == []
    new = {sandbox.orders.add(targetLanguage=it, **moment)["id"] for it in ["fr", "de"]}
    assert {order.id for order in look_for_created(client, request_of(), before)} == new


def test_an_order_from_the_future_does_not_make_new_ones_look_old(sandbox, client):
    sandbox.orders.add(createdAt="2099-01-01T00:00:00.000Z")
    before = read_watermark(client)
    created = client.create_order(request_of())
    found = look_for_created(client, request_of(), before)
    assert {order.id for order in found} == {order.id for order in created}


def test_orders_that_are_created_long_after_a_request_are_another_ones(sandbox, client):
    before = Watermark.from_json(json.loads(json.dumps(read_watermark(client).to_json())))
    tomorrow = {"age": timedelta(days=-1), "projectId": PROJECT, "type": "document"}
    for language in ["fr", "de"]:
        sandbox.orders.add(targetLanguage=language, **tomorrow)
    assert look_for_created(client, request_of(), before) == []


def test_an_order_of_another_level_is_not_what_was_asked_for(sandbox, client):
    before = read_watermark(client)
    client.create_order(request_of(level=1))
    with pytest.raises(errors.AmbiguousOrdersError, match="level 1, expected 0"):
        look_for_created(client, request_of(level=0), before)


def order(language: str, kind: str = "subtitle", **fields: Any) -> Order:
    it = {"id": f"{kind}-{language}", "type": kind, "status": "pending", "project_id": PROJECT}
    return Order(**{**it, "target_language": language, "source_language": "en", **fields})


BOTH = [order("fr"), order("de")]


@pytest.mark.parametrize(
    ("orders", "adopted"),
    [
        (BOTH, {"subtitle-fr", "subtitle-de"}),
        ([*BOTH, order("en", "cc")], {"subtitle-fr", "subtitle-de", "cc-en"}),
        ([*BOTH, order("it", "cc")], {"subtitle-fr", "subtitle-de"}),
        ([order("FR"), order("de")], {"subtitle-FR", "subtitle-de"}),
        ([*BOTH, order("it")], {"subtitle-fr", "subtitle-de"}),
        ([*BOTH, order("fr", project_id="other")], {"subtitle-fr", "subtitle-de"}),
        ([*BOTH, order("fr", id="x", status="cancelled")], {"subtitle-fr", "subtitle-de"}),
        ([], set()),
        ([order("en", "cc")], set()),
        ([order("fr")], None),
        ([*BOTH, order("fr", id="x")], None),
        ([*BOTH, order("en", "cc"), order("en", "cc", id="x")], None),
    ],
)
def test_only_exactly_what_was_asked_for_is_adopted(orders, adopted):
    request = request_of(order_type="subtitle")
    if adopted is None:
        with pytest.raises(
            errors.AmbiguousOrdersError, match="asked for subtitle orders in fr, de"
        ):
            match_orders(orders, request)
    else:
        assert {it.id for it in match_orders(orders, request)} == adopted


def test_orders_that_appear_late_are_waited_for(sandbox):
    request = request_of(target_languages=[FRENCH])
    with client_of(sandbox) as client:
        before = read_watermark(client)
        wanted = {"projectId": PROJECT, "type": "document", "targetLanguage": "fr"}
        add = partial(sandbox.orders.add, age=timedelta(), **wanted)
        client.rate_limiter.sleep = lambda seconds: seconds and add()  # type: ignore[method-assign]
        assert len(look_for_created(client, request, before)) == 1
