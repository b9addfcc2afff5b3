"""What happens to orders when nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.hooks.ollang import OllangHook

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

MAX_WORKERS = 8


def cancel_unwanted(
    ollang_conn_id: str, order_ids: Sequence[str], log: Any, client: OllangClient | None = None
) -> None:
    """Cancel the orders that can still be cancelled, each once, and log what became of them.

    :param client: a client that is there already, for when Airflow cannot be asked any more
    """
    from airflow_provider_ollang.cleanup.batch import Batch

    log.info("Nobody waits for these orders any more. Cancelling: %s", ", ".join(order_ids))
    with client or OllangHook(ollang_conn_id).get_conn() as client:
        result = Batch(client, order_ids, max_workers=MAX_WORKERS).run()
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
