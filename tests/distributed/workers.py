"""The name of the Airflow worker that a process belongs to, as Airflow asks for it."""

from __future__ import annotations

import os
import socket

NAME = "CLEANUP_WORKER"


def hostname() -> str:
    """Return the worker's name in place of the machine's, which all of them share."""
    return os.environ.get(NAME) or socket.gethostname()
