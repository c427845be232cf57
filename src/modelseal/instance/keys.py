# SPDX-License-Identifier: Apache-2.0
"""The keys of an instance and the certificates for them, made once and read ever after.

The keys of the two root certificates are thrown away at birth: nothing needs them again, and a key
that does not exist cannot be stolen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal import outputs
from modelseal.errors import FormatError
from modelseal.instance import pki

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

Chain = tuple[x509.Certificate, x509.Certificate]
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_RSA_SIZE = 2048


@dataclass(frozen=True)
class Keys:
    """Private keys by service; chains begin with the certificate of the service's key."""

    ca: ec.EllipticCurvePrivateKey
    ca_chain: Chain
    ct: ec.EllipticCurvePrivateKey
    log: ed25519.Ed25519PrivateKey
    oidc: rsa.RSAPrivateKey
    tsa: ec.EllipticCurvePrivateKey
    tsa_chain: Chain
    tuf: ed25519.Ed25519PrivateKey


def generate(start: datetime) -> Keys:
    """Return new keys, with certificates that are valid from `start`."""
    ca, ca_root, ct, tsa, tsa_root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(5))
    return Keys(
        ca=ca, ca_chain=pki.ca_chain(ca.public_key(), ca_root, start), ct=ct,
        log=ed25519.Ed25519PrivateKey.generate(), oidc=rsa.generate_private_key(65537, _RSA_SIZE),
        tsa=tsa, tsa_chain=pki.tsa_chain(tsa.public_key(), tsa_root, start),
        tuf=ed25519.Ed25519PrivateKey.generate(),
    )  # fmt: skip


def write(folder: Path, keys: Keys) -> None:
    """Write `keys` into the new folder `folder`."""
    folder.mkdir(mode=0o700)
    for name in ("ca", "ct", "log", "oidc", "tsa", "tuf"):
        outputs.write(folder / f"{name}.pem", _private_pem(getattr(keys, name)), mode=0o600)
    for name, chain in (("ca", keys.ca_chain), ("tsa", keys.tsa_chain)):
        pem = b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain)
        outputs.write(folder / f"{name}-chain.pem", pem, mode=0o600)


def load(folder: Path) -> Keys:
    """Return the keys in `folder`.

    Raises:
        OSError: one is missing.
        ValueError: one cannot be read.
        FormatError: one is of another kind, or a certificate is not that of its key.
    """
    keys = Keys(
        ca=_ecdsa(folder / "ca.pem"), ca_chain=_chain(folder / "ca-chain.pem"),
        ct=_ecdsa(folder / "ct.pem"), log=_ed25519(folder / "log.pem"),
        oidc=_rsa(folder / "oidc.pem"),
        tsa=_ecdsa(folder / "tsa.pem"), tsa_chain=_chain(folder / "tsa-chain.pem"),
        tuf=_ed25519(folder / "tuf.pem"),
    )  # fmt: skip
    for key, chain in ((keys.ca, keys.ca_chain), (keys.tsa, keys.tsa_chain)):
        if key.public_key() != chain[0].public_key():
            raise FormatError("bad-key", "a certificate is not that of its key")
    return keys


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


def _private_pem(key: _Private) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
