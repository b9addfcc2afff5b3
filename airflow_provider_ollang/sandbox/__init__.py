"""A local server that speaks the Ollang integration API, for tests and for trying things out.

It keeps its orders in memory, so a cancel against it costs nothing. Needs the extra ``sandbox``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox.answers import Answer
    from airflow_provider_ollang.sandbox.server import Sandbox

__all__ = ["Answer", "Sandbox"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that the command line can say which extra is missing.
    if name == "Sandbox":
        from airflow_provider_ollang.sandbox.server import Sandbox

        return Sandbox
    if name == "Answer":
        from airflow_provider_ollang.sandbox.answers import Answer

        return Answer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
