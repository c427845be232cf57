# SPDX-License-Identifier: Apache-2.0
"""Where an instance listens, under which URL clients know it, and who may reach it there."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelseal.errors import Undecided, UsageError, shown

if TYPE_CHECKING:
    from pathlib import Path

_BACKLOG = 512
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Listening:
    """What the operator asked for; a `port` of 0 is the one that the instance had, or any."""

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str = ""
    certificate: Path | None = None
    key: Path | None = None
    proxy: str = ""  # address of the reverse proxy, whose X-Forwarded-For is believed

    @property
    def scheme(self) -> str:
        """Return the scheme that is spoken on the port."""
        return "http" if self.certificate is None else "https"


def checked(asked: Listening, *, asks_passwords: bool) -> Listening:
    """Return `asked` with its URL in the one form that is published.

    Raises:
        UsageError: a host that cannot be served, a URL of another form, half a TLS setting, or an
            address beyond this machine at which nobody is asked for a password.
    """
    if (asked.certificate is None) != (asked.key is None):
        raise UsageError(
            "bad-options", "TLS needs both a certificate and its key.",
            "Give --tls-certificate and --tls-key.",
        )  # fmt: skip
    url = parse_public_url(asked.public_url) if asked.public_url else ""
    if url and asked.certificate is not None and not url.startswith("https:"):
        raise UsageError(
            "bad-url", "With a TLS certificate, clients reach the instance by https only.",
            "Give --public-url https://NAME.",
        )  # fmt: skip
    if asked.proxy:
        _check_proxy(asked.proxy)
    addresses = _addresses(asked.host)
    if any(one.is_unspecified for one in addresses) and not url:
        raise UsageError(
            "bad-host",
            "Clients cannot reach an instance under that address.",
            "Give the address that they use, or its URL with --public-url.",
        )
    if not asks_passwords and not all(one.is_loopback for one in addresses):
        raise open_sign_in()
    return Listening(asked.host, asked.port, url, asked.certificate, asked.key, asked.proxy)


def open_sign_in() -> UsageError:
    """Return the refusal to let a network sign in as anyone."""
    return UsageError(
        "open-sign-in",
        "Beyond this machine the sign-in page must ask for passwords.",
        "Give --users FILE or --issuers FILE, or --host 127.0.0.1 and no --public-url.",
    )


def parse_public_url(text: str) -> str:
    """Return the origin `text`, without a default port.

    Raises:
        UsageError: not http(s)://NAME[:PORT]. Clients drop the path of a CA's URL.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    plain = text.isascii() and text.isprintable() and " " not in text
    extra = parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not host or extra or not plain:
        raise UsageError(
            "bad-url",
            f"{shown(text)!r} is not a URL that an instance can have.",
            "Give http(s)://NAME or http(s)://NAME:PORT, without a path: Fulcio's clients drop it.",
        )
    return origin(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme])


def origin(scheme: str, host: str, port: int) -> str:
    """Return the URL of `host` and `port`, spelled as browsers do."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")


def is_local(url: str) -> bool:
    """Return whether `url` can be reached from this machine only."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def host_headers(url: str, port: int) -> frozenset[str]:
    """Return what requests may name as their host: that of `url`, or this machine at `port`."""
    own = urlsplit(url)
    default = _DEFAULT_PORTS[own.scheme]
    names = {(own.netloc.rpartition(":")[0] if own.port else own.netloc, own.port or default)}
    names |= {(name, port) for name in ("localhost", "127.0.0.1", "[::1]")}
    # Clients leave out the port that goes without saying, but need not.
    spelled = {f"{name}:{number}" for name, number in names}
    return frozenset(spelled | {name for name, number in names if number == default})


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        Undecided: somebody else does, or this user may not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICSERV
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise Undecided(
            "port-taken",
            f"Port {port} on {shown(host)} cannot be used: {shown(str(error))}.",
            "Free it, or give another --port: clients then need the trust config anew, unless "
            "the instance has a --public-url.",
        ) from error
    return listener


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        # An empty name would be looked up as this machine.
        found = socket.getaddrinfo(host or ".", None, type=socket.SOCK_STREAM)
        return [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    except (OSError, ValueError) as error:
        raise UsageError(
            "bad-host",
            f"{shown(host)!r} is neither an address nor a name that this machine can look up.",
            "Use --host 127.0.0.1, or a name in DNS or /etc/hosts.",
        ) from error


def _check_proxy(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise UsageError(
            "bad-host", f"{shown(address)!r} is not the IP address of a proxy.",
            "Give --proxy 127.0.0.1 for one on this machine.",
        ) from error  # fmt: skip
