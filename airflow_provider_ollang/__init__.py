"""Apache Airflow provider for Ollang: find stale translation orders and cancel them safely.

Airflow's provider discovery loads this module in every process, so it imports nothing but the
standard library's smallest parts.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow's provider discovery asks for, the connection form included."""
    from copy import deepcopy

    from airflow_provider_ollang.provider_info import PROVIDER_INFO

    return deepcopy(PROVIDER_INFO)  # Airflow writes into what it gets
