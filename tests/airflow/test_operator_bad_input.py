"""Bad input: refused when the DAG is parsed, or once rendered, and always before any request."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    CreateOrderOperator,
    FindStaleOrdersOperator,
)

GOOD: dict[type, dict[str, Any]] = {
    CancelOrderOperator: {"order_id": "abc"},
    FindStaleOrdersOperator: {"older_than": "P7D"},
    BatchCancelOrdersOperator: {"order_ids": ["abc"]},
    CreateOrderOperator: {
        "project_id": "65a1f00d3c5e7a0011223301",
        "order_type": "cc",
        "target_languages": ["fr"],
    },
}
START = datetime(2026, 1, 1, tzinfo=UTC)
OPERATORS = pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)


def make(kind: type, **parameters: Any) -> Any:
    return kind(task_id="task", **GOOD[kind] | parameters)


def own_parameters(kind: type) -> list[str]:
    declared = inspect.signature(kind.__init__).parameters.values()
    return [
        parameter.name for parameter in declared if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]


NO_LANGUAGES: list[Any] = [
    *(None, [], ["french"], ["fr", "fr"], [5], [None], [{"isRush": 1}], [{"fr": True}]),
]
#: For each parameter of each operator: a word of what is expected, and values that are not that.
#: What else each kind of value may not be: test_operator_parameters.py.
BAD: dict[type, dict[str, tuple[str, list[Any]]]] = {
    CancelOrderOperator: {
        "order_id": ("order id", [None, "None", "", "a/b", 5]),
        "skip_on_codes": ("list", [None, "ORDER_NOT_FOUND"]),
        "require_status": ("list", ["pending", []]),
        "ollang_conn_id": ("text", [None, ""]),
    },
    FindStaleOrdersOperator: {
        "older_than": ("duration", [None, 7, "7 days", ""]),
        "statuses": ("pending|list", [None, [], ["waiting"], "pending"]),
        "order_types": ("captions|list|alone", [["video"], "cc", ["*", "cc"]]),
        "project_ids": ("text|list|alone", ["p1", [], ["*", "p1"]]),
        "folder_ids": ("text|list|alone", ["f1", [], ["f1", "*"]]),
        "exclude_folder_ids": ("an id|list", ["f1", ["*"]]),
        "name_matches": ("regular expression|text", ["(", ""]),
        "exclude_name_matches": ("regular expression|text", ["*", ""]),
        "exclude_order_ids": ("order id|list", ["abc", ["a b"], [None]]),
        "limit": ("whole number", [-1, "many"]),
        "max_orders": ("whole number", [-1, "many"]),
        "max_share": ("share", [-0.1, 20, "10%"]),
        "reference_time": ("zone", ["yesterday", datetime(2026, 1, 1)]),
        "chunk_size": ("whole number", [0, "many"]),
        "ollang_conn_id": ("text", [None, ""]),
    },
    BatchCancelOrdersOperator: {
        "order_ids": ("order id|list", [None, "None", "abc", [["a"]]]),
        "max_workers": ("whole number", [0, None, "many", 129]),
        "requests_per_second": ("number", [0, "fast"]),
        "max_orders": ("whole number", [-1, None, "many"]),
        "require_status": ("pending|list", ["pending", [], ["waiting"]]),
        "name_matches": ("regular expression|text", ["(", ""]),
        "exclude_name_matches": ("regular expression|text", ["*", ""]),
        "exclude_order_ids": ("order id|list", ["abc", [None]]),
        "folder_ids": ("text|list|alone", ["f1", [], ["f1", "*"]]),
        "exclude_folder_ids": ("an id|list", ["f1", ["*"]]),
        "created_before": ("zone", ["yesterday", datetime(2026, 1, 1)]),
        "tolerated_codes": ("list|text", [None, "ORDER_NOT_FOUND", [5]]),
        "preview": ("True or False", [None, "yes", 1, "", []]),
        "report_path": ("absolute path|text", ["r.jsonl", ""]),
        "ollang_conn_id": ("text", [None, ""]),
    },
    CreateOrderOperator: {
        "project_id": ("an id", [None, "None", "", "a/b", "a b", 5, "a" * 129, ["a"]]),
        "order_type": ("subtitle", [None, "", "video", "CC", "proofreading", 5, ["cc"]]),
        "target_languages": ("list|language|True or False", [*NO_LANGUAGES, "fr"]),
        "level": ("whole number", [None, 2, -1, 0.5, True, "human"]),
        "order_sub_type": ("closedCaption", ["captions", 5, ""]),
        "dubbing_style": ("overdub", ["lip-sync", 5, ""]),
        "callback_url": ("URL|text", ["example.com", "ftp://example.com", "https://", 5]),
        "auto_qc": ("True or False", ["yes", 1]),
        "selected_memories": ("list|text", ["m1", [], [""], [5]]),
        "ollang_conn_id": ("text", [None, ""]),
    },
}
BAD_CASES = [
    pytest.param(kind, name, expected, value, id=f"{kind.__name__}-{name}-{value!r:.30}")
    for kind, table in BAD.items()
    for name, (expected, values) in table.items()
    for value in values
]


@OPERATORS
def test_bad_values_are_listed_for_every_parameter(kind):
    assert set(BAD[kind]) == set(own_parameters(kind))


@pytest.mark.parametrize(("kind", "name", "expected", "value"), BAD_CASES)
def test_a_bad_value_is_refused_when_the_dag_is_parsed(kind, name, expected, value):
    # A mapped task meets it when it runs: no retry can help it.
    said = rf"(?s)^{name}.*expected.*({expected})"
    with pytest.raises(AirflowFailException, match=said):
        make(kind, **{name: value})


@OPERATORS
def test_every_parameter_is_a_template_field(kind):
    assert sorted(kind.template_fields) == sorted(own_parameters(kind))


each_parameter = pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in BAD.items() for name in table]
)


@each_parameter
def test_what_is_only_known_later_is_not_refused_at_parse(kind, name):
    make(kind, **{name: "{% if params.value %}{{ params.value }}{% endif %}"})
    make(kind, **{name: ["{{ params.value }}"]})
    with DAG(dag_id="dag", schedule=None, start_date=START):
        before = FindStaleOrdersOperator(task_id="before", older_than="P7D")
        after = make(kind, **{name: before.output})
    assert after.upstream_task_ids == {"before"}


#: Texts that hold a template, and what gives them no value that means anything.
INCOMPLETE = [
    (r"\b{{ params.value }}\b", None),
    (r"\b{{ params.value }}\b", ""),
    ("^{{ params.value }}", ""),
    ("test-{{ params.value }}-a", None),
    ("test-{{ params.value }}-a", " "),
    ("{{ params.value }}|keep", "null"),
    ("keep{{ params.value | default('') }}", ""),
    ("{% if true %}a{{ params.value }}{% endif %}", None),
    ("^{# nothing #}", "x"),
    ("keep|{% if false %}x{% endif %}", "x"),
    ("keep {% if false %}x{% endif %}", "x"),
    ("{{ params.value }}", "keep\n"),
    ("{{ params.value }}", " keep"),
]


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(("template", "value"), INCOMPLETE)
@pytest.mark.parametrize("name", ["name_matches", "exclude_name_matches"])
def test_a_pattern_that_a_template_left_incomplete_is_refused_without_a_request(
    sandbox, make_run, name, template, value, native
):
    with DAG("dag", schedule=None, start_date=START, render_template_as_native_obj=native):
        operator = make(FindStaleOrdersOperator, **{name: template})
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        make_run(params={"value": value}).execute(operator)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (FindStaleOrdersOperator, "exclude_folder_ids", ["f-{{ params.value }}"]),
        (BatchCancelOrdersOperator, "order_ids", ["abc", "{{ params.value }}"]),
    ],
)
def test_text_of_a_list_that_a_template_left_incomplete_is_refused(
    sandbox, make_run, kind, name, value
):
    with pytest.raises(AirflowFailException, match=rf"{name}.*no value.*None'"):
        make_run(params={"value": None}).execute(make(kind, **{name: value}))
    assert sandbox.requests == []


def test_a_template_that_nobody_rendered_is_refused(sandbox, make_run):
    operator = make(FindStaleOrdersOperator, exclude_name_matches="{{ params.kept }}")
    with pytest.raises(AirflowFailException, match="a template that was not rendered"):
        operator.execute(make_run(task=operator).context)
    assert sandbox.requests == []


def test_a_name_with_braces_is_none(add_orders, make_run):
    [order_id] = add_orders(10)
    add_orders(10, name="Hello {{ first_name }}")
    run = make_run(params={"kept": "Hello {{ first_name }}"})
    operator = make(FindStaleOrdersOperator, exclude_name_matches="{{ params.kept }}")
    assert run.execute(operator) == [order_id]


def test_a_complete_pattern_and_an_optional_part_are_taken(make_run, add_orders):
    add_orders(10, name="KEEP 7")
    [old] = add_orders(10, name="None")
    pattern = "(?i){{ params.word }} {{ params.number }}{% if params.rest %}x{% endif %}"
    run = make_run(params={"word": "keep", "number": 7, "rest": None})
    assert run.execute(make(FindStaleOrdersOperator, exclude_name_matches=pattern)) == [old]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("project_ids", r"Give \['\*'\] for any"),
        ("exclude_folder_ids", r"Give \[\] for none"),
        ("limit", "remove the parameter if it is optional"),
    ],
)
def test_a_parameter_that_rendered_to_nothing_says_what_to_do(make_run, name, hint):
    operator = make(FindStaleOrdersOperator, **{name: "{{ params.value }}"})
    with pytest.raises(AirflowFailException, match=hint):
        make_run(params={"value": None}).execute(operator)


@pytest.mark.parametrize("rendered", ["None", "", "none", "null", " ", None])
@each_parameter
def test_a_parameter_that_was_given_and_rendered_to_nothing_fails_before_any_request(
    sandbox, make_run, kind, name, rendered
):
    operator = make(kind, **{name: "{{ params.value }}"})
    run = make_run(params={"value": rendered}, task=operator)
    operator.render_template_fields(run.context)
    if rendered is None:  # as another task's result, or a native template, gives it
        setattr(operator, name, None)
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        operator.execute(run.context)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("kind", "name", "expected", "value"),
    [case for case in BAD_CASES if isinstance(case.values[3], str) and case.values[3]],
)
def test_a_template_that_renders_to_a_bad_value_fails_before_any_request(
    sandbox, make_run, kind, name, expected, value
):
    run = make_run(params={"value": value})
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        run.execute(make(kind, **{name: "{{ params.value }}"}))
    assert sandbox.requests == []


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_rendered_lists_and_numbers_are_what_they_say(make_run, add_orders, native):
    old, older, _young = add_orders(10, 20, 1)
    params = {"statuses": ["pending"], "limit": 5, "max_share": 1.0, "exclude_order_ids": [older]}
    with DAG("dag", schedule=None, start_date=START, render_template_as_native_obj=native):
        values = {name: f"{{{{ params.{name} }}}}" for name in params}
        operator = make(FindStaleOrdersOperator, **values)
    assert make_run(params=params).execute(operator) == [old]


@OPERATORS
def test_no_attribute_shadows_airflows_dry_run(kind):
    found = getattr(kind, "dry_run", None)  # not every Airflow has it
    assert found is getattr(BaseOperator, "dry_run", None)
    assert "dry_run" not in vars(make(kind))


def test_a_guard_that_is_set_after_construction_holds(sandbox, run):
    """As a cluster policy does it."""
    order_id = sandbox.orders.add(status="ongoing", age=timedelta(minutes=1))["id"]
    operator = CancelOrderOperator(task_id="cancel", order_id=order_id)
    operator.require_status = ["pending"]
    with pytest.raises(AirflowSkipException):
        run.execute(operator)
    assert [request.method for request in sandbox.requests] == ["GET"]
