"""Certificates of a company's own CA, of which one extension is missing."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

CERT_SIGN = x509.KeyUsage(False, False, False, False, False, True, False, False, False)


@dataclass
class ServerCertificate:
    """What a server shows, and the bundle with the CA that has issued it."""

    path: Path
    bundle: Path

    def configure_cert(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.path)


def issue(folder: Path, *, without: str) -> ServerCertificate:
    """Return a certificate for 127.0.0.1; it or its CA's lacks the extension."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    of_ca: dict[str, tuple[x509.ExtensionType, bool]] = {
        "basicConstraints": (x509.BasicConstraints(True, None), without != "critical"),
        "keyUsage": (CERT_SIGN, True),
        "subjectKeyIdentifier": (
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()),
            False,
        ),
    }
    of_server: dict[str, tuple[x509.ExtensionType, bool]] = {
        "subjectAltName": (x509.SubjectAlternativeName([address]), False),
        "authorityKeyIdentifier": (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            False,
        ),
    }
    issued = ServerCertificate(folder / "server.pem", folder / "ca.pem")
    issued.bundle.write_bytes(_signed("CA", ca_key, ca_key, of_ca, without))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issued.path.write_bytes(private + _signed("server", key, ca_key, of_server, without))
    return issued


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    extensions: dict[str, tuple[x509.ExtensionType, bool]],
    without: str,
) -> bytes:
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
    )
    for extension, (value, is_critical) in extensions.items():
        if extension != without:
            builder = builder.add_extension(value, is_critical)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)
