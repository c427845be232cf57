# SPDX-License-Identifier: Apache-2.0
"""How a bundle names the key that signed it, in every way that peers have.

OMS (spec 4.1) asks for "a hex-encoded key fingerprint" and does not say of what. It is never
evidence: the signature is checked with the key that the caller trusts. It tells a wrong key from a
changed model.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from modelseal.errors import Unverified, shown
from modelseal.formats.strict import b64encode
from modelseal.trust import keys, signature

if TYPE_CHECKING:
    from modelseal.formats.bundle import Bundle
    from modelseal.trust.signature import PublicKey

_OF_DER = (
    "the bundle names the key by the SHA-256 of its DER{form}, where model_signing and modelseal "
    "take its PEM text; it is the key that was given"
)
_RAW = "the bundle has the key itself, as those of model_signing before 1.1 do, not its fingerprint"
_OF_NO_FORM = (
    "the bundle names the key '{hint}', which is no fingerprint; the one that was given did"
)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?")
_NONE = "the bundle does not say which key signed it; the one that was given did"


def check(bundle: Bundle, key: PublicKey) -> tuple[str, ...]:
    """Return what is unusual about how `bundle` names `key`, having checked that it does.

    Raises:
        Unverified: it names another key ("key-mismatch").
    """
    raw, hint = bundle.raw_key, bundle.key_hint or ""
    if raw not in {None, signature.spki(key)} and not _is_pem(raw, key):
        raise _mismatch("has another key in it", key)
    if not hint:
        return (_NONE if raw is None else _RAW,)
    pem, der = keys.hints(key)
    if hint.lower() == pem:
        return ()
    if hint.lower() == der:
        return (_OF_DER.format(form=""),)
    if hint == b64encode(hashlib.sha256(signature.spki(key)).digest()):
        return (_OF_DER.format(form=" in base64, as cosign does"),)
    if _FINGERPRINT.fullmatch(hint):
        raise _mismatch(f"names the key '{shown(hint, 80)}'", key)
    return (_OF_NO_FORM.format(hint=shown(hint, 80)),)


def _is_pem(raw: bytes | None, key: PublicKey) -> bool:
    return raw is not None and raw.strip() == keys.public_pem(key).strip()


def _mismatch(what: str, key: PublicKey) -> Unverified:
    pem, der = keys.hints(key)
    return Unverified(
        "key-mismatch",
        f"The bundle {what}; the one that was given is '{pem}'.",
        "A key is named by the SHA-256 of its PEM text, as `modelseal key` writes it, or of its "
        f"DER, here '{der}'. Verify with the key of whoever released the model.",
    )
