"""What earlier tries of a task have cancelled, so that its counts include them.

Airflow 3.3 and newer keep a state for each task of a run, which survives retries and clears.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.cleanup.result import BatchResult

log = logging.getLogger(__name__)

KEY = "ollang_cancelled"


class EarlierTries:
    """The orders that earlier tries of a task have cancelled, as far as Airflow keeps them.

    :param context: of the task's present try
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self.cancelled = self._load() if context["ti"].try_number > 1 else frozenset()
        self._saved = 0

    @property
    def are_known(self) -> bool:
        """Whether this Airflow keeps them."""
        return self._store is not None

    def save(self, result: BatchResult) -> None:
        """Keep what this try has cancelled for later ones, the first 1,000 orders."""
        if self._store is None or len(result.cancelled) == self._saved or result.preview:
            return
        try:
            self._store.set(KEY, sorted(self.cancelled.union(result.cancelled)))
            self._saved = len(result.cancelled)
        except Exception:  # it must not fail a task that has cancelled its orders
            self._give_up("save")

    def _load(self) -> frozenset[str]:
        try:
            found = self._store.get(KEY) if self._store is not None else None
        except Exception:
            self._give_up("read")
            found = None
        return frozenset(found) if isinstance(found, list) else frozenset()

    def _give_up(self, what: str) -> None:
        log.warning("Could not %s which orders earlier tries cancelled", what, exc_info=True)
        self._store = None
