"""What the operators share: parameters that are checked twice, and Airflow's exceptions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    BaseOperator,
)

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api._storable import storable
from airflow_provider_ollang.api._validation import shown
from airflow_provider_ollang.api.errors import InvalidInputError, OllangError, with_hint
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators._preview import conf_of_run
from airflow_provider_ollang.operators.retry import (
    HAS_RETRY_POLICIES,
    RetryAfterPolicy,
    exception_to_retry,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.api.rate_limiter import RateLimiter

T = TypeVar("T")

#: The names of all operators' parameters.
PARAMETERS: set[str] = set()
#: "older_than" and "older_than_days", "max_order" and "max_orders" are that close.
_SIMILARITY = 0.75


class InvalidParameterError(InvalidInputError, AirflowFailException):
    """A parameter was invalid when its operator was constructed.

    A mapped task's operator is constructed when the task runs: it must not be retried then.
    """


class Parameter(Generic[T]):
    """A parameter's value as the task uses it: parsed once its templates are rendered.

    In an operator's class, ``_limit = Parameter(parse)`` makes the constructor's argument ``limit``
    a template field, has it checked when the DAG is parsed, and gives ``self._limit`` in the task.

    :param parse: takes the parameter's name and value, and returns the value to use
    :param hint: what to do if its template rendered to nothing
    """

    is_optional = False

    def __init__(
        self,
        parse: Callable[[str, Any], T],
        hint: str = "Fix the template, or remove the parameter if it is optional.",
    ) -> None:
        self.parse = parse
        self.hint = hint

    def __set_name__(self, operator: type[OllangBaseOperator], name: str) -> None:
        self.name = name.removeprefix("_")
        operator._parameters = {**operator._parameters, self.name: self}
        PARAMETERS.add(self.name)
        operator.template_fields = tuple(operator._parameters)

    def __get__(self, operator: OllangBaseOperator, kind: object) -> T:
        value: T = operator._values[self.name]
        return value


class OptionalParameter(Parameter[T | None]):
    """A parameter that may be left out; ``None`` then."""

    is_optional = True


class OllangBaseOperator(BaseOperator):
    """What the operators share: the connection, and parameters that are checked twice.

    They are checked when the DAG is parsed, as far as they are known then, and again once templates
    are rendered. ``None`` leaves out an optional one. A template that renders to nothing is an
    error: it cannot silently disable a filter or a limit.
    """

    _parameters: ClassVar[Mapping[str, Parameter[Any]]] = MappingProxyType({})
    #: The parameters' values in the running task.
    _values: Mapping[str, Any]

    ollang_conn_id: str
    _ollang_conn_id = Parameter(parameters.identifier)

    _running: OllangClient | None = None
    _is_killed = False
    _is_rendered = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        default_args: Mapping[str, Any] = kwargs.get("default_args") or {}
        #: What the DAG, or the task group, sets for operators that have such a parameter.
        self.unused_default_args = {
            name: value for name, value in default_args.items() if name not in self._parameters
        }
        # A mapped task passes None for each argument that its author left out.
        if HAS_RETRY_POLICIES and self.retry_policy is None:
            self.retry_policy = RetryAfterPolicy()

    def _check_parameters(self) -> None:
        """Raise for what is already known to be invalid; called at the end of each constructor."""
        self._left_out = {
            name
            for name, parameter in self._parameters.items()
            if parameter.is_optional and getattr(self, name) is None
        }
        self._incomplete: list[str] = []
        #: What a key of that name in a run's conf does not change.
        self.fixed_parameters = {
            name
            for name in self._parameters
            if not parameters.may_be_from_conf(name, getattr(self, name))
        }
        for name in self._parameters.keys() - self._left_out:
            value = getattr(self, name)
            if not parameters.is_rendered_later(value):
                try:
                    self._parameters[name].parse(name, value)
                except InvalidInputError as error:
                    raise InvalidParameterError(
                        f"{error.message} (task {self.task_id!r})"
                    ) from error

    def _take_parameters(self) -> None:
        """Take the rendered values of all parameters, before any of them is used."""
        self._values = {name: self._rendered(name) for name in self._parameters}

    def _rendered(self, name: str) -> Any:
        value, parameter = getattr(self, name), self._parameters[name]
        if value is None and name in self._left_out:
            return None
        if parameters.is_nothing(value):
            raise InvalidInputError(f"{name}: the template rendered to {value!r}. {parameter.hint}")
        if not self._is_rendered and parameters.is_rendered_later(value):
            raise InvalidInputError(
                f"{name}: {shown(value)} is a template that was not rendered. Airflow renders only "
                "those of a task: do not call execute() of an operator in a task of your own."
            )
        # With None, or nothing, in place of an expression, a text means something else.
        for item in parameters.parts(value):
            if isinstance(item, str) and item in self._incomplete:
                raise InvalidInputError(
                    f"{name}: an expression in the template has no value, so it rendered to "
                    f"{item!r:.120}. Give the expression a value, or put what is optional in "
                    "{% if … %}."
                )
        return parameter.parse(name, value)

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: Any = None
    ) -> Any:
        """Render as Airflow does, and note each text in which an expression has no value."""
        self._is_rendered = True
        if not isinstance(content, str):
            return super().render_template(content, context, jinja_env, seen_oids)
        has_value = True

        def look(value: Any) -> Any:  # Jinja calls it for the value of each {{ … }}
            nonlocal has_value
            has_value = has_value and not parameters.is_nothing(value)
            return value

        environment = (jinja_env or self.get_template_env()).overlay(finalize=look)
        rendered = super().render_template(content, context, environment, seen_oids)
        if isinstance(rendered, str) and not has_value:
            self._incomplete.append(rendered)
        return rendered

    def _refuse_ignored_settings(self, context: Context) -> None:
        """Fail if the conf or ``default_args`` seem to set a param or parameter, and do not.

        Airflow ignores a key that nothing takes, and whoever wrote it expects otherwise.
        """
        conf = conf_of_run(context)
        taken = self._taken_from_conf(context)
        # Not the context's params: those have all keys of the conf.
        declared = {*context["dag"].params, *self.params}
        fixed = {*self.template_fields} - taken - {"preview"}  # that one has rules of its own
        wanted = declared.difference(conf)
        for key in _undeclared(conf, declared | taken):
            for name in _much_like(key, wanted | fixed) or _in_short(key, wanted):
                hint = (
                    f"Was the param {name!r} meant? Correct the conf"
                    if name in declared
                    else f"The DAG takes {name} from elsewhere: set it there"
                )
                raise AirflowFailException(
                    f"Nothing was cancelled: Airflow ignores {key!r:.80} in the run's conf. {hint},"
                    " and trigger a new run."
                )
        dag: Any = context["dag"]
        for key in self.unused_default_args:
            is_taken = any(hasattr(task, key) for task in dag.tasks)
            meant = _much_like(key, PARAMETERS) or _in_short(key, PARAMETERS)
            for name in () if is_taken else meant:
                raise AirflowFailException(
                    f"Nothing was cancelled: no task takes {key!r} from default_args. Set {name!r} "
                    "at the tasks that have it."
                )

    def _taken_from_conf(self, context: Context) -> set[str]:
        """Return the names of parameters that a task of the DAG may take from the conf."""
        dag: Any = context["dag"]
        return {
            name
            for task in dag.tasks
            for name in task.template_fields
            if name not in getattr(task, "fixed_parameters", ())
        }

    @contextmanager
    def _client(self, rate_limiter: RateLimiter | None = None) -> Iterator[OllangClient]:
        """Yield a client that sends nothing more once the task is stopped."""
        hook = OllangHook(self._ollang_conn_id)
        with hook.get_conn(rate_limiter=rate_limiter) as client:
            self._running = client
            # Airflow only calls on_kill() and lets the task go on; it may have done so before this.
            if self._is_killed:
                client.rate_limiter.stop()
            try:
                yield client
            finally:  # threads of a call that was interrupted must not try again
                client.rate_limiter.stop()

    @contextmanager
    def _airflow_exceptions(self) -> Iterator[None]:
        """Turn this package's errors into Airflow's; final ones fail the task without retries."""
        try:
            yield
        except AirflowNotFoundException as error:
            raise AirflowFailException(
                f"{error!s:.300}. Add a connection of type ollang, with the API key as its "
                "password. If it is in a secrets backend, that is unreachable, or its value "
                "cannot be parsed."
            ) from error
        except OllangError as error:
            text = with_hint(str(error), error.hint)
            if not isinstance(error, InvalidInputError):  # that one names its field
                text += f" {self._where()}"
            if error.is_final:
                raise AirflowFailException(text) from error
            raise exception_to_retry(text, error.retry_after) from error

    def _where(self) -> str:
        """Return the connection and the base URL, for the end of a message."""
        base_url = f" to {self._running.base_url}" if self._running else ""
        return f"(connection {self.ollang_conn_id!r}{base_url})"

    def _skip(self, reason: str) -> NoReturn:
        # Airflow logs the exception too, but in a group that its UI collapses.
        self.log.info("Skipped: %s", reason)
        raise AirflowSkipException(reason)

    def _push(self, context: Context, key: str, value: Any) -> None:
        """Push an XCom that every database accepts, whatever text people wrote."""
        context["ti"].xcom_push(key=key, value=storable(value))

    def on_kill(self) -> None:
        """Send nothing more."""
        self._is_killed = True
        if self._running:
            self._running.rate_limiter.stop()


def _undeclared(conf: Mapping[str, Any], declared: set[str]) -> Iterator[str]:
    """Yield the keys that no param takes, and those in them: ``{"conf": {"limit": 5}}``."""
    for key in conf.keys() - declared:
        yield str(key)
        if isinstance(conf[key], Mapping):
            yield from map(str, conf[key])


def _much_like(key: str, names: Collection[str]) -> list[str]:
    """Return the name, if there is one, that a key is a misspelling of."""
    by_lower = {name.lower(): name for name in names}
    found = get_close_matches(key.lower(), by_lower, n=1, cutoff=_SIMILARITY)
    return [by_lower[name] for name in found]


def _in_short(key: str, names: Collection[str]) -> list[str]:
    """Return the names that a key is a part of: ``days`` for ``older_than_days``."""
    words = set(key.lower().split("_"))
    return [name for name in names if words.issubset(name.lower().split("_"))]
