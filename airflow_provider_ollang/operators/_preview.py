"""What asks for a preview, however it is spelled.

Airflow ignores unknown entries of a run's conf. A typo, another tool's word for a preview, or
``dag_run_conf_overrides_params = False`` would otherwise turn a preview into real cancellations.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.api._validation import shown

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: A text that contains one of these, or a word much like one, asks for a preview.
_TERMS = ("preview", "dryrun", "simulate", "simulation")
#: A key that is one of these words, or two words that are one together, asks for one too.
_KEYS = frozenset(
    {"dry", "test", "testing", "testonly", "testrun", "trialrun", "noop", "whatif", "pretend"}
    | {"mock", "readonly", "listonly", "reportonly", "logonly", "nocancel", "nocancels"}
    | {"checkonly", "checkmode", "planonly", "dontcancel", "safemode"}
)
#: As a whole text too: ``{"mode": "dry"}``. ``{"env": "test"}`` does not.
_MODES = _KEYS - {"test", "testing"}
#: These ask for one by being switched off, alone or with words that add nothing.
_OPPOSITES = frozenset({"cancel", "execute", "apply", "commit", "live", "real", "forreal"})
_BESIDE = frozenset(
    {"do", "run", "is", "for", "order", "orders", "changes", "mode", "enable", "enabled", "now"}
    | {"really", "actually", "should", "allow", "allowed", "confirm", "confirmed", "please"}
)
#: The text of a param with such a name says what the run does. Other texts are mostly filters.
_MODE_NAMES = frozenset({"mode", "action"})
_OFF = frozenset({"false", "no", "off", "n", "f", "0", "0.0"})
#: "preveiw", "previw", "pre-vew" and "dryun" are that close; "prevent" and "provide" are not.
_SIMILARITY = 0.75


def requests_of_run(context: Context) -> Iterator[str]:
    """Yield what asks for a preview in the run's conf, at any depth, in its id, or its params."""
    dag_run: Any = context["dag_run"]
    yield from _requests(getattr(dag_run, "conf", None), "conf")
    yield from _requests(getattr(dag_run, "run_id", None), "run_id")
    for name, value in (context.get("params") or {}).items():
        yield from requests_of_param(name, value)
    # Airflow ignores those that an operator does not take, such as misspelled ones.
    task: Any = context["task"]
    for name in task.unused_default_args:
        yield from requests_of_param(name, task.unused_default_args[name], "default_args")


def requests_of_param(name: str, value: Any, place: str = "params") -> Iterator[str]:
    """Yield the param if it asks for a preview, by its name or as the run's mode."""
    if _is_request(name, value):
        yield f"{place}[{shown(name)}] = {shown(value)}"
    elif not _MODE_NAMES.isdisjoint(_words(name)):
        yield from _requests(value, f"{place}[{shown(name)}]")


def is_switch(name: str) -> bool:
    """Return whether a param of that name decides whether a run is a preview."""
    is_request = _is_request(name, True) or _is_request(name, False)
    return is_request or not _MODE_NAMES.isdisjoint(_words(name))


def _requests(value: Any, place: str) -> Iterator[str]:
    """Yield what reads like a request for a preview, at any depth, with its place."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _is_request(str(key), item):
                yield f"{place}[{shown(key)}] = {shown(item)}"
            yield from _requests(item, f"{place}[{shown(key)}]")
    elif isinstance(value, str):
        words = _words(value)
        if _reads_like_preview(words) or "".join(words) in _MODES:
            yield f"{place} = {shown(value)}"
    elif isinstance(value, Collection):
        for index, item in enumerate(value):
            yield from _requests(item, f"{place}[{index}]")


def _is_request(key: str, value: Any) -> bool:
    is_off = str(value).strip().lower() in _OFF
    words = _words(key)
    if not _OPPOSITES.isdisjoint(words) and _OPPOSITES.union(_BESIDE).issuperset(words):
        return is_off
    is_key = not _KEYS.isdisjoint(_alone_and_in_pairs(words))
    return (is_key or _reads_like_preview(words)) and not is_off


def _reads_like_preview(words: list[str]) -> bool:
    joined = "".join(words)
    if any(term in joined for term in _TERMS):
        return True
    return any(_is_like(word, term) for word in _alone_and_in_pairs(words) for term in _TERMS)


def _is_like(word: str, term: str) -> bool:
    if sorted(word) == sorted(term):
        return True
    is_near = word[:1] == term[:1] and abs(len(word) - len(term)) <= 2
    return is_near and SequenceMatcher(None, word, term).ratio() >= _SIMILARITY


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case: ``dryRun``, ``--dry-run`` and ``DRY_RUN`` alike."""
    plain = unicodedata.normalize("NFKC", text)
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return re.findall(r"[^\W\d_]+", apart.lower())


def _alone_and_in_pairs(words: list[str]) -> set[str]:
    return {*words, *(first + second for first, second in pairwise(words))}
