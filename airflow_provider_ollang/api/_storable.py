"""Values of the API as every database and file takes them."""

from __future__ import annotations

import re
from typing import Any

#: PostgreSQL stores no NUL, and no encoding can write half of a surrogate pair.
_REJECTED = re.compile("[\0\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Return a JSON value with U+FFFD for each character that databases reject."""
    if isinstance(value, str):
        return _REJECTED.sub("\ufffd", value)
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    return value
