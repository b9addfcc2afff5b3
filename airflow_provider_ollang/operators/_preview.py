"""Whether a run is a preview: then nothing in it cancels.

A run can be asked for a preview in its conf, id or params, however that is spelled. Airflow ignores
unknown entries of a conf: a typo, another tool's word for a preview, or
``dag_run_conf_overrides_params = False`` would otherwise turn a preview into real cancellations.

Airflow also takes everything from the DAG's file as it is when each task starts, even the default
of a param: a run that began as a preview could go on, or be cleared, as one that cancels. So the
first task of a cleanup keeps what the file said then.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api._storable import storable
from airflow_provider_ollang.api._validation import shown

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

#: The XCom that says of each param and task whether it switched a preview on when the run began.
PREVIEW_PARAMS = "preview_params"
#: The orders that were cancelled, so that the counts include them.
CANCELLED = "ollang_cancelled"
#: Whether the last try was a preview.
PREVIEWED = "ollang_previewed"
#: What switched a preview on when the run began.
BEGUN = "ollang_begun"

#: A text that contains one of these, or a word much like one, asks for a preview.
_TERMS = ("preview", "dryrun", "simulate", "simulation")
#: A key that is one of these words, or two words that are one together, asks for one too.
_KEYS = frozenset(
    {"dry", "test", "testing", "testonly", "testrun", "trialrun", "noop", "whatif", "pretend"}
    | {"mock", "readonly", "listonly", "reportonly", "logonly", "nocancel", "nocancels"}
    | {"checkonly", "onlyfind", "findonly", "checkmode", "planonly", "dontcancel", "safemode"}
)
#: As a whole text too: ``{"mode": "dry"}``. ``{"env": "test"}`` does not.
_MODES = _KEYS - {"test", "testing"}
#: These ask for one by being switched off, alone or with words that add nothing.
_OPPOSITES = frozenset(
    {"cancel", "execute", "apply", "commit", "confirm", "confirmed", "live", "real", "forreal"}
)
_BESIDE = frozenset(
    {"do", "run", "is", "for", "order", "orders", "changes", "mode", "enable", "enabled", "now"}
    | {"really", "actually", "should", "allow", "allowed", "please"}
)
#: The text of a param with such a name says what the run does. Other texts are mostly filters.
_MODE_NAMES = frozenset({"mode", "action"})
_OFF = frozenset({"false", "no", "off", "n", "f", "0", "0.0"})
#: "preveiw", "previw", "pre-vew" and "dryun" are that close; "prevent" and "provide" are not.
_SIMILARITY = 0.75


def push_preview_params(context: Context) -> None:
    """Push them for the tasks that follow. In a cleared run, only what an earlier try has kept."""
    tries = EarlierTries(context)
    begun = tries.load(BEGUN)
    if begun is None and not was_cleared(context):
        begun = storable(dict(_switches(context)))
        tries.save(BEGUN, begun)
    if begun:
        context["ti"].xcom_push(key=PREVIEW_PARAMS, value=begun)


def _switches(context: Context) -> Iterator[tuple[str, Any]]:
    params = context.get("params") or {}
    yield from ((name, params[name]) for name in params if is_switch(name))
    task: Any = context["task"]
    for other in task.get_flat_relatives(upstream=False):
        if "preview" in other.template_fields:
            is_mapped = hasattr(other, "partial_kwargs")
            preview = other.partial_kwargs.get("preview", False) if is_mapped else other.preview
            with suppress(Exception):  # it needs what is not known yet
                rendered = other.render_template(preview, context)
                yield _switch_of_task(other), parameters.flag("preview", rendered)


def _switch_of_task(task: Any) -> str:
    return f"{task.task_id}.preview"


def refuse_preview(context: Context, *, preview: bool | None = None) -> None:
    """Fail the task before it cancels anything, if its run is a preview, or may have been one.

    :param preview: whether the task is in preview mode, and cancels nothing anyway; ``None`` for a
        task without such a mode
    :raises AirflowFailException: the run was asked for a preview, or began as one, or was cleared
        and may have been one
    """
    tries = EarlierTries(context)
    if not preview:
        if request := next(requests_of_run(context), None):
            raise AirflowFailException(
                f"Nothing was cancelled: this run was asked for a preview ({request}), but this "
                "task is not in preview mode. To preview, declare the param 'preview' in the DAG, "
                'pass preview="{{ params.preview }}" to BatchCancelOrdersOperator, and keep [core] '
                "dag_run_conf_overrides_params on. To cancel, remove that entry, or set it to "
                "false."
            )
        if tries.load(PREVIEWED):
            raise _failure("an earlier try of this task was a preview")
        refuse_begun_as_preview(context, tries, has_mode=preview is not None)
    else:  # for the mapped tasks beside this one: those that begin later
        switches = {_switch_of_task(context["task"]): True}
        context["ti"].xcom_push(key=PREVIEW_PARAMS, value=switches)
    tries.save(PREVIEWED, bool(preview))


def refuse_begun_as_preview(context: Context, tries: EarlierTries, *, has_mode: bool) -> None:
    """Fail the task if its run began as a preview, or was cleared and may have done so.

    Does nothing where the conf says what the run is: that stays as it was.

    :param tries: what earlier tries of the task have done
    :param has_mode: whether the task can be in preview mode
    :raises AirflowFailException: it did, or may have
    """
    if any(map(is_switch, conf_of_run(context))):
        return
    # What the tasks before this one, or mapped beside it, have pushed; and those that the file had.
    task: Any = context["task"]
    removed = {it for it, state in states_of_tasks(context["ti"]) if state == "removed"}
    task_ids = sorted({*task.get_flat_relative_ids(upstream=True), task.task_id} | removed)
    begun = context["ti"].xcom_pull(task_ids=task_ids, key=PREVIEW_PARAMS) or ()
    begun = [values for values in begun if isinstance(values, dict)]
    params = {name for name in context.get("params") or {} if is_switch(name)}
    own = {_switch_of_task(task)} if has_mode else set()
    # A task that the file did not have then goes by those that it had.
    is_new = has_mode and own.isdisjoint(chain(*begun))
    for name, value in chain(*(values.items() for values in begun)):
        is_decisive = is_new or name in params | own
        if is_decisive and next(requests_of_param(name, value), None):
            raise _failure(f"this run began as a preview ({name} was {value!r:.80})")
    # What the file said of this task can only be known where the finder's own tries keep it.
    unknown = (params | own if tries.are_known else params).difference(*begun)
    # No other run does the work of a teardown.
    is_real = tries.load(PREVIEWED) is False or task.is_teardown
    if unknown and was_cleared(context) and not is_real:
        raise _failure("this run was cleared, and may have been a preview before")


def _failure(reason: str) -> AirflowFailException:
    return AirflowFailException(f"Nothing was cancelled: {reason}. To cancel, trigger a new run.")


class EarlierTries:
    """What earlier tries of a task have kept for later ones, as far as Airflow keeps it.

    :param context: of the task's present try
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._is_first = context["ti"].try_number == 1

    @property
    def are_known(self) -> bool:
        """Whether this Airflow keeps it."""
        return self._store is not None

    def load(self, key: str) -> Any:
        """Return what an earlier try has kept, ``None`` if that is not known."""
        try:
            return None if self._store is None or self._is_first else self._store.get(key)
        except Exception:
            self._give_up("read")
            return None

    def save(self, key: str, value: Any) -> None:
        """Keep something for later tries."""
        try:
            if self._store is not None:
                self._store.set(key, value)
        except Exception:  # it must not fail a task that has cancelled its orders
            self._give_up("save")

    def _give_up(self, what: str) -> None:
        log.warning("Could not %s what the tries of this task have done", what, exc_info=True)
        self._store = None


def states_of_tasks(
    ti: Any, task_ids: Collection[str] | None = None
) -> Iterable[tuple[str, str | None]]:
    """Return tasks of the run with their states, those that the file has no more among them."""
    if not hasattr(ti, "get_task_states"):  # Airflow 2
        instances = ti.get_dagrun().get_task_instances()
        return [
            (it.task_id, it.state) for it in instances if it.task_id in (task_ids or {it.task_id})
        ]
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=task_ids and list(task_ids), run_ids=[ti.run_id]
    )
    return cast("dict[str, str | None]", states.get(ti.run_id, {})).items()


def was_cleared(context: Context) -> bool:
    """Return whether tasks of the run were cleared."""
    return bool(getattr(context["dag_run"], "clear_number", None))


def conf_of_run(context: Context) -> Mapping[str, Any]:
    """Return what the run was triggered with."""
    conf: Any = getattr(context["dag_run"], "conf", None)
    return conf if isinstance(conf, Mapping) else {}


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
