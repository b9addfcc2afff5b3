"""The hook: an Ollang client made from an Airflow connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api._validation import check_api_key, check_base_url, check_verify
from airflow_provider_ollang.api.errors import InvalidInputError, OllangError, with_hint
from airflow_provider_ollang.provider_info import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.api.rate_limiter import RateLimiter

#: In a URI, one of ``/ ? # [ ]`` in a key makes it invalid, or puts the key in another field.
_KEY_IN_TEXT = (
    "In a URI, encode the API key with urllib.parse.quote(key, safe=''): ollang://:ENCODED@. "
    'Or use JSON: {"conn_type": "ollang", "password": "KEY"}.'
)

T = TypeVar("T")


class OllangHook(BaseHook):
    """Reads an Ollang connection and returns a client of the API.

    The connection's password is the API key, its host the base URL (optional). Its extras:
    ``timeout`` (seconds for a complete response), ``max_attempts``, ``verify`` (path of a CA
    bundle, or false) and ``allow_http`` (plain http to other machines).

    :param ollang_conn_id: the connection
    """

    conn_name_attr = "ollang_conn_id"
    default_conn_name = "ollang_default"
    conn_type = CONNECTION_TYPE["connection-type"]
    hook_name = CONNECTION_TYPE["hook-name"]

    def __init__(self, ollang_conn_id: str = "ollang_default") -> None:
        super().__init__()
        self.ollang_conn_id = ollang_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields for Airflow before 3.2."""
        behaviour = CONNECTION_TYPE["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import IntegerField, StringField
        from wtforms.validators import Optional

        return {
            name: (IntegerField if "integer" in field["schema"]["type"] else StringField)(
                field["label"],
                validators=[Optional()],  # else an empty number is rejected
                description=field["description"],
                widget=BS3TextFieldWidget(),
            )
            for name, field in CONNECTION_TYPE["conn-fields"].items()
        }

    def get_conn(self, *, rate_limiter: RateLimiter | None = None) -> OllangClient:
        """Return a client made from the connection; use it as a context manager, or close it.

        :param rate_limiter: when requests may start; stop it to end all of the client's calls
        :raises InvalidInputError: a field of the connection is invalid; the message names it
        """
        return client_from_connection(self._connection(), rate_limiter=rate_limiter)

    def test_connection(self) -> tuple[bool, str]:
        """Test the key with the cheapest read, one order of the list. Never writes.

        :return: whether it worked, and a sentence for the person who pressed the button
        """
        try:
            with client_from_connection(self._connection(), max_attempts=1) as client:
                count = client.list_orders(take=1).item_count
        except OllangError as error:
            return False, with_hint(str(error), error.hint)
        orders = "an unknown number of" if count is None else count
        return True, f"The key works: {client.base_url} lists {orders} orders for it."

    def _connection(self) -> Connection:
        try:
            return self.get_connection(self.ollang_conn_id)
        except AirflowNotFoundException:
            # Airflow ignores a variable that it cannot parse.
            variable = f"AIRFLOW_CONN_{self.ollang_conn_id.upper()}"
            if (value := os.environ.get(variable)) is None:
                raise
            problem = "cannot be parsed" if value.strip() else "empty"
            raise InvalidInputError(f"{variable} is set, but {problem}. {_KEY_IN_TEXT}") from None


def client_from_connection(
    connection: Connection,
    *,
    rate_limiter: RateLimiter | None = None,
    max_attempts: int | None = None,
) -> OllangClient:
    """Return a client with the connection's settings.

    :param connection: an Airflow connection of type ``ollang``
    :param rate_limiter: when requests may start
    :param max_attempts: overrides the connection's
    :raises InvalidInputError: a field is invalid; the message names it as the form does
    """
    # Not before they are needed: parsing a DAG loads this module, but not requests.
    from airflow_provider_ollang.api.client import DEFAULT_TIMEOUT, OllangClient
    from airflow_provider_ollang.api.retry import RetryPolicy

    where = f"connection {connection.conn_id!r}"
    if connection.conn_type != CONNECTION_TYPE["connection-type"]:
        raise InvalidInputError(
            f"{where} is of type {connection.conn_type!r:.80}, expected 'ollang'. {_KEY_IN_TEXT}"
        )
    # Checked first: if the key is in another field, no message about that field must show it.
    field = f"{where}, password (API key)"
    if not connection.password:
        raise InvalidInputError(
            f"{field}: the API key is missing. Put it in the password field. {_KEY_IN_TEXT}"
        )
    api_key = check_api_key(connection.password, field=field)
    extra = connection.extra_dejson
    if not isinstance(extra, dict):
        raise InvalidInputError(f"{where}, extra: expected a JSON object, got {extra!r:.80}")

    def read(name: str, parse: Callable[[str, Any], T], default: Any) -> T:
        value = extra.get(name)
        return default if value in (None, "") else parse(f"{where}, extra {name}", value)

    attempts = read("max_attempts", parameters.whole_number(1, 10), 4)
    allow_http = read("allow_http", parameters.flag, default=False)
    return OllangClient(
        api_key,
        base_url=_base_url(connection, where, allow_http=allow_http),
        timeout=read("timeout", _timeout, DEFAULT_TIMEOUT),
        verify=read("verify", _verify, default=True),
        allow_http=allow_http,
        retry_policy=RetryPolicy(max_attempts=max_attempts or attempts),
        rate_limiter=rate_limiter,
    )


def _base_url(connection: Connection, where: str, *, allow_http: bool) -> str:
    """Return the base URL from host, port and schema, the way a URI or the form fills them."""
    from airflow_provider_ollang.api.client import DEFAULT_BASE_URL

    field = f"{where}, host (base URL)"
    host = (connection.host or "").strip()
    scheme = (connection.schema or "").lower()
    if not host:
        if scheme or connection.port:
            raise InvalidInputError(f"{field}: missing, although a port or schema is set")
        return DEFAULT_BASE_URL
    if "://" not in host:
        is_ipv6 = host.count(":") > 1 and not host.startswith("[")
        host = f"{scheme or 'https'}://{f'[{host}]' if is_ipv6 else host}"
    url = check_base_url(host, allow_http=allow_http, field=field)
    if scheme and not url.startswith(f"{scheme}://"):
        raise InvalidInputError(f"{field}: {url!r:.200} contradicts the schema {scheme!r}")
    parts = urlsplit(url)
    # The form sends a hidden port as 0 or null.
    if connection.port and parts.port is None:
        url = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
    elif connection.port and parts.port != connection.port:
        raise InvalidInputError(f"{field}: {url!r:.200} contradicts the port {connection.port}")
    return check_base_url(url, allow_http=True, field=field)


_timeout = parameters.number("a number above 0 and up to 600", lambda number: 0 < number <= 600)


def _verify(field: str, value: Any) -> bool | str:
    try:
        return parameters.flag(field, value)
    except InvalidInputError:
        return check_verify(str(value), field=field)
