"""What holds for every task, whatever it was given and whatever response it got."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)
from hypothesis import HealthCheck, settings
from jinja2 import TemplateError

from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.api.models import ORDER_TYPES, STATUSES
from airflow_provider_ollang.operators.retry import RetryAfterException
from airflow_provider_ollang.sandbox import RecordedRequest, Sandbox

from .conftest import Run

KEY = "s3cr3t-k3y-0f-th3-s4ndb0x"
ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
LONGEST_MESSAGE = 2000

LISTING = "/integration/orders"
CANCEL = "/integration/orders/cancel/"
#: The documented parameters of a listing, and what each may be.
QUERY = {
    "pageOptions[page]": re.compile(r"[1-9][0-9]{0,5}"),
    "pageOptions[take]": re.compile(r"[1-9]|[1-4][0-9]|50"),
    "pageOptions[orderBy]": re.compile(r"id|createdAt|name|status"),
    "pageOptions[orderDirection]": re.compile(r"asc|desc"),
    "filter[createdAtRange][to]": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"),
    "filter[type]": re.compile("|".join(ORDER_TYPES)),
    "filter[status]": re.compile("|".join(STATUSES)),
    "filter[projectId]": re.compile(r"(?s).+"),
}


def examples(number: int) -> settings:
    """Return settings for this many examples. How long one takes says nothing on a busy machine."""
    return settings(
        max_examples=number,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@contextmanager
def standing_sandbox(**extra: Any) -> Iterator[Sandbox]:
    """Run a sandbox for many examples, with ``ollang_default`` leading there, one attempt each."""
    with Sandbox(order_count=0, api_key=KEY) as sandbox, pytest.MonkeyPatch.context() as patch:
        connection = {
            "conn_type": "ollang",
            "host": sandbox.url,
            "password": KEY,
            "extra": {"max_attempts": 1, "timeout": 20, **extra},
        }
        patch.setenv("AIRFLOW_CONN_OLLANG_DEFAULT", json.dumps(connection))
        yield sandbox


@dataclass
class Ending:
    """How a task ended: with a result, or with an error, and after which requests."""

    result: Any = None
    error: AirflowException | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)
    requests: list[RecordedRequest] = field(default_factory=list)

    @property
    def cancelled(self) -> list[str]:
        """Return the ids that a cancel was sent for."""
        return [str(request.order_id) for request in self.requests if request.is_cancel]

    @property
    def is_invalid_input(self) -> bool:
        return self.error is not None and isinstance(self.error.__cause__, InvalidInputError)


def end_of(sandbox: Sandbox, operator: Any, **params: Any) -> Ending:
    """Render and execute an operator, check what always holds, and return how it ended."""
    run = Run(params=params, task=operator)
    ending = Ending(xcoms=run.xcoms)
    try:
        operator.render_template_fields(run.context)
    except TemplateError:  # Airflow ends the task before it is executed
        assert sandbox.requests == []
        return ending
    try:
        ending.result = operator.execute(run.context)
    except Exception as error:
        assert_documented(error)
        ending.error = error
    ending.requests = sandbox.requests
    assert_sendable(ending.result)
    assert_sendable(ending.xcoms)
    for request in ending.requests:
        assert_valid(request)
    assert not (ending.is_invalid_input and ending.requests), ending
    return ending


def assert_documented(error: BaseException) -> None:
    """Check that it is one of the errors that say what Airflow is to do, in one short line."""
    expected = (
        *(AirflowSkipException, AirflowFailException, AirflowException),
        RetryAfterException,
    )
    assert type(error) in expected, "".join(traceback.format_exception(error))
    assert_readable(str(error))


def assert_readable(message: str) -> None:
    assert message.isprintable(), message
    assert 0 < len(message) < LONGEST_MESSAGE, message
    assert KEY not in message


def assert_sendable(value: Any) -> None:
    """Check that Airflow can push it: JSON of finite numbers, in UTF-8, and without the key."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert KEY not in text
    text.encode()


def assert_valid(request: RecordedRequest) -> None:
    """Check that the API documents such a request."""
    assert request.key_accepted
    path = urlsplit(request.path).path
    if request.method == "GET" and path == LISTING:
        for name, value in request.query.items():
            assert QUERY[name].fullmatch(value), request
        return
    start = {"GET": f"{LISTING}/", "POST": CANCEL}[request.method]
    assert path.startswith(start), request
    assert ORDER_ID.fullmatch(path.removeprefix(start)), request
    assert request.query == {}
