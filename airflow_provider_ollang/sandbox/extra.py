"""The packages that only the sandbox needs."""

from __future__ import annotations

import importlib.util

_REQUIREMENTS = ("starlette", "uvicorn")


def require_extra() -> None:
    """Check that the extra ``sandbox`` is installed.

    :raises ImportError: it is not; the message says what to install
    """
    if not all(map(importlib.util.find_spec, _REQUIREMENTS)):
        raise ImportError(
            "the sandbox needs its extra: pip install 'airflow-provider-ollang[sandbox]', "
            "in a checkout pip install '.[sandbox]'"
        )
