"""What a request to create orders asks for, and what the API says that it created."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_ollang.api._validation import check_order_id
from airflow_provider_ollang.api.errors import InvalidInputError

#: Source of all: https://api-docs.ollang.com, "Create order".
CREATABLE_TYPES = frozenset({"cc", "subtitle", "document", "aiDubbing", "studioDubbing"})
SUB_TYPES = frozenset({"closedCaption", "timecodedTranscription"})
DUBBING_STYLES = frozenset({"overdub", "lipsync", "audioDescription"})


@dataclass(frozen=True, slots=True)
class TargetLanguage:
    """One of the languages to translate into.

    :param language: its code, such as ``fr`` or ``pt-BR``
    :param is_rush: whether the order is urgent
    """

    language: str
    is_rush: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """Which orders to create: one for each language, and what the API adds to them.

    :param project_id: the project that they belong to
    :param order_type: one of :data:`CREATABLE_TYPES`
    :param target_languages: the languages, each once
    :param level: 0 for AI only, 1 for a human review
    :param order_sub_type: one of :data:`SUB_TYPES`
    :param dubbing_style: one of :data:`DUBBING_STYLES`
    :param callback_url: gets a ``POST`` for each order that completes, sometimes two
    :param auto_qc: whether the result is checked automatically
    :param selected_memories: ids of translation memories
    """

    project_id: str
    order_type: str
    target_languages: Sequence[TargetLanguage]
    level: int = 0
    order_sub_type: str | None = None
    dubbing_style: str | None = None
    callback_url: str | None = None
    auto_qc: bool | None = None
    selected_memories: Sequence[str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the request's body, without what is not set."""
        fields = {
            "projectId": self.project_id,
            "orderType": self.order_type,
            "level": self.level,
            "targetLanguageConfigs": [
                {"language": it.language, "isRush": it.is_rush} for it in self.target_languages
            ],
            "orderSubType": self.order_sub_type,
            "dubbingStyle": self.dubbing_style,
            "callbackUrl": self.callback_url,
            "autoQc": self.auto_qc,
            "selectedMemories": self.selected_memories and list(self.selected_memories),
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CreatedOrder:
    """An order that a request created.

    :param id: the order's id
    :param type: its type, where the API says so
    """

    id: str
    type: str | None = None


def parse_created(response: Any) -> list[CreatedOrder]:
    """Return the created orders that a response lists, each once; none if it lists anything else.

    :param response: the response's JSON: ``[{"orderId": "…"}, …]``
    """
    try:
        kinds = {check_order_id(it["orderId"]): it.get("orderType") for it in response}
    except (InvalidInputError, LookupError, TypeError):
        return []
    return [CreatedOrder(it, kind if isinstance(kind, str) else None) for it, kind in kinds.items()]
