"""Counters of a batch's orders by outcome, through Airflow's own Stats."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_ollang.cleanup.result import Outcome

log = logging.getLogger(__name__)

#: Which outcomes each counter counts. A preview counts nothing.
OUTCOMES_BY_COUNTER: Mapping[str, tuple[Outcome, ...]] = MappingProxyType(
    {
        "ollang.orders.cancelled": (Outcome.CANCELLED,),
        "ollang.orders.skipped": (
            Outcome.ALREADY_CANCELLED,
            Outcome.NOT_CANCELLABLE,
            Outcome.STATUS_CHANGED,
            Outcome.EXCLUDED,
            Outcome.NOT_FOUND,
            Outcome.ACCESS_DENIED,
        ),
        "ollang.orders.failed": (Outcome.INVALID, Outcome.FAILED, Outcome.NOT_TRIED),
    }
)


def send(counts: Mapping[Outcome, int], ti: Any) -> None:
    """Count orders by their outcome.

    :param ti: the task instance, whose DAG and task tag the metrics
    """
    tags = {"dag_id": ti.dag_id, "task_id": ti.task_id}
    try:
        for name, outcomes in OUTCOMES_BY_COUNTER.items():
            if number := sum(counts.get(outcome, 0) for outcome in outcomes):
                Stats.incr(name, number, tags=tags)
    except Exception:  # a metric must not fail the task
        log.warning("The metrics could not be sent", exc_info=True)
