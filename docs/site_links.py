"""Lets a link that works on the forge work on the site, too, where it leaves the folder docs.

Some of these files become pages; any other one is copied beside the pages.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT = DOCS.parent
#: Files outside the folder docs, and the pages they become.
PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "tests/EVIDENCE.md": "project/evidence.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages whose source lies outside the folder docs."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point each link at where its target is on the site."""
    folder = Path(page.file.abs_src_path).parent
    here = PurePosixPath(page.file.src_uri).parent.as_posix()

    def moved(link: re.Match[str]) -> str:
        target = (folder / link[1]).resolve()
        return relpath(_place(target, config, files), here) if target.exists() else link[1]

    return LINK.sub(moved, markdown)


def _place(target: Path, config: Any, files: Files) -> str:
    """Return the target's place on the site; a file outside the folder docs is copied there."""
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    name = target.relative_to(ROOT).as_posix()
    if name == "README.md":
        return name
    if name not in PAGES and files.get_file_from_path(name) is None:
        files.append(File.generated(config, name, abs_src_path=str(target)))
    return PAGES.get(name, name)
