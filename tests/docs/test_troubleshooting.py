"""docs/troubleshooting.md has every message that the package can show; the code says which.

What reads like words in the code is a message: all texts but docstrings and what is logged as
information. A text with values in it is known by its longest part between them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, code

PACKAGE = ROOT / "airflow_provider_ollang"
#: Texts of the connection's form, and of the table that is made for an approval.
NO_MESSAGES = {"provider_info.py", "cleanup/summary.py"}
#: What each entry quotes.
ENTRIES = [
    code(row[0])
    for table in PAGES["docs/troubleshooting.md"].tables
    if table.head[0] == "message"
    for row in table.rows
]
#: Messages in which others speak: the API, and urllib3.
OF_OTHERS = re.compile(r"HTTP \d{3}|Unverified HTTPS request")


class Texts(ast.NodeVisitor):
    """Collects the longest fixed part of each text."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # else it is a docstring
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if getattr(node.func, "attr", None) not in ("info", "debug"):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(re.split(r"%[.\d]*[a-z]", node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._add([part.value for part in node.values if isinstance(part, ast.Constant)])
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def _add(self, parts: list[str]) -> None:
        longest = max(parts, key=len, default="").strip()
        if len(re.findall(r"[A-Za-z]+", longest)) > 1 and " " in longest:
            self.found.add(longest)


def messages(module: Path) -> set[str]:
    texts = Texts()
    tree = ast.parse(module.read_text())
    if module.parent.name == "sandbox":  # full of texts that stand for the API's
        for node in ast.walk(tree):
            is_shown = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "write"
            if is_shown or isinstance(node, ast.Raise):
                texts.visit(node)
    else:
        texts.visit(tree)
    return texts.found


def modules() -> Iterator[str]:
    for module in sorted(PACKAGE.rglob("*.py")):
        name = module.relative_to(PACKAGE).as_posix()
        if name not in NO_MESSAGES and messages(module):
            yield name


@pytest.mark.parametrize("module", list(modules()))
def test_every_message_has_its_entry(module: str) -> None:
    quotes = "\n".join(quote for entry in ENTRIES for quote in entry)
    assert {message for message in messages(PACKAGE / module) if message not in quotes} == set()


def test_every_entry_is_about_a_message_that_there_is() -> None:
    known = [message for module in modules() for message in messages(PACKAGE / module)]
    for entry in ENTRIES:
        is_ours = any(message in quote for message in known for quote in entry)
        assert is_ours or any(map(OF_OTHERS.match, entry)), entry


def test_all_of_the_code_is_looked_at() -> None:
    found = {message for module in modules() for message in messages(PACKAGE / module)}
    assert len(found) > 100
    assert "There is no order to cancel." in found  # raised
    assert "follows in" in found  # a warning
    assert "orders are stale, max_orders allows" in found  # part of another message
    assert "the rates must not exceed 1 together" in found  # the sandbox's
