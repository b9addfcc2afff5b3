"""What the tries of a task tell each other: what they cancelled, and whether they were previews.

Airflow 3.3 and newer keep a state for each task of a run, which survives retries and clears.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

#: The orders that were cancelled, so that the counts include them.
CANCELLED = "ollang_cancelled"
#: Whether the last try was a preview.
PREVIEWED = "ollang_previewed"
#: What switched a preview on when the run began.
BEGUN = "ollang_begun"


class EarlierTries:
    """What earlier tries of a task have kept for later ones, as far as Airflow keeps it.

    :param context: of the task's present try
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._is_first = context["ti"].try_number == 1

    @property
    def are_known(self) -> bool:
        """Whether this Airflow keeps it."""
        return self._store is not None

    def load(self, key: str) -> Any:
        """Return what an earlier try has kept, ``None`` if that is not known."""
        try:
            return None if self._store is None or self._is_first else self._store.get(key)
        except Exception:
            self._give_up("read")
            return None

    def save(self, key: str, value: Any) -> None:
        """Keep something for later tries."""
        try:
            if self._store is not None:
                self._store.set(key, value)
        except Exception:  # it must not fail a task that has cancelled its orders
            self._give_up("save")

    def _give_up(self, what: str) -> None:
        log.warning("Could not %s what the tries of this task have done", what, exc_info=True)
        self._store = None
