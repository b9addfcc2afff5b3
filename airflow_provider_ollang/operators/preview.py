"""A run that was asked for a preview never cancels, however the request is spelled.

Airflow ignores what it does not know in a run's conf: a typo, another tool's word for a preview, or
a site that forbids overriding params would otherwise turn a preview into real cancels.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang.api.validation import shown

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: A text that contains one of these asks for a preview, and so does a word much like one of them.
_TERMS = ("preview", "dryrun", "simulate", "simulation")
#: As a key, one of these words, or two of them side by side, asks for one too.
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
    {"do", "run", "is", "for", "order", "orders", "changes", "mode"} | {"enable", "enabled"}
)
_OFF = frozenset({"false", "no", "off", "n", "f", "0", "0.0"})
#: "preveiw", "previw", "pre-vew" and "dryun" are that close; "prevent" and "provide" are not.
_SIMILARITY = 0.75


def refuse_if_preview_requested(context: Context, *, preview: bool = False) -> None:
    """Fail the task before it cancels anything, if its run was asked for a preview.

    Looks at all of the run's conf, and at the names of its params.

    :param preview: whether the task is in preview mode, and cancels nothing anyway
    :raises AirflowFailException: something in there reads like a preview or a dry run, and is not
        switched off
    """
    if preview:
        return
    conf = getattr(context["dag_run"], "conf", None)
    requests = chain(_requests(conf, "conf"), _requests_in_params(context.get("params")))
    if request := next(requests, None):
        raise AirflowFailException(
            f"Nothing was cancelled: this run was asked for a preview ({request}), but this task "
            "is not in preview mode. To preview, declare the param 'preview' in the DAG, pass "
            'preview="{{ params.preview }}" to BatchCancelOrdersOperator, and keep [core] '
            "dag_run_conf_overrides_params on. To cancel, remove that entry, or set it to false."
        )


def _requests(value: Any, place: str) -> Iterator[str]:
    """Yield what reads like a request for a preview, at any depth, with its place."""
    value = _parse_json(value)
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
    """Yield the params with such a name; texts in them are mostly the DAG author's own."""
    for name, value in (params or {}).items():
        if _is_request(name, value):
            yield f"params[{shown(name)}] = {shown(value)}"


def _is_request(key: str, value: Any) -> bool:
    is_off = str(value).strip().lower() in _OFF
    words = set(_words(key))
    if words & _OPPOSITES and words <= _OPPOSITES | _BESIDE:
        return is_off
    return _is_preview_key(key) and not is_off


def _is_preview_key(key: str) -> bool:
    words = _words(key)
    return _reads_like_preview(words) or not _KEYS.isdisjoint(_alone_and_in_pairs(words))


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


def _parse_json(value: Any) -> Any:
    """Return what JSON text stands for, and anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
