"""A long wait that the API asks for: carried by the task's error, respected by Airflow 3.3."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import airflow
import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
)
from packaging.version import Version

from airflow_provider_ollang.api.errors import RateLimitedError
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.operators.retry import RetryAfterException, RetryAfterPolicy
from airflow_provider_ollang.sandbox import Stub

HOUR = 3600.0
OPERATORS = [
    (CancelOrderOperator, {"order_id": "o-1"}),
    (BatchCancelOrdersOperator, {"order_ids": ["o-1", "o-2"], "max_workers": 1}),
    (FindStaleOrdersOperator, {"older_than": "P7D"}),
]

needs_retry_policies = pytest.mark.skipif(
    Version(airflow.__version__) < Version("3.3"),
    reason="retry policies are new in Airflow 3.3",
)


def test_the_wait_is_kept_on_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(RetryAfterException("busy", HOUR)))  # noqa: S301 - its own
    assert (str(error), error.retry_after) == ("busy", HOUR)


@pytest.mark.parametrize(("operator", "arguments"), OPERATORS)
def test_a_long_wait_ends_the_task_at_once_and_its_error_carries_it(
    operator, arguments, sandbox, run
):
    sandbox.respond_always(Stub(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(RetryAfterException, match="the API asks to wait 3600 s") as error:
        run.execute(operator(task_id="t", **arguments))
    assert error.value.retry_after == HOUR
    assert not isinstance(error.value, AirflowFailException)
    assert len(sandbox.requests) == 1


def test_a_final_error_is_never_tried_again_whatever_wait_it_names(sandbox, run):
    sandbox.respond_always(Stub(status=401, headers={"Retry-After": "3600"}))
    with pytest.raises(AirflowFailException):
        run.execute(CancelOrderOperator(task_id="t", order_id="o-1"))


def test_a_wait_that_the_client_sits_out_says_nothing_about_the_task(sandbox, run):
    sandbox.respond_always(Stub(status=429, headers={"Retry-After": "60"}))
    with pytest.raises(AirflowException) as error:
        run.execute(CancelOrderOperator(task_id="t", order_id="o-1"))
    assert type(error.value) is AirflowException
    assert len(sandbox.requests) == 4


@needs_retry_policies
def test_every_operator_has_the_policy_by_default_a_mapped_task_too():
    with DAG("d", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None):
        mapped = CancelOrderOperator.partial(task_id="t").expand(order_id=["o-1"])
    tasks = [operator(task_id="t", **arguments) for operator, arguments in OPERATORS]
    for task in [*tasks, mapped.unmap({"order_id": "o-1"})]:
        assert isinstance(task.retry_policy, RetryAfterPolicy)


@needs_retry_policies
def test_another_policy_wins_over_it():
    from airflow.sdk import ExceptionRetryPolicy

    other = ExceptionRetryPolicy(rules=[])
    one = CancelOrderOperator(task_id="t", order_id="o-1", retry_policy=other)
    defaults = CancelOrderOperator(
        task_id="t", order_id="o-1", default_args={"retry_policy": other}
    )
    assert one.retry_policy is defaults.retry_policy is other


@needs_retry_policies
@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (RetryAfterException("busy", 61), ("retry", timedelta(seconds=61))),
        (RetryAfterException("busy", HOUR), ("retry", timedelta(hours=1))),
        (RetryAfterException("busy", 10.0**12), ("retry", timedelta(days=1))),
        (RateLimitedError("busy", retry_after=90), ("retry", timedelta(seconds=90))),
        (RateLimitedError("busy", retry_after=0), ("default", None)),
        (RateLimitedError("busy"), ("default", None)),
        (AirflowException("no response"), ("default", None)),
    ],
)
def test_the_task_is_tried_again_at_the_time_the_api_named_or_after_its_own_delay(error, decision):
    decided = RetryAfterPolicy().evaluate(error, try_number=1, max_tries=2)
    assert (decided.action.value, decided.retry_delay) == decision
