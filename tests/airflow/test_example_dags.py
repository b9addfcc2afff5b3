"""The example DAGs: parsed without a connection, and run to their ends by Airflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.airflow.conftest import COMMAND_SECONDS

EXAMPLES = {
    "example_ollang_cancel_listed_orders",
    "example_ollang_cancel_one_order",
    "example_ollang_cleanup_in_chunks",
    "example_ollang_count_waiting_orders",
    "example_ollang_create_and_wait",
    "example_ollang_create_with_teardown",
    "example_ollang_nightly_cleanup",
    "example_ollang_pending_watchdog",
}
#: They send a POST whatever their preview is.
CREATING = {"example_ollang_create_and_wait", "example_ollang_create_with_teardown"}
#: Waits for a person, so the tests under a scheduler run it. Airflow 3.1 brought approvals.
WITH_APPROVAL = "example_ollang_cleanup_with_approval"
try:
    from airflow_provider_ollang.operators import approval  # noqa: F401
except AirflowOptionalProviderFeatureException:
    HAS_APPROVALS = False
else:
    HAS_APPROVALS = True
NOW = datetime.now(UTC)
RUNNER = os.path.join(os.path.dirname(__file__), "dag_runner.py")


@dataclass
class Ended:
    """A run that has ended."""

    state: str
    tasks: list[tuple[str, int, str]]
    cut_off_base: datetime
    output: str = ""

    def states(self, task_id: str) -> Counter[str]:
        return Counter(state for name, _, state in self.tasks if name == task_id)


@pytest.fixture(scope="session")
def run_dag(airflow: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Return a function that has a process run a DAG: starting Airflow each time takes longest."""
    runners: dict[str, subprocess.Popen[str]] = {}

    def run(folder: str, **order: Any) -> Any:
        if folder not in runners or runners[folder].poll() is not None:
            runners[folder] = start_runner(folder)
        runner: Any = runners[folder]
        runner.stdin.write(json.dumps(order) + "\n")
        runner.stdin.flush()
        giving_up = threading.Timer(COMMAND_SECONDS, runner.kill)
        giving_up.start()
        line = runner.stdout.readline()
        giving_up.cancel()
        return json.loads(line or "null")

    yield run
    for runner in runners.values():
        with runner:
            runner.kill()


def start_runner(folder: str) -> subprocess.Popen[str]:
    home, pipe = os.environ["AIRFLOW_HOME"], subprocess.PIPE
    env = {**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": folder}
    return subprocess.Popen(
        [sys.executable, RUNNER], stdin=pipe, stdout=pipe, text=True, cwd=home, env=env
    )


@pytest.fixture
def run_example(
    run_dag: Callable[..., Any], example_dags: str, tmp_path: Path
) -> Callable[..., Ended]:
    """Return a function that runs an example DAG and returns how it ended."""

    def run(
        name: str, *, time: datetime | None = None, folder: str = example_dags, **conf: Any
    ) -> Ended:
        time = time or datetime.now(UTC) - timedelta(seconds=1)
        output = tmp_path / "output.txt"
        connection = "AIRFLOW_CONN_OLLANG_DEFAULT"
        found = run_dag(
            folder,
            file=os.path.join(folder, f"{name}.py"),
            conf=conf,
            time=time.isoformat(),
            environment={connection: os.environ[connection]},
            output=str(output),
        )
        assert found, output.read_text()
        found["cut_off_base"] = datetime.fromisoformat(found["cut_off_base"])
        return Ended(**found, output=output.read_text())

    return run


def ids(orders: Any) -> set[str]:
    return {order["id"] for order in orders}


def sent(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(request.order_id for request in sandbox.requests if request.is_cancel)


def cancelled_since(sandbox: Sandbox, before: list[dict[str, Any]]) -> set[str]:
    """Return the orders that were cancelled, having checked that no other order has changed."""
    statuses = {order["id"]: order["status"] for order in before}
    changed = {order["id"] for order in sandbox.orders if order["status"] != statuses[order["id"]]}
    assert changed <= ids(sandbox.orders.where(status="cancelled"))
    return changed


def test_every_example_is_known_here(example_dags):
    files = {name for name in os.listdir(example_dags) if name.endswith(".py")}
    assert files == {f"{name}.py" for name in EXAMPLES | {WITH_APPROVAL}}


def test_the_examples_parse_without_a_connection(command, example_dags, airflow):
    expected = EXAMPLES | {WITH_APPROVAL} if HAS_APPROVALS else EXAMPLES
    code = f"""
import sys
sys.path.insert(0, {os.path.dirname(RUNNER)!r})
from dag_runner import DagBag
bag = DagBag(dag_folder={example_dags!r})
assert bag.import_errors == {{}}, bag.import_errors
assert set(bag.dags) == {expected}, sorted(bag.dags)
assert all(dag.doc_md for dag in bag.dags.values())
for dag in bag.dags.values():
    # A function's own docstring is its task's.
    assert all(task.doc_md for task in dag.tasks if "Decorated" not in task.task_type), dag.dag_id
    for name, param in dag.params.items():
        param = dag.params.get_param(name)
        schema = param.schema
        assert schema["type"] and schema["title"] and param.description, name
        is_bounded = {{"pattern", "minimum", "items"}} & schema.keys()
        assert is_bounded or schema["type"] == "boolean", name
"""
    ended = command("-c", code)
    assert ended.returncode == 0, ended.stderr


def test_nightly_cancels_exactly_the_pending_orders_older_than_a_week_at_the_runs_time(
    ollang_sandbox, run_example
):
    before = list(ollang_sandbox.orders)
    ended = run_example(
        "example_ollang_nightly_cleanup",
        time=datetime.now(UTC) - timedelta(days=3),
        preview=False,
        older_than_days=7,
    )
    assert ended.state == "success"
    cut_off = ended.cut_off_base - timedelta(days=7)
    assert datetime.now(UTC) - cut_off > timedelta(days=9, hours=23)
    expected = {
        order["id"]
        for order in before
        if order["status"] == "pending"
        and "keep" not in order["name"].lower()
        and datetime.fromisoformat(order["createdAt"]) <= cut_off
    }
    assert len(expected) > 20
    assert cancelled_since(ollang_sandbox, before) == expected
    assert sent(ollang_sandbox) == Counter(expected)


@pytest.mark.parametrize("name", sorted(EXAMPLES - CREATING))
def test_an_example_cancels_none_unless_its_preview_is_switched_off(
    ollang_sandbox, run_example, name
):
    before = list(ollang_sandbox.orders)
    order_id = ollang_sandbox.orders.where(status="pending")[0]["id"]
    listed = {
        "example_ollang_cancel_one_order": {"order_id": order_id},
        "example_ollang_cancel_listed_orders": {"order_ids": [order_id]},
    }
    ended = run_example(name, **listed.get(name, {}))
    assert ended.state == "success"
    assert cancelled_since(ollang_sandbox, before) == set()
    assert {request.method for request in ollang_sandbox.requests} <= {"GET"}


@pytest.mark.parametrize(
    "conf",
    [{"older_than_days": 6}, {"older_than_days": "P1D"}, {"max_orders": 301}],
    ids=str,
)
def test_nightly_params_that_go_too_far_start_no_run(ollang_sandbox, run_example, conf):
    with pytest.raises(AssertionError, match=r"ParamValidationError|Invalid input for param"):
        run_example("example_ollang_nightly_cleanup", preview=False, **conf)
    assert ollang_sandbox.requests == []


def test_what_is_fixed_in_the_nightly_code_cannot_be_set_by_its_conf(
    sandbox, add_orders, run_example
):
    stale = add_orders(31, 32)
    add_orders(31, status="ongoing")
    add_orders(1)
    add_orders(40, name="Trailer_KEEP")
    before = list(sandbox.orders)
    ended = run_example("example_ollang_nightly_cleanup", preview=False, age="PT1S", kind="all")
    assert ended.state == "success"
    assert cancelled_since(sandbox, before) == set(stale)


@pytest.mark.skipif(
    airflow.__version__.startswith("2."), reason="there, dag.test() makes params of all keys"
)
@pytest.mark.parametrize(
    "conf", [{"statuses": ["ongoing"]}, {"order_ids": ["a"]}, {"limit": 1}], ids=str
)
def test_a_parameter_that_nightly_does_not_take_from_its_conf_fails_the_run(
    ollang_sandbox, run_example, conf
):
    ended = run_example("example_ollang_nightly_cleanup", preview=False, **conf)
    assert ended.state == "failed"
    assert ollang_sandbox.requests == []


def test_nightly_skips_an_order_that_is_renamed_to_be_kept_or_turns_out_young(
    sandbox, add_orders, run_example
):
    renamed, young, stale = add_orders(31, 32, 33)
    before = list(sandbox.orders)
    for order_id, change in ((renamed, {"name": "Keep"}), (young, {"createdAt": NOW.isoformat()})):
        order = {**sandbox.orders.get(order_id), **change}
        path = f"/integration/orders/{order_id}"
        sandbox.respond_always(Stub.json(200, order), method="GET", path=path)
    ended = run_example("example_ollang_nightly_cleanup", preview=False)
    assert ended.state == "success"
    assert cancelled_since(sandbox, before) == {stale}


def test_nightly_cancels_none_where_more_are_stale_than_it_may(ollang_sandbox, run_example):
    before = list(ollang_sandbox.orders)
    ended = run_example("example_ollang_nightly_cleanup", preview=False, max_orders=3)
    assert ended.state == "failed"
    assert ended.states("find_stale_orders") == Counter(failed=1)
    assert ended.states("cancel_stale_orders") == Counter(upstream_failed=1)
    assert cancelled_since(ollang_sandbox, before) == set()
    assert {request.method for request in ollang_sandbox.requests} == {"GET"}


def test_of_listed_orders_those_that_are_not_pending_are_skipped(sandbox, add_orders, run_example):
    [one], [other] = add_orders(3), add_orders(4, status="cancelled")
    [ongoing], [untouched] = add_orders(5, status="ongoing"), add_orders(5)
    before = list(sandbox.orders)
    ended = run_example(
        "example_ollang_cancel_listed_orders", preview=False, order_ids=[one, other, ongoing]
    )
    assert ended.state == "success"
    assert ended.states("cancel_order") == Counter(success=1, skipped=2)
    assert cancelled_since(sandbox, before) == {one}
    assert untouched not in sent(sandbox)


def test_one_order_is_cancelled(sandbox, add_orders, run_example):
    wanted, _other = add_orders(3, 4)
    before = list(sandbox.orders)
    ended = run_example("example_ollang_cancel_one_order", preview=False, order_id=wanted)
    assert ended.states("cancel_order") == Counter(success=1)
    assert cancelled_since(sandbox, before) == {wanted}


def test_a_clean_up_in_chunks_cancels_all_in_tasks_of_500(sandbox, add_orders, run_example):
    stale = add_orders(*[40 + number / 1000 for number in range(501)])
    add_orders(*[1] * 501)
    before = list(sandbox.orders)
    ended = run_example("example_ollang_cleanup_in_chunks", preview=False)
    assert ended.state == "success"
    assert ended.states("cancel_stale_orders") == Counter(success=2)
    assert cancelled_since(sandbox, before) == set(stale)
    assert sent(sandbox) == Counter(stale)


PROJECT = "65a1f00d3c5e7a0011223301"


@pytest.fixture
def change_created(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Return a function that gives created orders these statuses, once there are as many."""
    threads = []

    def change(*statuses: str) -> None:
        while len(sandbox.orders) < len(statuses):
            time.sleep(0.1)
        time.sleep(2)  # so that somebody has begun to wait for them
        for order, status in zip(list(sandbox.orders), statuses, strict=True):
            url = f"https://signed.invalid/{SIGNATURE}"
            sandbox.orders.change(order["id"], status=status, vttUrl=url)

    def start(*statuses: str) -> None:
        threads.append(threading.Thread(target=change, args=statuses, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


SIGNATURE = "a-signature-that-nobody-may-see"


def test_orders_are_created_waited_for_and_used_without_their_signed_urls(
    sandbox, run_example, change_created
):
    change_created("completed", "delivered", "completed")
    ended = run_example(
        "example_ollang_create_and_wait", project_id=PROJECT, target_languages=["fr", "de"]
    )
    assert ended.state == "success"
    assert sorted(order["type"] for order in sandbox.orders) == ["cc", "subtitle", "subtitle"]
    assert SIGNATURE not in ended.output


@pytest.mark.parametrize("preview", [False, True])
def test_what_a_failed_pipeline_has_ordered_is_cancelled_by_its_teardown(
    sandbox, run_example, change_created, preview
):
    change_created("pending", "failed")
    ended = run_example("example_ollang_create_with_teardown", project_id=PROJECT, preview=preview)
    assert ended.state == "failed"
    assert ended.states("cancel_leftovers") == Counter(success=1)
    statuses = sorted(order["status"] for order in sandbox.orders)
    assert statuses == (["failed", "pending"] if preview else ["cancelled", "failed"])


def test_a_teardown_after_success_cancels_nothing(sandbox, run_example, change_created):
    change_created("completed", "completed")
    ended = run_example("example_ollang_create_with_teardown", project_id=PROJECT, preview=False)
    assert ended.state == "success"
    assert sent(sandbox) == Counter()


def test_a_watchdog_cancels_what_is_pending_for_too_long(sandbox, add_orders, run_example):
    late = set(add_orders(2, 3, projectId=PROJECT))
    add_orders(0.5, projectId=PROJECT)
    add_orders(3, projectId=PROJECT, status="ongoing")
    add_orders(3, projectId="65a1f00d3c5e7a0011223302")
    add_orders(3, projectId=PROJECT, name="Trailer KEEP")
    before = list(sandbox.orders)
    assert run_example("example_ollang_pending_watchdog").state == "success"
    assert cancelled_since(sandbox, before) == set()
    assert run_example("example_ollang_pending_watchdog", preview=False).state == "success"
    assert cancelled_since(sandbox, before) == late


MAPPED_TEARDOWN = """
import requests
from datetime import UTC, datetime
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import CancelOrderOperator, CreateOrderOperator

with DAG("mapped_teardown", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    create = CreateOrderOperator(
        task_id="create",
        project_id="65a1f00d3c5e7a0011223301",
        order_type="document",
        target_languages=["fr", "de"],
    ).as_setup()

    @task
    def work(order_ids):
        order = {"id": order_ids[0], "status": "completed"}
        requests.post(OllangHook().get_conn().base_url + "/_sandbox/orders", json=order, timeout=9)
        raise ValueError("the work fails")

    cancel = CancelOrderOperator.partial(task_id="cancel").expand(
        order_id=create.output
    ).as_teardown(setups=create)
    work(create.output) >> cancel
"""


def test_one_cancel_for_each_order_can_be_a_teardown(
    sandbox, run_example, change_created, tmp_path
):
    (tmp_path / "mapped_teardown.py").write_text(MAPPED_TEARDOWN)
    ended = run_example("mapped_teardown", folder=str(tmp_path))
    assert ended.state == "failed"
    assert ended.states("cancel") == Counter(success=1, skipped=1)
    assert {order["status"] for order in sandbox.orders} == {"completed", "cancelled"}
