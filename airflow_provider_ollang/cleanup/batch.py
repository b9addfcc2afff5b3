"""Cancel many orders: in parallel, under one rate limit, with a true report however it ends.

Workers take order ids one after the other and put results on a queue. One collector thread counts
them and writes the report, so that an exception which a signal raises in the calling thread never
cuts a line in half. The calling thread only waits.
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

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import OllangError, RateLimitedError, TransportError
from airflow_provider_ollang.api.models import is_one_of, quoted
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

#: How long a stopped batch waits for responses. Airflow's supervisor kills a task 5 seconds after
#: it has asked it to stop (Task SDK 1.3, ``WatchedSubprocess.kill``).
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


class Batch:
    """One pass over a list of orders.

    :param client: the API; the batch stops its rate limiter to end early
    :param order_ids: distinct, checked order ids
    :param conditions: read each order right before its cancel request, and skip it if one of these
        does not hold
    :param report: gets each result as soon as it is known; closed at the end
    :param cancelled_earlier: orders that an earlier try has cancelled: found cancelled, they count
        as cancelled
    :param on_progress: called every few seconds, and at the end, in a thread of the batch
    :param down_seconds: without any response for this long, the API may be down, and the batch ends
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
        on_progress: Callable[[BatchResult], None] = lambda result: None,
        down_seconds: float = DOWN_SECONDS,
    ) -> None:
        self.result = BatchResult(len(order_ids), preview, tolerated_codes)
        self._client = client
        self._conditions = conditions
        self._report = report
        self._cancelled_earlier = cancelled_earlier
        self._on_progress = on_progress
        self._down_seconds = down_seconds
        self._waiting = iter(order_ids)
        # Orders without a result yet, and what was sent for them.
        self._in_progress: dict[str, RetryState] = {}
        self._taking = threading.Lock()
        # None stands for a worker that has ended.
        self._results: queue.SimpleQueue[OrderResult | None] = queue.SimpleQueue()
        self._workers = min(max_workers, len(order_ids))
        self._give_up_at = math.inf
        self._begun_at = self._progress_at = self._silent_since = time.monotonic()
        # Orders that began after the last response to any, and got none.
        self._silent = 0
        self._is_complete = threading.Event()
        self._report_error: Exception | None = None

    def run(self) -> BatchResult:
        """Try every order and return the result.

        The result is complete even where this raises: the orders left are ``not_tried``.

        :raises ReportError: the report could not be written
        :raises BaseException: what a signal raised meanwhile
        """
        collector = threading.Thread(target=self._collect_all, name="ollang-results", daemon=True)
        try:
            collector.start()
            for number in range(self._workers):
                threading.Thread(target=self._work, name=f"ollang-{number}", daemon=True).start()
            self._is_complete.wait()
        except BaseException as error:
            self.stop(f"interrupted by {type(error).__name__}")
            give_up_at = self._give_up_at + REPORT_GRACE_SECONDS
            while not self._is_complete.is_set() and time.monotonic() < give_up_at:
                with suppress(BaseException):  # a further signal must not cut the report short
                    self._is_complete.wait(give_up_at - time.monotonic())
            raise
        if broken := self._report_error:
            raise ReportError(f"the report could not be written: {broken}") from broken
        return self.result

    def stop(self, reason: str = "stopped from outside") -> None:
        """Send no further cancel request, and wait only briefly for those in progress.

        Safe in a signal handler.
        """
        self._give_up_at = min(self._give_up_at, time.monotonic() + STOP_GRACE_SECONDS)
        self._end_early(reason)

    def _end_early(self, reason: str) -> None:
        self.result.stop_reason = self.result.stop_reason or reason
        self._client.rate_limiter.stop()

    # In the workers' threads.

    def _work(self) -> None:
        try:
            while (order_id := self._take()) is not None:
                self._results.put(self._try(order_id))
        finally:  # or the collector would wait forever
            self._results.put(None)

    def _take(self) -> str | None:
        with self._taking:
            if self._client.rate_limiter.stopped:
                return None
            order_id = next(self._waiting, None)
            if order_id is not None:
                self._in_progress[order_id] = RetryState()
            return order_id

    def _try(self, order_id: str) -> OrderResult:
        retry_state = self._in_progress[order_id]
        try:
            if self.result.preview:
                return self._preview(order_id)
            return self._cancel(order_id, retry_state)
        except OllangError as error:
            self._end_if_pointless(error, retry_state)
            return OrderResult.from_error(order_id, error, retry_state.attempts)
        except Exception as error:  # one order's failure does not stop the rest
            log.exception("Order %s: an internal error", order_id)
            message = f"an internal error: {type(error).__name__}: {error}"
            return _failed(order_id, retry_state.attempts, message)

    def _preview(self, order_id: str) -> OrderResult:
        order = self._client.get_order(order_id)
        self._conditions.check(order)
        message = f"its status is {quoted(order.status)}"
        if is_one_of(order.status, USUALLY_CANCELLABLE):
            return OrderResult(order_id, Outcome.WOULD_CANCEL, message=message)
        message = f"a cancel request would be sent, but {message}: the API usually rejects it"
        return OrderResult(order_id, Outcome.NOT_CANCELLABLE, message=message)

    def _cancel(self, order_id: str, retry_state: RetryState) -> OrderResult:
        receipt = self._client.cancel_order(
            order_id,
            check=None if self._conditions == NO_CONDITIONS else self._conditions.check,
            retry_state=retry_state,
        )
        return OrderResult(
            order_id,
            Outcome.CANCELLED,
            http_status=204,
            attempts=receipt.attempts,
            response_lost=receipt.response_lost,
        )

    def _end_if_pointless(self, error: OllangError, retry_state: RetryState) -> None:
        """End the batch where every other order would meet the same error."""
        asked, longest = error.retry_after or 0, self._client.retry_policy.retry_after_max
        if error.affects_all_orders:
            self.result.is_final = error.is_final
            self._end_early(error.message)
        elif isinstance(error, RateLimitedError) and asked > longest:
            self.result.retry_after = asked
            self._end_early(f"the API asks to wait {asked:g} s")
        elif isinstance(error, TransportError) and self._is_down(retry_state.begun_at):
            seconds = time.monotonic() - self._silent_since
            self._end_early(f"the API is down: no response to any order for {seconds:.0f} s")

    def _is_down(self, begun_at: float) -> bool:
        """Count an order that began then and got no response; return whether the API is down."""
        with self._taking:
            silent_since = max(self._silent_since, self._client.rate_limiter.last_response_at)
            if silent_since > self._silent_since:
                self._silent_since, self._silent = silent_since, 0
            # Where every third order gets no response, all workers soon wait for such orders, which
            # began before that response and end together.
            self._silent += begun_at >= silent_since
            is_long = time.monotonic() - silent_since >= self._down_seconds
            return is_long and self._silent >= DOWN_ORDERS

    # In the collector's thread.

    def _collect_all(self) -> None:
        try:
            self._collect()
            self._add_the_rest()
            self._with_report(lambda report: report.close())
            self._on_progress(self.result)
        except Exception as error:  # the caller must neither wait forever nor take it for success
            self._report_error = error
            self._end_early(f"an internal error: {error!r}")
        finally:
            self._is_complete.set()

    def _collect(self) -> None:
        """Add each result as it arrives, until all workers have ended or time is up."""
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
                    self._in_progress.pop(result.id)
                    self._add(result)
            self._with_report(lambda report: report.flush())
            self._log_progress()

    def _add_the_rest(self) -> None:
        with self._taking:
            rest = self._in_progress | {order_id: RetryState() for order_id in self._waiting}
        reason = self.result.stop_reason or "the client was stopped"
        not_tried = f"no cancel request was sent: {reason}"
        for order_id, retry_state in rest.items():
            if attempts := retry_state.attempts:
                message = "the task ended before a response arrived"
                self._add(_failed(order_id, attempts, message))
            else:
                self._add(OrderResult(order_id, Outcome.NOT_TRIED, message=not_tried))

    def _add(self, result: OrderResult) -> None:
        if result.outcome is Outcome.ALREADY_CANCELLED and result.id in self._cancelled_earlier:
            result = replace(result, outcome=Outcome.CANCELLED, message=EARLIER_TRY_NOTE)
            self.result.by_earlier_tries += 1
        self.result.add(result)
        number = self.result.counts[Outcome.CANCELLED]
        if result.outcome is not Outcome.CANCELLED or number <= KEPT_RESULTS or self._report_error:
            _log_result(result)
        elif number == KEPT_RESULTS + 1:
            where = "the report has them" if self._report else "report_path would list them"
            log.info("Further cancelled orders are not logged one by one: %s.", where)
        self._with_report(lambda report: report.write(result))

    def _with_report(self, act: Callable[[ReportWriter], None]) -> None:
        """Use the report. Once that fails, the log takes its place, and the batch ends."""
        if self._report is None or self._report_error:
            return
        try:
            act(self._report)
        except Exception as error:  # each file system has its own
            self._report_error = error
            log.error(
                "Can't write the report: %s. No further orders will be cancelled; "
                "remaining results follow in this log.",
                error,
            )
            for result in self._report.pending:
                _log_result(result)
            self._end_early(f"the report cannot be written: {error}")

    def _log_progress(self) -> None:
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_EVERY_SECONDS:
            return
        self._progress_at = now
        done, total = self.result.done, self.result.total
        rate = done / (now - self._begun_at)
        left = f"about {(total - done) / rate:.0f} s left" if rate else "no response yet"
        log.info("Processed %d of %d orders, %.1f a second, %s", done, total, rate, left)
        self._on_progress(self.result)


def _failed(order_id: str, attempts: int, message: str) -> OrderResult:
    return OrderResult(
        order_id, Outcome.FAILED, attempts=attempts, response_lost=attempts > 0, message=message
    )


_LOG_LINES: Mapping[Outcome, tuple[int, str]] = {
    Outcome.CANCELLED: (logging.INFO, "cancelled"),
    Outcome.WOULD_CANCEL: (logging.INFO, "would be cancelled"),
    Outcome.ALREADY_CANCELLED: (logging.INFO, "was already cancelled"),
    Outcome.FAILED: (logging.ERROR, "not cancelled (failed)"),
    Outcome.NOT_TRIED: (logging.WARNING, "not tried"),
}


def _log_result(result: OrderResult) -> None:
    skipped = (logging.WARNING, f"not cancelled ({result.outcome})")
    level, text = _LOG_LINES.get(result.outcome, skipped)
    if result.outcome is Outcome.FAILED and result.response_lost:
        text = "may or may not be cancelled (failed)"
    reason = f": {result.message}" if result.message else ""
    log.log(level, "Order %s %s%s.", result.id, text, reason)
