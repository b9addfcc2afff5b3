"""A run that was asked for a preview never cancels, however the request is spelled.

Airflow ignores unknown entries of a run's conf. A typo, another tool's word for a preview, or
``dag_run_conf_overrides_params = False`` would otherwise turn a preview into real cancellations.
So would a clear: Airflow then takes a param's default from the DAG's file as it is by now.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.api._validation import shown
from airflow_provider_ollang.operators._dag_run import conf_of_run, refuse_misspelled_params
from airflow_provider_ollang.operators._earlier_tries import EarlierTries

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


def refuse_preview(context: Context, *, preview: bool = False) -> None:
    """Fail the task before it cancels anything, if its run is a preview, or may have been one.

    :param preview: whether the task is in preview mode, and cancels nothing anyway
    :raises AirflowFailException: the run was asked for a preview, or was cleared, and an earlier
        try was a preview or may have been one
    """
    tries = EarlierTries(context)
    if not preview:
        _refuse_request(context)
        refuse_misspelled_params(context)
        if tries.previewed:
            raise _failure("an earlier try of this task was a preview")
        if tries.previewed is None:
            refuse_cleared(context)
    tries.save_mode(preview=preview)


def refuse_cleared(context: Context) -> None:
    """Fail the task if its run was cleared, and a param's default says that it is no preview.

    That default may have been another one before. A teardown has no other run to do its work.

    :raises AirflowFailException: the run may have been a preview
    """
    if not getattr(context["dag_run"], "clear_number", None) or _is_teardown(context):
        return
    params, conf = context.get("params") or {}, conf_of_run(context)
    for name in params.keys() - conf.keys():
        if _is_switch(name) and not _is_request(name, params[name]):
            raise _failure(
                f"this run was cleared, and its conf does not have the param {name!r}, whose "
                "default may have been another one before"
            )


def _is_teardown(context: Context) -> bool:
    return bool(getattr(context.get("task"), "is_teardown", False))


def _failure(reason: str) -> AirflowFailException:
    return AirflowFailException(
        f"Nothing was cancelled: {reason}. To cancel, trigger a new run, which looks for stale "
        "orders again."
    )


def _refuse_request(context: Context) -> None:
    """Look at the whole conf of the run, at its id, and at the names of its params."""
    dag_run: Any = context["dag_run"]
    requests = chain(
        _requests(getattr(dag_run, "conf", None), "conf"),
        _requests(getattr(dag_run, "run_id", None), "run_id"),
        _requests_in_params(context.get("params")),
    )
    if request := next(requests, None):
        raise AirflowFailException(
            f"Nothing was cancelled: this run was asked for a preview ({request}), but this task "
            "is not in preview mode. To preview, declare the param 'preview' in the DAG, pass "
            'preview="{{ params.preview }}" to BatchCancelOrdersOperator, and keep [core] '
            "dag_run_conf_overrides_params on. To cancel, remove that entry, or set it to false."
        )


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


def _requests_in_params(params: Any) -> Iterator[str]:
    """Yield the params with such a name, or with such a text where it is the run's mode."""
    for name, value in (params or {}).items():
        if _is_request(name, value):
            yield f"params[{shown(name)}] = {shown(value)}"
        elif not _MODE_NAMES.isdisjoint(_words(name)):
            yield from _requests(value, f"params[{shown(name)}]")


def _is_switch(name: str) -> bool:
    """Return whether a param of that name decides whether a run is a preview."""
    is_request = _is_request(name, True) or _is_request(name, False)
    return is_request or not _MODE_NAMES.isdisjoint(_words(name))


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
