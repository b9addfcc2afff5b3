"""What became of each order of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_ollang.api.errors import (
    LOST_ANSWER_NOTE,
    ApiError,
    OllangError,
)

#: Rows that a report keeps in memory; the record has all.
KEPT_RESULTS = 1000


class Outcome(StrEnum):
    """What became of one order."""

    CANCELLED = "cancelled"
    WOULD_CANCEL = "would_cancel"
    ALREADY_CANCELLED = "already_cancelled"
    NOT_CANCELLABLE = "not_cancellable"
    STATUS_CHANGED = "status_changed"
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    FAILED = "failed"
    NOT_TRIED = "not_tried"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of one order: one line of the record.

    :param id: the order
    :param outcome: what became of it
    :param http_status: the last answer's HTTP status
    :param code: what the answer means, as the API's documentation words it
    :param attempts: cancel requests that were sent for it; 0 means that none was
    :param answer_lost: whether one of them may have been acted on although no answer says so
    :param message: the reason, for a person
    :param time: when this was known, in UTC
    :param hint: what a person can do about it; it does not stand in the report
    """

    id: str
    outcome: Outcome
    http_status: int | None = None
    code: str | None = None
    attempts: int = 0
    answer_lost: bool = False
    message: str = ""
    time: str = field(default_factory=_now)
    hint: str = ""

    @classmethod
    def from_error(
        cls, order_id: str, error: OllangError, *, was_read: bool = False
    ) -> OrderResult:
        """Return what an error says became of an order.

        :param was_read: the error came from reading the order, so no cancel was sent
        """
        outcome = Outcome(error.outcome)
        message = error.details
        if was_read and outcome is not Outcome.NOT_TRIED:
            message = f"no cancel was sent, the order could not be read: {message}"
        elif outcome is Outcome.ALREADY_CANCELLED and error.answer_lost:
            message = f"{message}; {LOST_ANSWER_NOTE}"
        return cls(
            order_id,
            outcome,
            http_status=error.status,
            code=error.meaning if isinstance(error, ApiError) else None,
            attempts=0 if was_read or outcome is Outcome.NOT_TRIED else error.attempts,
            answer_lost=error.answer_lost and not was_read,
            message=message,
            hint=error.hint,
        )

    def to_json(self, *, preview: bool = False) -> dict[str, Any]:
        """Return the result as the record holds it; one of a preview says so."""
        fields = asdict(self)
        del fields["hint"]
        return {"preview": True, **fields} if preview else fields


@dataclass(slots=True)
class Report:
    """What a batch has done so far: never what it means to do.

    :param total: orders in the batch
    :param preview: whether it sends no cancel
    :param tolerated_codes: refusals that are no failure
    :param counts: how many orders had which outcome
    :param failures: how many outcomes are not tolerated
    :param first_failure: the first of them
    :param remarkable: the first 1,000 results that are not ``cancelled``
    :param ended_early: why not every order was tried, where that is so
    :param retry_is_useless: whether every later try would end the same way
    :param retry_after: seconds that the API asked to wait, where that ended it
    """

    total: int
    preview: bool = False
    tolerated_codes: Collection[str] = ()
    counts: Counter[Outcome] = field(default_factory=Counter)
    failures: int = 0
    first_failure: OrderResult | None = None
    remarkable: list[OrderResult] = field(default_factory=list)
    ended_early: str | None = None
    retry_is_useless: bool = False
    retry_after: float | None = None

    @property
    def retry_may_help(self) -> bool:
        """Whether a failure may pass, as no refusal of the API does."""
        may_pass = self.counts[Outcome.FAILED] + self.counts[Outcome.NOT_TRIED]
        return may_pass > 0 and not self.retry_is_useless

    @property
    def done(self) -> int:
        """How many orders have an outcome."""
        return self.counts.total()

    def add(self, result: OrderResult) -> None:
        """Count one more result."""
        self.counts[result.outcome] += 1
        if not self.is_tolerated(result):
            self.failures += 1
            self.first_failure = self.first_failure or result
        if result.outcome is not Outcome.CANCELLED and len(self.remarkable) < KEPT_RESULTS:
            self.remarkable.append(result)

    def is_tolerated(self, result: OrderResult) -> bool:
        """Return whether a result leaves the batch a success."""
        if result.outcome in (Outcome.FAILED, Outcome.NOT_TRIED):
            return result.code in self.tolerated_codes
        if self.preview:  # it found out what it was asked for
            return True
        harmless = (Outcome.CANCELLED, Outcome.STATUS_CHANGED)
        return result.outcome in harmless or result.code in self.tolerated_codes

    def to_json(self) -> dict[str, int]:
        """Return the counts by outcome, without those that did not occur, and the total."""
        counts = {str(outcome): self.counts[outcome] for outcome in Outcome if self.counts[outcome]}
        return {"total": self.total, **counts}

    def table(self) -> str:
        """Return the counts as a table for a log."""
        title = "preview: no cancel was sent" if self.preview else "outcome"
        rows = [(title, "orders"), *((name, str(n)) for name, n in self.to_json().items())]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {number:>8}" for name, number in rows)
