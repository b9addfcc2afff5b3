"""The hook: an Ollang client made from an Airflow connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_ollang.provider_info import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_ollang.api.client import OllangClient
    from airflow_provider_ollang.api.rate_limiter import RateLimiter

log = logging.getLogger(__name__)


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

    def __init__(self, ollang_conn_id: str = default_conn_name) -> None:
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
                validators=[Optional()],  # else an empty number is no number
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
        from airflow_provider_ollang.hooks.connection import client_from_connection

        return client_from_connection(self._connection(), rate_limiter=rate_limiter)

    def test_connection(self) -> tuple[bool, str]:
        """Test the key with the cheapest read, one order of the list. Never writes.

        :return: whether it worked, and a sentence for the person who pressed the button
        """
        from airflow_provider_ollang.api.errors import OllangError, with_hint
        from airflow_provider_ollang.hooks.connection import client_from_connection

        try:
            with client_from_connection(self._connection(), max_attempts=1) as client:
                count = client.list_orders(take=1).item_count
        except OllangError as error:
            return False, with_hint(str(error), error.hint)
        orders = "an unknown number of" if count is None else count
        return True, f"The key works: {client.base_url} lists {orders} orders for it."

    def _connection(self) -> Connection:
        from airflow_provider_ollang.hooks.connection import check_environment

        try:
            return self.get_connection(self.ollang_conn_id)
        except AirflowNotFoundException:
            check_environment(self.ollang_conn_id)
            raise
