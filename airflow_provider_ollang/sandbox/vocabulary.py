"""The words of the Ollang API: its statuses, order types, languages and limits."""

from __future__ import annotations

PENDING = "pending"
ONGOING = "ongoing"
# The reference names no status for a cancelled order; this one is the sandbox's own.
CANCELLED = "cancelled"

STATUSES = (
    PENDING,
    ONGOING,
    "completed",
    "revision",
    "delayed",
    "waitingForCC",
    "waitingForSubtitle",
    "delivered",
    "qualityCheck",
    "readyToSent",
)

CREATABLE_TYPES = ("cc", "subtitle", "document", "aiDubbing", "studioDubbing")
OLDER_TYPES = ("proofreading", "other", "revision")
ORDER_TYPES = CREATABLE_TYPES + OLDER_TYPES

SUB_TYPES = ("closedCaption", "timecodedTranscription")
DUBBING_STYLES = ("overdub", "lipsync", "audioDescription")

ORDER_BY = ("id", "createdAt", "name", "status")
ORDER_DIRECTIONS = ("desc", "asc")
DEFAULT_TAKE = 10
MAX_TAKE = 50
MAX_MEMORIES = 20

LISTED_FIELDS = (
    "id",
    "name",
    "sourceLanguage",
    "targetLanguage",
    "status",
    "type",
    "createdAt",
    "clientId",
    "projectId",
)
