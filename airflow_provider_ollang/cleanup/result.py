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

#: Rows and ids that a report keeps in memory; the report has all.
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


def _code_of(error: OllangError, outcome: Outcome) -> str | None:
    """Return what the API calls an outcome; a read shows a cancelled order by its status."""
    if outcome is Outcome.ALREADY_CANCELLED:
        return OrderAlreadyCancelledError.documented_code
    return error.meaning if isinstance(error, ApiError) else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What became of one order: one line of the report.

    :param id: the order
    :param outcome: what became of it
    :param http_status: the last answer's HTTP status
    :param code: what the answer means, as the API's documentation words it
    :param attempts: cancel requests that were sent for it; 0 means that none was
    :param response_lost: whether one of them may have been acted on although no answer says so
    :param message: the reason, for a person
    :param time: when this was known, in UTC
    :param hint: what a person can do about it; it does not stand in the report
    """

    id: str
    outcome: Outcome
    http_status: int | None = None
    code: str | None = None
    attempts: int = 0
    response_lost: bool = False
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
        if was_read and not isinstance(error, (StoppedError, ConditionNotMetError)):
            message = f"no cancel was sent, the order could not be read: {message}"
        elif outcome is Outcome.ALREADY_CANCELLED and error.response_lost:
            message = f"{message}; {LOST_RESPONSE_NOTE}"
        return cls(
            order_id,
            outcome,
            http_status=error.status,
            code=_code_of(error, outcome),
            attempts=0 if was_read or outcome is Outcome.NOT_TRIED else error.attempts,
            response_lost=error.response_lost and not was_read,
            message=message,
            hint=error.hint,
        )

    @property
    def was_own_doing(self) -> bool:
        """Whether this task most likely cancelled an order that was found cancelled."""
        return self.outcome is Outcome.ALREADY_CANCELLED and self.response_lost

    def to_json(self) -> dict[str, Any]:
        """Return the result as the report holds it."""
        fields = asdict(self)
        del fields["hint"]
        return fields


@dataclass(slots=True)
class BatchResult:
    """What a batch has done so far: never what it means to do.

    :param total: orders in the batch
    :param preview: whether it sends no cancel
    :param tolerated_codes: refusals that are no failure
    :param counts: how many orders had which outcome
    :param failures: how many outcomes are not tolerated
    :param first_failure: the first of them
    :param cancelled: the ids of the first 1,000 orders that are ``cancelled``
    :param own_doing: how many of the orders found cancelled this task most likely cancelled itself
    :param by_earlier_tries: how many of the cancelled orders an earlier try cancelled
    :param not_cancelled: the first 1,000 results that are not ``cancelled``
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
    cancelled: list[str] = field(default_factory=list)
    own_doing: int = 0
    by_earlier_tries: int = 0
    not_cancelled: list[OrderResult] = field(default_factory=list)
    ended_early: str | None = None
    retry_is_useless: bool = False
    retry_after: float | None = None

    @property
    def retry_may_help(self) -> bool:
        """Whether a failure may pass, as no refusal of the API does."""
        may_pass = (Outcome.FAILED, Outcome.NOT_TRIED, Outcome.INVALID)
        return any(self.counts[outcome] for outcome in may_pass) and not self.retry_is_useless

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
        self.own_doing += result.was_own_doing
        if result.outcome is Outcome.CANCELLED:
            if len(self.cancelled) < KEPT_RESULTS:
                self.cancelled.append(result.id)
        elif len(self.not_cancelled) < KEPT_RESULTS:
            self.not_cancelled.append(result)

    def is_tolerated(self, result: OrderResult) -> bool:
        """Return whether a result leaves the batch a success."""
        if result.outcome in (Outcome.FAILED, Outcome.NOT_TRIED):
            return result.code in self.tolerated_codes
        if self.preview:  # it found out what it was asked for
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
