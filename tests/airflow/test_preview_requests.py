"""A run that was asked for a preview, in whatever way, or may be one, cancels nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)

from .conftest import State

#: Keys whose value asks for a preview unless it is switched off.
KEYS = [
    *("preview", "Preview", "PREVIEW", "pre_view", "isPreview", "previewMode", "run_as_preview"),
    *("preveiw", "previw", "prevew", "perview", "rpeview", "pre-veiw", "ｐreview"),
    *("dry_run", "dryRun", "dry-run", "DRYRUN", "--dry-run", "dry", "dryun", "dyr_run"),
    *("simulate", "simulation", "simualte", "no_op", "what_if", "test_only", "testing"),
]
REQUESTS = [
    *({key: True} for key in KEYS),
    *({"preview": on} for on in (None, "", 1, "yes", "True", {}, {"enabled": False})),
    {"params": {"preview": True}},
    {"steps": [{"options": [{"dry-run": "1"}]}]},
    {"extra": '{"preview": true}'},
    '{"preview": true}',
    "{'preview': True}",
    *({"mode": mode} for mode in ("preview", "dry", "no-op", "readOnly")),
    {"args": ["--dry-run"]},
    *({key: False} for key in ("cancel", "cancel_orders", "doCancel", "enable-cancel", "is_live")),
    *({key: False} for key in ("really_cancel", "shouldCancel", "confirm_cancel")),
    *({key: True} for key in ("check_only", "no_cancels", "dont_cancel", "safeMode")),
]
OTHERS = [
    None,
    {},
    *({"preview": off} for off in (False, 0, "false", " False ", "no", "off")),
    {"dry_run": False, "options": {"simulate": "false"}},
    '{"preview": false}',
    {"cancel": True, "cancel_orders": True, "cancel_ongoing": False, "real_names": False},
    {"preview": False, "review": True, "previous": 1, "prevent": 1, "private": 1, "latest_only": 1},
    {"names": "^test-", "env": "test", "order_ids": ["dry-4F"], "older_than": "P7D"},
]


def batch(**options: Any) -> BatchCancelOrdersOperator:
    return BatchCancelOrdersOperator(
        task_id="cancel", order_ids="{{ params.order_ids }}", **options
    )


def one(**options: Any) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id="{{ params.order_ids[0] }}", **options)


@pytest.mark.parametrize("conf", REQUESTS, ids=str)
@pytest.mark.parametrize("operator", [batch, one])
def test_a_run_with_such_a_conf_cancels_nothing(operator, conf, sandbox, add_orders, make_run):
    run = make_run(conf=conf, params={"order_ids": add_orders(30)})
    with pytest.raises(AirflowFailException, match=r"Nothing was cancelled.*preview \(conf"):
        run.execute(operator())
    assert sandbox.requests == []


def test_a_run_whose_id_says_so_cancels_nothing(sandbox, add_orders, make_run):
    run = make_run(run_id="preview_2026_11_27", params={"order_ids": add_orders(30)})
    with pytest.raises(AirflowFailException, match=r"preview \(run_id = 'preview_2026_11_27'\)"):
        run.execute(batch())
    assert sandbox.requests == []


@pytest.mark.parametrize("conf", OTHERS, ids=str)
def test_any_other_conf_asks_for_no_preview(conf, sandbox, add_orders, make_run):
    run = make_run(conf=conf, params={"order_ids": add_orders(30, 31), "preview": False})
    assert run.execute(batch(preview="{{ params.preview }}")) == {"total": 2, "cancelled": 2}


def test_a_preview_goes_on(add_orders, make_run):
    params = {"order_ids": add_orders(30), "preview": True}
    run = make_run(conf={"preview": True}, params=params)
    counts = run.execute(batch(preview="{{ params.preview }}"))
    assert counts == {"total": 1, "would_cancel": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [("preview", True), ("dry_run", True), ("mode", "preview"), ("action", "report only")],
)
def test_a_param_that_is_on_and_reaches_no_task_is_refused(
    name, value, sandbox, add_orders, make_run
):
    run = make_run(params={"order_ids": add_orders(30), "kept": "preview", name: value})
    with pytest.raises(AirflowFailException, match=rf"params\['{name}'\] = {value!r}"):
        run.execute(batch())
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("previw", True, r"default_args\['previw'\] = True"),
        ("dry_run", True, r"default_args\['dry_run'\] = True"),
        ("exclude_names", "keep", "no task takes 'exclude_names' from default_args"),
        ("conn_id", "other", "no task takes 'conn_id' from default_args"),
    ],
)
def test_default_args_that_no_task_takes_although_they_seem_meant_for_it_are_refused(
    name, value, said, sandbox, add_orders, make_run
):
    operator = batch(default_args={"retries": 0, "preview": False, "owner": "a", name: value})
    with pytest.raises(AirflowFailException, match=said):
        make_run(params={"order_ids": add_orders(30)}).execute(operator)
    assert sandbox.requests == []


def test_a_mapped_task_is_refused_where_one_beside_it_was_a_preview(
    sandbox, add_orders, make_run, make_ti
):
    params = {"order_ids": add_orders(30)}
    first = make_run(params=params, ti=make_ti(map_index=0))
    first.execute(batch(preview=True))

    second = make_run(params=params, ti=make_ti(map_index=1, upstream={"cancel": first.xcoms}))
    with pytest.raises(AirflowFailException, match="this run began as a preview"):
        second.execute(batch())
    assert not any(request.is_cancel for request in sandbox.requests)


def cleanup(*, of_a_teardown: bool = False, **options: Any) -> tuple[Any, Any]:
    """Return a finder and the batch after it."""
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        finder = FindStaleOrdersOperator(task_id="find", older_than="P7D")
        cancel = batch(**options)
        finder >> (cancel.as_teardown() if of_a_teardown else cancel)
    return finder, cancel


@pytest.mark.parametrize(
    ("operator", "params", "conf", "is_refused"),
    [
        (batch, {"preview": False}, None, True),
        (one, {"preview": False}, {}, True),
        (one, {"mode": "cancel"}, None, True),
        (one, {"really_cancel": True}, {"order_ids": []}, True),
        (one, {"max_orders": 5, "region": "eu"}, {}, False),
        (batch, {"preview": False}, {"preview": False}, False),
        (lambda: cleanup(of_a_teardown=True)[1], {"preview": False}, {}, False),
    ],
)
def test_a_cleared_run_of_which_nothing_says_what_it_was_cancels_nothing(
    operator, params, conf, is_refused, sandbox, add_orders, make_run
):
    params = {"order_ids": add_orders(30), **params}
    run = make_run(conf=conf, params=params, clear_number=1)
    if is_refused:
        with pytest.raises(AirflowFailException, match="this run was cleared"):
            run.execute(operator())
    else:
        assert run.execute(operator())
    assert any(request.is_cancel for request in sandbox.requests) is not is_refused


@pytest.mark.parametrize("is_kept", [True, False])
def test_without_a_param_a_cleared_run_is_in_doubt_only_where_airflow_would_have_kept_its_mode(
    add_orders, make_run, is_kept
):
    params, state = {"order_ids": add_orders(30)}, State() if is_kept else None
    run = make_run(params=params, clear_number=1, state=state)
    if is_kept:
        with pytest.raises(AirflowFailException, match="this run was cleared"):
            run.execute(batch())
    else:
        assert run.execute(batch())["cancelled"] == 1


@pytest.mark.parametrize("params", [{}, {"preview": False}])
def test_a_batch_that_is_cleared_cancels_where_the_finder_has_seen_what_the_run_is(
    params, add_orders, make_run, make_ti
):
    params["order_ids"] = add_orders(30)
    finder, cancel = cleanup()
    found = make_run(params=params)
    found.execute(finder)
    again = make_run(params=params, clear_number=1, ti=make_ti(upstream={"find": found.xcoms}))
    assert again.execute(cancel)["cancelled"] == 1


@pytest.mark.parametrize(
    ("begun", "options"),
    [
        ({"preview": True}, {}),
        ({"mode": "dry"}, {}),
        ({}, {"preview": True}),
        ({"is_night": True}, {"preview": "{{ params.is_night }}"}),
    ],
    ids=["param", "mode", "file", "template"],
)
@pytest.mark.parametrize("clear_number", [0, 1])
def test_a_run_that_began_as_a_preview_stays_one(
    begun, options, clear_number, sandbox, add_orders, make_run, make_ti
):
    found, params = make_run(params=begun), dict[str, Any](dict.fromkeys(begun, False))
    found.execute(cleanup(**options)[0])

    params |= {"order_ids": add_orders(30)}
    ti = make_ti(upstream={"find": found.xcoms})
    with pytest.raises(AirflowFailException, match="this run began as a preview"):
        make_run(params=params, clear_number=clear_number, ti=ti).execute(cleanup()[1])
    assert not any(request.is_cancel for request in sandbox.requests)


@pytest.mark.parametrize("is_preview", [True, False])
@pytest.mark.parametrize("finder", ["find", "renamed_too"])
def test_a_task_that_is_new_in_the_file_goes_by_those_that_it_had_when_the_run_began(
    finder, is_preview, add_orders, make_run, make_ti
):
    found = make_run()
    found.execute(cleanup(preview=is_preview)[0])

    states = {"find": "success" if finder == "find" else "removed"}
    run = make_run(ti=make_ti(upstream={"find": found.xcoms}, states=states))
    renamed = BatchCancelOrdersOperator(task_id="renamed", order_ids=add_orders(30))
    with DAG("dag", schedule=None):
        FindStaleOrdersOperator(task_id=finder, older_than="P7D") >> renamed
    if is_preview:
        with pytest.raises(AirflowFailException, match="this run began as a preview"):
            run.execute(renamed)
    else:
        assert run.execute(renamed)["cancelled"] == 1


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "not kept"])
def test_in_a_cleared_run_the_finder_tells_what_it_has_kept_or_nothing(
    sandbox, make_run, make_ti, is_kept
):
    state = State() if is_kept else None
    make_run(params={"preview": True}, state=state).execute(cleanup()[0])

    ti = make_ti(try_number=2)
    make_run(params={"preview": False}, state=state, clear_number=1, ti=ti).execute(cleanup()[0])
    begun = {"preview": True, "cancel.preview": False}
    assert ti.xcoms.get("preview_params") == (begun if is_kept else None)


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"older_than": 90}, "Was the param 'older_than_days' meant"),
        ({"conf": {"older_than_days": 90}}, "Was the param 'older_than_days' meant"),
        ({"OLDER_THAN_DAYS": 90}, "Was the param 'older_than_days' meant"),
        ({"days": 90}, "Was the param 'older_than_days' meant"),
        ({"max_orders": 0}, "takes max_orders from elsewhere"),
        ({"exclude_order_id": ["a"]}, "takes exclude_order_ids from"),
        ({"order_ids": [], "require_status": ["ongoing"], "preview": False, "limit": 5}, None),
    ],
    ids=str,
)
def test_a_key_of_the_conf_that_changes_nothing_although_it_seems_to_is_refused(
    sandbox, add_orders, make_run, conf, said
):
    params = {"order_ids": add_orders(30), "older_than_days": 30}
    run = make_run(conf={**conf, "source": "nightly"}, params=params)
    operator = batch(
        require_status="{{ dag_run.conf.get('require_status', ['pending']) }}",
        max_orders="{{ params.older_than_days }}",
    )
    if said is None:
        assert run.execute(operator)["total"] == 1
    else:
        with pytest.raises(AirflowFailException, match=said):
            run.execute(operator)
        assert sandbox.requests == []


@pytest.mark.parametrize(
    ("conf", "overrides"),
    [('{"preveiw": true}', "True"), ('{"preview": true}', "False")],
    ids=["a typo", "where conf overrides no params"],
)
def test_airflows_own_command_cancels_nothing_then(
    conf, overrides, airflow, example_dags, ollang_sandbox, tmp_path
):
    example = "example_ollang_nightly_cleanup"
    text = Path(example_dags, f"{example}.py").read_text()
    for_real = text.replace("            True,", "            False,")
    assert for_real != text
    (tmp_path / "dag.py").write_text(for_real.replace('"retries": 2', '"retries": 0'))
    settings = {"DAGS_FOLDER": str(tmp_path), "DAG_RUN_CONF_OVERRIDES_PARAMS": overrides}
    env = {f"AIRFLOW__CORE__{name}": value for name, value in settings.items()}

    ended = airflow("dags", "test", example, "--conf", conf, env=env)

    # With this command, Airflow 2 makes params of all keys.
    said = "this run was asked for a preview|Was the param 'preview' meant"
    assert re.search(said, ended.stdout + ended.stderr)
    assert not any(request.is_cancel for request in ollang_sandbox.requests)
