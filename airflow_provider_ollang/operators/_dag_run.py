"""What an operator has to know about the run that it is in, and about the tasks before it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.operators._preview import states_of_tasks, was_cleared

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_PULLED = re.compile(r"""xcom_pull\(\s*(?:task_ids\s*=\s*)?\[?\s*["']([^"']+)""")


def refuse_backfill(context: Context) -> None:
    """Fail in a backfill or catch-up run: it lies in the past, and would clean up the present."""
    dag_run: Any = context["dag_run"]
    run_id = str(getattr(dag_run, "run_id", ""))
    if getattr(dag_run, "run_type", None) == "backfill" or run_id.startswith("backfill__"):
        raise AirflowFailException(
            "A cleanup cannot run in a backfill: each of its runs would look for orders that are "
            "stale today, and each would count its safety limits anew. Trigger a normal run."
        )
    dag: Any = context["dag"]
    is_late = datetime.now(UTC) - time_of_run(context) > timedelta(days=1)
    if dag.catchup and is_late and getattr(dag_run, "run_type", None) == "scheduled":
        raise AirflowFailException(
            "A cleanup cannot catch up on the past: each of these runs would count its safety "
            "limits anew. Set catchup=False on the DAG."
        )


def producers_of(value: Any) -> list[str]:
    """Return the ids of the tasks whose output a value is, also where a template pulls it."""
    if isinstance(value, str):
        return _PULLED.findall(value)
    references = getattr(value, "iter_references", tuple)
    return [task.task_id for task, _ in references()]


def _producers(context: Context) -> list[str]:
    """Return the ids of the tasks whose output the task takes orders from."""
    task: Any = context["task"]
    dag: Any = context["dag"]
    # A mapped task has values by now; the DAG has what it is mapped over.
    mapped_over = getattr(dag.task_dict.get(task.task_id), "expand_input", None)
    return [*task.producers, *producers_of(mapped_over)]


def refuse_old_list(context: Context) -> None:
    """Fail if a task that makes the list has not succeeded since the run was cleared.

    Airflow keeps what a task returned before the clear, unless the task starts again.
    """
    task: Any = context["task"]
    if not task.producers or not was_cleared(context):
        return
    for task_id, state in states_of_tasks(context["ti"], task.producers):
        if state != "success":
            raise AirflowFailException(
                f"Nothing was cancelled: order_ids is from before the run was cleared, since task "
                f"{task_id!r} is {state} now. Trigger a new run."
            )


def refuse_unapproved_list(context: Context) -> None:
    """Fail if a person is asked before the task, and its list is not from what they approved."""
    task: Any = context["task"]
    approvals = {
        other.task_id
        for other in task.get_flat_relatives(upstream=True)
        if other.task_type == "ApproveOrdersOperator"
    }
    dag: Any = context["dag"]
    producers = _producers(context)
    sources = [dag.task_dict[task_id] for task_id in producers if task_id in dag.task_dict]
    before = {*producers}.union(*(it.get_flat_relative_ids(upstream=True) for it in sources))
    if approvals and approvals.isdisjoint(before):
        raise AirflowFailException(
            "Nothing was cancelled: the orders are not those that were approved. Take them from "
            f"the output of {' or '.join(sorted(approvals))}."
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
