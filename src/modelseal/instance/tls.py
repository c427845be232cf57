# SPDX-License-Identifier: Apache-2.0
"""The TLS certificate that the operator gave: read, checked, and read again when it was renewed."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from modelseal import files
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_LIMIT = 1 << 20
_CODE = "tls-certificate"


def server_context() -> ssl.SSLContext:
    """Return the context for TLS 1.2 and newer, still without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load(
    context: ssl.SSLContext, certificate: Path, key: Path, *, url: str, now: datetime
) -> datetime:
    """Give `context` the certificate for new connections to `url`; return when it ends.

    Raises:
        UsageError: unreadable, expired, for another name, or not that of the key.
    """
    pem = files.read_trusted(certificate, _LIMIT, "TLS certificate")
    files.read_trusted(key, _LIMIT, "TLS key")
    name = f"The TLS certificate '{shown(str(certificate))}'"
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
        names = _names(leaf)
    except ValueError as error:
        raise UsageError(_CODE, f"{name} is not a PEM certificate.", _RENEW) from error
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        raise UsageError(
            _CODE,
            f"{name} is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC only, and it is {now:%Y-%m-%d %H:%M}.",
            _RENEW,
        )
    host = urlsplit(url).hostname or ""
    if not any(_matches(one, host) for one in names):
        raise UsageError(
            _CODE, f"{name} is not for {shown(host)!r}, under which clients reach the instance.",
            "Give a certificate with that name, or the --public-url that it is for.",
        )  # fmt: skip
    try:
        # A password would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = shown(getattr(error, "reason", None) or str(error))
        raise UsageError(
            _CODE, f"{name} and its key cannot be used: {reason}.",
            "Give the chain (leaf first) and the unencrypted key of the leaf, both in PEM.",
        ) from error  # fmt: skip
    return leaf.not_valid_after_utc


_RENEW = "Renew it; a running instance takes the new one after: kill -HUP PID"


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    value = extension.value
    assert isinstance(value, x509.SubjectAlternativeName)  # noqa: S101 - what the OID says
    addresses = [str(one) for one in value.get_values_for_type(x509.IPAddress)]
    return value.get_values_for_type(x509.DNSName) + addresses


def _matches(pattern: str, host: str) -> bool:
    """Return whether a certificate for `pattern` is one for `host` (RFC 6125 section 6.4)."""
    pattern, host = pattern.lower(), host.lower()
    address = _address(host)
    if address is not None:
        return _address(pattern) == address
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return pattern == host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
