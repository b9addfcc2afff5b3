"""Orders that nothing waits for anymore are cancelled, and no others, however the wait ends."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from airflow_provider_ollang.sandbox import Sandbox, Stub
from demo.airflow_version import IS_BEFORE_3_3
from demo.standalone import end, processes_of
from tests.scheduler.scheduler import Scheduler, wait_for

CREATE = "/integration/orders/create"
#: By then a cancel that was decided on has been sent.
SETTLED_SECONDS = 2
#: A busy scheduler fails a task by itself that goes on so soon after it was deferred.
RESUMABLE_SECONDS = 8
ROUNDS = 20


told = pytest.mark.skipif(IS_BEFORE_3_3, reason="before 3.3, triggers are not told of it")


@pytest.fixture(autouse=True)
def bystander(sandbox: Sandbox) -> Iterator[None]:
    """Give an order that nobody waits for, and that nothing may change."""
    sandbox.reset()
    sandbox.respond_normally()
    sandbox.orders.clear()
    other = sandbox.orders.add()["id"]
    yield
    assert sandbox.orders.get(other)["status"] == "pending"


@dataclass
class Wait:
    """A run whose task waits for an order of its own."""

    scheduler: Scheduler
    sandbox: Sandbox
    dag_id: str = "wait_deferred"
    order_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.order_id = self.sandbox.orders.add()["id"]
        self.run_id = self.scheduler.trigger(self.dag_id, {"order_ids": [self.order_id]})

    @property
    def state(self) -> str | None:
        return self.scheduler.states(self.dag_id, self.run_id).get("wait")

    @property
    def order(self) -> str:
        return str(self.sandbox.orders.get(self.order_id)["status"])

    def wait_until(self, state: str) -> None:
        wait_for(lambda: self.state == state)

    def wait_until_watched(self) -> None:
        """Return when the task, or its trigger, has looked at the order a few times.

        Where Airflow ends a task earlier, nobody is told of it.
        """
        is_deferred = "deferred" in self.dag_id
        self.wait_until("deferred" if is_deferred else "running")
        beginning = "trigger .*starting" if is_deferred else "waiting for 1 pending"
        wait_for(lambda: self.has_logged(beginning), interval=1)
        seen = len(self.sandbox.requests)
        wait_for(lambda: len(self.sandbox.requests) >= seen + 2)

    def mark(self, state: str) -> None:
        self.scheduler.mark(self.dag_id, self.run_id, "wait", state)

    def clear(self) -> None:
        self.scheduler.clear(self.dag_id, self.run_id)

    def logs(self) -> str:
        """Return what Airflow has logged about the task's tries and triggers."""
        home = self.scheduler.home
        own = [it.read_text() for it in home.glob(f"logs/**/run_id={self.run_id}/**/*.log")]
        # A triggerer's log has what a trigger says after its end; in Airflow 2 also its start.
        lines = [line for it in home.glob("*.log") for line in it.read_text().splitlines()]
        return "\n".join([*own, *(line for line in lines if self.run_id in line)])

    def has_logged(self, pattern: str) -> bool:
        return bool(re.search(pattern, self.logs()))

    def wait_until_decided(self) -> None:
        """Return when Airflow has ended the wait, and the order was left alone or not."""
        is_untold = IS_BEFORE_3_3 and "deferred" in self.dag_id
        decision = "trigger .*completed" if is_untold else "No orders were cancelled"
        wait_for(lambda: self.order == "cancelled" or self.has_logged(decision), interval=1)
        time.sleep(SETTLED_SECONDS)

    def complete(self) -> None:
        """Complete the order and see that the task notices."""
        self.wait_until_watched()
        time.sleep(RESUMABLE_SECONDS)
        self.sandbox.orders.change(self.order_id, status="completed")
        assert self.scheduler.wait_for_run(self.dag_id, self.run_id) == "success", self.logs()
        assert self.scheduler.xcom(self.dag_id, self.run_id, "wait", "return_value") == [
            {"id": self.order_id, "status": "completed"}
        ]


@pytest.mark.parametrize("dag_id", [pytest.param("wait_deferred", marks=told), "wait_here"])
@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_an_order_whose_wait_a_user_ends_is_cancelled(scheduler, sandbox, dag_id, state):
    wait = Wait(scheduler, sandbox, dag_id)
    wait.wait_until_watched()
    wait.mark(state)
    wait_for(lambda: wait.order == "cancelled")


@pytest.mark.parametrize("dag_id", ["wait_deferred", "wait_here"])
@pytest.mark.parametrize("ended_by", ["success", "clear"])
def test_an_order_whose_wait_is_marked_as_success_or_cleared_lives(
    scheduler, sandbox, dag_id, ended_by
):
    wait = Wait(scheduler, sandbox, dag_id)
    wait.wait_until_watched()
    if ended_by == "clear":
        wait.clear()
    else:
        wait.mark(ended_by)
    wait.wait_until_decided()
    assert wait.order == "pending"
    if ended_by == "clear":
        wait.complete()


def test_an_order_that_is_not_done_in_time_is_cancelled(scheduler, sandbox):
    wait = Wait(scheduler, sandbox, "wait_deferred_briefly")
    assert scheduler.wait_for_run(wait.dag_id, wait.run_id) == "failed"
    assert wait.order == "cancelled", wait.logs()
    assert "Timed out after 15 s" in scheduler.log(wait.dag_id, wait.run_id, "wait")


def triggerers(scheduler: Scheduler) -> list[psutil.Process]:
    return [
        process
        for process in processes_of(scheduler.process)
        if "triggerer" in " ".join(process.cmdline())
    ]


@contextmanager
def another_triggerer(scheduler: Scheduler) -> Iterator[Any]:
    with (scheduler.home / "triggerer.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
            env=dict(scheduler.environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


@pytest.fixture(scope="session")
def more_triggerers(scheduler: Scheduler) -> Iterator[ExitStack]:
    """Give what ends the triggerers that a test leaves to the tests after it."""
    with ExitStack() as stack:
        yield stack


def test_an_order_lives_through_a_move_to_another_triggerer_and_a_restart(
    scheduler, sandbox, more_triggerers
):
    wait = Wait(scheduler, sandbox)
    wait.wait_until_watched()
    first = triggerers(scheduler)
    assert first
    for process in first:
        process.suspend()
    with another_triggerer(scheduler):
        seen = len(sandbox.requests)
        wait_for(lambda: len(sandbox.requests) >= seen + 3)  # the other one has taken over
        for process in first:  # finds that the trigger is not its own anymore
            process.resume()
        wait.wait_until_decided()
        assert (wait.state, wait.order) == ("deferred", "pending")
        for process in first:
            process.send_signal(signal.SIGTERM)
    # Now there is none at all. The next one goes on.
    time.sleep(2)
    assert (wait.state, wait.order) == ("deferred", "pending")
    more_triggerers.enter_context(another_triggerer(scheduler))
    wait.complete()


def terminate(wait: Wait) -> None:
    os.kill(process_of(wait.scheduler, wait.run_id), signal.SIGTERM)


def process_of(scheduler: Scheduler, run_id: str) -> int:
    """Return the id of the process in which a run's task is tried first."""
    path = scheduler.home / "processes" / f"{run_id}.1"
    return int(wait_for(lambda: path.exists() and path.read_text()))


#: Who ends the wait, in which DAG, and whether the order must go with it.
ENDS: list[tuple[str, Callable[[Wait], None], bool]] = [
    ("wait_deferred", lambda wait: wait.mark("failed"), not IS_BEFORE_3_3),
    ("wait_deferred", lambda wait: wait.mark("success"), False),
    ("wait_deferred", Wait.clear, False),
    ("wait_here", lambda wait: wait.mark("failed"), True),
    ("wait_here", lambda wait: wait.mark("success"), False),
    ("wait_here", Wait.clear, False),
    ("wait_here", terminate, True),
    ("wait_here_and_retry", terminate, False),
]


@pytest.mark.slow("20 ends, each of which Airflow may take a minute to act on")
def test_ended_at_a_random_moment_an_order_goes_only_where_nobody_waits_any_more(
    scheduler, sandbox
):
    def end_one(number: int) -> tuple[int, str, bool]:
        dag_id, end_wait, must_go = ENDS[number % len(ENDS)]
        wait = Wait(scheduler, sandbox, dag_id)
        wait.wait_until_watched()
        time.sleep(random.uniform(0, 3))
        end_wait(wait)
        wait.wait_until_decided()
        return number, wait.order, must_go

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(end_one, range(ROUNDS)))
    wrong = [it for it in found if it[1] != ("cancelled" if it[2] else "pending")]
    assert wrong == []


def created(scheduler: Scheduler, run_id: str) -> list[str]:
    assert scheduler.wait_for_run("create_orders", run_id) == "success"
    return sorted(scheduler.xcom("create_orders", run_id, "create", "return_value"))


def test_orders_are_paid_once_though_the_task_is_killed_before_the_response_and_cleared_later(
    scheduler, sandbox
):
    before = {order["id"] for order in sandbox.orders}
    sandbox.respond_next(Stub(fault="timeout-after"), path=CREATE)
    run_id = scheduler.trigger("create_orders")
    wait_for(lambda: len(sandbox.orders) == len(before) + 3)
    os.kill(process_of(scheduler, run_id), signal.SIGKILL)
    ids = created(scheduler, run_id)

    scheduler.clear("create_orders", run_id)
    assert created(scheduler, run_id) == ids
    assert ids == sorted(order["id"] for order in sandbox.orders if order["id"] not in before)
    assert sum(request.path == CREATE for request in sandbox.requests) == 1
