# SPDX-License-Identifier: Apache-2.0
"""The timestamp authorities and the transparency log of an instance, asked about one signature."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from sigstore._internal.timestamp import TimestampError
from sigstore.errors import Error

from modelseal.errors import Undecided, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse
from modelseal.formats.strict import b64encode
from modelseal.signing._sigstore import transport
from modelseal.trust import keys, signature
from modelseal.verification.checks import content

if TYPE_CHECKING:
    from typing import Any

    from sigstore._internal.rekor import EntryRequestBody
    from sigstore.models import ClientTrustConfig

    from modelseal.formats.bundle import Bundle, LogEntry
    from modelseal.verification.checks.content import LoggedBy

_HINT = "See the log of the instance; nothing was written."
_V1 = "/api/v1"  # how the address of a version 1 log ends


class Services:
    """The witnesses that a trust config names. What they answer is read, not believed.

    Raises:
        Undecided: it names no log, which every signing config must.
    """

    def __init__(self, config: ClientTrustConfig) -> None:
        try:
            services = config.signing_config
            self._authorities = services.get_tsas()
            self._log = services.get_tlogs()[0]
        except (Error, ValueError, IndexError) as error:
            raise _nobody("transparency log") from error
        for tsa in self._authorities:
            name = f"timestamp authority {tsa.url}"
            transport.patient(tsa._session, name, _HINT)  # noqa: SLF001 - set a timeout
        http = self._log._session  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        transport.patient(http, "transparency log", _HINT)

    def timestamps(self, signed: bytes) -> tuple[bytes, ...]:
        """Return a timestamp of the signature `signed` from each authority (RFC 3161).

        Raises:
            Undecided: there is no authority, or one does not give a timestamp.
        """
        if not self._authorities:
            raise _nobody("timestamp authority")
        with transport.translated():
            try:
                return tuple(tsa.request_timestamp(signed).as_bytes() for tsa in self._authorities)
            except TimestampError as error:
                raise no_answer("timestamp authority", error) from error

    def entry(
        self, bundle: Bundle, message: bytes | signature.Prehashed, signer: LoggedBy
    ) -> LogEntry:
        """Return the entry that the log made for the signature in `bundle`.

        Raises:
            Undecided: the log does not take the signature.
            FormatError: its answer is no log entry.
        """
        url: str = self._log.url  # type: ignore[attr-defined]
        request = _request_v1 if url.endswith(_V1) else _request_v2
        body: EntryRequestBody = request(bundle, message, signer)  # type: ignore[assignment]
        with transport.translated():
            made = self._log.create_entry(body)
            raw = made._inner.to_json()  # noqa: SLF001 - it has no other way to bytes
        return bundle_format.parse_entry(raw.encode())


def _request_v2(
    bundle: Bundle, message: bytes | signature.Prehashed, signer: LoggedBy
) -> dict[str, Any]:
    """Return a `CreateEntryRequest` (sigstore/rekor-tiles, api/proto/rekor/v2/entry.proto)."""
    form = "publicKey" if signer.certificate is None else "x509Certificate"
    raw = signer.certificate or signature.spki(signer.key)
    verifier = {
        form: {"rawBytes": b64encode(raw)},
        "keyDetails": signature.key_details(signer.key)[0],
    }
    logged = {"content": b64encode(content.signature_of(bundle)), "verifier": verifier}
    digest = b64encode(_digest(message, signer)[1])
    return {"hashedRekordRequestV002": {"digest": digest, "signature": logged}}


def _request_v1(
    bundle: Bundle, message: bytes | signature.Prehashed, signer: LoggedBy
) -> dict[str, Any]:
    """Return a `ProposedEntry` (sigstore/rekor, pkg/types/hashedrekord and dsse, 0.0.1)."""
    pem = b64encode(_pem(signer))
    spec: dict[str, Any]
    if isinstance(bundle.content, dsse.Envelope):
        envelope = json.dumps(dsse.to_dict(bundle.content))
        kind, spec = "dsse", {"proposedContent": {"envelope": envelope, "verifiers": [pem]}}
    else:
        name, digest = _digest(message, signer)
        logged = {"content": b64encode(bundle.content.signature), "publicKey": {"content": pem}}
        kind = "hashedrekord"
        spec = {"data": {"hash": {"algorithm": name, "value": digest.hex()}}, "signature": logged}
    return {"apiVersion": "0.0.1", "kind": kind, "spec": spec}


def _digest(message: bytes | signature.Prehashed, signer: LoggedBy) -> tuple[str, bytes]:
    """Return the hash that the key signs with, and the digest of what was signed by it."""
    name = signature.hash_names(signer.key)[0]
    return name, content.digest(message, name)


def _pem(signer: LoggedBy) -> bytes:
    if signer.certificate is None:
        return keys.public_pem(signer.key)
    return load_der_x509_certificate(signer.certificate).public_bytes(Encoding.PEM)


def _nobody(what: str) -> Undecided:
    return Undecided(
        "no-signing-service",
        f"The trust config names no {what} that is in use.",
        "Name an instance that has one: --trust-config, --instance or --staging.",
    )


def no_answer(what: str, error: Exception) -> Undecided:
    """Return the refusal of an answer that is none."""
    message = f"The {what} gave no answer that can be used: {shown(str(error))}."
    return Undecided("signing-failed", message, _HINT)
