"""The operators: find stale orders, cancel many, cancel one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api.errors import (
    LOST_RESPONSE_NOTE,
    ApiError,
    ConditionNotMetError,
    InvalidInputError,
    with_hint,
)
from airflow_provider_ollang.api.models import quoted
from airflow_provider_ollang.api.rate_limiter import RateLimiter
from airflow_provider_ollang.cleanup.conditions import Conditions
from airflow_provider_ollang.cleanup.stale import (
    Finding,
    StaleOrder,
    StaleRule,
    exceeded_safety_limit,
    find_stale_orders,
    select,
)
from airflow_provider_ollang.cleanup.summary import SHOWN_ORDERS, summarize
from airflow_provider_ollang.operators._base import (
    OllangBaseOperator,
    OptionalParameter,
    Parameter,
)
from airflow_provider_ollang.operators._dag_run import (
    producers_of,
    refuse_backfill,
    refuse_old_list,
    refuse_unapproved_list,
    time_of_run,
)
from airflow_provider_ollang.operators._preview import (
    CANCELLED,
    EarlierTries,
    push_preview_params,
    refuse_preview,
)
from airflow_provider_ollang.operators.create import CreateOrderOperator
from airflow_provider_ollang.operators.retry import exception_to_retry

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.cleanup.batch import Batch
    from airflow_provider_ollang.cleanup.result import BatchResult

__all__ = [
    "BatchCancelOrdersOperator",
    "CancelOrderOperator",
    "CreateOrderOperator",
    "FindStaleOrdersOperator",
]

#: The scheduler's and the worker's clocks may differ by this much.
CLOCK_TOLERANCE = timedelta(minutes=1)
#: The orders kept in XCom, oldest first: all of them would grow Airflow's database every night.
KEPT_ORDERS = 1000
#: Each worker is a thread, and a connection.
MAX_WORKERS = 128

# What to do where a template rendered to nothing.
ANY_HINT = "Give ['*'] for any."
NONE_HINT = "Give [] for none."
NO_LIST_HINT = (
    "There is no list: did somebody mark the task that returns it as success, or rename it? An "
    "approval returns a list only after a person's response in the UI."
)


class CancelOrderOperator(OllangBaseOperator):
    """Cancel one order, which cannot be undone. Returns its id.

    Skips the task if the order is already cancelled. Any other error that the API documents fails
    it without retries. After transient errors (429, 5xx, no response), and responses that the API
    does not document, Airflow's ``retries`` apply.

    As a teardown, it cancels what a failed pipeline has ordered, and is also skipped for an order
    that can no longer be cancelled. ``CreateOrderOperator`` returns a list, so it is mapped:

        CancelOrderOperator.partial(task_id="cancel").expand(
            order_id=create.output
        ).as_teardown(setups=create)

    :param order_id: the order
    :param skip_on_codes: error codes that skip the task instead of failing it
    :param require_status: read the order first, and skip the task without a cancel request if its
        status is not one of these
    :param ollang_conn_id: the connection
    """

    _order_id = Parameter(parameters.order_id)
    _skip_on_codes = Parameter(parameters.codes)
    _require_status = OptionalParameter(parameters.statuses)

    ui_color = "#f4d6cc"

    def __init__(
        self,
        *,
        order_id: str | XComArg,
        skip_on_codes: Collection[str] = ("ORDER_ALREADY_CANCELLED",),
        require_status: Collection[str] | None = None,
        ollang_conn_id: str = "ollang_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_id = order_id
        self.producers = producers_of(order_id)
        self.skip_on_codes = skip_on_codes
        self.require_status = require_status
        self.ollang_conn_id = ollang_conn_id
        self._check_parameters()

    def execute(self, context: Context) -> str:
        """Cancel the order.

        :return: the order id
        :raises AirflowSkipException: it is already cancelled, or has another status by now
        :raises AirflowFailException: it cannot be cancelled, and trying again cannot help
        :raises AirflowException: it may or may not be cancelled now; trying again may help
        """
        with self._airflow_exceptions():
            self._take_parameters()
            refuse_preview(context)
            self._refuse_ignored_settings(context)
            refuse_unapproved_list(context)
            with self._client() as client:
                where = (client.base_url, self._ollang_conn_id)
                self.log.info("Cancelling order %s at %s (connection %r).", self._order_id, *where)
                self._cancel(client)
        return self._order_id

    def _cancel(self, client: OllangClient) -> None:
        check = Conditions(self._require_status).check if self._require_status else None
        try:
            receipt = client.cancel_order(self._order_id, check=check)
        except (ConditionNotMetError, ApiError) as error:
            if not self._is_skipped(error):
                raise
            likely_ours = error.outcome == "already_cancelled" and error.response_lost
            note = f" Note: {LOST_RESPONSE_NOTE}." if likely_ours else ""
            self._skip(f"Nothing to cancel: {error}.{note}")
        self.log.info("Order %s is cancelled (attempts: %d).", self._order_id, receipt.attempts)

    def _is_skipped(self, error: ConditionNotMetError | ApiError) -> bool:
        if isinstance(error, ConditionNotMetError):
            return error.outcome != "invalid"
        is_finished = self.is_teardown and error.meaning == "ORDER_NOT_CANCELLABLE"
        return is_finished or error.meaning in self._skip_on_codes


class FindStaleOrdersOperator(OllangBaseOperator):
    """List stale orders. Returns their ids, oldest first.

    Pushes to XCom: ``orders`` (the oldest 1,000 as objects with id, name, type, status, createdAt,
    projectId, age in days, sourceLanguage and targetLanguage) and ``summary`` (a Markdown table of
    them, made for a person's approval). If a safety limit is exceeded, the objects are in
    ``orders_found`` instead, so that no task that takes ``orders`` goes on. An order whose date,
    status or id cannot be understood is invalid, and never stale. Fails in a backfill run, and if
    most of at least ten listed orders are invalid.

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
    :param name_matches: a regular expression that is found in the order's name as a person reads
        it: any white space is a space, invisible characters are ignored, and composed and
        decomposed letters are equal
    :param exclude_name_matches: skip orders if this regular expression is found in their name, in
        any of its Unicode forms. Case-sensitive: ``(?i)keep`` also skips KEEP
    :param exclude_order_ids: never these, in upper or lower case; six characters of an id do
    :param limit: return up to this many. Each run selects different orders, by its
        ``reference_time``, and each try of a run the same ones: orders that the API, or a person,
        rejects every time do not keep the rest from being reached
    :param max_orders: more stale orders than this fail the task, without retries; 0 allows none.
        It is counted before ``limit``
    :param max_share: fail the task, without retries, if stale orders are a larger share than this
        of all orders that have one of ``statuses``, of any age; 0 to 1. All of those are listed
    :param reference_time: the time that ages are counted to; the run's own time if left out, so
        that a retry finds the same orders
    :param chunk_size: return lists of up to this many ids, to map a batch over
    :param ollang_conn_id: the connection
    """

    _older_than = Parameter(parameters.duration)
    _statuses = Parameter(parameters.statuses)
    _order_types = OptionalParameter(parameters.order_types, ANY_HINT)
    _project_ids = OptionalParameter(parameters.names_or_any, ANY_HINT)
    _folder_ids = OptionalParameter(parameters.names_or_any, ANY_HINT)
    _exclude_folder_ids = OptionalParameter(parameters.excluded_ids, NONE_HINT)
    _name_matches = OptionalParameter(parameters.selection)
    _exclude_name_matches = OptionalParameter(parameters.pattern)
    _exclude_order_ids = OptionalParameter(parameters.order_ids, NONE_HINT)
    _limit = OptionalParameter(parameters.whole_number(0))
    _max_orders = OptionalParameter(parameters.whole_number(0))
    _max_share = OptionalParameter(parameters.share)
    _reference_time = OptionalParameter(parameters.moment)
    _chunk_size = OptionalParameter(parameters.whole_number(1))

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
        ollang_conn_id: str = "ollang_default",
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
        refuse_backfill(context)
        self._refuse_ignored_settings(context)
        push_preview_params(context)
        with self._airflow_exceptions():
            self._take_parameters()
            rule = self._rule(context)
            self.log.info("Looking for orders created up to %s.", rule.cut_off.isoformat())
            with self._client() as client:
                of_any_age = self._max_share is not None
                finding = find_stale_orders(client, rule, of_any_age=of_any_age)
        if failure := self._failure(finding):
            # Not as "orders": a task that takes those would run if this one is marked as success.
            self._publish(context, finding, finding.orders, key="orders_found")
            raise AirflowFailException(failure)
        selected = select(finding.orders, self._limit, rule.reference_time)
        self._publish(context, finding, selected)
        ids, size = [order.id for order in selected], self._chunk_size
        if size is None:
            return ids
        return [ids[start : start + size] for start in range(0, len(ids), size)]

    def _rule(self, context: Context) -> StaleRule:
        reference_time = self._reference_time or time_of_run(context)
        _refuse_future("reference_time", reference_time)
        return StaleRule(
            reference_time=reference_time,
            older_than=self._older_than,
            statuses=self._statuses,
            order_types=self._order_types,
            project_ids=self._project_ids,
            folder_ids=self._folder_ids,
            exclude_folder_ids=self._exclude_folder_ids or (),
            name_matches=self._name_matches,
            exclude_name_matches=self._exclude_name_matches,
            exclude_order_ids=self._exclude_order_ids or (),
        )

    def _failure(self, finding: Finding) -> str | None:
        """Return why nothing may be cancelled, if that is so."""
        if finding.failure:
            return (
                f"Nothing was cancelled: {finding.failure}. The API may have changed. The warnings "
                "in the log say what is wrong with each."
            )
        exceeded = exceeded_safety_limit(
            len(finding.orders),
            with_status=finding.with_status,
            max_orders=self._max_orders,
            max_share=self._max_share,
        )
        if exceeded is None:
            return None
        return (
            f"Safety limit hit, nothing was cancelled: {exceeded}. Review XCom 'orders_found', "
            "then narrow the filters, or raise the limit if this is expected."
        )

    def _publish(
        self, context: Context, finding: Finding, orders: list[StaleOrder], key: str = "orders"
    ) -> None:
        left_out, invalid = len(finding.orders) - len(orders), len(finding.invalid)
        self._log_details(finding, orders)
        later = f" ({left_out} of them left for later runs)" if left_out else ""
        counts = (finding.examined, len(finding.orders), later, finding.excluded, invalid)
        self.log.info("Checked %d orders: %d stale%s, %d excluded, %d invalid.", *counts)
        self._push(context, key, [order._asdict() for order in orders[:KEPT_ORDERS]])
        self._push(context, "summary", summarize(orders, left_out=left_out, invalid=invalid))

    def _log_details(self, finding: Finding, orders: list[StaleOrder]) -> None:
        for name, ids in finding.unmatched_ids.items():
            if ids:
                self.log.warning(
                    "%s: none of the orders read has %s. Check the spelling. Younger "
                    "orders, or orders with another status, may still have it.",
                    name,
                    ", ".join(map(quoted, list(ids.values())[:SHOWN_ORDERS])),
                )
        for invalid in finding.invalid[:SHOWN_ORDERS]:
            self.log.warning("Skipped as invalid: %s", invalid)
        for order_id in finding.not_found[:SHOWN_ORDERS]:
            self.log.warning("Skipped, no longer found: order %s", order_id)
        for order in orders[:SHOWN_ORDERS]:
            kind, name = quoted(order.type), quoted(order.name)
            self.log.info("Stale: %s, %s days, %s, %s", order.id, order.age, name, kind)


class BatchCancelOrdersOperator(OllangBaseOperator):
    """Cancel many orders in one task, which cannot be undone. Returns how many had which outcome.

    Pushes to XCom, also when it fails: ``counts`` (orders by outcome), ``cancelled`` (the ids of
    the first 1,000 cancelled orders) and ``not_cancelled`` (the first 1,000 other results). On
    Airflow 3.3 and newer these include what earlier tries cancelled. Skips the task if the list is
    empty, or if somebody else had cancelled every order. Tries every order, then fails if any of
    them failed with a code not in ``tolerated_codes``; ends early if the API rejects the key or
    stops responding.

    :param order_ids: the orders, processed in this order; duplicates are dropped
    :param max_workers: up to this many requests at the same time, 128 at most
    :param requests_per_second: up to this many requests started in a second, by all workers
        together
    :param max_orders: a longer list fails before the first cancel request; 0 allows none
    :param require_status: read each order right before its cancel request, and skip it if its
        status is not one of these
    :param exclude_order_ids: skip these, in upper or lower case: a list of orders to keep may have
        grown since these were found
    :param name_matches: skip it unless this regular expression is found in its name, as that read
        shows it
    :param exclude_name_matches: skip it if this regular expression is found there. Case-sensitive:
        ``(?i)keep`` also skips KEEP
    :param folder_ids: skip it unless it is in one of these folders; ``["*"]`` means any
    :param exclude_folder_ids: skip it if it is in one of these folders, in upper or lower case
    :param created_before: skip it if it was created after this time: a datetime with a zone, or
        ISO 8601 text
    :param tolerated_codes: error codes that do not fail the task
    :param preview: send no cancel request, and say for each order what would happen
    :param report_path: where to write the report, which has all results as JSON Lines: an absolute
        path or a URL that Airflow's ``ObjectStoragePath`` takes. A mapped task adds ``.map`` and
        its index to the name, a retry ``.try`` and its number; an existing file is never
        overwritten
    :param ollang_conn_id: the connection
    """

    _order_ids = Parameter(parameters.order_ids, NO_LIST_HINT)
    _max_workers = Parameter(parameters.whole_number(1, MAX_WORKERS))
    _requests_per_second = OptionalParameter(parameters.rate)
    _max_orders = Parameter(parameters.whole_number(0))
    _require_status = OptionalParameter(parameters.statuses)
    _exclude_order_ids = OptionalParameter(parameters.order_ids, NONE_HINT)
    _name_matches = OptionalParameter(parameters.selection)
    _exclude_name_matches = OptionalParameter(parameters.pattern)
    _folder_ids = OptionalParameter(parameters.names_or_any, ANY_HINT)
    _exclude_folder_ids = OptionalParameter(parameters.excluded_ids)
    _created_before = OptionalParameter(parameters.moment)
    _tolerated_codes = Parameter(parameters.codes)
    _preview = Parameter(parameters.flag)
    _report_path = OptionalParameter(parameters.report_path)

    ui_color = "#f4d6cc"

    _batch: Batch | None = None

    def __init__(
        self,
        *,
        order_ids: Collection[str] | XComArg,
        max_workers: int | str = 8,
        requests_per_second: float | str | None = None,
        max_orders: int | str = 1000,
        require_status: Collection[str] | None = None,
        exclude_order_ids: Collection[str] | None = None,
        name_matches: str | None = None,
        exclude_name_matches: str | None = None,
        folder_ids: Collection[str] | None = None,
        exclude_folder_ids: Collection[str] | None = None,
        created_before: datetime | str | None = None,
        tolerated_codes: Collection[str] = ("ORDER_ALREADY_CANCELLED", "ORDER_NOT_CANCELLABLE"),
        preview: bool | str = False,
        report_path: str | None = None,
        ollang_conn_id: str = "ollang_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids
        self.producers = producers_of(order_ids)
        self.max_workers = max_workers
        self.requests_per_second = requests_per_second
        self.max_orders = max_orders
        self.require_status = require_status
        self.exclude_order_ids = exclude_order_ids
        self.name_matches = name_matches
        self.exclude_name_matches = exclude_name_matches
        self.folder_ids = folder_ids
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
        :raises AirflowSkipException: the list is empty, or all of it is already cancelled
        :raises AirflowFailException: the list is too long, or trying again cannot help
        :raises AirflowException: trying again may help
        """
        with self._airflow_exceptions():
            self._take_parameters()
            refuse_preview(context, preview=self._preview)
            if not self._preview:
                self._refuse_ignored_settings(context)
            refuse_old_list(context)
            refuse_unapproved_list(context)
            self._earlier_tries = EarlierTries(context)
            self._kept = frozenset(self._earlier_tries.load(CANCELLED) or ())
            self._check_length()
            with self._client(RateLimiter(self._requests_per_second)) as client:
                self._batch = self._make_batch(client, context)
                if self._is_killed:
                    self.on_kill()
                result = self._run(self._batch, context)
        return self._conclude(result, is_retry=context["ti"].try_number > 1)

    def on_kill(self) -> None:
        """Send no further cancel request, wait briefly for those in progress, report the rest."""
        super().on_kill()
        if self._batch:
            self._batch.stop("the task was stopped")

    def _check_length(self) -> None:
        if not self._order_ids:
            self._skip("There are no orders to cancel.")
        if len(self._order_ids) <= self._max_orders:
            return
        too_many = f"order_ids holds {len(self._order_ids)} orders, max_orders={self._max_orders}"
        if not self._preview:
            raise AirflowFailException(
                f"Nothing was cancelled: {too_many}. Check the list, then raise max_orders if this "
                "is expected."
            )
        self.log.warning("Without preview nothing would be cancelled: %s.", too_many)

    def _make_batch(self, client: OllangClient, context: Context) -> Batch:
        from airflow_provider_ollang.cleanup.batch import Batch
        from airflow_provider_ollang.operators._report import open_task_report

        if self._created_before:
            _refuse_future("created_before", self._created_before)
        what = "Previewing" if self._preview else "Cancelling"
        where = (client.base_url, self._ollang_conn_id)
        self.log.info("%s %d orders at %s (connection %r).", what, len(self._order_ids), *where)
        report = None
        if self._report_path is not None:
            fields = self._marker() | {"base_url": where[0], "conn_id": where[1]}
            report = open_task_report(self._report_path, fields, context)
        return Batch(
            client,
            self._order_ids,
            max_workers=self._max_workers,
            conditions=Conditions(
                statuses=self._require_status,
                exclude_order_ids=self._exclude_order_ids or (),
                name_matches=self._name_matches,
                exclude_name_matches=self._exclude_name_matches,
                folder_ids=self._folder_ids,
                exclude_folder_ids=self._exclude_folder_ids or None,
                created_before=self._created_before,
            ),
            preview=self._preview,
            tolerated_codes=self._tolerated_codes,
            report=report,
            cancelled_earlier=self._kept,
            on_progress=self._save_cancelled,
        )

    def _save_cancelled(self, result: BatchResult) -> None:
        """Keep for later tries what this one has cancelled, the first 1,000 orders."""
        if not self._kept.issuperset(result.cancelled):
            self._kept |= set(result.cancelled)
            self._earlier_tries.save(CANCELLED, sorted(self._kept))

    def _marker(self) -> dict[str, Any]:
        """Return what marks each result of a preview."""
        return {"preview": True} if self._preview else {}

    def _run(self, batch: Batch, context: Context) -> BatchResult:
        try:
            batch.run()
        except BaseException:
            try:
                self._publish(context, batch.result)
            except Exception:  # the interruption must not be hidden
                self.log.exception("The counts could not be pushed to XCom")
            raise
        self._publish(context, batch.result)
        return batch.result

    def _publish(self, context: Context, result: BatchResult) -> None:
        from airflow_provider_ollang.operators._report import send_metrics

        self.log.info("%s: %s.", "Stopped early" if result.stop_reason else "Done", result)
        for note in self._notes(result, context["ti"].try_number):
            self.log.info(note)
        rows = [self._marker() | order.to_json() for order in result.not_cancelled]
        self._push(context, "counts", result.to_json())
        self._push(context, "cancelled", result.cancelled)
        self._push(context, "not_cancelled", rows)
        if not result.preview:
            send_metrics(result.of_this_try, context["ti"])

    def _notes(self, result: BatchResult, try_number: int) -> Iterator[str]:
        if result.preview:
            yield "This was a preview: no cancel request was sent."
        if result.likely_ours:
            yield (
                f"Of the orders already cancelled, {result.likely_ours} were most likely cancelled "
                "by this task: the response to an earlier request was lost."
            )
        if result.by_earlier_tries:
            yield f"Earlier tries of this task cancelled {result.by_earlier_tries} of the orders."
        elif try_number > 1 and not self._earlier_tries.are_known:
            yield (
                f"These counts are for try {try_number} only: orders that an earlier try cancelled "
                "count as already_cancelled."
            )

    def _conclude(self, result: BatchResult, *, is_retry: bool) -> dict[str, int]:
        """Return the counts, or raise what they mean for the task."""
        counts = result.to_json()
        if result.failures:
            text = _failure_text(result)
            if result.retry_may_help:
                raise exception_to_retry(text, result.retry_after)
            raise AirflowFailException(text)
        # Where this task may have cancelled them itself, what depends on it must run.
        may_be_ours = result.likely_ours or is_retry or result.preview
        if counts.get("already_cancelled") == result.total and not may_be_ours:
            self._skip(f"Nothing left to do: all {result.total} orders are already cancelled.")
        return counts


def _failure_text(result: BatchResult) -> str:
    sentences = [f"{result.failures} of {result.total} orders failed: {result}."]
    if result.stop_reason:
        left = result.to_json().get("not_tried", 0)
        sentences.append(f"Stopped early, {left} orders were not tried: {result.stop_reason}.")
    if first := result.first_failure:
        sentences.append(with_hint(f"First: {first.id}: {first.message}", first.hint))
    return " ".join([*sentences, "All of them: XCom 'not_cancelled'."])


def _refuse_future(name: str, time: datetime) -> None:
    """Raise if a time lets every order pass for old enough."""
    if time > datetime.now(UTC) + CLOCK_TOLERANCE:
        raise InvalidInputError(
            f"{name}: {time.isoformat()} is in the future: young orders would look old. Use the "
            "current time or an earlier one."
        )
