from __future__ import annotations

import io
from typing import Any

from airflow_provider_ollang.cleanup.result import OrderResult
from tests.api.conftest import client, closed_port, sandbox  # noqa: F401 - fixtures


class ListedRecord:
    """A report in memory; it breaks after this many lines."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.results: list[OrderResult] = []
        self.pending: list[OrderResult] = []
        self.closed = False
        self._breaks_after = breaks_after

    def write(self, result: OrderResult) -> None:
        if len(self.results) == self._breaks_after:
            self.pending.append(result)
            raise OSError("no space left on device")
        self.results.append(result)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class MemoryPath:
    """An object of a store in memory: what a report needs of a path, and no more."""

    protocol = "memory"
    suffix = ".jsonl"

    def __init__(self, objects: dict[str, bytes], stem: str = "report") -> None:
        self.objects = objects
        self.stem = stem
        self.refuses = ""

    @property
    def parent(self) -> MemoryPath:
        return self

    def exists(self) -> bool:
        return self._name in self.objects

    def with_name(self, name: str) -> MemoryPath:
        other = MemoryPath(self.objects, name.removesuffix(self.suffix))
        other.refuses = self.refuses
        return other

    def open(self, mode: str) -> Any:
        if self.refuses and self.refuses in self._name:
            raise PermissionError("the store refuses it")
        path = self

        class Upload(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    path.objects[path._name] = self.getvalue()
                super().close()

        return Upload()

    @property
    def _name(self) -> str:
        return self.stem + self.suffix
