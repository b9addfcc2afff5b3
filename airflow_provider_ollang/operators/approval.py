"""The operator that asks a person for approval. Airflow 3.1 and newer."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowOptionalProviderFeatureException,
    AirflowSkipException,
)
from packaging.version import Version

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.operators._base import InvalidParameterError
from airflow_provider_ollang.operators._preview import (
    EarlierTries,
    push_preview_params,
    refuse_begun_as_preview,
)

#: An older one asks, but without a timeout for the response.
STANDARD_PROVIDER, OLDEST = "apache-airflow-providers-standard", "1.12.2"

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    if Version(found := version(STANDARD_PROVIDER)) < Version(OLDEST):
        raise ImportError(f"{STANDARD_PROVIDER} {found} is too old")
except (ImportError, AirflowOptionalProviderFeatureException) as error:
    raise AirflowOptionalProviderFeatureException(
        f"ApproveOrdersOperator needs Airflow 3.1 or newer: {error}. Run: pip install "
        f"'{STANDARD_PROVIDER}>={OLDEST}'"
    ) from error

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

#: Airflow keeps the body in a TEXT column; MySQL's holds 65,535 bytes.
MAX_BODY_BYTES = 60_000


class ApproveOrdersOperator(ApprovalOperator):
    """Ask a person whether these orders may be cancelled. Returns exactly the approved ids.

    Only a person's "Approve" returns a list: a task that was marked as success, or that timed out,
    returns nothing, and a batch that takes its ``order_ids`` from this task's output then fails.
    After "Reject", the tasks that follow are skipped. If there are no orders, so is this task,
    without asking. The task has no retries, whatever it inherits: each would ask again.

    :param order_ids: the orders; the body must show each of them
    :param subject: the headline; "Cancel 12 Ollang orders?" if left out
    :param body: what is shown below it, in Markdown: the XCom ``summary`` of
        FindStaleOrdersOperator (``find.output["summary"]``). Only the ids if left out
    :param preview: whether the batch that follows is in preview mode: the subject then says so
    :param kwargs: what ApprovalOperator takes, such as ``response_timeout``, ``assigned_users``,
        ``notifiers`` and ``fail_on_reject``; not ``defaults``, which would approve without a
        person, and not ``params``, a form whose input would be lost
    """

    template_fields = (*ApprovalOperator.template_fields, "order_ids", "preview")

    def __init__(
        self,
        *,
        order_ids: Collection[str] | XComArg,
        subject: str | None = None,
        body: str | XComArg | None = None,
        preview: bool | str = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("defaults") is not None:
            raise InvalidParameterError(
                "defaults: remove it. Airflow would use it as the response after the timeout, and "
                "only a person may approve cancellations."
            )
        super().__init__(subject=subject or "", body=body, **kwargs)
        # Before Airflow can tell them apart, these include the DAG's own params.
        if self.params and hasattr(self.params, "filter_params_by_source"):
            raise InvalidParameterError(
                "params: remove it. Airflow would show a form, and what a person enters there "
                "changes nothing: the approval returns all of order_ids. Leave orders out in the "
                "finder instead."
            )
        self.order_ids = order_ids
        self.preview = preview
        self.retries = 0

    def execute(self, context: Context) -> None:
        """Ask, and wait for the response.

        :raises AirflowSkipException: there are no orders to approve
        :raises AirflowFailException: the body does not show every order, or the run began as a
            preview
        """
        order_ids, preview = self._parameters()
        push_preview_params(context)
        if not preview:  # nobody is asked in vain: the batch would fail
            refuse_begun_as_preview(context, EarlierTries(context), has_mode=True)
        if not order_ids:
            raise AirflowSkipException("There are no orders to approve.")
        noun = "order" if len(order_ids) == 1 else "orders"
        self.subject = self.subject or f"Cancel {len(order_ids)} Ollang {noun}?"
        if preview:
            self.subject = f"Preview, nothing will be cancelled: {self.subject}"
        self.body = self.body or "\n".join(f"- `{order_id}`" for order_id in order_ids)
        self._check_body(order_ids)
        try:
            super().execute(context)
        # TaskDeferred, from Airflow 3.3 on TaskAwaitingInput: its kwargs go to execute_complete.
        except BaseException as pause:
            if hasattr(pause, "method_name"):
                pause.kwargs = {"shown": order_ids}  # type: ignore[attr-defined]
            raise

    def execute_complete(
        self, context: Context, event: dict[str, Any], shown: list[str] | None = None
    ) -> list[str] | None:
        """Return the ids that were shown, if a person has approved them.

        :param event: the response
        :param shown: the ids that the person was asked about
        :raises AirflowFailException: nobody responded in time, or the list has changed
        """
        response = super().execute_complete(context, event)
        if response["chosen_options"] != [self.APPROVE]:
            return None
        person = event.get("responded_by_user")
        if not person or event.get("timedout") or not shown:
            raise AirflowFailException("Nothing was approved: no person has responded.")
        if self._parameters()[0] != shown:
            raise AirflowFailException(
                "Nothing was approved: order_ids has changed since it was shown. Trigger a new run "
                "to ask about the new list."
            )
        self.log.info("%s approved %d orders.", person["name"], len(shown))
        return shown

    def process_trigger_event_error(self, event: dict[str, Any]) -> NoReturn:
        """Fail without retries: each would ask again."""
        raise AirflowFailException(f"Nothing was approved: {event['error']}")

    def _parameters(self) -> tuple[list[str], bool]:
        try:
            order_ids = parameters.order_ids("order_ids", self.order_ids)
            return order_ids, parameters.flag("preview", self.preview)
        except InvalidInputError as error:
            raise AirflowFailException(error.message) from error

    def _check_body(self, order_ids: list[str]) -> None:
        """Raise if the person would be asked about an order that is not shown."""
        body = self.body or ""
        if (size := len(body.encode())) > MAX_BODY_BYTES:
            raise AirflowFailException(
                f"body: got {size} bytes, the limit is {MAX_BODY_BYTES}. Ask about fewer "
                "orders: set limit on FindStaleOrdersOperator."
            )
        ids_in_body = set(re.findall(r"[A-Za-z0-9_-]+", html.unescape(body)))
        hidden = [order_id for order_id in order_ids if order_id not in ids_in_body]
        if hidden:
            raise AirflowFailException(
                f"body: it does not show {len(hidden)} of {len(order_ids)} orders, the first is "
                f"{hidden[0]}. Pass the XCom 'summary' of the task that returns order_ids, and set "
                "limit=100 there: a summary shows up to 100 orders."
            )
