"""A local server that speaks the Ollang integration API, for tests and for trying things out.

It keeps its orders in memory, so cancelling costs nothing. Needs the extra ``sandbox``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._app import RecordedRequest
    from airflow_provider_ollang.sandbox._faults import Stub
    from airflow_provider_ollang.sandbox._server import Sandbox

__all__ = ["RecordedRequest", "Sandbox", "Stub"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that a missing extra gets a message of its own.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}._server"), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            "the sandbox needs its extra: pip install 'airflow-provider-ollang[sandbox]', "
            "in a checkout pip install '.[sandbox]'"
        ) from error
