"""The Markdown pages of this repository, taken apart as a forge shows them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of code. Its title is the file that it belongs in."""

    language: str
    file: str
    code: str

    @classmethod
    def from_fence(cls, fence: Token) -> Block:
        found = re.fullmatch(r'(\w*)(?: title="([^"]+)")?', fence.info.strip())
        assert found, f"a block of an odd kind: {fence.info!r}"
        return cls(found[1], found[2] or "", fence.content)

    @property
    def commands(self) -> list[str]:
        """The shell commands, those that go on in the next line joined."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


@dataclass(frozen=True)
class Table:
    head: list[str]
    rows: list[list[Token]]


class Page:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()

    @cached_property
    def tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.path.read_text())

    @cached_property
    def blocks(self) -> list[Block]:
        # The strict build of the site checks the blocks in which it includes a file.
        fences = [token for token in self.tokens if token.type == "fence"]
        return [Block.from_fence(it) for it in fences if not it.content.startswith("--8<--")]

    @cached_property
    def commands(self) -> list[str]:
        bash = [block for block in self.blocks if block.language == "bash"]
        return [command for block in bash for command in block.commands]

    @cached_property
    def links(self) -> list[str]:
        within = [child for token in self.tokens for child in token.children or ()]
        hrefs = [token.attrGet("href") or token.attrGet("src") for token in within]
        return [str(href) for href in hrefs if href]

    @cached_property
    def anchors(self) -> list[str]:
        """What a link to each heading ends in, as the forge makes it of the heading's text."""
        anchors: list[str] = []
        for opening, inline in zip(self.tokens, self.tokens[1:], strict=False):
            if opening.type == "heading_open":
                slug = re.sub(r"[^\w\- ]", "", text(inline).lower()).replace(" ", "-")
                before = sum(re.sub(r"-\d+$", "", anchor) == slug for anchor in anchors)
                anchors.append(f"{slug}-{before}" if before else slug)
        return anchors

    def table(self, heading: str, first: str) -> Table:
        """Return the first table below a heading that has a column ``first`` at its beginning."""
        tokens = iter(self.tokens)
        for token in tokens:
            if token.type == "heading_open" and text(next(tokens)) == heading:
                return next(table for table in _tables(tokens) if table.head[0] == first)
        raise AssertionError(f"{self.name} has no heading {heading!r}")

    @cached_property
    def tables(self) -> list[Table]:
        return list(_tables(iter(self.tokens)))


def _tables(tokens: Iterator[Token]) -> Iterator[Table]:
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(token)
        elif token.type == "table_close":
            yield Table([text(cell) for cell in rows[0]], rows[1:])
            rows = []


def text(inline: Token) -> str:
    """Return what a reader sees of a heading or a cell."""
    children = inline.children or ()
    return "".join(child.content for child in children if child.type in ("text", "code_inline"))


def code(inline: Token) -> list[str]:
    """Return what of it is shown as code."""
    return [child.content for child in inline.children or () if child.type == "code_inline"]


PAGES = {
    page.name: page
    for page in map(
        Page,
        sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "tests" / "EVIDENCE.md"]),
    )
}


def commands(start: str) -> list[str]:
    """Return the commands of all pages that begin so, each once."""
    every = (command for page in PAGES.values() for command in page.commands)
    found = list(dict.fromkeys(command for command in every if command.startswith(start)))
    assert found, f"no page has a command that starts with {start!r}"
    return found


def run(*command: str, cwd: Path = ROOT, seconds: float = 180, **environment: str) -> str:
    """Run a command of a page, as it is found in this environment; return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": path, **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
