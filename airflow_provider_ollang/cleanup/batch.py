"""Cancel many orders: side by side, at one rate_limiter, with a true report however it ends.

Workers take order ids one after the other and put results on a queue. One collector thread writes
the report and counts, so that an exception which a signal raises in the calling thread never cuts
a line in half. The calling thread only waits.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import (
    ConditionNotMetError,
    OllangError,
    RateLimitedError,
    TransportError,
)
from airflow_provider_ollang.api.models import CANCELLED_STATUSES, Order, is_one_of, quoted
from airflow_provider_ollang.api.rate_limiter import RateLimiter
from airflow_provider_ollang.api.retry import RetryState
from airflow_provider_ollang.cleanup.conditions import Conditions
from airflow_provider_ollang.cleanup.report import ReportError, ReportWriter
from airflow_provider_ollang.cleanup.result import (
    EARLIER_TRY_NOTE,
    KEPT_RESULTS,
    BatchResult,
    OrderResult,
    Outcome,
)

log = logging.getLogger(__name__)

#: How long a stopped batch waits for answers that are under way. Airflow's supervisor kills a
#: task 5 seconds after it has told it to end (Task SDK 1.3, ``WatchedSubprocess.kill``).
STOP_GRACE_SECONDS = 3.0
#: How long an interrupted batch then waits for its report to be written, which may hang.
REPORT_GRACE_SECONDS = 20.0
PROGRESS_EVERY_SECONDS = 5.0
#: An API is down if it responds to nothing for this time while this many orders are tried. A blip
#: is shorter. Where every third order at random gets no response, ten in a row are 1 in 59,000.
DOWN_SECONDS = 30.0
DOWN_ORDERS = 10
_POLL_SECONDS = 0.2

#: What the API usually lets be cancelled. Source: https://api-docs.ollang.com, "Cancel order".
USUALLY_CANCELLABLE = frozenset({"pending", "ongoing"})

NO_CONDITIONS = Conditions()


def require(conditions: Conditions, order: Order) -> None:
    """Raise if an order, as it was just read, is to be left alone.

    :raises ConditionNotMetError: it is cancelled, or a condition does not hold
    """
    if is_one_of(order.status, CANCELLED_STATUSES):
        reason = f"its status is {quoted(order.status)}"
        raise ConditionNotMetError(order.id, Outcome.ALREADY_CANCELLED, reason)
    if unmet := conditions.unmet(order):
        raise ConditionNotMetError(order.id, unmet.outcome, unmet.reason)


class Batch:
    """One pass over a list of orders.

    :param client: the API; the batch stops its rate_limiter to end early
    :param order_ids: distinct, checked order ids, in the order in which cancels are to start
    :param max_workers: requests under way at most
    :param conditions: read each order right before its cancel request, and leave it alone if one
        of these does not hold
    :param preview: send no cancel, say what would happen
    :param tolerated_codes: refusals that are no failure
    :param report: gets each result as soon as it is known; closed at the end
    :param cancelled_earlier: orders that an earlier try has cancelled: found cancelled, they count
        as cancelled
    :param on_progress: is called every few seconds, and at the end; in a thread of its own
    :param down_seconds: without a response for so long, the API may be down, and the batch ends
    """

    def __init__(
        self,
        client: OllangClient,
        order_ids: Sequence[str],
        *,
        max_workers: int = 8,
        conditions: Conditions = NO_CONDITIONS,
        preview: bool = False,
        tolerated_codes: Collection[str] = (),
        report: ReportWriter | None = None,
        cancelled_earlier: Collection[str] = (),
        on_progress: Callable[[BatchResult], None] = lambda report: None,
        down_seconds: float = DOWN_SECONDS,
    ) -> None:
        self.result = BatchResult(len(order_ids), preview, tolerated_codes)
        self._client = client
        self._conditions = conditions
        self._report = report
        self._cancelled_earlier = cancelled_earlier
        self._on_progress = on_progress
        self._outage = _Outage(client.rate_limiter, down_seconds)
        self._waiting = iter(order_ids)
        # Orders without a result yet, and what was sent for them.
        self._under_way: dict[str, RetryState] = {}
        self._taking = threading.Lock()
        # None stands for a worker that has ended.
        self._results: queue.SimpleQueue[OrderResult | None] = queue.SimpleQueue()
        self._workers = min(max_workers, len(order_ids))
        self._give_up_at = math.inf
        self._settled = threading.Event()
        self._report_error: Exception | None = None

    def run(self) -> BatchResult:
        """Try every order and return the report.

        :raises ReportError: the report could not be written
        :raises BaseException: what a signal raised meanwhile

        The report is complete even then: the orders left are ``not_tried``.
        """
        collector = threading.Thread(target=self._settle_all, name="ollang-results", daemon=True)
        collector.start()
        try:
            for number in range(self._workers):
                threading.Thread(target=self._work, name=f"ollang-{number}", daemon=True).start()
            self._settled.wait()
        except BaseException as error:
            self.stop(f"interrupted by {type(error).__name__}")
            self._wait_undeterred()
            raise
        if self._report_error:
            raise ReportError(f"the report could not be written: {self._report_error}") from (
                self._report_error
            )
        return self.result

    def stop(self, reason: str = "stopped from outside") -> None:
        """Start no further cancel, and wait only briefly for those under way.

        Safe in a signal handler.
        """
        self._give_up_at = min(self._give_up_at, time.monotonic() + STOP_GRACE_SECONDS)
        self._end_early(reason)

    def _end_early(self, reason: str) -> None:
        self.result.ended_early = self.result.ended_early or reason
        self._client.rate_limiter.stop()

    def _wait_undeterred(self) -> None:
        """Wait for the report to be complete, whatever a further signal raises meanwhile."""
        give_up_at = self._give_up_at + REPORT_GRACE_SECONDS
        while not self._settled.is_set() and time.monotonic() < give_up_at:
            with suppress(BaseException):
                self._settled.wait(give_up_at - time.monotonic())

    def _work(self) -> None:
        try:
            while (order_id := self._take()) is not None:
                self._results.put(self._try(order_id))
        finally:  # or the collector would wait for ever
            self._results.put(None)

    def _take(self) -> str | None:
        with self._taking:
            if self._client.rate_limiter.stopped:
                return None
            order_id = next(self._waiting, None)
            if order_id is not None:
                self._under_way[order_id] = RetryState()
            return order_id

    def _try(self, order_id: str) -> OrderResult:
        try:
            return self._preview(order_id) if self.result.preview else self._cancel(order_id)
        except Exception as error:  # one order's trouble does not stop the others
            log.exception("Order %s: an error of this package", order_id)
            attempts = self._under_way[order_id].attempts
            return OrderResult(
                order_id,
                Outcome.FAILED,
                attempts=attempts,
                response_lost=attempts > 0,
                message=f"an error of this package: {type(error).__name__}: {error}",
            )

    def _preview(self, order_id: str) -> OrderResult:
        try:
            order = self._client.get_order(order_id)
            require(self._conditions, order)
        except OllangError as error:
            self._end_if_pointless(error, self._under_way[order_id])
            return OrderResult.from_error(order_id, error, was_read=True)
        return _previewed(order)

    def _cancel(self, order_id: str) -> OrderResult:
        retry_state = self._under_way[order_id]
        try:
            receipt = self._client.cancel_order(
                order_id, check=self._check, retry_state=retry_state
            )
        except OllangError as error:
            self._end_if_pointless(error, retry_state)
            return OrderResult.from_error(order_id, error, was_read=retry_state.attempts == 0)
        return OrderResult(
            order_id,
            Outcome.CANCELLED,
            http_status=204,
            attempts=receipt.attempts,
            response_lost=receipt.response_lost,
        )

    @property
    def _check(self) -> Callable[[Order], None] | None:
        return None if self._conditions == NO_CONDITIONS else partial(require, self._conditions)

    def _end_if_pointless(self, error: OllangError, retry_state: RetryState) -> None:
        """End the batch where an error would meet every other order too."""
        if error.affects_all_orders:
            self.result.retry_is_useless = error.is_final
            self._end_early(error.message)
        elif isinstance(error, RateLimitedError):
            longest = self._client.retry_policy.retry_after_max
            if error.retry_after is not None and error.retry_after > longest:
                self.result.retry_after = error.retry_after
                self._end_early(f"the API asks to wait {error.retry_after:g} s")
        elif isinstance(error, TransportError) and self._outage.is_seen(retry_state.begun_at):
            self._end_early(self._outage.reason)

    def _settle_all(self) -> None:
        """Give every order its outcome. Runs in a thread of its own, and always says its end."""
        try:
            self._collect()
            self._settle_the_rest()
            self._close_report()
            self._on_progress(self.result)
        except Exception as error:  # the caller must neither wait for ever nor take it for success
            self._report_error = error
            self._end_early(f"an error of this package: {error!r}")
        finally:
            self._settled.set()

    def _collect(self) -> None:
        """ReportWriter each result as it comes, until all workers have ended or time is up."""
        progress = _Progress(self.result, self._on_progress)
        running = self._workers
        while running:
            try:
                result = self._results.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() > self._give_up_at:
                    break
            else:
                running -= result is None
                if result is not None:
                    self._under_way.pop(result.id)
                    self._settle(result)
            self._keep_report(lambda report: report.flush())
            progress.tell_now_and_then()

    def _settle_the_rest(self) -> None:
        with self._taking:
            for order_id, retry_state in self._under_way.items():
                unanswered = _unanswered(order_id, retry_state.attempts)
                self._settle(unanswered if retry_state.attempts else self._not_tried(order_id))
            for order_id in self._waiting:
                self._settle(self._not_tried(order_id))

    def _not_tried(self, order_id: str) -> OrderResult:
        reason = self.result.ended_early or "the client was stopped"
        return OrderResult(order_id, Outcome.NOT_TRIED, message=f"no cancel was sent: {reason}")

    def _settle(self, result: OrderResult) -> None:
        if result.outcome is Outcome.ALREADY_CANCELLED and result.id in self._cancelled_earlier:
            result = replace(result, outcome=Outcome.CANCELLED, message=EARLIER_TRY_NOTE)
            self.result.by_earlier_tries += 1
        self.result.add(result)
        self._log(result)
        self._keep_report(lambda report: report.write(result))

    def _log(self, result: OrderResult) -> None:
        number = self.result.counts[Outcome.CANCELLED]
        if result.outcome is not Outcome.CANCELLED or number <= KEPT_RESULTS or self._report_error:
            _log_result(result)
        elif number == KEPT_RESULTS + 1:
            where = "the report has them" if self._report else "report_path would list them"
            log.info("Further cancelled orders are not logged one by one: %s.", where)

    def _keep_report(self, act: Callable[[ReportWriter], None]) -> None:
        if self._report is None or self._report_error:
            return
        try:
            act(self._report)
        except Exception as error:  # each file system has its own
            self._give_up_report(self._report, error)

    def _close_report(self) -> None:
        try:
            if self._report:
                self._report.close()
        except Exception as error:
            if self._report and not self._report_error:
                self._give_up_report(self._report, error)

    def _give_up_report(self, report: ReportWriter, error: Exception) -> None:
        """Let the log go on where the report breaks off, and start no further cancel."""
        self._report_error = error
        log.error(
            "Can't write the report: %s. No further orders will be cancelled; "
            "remaining results follow in this log.",
            error,
        )
        for result in report.pending:
            _log_result(result)
        self._end_early(f"the report cannot be written: {error}")


def _log_result(result: OrderResult) -> None:
    left_alone = (logging.WARNING, f"not cancelled ({result.outcome})")
    level, text = _LOG_LINES.get(result.outcome, left_alone)
    if result.outcome is Outcome.FAILED and result.response_lost:
        text = "may be cancelled or not (failed)"
    reason = f": {result.message}" if result.message else ""
    log.log(level, "Order %s %s%s.", result.id, text, reason)


_LOG_LINES: Mapping[Outcome, tuple[int, str]] = MappingProxyType(
    {
        Outcome.CANCELLED: (logging.INFO, "cancelled"),
        Outcome.WOULD_CANCEL: (logging.INFO, "would be cancelled"),
        Outcome.ALREADY_CANCELLED: (logging.INFO, "was cancelled before"),
        Outcome.FAILED: (logging.ERROR, "not cancelled (failed)"),
        Outcome.NOT_TRIED: (logging.WARNING, "not tried"),
    }
)


class _Outage:
    """Tells whether the API is down: no order gets a response any more.

    Only orders count that began after the last response to any: where every third order gets none,
    all workers soon wait for such orders, and these end together, long after that response.
    """

    def __init__(self, rate_limiter: RateLimiter, seconds: float) -> None:
        self._rate_limiter = rate_limiter
        self._seconds = seconds
        self._begun_at = time.monotonic()
        self._unanswered: list[float] = []
        self._lock = threading.Lock()

    def is_seen(self, begun_at: float) -> bool:
        """Count an order that began then and got no response; return whether the API is down."""
        with self._lock:
            silent_since = self._silent_since
            began = [*self._unanswered, begun_at]
            self._unanswered = [moment for moment in began if moment >= silent_since]
            is_long = time.monotonic() - silent_since >= self._seconds
            return is_long and len(self._unanswered) >= DOWN_ORDERS

    @property
    def reason(self) -> str:
        """What to say where it is down."""
        seconds = time.monotonic() - self._silent_since
        moment = datetime.now(UTC) - timedelta(seconds=seconds)
        return (
            f"the API is down: no order has got a response since {moment:%Y-%m-%d %H:%M:%S} UTC "
            f"({seconds:.0f} s ago)"
        )

    @property
    def _silent_since(self) -> float:
        return max(self._begun_at, self._rate_limiter.last_response_at)


class _Progress:
    """Tells the log, and a function, now and then how far a batch is."""

    def __init__(self, result: BatchResult, on_progress: Callable[[BatchResult], None]) -> None:
        self._result = result
        self._on_progress = on_progress
        self._start = self._last = time.monotonic()

    def tell_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._last < PROGRESS_EVERY_SECONDS:
            return
        self._last = now
        done, total = self._result.done, self._result.total
        rate = done / (now - self._start)
        left = f"about {(total - done) / rate:.0f} s left" if rate else "no response yet"
        log.info("Processed %d of %d orders, %.1f a second, %s", done, total, rate, left)
        self._on_progress(self._result)


def _previewed(order: Order) -> OrderResult:
    """Return what cancelling the order would most likely bring."""
    status = quoted(order.status)
    if is_one_of(order.status, USUALLY_CANCELLABLE):
        return OrderResult(order.id, Outcome.WOULD_CANCEL, message=f"its status is {status}")
    return OrderResult(
        order.id,
        Outcome.NOT_CANCELLABLE,
        message=f"a cancel would be sent; the API usually refuses it for status {status}",
    )


def _unanswered(order_id: str, attempts: int) -> OrderResult:
    return OrderResult(
        order_id,
        Outcome.FAILED,
        attempts=attempts,
        response_lost=True,
        message="the task ended before a response arrived",
    )
