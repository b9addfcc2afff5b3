"""The report on an object store: a server that speaks S3, in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_ollang.operators.ollang import BatchCancelOrdersOperator
from airflow_provider_ollang.sandbox import Stub

pytest.importorskip("airflow.providers.amazon", reason="only the development setup has S3")

#: Eight workers take 8 seconds for these: enough for three parts of three seconds.
ORDERS, SECONDS_EACH = 128, 0.5


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        url = next(
            found[0] for line in server.stdout if (found := re.search(r"http://[\d.]+:\d+", line))
        )
        requests.put(f"{url}/reports", headers={"Host": "s3.amazonaws.com"}, timeout=10)
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(autouse=True)
def _connection(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A connection of its own: Airflow keeps the store of a bare s3:// for the whole process.
    extra = {"endpoint_url": s3, "region_name": "us-east-1"}
    aws = {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_NIGHT_S3", json.dumps(aws))


def parts(folder: str) -> dict[str, list[dict[str, Any]]]:
    return {
        path.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted(ObjectStoragePath(folder).iterdir(), key=str)
    }


def test_a_batch_leaves_its_report_on_an_object_store(ollang_sandbox, run):
    ids = [ollang_sandbox.orders.add()["id"] for _ in range(ORDERS)]
    ollang_sandbox.respond_always(Stub(delay=SECONDS_EACH), method="POST")
    run.execute(
        BatchCancelOrdersOperator(
            task_id="cancel",
            order_ids=ids,
            report_path="s3://night_s3@reports/night/report.jsonl",
        )
    )

    found = parts("s3://night_s3@reports/night")
    assert list(found) == [f"report.part{number:04d}.jsonl" for number in range(len(found))]
    assert len(found) >= 3
    assert found["report.part0000.jsonl"] == []
    lines = [line for part in found.values() for line in part]
    assert sorted(line["id"] for line in lines) == sorted(ids)
    assert {line["outcome"] for line in lines} == {"cancelled"}
