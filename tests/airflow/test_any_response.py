"""Whatever the server answers: only a 204 is a success, and each order is accounted for."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ollang.api.models import ORDER_TYPES, STATUSES
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.anything import NASTY_BODIES, any_json, bodies, scalars, texts

from .always import CANCEL, KEY, LISTING, ORDER_ID, Ending, end_of, examples, standing_sandbox

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


# Answers.


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
COMPRESSED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


def answer(status: int, headers: dict[str, str], body: bytes, encoding: str | None) -> Stub:
    if status in (204, 304):  # these have no body
        return Stub(status, headers)
    if encoding:
        return Stub(status, {**headers, "Content-Encoding": encoding}, COMPRESSED[encoding](body))
    return Stub(status, headers, body)


def plain(given_answer: Stub) -> bytes:
    """Return the answer's body as it was before it was compressed."""
    for encoding in given_answer.headers.get("Content-Encoding", "").split(", "):
        if encoding == "gzip":
            given_answer = Stub(200, body=gzip.decompress(given_answer.body))
        elif encoding == "deflate":
            given_answer = Stub(200, body=zlib.decompress(given_answer.body))
    body = given_answer.body
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


encodings = st.sampled_from([None, None, None, *COMPRESSED])
any_answer = st.builds(answer, any_status, any_headers, error_bodies, encodings)


def fields_of(given_answer: Stub) -> dict[str, Any] | None:
    try:
        fields = json.loads(plain(given_answer))
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


GENERIC_CODES = (None, "", -1, "-1")


def meaning_of(given_answer: Stub) -> str | None:
    """Return the documented code that an answer to a cancel stands for, by the contract's words:
    the code decides, and the status only where there is none."""
    status, fields = given_answer.status or 0, fields_of(given_answer)
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


def code_is_other(given_answer: Stub) -> bool:
    fields = fields_of(given_answer) or {}
    return fields.get("code") not in (*GENERIC_CODES, *CODES)


# One cancel.


@examples(400)
@given(given_answer=any_answer, skip_on=st.sets(st.sampled_from(sorted(CODES))))
@example(Stub(409, body=NASTY_BODIES[-3]), {"ORDER_ALREADY_CANCELLED"})
@example(Stub(400, body=b'{"message": ' + b"[" * 480 + b"]" * 480 + b"}"), set())
def test_a_cancel_is_a_success_after_a_204_and_a_skip_for_a_documented_code(
    sandbox: Sandbox, given_answer: Stub, skip_on: set[str]
) -> None:
    sandbox.reset()
    sandbox.respond_always(given_answer)
    ending = end_of(
        sandbox,
        CancelOrderOperator(task_id="task", order_id="o-1", skip_on_codes=sorted(skip_on)),
    )
    assert ending.cancelled == ["o-1"]
    assert (ending.error is None) is (given_answer.status == 204)
    meaning = meaning_of(given_answer)
    skipped = isinstance(ending.error, AirflowSkipException)
    if not (code_is_other(given_answer) and meaning == "UNAUTHORIZED"):
        assert skipped is (meaning in skip_on), (meaning, ending)
    if given_answer.status in (None, 429) or (given_answer.status or 0) < 400:
        assert meaning or not isinstance(ending.error, AirflowFailException)
    if meaning and not skipped:
        assert isinstance(ending.error, AirflowFailException)


order_statuses = st.sampled_from([*STATUSES, "cancelled", "canceled", "Pending", "review"])
read_answers = st.builds(
    answer,
    st.just(200) | any_status,
    any_headers,
    bodies(
        st.fixed_dictionaries(
            {"id": st.just("o-1") | any_json, "status": order_statuses | any_json},
            optional={"code": codes, "message": messages},
        ),
        any_json,
    ),
    encodings,
)


def status_read(given_answer: Stub) -> Any:
    """Return the status of order o-1 that an answer tells, if it does."""
    fields = fields_of(given_answer) if given_answer.status == 200 else None
    return fields.get("status") if fields and fields.get("id") == "o-1" else None


@examples(200)
@given(
    given_answer=read_answers,
    required=st.lists(st.sampled_from(["pending", "ongoing"]), min_size=1, max_size=2),
)
def test_no_cancel_is_sent_unless_the_order_reads_as_required(
    sandbox: Sandbox, given_answer: Stub, required: list[str]
) -> None:
    sandbox.reset()
    sandbox.respond_always(Stub(204), method="POST")
    sandbox.respond_always(given_answer, method="GET")
    operator = CancelOrderOperator(task_id="task", order_id="o-1", require_status=required)
    ending = end_of(sandbox, operator)
    status = status_read(given_answer)
    is_as_required = isinstance(status, str) and status in required
    assert ending.cancelled == (["o-1"] if is_as_required else [])
    assert (ending.error is None) is is_as_required
    if isinstance(ending.error, AirflowSkipException):
        assert given_answer.status == 200
        assert (fields_of(given_answer) or {}).get("id") == "o-1"


# Many cancels.


@examples(150)
@given(
    answers=st.lists(any_answer | st.just(Stub(204)), min_size=1, max_size=5),
    tolerated=st.sets(st.sampled_from(sorted(CODES))),
    workers=st.integers(1, 3),
)
@example([Stub.json(404, {"code": "ORDER_NOT_FOUND"})], set(), 1)
def test_each_order_of_a_batch_is_accounted_for_once_and_truly(
    sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
    answers: list[Stub],
    tolerated: set[str],
    workers: int,
) -> None:
    sandbox.reset()
    by_id = {f"o-{number}": given_answer for number, given_answer in enumerate(answers)}
    for order_id, given_answer in by_id.items():
        sandbox.respond_always(given_answer, path=CANCEL + order_id)
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
        assert_true(line, by_id[line["id"]], is_cut_short=any(map(ends_a_batch, answers)))
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


def assert_true(line: dict[str, Any], given_answer: Stub, *, is_cut_short: bool) -> None:
    if line["outcome"] == "not_tried":
        assert is_cut_short
        return
    meaning = meaning_of(given_answer)
    by_answer = CODES[meaning] if meaning else "failed"
    assert line["outcome"] == ("cancelled" if given_answer.status == 204 else by_answer)
    assert line["http_status"] in (given_answer.status, None)


def ends_a_batch(given_answer: Stub) -> bool:
    """Return whether an answer may meet every other order too: no key, or a long wait."""
    return meaning_of(given_answer) == "UNAUTHORIZED" or "Retry-After" in given_answer.headers


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
DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def created_of(text: Any) -> datetime | None:
    """Return the time of a date as RFC 3339 has it, digit by digit; anything else is none."""
    found = DATE.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    *parts, fraction, zone = found.groups()
    minutes = 0 if zone == "Z" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[4:]))
    try:
        micro = int(f"{fraction or '0':0<6.6}")
        offset = timezone(timedelta(minutes=minutes))
        return datetime(*map(int, parts), micro, offset).astimezone(UTC)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None


def is_stale(order: Any, rule: dict[str, Any]) -> bool:
    """Return whether the rule surely makes an order of the listing stale."""
    if not isinstance(order, dict):
        return False
    created = created_of(order.get("createdAt"))
    name = order.get("name")
    known = isinstance(order.get("id"), str) and ORDER_ID.fullmatch(order["id"])
    return bool(
        known
        and order["id"].lower() not in ("none", "null", "nil", "undefined", "nan", "true", "false")
        and created
        and created >= datetime(2000, 1, 1, tzinfo=UTC)
        and created <= NOW - timedelta(days=7)
        and order.get("status") in rule["statuses"]
        and ("order_types" not in rule or order.get("type") in rule["order_types"])
        and ("project_ids" not in rule or order.get("projectId") in rule["project_ids"])
        and ("name_matches" not in rule or (isinstance(name, str) and "a" in name))
        and ("exclude_name_matches" not in rule or (isinstance(name, str) and "keep" not in name))
        and order["id"] not in rule.get("exclude_order_ids", ())
        and not (isinstance(name, str) and KEY in name)
    )


DATES = [
    *("2026-01-01T00:00:00Z", "2026-01-25T00:00:00Z", "2026-01-25T00:00:00.001Z", "2026-01-01"),
    *("2026-01-25T01:00:00+01:00", "2026-01-25T00:00:00+01:00", "2026-01-24T23:00:00-01:00"),
    *(
        "2026-01-01T00:00:00",
        "1999-12-31T23:59:59Z",
        "2000-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "2026-02-30T00:00:00Z",
        "0",
        "yesterday",
    ),
    *("2025-01-01T00:00:00.1234567890123Z", "2025-01-01 00:00:00+00:00", "2025-01-01T25:00:00Z"),
]
dates = st.sampled_from(DATES) | st.builds(
    "{}{}".format,
    st.datetimes(min_value=datetime(1990, 1, 1)).map(lambda moment: moment.isoformat()),
    st.sampled_from(["Z", "+00:00", "-11:30", "+14:00", "", "+24:00", " "]),
)
FIELDS = {
    "id": st.from_regex(r"[a-z]{1,2}-[0-9]", fullmatch=True)
    | st.sampled_from(["None", "a/b", "NaN"]),
    "name": st.sampled_from(["a", "keep a", "", "b", f"a {KEY}", "a\ud800\0"]) | texts,
    "type": st.sampled_from(sorted(ORDER_TYPES)),
    "status": st.sampled_from(["pending", "pending", "ongoing", "archived", "cancelled"]),
    "createdAt": dates,
    "projectId": st.sampled_from(["p-1", "p-2"]),
}
STALE = {"name": "a", "type": "cc", "status": "pending", "createdAt": DATES[0], "projectId": "p-1"}
#: Stale but for one field, or stale: so that each field counts.
nearly_stale = st.builds(
    lambda order_id, odd: {"id": order_id, **STALE, **odd},
    FIELDS["id"],
    st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: st.fixed_dictionaries({name: FIELDS[name] | FIELDS[name] | any_json})
    ),
)
odd_orders = st.fixed_dictionaries(
    {}, optional={name: values | values | scalars | any_json for name, values in FIELDS.items()}
)
orders = st.lists(nearly_stale | nearly_stale | odd_orders | any_json, max_size=6)
ODD = {
    "id": ["None", "NaN", "a/b", "", "a" * 129, None, 5, ["a-1"]],
    "name": [None, 5, ["a"], "keep a", f"a {KEY}", "b", ""],
    "type": [None, "other", "CC", ["cc"]],
    "status": [None, "ongoing", "archived", "cancelled", "Pending", ["pending"], True],
    "createdAt": [*DATES, None, 0, 1e9, ["2026-01-01T00:00:00Z"]],
    "projectId": [None, "p-9", 1],
}
#: For each field every odd value, in an order that is stale but for it.
ONE_OFF = [
    {"id": f"{name}-{number}", **STALE, name: value}
    for name, values in ODD.items()
    for number, value in enumerate(values)
]
STRICT = {
    "statuses": ["pending"],
    "order_types": ["cc"],
    "project_ids": ["p-1"],
    "name_matches": "a",
    "exclude_name_matches": "keep",
    "exclude_order_ids": ["createdAt-0"],
}
rules = st.fixed_dictionaries(
    {"statuses": st.sampled_from([["pending"], ["pending", "ongoing"]])},
    optional={
        "order_types": st.sampled_from([["cc"], ["cc", "subtitle", "document"]]),
        "project_ids": st.sampled_from([["p-1"], ["p-1", "p-2"]]),
        "name_matches": st.just("a"),
        "exclude_name_matches": st.just("keep"),
        "exclude_order_ids": st.just(["a-0"]),
    },
)


def finder(**parameters: Any) -> FindStaleOrdersOperator:
    return FindStaleOrdersOperator(
        task_id="task", older_than="P7D", reference_time=NOW, **parameters
    )


def page(data: Any, number: int, *, has_next: bool) -> Stub:
    return Stub.json(200, {"data": data, "meta": {"page": number, "hasNextPage": has_next}})


def young_orders(page_number: int, count: int) -> list[Any]:
    """Return orders that are not stale, but valid: most of a listing must be."""
    ids = [f"page-{page_number}-{number}" for number in range(count + 1)]
    return [{**STALE, "id": order_id, "createdAt": NOW.isoformat()} for order_id in ids]


@examples(300)
@given(pages=st.lists(orders, min_size=1, max_size=3), rule=rules)
@example([ONE_OFF], STRICT)
@example([ONE_OFF], {"statuses": ["pending"]})
@example([ONE_OFF], {"statuses": ["pending"], "exclude_name_matches": "keep"})
def test_exactly_those_orders_are_stale_that_the_rule_surely_means(
    sandbox: Sandbox, pages: list[list[Any]], rule: dict[str, Any]
) -> None:
    sandbox.reset()
    numbered = [
        page([*data, *young_orders(number, len(data))], number, has_next=number < len(pages))
        for number, data in enumerate(pages, start=1)
    ]
    sandbox.respond_next(*numbered)
    ending = end_of(sandbox, finder(**rule))
    first: dict[str, Any] = {}  # the listing holds an order twice where pages shift
    for given_page in numbered:
        for order in json.loads(given_page.body)["data"]:
            if isinstance(order, dict):
                first.setdefault(str(order.get("id")), order)
    stale = {order_id for order_id, order in first.items() if is_stale(order, rule)}
    assert set(ending.result) == stale
    assert len(ending.result) == len(stale)
    ages = [created_of(order["createdAt"]) for order in ending.xcoms["orders"]]
    assert ages == sorted(ages)  # type: ignore[type-var]


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
    given_answer=st.builds(
        answer, st.just(200) | any_status, any_headers, listing_bodies, encodings
    ),
    rule=rules,
    guards=st.fixed_dictionaries(
        {},
        optional={
            "max_share": st.floats(0, 1),
            "max_orders": st.integers(0, 3),
            "limit": st.integers(0, 3),
        },
    ),
)
@example(page({"id": "a-1"}, 1, has_next=False), {"statuses": ["pending"]}, {})
@example(page(None, 1, has_next=False), {"statuses": ["pending"]}, {})
@example(page(5, 1, has_next=False), {"statuses": ["pending"]}, {})
def test_any_answer_to_a_listing_is_a_whole_listing_or_an_error(
    sandbox: Sandbox, given_answer: Stub, rule: dict[str, Any], guards: dict[str, Any]
) -> None:
    sandbox.reset()
    sandbox.respond_always(given_answer)
    ending = end_of(sandbox, finder(**rule, **guards))
    assert {request.path.partition("?")[0] for request in ending.requests} == {LISTING}
    assert len(ending.requests) <= 4
    if ending.error is not None:
        assert not isinstance(ending.error, AirflowSkipException)
        return
    fields = fields_of(given_answer)
    assert given_answer.status == 200
    assert fields is not None
    assert fields["meta"]["hasNextPage"] is False
    assert isinstance(fields["data"], list)
    stale = {order["id"] for order in fields["data"] if is_stale(order, rule)}
    assert set(ending.result) <= stale
    assert len(stale) <= guards.get("max_orders", len(stale))
    if "limit" not in guards:
        assert set(ending.result) == stale
