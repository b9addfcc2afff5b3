"""What a batch of cancels means for its task, and the report that it leaves."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

from airflow_provider_ollang.operators.ollang import BatchCancelOrdersOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import State

CANCEL = "/integration/orders/cancel/"


def batch(order_ids: Any, **parameters: Any) -> BatchCancelOrdersOperator:
    return BatchCancelOrdersOperator(task_id="batch", order_ids=order_ids, **parameters)


def cancelled(sandbox: Sandbox) -> set[str]:
    return {order["id"] for order in sandbox.orders.where(status="cancelled")}


def sent(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(request.order_id for request in sandbox.requests if request.is_cancel)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(path: Path) -> dict[str, str]:
    return {line["id"]: line["outcome"] for line in lines(path)}


def test_cancels_exactly_the_list(sandbox, add_orders, run):
    ids, others = add_orders(*range(1, 13)), add_orders(30, 40)
    assert run.execute(batch(ids)) == {"total": 12, "cancelled": 12}
    assert cancelled(sandbox) == set(ids)
    assert sent(sandbox) == Counter(ids)
    assert all(sandbox.orders.get(other)["status"] == "pending" for other in others)


@pytest.mark.parametrize("preview", [False, True])
def test_the_log_says_where_and_what(sandbox, add_orders, run, logged, preview):
    ids = add_orders(1, 2)
    run.execute(batch(ids, preview=preview))
    text = logged()
    what, done = ("Previewing", "would_cancel") if preview else ("Cancelling", "cancelled")
    assert f"{what} 2 orders at {sandbox.url} (connection 'ollang_default')." in text
    assert f"Done: 2 {done} (of 2)." in text
    assert ("This was a preview: no cancel request was sent." in text) is preview
    for order_id in ids:
        assert f"Order {order_id} " in text


@pytest.mark.parametrize("order_ids", [[], (), "[]", "()"])
def test_an_empty_list_skips_without_a_request(sandbox, run, order_ids):
    with pytest.raises(AirflowSkipException):
        run.execute(batch(order_ids))
    assert sandbox.requests == []


def test_a_list_that_was_cancelled_before_skips(add_orders, run):
    ids = add_orders(1, 2, status="cancelled")
    with pytest.raises(AirflowSkipException, match="Nothing left to do: all 2 orders are already"):
        run.execute(batch(ids))
    assert run.xcoms["counts"] == {"total": 2, "already_cancelled": 2}


@pytest.mark.parametrize("options", [{}, {"require_status": ["pending"]}])
def test_a_list_that_was_cancelled_by_lost_requests_of_its_own_succeeds(
    sandbox, add_orders, run, logged, options
):
    ids = add_orders(1, 2)
    sandbox.respond_next(Stub(fault="reset-after"), path=CANCEL + ids[0])
    sandbox.orders.change(ids[1], status="cancelled")
    assert run.execute(batch(ids, **options)) == {"total": 2, "already_cancelled": 2}
    assert "already cancelled, 1 were most likely cancelled by this task" in logged()


def test_a_later_try_that_finds_all_cancelled_succeeds(add_orders, make_run, make_ti, logged):
    run = make_run(ti=make_ti(try_number=2))
    ids = add_orders(1, 2, status="cancelled")
    assert run.execute(batch(ids)) == {"total": 2, "already_cancelled": 2}
    assert "These counts are for try 2 only" in logged()


@pytest.mark.parametrize("options", [{}, {"require_status": ["pending"]}])
def test_where_airflow_keeps_a_state_the_counts_are_those_of_the_run(
    sandbox, add_orders, make_run, make_ti, options
):
    state = State()
    one, two, elsewhere = add_orders(1, 2, 3)
    sandbox.orders.change(elsewhere, status="cancelled")
    sandbox.respond_next(Stub(501), path=CANCEL + two)
    first = make_run(state=state)
    with pytest.raises(AirflowException):
        first.execute(batch([one, two, elsewhere], **options))
    one_each = ["cancelled", "already_cancelled", "failed"]
    assert first.xcoms["counts"] == {"total": 3, **dict.fromkeys(one_each, 1)}

    later = make_run(ti=make_ti(try_number=2), state=state)
    counts = later.execute(batch([one, two, elsewhere], **options))
    assert counts == {"total": 3, "cancelled": 2, "already_cancelled": 1}
    assert sorted(later.xcoms["cancelled"]) == sorted([one, two])
    assert [row["id"] for row in later.xcoms["not_cancelled"]] == [elsewhere]


def test_where_airflow_keeps_a_state_a_preview_stays_one_when_it_is_cleared(
    sandbox, add_orders, make_run, make_ti
):
    ids, state = add_orders(1, 2), State()
    make_run(state=state).execute(batch(ids, preview=True))
    cleared = {"ti": make_ti(try_number=2), "state": state}
    with pytest.raises(AirflowFailException, match="an earlier try of this task was a preview"):
        make_run(**cleared).execute(batch(ids))
    assert not any(request.is_cancel for request in sandbox.requests)
    assert make_run(**cleared).execute(batch(ids, preview=True))["would_cancel"] == 2


def test_where_airflow_keeps_a_state_what_was_cancelled_in_part_goes_on_when_it_is_cleared(
    add_orders, make_run, make_ti
):
    ids, state, params = add_orders(1, 2), State(), {"preview": False}
    make_run(state=state, params=params).execute(batch(ids[:1]))
    cleared = make_run(ti=make_ti(try_number=2), state=state, params=params, clear_number=1)
    assert cleared.execute(batch(ids))["cancelled"] == 2


class BrokenState(State):
    """A state that can neither be read nor written."""

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError("no state")

    def set(self, key: str, value: Any) -> None:
        raise RuntimeError("no state")


def test_a_state_that_cannot_be_kept_changes_nothing(add_orders, make_run, make_ti):
    run = make_run(ti=make_ti(try_number=2), state=BrokenState())
    assert run.execute(batch(add_orders(1, 2))) == {"total": 2, "cancelled": 2}


@pytest.mark.parametrize("max_orders", [0, 2, "2"])
def test_a_list_above_max_orders_fails_before_the_first_request(
    sandbox, add_orders, run, tmp_path, max_orders
):
    operator = batch(add_orders(1, 2, 3), max_orders=max_orders, report_path=f"{tmp_path}/r.jsonl")
    with pytest.raises(AirflowFailException, match=r"3 orders.*max_orders"):
        run.execute(operator)
    assert sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_double_counts_and_is_cancelled_once(sandbox, add_orders, run):
    one, two = add_orders(1, 2)
    assert run.execute(batch([one, two, one], max_orders=2)) == {"total": 2, "cancelled": 2}
    assert sent(sandbox) == Counter([one, two])


def test_max_orders_is_1000_unless_told_otherwise(sandbox, run):
    with pytest.raises(AirflowFailException, match="1000"):
        run.execute(batch([f"order-{number}" for number in range(1001)]))
    assert sandbox.requests == []


@pytest.mark.parametrize("preview", [True, "True", "true"])
def test_a_preview_only_reads_and_is_not_blocked_by_max_orders(sandbox, add_orders, run, preview):
    ids = add_orders(1, 2, 3)
    counts = run.execute(batch(ids, preview=preview, max_orders=1))
    assert counts == {"total": 3, "would_cancel": 3}
    assert Counter(request.method for request in sandbox.requests) == Counter(GET=3)
    assert cancelled(sandbox) == set()


@pytest.mark.parametrize("preview", [False, "False", "false"])
def test_what_is_not_a_preview_cancels(sandbox, add_orders, run, preview):
    ids = add_orders(1, 2)
    run.execute(batch(ids, preview=preview))
    assert cancelled(sandbox) == set(ids)


def test_a_preview_says_for_each_order_what_it_would_do(add_orders, run, tmp_path):
    [stale], [done] = add_orders(1), add_orders(1, status="completed")
    path = tmp_path / "preview.jsonl"
    run.execute(batch([stale, done, "nowhere"], preview=True, report_path=str(path)))
    expected = {stale: "would_cancel", done: "not_cancellable", "nowhere": "not_found"}
    assert outcomes(path) == expected
    assert all(line["preview"] is True and line["attempts"] == 0 for line in lines(path))


def test_a_preview_that_could_not_see_an_order_fails(sandbox, add_orders, run):
    one, two = add_orders(1, 2)
    sandbox.respond_always(Stub(fault="503"), path=f"*/{two}")
    with pytest.raises(AirflowException):
        run.execute(batch([one, two], preview=True))
    assert run.xcoms["counts"] == {"total": 2, "would_cancel": 1, "failed": 1}


@pytest.mark.parametrize("preview", [False, True])
def test_the_last_look_checks_status_id_name_folder_and_time_of_creation(
    sandbox, add_orders, run, tmp_path, preview
):
    [good, moved, listed, kept, renamed, theirs, elsewhere, new] = [
        *add_orders(30, folderId="f-1"),
        *add_orders(30, folderId="f-1", status="ongoing"),
        *add_orders(30, folderId="f-1"),
        *add_orders(30, folderId="f-1", name="KEEP for the appeal"),
        *add_orders(30, folderId="f-1", name="final"),
        *add_orders(30, folderId="legal"),
        *add_orders(30, folderId="f-2"),
        *add_orders(1, folderId="f-1"),
    ]
    path = tmp_path / "r.jsonl"
    run.execute(
        batch(
            [good, moved, listed, kept, renamed, theirs, elsewhere, new],
            require_status=["pending"],
            exclude_order_ids=[listed.upper()],
            name_matches="^(Untitled|KEEP)",
            exclude_name_matches="(?i)keep",
            folder_ids=["f-1", "legal"],
            exclude_folder_ids="['legal']",
            created_before=(run.time - timedelta(days=7)).isoformat(),
            preview=preview,
            report_path=str(path),
        )
    )
    found = "would_cancel" if preview else "cancelled"
    excluded = [listed, kept, renamed, theirs, elsewhere, new]
    left = {moved: "status_changed"} | dict.fromkeys(excluded, "excluded")
    assert outcomes(path) == {good: found} | left
    assert sent(sandbox) == ({} if preview else {good: 1})
    assert Counter(request.method for request in sandbox.requests)["GET"] == 8
    messages = {line["id"]: line["message"] for line in lines(path)}
    assert "its id is in exclude_order_ids" in messages[listed]
    assert "'KEEP for the appeal' matches exclude_name_matches" in messages[kept]
    assert "'final' does not match name_matches" in messages[renamed]
    assert "'legal' is in exclude_folder_ids" in messages[theirs]
    assert "'f-2' is not in folder_ids" in messages[elsewhere]
    assert "it was created at" in messages[new]


def test_a_time_of_creation_that_every_order_is_before_is_refused(sandbox, add_orders, run):
    next_month = run.time + timedelta(days=30)
    with pytest.raises(AirflowFailException, match=r"created_before: .* is in the future"):
        run.execute(batch(add_orders(1), created_before=next_month))
    assert not sandbox.requests


def test_an_order_that_cannot_be_judged_fails_the_task_after_all_were_tried(
    sandbox, add_orders, run
):
    ids = add_orders(1, name=None) + add_orders(2, 3)
    with pytest.raises(AirflowException, match=rf"First: {ids[0]}: .*its name is None") as caught:
        run.execute(batch(ids, exclude_name_matches="keep"))
    assert type(caught.value) is AirflowException
    assert run.xcoms["counts"] == {"total": 3, "cancelled": 2, "invalid": 1}
    assert sent(sandbox) == Counter(ids[1:])


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Stub.json(404, {"code": "ORDER_NOT_FOUND"}), AirflowFailException),
        (Stub(fault="503"), AirflowException),
        (Stub(200), AirflowException),
        (Stub.json(409, {"code": "LOCKED"}), AirflowException),
    ],
)
def test_one_orders_trouble_fails_the_task_after_all_were_tried_and_reported(
    sandbox, add_orders, run, tmp_path, response, kind
):
    ids = add_orders(*range(1, 10))
    sandbox.respond_always(response, path=CANCEL + ids[0])
    path = tmp_path / "r.jsonl"
    with pytest.raises(AirflowException, match=ids[0]) as caught:
        run.execute(batch(ids, max_workers=2, report_path=str(path)))
    assert type(caught.value) is kind
    assert cancelled(sandbox) == set(ids[1:])
    assert Counter(outcomes(path).values())["cancelled"] == 8
    assert len(lines(path)) == 9
    assert [row["id"] for row in run.xcoms["not_cancelled"]] == [ids[0]]


def test_orders_that_moved_on_do_not_fail_the_task(add_orders, run):
    ids = add_orders(1) + add_orders(2, status="completed") + add_orders(3, status="cancelled")
    counts = run.execute(batch(ids))
    one_each = ["cancelled", "already_cancelled", "not_cancellable"]
    assert counts == {"total": 3, **dict.fromkeys(one_each, 1)}


def test_a_rejected_key_stops_the_batch_at_once(sandbox, add_orders, run, tmp_path):
    ids = add_orders(*range(1, 31))
    sandbox.respond_next(*[Stub()] * 3)
    sandbox.respond_always(Stub.json(401, {"code": "UNAUTHORIZED", "message": "bad key"}))
    path = tmp_path / "r.jsonl"
    said = (
        r"^27 of 30 orders failed: 3 cancelled, 1 failed, 26 not_tried \(of 30\)\. "
        r"Stopped early, 26 orders were not tried: bad key\. "
        rf"First: {ids[3]}: HTTP 401.*bad key\. Copy the API key again"
    )
    with pytest.raises(AirflowFailException, match=said):
        run.execute(batch(ids, max_workers=1, report_path=str(path)))
    assert sum(sent(sandbox).values()) == 4
    assert cancelled(sandbox) == set(ids[:3])
    assert Counter(outcomes(path).values()) == Counter(cancelled=3, failed=1, not_tried=26)


def test_the_report_may_be_a_url_from_a_template_and_says_where_each_order_was_cancelled(
    sandbox, add_orders, make_run, tmp_path
):
    ids = add_orders(*range(1, 8))
    run = make_run(params={"folder": str(tmp_path)})
    run.execute(batch(ids, report_path="file://{{ params.folder }}/new/r.jsonl"))
    found = lines(tmp_path / "new" / "r.jsonl")
    assert sorted(line["id"] for line in found) == sorted(ids)
    here = {"base_url": sandbox.url, "conn_id": "ollang_default"}
    done = {"outcome": "cancelled", "http_status": 204, "attempts": 1}
    assert all(line.items() >= (here | done).items() and "preview" not in line for line in found)


@pytest.mark.parametrize(
    ("map_index", "try_number", "name"),
    [
        *((-1, 1, "r.jsonl"), (-1, 2, "r.try2.jsonl"), (None, 1, "r.jsonl")),
        *((0, 1, "r.map0.jsonl"), (3, 2, "r.map3.try2.jsonl")),
    ],
)
def test_mapped_tasks_and_retries_have_reports_of_their_own(
    add_orders, make_run, make_ti, tmp_path, map_index, try_number, name
):
    run = make_run(ti=make_ti(map_index, try_number))
    run.execute(batch(add_orders(1), report_path=f"{tmp_path}/r.jsonl"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_report_that_is_there_is_never_overwritten(sandbox, add_orders, run, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("precious")
    said = re.escape(f"report_path: {path} exists, and a report is never overwritten; nothing")
    with pytest.raises(AirflowFailException, match=rf"{said}.*Add {{{{ run_id }}}} and"):
        run.execute(batch(add_orders(1), report_path=str(path)))
    assert path.read_text() == "precious"
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "path",
    ["{tmp_path}/file/r.jsonl", "nosuchprotocol://bucket/r.jsonl", "{tmp_path}/" + "r" * 300],
    ids=["below a file", "an unknown protocol", "too long a name"],
)
def test_a_report_that_cannot_be_written_fails_before_the_first_request(
    sandbox, add_orders, run, tmp_path, path
):
    (tmp_path / "file").touch()
    path = path.format(tmp_path=tmp_path)
    with pytest.raises(AirflowFailException, match=r"report_path.*nothing was cancelled") as caught:
        run.execute(batch(add_orders(1), report_path=path))
    assert "run_id" not in str(caught.value)
    assert sandbox.requests == []
