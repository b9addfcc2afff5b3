"""The report of a task: one file for each run, mapped task and try."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_ollang.api._responses import one_line
from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.cleanup.report import ReportWriter, open_report

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


def open_task_report(report_path: str, fields: Mapping[str, Any], context: Context) -> ReportWriter:
    """Return the report of a task to write to.

    :param report_path: what the parameter says; mapped tasks and retries add to the name
    :param fields: what each line begins with
    :raises InvalidInputError: it exists, or cannot be written
    """
    try:
        path = ObjectStoragePath(report_path)
        path = path.with_name(path.stem + _mark_of_try(context["ti"]) + path.suffix)
        report = open_report(path, fields)
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
