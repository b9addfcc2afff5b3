"""The report of a batch: JSON Lines, written as soon as possible, since the task may be killed.

On a file system each line is handed to the operating system at once. An object store cannot append,
so the report is written there in numbered parts, a few seconds apart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.cleanup.result import OrderResult

PART_EVERY_SECONDS = 3.0


class ReportError(OllangError):
    """A report could not be written to its end: the orders that it lacks are in the task's log."""


class ReportWriter:
    """Writes a report. Opening it shows that it can be written. One thread at a time uses it.

    :param path: a ``Path``, or Airflow's ``ObjectStoragePath``. On an object store the parts are
        named after it, ``name.part0001.jsonl``; part 0, made at once, is empty
    :param fields: what each line begins with
    :raises FileExistsError: there is such a report, which is never overwritten
    :raises OSError: it cannot be written; object stores raise their own errors
    """

    def __init__(self, path: Any, fields: Mapping[str, Any] | None = None) -> None:
        #: Results that it was given and has not written yet.
        self.pending: list[OrderResult] = []
        self._path = path
        self._fields = fields or {}
        self._file: IO[bytes] | None = None
        self._part = 0
        self._due = 0.0
        if getattr(path, "protocol", "") in ("", "file", "local"):
            with suppress(FileExistsError):  # a file: opening one below it says so
                path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        else:
            self._write_part(b"")

    def write(self, result: OrderResult) -> None:
        """Add a line: to the file, or to the part that is written next."""
        self.pending.append(result)
        self.flush()

    def flush(self) -> None:
        """Write what is due. Called several times a second."""
        if self.pending and time.monotonic() >= self._due:
            self._write_pending()

    def close(self) -> None:
        """Write the rest."""
        if self.pending:
            self._write_pending()
        if self._file:
            self._file.close()

    def _write_pending(self) -> None:
        rows = ({**self._fields, **result.to_json()} for result in self.pending)
        lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        if self._file:
            self._file.write(lines)
            self._file.flush()
        else:
            self._write_part(lines)
        self.pending.clear()

    def _write_part(self, lines: bytes) -> None:
        name = f"{self._path.stem}.part{self._part:04d}{self._path.suffix}"
        path = self._path.with_name(name)
        if path.exists():
            raise FileExistsError(f"{path} exists")
        with path.open("wb") as file:
            file.write(lines)
        self._part += 1
        self._due = time.monotonic() + PART_EVERY_SECONDS
