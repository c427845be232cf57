# SPDX-License-Identifier: Apache-2.0
"""A TLS certificate for a name, of a CA that was made for it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from private_ca import TLS, VALID, Kind, chain, leaf

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class TlsFiles:
    key: Path
    certificate: Path
    ca: Path

    @property
    def options(self) -> tuple[str, ...]:
        return "--tls-certificate", str(self.certificate), "--tls-key", str(self.key)

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes clients believe the CA: urllib and the rest, and requests."""
        return {"SSL_CERT_FILE": str(self.ca), "REQUESTS_CA_BUNDLE": str(self.ca)}


def tls_files(folder: Path, *names: str, period: tuple[datetime, datetime] = VALID) -> TlsFiles:
    """Write leaf.key, leaf.pem and ca.pem into `folder`, for hosts named `names`."""
    folder.mkdir(exist_ok=True)
    kind = leaf(
        purpose=TLS, period=period, curve=ec.SECP256R1(),
        extension=x509.SubjectAlternativeName([_name(one) for one in names]),
    )  # fmt: skip
    holder, root = chain(Kind("CA"), kind)
    key, certificate = holder.write(folder)
    ca = folder / "ca.pem"
    ca.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    return TlsFiles(key, certificate, ca)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
