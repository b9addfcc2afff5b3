"""The operators: find stale orders, cancel many, cancel one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    ObjectStoragePath,
)

from airflow_provider_ollang.api.answers import one_line
from airflow_provider_ollang.api.errors import (
    LOST_ANSWER_NOTE,
    ApiError,
    InvalidInputError,
    OrderAlreadyCancelledError,
    OrderMovedOnError,
    with_hint,
)
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators import parameters
from airflow_provider_ollang.operators.base import (
    OllangBaseOperator,
    Parsers,
)
from airflow_provider_ollang.operators.create import CreateOrderOperator
from airflow_provider_ollang.operators.retry import exception_to_retry

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.cleanup.batch import Batch
    from airflow_provider_ollang.cleanup.outcome import Report
    from airflow_provider_ollang.cleanup.record import Record
    from airflow_provider_ollang.cleanup.stale import Finding, StaleOrder, StaleRule

__all__ = [
    "BatchCancelOrdersOperator",
    "CancelOrderOperator",
    "CreateOrderOperator",
    "FindStaleOrdersOperator",
]

#: Clocks of scheduler and worker may differ by so much before a time counts as future.
CLOCK_TOLERANCE = timedelta(minutes=1)

ALREADY_CANCELLED = "ORDER_ALREADY_CANCELLED"
NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"


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

    parsers: ClassVar[Parsers] = {
        "order_id": parameters.order_id,
        "skip_on_codes": parameters.codes,
        "require_status": parameters.statuses,
        "ollang_conn_id": parameters.connection_id,
    }
    template_fields = tuple(parsers)
    optional = frozenset({"require_status"})
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
            order_id: str = self._value("order_id")
            with self._client() as client:
                self._cancel(client, order_id, context)
        return order_id

    def _cancel(self, client: OllangClient, order_id: str, context: Context) -> None:
        from airflow_provider_ollang.operators import metrics

        require_status = self._value("require_status")
        try:
            with metrics.of_one_order(context["ti"]):
                receipt = client.cancel_order(order_id, require_status=require_status)
        except OrderMovedOnError as error:
            note = f" Note: {LOST_ANSWER_NOTE}, if it is cancelled." if error.answer_lost else ""
            self._skip(f"{error}.{note}")
        except ApiError as error:
            self._skip_or_raise(error)
        else:
            self.log.info("Order %s is cancelled (attempts: %d).", order_id, receipt.attempts)

    def _skip_or_raise(self, error: ApiError) -> None:
        if error.meaning not in self._value("skip_on_codes"):
            raise error
        self._skip(_reason_to_skip(error))


class FindStaleOrdersOperator(OllangBaseOperator):
    """Find the orders that nobody needs any more. Returns their ids, oldest first.

    Pushes to XCom: ``orders`` (a list of objects with id, name, type, status, createdAt,
    projectId and age, in days) and ``summary`` (a Markdown table of them, made for a person's
    approval). An order whose date, status or id is not understood is never stale.

    :param older_than: the age from which an order is stale, as a timedelta or in ISO 8601 (``P7D``)
    :param statuses: the order has one of these
    :param order_types: the order has one of these
    :param project_ids: the order belongs to one of these
    :param name_matches: a regular expression that is found in the order's name
    :param exclude_name_matches: a regular expression that is not found in the order's name
    :param exclude_order_ids: never these
    :param limit: return so many at most, the oldest; the others are left for the next run
    :param max_orders: more stale orders than this fail the task, without retries; 0 allows none.
        It is counted before ``limit``
    :param max_share: a larger share of all the account's orders fails the task likewise; 0 to 1
    :param reference_time: the time that ages are counted to; the run's own time if left out, so
        that a retry finds the same orders
    :param chunk_size: return lists of so many ids, to map a batch over
    :param ollang_conn_id: the connection
    """

    parsers: ClassVar[Parsers] = {
        "older_than": parameters.duration,
        "statuses": parameters.statuses,
        "order_types": parameters.order_types,
        "project_ids": parameters.names,
        "name_matches": parameters.pattern,
        "exclude_name_matches": parameters.pattern,
        "exclude_order_ids": parameters.order_ids,
        "limit": parameters.allowance,
        "max_orders": parameters.allowance,
        "max_share": parameters.share,
        "reference_time": parameters.moment,
        "chunk_size": parameters.positive_whole_number,
        "ollang_conn_id": parameters.connection_id,
    }
    template_fields = tuple(parsers)
    optional = frozenset(
        {
            "order_types",
            "project_ids",
            "name_matches",
            "exclude_name_matches",
            "exclude_order_ids",
            "limit",
            "max_orders",
            "max_share",
            "reference_time",
            "chunk_size",
        }
    )
    ui_color = "#d6e4f0"

    def __init__(
        self,
        *,
        older_than: timedelta | str,
        statuses: Collection[str] = ("pending",),
        order_types: Collection[str] | None = None,
        project_ids: Collection[str] | None = None,
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
        :raises AirflowFailException: a tripwire was touched, or a parameter is wrong
        :raises AirflowException: the listing could not be read to its end
        """
        from airflow_provider_ollang.cleanup.stale import find_stale_orders

        with self._airflow_exceptions():
            self._take_parameters()
            rule = self._rule(context)
            limit, chunk_size = self._value("limit"), self._value("chunk_size")
            self.log.info("Looking for orders created before %s.", rule.cut_off.isoformat())
            with self._client() as client:
                finding = find_stale_orders(client, rule)
                tripped = self._tripped_wire(client, len(finding.orders))
        if tripped:
            self._publish(context, finding, finding.orders)
            raise AirflowFailException(
                f"Nothing may be cancelled: {tripped}. Look at what was found (log, XCom "
                "'orders'), then correct the rule, or raise the limit if this is meant."
            )
        kept = finding.orders[:limit]
        self._publish(context, finding, kept)
        ids = [order.id for order in kept]
        if chunk_size is None:
            return ids
        return [ids[start : start + chunk_size] for start in range(0, len(ids), chunk_size)]

    def _rule(self, context: Context) -> StaleRule:
        from airflow_provider_ollang.cleanup.stale import StaleRule

        reference_time, older_than = self._reference_time(context), self._value("older_than")
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
            statuses=self._value("statuses"),
            order_types=self._value("order_types"),
            project_ids=self._value("project_ids"),
            name_matches=self._value("name_matches"),
            exclude_name_matches=self._value("exclude_name_matches"),
            exclude_order_ids=frozenset(self._value("exclude_order_ids") or ()),
        )

    def _reference_time(self, context: Context) -> datetime:
        reference_time: datetime = self._value("reference_time") or _time_of_run(context)
        if reference_time > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise InvalidInputError(
                f"reference_time: {reference_time.isoformat()} is in the future: young orders "
                "would look old. Expected the present or a time before it."
            )
        return reference_time

    def _tripped_wire(self, client: OllangClient, stale: int) -> str | None:
        from airflow_provider_ollang.cleanup.stale import count_all_orders, tripped_wire

        max_share = self._value("max_share")
        return tripped_wire(
            stale,
            total=None if max_share is None else count_all_orders(client),
            max_orders=self._value("max_orders"),
            max_share=max_share,
        )

    def _publish(self, context: Context, finding: Finding, orders: list[StaleOrder]) -> None:
        """Put the finding into the log and XCom."""
        from airflow_provider_ollang.cleanup.summary import SHOWN_ORDERS, summarize

        for doubt in finding.doubtful[:SHOWN_ORDERS]:
            self.log.warning("Left alone, in doubt: %s", doubt)
        for order in orders[:SHOWN_ORDERS]:
            self.log.info("Stale: %s, %s, %s days, %r", order.id, order.type, order.age, order.name)
        left_out = len(finding.orders) - len(orders)
        self.log.info(
            "%d orders were listed for this rule: %d stale, %d of them left for the next run, "
            "%d in doubt.",
            finding.examined,
            len(finding.orders),
            left_out,
            len(finding.doubtful),
        )
        summary = summarize(orders, left_out=left_out, doubtful=len(finding.doubtful))
        context["ti"].xcom_push(key="orders", value=[order._asdict() for order in orders])
        context["ti"].xcom_push(key="summary", value=summary)


class BatchCancelOrdersOperator(OllangBaseOperator):
    """Cancel many orders in one task, for good. Returns how many had which outcome.

    Pushes to XCom, also when it fails: ``counts`` (orders by outcome) and ``not_cancelled`` (the
    first 1,000 results that are not ``cancelled``). Skips the task if the list is empty or was
    cancelled before. Fails, after every order was tried, if one met more than tolerated codes.

    :param order_ids: the orders; cancels start in this order, and a double is cancelled once
    :param max_workers: requests under way at most, up to 128
    :param requests_per_second: requests started at most, by all workers together
    :param max_orders: a longer list fails before the first cancel; 0 allows none
    :param require_status: read each order first, and leave it alone if it has none of these
    :param tolerated_codes: refusals that do not fail the task
    :param preview: send no cancel, say for each order what would happen
    :param report_path: the record of all results as JSON Lines: an absolute path or a URL that
        Airflow's ``ObjectStoragePath`` takes. A mapped task adds ``.map`` and its index to the
        name, a retry ``.try`` and its number; a file that is there is never overwritten
    :param ollang_conn_id: the connection
    """

    parsers: ClassVar[Parsers] = {
        "order_ids": parameters.order_ids,
        "max_workers": parameters.workers,
        "requests_per_second": parameters.rate,
        "max_orders": parameters.allowance,
        "require_status": parameters.statuses,
        "tolerated_codes": parameters.codes,
        "preview": parameters.flag,
        "report_path": parameters.report_path,
        "ollang_conn_id": parameters.connection_id,
    }
    template_fields = tuple(parsers)
    optional = frozenset({"requests_per_second", "require_status", "report_path"})
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
        from airflow_provider_ollang.api.pace import Pace

        with self._airflow_exceptions():
            self._take_parameters()
            order_ids = self._order_ids()
            with self._client(Pace(self._value("requests_per_second"))) as client:
                self._batch = self._make_batch(client, order_ids, context)
                if self._told_to_end:
                    self.on_kill()
                report = self._run(self._batch, context)
        return self._conclude(report)

    def on_kill(self) -> None:
        """Start no further cancel; what is under way is waited for briefly, the rest recorded."""
        super().on_kill()
        if self._batch:
            self._batch.stop("the task was told to end")

    def _order_ids(self) -> list[str]:
        order_ids: list[str] = self._value("order_ids")
        max_orders = self._value("max_orders")
        if not order_ids:
            self._skip("There is no order to cancel.")
        if len(order_ids) <= max_orders:
            return order_ids
        too_many = f"order_ids holds {len(order_ids)} orders, max_orders allows {max_orders}"
        if self._value("preview"):
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
            max_workers=self._value("max_workers"),
            require_status=self._value("require_status"),
            preview=self._value("preview"),
            tolerated_codes=self._value("tolerated_codes"),
            record=self._open_record(context),
        )

    def _open_record(self, context: Context) -> Record | None:
        from airflow_provider_ollang.cleanup.record import open_record

        report_path = self._value("report_path")
        if report_path is None:
            return None
        try:
            path = ObjectStoragePath(report_path)
            path = path.with_name(path.stem + _mark_of_try(context["ti"]) + path.suffix)
            record = open_record(path, preview=self._value("preview"))
        except Exception as error:  # each file system has its own
            raise InvalidInputError(
                f"report_path: no record can be written at {report_path!r:.300}, so nothing was "
                f"cancelled: {type(error).__name__}: {one_line(error)}. Give a path that can be "
                "written, with {{ run_id }} in its name, so that each run has a record of its own."
            ) from error
        self.log.info("The record is written to %s.", path)
        return record

    def _run(self, batch: Batch, context: Context) -> Report:
        from airflow_provider_ollang.operators import metrics

        what = "Previewing" if batch.report.preview else "Cancelling"
        self.log.info("%s %d orders.", what, batch.report.total)
        try:
            with metrics.of_a_batch(batch.report, context["ti"]):
                batch.run()
        except BaseException:
            try:
                self._publish(context, batch.report)
            except Exception:  # the interruption is the news
                self.log.exception("The counts could not be pushed to XCom")
            raise
        self._publish(context, batch.report)
        return batch.report

    def _publish(self, context: Context, report: Report) -> None:
        self.log.info(
            "%d of %d orders have an outcome.\n%s", report.done, report.total, report.table()
        )
        rows = [result.to_json(preview=report.preview) for result in report.remarkable]
        context["ti"].xcom_push(key="counts", value=report.to_json())
        context["ti"].xcom_push(key="not_cancelled", value=rows)

    def _conclude(self, report: Report) -> dict[str, int]:
        """Return the counts, or raise what they mean for the task."""
        counts = report.to_json()
        if report.failures:
            text = _failure_text(report)
            if report.retry_may_help:
                raise exception_to_retry(text, report.retry_after)
            raise AirflowFailException(text)
        if counts.get("already_cancelled") == report.total and not report.preview:
            self._skip(
                f"Nothing to cancel: every order was cancelled before ({report.total} in the list)."
            )
        return counts


def _reason_to_skip(error: ApiError) -> str:
    is_own_doing = error.answer_lost and isinstance(error, OrderAlreadyCancelledError)
    note = f" Note: {LOST_ANSWER_NOTE}." if is_own_doing else ""
    return f"Nothing to cancel: {error}.{note}"


def _failure_text(report: Report) -> str:
    counts = report.to_json()
    listed = ", ".join(f"{number} {name}" for name, number in counts.items())
    sentences = [f"{report.failures} of {report.total} orders failed ({listed})."]
    if report.ended_early:
        left = counts.get("not_tried", 0)
        sentences.append(f"Stopped early, {left} orders were not tried: {report.ended_early}.")
    if first := report.first_failure:
        sentences.append(with_hint(f"First: {first.id}: {first.message}", first.hint))
    return " ".join([*sentences, "All of them: XCom 'not_cancelled'."])


def _time_of_run(context: Context) -> datetime:
    """Return the run's own time, the same for every try of its tasks."""
    run_after = getattr(context["dag_run"], "run_after", None)
    # Airflow 2 has no run_after.
    return cast("datetime", run_after or context["data_interval_end"])


def _mark_of_try(ti: Any) -> str:
    """Return what keeps the records of mapped tasks and of retries apart."""
    mapped = f".map{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    retried = f".try{ti.try_number}" if ti.try_number > 1 else ""
    return mapped + retried
