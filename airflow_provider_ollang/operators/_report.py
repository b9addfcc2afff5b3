"""What a batch leaves outside Airflow: its report, and counters through Airflow's own Stats."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, Stats

from airflow_provider_ollang.api._responses import one_line
from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.cleanup.report import ReportWriter
from airflow_provider_ollang.cleanup.result import Outcome

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

_FAILED = frozenset({Outcome.INVALID, Outcome.FAILED, Outcome.NOT_TRIED})


def open_task_report(report_path: str, fields: Mapping[str, Any], context: Context) -> ReportWriter:
    """Return the report of a task to write to.

    :param report_path: what the parameter says; mapped tasks and retries add to the name
    :param fields: what each line begins with
    :raises InvalidInputError: it exists, or cannot be written
    """
    try:
        path = ObjectStoragePath(report_path)
        path = path.with_name(path.stem + _mark_of_try(context["ti"]) + path.suffix)
        report = ReportWriter(path, fields)
    except FileExistsError as error:
        raise InvalidInputError(
            f"report_path: {error.filename or path} exists, and a report is never overwritten; "
            f"nothing was cancelled. Add {{{{ run_id }}}} and {{{{ ti.task_id }}}} to the path, so "
            "that each run and task has its own report, or move that file."
        ) from error
    except Exception as error:  # each file system has its own
        raise InvalidInputError(
            f"report_path: can't write {report_path!r:.300}; nothing was cancelled. "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    log.info("The report is written to %s.", path)
    return report


def _mark_of_try(ti: Any) -> str:
    mapped = f".map{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    retried = f".try{ti.try_number}" if ti.try_number > 1 else ""
    return mapped + retried


def send_metrics(counts: Mapping[Outcome, int], ti: Any) -> None:
    """Count orders by their outcome.

    :param ti: the task instance, whose DAG and task tag the metrics
    """
    numbers = Counter[str]()
    for outcome, number in counts.items():
        not_cancelled = "failed" if outcome in _FAILED else "skipped"
        numbers["cancelled" if outcome is Outcome.CANCELLED else not_cancelled] += number
    tags = {"dag_id": ti.dag_id, "task_id": ti.task_id}
    try:
        for name, number in numbers.items():
            Stats.incr(f"ollang.orders.{name}", number, tags=tags)
    except Exception:  # a metric must not fail the task
        log.warning("The metrics could not be sent", exc_info=True)
