"""The sensor in poke mode and deferred, and its trigger in an event loop, against a real server."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_ollang.api._watching import read_orders
from airflow_provider_ollang.api.errors import ServerError
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.sandbox import Sandbox, Stub
from airflow_provider_ollang.sensors.ollang import OrderStatusSensor
from airflow_provider_ollang.triggers import _poller as poller
from airflow_provider_ollang.triggers.ollang import OrderStatusTrigger
from tests.faults import KINDS

ORDER = "/integration/orders/*"
QUICK = 0.05
IS_AIRFLOW_2 = airflow.__version__.startswith("2.")


@pytest.fixture(autouse=True)
def _no_poller_is_left() -> Iterator[None]:
    yield
    assert poller._pollers == {}
    for thread in threading.enumerate():
        if thread.name.startswith("ollang-poller"):
            thread.join(5)
            assert not thread.is_alive()


def sensor(*order_ids: str, **options: Any) -> OrderStatusSensor:
    options = {"poke_interval": QUICK, "timeout": 30, "deferrable": False, **options}
    return OrderStatusSensor(task_id="wait", order_ids=list(order_ids), **options)


def after_first_look(sandbox: Sandbox, act: Callable[[], object]) -> None:
    """Act once a first request has its response, however slow the machine is."""

    def wait_and_act() -> None:
        while not any(request.status for request in sandbox.requests):
            time.sleep(0.01)
        act()

    threading.Thread(target=wait_and_act, daemon=True).start()


def change_later(sandbox: Sandbox, order_id: str, *statuses: str) -> None:
    def change() -> None:
        for status in statuses:
            time.sleep(0.15)
            sandbox.orders.change(order_id, status=status)

    after_first_look(sandbox, change)


def cancels(sandbox: Sandbox) -> list[str | None]:
    return [request.order_id for request in sandbox.requests if request.is_cancel]


def defer(run: Any, operator: OrderStatusSensor) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        run.execute(operator)
    return caught.value


def trigger_of(deferred: TaskDeferred) -> OrderStatusTrigger:
    """Return the trigger as a triggerer makes it, from what the database holds."""
    path, kwargs = deferred.trigger.serialize()
    assert path == f"{OrderStatusTrigger.__module__}.{OrderStatusTrigger.__qualname__}"
    return OrderStatusTrigger(**json.loads(json.dumps(kwargs)))


async def event_of(trigger: OrderStatusTrigger) -> Any:
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")


def wait_deferred(run: Any, operator: OrderStatusSensor) -> Any:
    """Run a deferrable sensor to its end as Airflow does."""
    deferred = defer(run, operator)
    event = asyncio.run(event_of(trigger_of(deferred)))
    return operator.resume_execution(deferred.method_name, {"event": event}, run.context)


@pytest.fixture(params=[False, True], ids=["poke", "deferred"])
def wait(request: pytest.FixtureRequest, run: Any) -> Callable[..., Any]:
    """Return a function that runs a sensor to its end, in poke mode or deferred."""

    def wait_for(*order_ids: str, **options: Any) -> Any:
        operator = sensor(*order_ids, deferrable=request.param, **options)
        return wait_deferred(run, operator) if request.param else run.execute(operator)

    return wait_for


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_ollang.api._watching.FIRST_BACKOFF", 0.1)


def test_it_waits_until_every_order_is_done_and_returns_their_statuses(sandbox, add_orders, wait):
    delivered, other = add_orders(1, 2)
    sandbox.orders.change(delivered, status="delivered", vttUrl="https://signed")
    change_later(sandbox, other, "review", "somethingNew", "ongoing", "completed")

    assert wait(delivered, other) == [
        {"id": delivered, "status": "delivered"},
        {"id": other, "status": "completed"},
    ]


@pytest.mark.parametrize("status", ["cancelled", "canceled", "failed"])
def test_an_order_that_fails_while_it_waits_fails_the_task_without_retries(
    sandbox, add_orders, wait, status
):
    [order, other] = add_orders(1, 2)
    change_later(sandbox, order, status)
    with pytest.raises(AirflowFailException, match=f"order {order} is {status}"):
        wait(order, other)


def test_an_order_that_is_not_there_any_more_fails_the_task(sandbox, add_orders, wait):
    [order, other] = add_orders(1, 2)
    after_first_look(sandbox, sandbox.orders.clear)
    with pytest.raises(AirflowFailException, match="ORDER_NOT_FOUND"):
        wait(order, other)


@pytest.mark.parametrize(("fields", "code"), [(None, "NOT_FOUND"), ({"foreign": True}, "DENIED")])
def test_an_order_that_cannot_be_read_fails_the_task_at_the_first_look(sandbox, run, fields, code):
    if fields:
        sandbox.orders.add(id="o-1", **fields)
    with pytest.raises(AirflowFailException, match=code):
        run.execute(sensor("o-1", deferrable=True))


@pytest.mark.parametrize("trouble", ["500", "reset-after", "html", "truncated", "429-hour"])
@pytest.mark.usefixtures("soon_again")
def test_trouble_that_passes_does_not_end_the_wait(sandbox, add_orders, wait, trouble):
    [order] = add_orders(1)
    sandbox.respond_next(Stub(), *[Stub(fault=KINDS[trouble])] * 9, path="/integration/orders*")
    change_later(sandbox, order, "completed")
    if trouble == "429-hour":  # the API is not asked again before that
        with pytest.raises(AirflowSensorTimeout):
            wait(order, timeout=1)
        assert len(sandbox.requests) <= 3
    else:
        assert wait(order)


@pytest.mark.parametrize(
    ("options", "error", "status"),
    [
        ({}, AirflowSensorTimeout, "pending"),
        ({"cancel_on_kill": True}, AirflowSensorTimeout, "cancelled"),
        ({"cancel_on_kill": True, "soft_fail": True}, AirflowSkipException, "cancelled"),
    ],
)
def test_when_time_is_up_what_can_still_be_cancelled_is_if_asked_for(
    sandbox, add_orders, wait, options, error, status
):
    order, completed, bystander = add_orders(1, 2, 3)
    sandbox.orders.change(completed, status="completed")
    with pytest.raises(error):
        wait(order, completed, timeout=0.3, **options)
    ended = [sandbox.orders.get(it)["status"] for it in (order, completed, bystander)]
    assert ended == [status, "completed", "pending"]


def test_when_time_is_up_what_has_begun_is_left_alone_if_that_was_waited_for(
    sandbox, add_orders, wait
):
    order, begun = add_orders(0.1, 0.1)
    sandbox.orders.change(begun, status="ongoing")
    with pytest.raises(AirflowSensorTimeout):
        wait(order, begun, target_statuses=["ongoing"], timeout=0.3, cancel_on_kill=True)
    assert cancels(sandbox) == [order]


def test_an_execution_timeout_that_soft_fail_makes_a_skip_of_cancels(sandbox, add_orders, run):
    def time_out(*_: Any) -> None:
        raise AirflowTaskTimeout

    [order] = add_orders(1)
    sandbox.respond_next(Stub(delay=5))
    before = signal.signal(signal.SIGALRM, time_out)
    signal.setitimer(signal.ITIMER_REAL, 0.5)  # as Airflow does
    try:
        with pytest.raises(AirflowSkipException):
            run.execute(sensor(order, cancel_on_kill=True, soft_fail=True))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert cancels(sandbox) == [order]


def test_an_order_that_fails_has_no_other_one_cancelled(sandbox, add_orders, wait):
    order, other = add_orders(1, 2)
    change_later(sandbox, order, "failed")
    with pytest.raises(AirflowSkipException):
        wait(order, other, cancel_on_kill=True, soft_fail=True)
    assert cancels(sandbox) == []


def test_no_order_is_cancelled_in_a_run_that_was_asked_for_a_preview(sandbox, add_orders, make_run):
    [order] = add_orders(1)
    with pytest.raises(AirflowSensorTimeout):
        make_run(params={"dry_run": True}).execute(sensor(order, timeout=0.2, cancel_on_kill=True))
    assert cancels(sandbox) == []


def test_a_deferred_sensor_that_airflow_itself_ends_in_time_cancels_too(sandbox, add_orders, run):
    [order] = add_orders(1)
    operator = sensor(order, deferrable=True, cancel_on_kill=True)
    deferred = defer(run, operator)
    assert deferred.timeout == timedelta(seconds=30 + 2 * QUICK + 60)
    with pytest.raises(AirflowException, match="Trigger timeout"):  # Airflow 2 has another class
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, run.context)
    assert cancels(sandbox) == [order]


def test_orders_that_are_done_do_not_defer(sandbox, add_orders, run):
    [order] = add_orders(1, status="completed")
    assert run.execute(sensor(order, deferrable=True)) == [{"id": order, "status": "completed"}]


def done(statuses: Any) -> dict[str, Any]:
    return {"event": "done", "statuses": statuses}


@pytest.mark.parametrize(
    "event",
    [
        *(None, {}, "done", {"event": "done"}, {"event": "failed"}, {"event": "error"}),
        *(done([]), done({}), done({"another": "completed"}), done({"o-1": "pending"})),
        *(done({"o-1": []}), done({"o-1": None}), done(["o-1"])),
    ],
    ids=str,
)
def test_a_malformed_event_fails_the_task_and_never_skips_it(add_orders, run, event):
    operator = sensor(*add_orders(1, id="o-1"), deferrable=True, soft_fail=True)
    deferred = defer(run, operator)
    with pytest.raises(RuntimeError, match="unexpected event"):
        operator.resume_execution(deferred.method_name, {"event": event}, run.context)


def test_a_rejected_key_fails_the_task_whichever_way_it_waits(sandbox, add_orders, wait):
    [order] = add_orders(1)
    unauthorized = Stub.json(401, {"code": "UNAUTHORIZED", "message": "no"})
    after_first_look(sandbox, lambda: sandbox.respond_always(unauthorized))
    with pytest.raises(AirflowFailException, match="UNAUTHORIZED"):
        wait(order)


def test_there_is_no_secret_in_what_the_database_keeps(sandbox, add_orders, run):
    [order] = add_orders(1)
    kept = json.dumps(defer(run, sensor(order, deferrable=True)).trigger.serialize())
    assert sandbox.api_key not in kept


@pytest.mark.skipif(not IS_AIRFLOW_2, reason="Airflow 3 does not enforce it on deferred tasks")
@pytest.mark.parametrize(("tries", "cancelled"), [((2, 1), True), ((1, 1), False)])
def test_an_execution_timeout_after_a_deferral_reaches_a_new_instance_on_airflow_2(
    sandbox, add_orders, run, tries, cancelled
):
    from airflow.models.taskinstance import set_current_context

    [order] = add_orders(1)
    run.ti.try_number, run.ti.max_tries = tries
    run.ti.current_state = lambda: "running"
    run.task = sensor(order, deferrable=True, cancel_on_kill=True)
    with set_current_context(run.context):
        run.task.on_kill()
    assert cancels(sandbox) == [order] * cancelled


# One poller for all.


async def run_all(*triggers: OrderStatusTrigger) -> list[Any]:
    return await asyncio.gather(*map(event_of, triggers))


def trigger(*order_ids: str, created: str | None = None, **options: Any) -> OrderStatusTrigger:
    options = {"deadline": time.time() + 30, "poke_interval": 0.3, **options}
    return OrderStatusTrigger(
        created=dict.fromkeys(order_ids, created),
        target_statuses=["completed"],
        failure_statuses=["failed"],
        cancel_on_kill=False,
        ollang_conn_id="ollang_default",
        **options,
    )


@pytest.mark.parametrize("fields", [{}, {"createdAt": "2026-01-01T00:00:00.000Z"}])
def test_hundreds_of_triggers_share_a_few_requests_and_one_look_at_the_connection(
    sandbox, add_orders, monkeypatch, fields
):
    ids = add_orders(*[number / 1000 for number in range(300)], **fields)
    looked_up = []
    look_up = OllangHook.get_conn
    monkeypatch.setattr(
        OllangHook, "get_conn", lambda *args, **kw: looked_up.append(1) or look_up(*args, **kw)
    )

    async def scenario() -> list[Any]:
        waiting = asyncio.create_task(run_all(*[trigger(it, poke_interval=2) for it in ids]))
        await asyncio.sleep(3)
        for order_id in ids:
            sandbox.orders.change(order_id, status="completed")
        return await waiting

    events = asyncio.run(scenario())
    assert [event["event"] for event in events] == ["done"] * 300
    assert looked_up == [1]
    assert len(sandbox.requests) <= 3 * 300 / 50 + 1, "50 orders a request, in three rounds"


def test_a_trigger_that_joins_later_is_read_in_its_own_time(sandbox, add_orders):
    slow, quick = add_orders(1, 2, status="completed")

    async def scenario() -> Any:
        first = asyncio.create_task(event_of(trigger(slow, poke_interval=20)))
        await asyncio.sleep(0.1)
        event = await event_of(trigger(quick, poke_interval=0.1))
        first.cancel()
        return event

    assert asyncio.run(scenario())["event"] == "done"


@pytest.mark.usefixtures("soon_again")
def test_a_new_key_in_the_connection_is_found(sandbox, add_orders, monkeypatch):
    [order] = add_orders(1)

    async def scenario() -> Any:
        waiting = asyncio.create_task(event_of(trigger(order, poke_interval=0.1)))
        await asyncio.sleep(0.5)
        connection = {"conn_type": "ollang", "host": sandbox.url, "password": "new"}
        monkeypatch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", json.dumps(connection))
        unauthorized = Stub.json(401, {"code": "UNAUTHORIZED", "message": "no"})
        body = {"data": [{"id": order, "status": "completed"}], "meta": {"hasNextPage": False}}
        sandbox.respond_next(unauthorized, Stub.json(200, body))
        return await waiting

    assert asyncio.run(scenario())["event"] == "done"
    assert len({request.key_accepted for request in sandbox.requests}) == 2


def test_a_cancelled_trigger_leaves_the_others_waiting(sandbox, add_orders):
    gone, stays = add_orders(1, 2)

    async def scenario() -> Any:
        first = asyncio.create_task(event_of(trigger(gone, poke_interval=0.1)))
        second = asyncio.create_task(event_of(trigger(stays, poke_interval=0.1)))
        await asyncio.sleep(0.3)
        first.cancel()
        sandbox.orders.change(stays, status="completed")
        return await second

    assert asyncio.run(scenario())["event"] == "done"


@pytest.mark.usefixtures("soon_again")
def test_an_order_that_cannot_be_read_keeps_no_other_one_waiting(sandbox, add_orders):
    last_time = "9999-12-31T23:59:59.999Z"
    [order] = add_orders(1, status="completed", createdAt="2026-01-01T00:00:00.000Z")
    sandbox.respond_always(Stub(fault=KINDS["500"]), path="/integration/orders/unreadable")

    async def scenario() -> Any:
        for created in (None, "2026-02-01T00:00:00Z", last_time):
            unreadable = trigger("unreadable", created=created, poke_interval=0.1)
            first = asyncio.create_task(event_of(unreadable))
            created = sandbox.orders.get(order)["createdAt"]
            event = await event_of(trigger(order, created=created, poke_interval=0.1))
            assert (event["event"], first.cancel()) == ("done", True)

    asyncio.run(scenario())


def test_a_failed_read_of_one_order_is_an_error_only_where_no_other_is_read(sandbox, add_orders):
    [order] = add_orders(1)
    sandbox.respond_always(Stub(fault=KINDS["500"]), path="/integration/orders/unreadable")
    created = {"unreadable": None, order: sandbox.orders.get(order)["createdAt"]}
    with OllangHook().get_conn() as client:
        assert [it.id for it in read_orders(client, created)] == [order]
        with pytest.raises(ServerError):
            list(read_orders(client, {"unreadable": None}))


def test_a_bug_ends_the_wait_with_an_event_of_its_own(add_orders, monkeypatch):
    def broken(*args: Any) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr(poller, "read_orders", broken)
    event = asyncio.run(event_of(trigger(*add_orders(1), poke_interval=0.1)))
    assert event["event"] == "error"
    assert "a bug" in event["message"]


def test_a_connection_that_is_gone_fails_the_wait(add_orders, monkeypatch):
    waiting = trigger(*add_orders(1), poke_interval=0.1)
    waiting.ollang_conn_id = "nowhere"
    event = asyncio.run(event_of(waiting))
    assert event["event"] == "failed"
    assert "nowhere" in event["message"]


# Bad input.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("order_ids", value) for value in ([], "abc")),
        *(("target_statuses", value) for value in ([], ["done"])),
        ("failure_statuses", ["completed", "failed"]),
        *(("deferrable", value) for value in ("False", "{{ params.deferrable }}", None)),
        *(("poke_interval", value) for value in (-1, 0, "soon")),
        *(("timeout", value) for value in (-1, "soon")),
        *(("cancel_on_kill", "yes"), ("mode", "wait")),
    ],
)
def test_a_bad_value_is_refused_when_the_dag_is_parsed(name, value):
    with pytest.raises((ValueError, AirflowException), match=name):
        OrderStatusSensor(task_id="wait", **{"order_ids": ["abc"], name: value})
