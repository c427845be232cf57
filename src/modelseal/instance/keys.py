# SPDX-License-Identifier: Apache-2.0
"""The keys of an instance and the certificates for them.

    keys/ca.pem, ca-chain.pem   the first key of a service, and its certificates
    keys/ca-2.pem, ...          the key after the first rotation
    keys/ct.pub                 what is left of a key that signs no more

The keys of the root certificates are thrown away at once: nothing needs them again, and a key that
does not exist cannot be stolen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal import outputs
from modelseal.errors import FormatError
from modelseal.instance import pki

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

Chain = tuple[x509.Certificate, x509.Certificate]
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_RSA_SIZE = 2048
K = TypeVar("K")
P = TypeVar("P")


@dataclass(frozen=True)
class Signer(Generic[K, P]):
    """A key of a log, which signs from `start` on; `key` is None when it signs no more."""

    start: datetime
    public: P
    key: K | None


@dataclass(frozen=True)
class Authority:
    """A key with certificates, its own first, which signs from `start` on."""

    start: datetime
    chain: Chain
    key: ec.EllipticCurvePrivateKey | None


CtKey = Signer[ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey]
LogKey = Signer[ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey]
ROTATED = ("ca", "ct", "log", "tsa")


@dataclass(frozen=True)
class Keys:
    """Keys by service. Those that can be rotated are in the order in which they begin to sign."""

    ca: tuple[Authority, ...]
    ct: tuple[CtKey, ...]
    log: tuple[LogKey, ...]
    tsa: tuple[Authority, ...]
    oidc: rsa.RSAPrivateKey
    tuf: ed25519.Ed25519PrivateKey


def generate(folder: Path, start: datetime) -> None:
    """Write new keys into the new folder `folder`, with certificates valid from `start`."""
    folder.mkdir(mode=0o700)
    for service in ROTATED:
        add(folder, service, 1, start)
    _write_private(folder / "oidc.pem", rsa.generate_private_key(65537, _RSA_SIZE))
    _write_private(folder / "tuf.pem", ed25519.Ed25519PrivateKey.generate())


def add(folder: Path, service: str, number: int, start: datetime) -> None:
    """Write key `number` (from 1 on) of `service`; its certificates are valid from `start`."""
    stem = _stem(service, number)
    if service == "log":
        _write_private(folder / f"{stem}.pem", ed25519.Ed25519PrivateKey.generate())
        return
    key = ec.generate_private_key(ec.SECP256R1())
    if service in _CHAINS:
        root = ec.generate_private_key(ec.SECP256R1())
        chain = _CHAINS[service](key.public_key(), root, start, number)
        pem = b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain)
        outputs.write(folder / f"{stem}-chain.pem", pem, mode=0o600)
    _write_private(folder / f"{stem}.pem", key)


_CHAINS = {"ca": pki.ca_chain, "tsa": pki.tsa_chain}


def forget(folder: Path, service: str, number: int) -> None:
    """Delete private key `number` of `service`, which signs no more; its public key stays."""
    private = folder / f"{_stem(service, number)}.pem"
    if not private.exists():
        return
    key = _ed25519(private) if service == "log" else _ecdsa(private)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    outputs.write(private.with_suffix(".pub"), pem, mode=0o600)
    private.unlink()


def load(folder: Path, starts: Mapping[str, Sequence[datetime]]) -> Keys:
    """Return the keys in `folder`, which begin to sign at `starts`.

    Raises:
        OSError: one is missing.
        ValueError: one cannot be read.
        FormatError: one is of another kind, or a certificate is not that of its key.
    """
    return Keys(
        ca=_authorities(folder, "ca", starts["ca"]),
        ct=tuple(
            _ct(folder / f"{_stem('ct', number)}.pem", start)
            for number, start in enumerate(starts["ct"], 1)
        ),
        log=tuple(
            _log(folder / f"{_stem('log', number)}.pem", start)
            for number, start in enumerate(starts["log"], 1)
        ),
        tsa=_authorities(folder, "tsa", starts["tsa"]),
        oidc=_rsa(folder / "oidc.pem"),
        tuf=_ed25519(folder / "tuf.pem"),
    )


def _stem(service: str, number: int) -> str:
    return service if number == 1 else f"{service}-{number}"


def _authorities(folder: Path, service: str, starts: Sequence[datetime]) -> tuple[Authority, ...]:
    found = []
    for number, start in enumerate(starts, 1):
        path = folder / f"{_stem(service, number)}.pem"
        chain = _chain(folder / f"{path.stem}-chain.pem")
        public = path.with_suffix(".pub")
        key = None if public.exists() and not path.exists() else _ecdsa(path)
        if key is not None and key.public_key() != chain[0].public_key():
            raise FormatError("bad-key", "a certificate is not that of its key")
        found.append(Authority(start, chain, key))
    return tuple(found)


def _ct(path: Path, start: datetime) -> CtKey:
    public = _public(path)
    if public is None:
        key = _ecdsa(path)
        return Signer(start, key.public_key(), key)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise FormatError("bad-key", f"{path.stem}.pub is not an ECDSA key")
    return Signer(start, public, None)


def _log(path: Path, start: datetime) -> LogKey:
    public = _public(path)
    if public is None:
        key = _ed25519(path)
        return Signer(start, key.public_key(), key)
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise FormatError("bad-key", f"{path.stem}.pub is not an Ed25519 key")
    return Signer(start, public, None)


def _public(path: Path) -> object:
    """Return the public key of a private key that was forgotten."""
    public = path.with_suffix(".pub")
    if path.exists() or not public.exists():
        return None
    return serialization.load_pem_public_key(public.read_bytes())


def _ecdsa(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FormatError("bad-key", f"{path.name} is not an ECDSA key")
    return key


def _ed25519(path: Path) -> ed25519.Ed25519PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise FormatError("bad-key", f"{path.name} is not an Ed25519 key")
    return key


def _rsa(path: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FormatError("bad-key", f"{path.name} is not an RSA key")
    return key


def _chain(path: Path) -> Chain:
    first, last = x509.load_pem_x509_certificates(path.read_bytes())
    return first, last


def _write_private(path: Path, key: _Private) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    outputs.write(path, pem, mode=0o600)
