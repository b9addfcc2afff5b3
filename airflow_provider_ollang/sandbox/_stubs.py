"""Stub responses, for tests that decide what the next requests get."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from starlette.responses import Response

from airflow_provider_ollang.sandbox._faults import KINDS, Fault, TruncatedResponse


@dataclass(frozen=True)
class Stub:
    """What a request gets, instead of what the API would say.

    With neither ``status`` nor ``fault`` the API itself responds, after ``delay``. A
    ``Content-Length`` in ``headers`` that promises more than ``body`` cuts the response off.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    """Seconds to wait first."""
    fault: str | Fault | None = None
    """A kind that ``--faults`` takes, such as ``reset-after``, or a fault of your own."""

    def __post_init__(self) -> None:
        if isinstance(self.fault, str) and self.fault not in KINDS:
            raise ValueError(f"fault must be one of {', '.join(KINDS)}, got {self.fault!r}")
        if self.fault is not None and self.status is not None:
            raise ValueError("a stub response has a status or a fault, not both")

    @classmethod
    def json(
        cls, status: int, value: Any, headers: Mapping[str, str] | None = None, delay: float = 0.0
    ) -> Stub:
        """Return a stub response whose body is ``value`` as JSON."""
        content_type = {"content-type": "application/json; charset=utf-8"}
        body = json.dumps(value).encode()
        return cls(status, {**content_type, **(headers or {})}, body, delay)

    @property
    def chosen_fault(self) -> Fault | None:
        """The fault that the request meets."""
        return KINDS[self.fault] if isinstance(self.fault, str) else self.fault

    def response(self) -> Response | None:
        """Return the response, or ``None`` where the API itself shall respond."""
        if self.status is None:
            return None
        headers = {name.lower(): value for name, value in self.headers.items()}
        cut_off = int(headers.get("content-length", "0")) > len(self.body)
        return (TruncatedResponse if cut_off else Response)(self.body, self.status, headers)


class Stubs:
    """The stub responses that requests are still to get."""

    def __init__(self) -> None:
        self._next: list[tuple[str, str, Stub]] = []
        self._always: list[tuple[str, str, Stub]] = []

    def respond_next(self, *stubs: Stub, method: str | None = None, path: str = "*") -> None:
        """Give each of ``stubs`` once, in this order, to the next requests that fit.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._next += [(method or "*", path, stub) for stub in stubs]

    def respond_always(self, stub: Stub, method: str | None = None, path: str = "*") -> None:
        """Give ``stub`` to every request that fits, after those of ``respond_next``.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._always.insert(0, (method or "*", path, stub))

    def respond_normally(self) -> None:
        """Drop every stub response."""
        self._next, self._always = [], []

    def take_stub(self, method: str, path: str) -> Stub | None:
        """Return the stub response to this request, or ``None`` where the API shall respond."""
        for stubs in (self._next, self._always):
            for stub in stubs:
                if fnmatchcase(method, stub[0]) and fnmatchcase(path, stub[1]):
                    if stubs is self._next:
                        stubs.remove(stub)
                    return stub[2]
        return None
