from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox


class Client:
    """Talks to a sandbox over HTTP, with its key."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = sandbox.url
        self._session = requests.Session()
        self._session.headers["X-Api-Key"] = sandbox.api_key

    def get(self, path: str, **options: Any) -> requests.Response:
        return self._session.get(self._url + path, timeout=10, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self._session.post(self._url + path, **{"timeout": 10, **options})

    def cancel(self, order_id: str, **options: Any) -> requests.Response:
        return self.post(f"/integration/orders/cancel/{order_id}", **options)

    def list(self, **parameters: Any) -> dict[str, Any]:
        response = self.get("/integration/orders", params=bracketed(parameters))
        assert response.status_code == 200, response.text
        return response.json()

    def list_ids(self, **parameters: Any) -> list[str]:
        return [order["id"] for order in self.list(take=50, **parameters)["data"]]


_FILTERS = {
    "type": "filter[type]",
    "name": "filter[name]",
    "status": "filter[status]",
    "projectId": "filter[projectId]",
    "created_from": "filter[createdAtRange][from]",
    "created_to": "filter[createdAtRange][to]",
}


def bracketed(parameters: dict[str, Any]) -> dict[str, Any]:
    return {_FILTERS.get(name, f"pageOptions[{name}]"): parameters[name] for name in parameters}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(sandbox)
