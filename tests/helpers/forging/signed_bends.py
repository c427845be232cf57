# SPDX-License-Identifier: Apache-2.0
"""Bends of timestamps, and of what was signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forging import bundles
from forging.bending import (
    Bend,
    made_with,
    more_stamps,
    stamp,
    written,
)
from forging.issuing import LIFETIME
from forging.logs import Body, b64

if TYPE_CHECKING:
    from collections.abc import Callable

Stamp = bundles.Stamp
TIMESTAMPS: dict[str, Bend] = {
    "by a stranger": stamp(tsa="attacker"),
    "by a stranger, with the signer's certificate": stamp(
        tsa="attacker", certificates=("signer", "root")
    ),
    "by the second authority": stamp(tsa="second"),
    "over other bytes": stamp(over=b"other"),
    "over nothing": stamp(over=b""),
    "over SHA-384": stamp(algorithm="sha384"),
    "over SHA-512": stamp(algorithm="sha512"),
    "over SHA-1": stamp(algorithm="sha1"),
    "over SHA-512/256": stamp(algorithm="sha512_256"),
    "over one hash, said to be another": stamp(algorithm="sha256", said_hash="sha3_256"),
    "no certificate": stamp(certificates=()),
    "certificate of a stranger": stamp(certificates=("stranger",)),
    "certificate twice": stamp(certificates=("signer", "signer")),
    "certificate and root": stamp(certificates=("signer", "root")),
    "certificate and one that bears its number": stamp(certificates=("signer", "stranger")),
    "nonce": stamp(nonce=12345),
    "long nonce": stamp(nonce=1 << 300),
    "negative nonce": stamp(nonce=-1),
    "accuracy": stamp(accuracy=1),
    "accuracy of a day": stamp(accuracy=86400),
    "ordering": stamp(ordering=True),
    "another policy": stamp(policy="1.2.3"),
    "status granted with modifications": stamp(status="granted_with_mods"),
    "status rejected": stamp(status="rejection"),
    "status waiting": stamp(status="waiting"),
    "no signing certificate attribute": stamp(attributes=("content_type", "message_digest")),
    "signing time": stamp(attributes=("content_type", "message_digest", "signing_time")),
    "no content type": stamp(attributes=("message_digest", "signing_certificate_v2")),
    "no message digest": stamp(attributes=("content_type", "signing_certificate_v2")),
    "no attributes": stamp(attributes=()),
    "digest of other content": stamp(digest_of=b"other"),
    "content of another type": stamp(content_type="data"),
    "bytes behind": stamp(tail=b"\0"),
    "two signers": stamp(twice=True),
    "by P-384": stamp(kind="P384"),
    "at the start of the certificate": stamp(at=0),
    "a second before the certificate": stamp(at=-1),
    "at the end of the certificate": stamp(at=LIFETIME),
    "a second after the certificate": stamp(at=LIFETIME + 1),
    "before the authority's certificate": stamp(at=-86400 * 301),
    "one more, by a stranger": more_stamps(Stamp("attacker")),
    "one more, over other bytes": more_stamps(Stamp("second", over=b"other")),
    "one more, after the certificate": more_stamps(Stamp("second", at=LIFETIME + 1)),
    "one more, good": more_stamps(Stamp("second", at=8)),
    "one twice": lambda made: more_stamps(*(made.stamps or (Stamp(), Stamp()))[:1])(made),
    "33 in all": lambda made: more_stamps(
        *(Stamp(nonce=number) for number in range(33 - len(made.stamps)))
    )(made),
    "32 in all": lambda made: more_stamps(
        *(Stamp(nonce=number) for number in range(32 - len(made.stamps)))
    )(made),
    "none": lambda made: replace(made, stamps=()),
    "purpose not critical": stamp(shape=(("critical", False),), tsa="uncritical"),
    "purpose not timestamps": stamp(tsa="signer"),
}  # fmt: skip


def envelope(change: Callable[[Body], Any]) -> Bend:
    """Change an envelope after it was signed; an artifact has none, and loses its signature."""
    return written(
        lambda made: (
            change(made["dsseEnvelope"]) if "dsseEnvelope" in made else made.pop("messageSignature")
        )
    )


CONTENT: dict[str, Bend] = {
    "another payload, signed": made_with(payload=bundles.PAYLOAD.replace(b"{}", b'{"a": 1}')),
    "empty payload, signed": made_with(payload=b""),
    "payload that is no statement, signed": made_with(payload=b"hello"),
    "another payload type, signed": made_with(payload_type="text/plain"),
    "empty payload type, signed": made_with(payload_type=""),
    "payload type of other letters, signed": made_with(payload_type="tëxt/plain"),
    "another payload, not signed": envelope(lambda e: e.update(payload=b64(b"other"))),
    "another payload type, not signed": envelope(lambda e: e.update(payloadType="text/plain")),
    "half a character as payload type": envelope(lambda e: e.update(payloadType="\ud800")),
    "payload with its own length": envelope(
        lambda e: e.update(payloadType="a 3 abc 5", payload=b64(b"hello"))
    ),
    "signature twice": envelope(lambda e: e.update(signatures=e["signatures"] * 2)),
    "no signatures": envelope(lambda e: e.update(signatures=[])),
    "key id": envelope(lambda e: e["signatures"][0].update(keyid="any")),
    "no note of the digest": written(
        lambda made: made.get("messageSignature", {}).pop("messageDigest", None)
    ),
    "digest over SHA-384": written(
        lambda made: (
            made.get("messageSignature", {}).get("messageDigest", {}).update(algorithm="SHA2_384")
        )
    ),
    "signed over SHA-512": made_with(algorithm="sha512"),
}
