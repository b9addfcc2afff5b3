"""What an operator has to know about the run that it is in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: "older_than" and "older_than_days", "max_order" and "max_orders" are that close.
_SIMILARITY = 0.75
_PULLED = re.compile(r"""xcom_pull\(\s*(?:task_ids\s*=\s*)?\[?\s*["']([^"']+)""")


def refuse_backfill(context: Context) -> None:
    """Fail in a backfill: its runs lie in the past, and each would clean up the present."""
    dag_run: Any = context["dag_run"]
    run_id = str(getattr(dag_run, "run_id", ""))
    if getattr(dag_run, "run_type", None) == "backfill" or run_id.startswith("backfill__"):
        raise AirflowFailException(
            "A cleanup cannot run in a backfill: each of its runs would look for orders that are "
            "stale today, and each would count its safety limits anew. Trigger a normal run."
        )


def was_cleared(context: Context) -> bool:
    """Return whether tasks of the run were cleared."""
    return bool(getattr(context["dag_run"], "clear_number", None))


def producers_of(order_ids: Any) -> list[str]:
    """Return the ids of the tasks whose output a list is, also where a template pulls it."""
    if isinstance(order_ids, str):
        return _PULLED.findall(order_ids)
    references = getattr(order_ids, "iter_references", tuple)
    return [task.task_id for task, _ in references()]


def refuse_old_list(context: Context, producers: Collection[str]) -> None:
    """Fail if a task that makes the list has not succeeded since the run was cleared.

    Airflow keeps what a task returned before the clear, unless the task starts again.

    :param producers: the ids of these tasks
    """
    if not producers or not was_cleared(context):
        return
    for task_id, state in _states_of_tasks(context["ti"], producers):
        if state != "success":
            raise AirflowFailException(
                f"Nothing was cancelled: order_ids is from before the run was cleared, since task "
                f"{task_id!r} is {state} now. Trigger a new run."
            )


def refuse_unapproved_list(context: Context, producers: Collection[str]) -> None:
    """Fail if a person is asked before the task, and its list is not from what they approved."""
    task: Any = context["task"]
    approvals = {
        other.task_id
        for other in task.get_flat_relatives(upstream=True)
        if other.task_type == "ApproveOrdersOperator"
    }
    dag: Any = context["dag"]
    sources = [dag.task_dict[task_id] for task_id in producers if task_id in dag.task_dict]
    before = {*producers}.union(*(it.get_flat_relative_ids(upstream=True) for it in sources))
    if approvals and approvals.isdisjoint(before):
        raise AirflowFailException(
            f"Nothing was cancelled: order_ids is not what was approved. Pass order_ids from the "
            f"output of {' or '.join(sorted(approvals))}."
        )


def _states_of_tasks(ti: Any, task_ids: Collection[str]) -> Iterable[tuple[str, str | None]]:
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        instances = ti.get_dagrun().get_task_instances()
        return [(it.task_id, it.state) for it in instances if it.task_id in task_ids]
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id]
    )
    return cast("dict[str, Any]", states.get(ti.run_id, {})).items()


def conf_of_run(context: Context) -> Mapping[str, Any]:
    """Return what the run was triggered with."""
    conf: Any = getattr(context["dag_run"], "conf", None)
    return conf if isinstance(conf, Mapping) else {}


def refuse_ignored_settings(context: Context) -> None:
    """Fail if the conf or ``default_args`` seem to set a param or parameter, and do not.

    Airflow ignores a key that nothing takes, and whoever wrote it expects otherwise.
    """
    # Not the context's params: those have all keys of the conf.
    declared = {*context["dag"].params, *context["task"].params}
    conf = conf_of_run(context)
    meant = declared.difference(conf) | _fixed_parameters(context)
    for key in _undeclared(conf, declared):
        for name in _much_like(key, meant):
            hint = (
                f"Was the param {name!r} meant? Correct the conf"
                if name in declared
                else f"The DAG takes {name} from elsewhere: set it there"
            )
            raise AirflowFailException(
                f"Nothing was cancelled: Airflow ignores {key!r:.80} in the run's conf. {hint}, "
                "and trigger a new run."
            )
    for key in _unused_default_args(context):
        for name in _much_like(key, context["task"].template_fields):
            raise AirflowFailException(
                f"Nothing was cancelled: no task takes {key!r} from default_args. Was {name!r} "
                "meant?"
            )


def _much_like(key: str, names: Collection[str]) -> list[str]:
    return get_close_matches(key, names, n=1, cutoff=_SIMILARITY)


def _unused_default_args(context: Context) -> Iterator[str]:
    """Yield the keys that the task does not take, nor any other task of the DAG."""
    task: Any = context["task"]
    dag: Any = context["dag"]
    for key in task.unused_default_args:
        if not any(hasattr(other, key) for other in dag.tasks):
            yield key


def _fixed_parameters(context: Context) -> set[str]:
    """Return the names of the task's parameters that no task of the DAG takes from the conf."""
    task: Any = context["task"]
    dag: Any = context["dag"]
    taken = {
        name
        for other in dag.tasks
        for name in other.template_fields
        if name not in getattr(other, "fixed_parameters", ())
    }
    return {*task.template_fields} - taken - {"preview"}  # that one has rules of its own


def _undeclared(conf: Mapping[str, Any], declared: set[str]) -> Iterator[str]:
    """Yield the keys that no param takes, and those in them: ``{"conf": {"limit": 5}}``."""
    for key in conf.keys() - declared:
        yield str(key)
        if isinstance(conf[key], Mapping):
            yield from map(str, conf[key])


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
