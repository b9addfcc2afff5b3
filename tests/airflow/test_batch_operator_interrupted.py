"""A batch that is told to end midway: no new cancel request, and a report of every order."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox, Stub

#: Orders in each batch here: far more than are done when it is told to end.
COUNT = 60


class TaskTimeout(BaseException):
    """Like Airflow's: no Exception, raised by a signal in the main thread."""


@pytest.fixture
def slow_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(latency_ms=100) as sandbox:
        sandbox.orders.clear()
        connection = {"conn_type": "ollang", "host": sandbox.url, "password": sandbox.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", json.dumps(connection))
        yield sandbox


@pytest.fixture
def order_ids(slow_sandbox: Sandbox) -> list[str]:
    return [slow_sandbox.orders.add()["id"] for _ in range(COUNT)]


def batch(order_ids: list[str], path: Path, **parameters: Any) -> BatchCancelOrdersOperator:
    return BatchCancelOrdersOperator(
        task_id="batch",
        order_ids=order_ids,
        report_path=str(path),
        **{"max_workers": 2} | parameters,
    )


@contextmanager
def once_requests_arrived(sandbox: Sandbox, count: int, act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` in a thread of its own as soon as the sandbox has received ``count``."""
    over = threading.Event()

    def watch() -> None:
        while len(sandbox.requests) < count and not over.is_set():
            time.sleep(0.01)
        if not over.is_set():
            act()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def check_report(path: Path, order_ids: list[str], sandbox: Sandbox, run: Any) -> Counter[str]:
    """Check that the report is complete and true, and return its outcomes."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(order_ids)
    told = {line["id"] for line in lines if line["outcome"] == "cancelled"}
    assert told == {order["id"] for order in sandbox.orders.where(status="cancelled")}
    untried = {line["id"] for line in lines if line["outcome"] == "not_tried"}
    assert untried.isdisjoint(request.order_id for request in sandbox.requests)
    found = Counter(line["outcome"] for line in lines)
    assert run.xcoms["counts"] == {"total": len(order_ids), **found}
    return found


def test_on_kill_starts_no_further_cancel_and_leaves_a_complete_report(
    slow_sandbox, order_ids, run, tmp_path
):
    path = tmp_path / "r.jsonl"
    operator = batch(order_ids, path)
    with (
        once_requests_arrived(slow_sandbox, 6, operator.on_kill),
        pytest.raises(AirflowException, match="not_tried"),
    ):
        run.execute(operator)
    found = check_report(path, order_ids, slow_sandbox, run)
    assert found["not_tried"] > COUNT / 2
    assert len(slow_sandbox.requests) == COUNT - found["not_tried"]
    time.sleep(0.3)  # a worker that had ignored the stop would be seen by now
    assert len(slow_sandbox.requests) == COUNT - found["not_tried"]


def test_a_task_that_times_out_pushes_its_counts_and_leaves_a_complete_report(
    slow_sandbox, order_ids, run, tmp_path
):
    def time_out(*_: object) -> None:
        raise TaskTimeout

    path = tmp_path / "r.jsonl"
    before = signal.signal(signal.SIGUSR1, time_out)
    main = threading.main_thread().ident or 0
    try:
        with (
            once_requests_arrived(
                slow_sandbox, 6, lambda: signal.pthread_kill(main, signal.SIGUSR1)
            ),
            pytest.raises(TaskTimeout),
        ):
            run.execute(batch(order_ids, path))
    finally:
        signal.signal(signal.SIGUSR1, before)
    found = check_report(path, order_ids, slow_sandbox, run)
    assert found["not_tried"] > COUNT / 2
    assert len(slow_sandbox.requests) == COUNT - found["not_tried"]


def test_on_kill_keeps_a_single_cancel_from_being_sent_again(slow_sandbox, order_ids, run):
    slow_sandbox.respond_always(Stub(fault="503"))
    operator = CancelOrderOperator(task_id="cancel", order_id=order_ids[0])
    with (
        once_requests_arrived(slow_sandbox, 1, operator.on_kill),
        pytest.raises(AirflowException) as caught,
    ):
        run.execute(operator)
    assert type(caught.value) is AirflowException
    assert len(slow_sandbox.requests) == 1


def test_on_kill_ends_a_listing_as_an_error(slow_sandbox, run):
    for _ in range(200):
        slow_sandbox.orders.add()
    operator = FindStaleOrdersOperator(task_id="find", older_than="PT1H")
    with (
        once_requests_arrived(slow_sandbox, 1, operator.on_kill),
        pytest.raises(AirflowException),
    ):
        run.execute(operator)
    assert len(slow_sandbox.requests) < 4
    assert run.xcoms == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda ids, path: batch(ids, path),
        lambda ids, path: CancelOrderOperator(task_id="cancel", order_id=ids[0]),
        lambda ids, path: FindStaleOrdersOperator(task_id="find", older_than="P1D"),
    ],
)
def test_a_task_that_is_stopped_before_it_begins_sends_nothing(
    slow_sandbox, order_ids, run, tmp_path, make
):
    """Airflow 3 only calls ``on_kill()``, and lets the task go on."""
    operator = make(order_ids, tmp_path / "r.jsonl")
    operator.on_kill()
    with pytest.raises(AirflowException):
        run.execute(operator)
    assert slow_sandbox.requests == []
