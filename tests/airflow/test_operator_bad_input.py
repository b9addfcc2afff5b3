"""Bad input: refused when the DAG is parsed, or once rendered, and always before any request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)

from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    CreateOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Sandbox

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
#: Airflow 2 has an exception of its own for arguments that a constructor does not take.
WRONG_ARGUMENTS = (TypeError, AirflowException)
OPERATORS = pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)


def make(kind: type, **parameters: Any) -> Any:
    return kind(task_id="task", **GOOD[kind] | parameters)


def own_parameters(kind: type) -> list[str]:
    declared = inspect.signature(kind.__init__).parameters.values()
    return [
        parameter.name for parameter in declared if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]


#: For each parameter of each operator: values that are none, and a word of what is expected.
BAD: dict[type, dict[str, tuple[str, list[Any]]]] = {
    CancelOrderOperator: {
        "order_id": ("order id", [None, "None", "", "a/b", "..", "a b", 5, "a" * 129]),
        "skip_on_codes": ("list", [None, "ORDER_NOT_FOUND", 5]),
        "require_status": ("list", ["pending", 5, []]),
        "ollang_conn_id": ("text", [None, "", 5]),
    },
    FindStaleOrdersOperator: {
        "older_than": ("duration", [None, 0, 7, "7 days", "P1M", "P0D", "-P7D", "P-7D", ""]),
        "statuses": ("pending|list", [None, [], ["waiting"], ["Pending"], "pending"]),
        "order_types": ("captions|list|alone", [["video"], "cc", [], ["*", "cc"]]),
        "project_ids": ("text|list|alone", ["p1", [], [""], [5], ["p1 "], ["*", "p1"]]),
        "folder_ids": ("text|list|alone", ["f1", [], ["f1\u200b"], ["f1", "*"]]),
        "exclude_folder_ids": ("text|list", ["f1", ["*"], ["\tf1"], [None]]),
        "name_matches": ("regular expression|text", ["(", "", "a{2,1}", 5, "a{99999999999999}"]),
        "exclude_name_matches": ("regular expression|text", ["*", "", ["a"]]),
        "exclude_order_ids": ("order id|list", ["abc", ["a b"], [None], ["None"]]),
        "limit": ("whole number", [-1, 1.5, "many", True]),
        "max_orders": ("whole number", [-1, 1.5, "many", True]),
        "max_share": ("share", [-0.1, 1.1, "10%", 20, True]),
        "reference_time": ("zone", ["yesterday", datetime(2026, 1, 1), 0]),
        "chunk_size": ("whole number", [0, -1, 1.5, "many"]),
        "ollang_conn_id": ("text", [None, "", 5]),
    },
    BatchCancelOrdersOperator: {
        "order_ids": ("order id|list", [None, "None", "abc", [["a"]], ["a b"], [None]]),
        "max_workers": ("whole number", [0, -1, None, "many", 1.5, 129]),
        "requests_per_second": ("number", [0, -1, "fast", float("inf"), True]),
        "max_orders": ("whole number", [-1, None, 1.5, "many"]),
        "require_status": ("pending|list", ["pending", [], ["waiting"]]),
        "exclude_name_matches": ("regular expression|text", ["*", "", ["a"]]),
        "exclude_folder_ids": ("text|list", ["f1", ["*"], [""], [5]]),
        "created_before": ("zone", ["yesterday", datetime(2026, 1, 1), 0]),
        "tolerated_codes": ("list|text", [None, "ORDER_NOT_FOUND", [5]]),
        "preview": ("True or False", [None, "yes", 1, "", []]),
        "report_path": ("absolute path|text", ["r.jsonl", "./r.jsonl", "", "/tmp/", 5]),
        "ollang_conn_id": ("text", [None, "", 5]),
    },
    CreateOrderOperator: {
        "project_id": ("project id", [None, "None", "", "a/b", "a b", 5, "a" * 129, ["a"]]),
        "order_type": ("subtitle", [None, "", "video", "CC", "proofreading", 5, ["cc"]]),
        "target_languages": (
            "list|language|True or False",
            [
                None,
                [],
                "fr",
                ["french"],
                ["fr", "fr"],
                [5],
                [None],
                [{"isRush": 1}],
                [{"fr": True}],
            ],
        ),
        "level": ("whole number", [None, 2, -1, 0.5, True, "human"]),
        "order_sub_type": ("closedCaption", ["captions", 5, ""]),
        "dubbing_style": ("overdub", ["lip-sync", 5, ""]),
        "callback_url": ("URL|text", ["example.com", "ftp://example.com", "https://", 5]),
        "auto_qc": ("True or False", ["yes", 1]),
        "selected_memories": ("list|text", ["m1", [], [""], [5], [str(n) for n in range(21)]]),
        "ollang_conn_id": ("text", [None, "", 5]),
    },
}
BAD_CASES = [
    pytest.param(kind, name, expected, value, id=f"{kind.__name__}-{name}-{value!r:.30}")
    for kind, table in BAD.items()
    for name, (expected, values) in table.items()
    for value in values
]


@OPERATORS
def test_bad_values_are_listed_for_every_parameter(kind: type) -> None:
    assert set(BAD[kind]) == set(own_parameters(kind))


@pytest.mark.parametrize(("kind", "name", "expected", "value"), BAD_CASES)
def test_a_bad_value_is_refused_when_the_dag_is_parsed(
    kind: type, name: str, expected: str, value: Any
) -> None:
    with pytest.raises(
        InvalidInputError, match=rf"(?s)^{name}.*(expected|Use any of).*({expected})"
    ):
        make(kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (BatchCancelOrdersOperator, "order_ids"),
        (BatchCancelOrdersOperator, "tolerated_codes"),
        (FindStaleOrdersOperator, "exclude_order_ids"),
        (FindStaleOrdersOperator, "project_ids"),
    ],
)
def test_what_can_be_read_only_once_is_refused_when_the_dag_is_parsed(
    kind: type, name: str
) -> None:
    """The check at parse would use it up: the task would exclude, or cancel, nothing."""
    with pytest.raises(InvalidInputError, match=f"^{name}.*expected.*list"):
        make(kind, **{name: (order_id for order_id in ["abc"])})


@OPERATORS
def test_every_parameter_is_a_template_field(kind: type) -> None:
    assert sorted(kind.template_fields) == sorted(own_parameters(kind))


@OPERATORS
def test_a_misspelt_parameter_is_refused(kind: type) -> None:
    with pytest.raises(WRONG_ARGUMENTS):
        make(kind, dry_run=True)


@OPERATORS
def test_parameters_are_given_by_name(kind: type) -> None:
    with pytest.raises(WRONG_ARGUMENTS):
        kind("abc", task_id="task")


EVERY_PARAMETER = [(kind, name) for kind, table in BAD.items() for name in table]
each_parameter = pytest.mark.parametrize(("kind", "name"), EVERY_PARAMETER)


@each_parameter
def test_a_template_is_not_refused_at_parse(kind: type, name: str) -> None:
    make(kind, **{name: "{{ params.value }}"})
    make(kind, **{name: "{% if params.value %}{{ params.value }}{% endif %}"})
    make(kind, **{name: ["{{ params.value }}"]})


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
    sandbox: Sandbox, make_run: Any, name: str, template: str, value: Any, native: bool
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("dag", schedule=None, start_date=start, render_template_as_native_obj=native):
        operator = make(FindStaleOrdersOperator, **{name: template})
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        make_run(params={"value": value}).execute(operator)
    assert sandbox.requests == []


def test_text_of_a_list_that_a_template_left_incomplete_is_refused(
    sandbox: Sandbox, make_run: Any
) -> None:
    operator = make(FindStaleOrdersOperator, exclude_folder_ids=["f-{{ params.value }}"])
    with pytest.raises(AirflowFailException, match=r"exclude_folder_ids.*no value.*'f-None'"):
        make_run(params={"value": None}).execute(operator)
    assert sandbox.requests == []


def test_a_complete_pattern_and_an_optional_part_are_taken(
    make_run: Any, add_orders: Callable[..., list[str]]
) -> None:
    add_orders(10, name="KEEP 7")
    [old] = add_orders(10, name="None")
    pattern = (
        "(?i){{ params.word }} {{ params.number }}{% if params.rest %}{{ params.rest }}{% endif %}"
    )
    run = make_run(params={"word": "keep", "number": 7, "rest": None})
    assert run.execute(make(FindStaleOrdersOperator, exclude_name_matches=pattern)) == [old]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("reference_time", "Leave reference_time out to use the run's own time"),
        ("project_ids", r"Give \['\*'\] for any"),
        ("exclude_folder_ids", r"Give \[\] for none"),
        ("limit", "remove the parameter if it is optional"),
    ],
)
def test_a_parameter_that_rendered_to_nothing_says_what_to_do(
    make_run: Any, name: str, hint: str
) -> None:
    operator = make(FindStaleOrdersOperator, **{name: "{{ params.value }}"})
    with pytest.raises(AirflowFailException, match=hint):
        make_run(params={"value": None}).execute(operator)


def test_a_list_for_one_order_is_told_about_the_batch() -> None:
    with pytest.raises(InvalidInputError, match=r"got a list.*BatchCancelOrdersOperator.*expand"):
        make(CancelOrderOperator, order_id=["a", "b"])


@each_parameter
def test_another_tasks_result_is_not_refused_at_parse(kind: type, name: str) -> None:
    with DAG(dag_id="dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        before = FindStaleOrdersOperator(task_id="before", older_than="P7D")
        after = make(kind, **{name: before.output})
    assert after.upstream_task_ids == {"before"}


@pytest.mark.parametrize("rendered", ["None", "", "none", "null", " ", None])
@each_parameter
def test_a_parameter_that_was_given_and_rendered_to_nothing_fails_before_any_request(
    sandbox: Sandbox, make_run: Any, kind: type, name: str, rendered: Any
) -> None:
    operator = make(kind, **{name: "{{ params.value }}"})
    run = make_run(params={"value": rendered})
    operator.render_template_fields(run.context)
    if rendered is None:  # as another task's result, or a native template, gives it
        setattr(operator, name, None)
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        operator.execute(run.context)
    assert sandbox.requests == []


BAD_RENDERED = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{value!r:.30}")
    for kind, table in BAD.items()
    for name, (_, values) in table.items()
    for value in values
    if isinstance(value, str) and value
]


@pytest.mark.parametrize(("kind", "name", "value"), BAD_RENDERED)
def test_a_template_that_renders_to_a_bad_value_fails_before_any_request(
    sandbox: Sandbox, make_run: Any, kind: type, name: str, value: str
) -> None:
    run = make_run(params={"value": value})
    with pytest.raises(AirflowFailException, match=f"^{name}"):
        run.execute(make(kind, **{name: "{{ params.value }}"}))
    assert sandbox.requests == []


@pytest.mark.parametrize("rendered", ["False", "false", "True", "TRUE"])
def test_a_rendered_preview_is_what_it_says(
    sandbox: Sandbox, make_run: Any, add_orders: Callable[..., list[str]], rendered: str
) -> None:
    [order] = add_orders(3)
    operator = make(BatchCancelOrdersOperator, order_ids=[order], preview="{{ params.value }}")
    make_run(params={"value": rendered}).execute(operator)
    sent = any(request.is_cancel for request in sandbox.requests)
    assert sent is (rendered.lower() == "false")


def test_rendered_lists_and_numbers_are_what_they_say(
    make_run: Any, add_orders: Callable[..., list[str]]
) -> None:
    old, older, _young = add_orders(10, 20, 1)
    params = {"statuses": ["pending"], "limit": 5, "share": 1.0, "ids": [older]}
    operator = make(
        FindStaleOrdersOperator,
        statuses="{{ params.statuses }}",
        limit="{{ params.limit }}",
        max_share="{{ params.share }}",
        exclude_order_ids="{{ params.ids }}",
    )
    assert make_run(params=params).execute(operator) == [old]


def test_a_rendered_list_of_ids_is_cancelled(
    make_run: Any, add_orders: Callable[..., list[str]]
) -> None:
    ids = add_orders(1, 2)
    operator = make(BatchCancelOrdersOperator, order_ids="{{ params.ids }}")
    counts = make_run(params={"ids": ids}).execute(operator)
    assert counts == {"total": 2, "cancelled": 2}


def test_a_template_in_a_list_is_checked_once_rendered(sandbox: Sandbox, make_run: Any) -> None:
    operator = make(BatchCancelOrdersOperator, order_ids=["abc", "{{ params.value }}"])
    with pytest.raises(AirflowFailException, match=r"order_ids.*no value.*'None'"):
        make_run(params={"value": None}).execute(operator)
    assert sandbox.requests == []


@OPERATORS
def test_native_templates_give_values_of_their_own_type(
    sandbox: Sandbox, make_run: Any, add_orders: Callable[..., list[str]], kind: type
) -> None:
    with DAG(
        dag_id="dag",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=True,
    ):
        operator = make(kind, ollang_conn_id="{{ params.conn }}", **{name_of_list(kind): LIST})
    [order] = add_orders(10)
    if kind is CancelOrderOperator:
        operator.order_id = order
    run = make_run(params={"conn": "ollang_default", "list": list_for(kind, order)})
    assert run.execute(operator)


LIST = "{{ params.list }}"


def name_of_list(kind: type) -> str:
    names = {
        CancelOrderOperator: "require_status",
        FindStaleOrdersOperator: "statuses",
        CreateOrderOperator: "target_languages",
    }
    return names.get(kind, "order_ids")


def list_for(kind: type, order_id: str) -> list[str]:
    lists = {BatchCancelOrdersOperator: [order_id], CreateOrderOperator: ["fr"]}
    return lists.get(kind, ["pending"])


def test_a_native_template_that_turns_an_id_into_a_number_says_so(
    sandbox: Sandbox, make_run: Any
) -> None:
    operator = make(CancelOrderOperator, order_id="{{ params.id }}")
    operator.order_id = 123
    with pytest.raises(AirflowFailException, match=r"order_id.*text.*int: 123"):
        operator.execute(make_run().context)
    assert sandbox.requests == []


def test_parameters_that_were_left_out_stay_out(
    sandbox: Sandbox, run: Any, add_orders: Callable[..., list[str]]
) -> None:
    [order] = add_orders(10)
    assert run.execute(make(FindStaleOrdersOperator)) == [order]
    assert run.execute(make(BatchCancelOrdersOperator, order_ids=[order]))["cancelled"] == 1
    with pytest.raises(AirflowSkipException):
        run.execute(make(CancelOrderOperator, order_id=order))


@OPERATORS
def test_no_attribute_shadows_airflows_dry_run(kind: type) -> None:
    found = getattr(kind, "dry_run", None)  # not every Airflow has it
    assert found is getattr(BaseOperator, "dry_run", None)
    assert "dry_run" not in vars(make(kind))


@OPERATORS
def test_a_parsed_operator_has_sent_nothing(sandbox: Sandbox, kind: type) -> None:
    make(kind)
    assert sandbox.requests == []


def test_a_bad_value_is_not_worth_a_retry_where_a_mapped_task_meets_it_at_run_time() -> None:
    with pytest.raises(InvalidInputError, match="order_id") as caught:
        CancelOrderOperator(task_id="cancel", order_id="bad id")
    assert isinstance(caught.value, AirflowFailException)


def test_a_guard_that_is_set_after_construction_holds(sandbox: Sandbox, run: Any) -> None:
    """As a cluster policy does it."""
    order_id = sandbox.orders.add(status="ongoing", age=timedelta(minutes=1))["id"]
    operator = CancelOrderOperator(task_id="cancel", order_id=order_id)
    operator.require_status = ["pending"]
    with pytest.raises(AirflowSkipException):
        run.execute(operator)
    assert [request.method for request in sandbox.requests] == ["GET"]


@pytest.mark.parametrize("age", ["7 days", "P7d", "", "P0D"])
def test_a_bad_age_is_shown_as_it_is(age: str) -> None:
    with pytest.raises(InvalidInputError, match=f"older_than: .* got {age!r}"):
        FindStaleOrdersOperator(task_id="find", older_than=age)
