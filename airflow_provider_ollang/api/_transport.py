"""What it means that there was no response."""

from __future__ import annotations

import re
import ssl

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as AnyTimeoutError

from airflow_provider_ollang.api._responses import one_line
from airflow_provider_ollang.api.errors import (
    CertificateError,
    ConnectionFailedError,
    OllangError,
    TimedOutError,
    TransportError,
)

#: The connection failed before a request could have gone out.
_NEVER_SENT = (NewConnectionError, ConnectTimeoutError, requests.exceptions.ProxyError)
#: What urllib3 puts before some of its messages: its connection, as Python shows an object.
_URLLIB3_OBJECT = re.compile(r"^(<[^>]+>|\w+\([^)]+\)): ")
#: What to do, by what the exception says: Python's and OpenSSL's words.
_HINTS = {
    "WRONG_VERSION_NUMBER": "The server does not speak TLS: is the base URL meant to start with "
    "http://?",
    "unable to get (local )?issuer certificate|self.signed certificate": "If a private CA issued "
    "it, set verify (a connection extra) to the path of its CA bundle.",
    "(Hostname|IP address) mismatch": "Check the base URL: the server's certificate is for another "
    "host.",
    "certificate (has expired|is not yet valid)": "Have the certificate renewed, or correct this "
    "machine's clock.",
    "Missing Authority Key Identifier": "Have the server's certificate reissued with the extension "
    "authorityKeyIdentifier: Python 3.13 and newer require it (RFC 5280).",
    "Missing Subject Key Identifier|key usage|not marked critical|invalid CA certificate": "Have "
    "the CA's certificate reissued with the extensions that Python 3.13 and newer require (RFC "
    "5280): subjectKeyIdentifier, and as critical ones basicConstraints (CA:TRUE) and keyUsage "
    "(keyCertSign).",
}


def error_from_exception(
    exception: requests.RequestException | HTTPError | OSError,
    *,
    base_url: str,
    order_id: str | None,
    secret: str,
) -> OllangError:
    """Return the error that an exception of requests stands for, with no secret in it."""
    causes = _causes(exception)
    said = causes[-1].args[-1] if isinstance(causes[-1], ConnectTimeoutError) else causes[-1]
    text = _URLLIB3_OBJECT.sub("", one_line(said, secret=secret))
    text = re.sub(r"//\S*@", "//***@", text)  # a proxy's login
    hints = [hint for sign, hint in _HINTS.items() if re.search(sign, text)]
    kind = _transport_class(causes)
    if isinstance(exception, requests.exceptions.ProxyError):
        base_url += " through the environment's proxy"
    error = kind(". ".join([f"no response from {base_url}: {text}", *hints]), order_id=order_id)
    never_sent = kind is CertificateError or any(isinstance(it, _NEVER_SENT) for it in causes)
    error.response_lost = not never_sent
    return error


def _transport_class(causes: list[BaseException]) -> type[TransportError]:
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return CertificateError
    is_timeout = any(isinstance(cause, (requests.Timeout, AnyTimeoutError)) for cause in causes)
    # That one is a timeout's subclass in urllib3 1.26.
    is_refused = isinstance(causes[-1], NewConnectionError)
    return TimedOutError if is_timeout and not is_refused else ConnectionFailedError


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what requests and urllib3 have wrapped in it, outermost first."""
    causes: list[BaseException] = []
    inner: object = error
    while isinstance(inner, BaseException):
        causes.append(inner)
        wrapped = getattr(inner, "reason", None) or getattr(inner, "original_error", None)
        inner = wrapped or next(iter(inner.args), None)
    return causes
