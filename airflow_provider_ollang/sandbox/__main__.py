"""The command ``ollang-sandbox``, which is also ``python -m airflow_provider_ollang.sandbox``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airflow_provider_ollang.sandbox.extra import require_extra


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, or say that the extra it needs is missing; return the exit code."""
    try:
        require_extra()
    except ImportError as error:
        sys.stderr.write(f"ollang-sandbox: {error}\n")
        return 1
    from airflow_provider_ollang.sandbox import command

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
