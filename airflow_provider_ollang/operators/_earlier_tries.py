"""What earlier tries of a task have done: what they cancelled, and whether they were previews.

Airflow 3.3 and newer keep a state for each task of a run, which survives retries and clears.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.cleanup.result import BatchResult

log = logging.getLogger(__name__)

CANCELLED, PREVIEWED, BEGUN = "ollang_cancelled", "ollang_previewed", "ollang_begun"


class EarlierTries:
    """What earlier tries of a task have done, as far as Airflow keeps it.

    :param context: of the task's present try
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._is_first = context["ti"].try_number == 1
        self._saved = 0

    @property
    def are_known(self) -> bool:
        """Whether this Airflow keeps it."""
        return self._store is not None

    @cached_property
    def cancelled(self) -> frozenset[str]:
        """The orders that they have cancelled, so that the counts include them."""
        return frozenset(self._load(CANCELLED) or ())

    @cached_property
    def previewed(self) -> bool | None:
        """Whether the last of them was a preview, ``None`` if that is not known."""
        previewed: bool | None = self._load(PREVIEWED)
        return previewed

    @property
    def begun(self) -> dict[str, Any] | None:
        """What switched a preview on when the run began, ``None`` if that is not known."""
        begun: dict[str, Any] | None = self._load(BEGUN)
        return begun

    def save_begun(self, switches: dict[str, Any]) -> None:
        """Keep for later tries what switches a preview on."""
        self._save(BEGUN, switches)

    def save_mode(self, *, preview: bool) -> None:
        """Keep for later tries whether this one is a preview."""
        self._save(PREVIEWED, preview)

    def save(self, result: BatchResult) -> None:
        """Keep what this try has cancelled for later ones, the first 1,000 orders."""
        if len(result.cancelled) > self._saved:
            self._save(CANCELLED, sorted(self.cancelled.union(result.cancelled)))
            self._saved = len(result.cancelled)

    def _save(self, key: str, value: Any) -> None:
        try:
            if self._store is not None:
                self._store.set(key, value)
        except Exception:  # it must not fail a task that has cancelled its orders
            self._give_up("save")

    def _load(self, key: str) -> Any:
        try:
            return None if self._store is None or self._is_first else self._store.get(key)
        except Exception:
            self._give_up("read")
            return None

    def _give_up(self, what: str) -> None:
        log.warning("Could not %s what the tries of this task have done", what, exc_info=True)
        self._store = None
