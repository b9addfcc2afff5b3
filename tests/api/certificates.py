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
    ca_public, now = ca_key.public_key(), datetime.now(UTC)

    def signed(
        name: str, public_key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> bytes:
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key,
            x509.random_serial_number(),
            now - timedelta(days=1),
            now + timedelta(days=1),
        )
        for value in extensions:
            if value.oid._name != without:
                is_critical = value is CERT_SIGN or (value is constraints and without != "critical")
                builder = builder.add_extension(value, is_critical)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    constraints = x509.BasicConstraints(True, None)
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_public)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_public)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    issued = ServerCertificate(folder / "server.pem", folder / "ca.pem")
    issued.bundle.write_bytes(signed("CA", ca_public, constraints, CERT_SIGN, ca_id))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issued.path.write_bytes(private + signed("server", key.public_key(), host, issuer_id))
    return issued
