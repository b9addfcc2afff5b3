"""Metrics of what became of orders, through Airflow's own Stats."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.cleanup.outcome import OrderResult, Outcome, Report

log = logging.getLogger(__name__)

#: Which outcomes each counter counts. A preview counts nothing.
OUTCOMES_BY_COUNTER: Mapping[str, tuple[Outcome, ...]] = MappingProxyType(
    {
        "ollang.orders.cancelled": (Outcome.CANCELLED,),
        "ollang.orders.refused": (
            Outcome.ALREADY_CANCELLED,
            Outcome.NOT_CANCELLABLE,
            Outcome.STATUS_CHANGED,
            Outcome.NOT_FOUND,
            Outcome.ACCESS_DENIED,
        ),
        "ollang.orders.failed": (Outcome.FAILED, Outcome.NOT_TRIED),
    }
)
TIMER = "ollang.orders.seconds"


@contextmanager
def of_one_order(ti: Any) -> Iterator[None]:
    """Send what became of the one order that the block cancels.

    :param ti: the task instance, whose DAG and task tag the metrics
    """
    begin = time.monotonic()
    outcome = Outcome.FAILED
    try:
        yield
        outcome = Outcome.CANCELLED
    except OllangError as error:
        outcome = OrderResult.from_error("", error).outcome
        raise
    finally:
        _send({outcome: 1}, time.monotonic() - begin, ti)


@contextmanager
def of_a_batch(report: Report, ti: Any) -> Iterator[None]:
    """Send what became of the orders of the batch that the block runs; nothing of a preview.

    :param report: the batch's report
    :param ti: the task instance, whose DAG and task tag the metrics
    """
    begin = time.monotonic()
    try:
        yield
    finally:
        if not report.preview:
            _send(report.counts, time.monotonic() - begin, ti)


def _send(counts: Mapping[Outcome, int], seconds: float, ti: Any) -> None:
    tags = {"dag_id": ti.dag_id, "task_id": ti.task_id}
    try:
        for name, outcomes in OUTCOMES_BY_COUNTER.items():
            if number := sum(counts.get(outcome, 0) for outcome in outcomes):
                Stats.incr(name, number, tags=tags)
        Stats.timing(TIMER, timedelta(seconds=seconds), tags=tags)
    except Exception:  # whatever becomes of a metric, the orders have their outcome
        log.warning("The metrics could not be sent", exc_info=True)
