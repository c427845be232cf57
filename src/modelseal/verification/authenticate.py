# SPDX-License-Identifier: Apache-2.0
"""From a bundle and a trust root to who signed which files when; policy accepts or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from modelseal.errors import FormatError, ModelSealError, Unverified
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms, rekor
from modelseal.trust.signature import HASHES, Prehashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelseal.trust.signer import Signer
    from modelseal.trust.trust_root import TrustRoot

    Check = Callable[[bundle_format.Bundle, bytes, Prehashed | None, TrustRoot], datetime]

Kind = Literal["oms", "artifact"]
Verifier = Literal["modelseal", "sigstore", "both"]
VERIFIERS: tuple[Verifier, ...] = ("modelseal", "sigstore", "both")


class Authenticated(NamedTuple):
    """What a checked bundle says: `signer` signed `manifest` at `time` (UTC).

    By a key or a certificate of its own there may be no trusted time and no log entry.
    For an artifact the manifest has one resource, named `oms.SINGLE_FILE`, by the signed hash.
    `notes` are what people should know about a signature that is good.
    """

    signer: Signer
    time: datetime | None
    kind: Kind
    manifest: oms.Manifest
    log_index: int | None
    trust: str
    notes: tuple[str, ...] = ()


def authenticate(data: bytes, trust: TrustRoot, verifier: Verifier = "modelseal") -> Authenticated:
    """Return what the bundle in `data` says, having checked everything but the model itself.

    `verifier` says whose checks count: our own, those of sigstore-python, or both at once.

    Raises:
        FormatError, Unverified: the first thing that is wrong.
    """
    bundle = bundle_format.parse(data)
    if not bundle.certificates or len(bundle.entries) != 1:
        raise FormatError(
            "not-keyless",
            "The bundle is not a keyless signature with one certificate and one log entry.",
            "Sign the model with: modelseal sign",
        )
    # Only after the signer's certificate has been read: what follows checks it.
    from modelseal.trust import fulcio  # noqa: PLC0415 - X.509, not for a key

    signer = fulcio.of_certificate(bundle.certificates[0])
    check = _CHECKS[verifier]
    if isinstance(bundle.content, dsse.Envelope):
        time = check(bundle, data, None, trust)
        if bundle.content.payload_type != intoto.PAYLOAD_TYPE:
            raise FormatError(
                "payload-type", "The signed envelope does not hold an in-toto statement."
            )
        kind: Kind = "oms"
        signed = oms.from_statement(intoto.parse(bundle.content.payload))
    else:
        claimed = signed_digest(bundle)
        time = check(bundle, data, claimed, trust)
        kind = "artifact"
        signed = manifest_of(claimed)
    return Authenticated(signer, time, kind, signed, bundle.entries[0].log_index, trust.source)


def _by_modelseal(
    bundle: bundle_format.Bundle, _data: bytes, artifact: Prehashed | None, trust: TrustRoot
) -> datetime:
    from modelseal.verification import keyless  # noqa: PLC0415 - X.509, not for a bad bundle

    return keyless.verify(bundle, trust, artifact).times[0]


def _by_sigstore(
    bundle: bundle_format.Bundle, data: bytes, artifact: Prehashed | None, trust: TrustRoot
) -> datetime:
    from modelseal.verification import second_opinion as verifying  # noqa: PLC0415 - 400 ms, only if asked for

    return verifying.verify(bundle, data, artifact, trust)


def _by_both(
    bundle: bundle_format.Bundle, data: bytes, artifact: Prehashed | None, trust: TrustRoot
) -> datetime:
    """Check with both verifiers, which must agree.

    Raises:
        FormatError, Unverified: what ours says if both refuse; "verifiers-disagree" if one does.
    """
    times, errors = {}, {}
    for name in ("modelseal", "sigstore"):
        try:
            times[name] = _CHECKS[name](bundle, data, artifact, trust)
        except ModelSealError as error:
            errors[name] = error
    if not errors:
        return times["modelseal"]
    if not times:
        raise errors["modelseal"]
    ((refusing, reason),) = errors.items()
    (accepting,) = times
    import logging  # noqa: PLC0415 - 5 ms that hardly any run needs

    log = logging.getLogger(__name__)
    log.warning("verifiers disagree: %s accepts, %s refuses: %s", accepting, refusing, reason)
    raise Unverified(
        "verifiers-disagree",
        f"The verifier {accepting} accepts what {refusing} refuses: {reason}",
        "Do not use this model before somebody has looked at its signature.",
    ) from reason


_CHECKS: dict[str, Check] = {
    "modelseal": _by_modelseal, "sigstore": _by_sigstore, "both": _by_both,
}  # fmt: skip


def signed_digest(bundle: bundle_format.Bundle) -> Prehashed:
    """Return the digest that an artifact bundle claims to sign: its own note, else the log's.

    It is a claim until the signature over it has been checked.

    Raises:
        FormatError: none to be found, or of another hash than SHA-256, SHA-384 and SHA-512.
    """
    if isinstance(bundle.content, dsse.Envelope):
        raise FormatError("not-an-artifact", "The bundle signs a statement, not an artifact.")
    digest, name = bundle.content.digest, rekor.HASH_NAMES.get(bundle.content.algorithm or "")
    if digest is None and bundle.entries:
        body = rekor.parse(bundle.entries[0].body)
        digest, name = body.digest, body.algorithm
    if digest is None or name is None or len(digest) != HASHES[name].digest_size:
        raise FormatError(
            "unsupported-digest",
            "The artifact was not signed by its SHA-256, SHA-384 or SHA-512.",
            "Sign it with a P-256 key, as every Sigstore client does by default.",
        )
    return Prehashed(name, digest)


def manifest_of(artifact: Prehashed) -> oms.Manifest:
    """Return the manifest of one file with this digest."""
    how = oms.Serialization(hash_type=artifact.algorithm)
    return oms.Manifest((oms.Resource(oms.SINGLE_FILE, artifact.digest),), (), how)
