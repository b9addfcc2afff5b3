"""Canned answers, for tests that decide what the next requests meet."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_ollang.sandbox import faults
from airflow_provider_ollang.sandbox.exchange import Exchange


@dataclass(frozen=True)
class Answer:
    """What a request is answered with, instead of what the API would say.

    With neither ``status`` nor ``fault`` the API answers itself, after ``delay``. A
    ``Content-Length`` in ``headers`` that promises more than ``body`` cuts the answer off.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    """Seconds to wait first."""
    fault: str | None = None
    """One of the kinds that ``--faults`` takes, such as ``reset-after``."""

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in faults.KINDS:
            raise ValueError(f"fault must be one of {', '.join(faults.KINDS)}, not {self.fault!r}")
        if self.fault is not None and self.status is not None:
            raise ValueError("an answer has a status or a fault, not both")

    @classmethod
    def json(
        cls, status: int, value: Any, headers: Mapping[str, str] | None = None, delay: float = 0.0
    ) -> Answer:
        """Return an answer whose body is ``value`` as JSON."""
        content_type = {"content-type": "application/json; charset=utf-8"}
        body = json.dumps(value).encode()
        return cls(status, {**content_type, **(headers or {})}, body, delay)

    async def give(self, exchange: Exchange) -> None:
        """End ``exchange`` with this answer."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.fault is not None:
            await faults.make(self.fault, exchange)
        elif self.status is not None:
            await exchange.respond(self.status, self.headers.items(), self.body)
        else:
            await exchange.handle()


@dataclass(frozen=True)
class _Expected:
    method: str | None
    path: str
    answer: Answer

    def fits(self, method: str, path: str) -> bool:
        return self.method in (None, method) and fnmatchcase(path, self.path)


class Script:
    """The canned answers that are still to be given; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: list[_Expected] = []
        self._standing: list[_Expected] = []

    def answer_next(self, *answers: Answer, method: str | None = None, path: str = "*") -> None:
        """Give each of ``answers`` once, in this order, to the next requests that fit."""
        with self._lock:
            self._next += [_Expected(method, path, answer) for answer in answers]

    def answer_always(self, answer: Answer, method: str | None = None, path: str = "*") -> None:
        """Give ``answer`` to every request that fits, once the answers for the next are used up."""
        with self._lock:
            self._standing.insert(0, _Expected(method, path, answer))

    def clear(self) -> None:
        """Give no canned answers any more."""
        with self._lock:
            self._next.clear()
            self._standing.clear()

    def take(self, method: str, path: str) -> Answer | None:
        """Return the canned answer to this request, or ``None`` where the API shall answer."""
        if not self._next and not self._standing:
            return None
        with self._lock:
            for expected in self._next:
                if expected.fits(method, path):
                    self._next.remove(expected)
                    return expected.answer
            fitting = (standing for standing in self._standing if standing.fits(method, path))
            return next((standing.answer for standing in fitting), None)
