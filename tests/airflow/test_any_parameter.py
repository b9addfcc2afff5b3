"""Whatever an operator is given: it is refused, or what the API documents is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ollang.operators._base import InvalidParameterError
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox
from tests.anything import any_json, any_value, numbers, texts

from .always import Ending, assert_readable, end_of, examples, standing_sandbox

KINDS = [CancelOrderOperator, FindStaleOrdersOperator, BatchCancelOrdersOperator]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

#: Of all ages and statuses, so that whatever is asked for there is something to find or cancel.
ORDERS = {"o-1": (400, "pending"), "o-2": (40, "pending"), "o-3": (4, "ongoing"), "5": (9, "cc")}
order_ids = st.sampled_from([*ORDERS, "no-such-order", "a/b", "..", "o-1 ", "", "None"]) | texts
lists_of_ids = st.lists(order_ids, max_size=4)

#: Values that are right or nearly so; ``any_value`` is added to each.
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "order_id": order_ids,
    "order_ids": lists_of_ids | lists_of_ids.map(str) | lists_of_ids.map(frozenset),
    "exclude_order_ids": lists_of_ids | lists_of_ids.map(tuple),
    "older_than": st.timedeltas()
    | st.from_regex(r"-?P(\d+[YMWD])*(T(\d+[HMS])*)?", fullmatch=True),
    "statuses": st.lists(st.sampled_from(["pending", "ongoing", "Pending", "cancelled"]) | texts),
    "order_types": st.lists(st.sampled_from(["cc", "subtitle", "CC"]) | texts, max_size=3),
    "project_ids": st.lists(texts, max_size=2),
    "name_matches": st.from_regex(r"[a-c.*+?()|\[\]{}\\^$0-9-]{1,8}", fullmatch=True),
    "max_share": st.floats(0, 1) | st.floats(0, 1).map(str),
    "preview": st.sampled_from([True, False, "True", "false", "yes", 1]),
    "reference_time": st.datetimes(timezones=st.timezones()) | st.datetimes().map(str),
    "limit": numbers | st.integers().map(str),
    "requests_per_second": st.floats(1, allow_nan=False),
    "ollang_conn_id": st.just("ollang_default") | texts,
}
SAME = {
    "require_status": "statuses",
    "exclude_name_matches": "name_matches",
    "exclude_folder_ids": "project_ids",
    "created_before": "reference_time",
    "skip_on_codes": "project_ids",
    "tolerated_codes": "project_ids",
    "max_orders": "limit",
    "max_workers": "limit",
    "chunk_size": "limit",
}
NEEDED = {"order_id": "o-1", "order_ids": ["o-1", "o-2"], "older_than": "P7D"}


def values_of(name: str) -> st.SearchStrategy[Any]:
    if name == "report_path":  # its files have a test of their own
        return any_value.filter(lambda value: not (isinstance(value, str) and "/" in value))
    plausible = PLAUSIBLE.get(SAME.get(name, name))
    return any_value if plausible is None else plausible | plausible | any_value


def parameters_of(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Give one to three parameters of an operator any values."""
    names = st.lists(st.sampled_from(kind.template_fields), min_size=1, max_size=3, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values_of(name) for name in chosen})
    )


def needed_by(kind: Any) -> dict[str, Any]:
    return {name: value for name, value in NEEDED.items() if name in kind.template_fields}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with standing_sandbox() as running:
        yield running


def start_over(sandbox: Sandbox) -> None:
    sandbox.reset()
    for order_id, (days, status) in ORDERS.items():
        sandbox.orders.add(id=order_id, age=timedelta(days=days), status=status)


def assert_only_what_was_meant(ending: Ending, operator: Any) -> None:
    """Check that a cancel was only sent for what the operator was given."""
    for order_id in ending.cancelled:
        meant = getattr(operator, "order_ids", None) or [operator.order_id]
        # The text of a list, as a template writes it, holds the id in quotation marks.
        assert (
            repr(order_id) in meant.replace('"', "'")
            if isinstance(meant, str)
            else (order_id in meant)
        )


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@each_kind
@examples(150)
@given(data=st.data())
def test_any_parameters_make_a_task_or_are_refused_when_the_dag_is_parsed(sandbox, kind, data):
    start_over(sandbox)
    parameters = needed_by(kind) | data.draw(parameters_of(kind))
    try:
        operator = kind(task_id="task", **parameters)
    except InvalidParameterError as error:
        assert_readable(str(error))
        assert any(str(error).startswith(name) for name in parameters), error
        assert sandbox.requests == []
        return
    ending = end_of(sandbox, operator, value="rendered")
    assert_only_what_was_meant(ending, operator)


#: Sources of templates. None can go wrong in Jinja itself: that is not the operators' to catch.
TEMPLATES = [
    *("{{ params.value }}", " {{ params.value }} ", "{{ params.value }}{{ params.value }}"),
    *("{{ params.nothing }}", "{{ params.value | default('') }}", "{# gone #}{{ params.value }}"),
    *("{% if params.value %}{{ params.value }}{% endif %}", "{{ params.value | string }}"),
    *("{{ [params.value] }}", "{{ {'a': params.value} }}", "['{{ params.value }}', 'o-2']"),
    *("{{ params.value | tojson }}", "{{ '{{' }} params.value }}", "{{ params }}", "{{ None }}"),
]
rendered_values = st.one_of(any_json, *PLAUSIBLE.values())


def is_json(value: Any) -> bool:
    return isinstance(value, (str, int, float, type(None))) or (
        isinstance(value, list) and all(map(is_json, value))
    )


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@each_kind
@examples(60)
@given(
    data=st.data(),
    source=st.sampled_from(TEMPLATES),
    value=rendered_values.filter(is_json),
)
def test_whatever_a_template_renders_to_is_taken_for_what_it_says_or_refused(
    sandbox, kind, native, data, source, value
):
    start_over(sandbox)
    name = data.draw(st.sampled_from([name for name in kind.template_fields if "path" not in name]))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("dag", schedule=None, start_date=start, render_template_as_native_obj=native):
        operator = kind(task_id="task", **{**needed_by(kind), name: source})
    ending = end_of(sandbox, operator, value=value)
    assert_only_what_was_meant(ending, operator)


# A report's path: whatever it is, it is a file in its folder, or an error without a request.


PATHS = ["/", "/a", "/a.jsonl", "/b/c/d.jsonl", "/.", "/a.", "/.a", "/a?b#c", "/ ", "/a\\b", "//"]


@examples(60)
@given(rest=st.sampled_from(PATHS) | texts.map("/{}".format), scheme=st.sampled_from(["", "file"]))
@example("/" + "x" * 5000, "")
@example("/\ud800", "file")
def test_any_path_is_a_report_or_is_refused_without_a_request(
    sandbox, tmp_path_factory, rest, scheme
):
    start_over(sandbox)
    folder = tmp_path_factory.mktemp("report")
    if ".." in rest:
        rest = "/two-dots-may-lead-out-of-the-test"
    path = f"{scheme}://{folder}{rest}" if scheme else f"{folder}{rest}"
    try:
        operator = BatchCancelOrdersOperator(task_id="task", order_ids=["o-1"], report_path=path)
    except InvalidParameterError as error:
        assert_readable(str(error))
        return
    ending = end_of(sandbox, operator)
    files = [file for file in Path(folder).rglob("*") if file.is_file()]
    assert len(files) == len(ending.requests), (ending, files)
