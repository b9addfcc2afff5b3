"""What an operator has to know about the run that it is in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def refuse_backfill(context: Context) -> None:
    """Fail in a backfill: its runs lie in the past, and each would clean up the present."""
    dag_run: Any = context["dag_run"]
    run_id = str(getattr(dag_run, "run_id", ""))
    if getattr(dag_run, "run_type", None) == "backfill" or run_id.startswith("backfill__"):
        raise AirflowFailException(
            "A cleanup cannot run in a backfill: each of its runs would look for orders that are "
            "stale today, and each would count its safety limits anew. Trigger a normal run."
        )


def time_of_run(context: Context) -> datetime:
    """Return the run's own time, the same for every try of its tasks."""
    run_after = getattr(context["dag_run"], "run_after", None)
    # Airflow 2 has no run_after.
    return cast("datetime", run_after or context["data_interval_end"])


def start_of_run(context: Context) -> datetime:
    """Return when the run was due or triggered, the same for every try of its tasks."""
    time = time_of_run(context)
    # In Airflow 2, the data interval of a run that is triggered has ended before.
    has_run_after = hasattr(context["dag_run"], "run_after")
    return time if has_run_after else max(time, cast("datetime", context["logical_date"]))
