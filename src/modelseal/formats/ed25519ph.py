# SPDX-License-Identifier: Apache-2.0
"""Ed25519ph verification (RFC 8032 section 5.1), which `cryptography` does not offer.

A log that is shown only the digest of an artifact cannot check plain Ed25519, so Sigstore's Ed25519
clients use this variant. Only public values come in here: nothing has to run in constant time.
"""

from __future__ import annotations

from hashlib import sha512

DIGEST_SIZE = 64
SIGNATURE_SIZE = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_DOM2 = b"SigEd25519 no Ed25519 collisions\x01\x00"  # phflag 1, empty context

_Point = tuple[int, int, int, int]  # extended coordinates: x = X/Z, y = Y/Z, XY = ZT
_NEUTRAL: _Point = (0, 1, 1, 0)


def is_signature(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    """Return whether `signature` is one of the message with SHA-512 `digest` (section 5.1.7)."""
    if len(signature) != SIGNATURE_SIZE or len(digest) != DIGEST_SIZE:
        return False
    key, commitment = _decompress(public_key), _decompress(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= _ORDER:
        return False
    hashed = sha512(_DOM2 + signature[:32] + public_key + digest).digest()
    challenge = int.from_bytes(hashed, "little") % _ORDER
    left, right = _times(scalar, _BASE), _add(commitment, _times(challenge, key))
    # Without the cofactor, as Go and OpenSSL check it. Equal as fractions: cross-multiply.
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % _P == 0


def _add(first: _Point, second: _Point) -> _Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _P
    b = (first[1] + first[0]) * (second[1] + second[0]) % _P
    c = 2 * first[3] * second[3] * _D % _P
    d = 2 * first[2] * second[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    total = _NEUTRAL
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _decompress(data: bytes) -> _Point | None:
    """Return the point that `data` encodes, or None (section 5.1.3)."""
    if len(data) != 32:  # noqa: PLR2004 - the size of a point
        return None
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _recover_x(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    return x if x & 1 == sign else _P - x


_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE_X = _recover_x(_BASE_Y, 0)
assert _BASE_X is not None  # noqa: S101 - a constant of the curve
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
