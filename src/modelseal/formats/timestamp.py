# SPDX-License-Identifier: Apache-2.0
"""The answer of a timestamp authority (RFC 3161) as values.

Source: RFC 3161 section 2.4.2 for the answer and what it says, RFC 5652 section 5 for the signed
data around it, RFC 5035 and RFC 5816 for the attribute that names the signer's certificate. Read is
what an authority that follows RFC 3161 writes: DER, one signer, named by issuer and serial number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from modelseal.errors import FormatError
from modelseal.formats import der

LIMIT = 64 * 1024  # bytes; real ones have 1 to 8 KiB, most of it certificates
CODE = "bad-timestamp"
_WHAT = "timestamp of the bundle"

GRANTED = 0


# Contents of OIDs. Two arcs: 1.2.840.113549.1 (PKCS) and 2.16.840.1.101.3.4.2 (NIST, hashes)
_PKCS = bytes.fromhex("2a864886f70d01")
_NIST = bytes.fromhex("6086480165030402")
_SIGNED_DATA = _PKCS + bytes((7, 2))
_TST_INFO = _PKCS + bytes((9, 16, 1, 4))
_CONTENT_TYPE = _PKCS + bytes((9, 3))
_MESSAGE_DIGEST = _PKCS + bytes((9, 4))
_SIGNING_CERTIFICATE = _PKCS + bytes((9, 16, 2, 12))
_SIGNING_CERTIFICATE_V2 = _PKCS + bytes((9, 16, 2, 47))

HASHES = {_NIST + b"\1": "sha256", _NIST + b"\2": "sha384", _NIST + b"\3": "sha512"}
_OIDS = {name: oid for oid, name in HASHES.items()}
# What signers write as the algorithm of the signature -> kind of key, and the hash if it says one
# (RFC 5754 section 3, RFC 8419 section 2.3).
ALGORITHMS: dict[bytes, tuple[str, str | None]] = {
    _PKCS + bytes((1, 1)): ("rsa", None),
    _PKCS + bytes((1, 11)): ("rsa", "sha256"),
    _PKCS + bytes((1, 12)): ("rsa", "sha384"),
    _PKCS + bytes((1, 13)): ("rsa", "sha512"),
    bytes.fromhex("2a8648ce3d0201"): ("ec", None),
    bytes.fromhex("2a8648ce3d040302"): ("ec", "sha256"),
    bytes.fromhex("2a8648ce3d040303"): ("ec", "sha384"),
    bytes.fromhex("2a8648ce3d040304"): ("ec", "sha512"),
    bytes.fromhex("2b6570"): ("ed25519", None),
}
_MICROSECONDS = 6


class Info(NamedTuple):
    """What the authority says: at `time` (UTC) it saw something with the digest `imprint`."""

    policy: bytes  # content of an OID
    hash_name: str
    imprint: bytes
    serial: int
    time: datetime
    nonce: int | None = None


class Token(NamedTuple):
    """A signed `Info`.

    `content` are its bytes, `attributes` the bytes that were signed (DER, a SET), which hold the
    digest of `content` and the hashes of the signer's certificate as (hash name, digest).
    """

    info: Info
    content: bytes
    attributes: bytes
    message_digest: bytes
    certificate_hashes: tuple[tuple[str, bytes], ...]
    certificates: tuple[bytes, ...]  # DER; the signer's may be among them
    issuer: bytes  # DER of the signer's issuer
    serial: int
    hash_name: str
    algorithm: bytes  # content of an OID, one of `ALGORITHMS`
    signature: bytes


def parse(raw: bytes) -> Token:
    """Return the token in the answer `raw` (`TimeStampResp`).

    Raises:
        FormatError: too large, not such an answer, or one that grants no token ("bad-timestamp").
    """
    if len(raw) > LIMIT:
        raise FormatError(CODE, f"A timestamp of the bundle is larger than {LIMIT} bytes.")
    top = der.Reader(raw, CODE, _WHAT)
    response = top.within(der.SEQUENCE)
    top.end()
    status = response.within(der.SEQUENCE)
    if status.integer() != GRANTED:
        raise FormatError(CODE, "The bundle has the refusal of a timestamp in place of one.")
    token = response.within(der.SEQUENCE)
    response.end()
    if token.content(der.OID) != _SIGNED_DATA:
        token.refuse()
    explicit = token.within(der.inside(0))
    token.end()
    signed = explicit.within(der.SEQUENCE)
    explicit.end()
    return _signed_data(signed)


def _signed_data(signed: der.Reader) -> Token:
    """Return the token in `SignedData` (RFC 5652 section 5.1)."""
    signed.integer()  # the version follows from what else is there
    algorithms = signed.within(der.SET)
    hashes = set()
    while algorithms.tag is not None:
        hashes.add(_algorithm(algorithms))
    encapsulated = signed.within(der.SEQUENCE)
    if encapsulated.content(der.OID) != _TST_INFO:
        encapsulated.refuse()
    explicit = encapsulated.within(der.inside(0))
    encapsulated.end()
    content = explicit.content(der.OCTET_STRING)
    explicit.end()
    certificates: list[bytes] = []
    if signed.tag == der.inside(0):
        inner = signed.within(der.inside(0))
        while inner.tag is not None:
            certificates.append(inner.whole(der.SEQUENCE))
    if signed.tag == der.inside(1):  # revocation lists, which nobody reads
        signed.content()
    signers = signed.within(der.SET)
    signed.end()
    signer = signers.within(der.SEQUENCE)
    signers.end()
    token = _signer_info(signer, content, tuple(certificates))
    if _OIDS[token.hash_name] not in hashes:
        signed.refuse()
    return token


def _signer_info(signer: der.Reader, content: bytes, certificates: tuple[bytes, ...]) -> Token:
    """Return the token that `SignerInfo` makes of `content` (RFC 5652 section 5.3)."""
    signer.integer()
    name = signer.within(der.SEQUENCE)
    issuer, serial = name.whole(der.SEQUENCE), _serial(name)
    name.end()
    hash_name = _hash(signer)
    attributes = signer.content(der.inside(0))
    algorithm = _algorithm(signer)
    if algorithm not in ALGORITHMS:
        signer.refuse()
    signature = signer.content(der.OCTET_STRING)
    if signer.tag == der.inside(1):  # unsigned attributes say nothing that counts
        signer.content()
    signer.end()
    digest, certificate_hashes = _attributes(attributes)
    return Token(
        info=_info(content),
        content=content,
        attributes=der.element(der.SET, attributes),  # as it is signed (RFC 5652 section 5.4)
        message_digest=digest,
        certificate_hashes=certificate_hashes,
        certificates=certificates,
        issuer=issuer,
        serial=serial,
        hash_name=hash_name,
        algorithm=algorithm,
        signature=signature,
    )


def _serial(name: der.Reader) -> int:
    """Return a serial number, which CAs of old also wrote as a negative number."""
    return int.from_bytes(name.content(der.INTEGER), "big", signed=True)


def _algorithm(reader: der.Reader) -> bytes:
    """Return the OID of an `AlgorithmIdentifier`, whose parameter is NULL or not there."""
    inner = reader.within(der.SEQUENCE)
    oid = inner.content(der.OID)
    if inner.tag == der.NULL and inner.content():
        inner.refuse()
    inner.end()
    return oid


def _hash(reader: der.Reader) -> str:
    """Return the hash that an `AlgorithmIdentifier` names."""
    name = HASHES.get(_algorithm(reader))
    if name is None:
        reader.refuse()
    return name


def _attributes(raw: bytes) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Return the message digest and the certificate hashes of signed attributes.

    Each attribute stands once and has one value (RFC 5652 section 5.3 and 11).
    """
    reader = der.Reader(raw, CODE, _WHAT)
    found: dict[bytes, der.Reader] = {}
    while reader.tag is not None:
        attribute = reader.within(der.SEQUENCE)
        kind = attribute.content(der.OID)
        if kind in found:
            reader.refuse()
        found[kind] = attribute.within(der.SET)
        attribute.end()
    if not {_CONTENT_TYPE, _MESSAGE_DIGEST} <= found.keys():
        reader.refuse()
    content_type = found[_CONTENT_TYPE]
    if content_type.content(der.OID) != _TST_INFO:
        reader.refuse()
    content_type.end()
    digest = found[_MESSAGE_DIGEST].content(der.OCTET_STRING)
    found[_MESSAGE_DIGEST].end()
    hashes = [
        _certificate_hash(found[kind], default)
        for kind, default in ((_SIGNING_CERTIFICATE, "sha1"), (_SIGNING_CERTIFICATE_V2, "sha256"))
        if kind in found
    ]
    return digest, tuple(hashes)


def _certificate_hash(values: der.Reader, default: str) -> tuple[str, bytes]:
    """Return the hash of the signer's certificate, the first of `certs` (RFC 5035 section 4)."""
    certs = values.within(der.SEQUENCE).within(der.SEQUENCE)
    first = certs.within(der.SEQUENCE)
    name = _hash(first) if first.tag == der.SEQUENCE else default
    return name, first.content(der.OCTET_STRING)


def _info(content: bytes) -> Info:
    """Return what `TSTInfo` says (RFC 3161 section 2.4.2)."""
    top = der.Reader(content, CODE, _WHAT)
    info = top.within(der.SEQUENCE)
    top.end()
    if info.integer() != 1:
        info.refuse()
    policy = info.content(der.OID)
    imprint = info.within(der.SEQUENCE)
    hash_name, digest = _hash(imprint), imprint.content(der.OCTET_STRING)
    imprint.end()
    serial = _serial(info)
    time = _time(info)
    nonce: int | None = None
    for tag in (der.SEQUENCE, der.BOOLEAN, der.INTEGER, der.inside(0), der.inside(1)):
        if info.tag != tag:  # accuracy, ordering, nonce, tsa, extensions: all may be missing
            continue
        if tag == der.INTEGER:
            nonce = _serial(info)
        else:
            info.content()
    info.end()
    return Info(policy, hash_name, digest, serial, time, nonce)


def _time(info: der.Reader) -> datetime:
    """Return a GeneralizedTime: YYYYMMDDhhmmss, perhaps a fraction without zeros at its end, Z."""
    raw = info.content(der.GENERALIZED_TIME)
    digits, dot, fraction = raw[:-1].partition(b".")
    ends_well = raw[-1:] == b"Z" and (not dot or (fraction.isdigit() and fraction[-1:] != b"0"))
    if not ends_well or not digits.isdigit() or len(digits) != len("YYYYMMDDhhmmss"):
        info.refuse()
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    try:
        whole = datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        info.refuse()
    return whole + timedelta(microseconds=int(fraction[:_MICROSECONDS].ljust(_MICROSECONDS, b"0")))


def format_info(info: Info) -> bytes:
    """Return the DER of `info`; times to the microsecond."""
    moment = f"{info.time:%Y%m%d%H%M%S}"
    if info.time.microsecond:
        moment += f".{info.time.microsecond:06}".rstrip("0")
    algorithm = der.element(der.SEQUENCE, der.element(der.OID, _OIDS[info.hash_name]))
    imprint = der.element(der.SEQUENCE, algorithm, der.element(der.OCTET_STRING, info.imprint))
    return der.element(
        der.SEQUENCE,
        der.integer(1),
        der.element(der.OID, info.policy),
        imprint,
        der.integer(info.serial),
        der.element(der.GENERALIZED_TIME, f"{moment}Z".encode()),
        b"" if info.nonce is None else der.integer(info.nonce),
    )


def format_attributes(message_digest: bytes, hashes: tuple[tuple[str, bytes], ...]) -> bytes:
    """Return the signed attributes, in DER order, that say `message_digest` and `hashes`."""
    values = {
        _CONTENT_TYPE: der.element(der.OID, _TST_INFO),
        _MESSAGE_DIGEST: der.element(der.OCTET_STRING, message_digest),
    }
    for name, digest in hashes:
        kind = _SIGNING_CERTIFICATE if name == "sha1" else _SIGNING_CERTIFICATE_V2
        named = b""
        if name not in {"sha1", "sha256"}:
            named = der.element(der.SEQUENCE, der.element(der.OID, _OIDS[name]))
        one = der.element(der.SEQUENCE, named, der.element(der.OCTET_STRING, digest))
        values[kind] = der.element(der.SEQUENCE, der.element(der.SEQUENCE, one))
    made = [
        der.element(der.SEQUENCE, der.element(der.OID, kind), der.element(der.SET, value))
        for kind, value in values.items()
    ]
    return der.element(der.SET, *sorted(made))


def to_bytes(token: Token) -> bytes:
    """Return the answer that grants `token`; `parse` reads it back as the same value."""
    algorithm = der.element(der.SEQUENCE, der.element(der.OID, _OIDS[token.hash_name]))
    signed_attributes = der.Reader(token.attributes, CODE, _WHAT).content(der.SET)
    signer = der.element(
        der.SEQUENCE,
        der.integer(1),
        der.element(der.SEQUENCE, token.issuer, der.integer(token.serial)),
        algorithm,
        der.element(der.inside(0), signed_attributes),
        der.element(der.SEQUENCE, der.element(der.OID, token.algorithm)),
        der.element(der.OCTET_STRING, token.signature),
    )
    content = der.element(der.inside(0), der.element(der.OCTET_STRING, token.content))
    certificates = der.element(der.inside(0), *token.certificates) if token.certificates else b""
    signed = der.element(
        der.SEQUENCE,
        der.integer(3),
        der.element(der.SET, algorithm),
        der.element(der.SEQUENCE, der.element(der.OID, _TST_INFO), content),
        certificates,
        der.element(der.SET, signer),
    )
    wrapped = der.element(der.OID, _SIGNED_DATA) + der.element(der.inside(0), signed)
    status = der.element(der.SEQUENCE, der.integer(GRANTED))
    return der.element(der.SEQUENCE, status, der.element(der.SEQUENCE, wrapped))
