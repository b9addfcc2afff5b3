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
    # Loaded on first use, so that what lacks the extra can say so.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_provider_ollang.sandbox.extra import require_extra

    require_extra()
    from airflow_provider_ollang.sandbox.answers import Answer
    from airflow_provider_ollang.sandbox.server import Sandbox

    return {"Answer": Answer, "Sandbox": Sandbox}[name]
