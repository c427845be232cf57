# SPDX-License-Identifier: Apache-2.0
"""What a file is that was given as a bundle and is none, and what to do with it.

People keep many things beside a model that sign something or are called like it. A file gets here
only after it was refused: what is said here is for people, and makes nothing acceptable.
"""

from __future__ import annotations

import binascii
import re
from typing import Any, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.formats.strict import parse_json

_LIMIT = 1024 * 1024  # bytes that are looked at
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"


class Kind(NamedTuple):
    """What a file is, as it ends "The bundle file is ...", and what to do."""

    name: str
    hint: str


def refusal(data: bytes) -> FormatError | None:
    """Return the refusal of `data` by what it is; None if that is not known, or it is a bundle."""
    kind = of(data)
    if kind is None:
        return None
    message = f"The bundle file is {kind.name}, not a Sigstore bundle."
    return FormatError("other-kind", message, kind.hint)


def may_be_model(data: bytes) -> bool:
    """Return whether `data` is what models are kept in, rather than something that signs one."""
    return data.startswith((b"GGUF", b"PK\x03\x04", *_PICKLES)) or of(data) is None


def of(data: bytes) -> Kind | None:
    """Return what kind of file `data` is; None if that is not known, or it is a bundle."""
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    text = data[:_LIMIT].strip()
    if text[:1] in {b"{", b"["}:
        return _of_json(data)
    return _of_text(text) or _of_binary(data)


# -- Hints ---------------------------------------------------------------------------------------

_AGAIN = "Download the bundle itself again."
_ASK = "Ask the publisher for a Sigstore bundle; models of your own are signed with: modelseal sign"
_CONVERT = "Make a bundle of it: cosign bundle create --artifact FILE {} --out FILE.sigstore.json"
_DETACHED = _CONVERT.format("--signature SIGNATURE --certificate CERTIFICATE")
_IMAGE = "It is about a container image: cosign verify IMAGE"
_MODEL = "Give the bundle that signs it."
_OTHER_OPTION = "Give it to {}, and the bundle to --bundle."
_PYPI = "It is about a Python package: pypi-attestations verify"
_UNPACK = "Unpack it, and give what is in it."
_UTF8 = "Save it as UTF-8 without a byte order mark; '>' of Windows PowerShell writes another form."

# -- Not JSON ------------------------------------------------------------------------------------

_SIGNATURE = Kind("a detached signature", _DETACHED)
_PGP = Kind("a PGP signature", f"Check it with: gpg --verify. {_ASK}")

_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_STARTS = (
    (b"version https://git-lfs", Kind("a Git LFS pointer", "Fetch the file: git lfs pull")),
    (b"\xff\xfe", Kind("text in UTF-16", _UTF8)),
    (b"\xfe\xff", Kind("text in UTF-16", _UTF8)),
    (b"\xef\xbb\xbf", Kind("text with a byte order mark", _UTF8)),
    (b"\x1f\x8b", Kind("compressed with gzip", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("compressed with Zstandard", _UNPACK)),
    (b"\xff\x06\x00\x00sNaPpY", Kind("compressed with Snappy", _UNPACK)),
    (b"PK\x03\x04", Kind("a ZIP archive", _UNPACK)),
    (b"GGUF", Kind("a GGUF model", _MODEL)),
    *((start, Kind("a pickle", _MODEL)) for start in _PICKLES),
    (b"untrusted comment:", Kind("a signature by minisign or signify", _ASK)),
)
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_LABELS = (  # parts of what stands after BEGIN
    ("PGP", _PGP),
    ("SSH SIGNATURE", Kind("an SSH signature", f"Check it with: ssh-keygen -Y verify. {_ASK}")),
    ("CERTIFICATE", Kind("a certificate", _DETACHED)),
    ("PUBLIC KEY", Kind("a public key", _OTHER_OPTION.format("--key"))),
    ("PRIVATE KEY", Kind("a private key", "Keep it secret, and away from the model.")),
    ("PKCS7", Kind("a CMS signature", _ASK)),
    ("CMS", Kind("a CMS signature", _ASK)),
)
_HTML = re.compile(rb"<(!doctype|html|head|body)\b", re.IGNORECASE)
_CHECKSUM = re.compile(rb"([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})(\s|\Z)")
_JWS = re.compile(rb"eyJ[\w-]+\.[\w-]*\.[\w-]*\Z", re.ASCII)
_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]+={0,2}\Z")
_PGP_BINARY = re.compile(rb"(\x88.|\x89..|\xc2.{1,2})[\x03-\x06]", re.DOTALL)
_SIZES = {64, 96, 132, 256, 384, 512}  # bytes of a signature by Ed25519, by ECDSA as such, by RSA
_LARGEST = 16 * 1024  # bytes of a signature or certificate, in base64


def _of_text(text: bytes) -> Kind | None:
    if pem := _PEM.match(text):
        label = pem[1].decode()
        return next((kind for part, kind in _LABELS if part in label), None)
    if text[:1] == b"<":
        page = "a web page" if _HTML.match(text) else "XML"
        return Kind(page, f"The server may have answered with an error. {_AGAIN}")
    if _CHECKSUM.match(text):
        return Kind("a checksum that nobody signed", _ASK)
    if _JWS.match(text):
        return Kind("a JSON Web Token or Signature", _ASK)
    if len(text) <= _LARGEST and _BASE64.match(text):
        return _of_base64(text)
    return None


def _of_base64(text: bytes) -> Kind | None:
    """Return the kind of what cosign 2 writes: a signature or a PEM certificate, in base64."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        return None
    return _of_text(data) if _PEM.match(data) else _of_binary(data)


def _of_binary(data: bytes) -> Kind | None:
    if data[:1] == b"\n" and data[2:].startswith(_BUNDLE_TYPE.encode()):
        return Kind("a bundle in binary form", "Ask the publisher for its JSON form.")
    if _PGP_BINARY.match(data):
        return _PGP
    is_der = len(data) > 2 and data[0] == 0x30 and data[1] == len(data) - 2 and data[2] == 0x02  # noqa: PLR2004 - SEQUENCE of INTEGER
    is_plain = len(data) in _SIZES and not data.isascii()
    return _SIGNATURE if is_der or is_plain else None


# -- JSON ----------------------------------------------------------------------------------------

_COSIGN_2 = Kind("a bundle in the form of cosign 2", _CONVERT.format("--bundle BUNDLE"))
_REKOR = Kind("an answer of the log Rekor", f"It is only a part of a bundle. {_ASK}")
_PRINTED = Kind("what gh attestation verify printed", f"It was checked then, not now. {_AGAIN}")
_ONE_OF_THEM = (
    "Give one of them alone, if it signs the model: sed -n 1p BUNDLE > model.sig. "
    "Provenance is checked with: gh attestation verify FILE --owner OWNER --bundle BUNDLE"
)

_OBJECTS = (  # members that tell what an object is
    ({"base64Signature"}, _COSIGN_2),
    ({"Base64Signature"}, Kind("what cosign download signature printed", _IMAGE)),
    ({"critical"}, Kind("the payload of an image signature", _IMAGE)),
    ({"schemaVersion", "layers"}, Kind("the manifest of a container image", _IMAGE)),
    ({"SignedEntryTimestamp", "Payload"}, _REKOR),
    ({"canonicalizedBody", "logIndex"}, _REKOR),
    ({"payload", "payloadType", "signatures"}, Kind(
        "a DSSE envelope alone", f"The certificate or key and the log entry are missing. {_ASK}",
    )),
    ({"payload", "protected", "signature"}, Kind(
        "a signature by Notation or another JSON Web Signature", _ASK,
    )),
    ({"attestation_bundles"}, Kind("the provenance of a Python package", _PYPI)),
    ({"verification_material", "envelope"}, Kind("an attestation of a Python package", _PYPI)),
    ({"attestations"}, Kind("the answer of a web service with attestations", _ONE_OF_THEM)),
    ({"_type", "predicateType"}, Kind("an in-toto statement that nobody signed", _ASK)),
    ({"signed", "signatures"}, Kind("metadata of a TUF repository", _ASK)),
    ({"bomFormat"}, Kind("a CycloneDX bill of materials", _ASK)),
    ({"spdxVersion"}, Kind("an SPDX bill of materials", _ASK)),
    ({"root", "serialization"}, Kind(
        "a list of digests that nobody signed", "Sign it with: modelseal sign --manifest BUNDLE",
    )),
)  # fmt: skip
_MEDIA_TYPES = (
    ("application/vnd.dev.sigstore.trustedroot", Kind(
        "a trusted root", _OTHER_OPTION.format("--trusted-root"),
    )),
    ("application/vnd.dev.sigstore.clienttrustconfig", Kind(
        "a trust config", _OTHER_OPTION.format("--trust-config"),
    )),
    ("application/vnd.dev.sigstore.signingconfig", Kind("a signing config", _ASK)),
)  # fmt: skip
_UUID = re.compile(r"[0-9a-f]{64}|[0-9a-f]{80}")  # of a log entry, without and with its tree
_ERRORS = ("error", "message", "detail")  # members in which web services say what went wrong


def _of_json(data: bytes) -> Kind | None:
    value = _parsed(data)
    if isinstance(value, dict):
        return _of_object(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _PRINTED if "attestation" in value[0] else _of_several(value[0], len(value))
    lines = data[:_LIMIT].split(b"\n", 1)
    first = _parsed(lines[0])
    if isinstance(first, dict) and lines[-1].strip():
        return _of_several(first, data.strip().count(b"\n") + 1)
    return None


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return parse_json(data, what="file", limit=_LIMIT)
    except FormatError:
        return None


def _of_several(first: dict[str, Any], count: int) -> Kind | None:
    """Return the kind of a file of `count` objects, of which this is the first."""
    if _is_bundle(first):
        return Kind(f"a list of {count} bundles, as attestations are kept", _ONE_OF_THEM)
    kind = _of_object(first)
    return kind and Kind(f"a list of {count}, the first being {kind.name}", kind.hint)


def _is_bundle(value: dict[str, Any]) -> bool:
    return "verificationMaterial" in value or str(value.get("mediaType")).startswith(_BUNDLE_TYPE)


def _of_object(value: dict[str, Any]) -> Kind | None:
    if _is_bundle(value):
        return None
    media_type = str(value.get("mediaType"))
    for start, kind in _MEDIA_TYPES:
        if media_type.startswith(start):
            return kind
    for members, kind in _OBJECTS:
        if members <= value.keys():
            return kind
    if len(value) == 1 and _UUID.fullmatch(next(iter(value))):
        return _REKOR
    told = next((value[name] for name in _ERRORS if isinstance(value.get(name), str)), None)
    if told is None:
        return None
    return Kind(f"the answer of a web service: '{shown(told, 80)}'", _AGAIN)
