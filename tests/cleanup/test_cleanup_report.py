from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_ollang.cleanup.report import ReportWriter
from airflow_provider_ollang.cleanup.result import OrderResult, Outcome
from tests.api.conftest import wait_until

from .conftest import MemoryPath


def result(order_id: str, message: str = "") -> OrderResult:
    return OrderResult(order_id, Outcome.NOT_FOUND, message=message)


def ids_in(lines: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


# In one file.


def test_each_line_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "made" / "for it" / "report.jsonl"
    report = ReportWriter(path)
    assert path.read_bytes() == b""
    for number in range(1, 4):
        report.write(result(f"o-{number}"))
        assert ids_in(path.read_bytes()) == [f"o-{n}" for n in range(1, number + 1)]
    report.close()


def test_each_line_begins_with_the_fields_that_are_given(tmp_path):
    path = tmp_path / "report.jsonl"
    report = ReportWriter(path, {"base_url": "https://api"})
    report.write(result("o-1", "one\ntwo\r\u2028 ü \x00"))
    report.close()
    assert path.read_bytes().startswith(b'{"base_url": "https://api", "id": "o-1", ')
    (line,) = path.read_bytes().split(b"\n")[:-1]  # one line, whatever the message
    assert json.loads(line)["message"] == "one\ntwo\r\u2028 ü \x00"


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    path = tmp_path / "report.jsonl"
    path.write_bytes(b"of an earlier run")
    with pytest.raises(FileExistsError):
        ReportWriter(path)
    assert path.read_bytes() == b"of an earlier run"


class FullDisk(MemoryPath):
    protocol = "file"

    def mkdir(self, **_: Any) -> None:
        """Do nothing: it is there."""

    def open(self, mode: str) -> Any:
        return open("/dev/full", "wb", buffering=0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_noticed_at_the_first_line():
    with pytest.raises(OSError, match="space"):
        ReportWriter(FullDisk({})).write(result("o-1"))


# In parts.


def test_part_0_shows_at_opening_that_the_store_can_be_written():
    objects: dict[str, bytes] = {}
    report = ReportWriter(MemoryPath(objects))
    assert objects == {"report.part0000.jsonl": b""}
    report.close()
    assert list(objects) == ["report.part0000.jsonl"]


def test_a_store_that_cannot_be_written_is_refused_at_opening():
    path = MemoryPath({})
    path.refuses = "part0000"
    with pytest.raises(PermissionError):
        ReportWriter(path)


def test_nothing_is_lost_on_close():
    objects: dict[str, bytes] = {}
    report = ReportWriter(MemoryPath(objects), {"preview": True})
    report.write(result("o-1"))
    report.write(result("o-2"))
    report.flush()
    report.close()

    assert list(objects) == ["report.part0000.jsonl", "report.part0001.jsonl"]
    assert ids_in(objects["report.part0001.jsonl"]) == ["o-1", "o-2"]
    assert b'"preview": true' in objects["report.part0001.jsonl"]


@pytest.mark.slow("waits until parts are due")
def test_parts_follow_each_other_as_they_are_due():
    objects: dict[str, bytes] = {}
    report = ReportWriter(MemoryPath(objects))
    report.write(result("o-1"))
    report.write(result("o-2"))
    wait_until(lambda: report.flush() or len(objects) == 2)
    report.write(result("o-3"))
    report.close()

    assert list(objects) == [f"report.part000{number}.jsonl" for number in range(3)]
    assert [ids_in(part) for part in objects.values()] == [[], ["o-1", "o-2"], ["o-3"]]


@pytest.mark.parametrize("numbers", [(0, 1), (1,)])
def test_a_report_that_is_there_is_never_overwritten(numbers):
    before = {f"report.part000{number}.jsonl": b"of an earlier run" for number in numbers}
    objects = dict(before)
    with suppress(FileExistsError):  # at opening, or when it gets to that part
        report = ReportWriter(MemoryPath(objects))
        report.write(result("o-1"))
        report.close()
    assert {name: objects[name] for name in before} == before
