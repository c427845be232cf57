# SPDX-License-Identifier: Apache-2.0
"""Signing with a private key, here or held elsewhere, alone or with a certificate of one's CA."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding

from modelseal.errors import FormatError, UsageError
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto
from modelseal.signing.signers import NOTED, held
from modelseal.trust import keys, signature
from modelseal.verification.checks.content import LoggedBy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.x509 import Certificate

    from modelseal.signing.signers.held import HeldKey
    from modelseal.signing.signers.witness import Witness
    from modelseal.trust.private_keys import PrivateKey
    from modelseal.trust.signature import HashName, PublicKey
    from modelseal.verification.authentic import Kind

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class KeySigner:
    """Signs with `key`; `certificates`, leaf first, go into the bundle instead of a key hint.

    A `witness` has the signature timestamped and logged, before the bundle is made.
    """

    key: PrivateKey | HeldKey
    certificates: tuple[Certificate, ...] = ()
    witness: Witness | None = None

    def check(self, kinds: Iterable[Kind], *, certificate: bool = False) -> None:
        """Check, before anything is public, that models of all `kinds` can be signed.

        Raises:
            UsageError: a `certificate` is wanted and there is none ("bad-options").
            FormatError: OMS or the log has no signatures of this kind of key ("unsupported-key").
        """
        public = self.key.public_key()
        if "oms" in kinds:
            _check_signs_models(public)
        if self.witness is not None:
            self.witness.check(public)
        if certificate and not self.certificates:
            raise UsageError("bad-options", "--legacy-files have a certificate, a key has none.")

    @property
    def artifact_hash(self) -> HashName | None:
        """Return the hash by which an artifact is signed, None for Ed25519: its bytes are.

        Raises:
            FormatError: an Ed25519 key that is held elsewhere ("unsupported-key").
        """
        public = self.key.public_key()
        if not isinstance(public, ed25519.Ed25519PublicKey):
            return signature.hash_names(public)[0]
        if not isinstance(self.key, ed25519.Ed25519PrivateKey):
            raise FormatError(
                "unsupported-key",
                "A token or service signs digests, which an Ed25519 key does not.",
                "Sign with an ECDSA or RSA key of it.",
            )
        return None

    def artifact(self, signed: bytes) -> bytes:
        """Return the bundle of an artifact: of its digest by `artifact_hash`, or of its bytes.

        Raises:
            FormatError: as `artifact_hash`.
            UsageError, Undecided: the key or a witness refuses.
        """
        name = self.artifact_hash
        if name is None:
            # The digest is a note for whoever looks for the artifact; the signature is of the bytes
            digest = hashlib.sha256(signed).digest()
            made = cast("ed25519.Ed25519PrivateKey", self.key).sign(signed)
            content = bundle_format.MessageSignature(made, digest, NOTED["sha256"])
            return self._bundle(content, signed)
        made = _sign_digest(self.key, name, signed)
        content = bundle_format.MessageSignature(made, signed, NOTED[name])
        return self._bundle(content, signature.Prehashed(name, signed))

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`.

        Raises:
            FormatError: OMS has no signatures of this kind of key ("unsupported-key").
            UsageError, Undecided: the key or a witness refuses.
        """
        public = self.key.public_key()
        _check_signs_models(public)
        (name, *_) = signature.hash_names(public)
        message = dsse.pae(intoto.PAYLOAD_TYPE, payload)
        made = _sign_digest(self.key, name, hashlib.new(name, message).digest())
        one = dsse.Signature(made, "")  # model_signing 1.1 reads no envelope without a keyid
        return self._bundle(dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (one,)), message)

    def _bundle(
        self,
        content: bundle_format.MessageSignature | dsse.Envelope,
        message: bytes | signature.Prehashed,
    ) -> bytes:
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
        if self.witness is not None:
            leaf = made.certificates[0] if made.certificates else None
            made = self.witness.seen(made, message, LoggedBy(self.key.public_key(), leaf))
        return bundle_format.to_bytes(made)


def _check_signs_models(key: PublicKey) -> None:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FormatError(
            "unsupported-key",
            "Models are signed with P-256, P-384 or P-521 keys.",
            "Make one with: modelseal key generate",
        )


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
    key: PrivateKey | HeldKey,
    leaf: tuple[Certificate, ...],
    chain: tuple[Certificate, ...],
    witness: Witness | None = None,
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
    return KeySigner(key, tuple(dict.fromkeys((*leaf, *chain))), witness)
