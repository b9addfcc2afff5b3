"""The Airflow that this provider needs, said in a sentence instead of an import error."""

from __future__ import annotations

OLDEST = (2, 11)


def require_airflow() -> None:
    """Check that Airflow is there and not too old.

    :raises RuntimeError: it is not; the message says what to do
    """
    try:
        from airflow import __version__ as found
    except ModuleNotFoundError as error:
        if error.name != "airflow":  # Airflow is there, and broken
            raise
        found = "none"
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise RuntimeError(
            f"airflow-provider-ollang needs Apache Airflow {needed} or newer, found {found}. "
            "Install or upgrade Airflow, or remove this provider."
        )
