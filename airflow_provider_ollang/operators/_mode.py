"""Whether a task may cancel: not in a run that was asked for a preview, or began as one.

Airflow takes the default of a param from the DAG's file as it is when each task starts: a run that
began as a preview could go on, or be cleared, as one that cancels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.api._storable import storable
from airflow_provider_ollang.operators._dag_run import conf_of_run, refuse_misspelled_params
from airflow_provider_ollang.operators._earlier_tries import EarlierTries
from airflow_provider_ollang.operators._preview import (
    is_switch,
    requests_of_param,
    requests_of_run,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: The XCom with the params that decide whether a run is a preview, as they were when it began.
PREVIEW_PARAMS = "preview_params"


def push_preview_params(context: Context) -> None:
    """Keep those params for the tasks that follow; in a cleared run, they may be others by now."""
    params = context.get("params") or {}
    switches = {name: params[name] for name in params if is_switch(name)}
    if switches and not _was_cleared(context):
        context["ti"].xcom_push(key=PREVIEW_PARAMS, value=storable(switches))


def refuse_preview(context: Context, *, preview: bool = False) -> None:
    """Fail the task before it cancels anything, if its run is a preview, or may have been one.

    :param preview: whether the task is in preview mode, and cancels nothing anyway
    :raises AirflowFailException: the run was asked for a preview, or began as one, or was cleared
        and may have been one
    """
    tries = EarlierTries(context)
    if not preview:
        if request := next(requests_of_run(context), None):
            raise AirflowFailException(
                f"Nothing was cancelled: this run was asked for a preview ({request}), but this "
                "task is not in preview mode. To preview, declare the param 'preview' in the DAG, "
                'pass preview="{{ params.preview }}" to BatchCancelOrdersOperator, and keep [core] '
                "dag_run_conf_overrides_params on. To cancel, remove that entry, or set it to "
                "false."
            )
        refuse_misspelled_params(context)
        if tries.previewed:
            raise _failure("an earlier try of this task was a preview")
        refuse_begun_as_preview(context, is_known=tries.previewed is False)
    tries.save_mode(preview=preview)


def refuse_begun_as_preview(context: Context, *, is_known: bool = False) -> None:
    """Fail the task if a param's default says that the run is no preview, and once said otherwise.

    :param is_known: whether the run is known to be none, even if it was cleared
    :raises AirflowFailException: the run began as a preview, or was cleared and may have been one
    """
    params, conf = context.get("params") or {}, conf_of_run(context)
    defaults = [name for name in params if is_switch(name) and name not in conf]
    for name in defaults:
        begun = [params[name] for params in _pulled(context) if name in params]
        if request := next((it for value in begun for it in requests_of_param(name, value)), None):
            raise _failure(f"this run began as a preview ({request})")
        if not begun and _was_cleared(context) and not is_known and not _is_teardown(context):
            raise _failure(
                f"this run was cleared, and its conf does not have the param {name!r}, whose "
                "default may have been another one before"
            )


def _pulled(context: Context) -> Iterator[dict[str, Any]]:
    """Yield what the tasks before this one have pushed when the run began."""
    task: Any = context["task"]
    if upstream := sorted(task.get_flat_relative_ids(upstream=True)):
        for params in context["ti"].xcom_pull(task_ids=upstream, key=PREVIEW_PARAMS) or ():
            if isinstance(params, dict):
                yield params


def _was_cleared(context: Context) -> bool:
    return bool(getattr(context["dag_run"], "clear_number", None))


def _is_teardown(context: Context) -> bool:
    """Return whether it is a teardown, whose work no other run does."""
    return bool(getattr(context["task"], "is_teardown", False))


def _failure(reason: str) -> AirflowFailException:
    return AirflowFailException(f"Nothing was cancelled: {reason}. To cancel, trigger a new run.")
