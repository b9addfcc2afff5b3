"""What must hold for an order before it is cancelled, by its name, status, folder and age."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from airflow_provider_ollang.api._secret import Masked
from airflow_provider_ollang.api.errors import ConditionNotMetError
from airflow_provider_ollang.api.models import (
    CANCELLED_STATUSES,
    Order,
    format_time,
    is_one_of,
    quoted,
)

#: An earlier date is a placeholder: it would make a new order the oldest of all.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

#: Invisible characters that Unicode does not call controls: fillers, variation selectors,
#: unassigned ones. Source: Unicode, DerivedCoreProperties, Default_Ignorable_Code_Point.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})

#: A shorter part of a pattern is not taken for a name: it would protect too many orders.
_SHORTEST_NAME = 3
#: People shorten ids, as they do those of commits; a shorter part would protect too many orders.
_SHORTEST_ID = 6
#: What lists, quotations and cut names have around a name.
_AROUND_NAMES = " *%-.:!>\"'`\u2022\u2026\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_NUMBER = re.compile(r"^[\s>*-]*(?:\d{1,3}[.)]|#\d{1,3}|\[[ x]\])\s")

#: A pattern that matches the empty text in one of these matches any name.
_PROBES = ("", "\ua66e", "0")

#: What word processors write for the characters of a keyboard.
_TYPED = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc", "'"),
        **dict.fromkeys("\u201c\u201d\u201f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)


class NamePattern:
    r"""A regular expression that is searched in an order's name, however the name is spelled.

    One name can be written in many ways that look the same: composed or decomposed, with no-break
    spaces, full-width letters, or invisible characters. Upper and lower case differ unless the
    pattern says ``(?i)``, and so do letters of different alphabets.

    :param pattern: the regular expression
    :raises re.error: it is not a regular expression
    :raises ValueError: it matches the empty text, and so any name
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        as_written = re.compile(pattern)
        if _matches_nothing(as_written):
            raise ValueError("it matches the empty text, and so every name")
        self._composed = _compiled(_rewritten(pattern, str)) or as_written
        self._folded = _compiled(_rewritten(pattern, _folded_literal)) or self._composed
        literals = _literals(pattern, as_written.flags)
        self._variants = tuple(dict.fromkeys((as_written, self._folded, *literals)))

    def matches(self, name: str) -> bool:
        """Return whether the name matches in any of its spellings, for an exclusion."""
        spellings = _spellings(name)
        return any(variant.search(text) for text in spellings for variant in self._variants)

    def matches_surely(self, name: str) -> bool:
        """Return whether the name matches as it is seen, for what must not include too much."""
        # Unicode's compatibility forms also equate what a person can tell apart (² and 2): here,
        # they can only rule a name out.
        seen = _composed(_seen(name))
        return bool(self._composed.search(seen) and self._folded.search(_folded(seen)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold for an order to be cancelled. The finder and the batch share this code.

    :param statuses: the order has one of these
    :param name_matches: the order's name matches
    :param exclude_name_matches: the order's name does not match
    :param folder_ids: the order is in one of these folders
    :param exclude_folder_ids: the order is in none of these folders, in upper or lower case
    :param created_before: the order was created at this time or before
    :param exclude_order_ids: the order's id is none of these, in upper or lower case
    """

    statuses: Collection[str] | None = None
    exclude_name_matches: NamePattern | None = None
    exclude_folder_ids: Collection[str] | None = None
    created_before: datetime | None = None
    exclude_order_ids: Collection[str] = ()
    name_matches: NamePattern | None = None
    folder_ids: Collection[str] | None = None

    def __post_init__(self) -> None:
        for name in ("exclude_folder_ids", "exclude_order_ids"):
            if (ids := getattr(self, name)) is not None:
                object.__setattr__(self, name, frozenset(it.casefold() for it in ids))

    def unmet(self, order: Order) -> ConditionNotMetError | None:
        """Return why the order is not to be cancelled, or ``None`` where all conditions hold."""
        # What is known for certain says more than what cannot be judged.
        unmet = min(self._all_unmet(order), key=lambda it: it[0] == "invalid", default=None)
        return ConditionNotMetError(order.id, *unmet) if unmet else None

    def check(self, order: Order) -> None:
        """Raise if an order, as it was just read, is not to be cancelled.

        :raises ConditionNotMetError: it is already cancelled, or a condition does not hold
        """
        if is_one_of(order.status, CANCELLED_STATUSES):
            reason = f"its status is {quoted(order.status)}"
            raise ConditionNotMetError(order.id, "already_cancelled", reason)
        if unmet := self.unmet(order):
            raise unmet

    def _all_unmet(self, order: Order) -> Iterator[tuple[str, str]]:
        """Yield for each condition that does not hold the outcome and the reason."""
        if self.statuses is not None and not is_one_of(order.status, self.statuses):
            expected = " or ".join(repr(status) for status in sorted(self.statuses))
            reason = f"its status is {quoted(order.status)}, expected {expected}"
            yield "status_changed" if isinstance(order.status, str) else "invalid", reason
        if any(is_id_of(it, order.id) for it in self.exclude_order_ids):
            yield "excluded", "its id is in exclude_order_ids"
        if self.created_before is not None:
            if order.created is None or order.created < EARLIEST:
                yield "invalid", f"its createdAt is {quoted(order.created_at)}"
            elif order.created > self.created_before:
                limit = format_time(self.created_before)
                yield "excluded", f"it was created at {order.created_at}, after {limit}"
        if self.name_matches or self.exclude_name_matches:
            yield from self._unmet_by_name(order.name)
        if self.folder_ids is not None or self.exclude_folder_ids is not None:
            yield from self._unmet_by_folder(order.folder_id)

    def _unmet_by_name(self, name: object) -> Iterator[tuple[str, str]]:
        # A name with the key masked in it is not the name that people see.
        if not isinstance(name, str) or isinstance(name, Masked):
            yield "invalid", f"its name is {quoted(name)}, which cannot be checked"
            return
        if self.exclude_name_matches and self.exclude_name_matches.matches(name):
            yield "excluded", f"its name {quoted(name)} matches exclude_name_matches"
        if self.name_matches and not self.name_matches.matches_surely(name):
            yield "excluded", f"its name {quoted(name)} does not match name_matches"

    def _unmet_by_folder(self, folder: object) -> Iterator[tuple[str, str]]:
        if not is_id(folder):
            yield "invalid", f"its folderId is {quoted(folder)}"
            return
        if self.folder_ids is not None and folder not in self.folder_ids:
            yield "excluded", f"its folder {quoted(folder)} is not in folder_ids"
        if self.exclude_folder_ids and str(folder).casefold() in self.exclude_folder_ids:
            yield "excluded", f"its folder {quoted(folder)} is in exclude_folder_ids"


def is_id_of(excluded: str, order_id: str) -> bool:
    """Return whether an id to exclude, in lower case, is that of an order, or a part of it."""
    found = order_id.casefold()
    return excluded == found or (len(excluded) >= _SHORTEST_ID and excluded in found)


def is_id(value: object) -> bool:
    """Return whether a field's value, which may be anything, can be an id."""
    return isinstance(value, str) and bool(value.strip())


def _spellings(name: str) -> Collection[str]:
    """Return the ways in which a name can be read: an invisible character may be a gap, or not."""
    folded = [_folded(text) for text in (name, _seen(name), _seen(name, " "))]
    return dict.fromkeys([name, *folded, *(" ".join(text.split()) for text in folded)])


@cache
def _seen_char(char: str, invisible: str) -> str:
    if char.isspace() or char == "\u2800":  # a blank Braille cell
        return " "
    is_invisible = unicodedata.category(char) in _INVISIBLE_CATEGORIES or _IGNORABLE.match(char)
    return invisible if is_invisible else char


def _seen(text: str, invisible: str = "") -> str:
    """Return a text with plain spaces, and with what is given for invisible characters."""
    return "".join(_seen_char(char, invisible) for char in text)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_TYPED)


def _literals(pattern: str, flags: int) -> Iterator[re.Pattern[str]]:
    """Yield the pattern as plain text: ``Trailer (final), Cost $5`` may be pasted names."""
    plain = re.sub(r"^\(\?[a-zA-Z]+\)", "", pattern)
    # A summary that is not shown as a table has names with HTML entities.
    pasted = dict.fromkeys((plain, html.unescape(plain)))
    parts = [
        _NUMBER.sub("", part).strip(_AROUND_NAMES)
        for text in pasted
        for part in re.split(r"[|,;\n\t\u2022]", text)
    ]
    for name in (*pasted, *(part for part in parts if len(part) >= _SHORTEST_NAME)):
        for text in (name, _folded(name), " ".join(_folded(_seen(name)).split())):
            if text.strip():
                yield re.compile(re.escape(text), flags & re.IGNORECASE)


def _folded_literal(char: str) -> str:
    folded = _folded(char)
    return folded if folded == char or folded.isalnum() else re.escape(folded)


def _rewritten(pattern: str, change: Callable[[str], str]) -> str:
    """Return a pattern as it is seen, each character beyond ASCII changed; escapes stay."""

    def changed(char: str) -> str:  # ASCII white space may be syntax, as in (?x)
        return char if char.isascii() else change(_seen(char))

    pieces = re.split(r"(\\.)", pattern, flags=re.DOTALL)
    return "".join(
        it if it.startswith("\\") else _composed("".join(map(changed, it))) for it in pieces
    )


def _matches_nothing(pattern: re.Pattern[str]) -> bool:
    found = (pattern.search(text) for text in _PROBES)
    return any(match and match.start() == match.end() for match in found)


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the pattern, ``None`` if rewriting it has made it invalid."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None
    return None if _matches_nothing(compiled) else compiled
