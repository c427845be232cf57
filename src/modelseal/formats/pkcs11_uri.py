# SPDX-License-Identifier: Apache-2.0
"""PKCS#11 URIs (RFC 7512): which private key, on which token, behind which module.

Only what can be obeyed is taken. An attribute that is passed over would choose another key than
the one that was asked for, so an unknown one is an error. No message repeats a value of the URI: it
may be a PIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from modelseal.errors import UsageError, shown

SCHEME = "pkcs11:"
_LIMIT = 4096  # characters
_VALUE = re.compile(r"(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9._~:\[\]@!$'()*+,=&/?|-])+")
# Attribute (RFC 7512 section 2.3) -> field; of the query (section 2.4) further below.
_PATH = {
    "token": "token",
    "serial": "serial",
    "manufacturer": "manufacturer",
    "model": "model",
    "object": "label",
    "id": "id",
}
_QUERY = {"module-path": "module_path", "pin-source": "pin_source"}
_HINT = (
    "For example: pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so"
)


@dataclass(frozen=True)
class Pkcs11Uri:
    """What a URI asks for; None matches anything. `id` is CKA_ID, `label` is CKA_LABEL."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    label: str | None = None
    id: bytes | None = None
    module_path: str | None = None
    pin_source: str | None = None


def parse(text: str) -> Pkcs11Uri:
    """Return what the URI in `text` asks for.

    Raises:
        UsageError: not such a URI, or one that asks for what cannot be done ("bad-key-uri").
    """
    if len(text) > _LIMIT or text[: len(SCHEME)].lower() != SCHEME:
        raise _bad("It does not begin with 'pkcs11:', or is too long.")
    path, _, query = text[len(SCHEME) :].partition("?")
    asked = _attributes(path, ";")
    if "pin-value" in asked or any(part.startswith("pin-value") for part in query.split("&")):
        raise UsageError(
            "bad-key-uri",
            "The PKCS#11 URI has a pin-value, which every process on the machine can read.",
            "Give the PIN with --password-env, or its file with pin-source.",
        )
    if asked.pop("type", b"private") != b"private":
        raise _bad("Its type is another than 'private'.")
    fields = _fields(asked, _PATH) | _fields(_attributes(query, "&"), _QUERY)
    identifier = fields.pop("id", None)
    return Pkcs11Uri(id=identifier, **{name: _text(name, value) for name, value in fields.items()})


def to_text(uri: Pkcs11Uri) -> str:
    """Return the URI that `parse` reads as `uri`."""
    return SCHEME + ";".join(_parts(uri, _PATH)) + _query(uri)


def _query(uri: Pkcs11Uri) -> str:
    parts = _parts(uri, _QUERY)
    return "?" + "&".join(parts) if parts else ""


def _parts(uri: Pkcs11Uri, names: dict[str, str]) -> list[str]:
    asked = ((name, getattr(uri, field)) for name, field in names.items())
    return [
        f"{name}={quote(value, safe='/')}"  # takes bytes as well
        for name, value in asked
        if value is not None
    ]


def _attributes(text: str, separator: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, _, value = part.partition("=")
        if not _VALUE.fullmatch(value):
            raise _bad(f"'{shown(name, 40)}' has no value, or one that is not percent-encoded.")
        if name in found:
            raise _bad(f"It has '{shown(name, 40)}' twice.")
        found[name] = unquote_to_bytes(value)
    return found


def _fields(asked: dict[str, bytes], names: dict[str, str]) -> dict[str, bytes]:
    for name in asked:
        if name not in names:
            raise _bad(f"Its attribute '{shown(name, 40)}' is not taken here.")
    return {names[name]: value for name, value in asked.items()}


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise _bad(f"Its {name} is not UTF-8.") from error
    if "\0" in text:
        raise _bad(f"Its {name} has a zero byte.")
    return text


def _bad(why: str) -> UsageError:
    return UsageError("bad-key-uri", f"This is no PKCS#11 URI of a private key. {why}", _HINT)
