"""The command ``ollang-sandbox``, which is also ``python -m airflow_provider_ollang.sandbox``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

_REQUIREMENTS = ("starlette", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, or say that the extra it needs is missing; return the exit code."""
    if not all(map(importlib.util.find_spec, _REQUIREMENTS)):
        sys.stderr.write(
            "ollang-sandbox: the sandbox needs its extra: "
            "pip install 'airflow-provider-ollang[sandbox]'\n"
        )
        return 1
    from airflow_provider_ollang.sandbox import command

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
