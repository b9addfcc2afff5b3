"""What became of each order of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_ollang.api.errors import (
    LOST_RESPONSE_NOTE,
    ApiError,
    ConditionNotMetError,
    OllangError,
    OrderAlreadyCancelledError,
    StoppedError,
)

#: Results and ids that are kept in memory and XCom; the report has all of them.
KEPT_RESULTS = 1000

EARLIER_TRY_NOTE = "an earlier try of this task cancelled it"


class Outcome(StrEnum):
    """What became of one order."""

    CANCELLED = "cancelled"
    WOULD_CANCEL = "would_cancel"
    ALREADY_CANCELLED = "already_cancelled"
    NOT_CANCELLABLE = "not_cancellable"
    STATUS_CHANGED = "status_changed"
    EXCLUDED = "excluded"
    INVALID = "invalid"
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    FAILED = "failed"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of one order: one line of the report.

    :param http_status: the last response's HTTP status
    :param code: what the response means, as the API's documentation words it
    :param attempts: cancel requests sent for it, 0 for none
    :param response_lost: whether one of them may have been acted on although no response says so
    :param time: when this was known, in UTC
    :param hint: what a person can do about it; not part of the report
    """

    id: str
    outcome: Outcome
    http_status: int | None = None
    code: str | None = None
    attempts: int = 0
    response_lost: bool = False
    message: str = ""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    hint: str = ""

    @classmethod
    def from_error(cls, order_id: str, error: OllangError, attempts: int) -> OrderResult:
        """Return what an error says became of an order.

        :param attempts: cancel requests that were sent; with none, the order was being read
        """
        outcome = Outcome(error.outcome)
        # A read shows that an order is cancelled by its status, without a code.
        code = error.meaning if isinstance(error, ApiError) else None
        if outcome is Outcome.ALREADY_CANCELLED:
            code = OrderAlreadyCancelledError.documented_code
        message = error.details
        if not attempts and not isinstance(error, (StoppedError, ConditionNotMetError)):
            message = f"no cancel request was sent, the order could not be read: {message}"
        elif outcome is Outcome.ALREADY_CANCELLED and error.response_lost:
            message = f"{message}; {LOST_RESPONSE_NOTE}"
        return cls(
            order_id,
            outcome,
            http_status=error.status,
            code=code,
            attempts=attempts,
            response_lost=error.response_lost and attempts > 0,
            message=message,
            hint=error.hint,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as the report holds it."""
        return {name: value for name, value in asdict(self).items() if name != "hint"}


@dataclass(slots=True)
class BatchResult:
    """What a batch has done so far, never what it is going to do.

    :param failures: how many outcomes are not tolerated
    :param cancelled: the ids of the first 1,000 orders that are ``cancelled``
    :param likely_ours: how many of the orders found cancelled this task most likely cancelled
    :param by_earlier_tries: how many of the cancelled orders an earlier try cancelled
    :param not_cancelled: the first 1,000 results that are not ``cancelled``
    :param stop_reason: why not every order was tried, if so
    :param is_final: whether every later try would end the same way
    :param retry_after: seconds that the API asked to wait, if that stopped it
    """

    total: int
    preview: bool = False
    tolerated_codes: Collection[str] = ()
    counts: Counter[Outcome] = field(default_factory=Counter)
    failures: int = 0
    first_failure: OrderResult | None = None
    cancelled: list[str] = field(default_factory=list)
    likely_ours: int = 0
    by_earlier_tries: int = 0
    not_cancelled: list[OrderResult] = field(default_factory=list)
    stop_reason: str | None = None
    is_final: bool = False
    retry_after: float | None = None

    @property
    def retry_may_help(self) -> bool:
        """Whether one of the failures may pass; what the API documents does not."""
        may_pass = (Outcome.FAILED, Outcome.NOT_TRIED, Outcome.INVALID)
        return any(self.counts[outcome] for outcome in may_pass) and not self.is_final

    @property
    def of_this_try(self) -> Counter[Outcome]:
        """How many orders had which outcome, without those that an earlier try cancelled."""
        return self.counts - Counter({Outcome.CANCELLED: self.by_earlier_tries})

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
        self.likely_ours += result.outcome is Outcome.ALREADY_CANCELLED and result.response_lost
        if result.outcome is Outcome.CANCELLED:
            if len(self.cancelled) < KEPT_RESULTS:
                self.cancelled.append(result.id)
        elif len(self.not_cancelled) < KEPT_RESULTS:
            self.not_cancelled.append(result)

    def is_tolerated(self, result: OrderResult) -> bool:
        """Return whether a result leaves the batch a success."""
        if result.outcome in (Outcome.FAILED, Outcome.NOT_TRIED):
            return result.code in self.tolerated_codes
        if self.preview:  # it found out what would happen
            return True
        harmless = (Outcome.CANCELLED, Outcome.STATUS_CHANGED, Outcome.EXCLUDED)
        return result.outcome in harmless or result.code in self.tolerated_codes

    def to_json(self) -> dict[str, int]:
        """Return the counts by outcome, without those that did not occur, and the total."""
        counts = {str(outcome): self.counts[outcome] for outcome in Outcome if self.counts[outcome]}
        return {"total": self.total, **counts}

    def __str__(self) -> str:
        """Return the counts for a log, such as ``10 cancelled, 2 failed (of 12)``."""
        counts = [f"{number} {outcome}" for outcome, number in self.to_json().items()]
        return f"{', '.join(counts[1:])} (of {self.total})"
