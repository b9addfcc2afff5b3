"""The project's addresses, taken from the forge that builds it: a fork names its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: A link or a picture of the README that leads into the repository.
LINK = re.compile(r"(!?)(\[[^]]*\]\()(?!https?:|#)")


class AddressHook(MetadataHookInterface):
    """Adds ``urls`` and ``readme`` to the metadata of ``pyproject.toml``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the addresses, also to the README: an index shows it without the repository."""
        addresses, readme = _addresses(os.environ), Path(self.root, "README.md").read_text()
        if source := addresses.get("Source"):
            readme = LINK.sub(
                lambda link: f"{link[0]}{source}/{'raw' if link[1] else 'blob'}/main/", readme
            )
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
        metadata["urls"] = {"Ollang API": "https://api-docs.ollang.com", **addresses}


def _addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those of the repository in which a GitHub workflow runs, none elsewhere."""
    server, repository = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    if not server or not repository:
        return {}
    source, (owner, name) = f"{server}/{repository}", repository.split("/")
    return {
        "Source": source,
        "Documentation": f"https://{owner.lower()}.github.io/{name}/",
        "Changelog": f"{source}/blob/main/CHANGELOG.md",
        "Issues": f"{source}/issues",
    }
