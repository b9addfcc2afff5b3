"""Counters of a batch's orders by outcome, through Airflow's own Stats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_ollang.cleanup.result import Outcome

_FAILED = frozenset({Outcome.INVALID, Outcome.FAILED, Outcome.NOT_TRIED})


def send(counts: Mapping[Outcome, int], ti: Any) -> None:
    """Count orders by their outcome.

    :param ti: the task instance, whose DAG and task tag the metrics
    """
    numbers = Counter[str]()
    for outcome, number in counts.items():
        not_cancelled = "failed" if outcome in _FAILED else "skipped"
        numbers["cancelled" if outcome is Outcome.CANCELLED else not_cancelled] += number
    for name, number in numbers.items():
        tags = {"dag_id": ti.dag_id, "task_id": ti.task_id}
        Stats.incr(f"ollang.orders.{name}", number, tags=tags)
