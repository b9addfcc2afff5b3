"""The operator that creates orders: one request, whatever is lost, retried or cleared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_ollang.operators.ollang import CreateOrderOperator
from airflow_provider_ollang.sandbox import Sandbox, Stub
from airflow_provider_ollang.sandbox._model import PROJECT_IDS
from tests.faults import KINDS

from .conftest import State

CREATE = "/integration/orders/create"
PROJECT = PROJECT_IDS[0]


@pytest.fixture(params=[True, False], ids=["with-store", "without-store"])
def retry(request: pytest.FixtureRequest, make_run: Any, make_ti: Any) -> Callable[..., Any]:
    """Return a function that runs one more try of the same task."""
    state = State() if request.param else None
    started = datetime.now(UTC) - timedelta(minutes=1)
    tries = iter(range(1, 100))

    def run_try(**parameters: Any) -> Any:
        run = make_run(time=started, ti=make_ti(try_number=next(tries)), state=state)
        return run.execute(create(**parameters))

    return run_try


def create(**parameters: Any) -> CreateOrderOperator:
    wanted = {"project_id": PROJECT, "order_type": "subtitle", "target_languages": ["fr", "de"]}
    return CreateOrderOperator(task_id="create", **{**wanted, **parameters})


def sent(sandbox: Sandbox) -> int:
    return sum(request.path == CREATE for request in sandbox.requests)


def test_it_returns_the_ids_of_all_orders(sandbox, retry):
    created = retry(target_languages=["fr", {"language": "de", "isRush": True}], level=1)
    assert sorted(created) == sorted(order["id"] for order in sandbox.orders)
    assert sorted(order["type"] for order in sandbox.orders) == ["cc", "subtitle", "subtitle"]


@pytest.mark.parametrize("kind", ["reset-after", "truncated", "malformed", "empty"])
def test_orders_whose_response_was_lost_are_adopted(sandbox, retry, kind):
    sandbox.respond_next(Stub(fault=KINDS[kind]), path=CREATE)
    assert sorted(retry()) == sorted(order["id"] for order in sandbox.orders)
    assert sent(sandbox) == 1


def test_what_is_kept_never_expires_as_a_clear_would_then_pay_twice(sandbox, make_run):
    run = make_run(state=State())
    run.execute(create())
    assert run.state.retention == timedelta.max


def test_if_lost_orders_cannot_be_looked_for_it_says_that_they_may_exist(sandbox, run):
    sandbox.respond_next(Stub(fault="reset-after"), path=CREATE)
    sandbox.respond_next(Stub(), Stub(401), method="GET", path="/integration/orders")
    with pytest.raises(AirflowFailException, match="orders may have been created"):
        run.execute(create())


def test_a_kept_order_that_is_gone_is_not_created_again(sandbox, make_run, make_ti):
    state = State()
    make_run(state=state).execute(create())
    sandbox.orders.clear()
    with pytest.raises(AirflowFailException, match="nothing was created now"):
        make_run(state=state, ti=make_ti(try_number=2)).execute(create())
    assert sent(sandbox) == 1


@pytest.mark.parametrize("kind", ["reset-before", "500", "html"])
def test_if_none_is_found_nothing_is_sent_again_before_a_person_has_looked(sandbox, retry, kind):
    sandbox.respond_next(Stub(fault=KINDS[kind]), path=CREATE)
    with pytest.raises(AirflowFailException, match=r"no new order of project .* Check in Ollang"):
        retry()
    assert sent(sandbox) == 1
    assert len(retry()) == 3, "the person has cleared the task"
    assert sent(sandbox) == 2


def test_orders_that_are_not_exactly_those_fail_the_task_until_a_person_has_tidied_up(
    sandbox, retry
):
    sandbox.respond_next(Stub(fault=KINDS["reset-after"]), path=CREATE)
    sandbox.respond_next(Stub(), method="GET")
    sandbox.respond_always(Stub(fault=KINDS["500"]), method="GET")
    with pytest.raises(AirflowException):
        retry()
    sandbox.respond_normally()
    fields = {"projectId": PROJECT, "type": "subtitle", "targetLanguage": "fr"}
    another = sandbox.orders.add(age=timedelta(), **fields)["id"]
    for _ in range(2):
        with pytest.raises(AirflowFailException, match=f"(?s){another}.*clear the task"):
            retry()
    sandbox.orders.change(another, status="cancelled")
    assert len(retry()) == 3
    assert sent(sandbox) == 1


def test_a_try_that_sent_nothing_leaves_the_next_one_to_create(sandbox, retry):
    sandbox.respond_next(Stub(fault=KINDS["429-hour"]), path=CREATE)
    with pytest.raises(AirflowException):
        retry()
    assert len(retry()) == 3


def test_a_retry_after_a_success_adopts_the_orders(sandbox, retry):
    first = retry()
    assert sorted(retry()) == sorted(first)
    assert sent(sandbox) == 1


def test_a_retry_of_a_run_that_was_triggered_on_airflow_2_adopts_no_earlier_runs_orders(
    sandbox, make_run, make_ti
):
    earlier = make_run().execute(create())
    triggered = datetime.now(UTC) + timedelta(seconds=1)
    times = {"data_interval_end": triggered - timedelta(hours=9), "logical_date": triggered}
    operator = create()
    context = make_run(ti=make_ti(try_number=2), task=operator).context
    created = operator.execute({**context, **times, "dag_run": SimpleNamespace(conf=None)})
    assert not set(created) & set(earlier)


def test_orders_that_are_all_cancelled_are_created_anew(sandbox, retry):
    first = retry()
    for order_id in first:
        sandbox.orders.cancel(order_id)
    assert not set(retry()) & set(first)


def test_of_orders_some_of_which_are_cancelled_none_is_adopted_nor_paid_for_again(sandbox, retry):
    sandbox.orders.cancel(retry()[1])
    with pytest.raises(AirflowFailException, match=r"are cancelled|asked for"):
        retry()
    assert sent(sandbox) == 1


def test_another_request_than_before_creates_its_own_orders(sandbox, retry):
    first = retry(order_type="document")
    assert not set(retry(order_type="cc")) & set(first)


def test_another_dubbing_style_than_before_creates_its_own_orders(sandbox, make_run):
    run = make_run(state=State())
    styles = ("overdub", "lipsync")
    dubbings = [create(order_type="aiDubbing", dubbing_style=style) for style in styles]
    first, second = map(run.execute, dubbings)
    assert not set(first) & set(second)


def test_templates_inside_the_apis_objects_are_rendered(sandbox, make_run):
    languages = [{"language": "{{ params.language }}", "isRush": "{{ params.is_rush }}"}]
    operator = create(order_type="cc", target_languages=languages)
    assert make_run(params={"language": "pt-BR", "is_rush": True}).execute(operator)
    assert [order["targetLanguage"] for order in sandbox.orders] == ["pt-BR"]
    operator = create(target_languages=[{"language": "pt-{{ params.region }}"}])
    with pytest.raises(AirflowFailException, match="has no value"):
        make_run(params={"region": None}).execute(operator)


def test_an_unknown_project_fails_without_retries(sandbox, retry):
    with pytest.raises(AirflowFailException, match="project nowhere"):
        retry(project_id="nowhere")
