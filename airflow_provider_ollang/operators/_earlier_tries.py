"""What earlier tries of a task have cancelled or previewed.

Airflow 3.3 and newer keep a state for each task of a run, which survives retries and clears.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.cleanup.result import BatchResult

log = logging.getLogger(__name__)

CANCELLED, PREVIEWED = "ollang_cancelled", "ollang_previewed"


class EarlierTries:
    """What earlier tries of a task have done, as far as Airflow keeps it.

    :param context: of the task's present try
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        is_first = context["ti"].try_number == 1
        found = None if is_first else self._load(CANCELLED)
        #: The orders that they have cancelled, so that the counts include them.
        self.cancelled = frozenset(found if isinstance(found, list) else ())
        self._previewed = not is_first and self._load(PREVIEWED) is True
        self._saved = 0

    @property
    def are_known(self) -> bool:
        """Whether this Airflow keeps it."""
        return self._store is not None

    def check_mode(self, *, preview: bool) -> None:
        """Raise if this try is about to cancel what an earlier one has only previewed.

        The default of a param may have changed since then, and the orders may be wanted by now.
        """
        if preview:
            self._set(PREVIEWED, True)
        elif self._previewed:
            raise AirflowFailException(
                "Nothing was cancelled: an earlier try of this task was a preview, and its run "
                "stays one. To cancel, trigger a new run, which looks for stale orders again."
            )

    def save(self, result: BatchResult) -> None:
        """Keep what this try has cancelled for later ones, the first 1,000 orders."""
        if len(result.cancelled) > self._saved:
            self._set(CANCELLED, sorted(self.cancelled.union(result.cancelled)))
            self._saved = len(result.cancelled)

    def _set(self, key: str, value: Any) -> None:
        try:
            if self._store is not None:
                self._store.set(key, value)
        except Exception:  # it must not fail a task that has cancelled its orders
            self._give_up("save")

    def _load(self, key: str) -> Any:
        try:
            return None if self._store is None else self._store.get(key)
        except Exception:
            self._give_up("read")
            return None

    def _give_up(self, what: str) -> None:
        log.warning("Could not %s what the tries of this task have done", what, exc_info=True)
        self._store = None
