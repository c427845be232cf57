# SPDX-License-Identifier: Apache-2.0
"""Signing with a private key, here or held elsewhere, alone or with a certificate of one's CA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding

from modelseal.errors import FormatError, UsageError
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto
from modelseal.seal import keys
from modelseal.seal.signers import held
from modelseal.seal.verify import signature

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from modelseal.seal.keys import PrivateKey
    from modelseal.seal.signers.held import HeldKey
    from modelseal.seal.verify.signature import HashName

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class KeySigner:
    """Signs with `key`; `certificates`, leaf first, go into the bundle instead of a key hint."""

    key: PrivateKey | HeldKey
    certificates: tuple[Certificate, ...] = ()

    def artifact(self, digest: bytes) -> bytes:
        """Return the bundle of an artifact with this SHA-256.

        Raises:
            FormatError: the key does not sign SHA-256 digests ("unsupported-key").
        """
        if "sha256" not in signature.hash_names(self.key.public_key())[:1]:
            raise FormatError(
                "unsupported-key",
                "A file is signed with P-256 or RSA; other keys sign models (--oms).",
                "Sign with a P-256 key, or give --oms.",
            )
        made = _sign_digest(self.key, "sha256", digest)
        return self._bundle(bundle_format.MessageSignature(made, digest, "SHA2_256"))

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`.

        Raises:
            FormatError: OMS has no signatures of this kind of key ("unsupported-key").
        """
        public = self.key.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise FormatError(
                "unsupported-key",
                "Models are signed with P-256, P-384 or P-521 keys.",
                "Make one with: modelseal key generate",
            )
        (name, *_) = signature.hash_names(public)
        hasher = hashes.Hash(signature.HASHES[name])
        hasher.update(dsse.pae(intoto.PAYLOAD_TYPE, payload))
        made = _sign_digest(self.key, name, hasher.finalize())
        one = dsse.Signature(made, "")  # model_signing 1.1 reads no envelope without a keyid
        return self._bundle(dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (one,)))

    def _bundle(self, content: bundle_format.MessageSignature | dsse.Envelope) -> bytes:
        hint = None if self.certificates else keys.hints(self.key.public_key())[0]
        made = bundle_format.Bundle(
            media_type=_MEDIA_TYPE,
            certificates=tuple(c.public_bytes(Encoding.DER) for c in self.certificates),
            key_hint=hint,
            entries=(),
            timestamps=(),
            content=content,
            chained=bool(self.certificates),
        )
        return bundle_format.to_bytes(made)


def _sign_digest(key: PrivateKey | HeldKey, name: HashName, digest: bytes) -> bytes:
    algorithm = utils.Prehashed(signature.HASHES[name])
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(digest, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, padding.PKCS1v15(), algorithm)
    if isinstance(key, ed25519.Ed25519PrivateKey):  # unreachable: it has no hash
        raise FormatError("unsupported-key", "An Ed25519 key signs no digests.")
    return held.sign(key, name, digest)


def with_certificate(
    key: PrivateKey | HeldKey, leaf: tuple[Certificate, ...], chain: tuple[Certificate, ...]
) -> KeySigner:
    """Return the signer with the certificate `leaf` (and what its file has more) and its `chain`.

    Raises:
        UsageError: the certificate is of another key ("key-mismatch").
    """
    if leaf[0].public_key() != key.public_key():
        raise UsageError(
            "key-mismatch",
            "The certificate is of another key than the private key.",
            "Give the certificate first, then its chain.",
        )
    return KeySigner(key, tuple(dict.fromkeys((*leaf, *chain))))
