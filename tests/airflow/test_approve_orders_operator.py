"""What ApproveOrdersOperator rejects. The tests under a scheduler respond to it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowOptionalProviderFeatureException,
    AirflowSkipException,
)

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
)

try:
    from airflow_provider_ollang.operators.approval import ApproveOrdersOperator
except AirflowOptionalProviderFeatureException:
    pytest.skip("approvals need Airflow 3.1 or newer", allow_module_level=True)

IDS = ["a_1", "b-2"]
APPROVE = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": datetime.now(UTC)}
ANNA = {"responded_by_user": {"id": "42", "name": "anna"}}


def approval(order_ids: Any = IDS, **options: Any) -> ApproveOrdersOperator:
    return ApproveOrdersOperator(task_id="approve", order_ids=order_ids, **options)


def test_a_default_response_is_refused():
    with pytest.raises(AirflowFailException, match="only a person may approve"):
        approval(defaults="Approve")


def test_a_form_whose_input_would_be_lost_is_refused():
    with DAG("dag", schedule=None, params={"of_the_dag": 1}):
        allowed = approval()
        if not hasattr(allowed.params, "filter_params_by_source"):
            pytest.skip("this Airflow shows the DAG's params too")
    with pytest.raises(AirflowFailException, match="params: remove it"):
        approval(params={"except_these": []})


def test_inherited_retries_do_not_ask_again():
    with DAG("dag", schedule=None, default_args={"retries": 3}):
        assert approval().retries == 0


@pytest.mark.parametrize("is_batch", [True, False])
def test_orders_that_go_around_the_approval_are_refused(is_batch, run, add_orders, sandbox):
    order_ids = add_orders(30)
    with DAG("dag", schedule=None):
        cancel = (
            BatchCancelOrdersOperator(task_id="cancel", order_ids=order_ids)
            if is_batch
            else CancelOrderOperator(task_id="cancel", order_id=order_ids[0])
        )
        approval() >> cancel
    with pytest.raises(AirflowFailException, match="Take them from the output of approve"):
        run.execute(cancel)
    assert sandbox.requests == []


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_task_that_is_mapped_over_orders_cancels_those_that_were_approved(
    is_approved, make_run, make_ti, add_orders
):
    order_ids = add_orders(30)
    with DAG("dag", schedule=None) as dag:
        approve = approval(order_ids)
        approve >> CancelOrderOperator.partial(task_id="cancel").expand(
            order_id=approve.output if is_approved else order_ids
        )
    cancel: Any = dag.get_task("cancel")
    run = make_run(ti=make_ti(map_index=0))
    if is_approved:
        assert run.execute(cancel.unmap({"order_id": order_ids[0]})) == order_ids[0]
    else:
        with pytest.raises(AirflowFailException, match="Take them from the output of approve"):
            run.execute(cancel.unmap({"order_id": order_ids[0]}))


def test_nobody_is_asked_about_no_order(run):
    with pytest.raises(AirflowSkipException, match="no orders to approve"):
        run.execute(approval([]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order_ids": None}, "order_ids: expected a list"),
        ({"order_ids": [["a"], ["b"]]}, "order_ids: expected a list of ids"),
        ({"body": "| a&#95;1 | Trailer |"}, r"does not show 1 of 2 orders, the first is b-2"),
        ({"body": "a_1, b-2x"}, r"does not show 1 of 2 orders"),
        ({"order_ids": [f"{i:0128}" for i in range(500)]}, "body: got 66499 bytes, the limit is"),
    ],
)
def test_nobody_is_asked_what_cannot_be_seen(run, options, said):
    with pytest.raises(AirflowFailException, match=said):
        run.execute(approval(**options))


@pytest.mark.parametrize(
    ("event", "shown", "said"),
    [
        ({"responded_by_user": None}, IDS, "no person has responded"),
        ({**ANNA, "timedout": True}, IDS, "no person has responded"),
        (ANNA, None, "no person has responded"),
        (ANNA, ["a_1"], "has changed since"),
        ({"error": "too late", "error_type": "timeout"}, IDS, "Nothing was approved: too late"),
    ],
)
def test_nothing_else_than_a_persons_response_to_this_list_approves_it(run, event, shown, said):
    with pytest.raises(AirflowFailException, match=said):
        approval().execute_complete(run.context, {**APPROVE, **event}, shown)


def test_a_persons_approval_gives_exactly_the_list(run):
    assert approval().execute_complete(run.context, {**APPROVE, **ANNA}, IDS) == IDS


def test_nobody_is_asked_in_a_cleared_run_whose_batch_would_fail(make_run):
    with pytest.raises(AirflowFailException, match="this run was cleared"):
        make_run(params={"preview": False}, clear_number=1).execute(approval())


def test_it_keeps_for_the_batch_what_the_file_said_of_a_preview_when_it_asked(run):
    with DAG("dag", schedule=None):
        ask = approval(preview=True)
        ask >> BatchCancelOrdersOperator(task_id="cancel", order_ids=IDS, preview=True)
    with suppress(Exception):  # there is no Airflow here to ask in
        run.execute(ask)
    assert run.xcoms["preview_params"] == {"cancel.preview": True}
