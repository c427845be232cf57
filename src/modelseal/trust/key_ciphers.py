# SPDX-License-Identifier: Apache-2.0
"""By what a private key in PEM is encrypted, and whether that can be decrypted here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown
from modelseal.formats import der
from modelseal.trust.key_files import PEM, damaged, decoded, filled

if TYPE_CHECKING:
    from pathlib import Path

_CIPHER = re.compile(rb"DEK-Info: *([A-Za-z0-9-]{1,40}),")
_WHAT = "private key"

# Ciphers of encrypted keys that cryptography decrypts: of RFC 1421 by name, of PKCS#5 by OID.
_CIPHERS_1421 = {"AES-128-CBC", "AES-256-CBC", "DES-EDE3-CBC"}
_BLOCK = 8  # bytes; of the ciphers of RFC 1421 each has blocks of this size, or of twice of it
_PBES2 = "1.2.840.113549.1.5.13"
_CIPHERS_PKCS5 = {
    "2.16.840.1.101.3.4.1.2",  # AES-128-CBC
    "2.16.840.1.101.3.4.1.22",  # AES-192-CBC
    "2.16.840.1.101.3.4.1.42",  # AES-256-CBC
    "1.2.840.113549.3.7",  # DES-EDE3-CBC
    "1.2.840.113549.3.2",  # RC2-CBC
}
_SCHEMES_PKCS5 = {  # of PBES1, each a key derivation with a cipher
    "1.2.840.113549.1.5.3",  # pbeWithMD5AndDES-CBC
    "1.2.840.113549.1.12.1.1",  # pbeWithSHAAnd128BitRC4
    "1.2.840.113549.1.12.1.3",  # pbeWithSHAAnd3-KeyTripleDES-CBC
    "1.2.840.113549.1.12.1.6",  # pbeWithSHAAnd40BitRC2-CBC
}
_NAMES = {
    "1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
    "1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
    "1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
    "1.2.410.200046.1.1.2": "ARIA-128-CBC",
    "1.2.410.200046.1.1.7": "ARIA-192-CBC",
    "1.2.410.200046.1.1.12": "ARIA-256-CBC",
    "1.3.14.3.2.7": "DES-CBC",
}


def is_encrypted(data: bytes) -> bool:
    """Return whether `data` has an encrypted private key of a form that can be read."""
    found = PEM.search(data)
    return found is not None and (found[1] == b"ENCRYPTED PRIVATE KEY" or b"DEK-Info:" in found[2])


def unsupported_cipher(path: Path, data: bytes) -> FormatError | None:
    """Return the refusal of an encrypted private key by its cipher; None if it is a known one.

    Raises:
        FormatError: the key is damaged ("bad-key").
    """
    found = PEM.search(data)
    if found is None:
        raise damaged(path)
    named = _CIPHER.search(found[2])
    if named is not None:
        body = found[2].replace(b"\r", b"").partition(b"\n\n")[2]
        if not decoded(body) or len(decoded(body)) % _BLOCK:
            raise damaged(path)
        cipher = named[1].decode()
        known = cipher in _CIPHERS_1421
    else:
        scheme, cipher = _scheme(path, found[2])
        known = (cipher if scheme == _PBES2 else scheme) in _CIPHERS_PKCS5 | _SCHEMES_PKCS5
        cipher = _NAMES.get(cipher, cipher) if scheme == _PBES2 else scheme
    if known:
        return None
    is_modern = cipher.startswith(("AES", "CAMELLIA", "Camellia", "ARIA"))
    old_ones = "" if is_modern else " -provider legacy -provider default"  # of OpenSSL 3
    return FormatError(
        "bad-key",
        f"The private key '{shown(str(path))}' is encrypted by {cipher}, which is not supported.",
        filled(f"Convert it: openssl pkey{old_ones} -in {{old}} -aes256 -out {{new}}", path),
    )


def _scheme(path: Path, body: bytes) -> tuple[str, str]:
    """Return the OIDs of the scheme and cipher of the EncryptedPrivateKeyInfo in the PEM `body`.

    Source: RFC 5958 section 3; RFC 8018 appendix A.4 for PBES2.
    """
    try:
        key = der.Reader(decoded(body), "bad-key", _WHAT).within(der.SEQUENCE)
        algorithm = key.within(der.SEQUENCE)
        scheme = _oid(algorithm.content(der.OID))
        if scheme != _PBES2:
            return scheme, ""
        parameters = algorithm.within(der.SEQUENCE)
        parameters.content(der.SEQUENCE)  # the key derivation
        return scheme, _oid(parameters.within(der.SEQUENCE).content(der.OID))
    except FormatError as error:
        raise damaged(path) from error


def _oid(content: bytes) -> str:
    """Return an OID in dots (X.690 section 8.19)."""
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2) if numbers else 0
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:]))) if numbers else "?"
