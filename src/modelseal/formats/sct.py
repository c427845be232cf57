# SPDX-License-Identifier: Apache-2.0
"""Signed certificate timestamps (RFC 6962 section 3), version 1, for certificates that embed them.

SCT:       version(1)=0 log id(32) timestamp(8, ms) extensions<2> algorithms(2) signature<2>
           algorithms (RFC 5246 section 7.4.1.4.1): SHA-256 with ECDSA, or with RSA
SCT list:  list<2> of SCT<2>, inside a DER OCTET STRING as extension 1.3.6.1.4.1.11129.2.4.2
"""

from __future__ import annotations

from typing import NamedTuple

from modelseal.errors import FormatError
from modelseal.formats import der

SHA256_ECDSA = b"\x04\x03"
SHA256_RSA = b"\x04\x01"
_LOG_ID_SIZE = 32
_PRECERT_ENTRY = b"\x00\x01"
_HEAD = 1 + _LOG_ID_SIZE + 8


class Sct(NamedTuple):
    """A log's promise, signed over SHA-256; `timestamp` in milliseconds."""

    log_id: bytes
    timestamp: int
    signature: bytes
    extensions: bytes = b""
    algorithms: bytes = SHA256_ECDSA


def precert_leaf(
    timestamp: int, issuer_key_hash: bytes, tbs: bytes, extensions: bytes = b""
) -> bytes:
    """Return the Merkle tree leaf of a precertificate (section 3.4).

    It is also, byte for byte, what the log signs (section 3.2). `tbs` is the certificate without
    its SCT extension, `issuer_key_hash` the SHA-256 of the issuer's SubjectPublicKeyInfo, and
    `extensions` those of the SCT.
    """
    if len(issuer_key_hash) != _LOG_ID_SIZE:
        raise FormatError("bad-sct", "An issuer key hash is 32 bytes long.")
    return (
        b"\x00\x00" + timestamp.to_bytes(8, "big") + _PRECERT_ENTRY + issuer_key_hash
        + _vector(tbs, 3) + _vector(extensions, 2)
    )  # fmt: skip


def format_sct_list(scts: list[Sct]) -> bytes:
    """Return the DER value of the SCT list extension; `parse_sct_list` gives `scts` back."""
    items = b"".join(_vector(_format_sct(sct), 2) for sct in scts)
    return der.element(der.OCTET_STRING, _vector(items, 2))


def parse_sct_list(data: bytes) -> list[Sct]:
    """Return the SCTs of the extension's DER value.

    Raises:
        FormatError: anything but a list of version 1 SCTs signed over SHA-256.
    """
    whole = der.Reader(data, "bad-sct", "SCT list")
    reader = _Reader(whole.content(der.OCTET_STRING))
    whole.end()
    items = _Reader(reader.vector(2))
    reader.done()
    scts = []
    while items.left:
        scts.append(_parse_sct(items.vector(2)))
    return scts


def _format_sct(sct: Sct) -> bytes:
    if len(sct.log_id) != _LOG_ID_SIZE:
        raise FormatError("bad-sct", "A log id is 32 bytes long.")
    return (
        b"\x00" + sct.log_id + sct.timestamp.to_bytes(8, "big")
        + _vector(sct.extensions, 2) + sct.algorithms + _vector(sct.signature, 2)
    )  # fmt: skip


def _parse_sct(data: bytes) -> Sct:
    reader = _Reader(data)
    head = reader.take(_HEAD)
    extensions = reader.vector(2)
    algorithms = reader.take(2)
    signature = reader.vector(2)
    reader.done()
    if head[0] != 0 or algorithms not in {SHA256_ECDSA, SHA256_RSA}:
        raise FormatError("bad-sct", "The SCT has another version or algorithm.")
    timestamp = int.from_bytes(head[1 + _LOG_ID_SIZE :], "big")
    return Sct(head[1 : 1 + _LOG_ID_SIZE], timestamp, signature, extensions, algorithms)


class _Reader:
    """A position in TLS-encoded bytes; every read fails when bytes are missing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if self.left < count:
            raise FormatError("bad-sct", "The SCT list is cut short.")
        self._at += count
        return self._data[self._at - count : self._at]

    def vector(self, width: int) -> bytes:
        return self.take(int.from_bytes(self.take(width), "big"))

    def done(self) -> None:
        if self.left:
            raise FormatError("bad-sct", "The SCT list has bytes after its end.")


def _vector(data: bytes, width: int) -> bytes:
    if len(data) >= 1 << 8 * width:
        raise FormatError("too-large", "A part of the SCT is too large.")
    return len(data).to_bytes(width, "big") + data
