"""Whatever the server responds: only a 204 is a success, and each order is accounted for."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ollang.api.models import STATUSES
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.anything import NASTY_BODIES, any_json, bodies, texts

from .always import CANCEL, KEY, LISTING, Ending, end_of, examples, standing_sandbox

CODES = {
    "UNAUTHORIZED": "failed",
    "ACCESS_DENIED": "access_denied",
    "ORDER_NOT_FOUND": "not_found",
    "ORDER_NOT_CANCELLABLE": "not_cancellable",
    "ORDER_ALREADY_CANCELLED": "already_cancelled",
}
CODE_OF_STATUS = {
    401: "UNAUTHORIZED",
    403: "ACCESS_DENIED",
    404: "ORDER_NOT_FOUND",
    409: "ORDER_ALREADY_CANCELLED",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with standing_sandbox() as running:
        yield running


# Responses.


codes = st.sampled_from([*CODES, "order_not_found", "TEAPOT", "", None, 409, True]) | any_json
messages = st.just(f"the key is {KEY}") | st.lists(texts, max_size=3) | any_json
coded_bodies = st.sampled_from([*CODES, "TEAPOT", ""]).map(
    lambda code: json.dumps({"code": code, "message": "m"}).encode()
)
error_bodies = coded_bodies | bodies(
    st.fixed_dictionaries({}, optional={"code": codes, "message": messages, "error": messages}),
    any_json,
)
statuses = st.sampled_from([200, 201, 204, 204, 205, 301, 302, 304, 400, 401, 403, 404, 409, 429])
any_status = statuses | statuses | st.integers(200, 599)
# What HTTP lets stand in a header.
header_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=20).map(
    lambda text: "".join(char for char in text if not 0x7F <= ord(char) < 0xA1).strip()
)
HEADERS = {
    "Retry-After": [
        *("0", "1", "-1", "3600", "999999999999", "1e9", "nan", "soon", "Thu, 99 Foo 0 0:0:0"),
        *("Thu, 01 Jan 2026 12:00:30 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
    "Content-Type": ["application/json; charset=utf-7", "text/html; charset=nope", "x"],
    "Location": ["/", "https://elsewhere.invalid/", "http://[", f"/?key={KEY}"],
    "Set-Cookie": ["a=b", "=;=;", "a=b; expires=nope; domain=.invalid"],
    "Link": ["<>;rel=next"],
}
any_headers = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from(values) | header_texts for name, values in HEADERS.items()},
        "Content-Encoding": st.sampled_from(["identity", "nope"]),
        "Connection": st.sampled_from(["close", "nope"]),
    },
)


def response(status: int, headers: dict[str, str], body: bytes, is_compressed: bool) -> Stub:
    if status in (204, 304):  # these have no body
        return Stub(status, headers)
    if is_compressed:
        return Stub(status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body))
    return Stub(status, headers, body)


any_response = st.builds(response, any_status, any_headers, error_bodies, st.booleans())


def fields_of(received: Stub) -> dict[str, Any] | None:
    try:
        body = received.body
        is_compressed = received.headers.get("Content-Encoding") == "gzip"
        fields = json.loads(gzip.decompress(body) if is_compressed else body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


GENERIC_CODES = (None, "", -1, "-1")


def meaning_of(received: Stub) -> str | None:
    """Return the documented code that a response to a cancel stands for, by the contract's words:
    the code decides, and the status only where there is none."""
    status, fields = received.status or 0, fields_of(received)
    if status < 400:
        return None
    code = (fields or {}).get("code")
    if isinstance(code, str) and code in CODES:
        return code
    if status == 401:  # whoever sent it, the key was not taken
        return "UNAUTHORIZED"
    if fields is None or code not in GENERIC_CODES or is_from_a_router(status, fields):
        return None
    return CODE_OF_STATUS.get(status)


def is_from_a_router(status: int, fields: dict[str, Any]) -> bool:
    """Return whether a 404 neither has a shape of the API's nor says anything of an order."""
    said = fields.get("message") or fields.get("error") or ""
    says_nothing = " ".join(str(said).split()).lower() in ("", "not found")
    return status == 404 and says_nothing and not {"code", "statusCode"} & fields.keys()


def code_is_other(received: Stub) -> bool:
    fields = fields_of(received) or {}
    return fields.get("code") not in (*GENERIC_CODES, *CODES)


# One cancel.


@examples(400)
@given(received=any_response, skip_on=st.sets(st.sampled_from(sorted(CODES))))
@example(Stub(409, body=NASTY_BODIES[-3]), {"ORDER_ALREADY_CANCELLED"})
@example(Stub(400, body=b'{"message": ' + b"[" * 480 + b"]" * 480 + b"}"), set())
def test_a_cancel_is_a_success_after_a_204_and_a_skip_for_a_documented_code(
    sandbox, received, skip_on
):
    sandbox.reset()
    sandbox.respond_always(received)
    ending = end_of(
        sandbox,
        CancelOrderOperator(task_id="task", order_id="o-1", skip_on_codes=sorted(skip_on)),
    )
    assert ending.cancelled == ["o-1"]
    assert (ending.error is None) is (received.status == 204)
    meaning = meaning_of(received)
    skipped = isinstance(ending.error, AirflowSkipException)
    if not (code_is_other(received) and meaning == "UNAUTHORIZED"):
        assert skipped is (meaning in skip_on), (meaning, ending)
    if received.status in (None, 429) or (received.status or 0) < 400:
        assert meaning or not isinstance(ending.error, AirflowFailException)
    if meaning and not skipped:
        assert isinstance(ending.error, AirflowFailException)


order_statuses = st.sampled_from([*STATUSES, "cancelled", "canceled", "Pending", "review"])
read_responses = st.builds(
    response,
    st.just(200) | any_status,
    any_headers,
    bodies(
        st.fixed_dictionaries(
            {"id": st.just("o-1") | any_json, "status": order_statuses | any_json},
            optional={"code": codes, "message": messages},
        ),
        any_json,
    ),
    st.booleans(),
)


def status_read(received: Stub) -> Any:
    """Return the status of order o-1 that a response tells, if it does."""
    fields = fields_of(received) if received.status == 200 else None
    return fields.get("status") if fields and fields.get("id") == "o-1" else None


@examples(200)
@given(
    received=read_responses,
    required=st.lists(st.sampled_from(["pending", "ongoing"]), min_size=1, max_size=2),
)
def test_no_cancel_is_sent_unless_the_order_reads_as_required(sandbox, received, required):
    sandbox.reset()
    sandbox.respond_always(Stub(204), method="POST")
    sandbox.respond_always(received, method="GET")
    operator = CancelOrderOperator(task_id="task", order_id="o-1", require_status=required)
    ending = end_of(sandbox, operator)
    status = status_read(received)
    is_as_required = isinstance(status, str) and status in required
    assert ending.cancelled == (["o-1"] if is_as_required else [])
    assert (ending.error is None) is is_as_required
    if isinstance(ending.error, AirflowSkipException):
        assert received.status == 200
        assert (fields_of(received) or {}).get("id") == "o-1"


# Many cancels.


@examples(150)
@given(
    responses=st.lists(any_response | st.just(Stub(204)), min_size=1, max_size=5),
    tolerated=st.sets(st.sampled_from(sorted(CODES))),
    workers=st.integers(1, 3),
)
@example([Stub.json(404, {"code": "ORDER_NOT_FOUND"})], set(), 1)
def test_each_order_of_a_batch_is_accounted_for_once_and_truly(
    sandbox, tmp_path_factory, responses, tolerated, workers
):
    sandbox.reset()
    by_id = {f"o-{number}": received for number, received in enumerate(responses)}
    for order_id, received in by_id.items():
        sandbox.respond_always(received, path=CANCEL + order_id)
    report = tmp_path_factory.mktemp("report") / "report.jsonl"
    ending = end_of(
        sandbox,
        BatchCancelOrdersOperator(
            task_id="task",
            order_ids=list(by_id),
            max_workers=workers,
            tolerated_codes=sorted(tolerated),
            report_path=str(report),
        ),
    )
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(by_id)
    assert_counted(ending, lines)
    assert Counter(ending.cancelled) == {
        line["id"]: line["attempts"] for line in lines if line["attempts"]
    }
    for line in lines:
        assert_true(line, by_id[line["id"]], is_cut_short=any(map(ends_a_batch, responses)))
    assert_concluded(ending, lines, tolerated)


def assert_counted(ending: Ending, lines: list[dict[str, Any]]) -> None:
    counted = {**Counter(line["outcome"] for line in lines), "total": len(lines)}
    assert ending.xcoms["counts"] == counted
    assert ending.result in (None, counted)
    common = {"base_url", "conn_id"}
    others = [
        {name: value for name, value in line.items() if name not in common}
        for line in lines
        if line["outcome"] != "cancelled"
    ]
    assert ending.xcoms["not_cancelled"] == others
    done = [line["id"] for line in lines if line["outcome"] == "cancelled"]
    assert ending.xcoms["cancelled"] == done


def assert_true(line: dict[str, Any], received: Stub, *, is_cut_short: bool) -> None:
    if line["outcome"] == "not_tried":
        assert is_cut_short
        return
    meaning = meaning_of(received)
    by_response = CODES[meaning] if meaning else "failed"
    assert line["outcome"] == ("cancelled" if received.status == 204 else by_response)
    assert line["http_status"] in (received.status, None)


def ends_a_batch(received: Stub) -> bool:
    """Return whether a response may meet every other order too: no key, no API, or a long wait."""
    fields = fields_of(received)
    is_elsewhere = fields is not None and is_from_a_router(received.status or 0, fields)
    is_unauthorized = meaning_of(received) == "UNAUTHORIZED"
    return is_unauthorized or is_elsewhere or "Retry-After" in received.headers


def assert_concluded(ending: Ending, lines: list[dict[str, Any]], tolerated: set[str]) -> None:
    bad = [
        line for line in lines if line["outcome"] != "cancelled" and line["code"] not in tolerated
    ]
    assert bool(bad) is (
        ending.error is not None and not isinstance(ending.error, AirflowSkipException)
    )
    all_before = all(line["outcome"] == "already_cancelled" for line in lines)
    assert isinstance(ending.error, AirflowSkipException) is (all_before and not bad)


# Listings.


NOW = datetime(2026, 2, 1, tzinfo=UTC)
STALE = {"name": "a", "type": "cc", "status": "pending", "createdAt": "2026-01-01T00:00:00Z"}
ids = st.from_regex(r"[a-z]{1,2}-[0-9]", fullmatch=True)
stale_orders = ids.map(lambda order_id: {"id": order_id, **STALE})
#: A young one, one whose date has no zone, and one that somebody works on.
ODD = [{"createdAt": "2026-01-31T00:00:00Z"}, {"createdAt": "2026-01-01T00:00:00"}]
ODD += [{"status": "ongoing"}]
other_orders = st.builds(
    lambda order_id, odd: {"id": f"not-{order_id}", **STALE, **odd}, ids, st.sampled_from(ODD)
)
orders = st.lists(stale_orders | other_orders | any_json, max_size=6)


def page(data: Any) -> Stub:
    return Stub.json(200, {"data": data, "meta": {"page": 1, "hasNextPage": False}})


metas = st.fixed_dictionaries(
    {},
    optional={
        "page": st.just(1) | any_json,
        "hasNextPage": st.booleans() | any_json,
        "itemCount": st.integers(-1, 10) | any_json,
        "pageCount": any_json,
    },
)
listing_bodies = bodies(
    st.fixed_dictionaries({"data": orders | any_json, "meta": metas | any_json}), any_json
)


@examples(300)
@given(
    received=st.builds(
        response, st.just(200) | any_status, any_headers, listing_bodies, st.booleans()
    ),
    most=st.integers(0, 3),
)
@example(page({"id": "a-1"}), 3)
@example(page(None), 3)
@example(page(5), 3)
@example(page([{"id": "a-1", **STALE}]), 3)
def test_any_response_to_a_listing_is_a_whole_listing_or_an_error(sandbox, received, most):
    sandbox.reset()
    sandbox.respond_always(received)
    parameters = {"older_than": "P7D", "reference_time": NOW, "max_orders": most}
    ending = end_of(sandbox, FindStaleOrdersOperator(task_id="task", **parameters))
    assert {request.path.partition("?")[0] for request in ending.requests} == {LISTING}
    assert len(ending.requests) <= 4
    if ending.error is not None:
        assert not isinstance(ending.error, AirflowSkipException)
        return
    fields = fields_of(received)
    assert received.status == 200
    assert fields is not None
    assert fields["meta"]["hasNextPage"] is False
    stale = {order["id"] for order in fields["data"] if is_stale(order)}
    assert set(ending.result) == stale
    assert len(stale) <= most


def is_stale(order: Any) -> bool:
    return isinstance(order, dict) and order.items() >= STALE.items()
