"""Text that databases reject, in every field of the API: none of it leaves a task.

On PostgreSQL itself: tests/distributed/test_postgresql.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Stub

NAME = "Trailer\0 \ud83d\x07\udfff.mp4"


def assert_storable(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()
    assert not re.search(r"\\u0000", text)


def test_the_finder_pushes_nothing_that_databases_reject(sandbox, add_orders, run):
    [named] = add_orders(30)
    order = (sandbox.orders.get(named) or {}) | {"name": NAME}
    odd = [order | {"id": f"o-{n}", "type": value} for n, value in enumerate([NAME, 1e999])]
    odd += [order | {"id": "o-3", "projectId": {NAME: [NAME]}}, order | {"id": f"o{NAME}"}]
    odd += [order | {"id": "o-4", "status": NAME}, order | {"id": "o-5", "createdAt": NAME}]
    meta = {"page": 1, "itemCount": 7, "hasNextPage": False}
    sandbox.respond_always(Stub.json(200, {"data": [order, *odd], "meta": meta}))

    ids = run.execute(FindStaleOrdersOperator(task_id="find", older_than="P7D"))

    assert set(ids) == {named, "o-0", "o-1", "o-3"}
    assert_storable([ids, run.xcoms])
    assert {it["name"] for it in run.xcoms["orders"]} == {"Trailer\ufffd \ufffd\x07\ufffd.mp4"}


def test_the_batch_pushes_and_reports_nothing_that_databases_reject(sandbox, run, tmp_path):
    path = tmp_path / "report.jsonl"
    sandbox.respond_always(Stub.json(422, {"code": NAME, "message": NAME, "detail": NAME}))
    batch = BatchCancelOrdersOperator(task_id="b", order_ids=["o-1"], report_path=str(path))
    with pytest.raises(AirflowException) as caught:
        run.execute(batch)
    assert_storable([run.xcoms, json.loads(path.read_text("utf-8")), str(caught.value)])

    sandbox.respond_always(Stub.json(200, {"id": "o-1", "status": NAME, "name": NAME}))
    batch = BatchCancelOrdersOperator(task_id="b", order_ids=["o-1"], require_status=["pending"])
    run.execute(batch)
    assert_storable(run.xcoms)
