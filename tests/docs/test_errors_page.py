"""Each message that docs/reference/errors.md explains is one that the package can show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from .pages import PAGES, ROOT, code

MESSAGES = [
    quote
    for table in PAGES["docs/reference/errors.md"].tables
    if table.head[0] == "message"
    for row in table.rows
    for quote in code(row[0])
]


def texts() -> Iterator[str]:
    """Yield every text of the package; what stands between its parts is an ellipsis."""
    for module in sorted((ROOT / "airflow_provider_ollang").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%[.\d]*[a-z]", "…", node.value)


TEXTS = list(texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_no_entry_is_orphaned(message):
    assert any(message.strip("…. ") in text for text in TEXTS)
