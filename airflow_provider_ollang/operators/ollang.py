"""The operators: find stale orders, cancel many, cancel one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    ObjectStoragePath,
)

from airflow_provider_ollang.api.errors import (
    LOST_RESPONSE_NOTE,
    ApiError,
    ConditionNotMetError,
    InvalidInputError,
    with_hint,
)
from airflow_provider_ollang.api.responses import one_line
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators import parameters
from airflow_provider_ollang.operators.base import (
    OllangBaseOperator,
    OptionalParameter,
    Parameter,
)
from airflow_provider_ollang.operators.create import CreateOrderOperator
from airflow_provider_ollang.operators.earlier_tries import EarlierTries
from airflow_provider_ollang.operators.preview import refuse_if_preview_requested
from airflow_provider_ollang.operators.retry import exception_to_retry

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.api.models import Order
    from airflow_provider_ollang.cleanup.batch import Batch
    from airflow_provider_ollang.cleanup.conditions import Conditions
    from airflow_provider_ollang.cleanup.report import ReportWriter
    from airflow_provider_ollang.cleanup.result import BatchResult
    from airflow_provider_ollang.cleanup.stale import Finding, StaleOrder, StaleRule

__all__ = [
    "BatchCancelOrdersOperator",
    "CancelOrderOperator",
    "CreateOrderOperator",
    "FindStaleOrdersOperator",
]

#: Clocks of scheduler and worker may differ by so much before a time counts as future.
CLOCK_TOLERANCE = timedelta(minutes=1)
#: XCom keeps this many orders, the oldest: all of them would grow Airflow's database every night.
KEPT_ORDERS = 1000
#: Ids that one warning names.
SHOWN_IDS = 20

ALREADY_CANCELLED = "ORDER_ALREADY_CANCELLED"
NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"

# What to do where a template rendered to nothing.
ANY_HINT = "Give ['*'] for any."
NONE_HINT = "Give [] for none."
NO_LIST_HINT = (
    "There is no list: was the task that it is from marked as success by hand? An approval gives a "
    "list only after a person's response in the UI."
)


class CancelOrderOperator(OllangBaseOperator):
    """Cancel one order, for good. Returns its id.

    Skips the task where the order was cancelled before. Any other documented refusal fails it
    without retries. Trouble that may pass (429, 5xx, no answer) fails it so that Airflow's
    ``retries`` apply, and so does any answer that the API does not document.

    :param order_id: the order
    :param skip_on_codes: refusals that skip the task instead of failing it
    :param require_status: read the order first, and skip the task without a cancel if it has none
        of these statuses
    :param ollang_conn_id: the connection
    """

    _order_id = Parameter(parameters.order_id)
    _skip_on_codes = Parameter(parameters.codes)
    _require_status = OptionalParameter(parameters.statuses)

    ui_color = "#f4d6cc"

    def __init__(
        self,
        *,
        order_id: str,
        skip_on_codes: Collection[str] = (ALREADY_CANCELLED,),
        require_status: Collection[str] | None = None,
        ollang_conn_id: str = OllangHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_id = order_id
        self.skip_on_codes = skip_on_codes
        self.require_status = require_status
        self.ollang_conn_id = ollang_conn_id
        self._check_parameters()

    def execute(self, context: Context) -> str:
        """Cancel the order.

        :return: the order id
        :raises AirflowSkipException: it was cancelled before, or has another status by now
        :raises AirflowFailException: it cannot be cancelled, and trying again cannot help
        :raises AirflowException: it may or may not be cancelled now; trying again may help
        """
        with self._airflow_exceptions():
            self._take_parameters()
            refuse_if_preview_requested(context)
            order_id = self._order_id
            with self._client() as client:
                where = (client.base_url, self._ollang_conn_id)
                self.log.info("Cancelling order %s at %s (connection %r).", order_id, *where)
                self._cancel(client, order_id, context)
        return order_id

    def _cancel(self, client: OllangClient, order_id: str, context: Context) -> None:
        from airflow_provider_ollang.operators import metrics

        try:
            with metrics.of_one_order(context["ti"]):
                receipt = client.cancel_order(order_id, check=self._check())
        except ConditionNotMetError as error:
            if error.outcome == "invalid":
                raise
            self._skip(_reason_to_skip(error))
        except ApiError as error:
            self._skip_or_raise(error)
        else:
            self.log.info("Order %s is cancelled (attempts: %d).", order_id, receipt.attempts)

    def _check(self) -> Callable[[Order], None] | None:
        from airflow_provider_ollang.cleanup.batch import require
        from airflow_provider_ollang.cleanup.conditions import Conditions

        statuses = self._require_status
        return partial(require, Conditions(statuses)) if statuses else None

    def _skip_or_raise(self, error: ApiError) -> None:
        if error.meaning not in self._skip_on_codes:
            raise error
        self._skip(_reason_to_skip(error))


class FindStaleOrdersOperator(OllangBaseOperator):
    """List stale orders. Returns their ids, oldest first.

    Pushes to XCom, also where a safety limit is exceeded: ``orders`` (the oldest 1,000 as objects
    with id, name, type, status, createdAt, projectId, age in days, sourceLanguage and
    targetLanguage) and ``summary`` (a Markdown table of them, made for a person's approval). An
    order whose date, status or id is not understood is invalid, and never stale. Refuses to run in
    a backfill, and where most of at least ten listed orders are invalid.

    For parameters that a trigger form fills, ``["*"]`` in ``order_types``, ``project_ids`` and
    ``folder_ids`` means any.

    :param older_than: the age from which an order is stale, as a timedelta or in ISO 8601 (``P7D``)
    :param statuses: the order has one of these
    :param order_types: the order has one of these
    :param project_ids: the order belongs to one of these
    :param folder_ids: the order is in one of these folders. A listing does not show folders: each
        order that is stale by all else is read once, and one without a folder is invalid
    :param exclude_folder_ids: the order is in none of these folders, in upper or lower case; read
        in the same way
    :param name_matches: a regular expression that is found in the order's name, as it is seen:
        white space is read as a space, invisible characters are not read, and composed and
        decomposed letters are equal
    :param exclude_name_matches: a regular expression that is not found in the order's name, in any
        of the ways that it can be read. ``(?i)keep`` excludes KEEP too
    :param exclude_order_ids: never these, in upper or lower case
    :param limit: return this many at most. Each run takes others, picked by the run's
        ``reference_time``, and each try of a run the same: orders that the API refuses, or a person
        rejects, every time do not keep the rest from being reached
    :param max_orders: more stale orders than this fail the task, without retries; 0 allows none.
        It is counted before ``limit``
    :param max_share: fail the task, without retries, if stale orders are a larger share than this
        of all orders that have one of ``statuses``, of any age; 0 to 1. All of those are listed
    :param reference_time: the time that ages are counted to; the run's own time if left out, so
        that a retry finds the same orders
    :param chunk_size: return lists of this many ids, to map a batch over
    :param ollang_conn_id: the connection
    """

    _older_than = Parameter(parameters.duration)
    _statuses = Parameter(parameters.statuses)
    _order_types = OptionalParameter(parameters.order_types, hint=ANY_HINT)
    _project_ids = OptionalParameter(parameters.names_or_any, hint=ANY_HINT)
    _folder_ids = OptionalParameter(parameters.names_or_any, hint=ANY_HINT)
    _exclude_folder_ids = OptionalParameter(parameters.excluded_names, hint=NONE_HINT)
    _name_matches = OptionalParameter(parameters.pattern)
    _exclude_name_matches = OptionalParameter(parameters.pattern)
    _exclude_order_ids = OptionalParameter(parameters.order_ids, hint=NONE_HINT)
    _limit = OptionalParameter(parameters.allowance)
    _max_orders = OptionalParameter(parameters.allowance)
    _max_share = OptionalParameter(parameters.share)
    _reference_time = OptionalParameter(
        parameters.moment, hint="Leave reference_time out to use the run's own time."
    )
    _chunk_size = OptionalParameter(parameters.positive_whole_number)

    ui_color = "#d6e4f0"

    def __init__(
        self,
        *,
        older_than: timedelta | str,
        statuses: Collection[str] = ("pending",),
        order_types: Collection[str] | None = None,
        project_ids: Collection[str] | None = None,
        folder_ids: Collection[str] | None = None,
        exclude_folder_ids: Collection[str] | None = None,
        name_matches: str | None = None,
        exclude_name_matches: str | None = None,
        exclude_order_ids: Collection[str] | None = None,
        limit: int | str | None = None,
        max_orders: int | str | None = None,
        max_share: float | str | None = None,
        reference_time: datetime | str | None = None,
        chunk_size: int | str | None = None,
        ollang_conn_id: str = OllangHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.older_than = older_than
        self.statuses = statuses
        self.order_types = order_types
        self.project_ids = project_ids
        self.folder_ids = folder_ids
        self.exclude_folder_ids = exclude_folder_ids
        self.name_matches = name_matches
        self.exclude_name_matches = exclude_name_matches
        self.exclude_order_ids = exclude_order_ids
        self.limit = limit
        self.max_orders = max_orders
        self.max_share = max_share
        self.reference_time = reference_time
        self.chunk_size = chunk_size
        self.ollang_conn_id = ollang_conn_id
        self._check_parameters()

    def execute(self, context: Context) -> list[str] | list[list[str]]:
        """Read the whole listing and return what is stale.

        :return: order ids, or lists of them if ``chunk_size`` is set
        :raises AirflowFailException: a safety limit is exceeded, most orders are invalid, the run
            is a backfill, or a parameter is wrong
        :raises AirflowException: the listing could not be read to its end
        """
        from airflow_provider_ollang.cleanup.stale import find_stale_orders, select

        _refuse_backfill(context)
        with self._airflow_exceptions():
            self._take_parameters()
            rule = self._rule(context)
            self.log.info("Looking for orders created up to %s.", rule.cut_off.isoformat())
            with self._client() as client:
                of_any_age = self._max_share is not None
                finding = find_stale_orders(client, rule, of_any_age=of_any_age)
        if failure := self._failure(finding):
            self._publish(context, finding, finding.orders)
            raise AirflowFailException(failure)
        selected = select(finding.orders, self._limit, rule.reference_time)
        self._publish(context, finding, selected)
        return self._in_chunks([order.id for order in selected])

    def _in_chunks(self, ids: list[str]) -> list[str] | list[list[str]]:
        size = self._chunk_size
        if size is None:
            return ids
        return [ids[start : start + size] for start in range(0, len(ids), size)]

    def _rule(self, context: Context) -> StaleRule:
        from airflow_provider_ollang.cleanup.stale import StaleRule

        reference_time, older_than = self._time_to_count_ages_to(context), self._older_than
        try:
            (reference_time - older_than).astimezone(UTC)
        except OverflowError as error:
            raise InvalidInputError(
                f"older_than: {older_than} reaches back before the first date there is. Expected "
                "is a shorter duration, such as P7D."
            ) from error
        return StaleRule(
            reference_time=reference_time,
            older_than=older_than,
            statuses=self._statuses,
            order_types=self._order_types,
            project_ids=self._project_ids,
            folder_ids=self._folder_ids,
            exclude_folder_ids=self._exclude_folder_ids or (),
            name_matches=self._name_matches,
            exclude_name_matches=self._exclude_name_matches,
            exclude_order_ids=self._exclude_order_ids or (),
        )

    def _time_to_count_ages_to(self, context: Context) -> datetime:
        reference_time = self._reference_time or _time_of_run(context)
        if reference_time > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise InvalidInputError(
                f"reference_time: {reference_time.isoformat()} is in the future: young orders "
                "would look old. Expected the present or a time before it."
            )
        return reference_time

    def _failure(self, finding: Finding) -> str | None:
        """Return why nothing may be cancelled, if that is so."""
        from airflow_provider_ollang.cleanup.stale import exceeded_limit

        if finding.failure:
            return (
                f"Nothing was cancelled: {finding.failure}. The API may have changed. See the "
                "warnings in the log for what is wrong with them."
            )
        exceeded = exceeded_limit(
            len(finding.orders),
            with_status=finding.with_status,
            max_orders=self._max_orders,
            max_share=self._max_share,
        )
        if exceeded is None:
            return None
        return (
            f"Safety limit hit, nothing was cancelled: {exceeded}. Review XCom 'orders', then "
            "narrow the filters, or raise the limit if this is meant."
        )

    def _publish(self, context: Context, finding: Finding, orders: list[StaleOrder]) -> None:
        """Put the finding into the log and XCom."""
        from airflow_provider_ollang.cleanup.summary import summarize

        left_out = len(finding.orders) - len(orders)
        self._log_finding(finding, orders)
        self.log.info(
            "Checked %d orders: %d stale, %d invalid.",
            finding.examined,
            len(finding.orders),
            len(finding.invalid),
        )
        if left_out:
            self.log.info("%d more are left for later runs.", left_out)
        summary = summarize(orders, left_out=left_out, invalid=len(finding.invalid))
        self._push(context, "orders", [order._asdict() for order in orders[:KEPT_ORDERS]])
        self._push(context, "summary", summary)

    def _log_finding(self, finding: Finding, orders: list[StaleOrder]) -> None:
        from airflow_provider_ollang.api.models import quoted
        from airflow_provider_ollang.cleanup.summary import SHOWN_ORDERS

        for name, ids in finding.unseen.items():
            if ids:
                self.log.warning(
                    "%s: no order that was read for this rule has %s. Check the spelling; only "
                    "younger orders, or ones with another status, may have it too.",
                    name,
                    ", ".join(map(quoted, list(ids.values())[:SHOWN_IDS])),
                )
        for invalid in finding.invalid[:SHOWN_ORDERS]:
            self.log.warning("Left alone, invalid: %s", invalid)
        for order_id in finding.gone[:SHOWN_ORDERS]:
            self.log.warning("Left alone, not found any more: order %s", order_id)
        for order in orders[:SHOWN_ORDERS]:
            kind, name = quoted(order.type), quoted(order.name)
            self.log.info("Stale: %s, %s days, %s, %s", order.id, order.age, name, kind)


class BatchCancelOrdersOperator(OllangBaseOperator):
    """Cancel many orders in one task, which cannot be undone. Returns how many had which outcome.

    Pushes to XCom, also when it fails: ``counts`` (orders by outcome), ``cancelled`` (the ids of
    the first 1,000 cancelled orders) and ``not_cancelled`` (the first 1,000 other results). On
    Airflow 3.3 and newer these include what earlier tries cancelled. Skips the task if the list is
    empty, or if somebody else had cancelled every order. Tries every order, then fails if any of
    them failed with a code not in ``tolerated_codes``; ends early where the API rejects the key,
    or does not respond any more.

    :param order_ids: the orders, processed in this order; duplicates are dropped
    :param max_workers: requests under way at most, up to 128
    :param requests_per_second: requests started at most, by all workers together
    :param max_orders: a longer list fails before the first cancel; 0 allows none
    :param require_status: read each order right before its cancel request, and leave it alone if
        it has none of these statuses
    :param exclude_name_matches: leave it alone if this regular expression is found in its name, as
        that read shows it; upper and lower case differ unless the expression says ``(?i)``
    :param exclude_folder_ids: leave it alone if it is in one of these folders, in upper or lower
        case
    :param created_before: leave it alone if it was created after this time: a datetime with a zone,
        or ISO 8601 text
    :param tolerated_codes: error responses that do not fail the task
    :param preview: send no cancel request, say for each order what would happen
    :param report_path: the report of all results as JSON Lines: an absolute path or a URL that
        Airflow's ``ObjectStoragePath`` takes. A mapped task adds ``.map`` and its index to the
        name, a retry ``.try`` and its number; a file that is there is never overwritten
    :param ollang_conn_id: the connection
    """

    _order_ids = Parameter(parameters.order_ids, hint=NO_LIST_HINT)
    _max_workers = Parameter(parameters.workers)
    _requests_per_second = OptionalParameter(parameters.rate)
    _max_orders = Parameter(parameters.allowance)
    _require_status = OptionalParameter(parameters.statuses)
    _exclude_name_matches = OptionalParameter(parameters.pattern)
    _exclude_folder_ids = OptionalParameter(parameters.excluded_names)
    _created_before = OptionalParameter(parameters.moment)
    _tolerated_codes = Parameter(parameters.codes)
    _preview = Parameter(parameters.flag)
    _report_path = OptionalParameter(parameters.report_path)

    ui_color = "#f4d6cc"

    _batch: Batch | None = None

    def __init__(
        self,
        *,
        order_ids: Collection[str],
        max_workers: int | str = 8,
        requests_per_second: float | str | None = None,
        max_orders: int | str = 1000,
        require_status: Collection[str] | None = None,
        exclude_name_matches: str | None = None,
        exclude_folder_ids: Collection[str] | None = None,
        created_before: datetime | str | None = None,
        tolerated_codes: Collection[str] = (ALREADY_CANCELLED, NOT_CANCELLABLE),
        preview: bool | str = False,
        report_path: str | None = None,
        ollang_conn_id: str = OllangHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids
        self.max_workers = max_workers
        self.requests_per_second = requests_per_second
        self.max_orders = max_orders
        self.require_status = require_status
        self.exclude_name_matches = exclude_name_matches
        self.exclude_folder_ids = exclude_folder_ids
        self.created_before = created_before
        self.tolerated_codes = tolerated_codes
        self.preview = preview
        self.report_path = report_path
        self.ollang_conn_id = ollang_conn_id
        self._check_parameters()

    def execute(self, context: Context) -> dict[str, int]:
        """Cancel the orders.

        :return: orders by outcome, and their ``total``
        :raises AirflowSkipException: the list is empty, or was cancelled before
        :raises AirflowFailException: the list is too long, or trying again cannot help
        :raises AirflowException: trying again may help
        """
        from airflow_provider_ollang.api.rate_limiter import RateLimiter

        with self._airflow_exceptions():
            self._take_parameters()
            refuse_if_preview_requested(context, preview=self._preview)
            order_ids = self._orders_to_cancel()
            with self._client(RateLimiter(self._requests_per_second)) as client:
                self._say_what_begins(len(order_ids), client)
                self._earlier_tries = EarlierTries(context)
                self._batch = self._make_batch(client, order_ids, context)
                if self._is_killed:
                    self.on_kill()
                result = self._run(self._batch, context)
        return self._conclude(result, is_retried=context["ti"].try_number > 1)

    def on_kill(self) -> None:
        """Start no further cancel; what is under way is waited for briefly, the rest recorded."""
        super().on_kill()
        if self._batch:
            self._batch.stop("the task was told to end")

    def _orders_to_cancel(self) -> list[str]:
        order_ids = self._order_ids
        max_orders = self._max_orders
        if not order_ids:
            self._skip("There is no order to cancel.")
        if len(order_ids) <= max_orders:
            return order_ids
        too_many = f"order_ids holds {len(order_ids)} orders, max_orders allows {max_orders}"
        if self._preview:
            self.log.warning("Without preview nothing would be cancelled: %s.", too_many)
            return order_ids
        raise AirflowFailException(
            f"Nothing was cancelled: {too_many}. Check the list, then raise max_orders if this "
            "is meant."
        )

    def _make_batch(self, client: OllangClient, order_ids: list[str], context: Context) -> Batch:
        from airflow_provider_ollang.cleanup.batch import Batch

        return Batch(
            client,
            order_ids,
            max_workers=self._max_workers,
            conditions=self._conditions(),
            preview=self._preview,
            tolerated_codes=self._tolerated_codes,
            report=self._open_report(client.base_url, context),
            cancelled_earlier=self._earlier_tries.cancelled,
            on_progress=self._earlier_tries.save,
        )

    def _say_what_begins(self, orders: int, client: OllangClient) -> None:
        what = "Previewing" if self._preview else "Cancelling"
        where = (client.base_url, self._ollang_conn_id)
        self.log.info("%s %d orders at %s (connection %r).", what, orders, *where)

    def _conditions(self) -> Conditions:
        from airflow_provider_ollang.cleanup.conditions import Conditions

        return Conditions(
            statuses=self._require_status,
            exclude_name_matches=self._exclude_name_matches,
            exclude_folder_ids=self._exclude_folder_ids or None,
            created_before=self._created_before,
        )

    def _open_report(self, base_url: str, context: Context) -> ReportWriter | None:
        from airflow_provider_ollang.cleanup.report import open_report

        report_path = self._report_path
        if report_path is None:
            return None
        try:
            path = ObjectStoragePath(report_path)
            path = path.with_name(path.stem + _mark_of_try(context["ti"]) + path.suffix)
            fields = {"base_url": base_url, "conn_id": self._ollang_conn_id}
            report = open_report(path, {**self._marker(), **fields})
        except FileExistsError as error:
            raise InvalidInputError(
                f"report_path: {error.filename or path} exists, and a report is never "
                f"overwritten; nothing was cancelled. {_hint_for_name(report_path, context)}"
            ) from error
        except Exception as error:  # each file system has its own
            raise InvalidInputError(
                f"report_path: can't write {report_path!r:.300}; nothing was cancelled. "
                f"{type(error).__name__}: {one_line(error)}"
            ) from error
        self.log.info("The report is written to %s.", path)
        return report

    def _marker(self) -> dict[str, Any]:
        """Return what each result of a preview says of itself."""
        return {"preview": True} if self._preview else {}

    def _run(self, batch: Batch, context: Context) -> BatchResult:
        try:
            batch.run()
        except BaseException:
            try:
                self._publish(context, batch.result)
            except Exception:  # the interruption is the news
                self.log.exception("The counts could not be pushed to XCom")
            raise
        self._publish(context, batch.result)
        return batch.result

    def _publish(self, context: Context, result: BatchResult) -> None:
        from airflow_provider_ollang.operators import metrics

        if not result.preview:
            metrics.send(result.of_this_try, context["ti"])
        self.log.info("%s: %s.", "Stopped early" if result.ended_early else "Done", result)
        for note in self._notes(result, context["ti"].try_number):
            self.log.info(note)
        rows = [self._marker() | order.to_json() for order in result.not_cancelled]
        self._push(context, "counts", result.to_json())
        self._push(context, "cancelled", result.cancelled)
        self._push(context, "not_cancelled", rows)

    def _notes(self, result: BatchResult, try_number: int) -> Iterator[str]:
        """Yield what the counts do not tell."""
        if result.preview:
            yield "This was a preview: no cancel request was sent."
        if result.own_doing:
            yield (
                f"Of the orders already cancelled, {result.own_doing} were most likely cancelled "
                "by this task: the response to an earlier request was lost."
            )
        if result.by_earlier_tries:
            yield f"Earlier tries of this task cancelled {result.by_earlier_tries} of the orders."
        elif try_number > 1 and not self._earlier_tries.are_known:
            yield (
                f"These counts are of try {try_number} alone: what an earlier try cancelled is "
                "already_cancelled in them."
            )

    def _conclude(self, result: BatchResult, *, is_retried: bool) -> dict[str, int]:
        """Return the counts, or raise what they mean for the task."""
        counts = result.to_json()
        if result.failures:
            text = _failure_text(result)
            if result.retry_may_help:
                raise exception_to_retry(text, result.retry_after)
            raise AirflowFailException(text)
        # Otherwise it was most likely this very task, and what depends on it must run.
        may_be_own = result.own_doing or is_retried or result.preview
        if counts.get("already_cancelled") == result.total and not may_be_own:
            self._skip(f"Nothing left to do: all {result.total} orders are already cancelled.")
        return counts


def _reason_to_skip(error: ApiError | ConditionNotMetError) -> str:
    from airflow_provider_ollang.cleanup.result import OrderResult

    is_own_doing = OrderResult.from_error("", error).was_own_doing
    note = f" Note: {LOST_RESPONSE_NOTE}." if is_own_doing else ""
    return f"Nothing to cancel: {error}.{note}"


def _failure_text(result: BatchResult) -> str:
    sentences = [f"{result.failures} orders failed: {result}."]
    if result.ended_early:
        left = result.to_json().get("not_tried", 0)
        sentences.append(f"Stopped early, {left} orders were not tried: {result.ended_early}.")
    if first := result.first_failure:
        sentences.append(with_hint(f"First: {first.id}: {first.message}", first.hint))
    return " ".join([*sentences, "All of them: XCom 'not_cancelled'."])


def _refuse_backfill(context: Context) -> None:
    """Fail in a backfill: its runs lie in the past, and each would clean up the present."""
    dag_run: Any = context["dag_run"]
    run_id = str(getattr(dag_run, "run_id", ""))
    if getattr(dag_run, "run_type", None) == "backfill" or run_id.startswith("backfill__"):
        raise AirflowFailException(
            "This is a backfill run, and a clean-up has no past to fill in: each of its runs would "
            "look for stale orders of today, and count its own safety limits. Trigger a normal run."
        )


def _hint_for_name(path: str, context: Context) -> str:
    """Return what keeps a report's name apart from those of other runs and tasks."""
    if str(context.get("run_id")) not in path:
        return "Add {{ run_id }} to the path, so that each run has a report of its own."
    if context["ti"].task_id not in path:
        return "Add {{ ti.task_id }} to the path, so that each task has a report of its own."
    return "Move that file away, or give another path."


def _time_of_run(context: Context) -> datetime:
    """Return the run's own time, the same for every try of its tasks."""
    run_after = getattr(context["dag_run"], "run_after", None)
    # Airflow 2 has no run_after.
    return cast("datetime", run_after or context["data_interval_end"])


def _mark_of_try(ti: Any) -> str:
    """Return what keeps the reports of mapped tasks and of retries apart."""
    mapped = f".map{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    retried = f".try{ti.try_number}" if ti.try_number > 1 else ""
    return mapped + retried
