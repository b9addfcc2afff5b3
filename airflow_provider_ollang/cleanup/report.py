"""The report of a batch: JSON Lines, written as soon as possible, since the task may be killed.

On a file system each line is handed to the operating system at once. An object store cannot append,
so the report is written there in numbered parts, a few seconds apart.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any, Protocol

from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.cleanup.result import OrderResult

PART_EVERY_SECONDS = 3.0

_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

_FILE_PROTOCOLS = frozenset({"", "file", "local"})


class ReportError(OllangError):
    """A report could not be written to its end: the orders that it lacks are in the task's log."""


class _Path(Protocol):
    """What a report needs of Airflow's ``ObjectStoragePath``."""

    @property
    def protocol(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def parent(self) -> Any: ...
    def exists(self) -> bool: ...
    def open(self, mode: str) -> IO[Any]: ...
    def with_name(self, name: str) -> Any: ...


class ReportWriter(Protocol):
    """Where a batch writes its results. One thread at a time uses it."""

    #: Results that it was given and has not written yet.
    pending: list[OrderResult]

    def write(self, result: OrderResult) -> None:
        """Add a result."""

    def flush(self) -> None:
        """Write what is due. Called several times a second."""

    def close(self) -> None:
        """Write the rest."""


def open_report(path: _Path, fields: Mapping[str, Any] = _NO_FIELDS) -> ReportWriter:
    """Return a report to write to, having shown that it can be written.

    :param path: the file; on an object store the name of its parts, ``name.part0001.jsonl``
    :param fields: what each line begins with
    :raises FileExistsError: there is such a report, which is never overwritten
    :raises OSError: it cannot be written; object stores raise their own errors
    """
    if path.protocol in _FILE_PROTOCOLS:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:  # what exists is not a report
            number, folder = errno.ENOTDIR, str(path.parent)
            raise NotADirectoryError(number, os.strerror(number), folder) from error
        return FileReport(path.open("xb"), fields)
    return PartedReport(path, fields)


class FileReport:
    """A report in one file.

    :param file: open for writing bytes
    :param fields: what each line begins with
    """

    def __init__(self, file: IO[bytes], fields: Mapping[str, Any] = _NO_FIELDS) -> None:
        self.pending: list[OrderResult] = []
        self._file = file
        self._fields = fields

    def write(self, result: OrderResult) -> None:
        """Add a line, and hand it to the operating system at once."""
        self.pending.append(result)
        self._file.write(_line(result, self._fields))
        self._file.flush()
        self.pending.clear()

    def flush(self) -> None:
        """Do nothing: every line is written already."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PartedReport:
    """A report in numbered objects. Part 0 is empty: it shows beforehand that writing works.

    :param path: the name that the parts' names are made from
    :param fields: what each line begins with
    :raises FileExistsError: there is such a part
    """

    def __init__(self, path: _Path, fields: Mapping[str, Any] = _NO_FIELDS) -> None:
        self.pending: list[OrderResult] = []
        self._path = path
        self._fields = fields
        self._part = 0
        self._due = 0.0
        self._write_part()

    def write(self, result: OrderResult) -> None:
        """Add a line to the part that is written next."""
        self.pending.append(result)
        self.flush()

    def flush(self) -> None:
        """Write the next part, if the last one is some seconds old."""
        if self.pending and time.monotonic() >= self._due:
            self._write_part()

    def close(self) -> None:
        """Write the last part."""
        if self.pending:
            self._write_part()

    def _write_part(self) -> None:
        name = f"{self._path.stem}.part{self._part:04d}{self._path.suffix}"
        path = self._path.with_name(name)
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        with path.open("wb") as file:
            file.write(b"".join(_line(result, self._fields) for result in self.pending))
        self.pending.clear()
        self._part += 1
        self._due = time.monotonic() + PART_EVERY_SECONDS


def _line(result: OrderResult, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({**fields, **result.to_json()}, ensure_ascii=False).encode() + b"\n"
