"""What happens to orders when nothing waits for them anymore."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.hooks.ollang import OllangHook

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient


def cancel_unwanted(
    ollang_conn_id: str,
    order_ids: Sequence[str],
    log: Any,
    *,
    target_statuses: Collection[str],
    client: OllangClient | None = None,
) -> None:
    """Cancel the orders that can still be cancelled, each once, and log what became of them.

    :param target_statuses: an order that has one of these is left alone: it is what was wanted
    :param client: a client that is there already, for when Airflow cannot be asked anymore
    """
    from airflow_provider_ollang.api.models import STATUSES
    from airflow_provider_ollang.cleanup.batch import Batch
    from airflow_provider_ollang.cleanup.conditions import Conditions

    unreached = Conditions(statuses=STATUSES.difference(target_statuses))
    ids = ", ".join(order_ids)
    log.info("Nothing waits for these orders anymore. Cancelling those that are not done: %s", ids)
    with client or OllangHook(ollang_conn_id).get_conn() as client:
        batch = Batch(client, order_ids, max_workers=8, conditions=unreached)
        result = batch.run()
    log.info("Orders by outcome: %s", result.to_json())


def read_task_state(task_instance: Any) -> str | None:
    """Return the state of a task as Airflow has it now. Not to be called in an event loop."""
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        state = task_instance.current_state()
        return None if state is None else str(state)
    ti = task_instance
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=ti.map_index if is_mapped else None,
    )
    name = f"{ti.task_id}_{ti.map_index}" if is_mapped else ti.task_id
    state = states.get(ti.run_id, {}).get(name)
    return None if state is None else str(state)
