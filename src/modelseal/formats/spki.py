# SPDX-License-Identifier: Apache-2.0
"""Public keys as bytes: SubjectPublicKeyInfo in DER, and in PEM.

Source: RFC 5280 section 4.1 with RFC 5480 (elliptic curves), RFC 8410 (Ed25519), RFC 3279 section
2.3.1 (RSA) and RFC 8017 appendix A.1.1 (an RSA key alone); RFC 7468 for PEM. cryptography reads
them too, but the import of that part of it takes longer than a signature takes to verify.
"""

from __future__ import annotations

from typing import NamedTuple

from modelseal.errors import FormatError
from modelseal.formats import der
from modelseal.formats.strict import b64decode, b64encode

LIMIT = 4096  # bytes; an RSA key of 8192 bits has some 1,100
PUBLIC_KEY, RSA_PUBLIC_KEY = "PUBLIC KEY", "RSA PUBLIC KEY"  # the second is of RFC 8017

_CODE, _WHAT = "bad-key", "public key"
_BIT_STRING = 0x03
_LINE = 64  # characters of a line of PEM

_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_ED25519 = bytes.fromhex("2b6570")
_CURVES = {  # content of the OID of a named curve -> name
    bytes.fromhex("2a8648ce3d030107"): "secp256r1",
    bytes.fromhex("2b81040022"): "secp384r1",
    bytes.fromhex("2b81040023"): "secp521r1",
}
_OIDS = {name: oid for oid, name in _CURVES.items()}


class Key(NamedTuple):
    """A public key; `kind` is a curve's name, "ed25519", "rsa", or "" for one that is not known.

    `point` is a point of the curve (SEC 1, section 2.3.3) or the bytes of an Ed25519 key; an RSA
    key has `modulus` and `exponent`.
    """

    kind: str
    point: bytes = b""
    modulus: int = 0
    exponent: int = 0


def parse(raw: bytes) -> Key:
    """Return the key in `raw`, a SubjectPublicKeyInfo or an RSAPublicKey.

    Raises:
        FormatError: neither of them ("bad-key").
    """
    if len(raw) > LIMIT:
        raise FormatError(_CODE, f"The public key is larger than {LIMIT} bytes.")
    top = der.Reader(raw, _CODE, _WHAT)
    info = top.within(der.SEQUENCE)
    top.end()
    if info.tag == der.INTEGER:
        return _rsa(info)
    algorithm = info.within(der.SEQUENCE)
    oid = algorithm.content(der.OID)
    bits = info.content(_BIT_STRING)
    info.end()
    if bits[:1] != b"\0":  # the number of bits that do not count
        info.refuse()
    return _of(oid, algorithm, bits[1:])


def _of(oid: bytes, algorithm: der.Reader, content: bytes) -> Key:
    if oid == _EC:
        curve = algorithm.content(der.OID)
        algorithm.end()
        return Key(_CURVES.get(curve, ""), content)
    if oid == _ED25519:
        algorithm.end()
        return Key("ed25519", content)
    if oid == _RSA:
        if algorithm.content(der.NULL):
            algorithm.refuse()
        algorithm.end()
        inner = der.Reader(content, _CODE, _WHAT)
        numbers = inner.within(der.SEQUENCE)
        inner.end()
        return _rsa(numbers)
    return Key("")


def _rsa(numbers: der.Reader) -> Key:
    key = Key("rsa", modulus=numbers.integer(), exponent=numbers.integer())
    numbers.end()
    return key


def to_bytes(key: Key) -> bytes:
    """Return the SubjectPublicKeyInfo of `key`, of a known kind; `parse` reads it back."""
    content = key.point
    if key.kind == "rsa":
        algorithm = der.element(der.OID, _RSA) + der.element(der.NULL)
        content = der.element(der.SEQUENCE, der.integer(key.modulus), der.integer(key.exponent))
    elif key.kind == "ed25519":
        algorithm = der.element(der.OID, _ED25519)
    else:
        algorithm = der.element(der.OID, _EC) + der.element(der.OID, _OIDS[key.kind])
    bits = der.element(_BIT_STRING, b"\0", content)
    return der.element(der.SEQUENCE, der.element(der.SEQUENCE, algorithm), bits)


def from_pem(text: bytes) -> bytes:
    """Return the DER of the first public key in `text`; what stands around it is passed over.

    Raises:
        FormatError: there is none ("bad-key").
    """
    for label in (PUBLIC_KEY, RSA_PUBLIC_KEY):
        _, begin, rest = text.partition(f"-----BEGIN {label}-----".encode())
        inside, end, _ = rest.partition(f"-----END {label}-----".encode())
        if begin and end:
            try:
                return b64decode(b"".join(inside.split()).decode("ascii"), what=_WHAT)
            except (FormatError, UnicodeDecodeError) as error:
                raise FormatError(_CODE, "The public key is not base64.") from error
    raise FormatError(
        _CODE,
        "There is no public key in the file.",
        f"It begins with -----BEGIN {PUBLIC_KEY}-----; `modelseal key generate` writes one.",
    )


def has_pem(text: bytes) -> bool:
    """Return whether `text` says that there is a public key in it."""
    return any(f"-----BEGIN {one}-----".encode() in text for one in (PUBLIC_KEY, RSA_PUBLIC_KEY))


def from_single_pem(label: str, text: bytes) -> bytes:
    """Return the DER in `text`, which is one PEM block with nothing but white space around it.

    Lines may have any length (RFC 7468 section 3: "parsers MAY ignore whitespace").

    Raises:
        FormatError: anything else ("bad-pem").
    """
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    inside = text.strip()
    if not (inside.startswith(begin) and inside.endswith(end)) or inside.count(b"-----") != 4:  # noqa: PLR2004 - two lines
        raise FormatError("bad-pem", f"There is not just one PEM block of a {label.lower()}.")
    content = inside.removeprefix(begin).removesuffix(end)
    try:
        return b64decode(b"".join(content.split()).decode("ascii"), what=f"{label.lower()} in PEM")
    except UnicodeDecodeError as error:
        raise FormatError("bad-pem", f"The {label.lower()} in PEM is not base64.") from error


def to_pem(label: str, raw: bytes) -> bytes:
    """Return `raw` as PEM (RFC 7468, the strict form), with the line break at its end."""
    text = b64encode(raw)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
