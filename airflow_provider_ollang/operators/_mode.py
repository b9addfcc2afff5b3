"""Whether a task may cancel: not in a run that was asked for a preview, or began as one.

Airflow takes everything from the DAG's file as it is when each task starts, even the default of a
param: a run that began as a preview could go on, or be cleared, as one that cancels. So the first
task of a cleanup keeps what the file said then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.api._storable import storable
from airflow_provider_ollang.operators import _parameters as parameters
from airflow_provider_ollang.operators._dag_run import (
    conf_of_run,
    refuse_ignored_settings,
    was_cleared,
)
from airflow_provider_ollang.operators._earlier_tries import BEGUN, PREVIEWED, EarlierTries
from airflow_provider_ollang.operators._preview import (
    is_switch,
    requests_of_param,
    requests_of_run,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: The XCom that says of each param and task whether it switched a preview on when the run began.
PREVIEW_PARAMS = "preview_params"


def push_preview_params(context: Context) -> None:
    """Push them for the tasks that follow. In a cleared run, only what an earlier try has kept."""
    tries = EarlierTries(context)
    begun = tries.load(BEGUN)
    if begun is None and not was_cleared(context):
        begun = storable(dict(_switches(context)))
        tries.save(BEGUN, begun)
    if begun:
        context["ti"].xcom_push(key=PREVIEW_PARAMS, value=begun)


def _switches(context: Context) -> Iterator[tuple[str, Any]]:
    params = context.get("params") or {}
    yield from ((name, params[name]) for name in params if is_switch(name))
    task: Any = context["task"]
    for other in task.get_flat_relatives(upstream=False):
        if "preview" in other.template_fields:
            is_mapped = hasattr(other, "partial_kwargs")
            preview = other.partial_kwargs.get("preview", False) if is_mapped else other.preview
            with suppress(Exception):  # it needs what is not known yet
                rendered = other.render_template(preview, context)
                yield _switch_of_task(other), parameters.flag("preview", rendered)


def _switch_of_task(task: Any) -> str:
    return f"{task.task_id}.preview"


def refuse_preview(context: Context, *, preview: bool | None = None) -> None:
    """Fail the task before it cancels anything, if its run is a preview, or may have been one.

    :param preview: whether the task is in preview mode, and cancels nothing anyway; ``None`` for a
        task without such a mode
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
        refuse_ignored_settings(context)
        if tries.load(PREVIEWED):
            raise _failure("an earlier try of this task was a preview")
        refuse_begun_as_preview(context, tries, has_mode=preview is not None)
    else:  # for the mapped tasks beside this one: those that begin later
        switches = {_switch_of_task(context["task"]): True}
        context["ti"].xcom_push(key=PREVIEW_PARAMS, value=switches)
    tries.save(PREVIEWED, bool(preview))


def refuse_begun_as_preview(context: Context, tries: EarlierTries, *, has_mode: bool) -> None:
    """Fail the task if its run began as a preview, or was cleared and may have done so.

    Does nothing where the conf says what the run is: that stays as it was.

    :param tries: what earlier tries of the task have done
    :param has_mode: whether the task can be in preview mode
    :raises AirflowFailException: it did, or may have
    """
    if any(map(is_switch, conf_of_run(context))):
        return
    # What the tasks before this one, or mapped beside it, have pushed.
    task: Any = context["task"]
    task_ids = [*sorted(task.get_flat_relative_ids(upstream=True)), task.task_id]
    begun = context["ti"].xcom_pull(task_ids=task_ids, key=PREVIEW_PARAMS) or ()
    begun = [values for values in begun if isinstance(values, dict)]
    params = {name for name in context.get("params") or {} if is_switch(name)}
    own = {_switch_of_task(task)} if has_mode else set()
    for name, values in product(sorted(params | own), begun):
        if name in values and next(requests_of_param(name, values[name]), None):
            raise _failure(f"this run began as a preview ({name} was {values[name]!r:.80})")
    # What the file said of this task can only be known where the finder's own tries keep it.
    unknown = (params | own if tries.are_known else params).difference(*begun)
    # No other run does the work of a teardown.
    is_real = tries.load(PREVIEWED) is False or task.is_teardown
    if unknown and was_cleared(context) and not is_real:
        raise _failure("this run was cleared, and may have been a preview before")


def _failure(reason: str) -> AirflowFailException:
    return AirflowFailException(f"Nothing was cancelled: {reason}. To cancel, trigger a new run.")
