"""Tasks that are ended in the middle of a batch, by every means that a real Airflow has."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ollang.cleanup.result import EARLIER_TRY_NOTE
from airflow_provider_ollang.sandbox import Sandbox
from tests.scheduler.scheduler import Scheduler, wait_for

ORDERS, WORKERS, ROUNDS, SIDE_BY_SIDE = 120, 4, 20, 3


@pytest.fixture(autouse=True)
def bystanders(sandbox: Sandbox) -> Iterator[list[str]]:
    """Orders that stand in no list: none of them may change."""
    sandbox.reset()
    sandbox.orders.clear()
    others = [sandbox.orders.add(status=status)["id"] for status in ["pending", "ongoing"] * 10]
    yield others
    now = Counter(sandbox.orders.get(order_id)["status"] for order_id in others)
    assert now == {"pending": 10, "ongoing": 10}


@dataclass
class Round:
    """One run of a batch over orders of its own."""

    scheduler: Scheduler
    sandbox: Sandbox
    dag_id: str = "interrupted_batch"
    orders: int = ORDERS

    def __post_init__(self) -> None:
        self.ids = [self.sandbox.orders.add()["id"] for _ in range(self.orders)]
        self.run_id = self.scheduler.trigger(self.dag_id, {"order_ids": self.ids})

    def cancelled(self) -> set[str]:
        """Return which of its orders are cancelled in the sandbox."""
        return {i for i in self.ids if self.sandbox.orders.get(i)["status"] == "cancelled"}

    def wait_for_cancels(self, number: int) -> None:
        wait_for(lambda: len(self.cancelled()) >= number)

    def process(self) -> int:
        """Return the id of the first try's own process."""
        return int((self.scheduler.home / "reports" / f"{self.run_id}.try1.pid").read_text())

    def end(self) -> str:
        return self.scheduler.wait_for_run(self.dag_id, self.run_id)

    def report(self, mark: str = "") -> list[dict[str, Any]]:
        path: Path = self.scheduler.home / "reports" / f"{self.run_id}{mark}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def counts(self) -> Any:
        return self.scheduler.xcom(self.dag_id, self.run_id, "cancel", "counts")


def outcomes(report: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in report:
        found.setdefault(line["outcome"], set()).add(line["id"])
    return found


def assert_complete_and_true(round_: Round, report: list[dict[str, Any]]) -> None:
    """Check that a stopped try's report names every order once, and says what is so."""
    assert sorted(line["id"] for line in report) == sorted(round_.ids)
    said = outcomes(report)
    assert said["not_tried"]
    assert set(said) <= {"cancelled", "not_tried", "failed"}
    assert len(said.get("failed", ())) <= WORKERS


def assert_nothing_followed(round_: Round, report: list[dict[str, Any]]) -> None:
    """Check the report of a try that no other one follows."""
    assert_complete_and_true(round_, report)
    said = outcomes(report)
    assert round_.cancelled() - said.get("failed", set()) == said["cancelled"]


def assert_the_rest_was_finished(round_: Round, first: list[dict[str, Any]]) -> None:
    """Check that the second try did the rest, and met what the first one had done."""
    assert round_.cancelled() == set(round_.ids)
    report = round_.report(".try2")
    second = outcomes(report)
    assert set(second) <= {"cancelled", "already_cancelled"}
    met = second.get("already_cancelled", set())
    met |= {line["id"] for line in report if line["message"] == EARLIER_TRY_NOTE}
    # A try killed at its first cancels may have recorded none yet.
    assert outcomes(first).get("cancelled", set()) <= met
    # What a killed try had not recorded is at most the response that each worker was waiting for,
    # and one that was on its way to the report.
    unrecorded = met - {line["id"] for line in first}
    assert len(unrecorded) <= 2 * WORKERS
    assert set.union(*second.values()) == set(round_.ids)


def test_a_batch_out_of_time_leaves_a_complete_report(scheduler, sandbox):
    round_ = Round(scheduler, sandbox, "timed_out_batch", orders=5 * ORDERS)

    assert round_.end() == "failed"
    report = round_.report()
    assert_nothing_followed(round_, report)
    assert round_.counts() == {
        "total": round_.orders,
        **{outcome: len(ids) for outcome, ids in outcomes(report).items()},
    }


def test_a_batch_marked_failed_stops_and_completes_its_report(scheduler, sandbox):
    # A task hears of it at its next heartbeat, some seconds later.
    round_ = Round(scheduler, sandbox, orders=5 * ORDERS)
    round_.wait_for_cancels(5)
    scheduler.mark(round_.dag_id, round_.run_id, "cancel", "failed")

    wait_for(lambda: len(round_.report()) == round_.orders)
    assert_nothing_followed(round_, round_.report())


def test_a_batch_that_is_cleared_stops_and_starts_over(scheduler, sandbox):
    round_ = Round(scheduler, sandbox, orders=5 * ORDERS)
    round_.wait_for_cancels(5)
    scheduler.clear(round_.dag_id, round_.run_id)

    assert round_.end() == "success"
    first = round_.report()
    assert_complete_and_true(round_, first)
    assert_the_rest_was_finished(round_, first)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_ended_at_a_random_moment_the_report_is_true_and_the_next_try_does_the_rest(
    scheduler, sandbox, sign
):
    moments = random.choices(range(1, ORDERS - 5 * WORKERS), k=ROUNDS)
    print("interrupted after this many cancels:", moments)  # pytest shows it with a failure
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for round_ in pool.map(
            lambda after: _interrupted(scheduler, sandbox, sign, after), moments
        ):
            first = round_.report()
            said = outcomes(first)
            assert_the_rest_was_finished(round_, first)
            if sign is signal.SIGTERM:
                assert_complete_and_true(round_, first)
                assert said["not_tried"] <= outcomes(round_.report(".try2"))["cancelled"]
            else:
                assert set(said) <= {"cancelled"}
                assert len(first) < ORDERS


def _interrupted(scheduler: Scheduler, sandbox: Sandbox, sign: signal.Signals, after: int) -> Round:
    round_ = Round(scheduler, sandbox)
    round_.wait_for_cancels(after)
    os.kill(round_.process(), sign)
    assert round_.end() == "success"
    return round_
