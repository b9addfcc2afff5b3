"""The project's addresses, taken from the forge that builds it: a fork names its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class AddressHook(MetadataHookInterface):
    """Adds ``urls`` to the metadata of ``pyproject.toml``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the addresses."""
        metadata["urls"] = {"Ollang API": "https://api-docs.ollang.com", **_addresses(os.environ)}


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
