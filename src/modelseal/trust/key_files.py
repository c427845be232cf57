# SPDX-License-Identifier: Apache-2.0
"""What a file is that was given as a key or a certificate and cannot be read as one.

There are a dozen forms of keys, and people have the one that their tool wrote. So the refusal names
the form, and the command that makes of it what is read here: PEM, with PKCS#8, PKCS#1 or SEC 1 for
private keys, SubjectPublicKeyInfo or PKCS#1 for public ones, X.509 for certificates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.formats import der
from modelseal.formats.strict import b64decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    Wanted = Literal["private key", "public key", "certificate"]

PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s(.*?)-----END \1-----", re.DOTALL)
_CUT = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_OPENSSH_LINE = re.compile(rb"(?:ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+ AAAA")

_WHAT = "private key"
_CODES: dict[Wanted, str] = {
    "private key": "bad-key",
    "public key": "bad-key",
    "certificate": "bad-certificate",
}
_PRIVATE = {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY",
            "DSA PRIVATE KEY"}  # fmt: skip


class Form(NamedTuple):
    """What a file is, with an article, and hints by what is wanted; that of "" for all others.

    In a hint `{old}` stands for the file, and `{new}` for one to make of it.
    """

    what: str
    hints: Mapping[str, str]


_GENERATE = "Make a key with: modelseal key generate"
_GIVE_PRIVATE = "Give the private key that belongs to it, which signs."
_GIVE_CERTIFICATE = "Give a certificate; whoever signed with a plain key is verified with --key."
_GIVE_BOTH = "Give the private key to --key, and the certificate to --certificate."

_OPENSSH = Form(
    "a private key of OpenSSH",
    {
        "private key": "Convert a copy, as ssh-keygen writes over it: cp {old} {new} && "
        "ssh-keygen -p -m PKCS8 -f {new}",
        "public key": "Take the public key: ssh-keygen -e -m PKCS8 -f {old} > {new}",
        "": _GIVE_CERTIFICATE,
    },
)
_OPENSSH_PUBLIC = Form(
    "a public key of OpenSSH",
    {
        "private key": _GIVE_PRIVATE,
        "public key": "Convert it: ssh-keygen -e -m PKCS8 -f {old} > {new}",
        "": _GIVE_CERTIFICATE,
    },
)
_OPENSSH_ED25519 = Form(
    "an Ed25519 key of OpenSSH", {"": f"ssh-keygen cannot convert those. {_GENERATE}"}
)
_PUTTY = Form(
    "a private key of PuTTY", {"": "Convert it: puttygen {old} -O private-openssh -o {new}"}
)
_JWK = Form("a JSON Web Key", {"": "Convert it to PEM with the tool that wrote it."})
_PKCS12 = Form(
    "a PKCS#12 file",
    {
        "private key": "Convert it: openssl pkcs12 -in {old} -nocerts -out {new}",
        "": "Convert it: openssl pkcs12 -in {old} -nokeys -out {new}",
    },
)
_DER_CERTIFICATE = Form(
    "a certificate in DER",
    {
        "private key": _GIVE_BOTH,
        "public key": "Take the key: openssl x509 -inform DER -in {old} -pubkey -noout > {new}",
        "": "Convert it: openssl x509 -inform DER -in {old} -out {new}",
    },
)
_DER_PRIVATE = Form(
    "a private key in DER",
    {
        "private key": "Convert it: openssl pkey -inform DER -in {old} -out {new}",
        "public key": "Take the public key: openssl pkey -inform DER -in {old} -pubout -out {new}",
        "": _GIVE_CERTIFICATE,
    },
)
_DER_PUBLIC = Form(
    "a public key in DER",
    {
        "private key": _GIVE_PRIVATE,
        "public key": "Convert it: openssl pkey -pubin -inform DER -in {old} -out {new}",
        "": _GIVE_CERTIFICATE,
    },
)
_FORMS = {  # by the label of the PEM block
    **dict.fromkeys(
        ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"),
        Form(
            "an encrypted private key of cosign",
            {
                "": "Neither OpenSSL nor cosign converts it. Make a key with `modelseal key "
                "generate`: `cosign import-key-pair --key` takes that one."
            },
        ),
    ),
    **dict.fromkeys(
        _PRIVATE,
        Form(
            "a private key",
            {
                "public key": "Take the public key: openssl pkey -in {old} -pubout -out {new}",
                "": _GIVE_CERTIFICATE,
            },
        ),
    ),
    **dict.fromkeys(
        ("PUBLIC KEY", "RSA PUBLIC KEY"),
        Form("a public key", {"private key": _GIVE_PRIVATE, "": _GIVE_CERTIFICATE}),
    ),
    **dict.fromkeys(
        ("CERTIFICATE", "X509 CERTIFICATE"),
        Form(
            "a certificate",
            {
                "private key": _GIVE_BOTH,
                "": "Give the certificate of its CA to --certificate-chain, or take the key: "
                "openssl x509 -in {old} -pubkey -noout > {new}",
            },
        ),
    ),
    "TRUSTED CERTIFICATE": Form(
        "a certificate with OpenSSL's own additions",
        {"private key": _GIVE_BOTH, "": "Convert it: openssl x509 -in {old} -out {new}"},
    ),
    **dict.fromkeys(
        ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        Form("a request for a certificate", {"": "Have the CA issue the certificate."}),
    ),
    **dict.fromkeys(
        ("PKCS7", "CMS"),
        Form("a PKCS#7 file", {"": "Convert it: openssl pkcs7 -in {old} -print_certs -out {new}"}),
    ),
    **dict.fromkeys(
        ("PGP PRIVATE KEY BLOCK", "PGP PUBLIC KEY BLOCK"),
        Form("a key of OpenPGP", {"": _GENERATE}),
    ),
}


def refusal(path: Path, data: bytes, wanted: Wanted) -> FormatError:
    """Return why `data`, which is in the file at `path`, is not what is `wanted`."""
    name, form = shown(str(path)), _form(data)
    if form is None:
        message = f"'{name}' has no {wanted} in PEM."
        hint = f"Give the file with the {wanted}: text with a line -----BEGIN ...-----."
        return FormatError(_CODES[wanted], message, hint)
    message = f"'{name}' is {form.what}, where a {wanted} in PEM is needed."
    hint = form.hints.get(wanted, form.hints[""])
    return FormatError(_CODES[wanted], message, filled(hint, path))


def damaged(path: Path) -> FormatError:
    """Return the refusal of the private key in the file `path`, which has the right form."""
    message = f"The private key in '{shown(str(path))}' is damaged."
    return FormatError("bad-key", message, "Restore it from where it is kept.")


def is_private(data: bytes) -> bool:
    """Return whether `data` has a private key of a form that can be read, damaged as it may be."""
    return any(label in _PRIVATE for label in _labels(data))


def _form(data: bytes) -> Form | None:
    """Return what `data` is, as far as it is known."""
    labels = _labels(data)
    if not labels:
        return _binary(data) if data[:1] == bytes([der.SEQUENCE]) else _text(data)
    if labels[0] == "OPENSSH PRIVATE KEY":
        found = PEM.search(data)
        ed25519 = found is not None and b"ssh-ed25519" in decoded(found[2])
        return _OPENSSH_ED25519 if ed25519 else _OPENSSH
    unknown = Form(f"a PEM file of the kind '{labels[0]}'", {"": _GENERATE})
    return _FORMS.get(labels[0], unknown)


def _labels(data: bytes) -> list[str]:
    """Return the labels of the PEM blocks in `data`, without those of parameters."""
    labels = (label.decode() for label in _CUT.findall(data))
    return [label for label in labels if not label.endswith(" PARAMETERS")]


def _binary(data: bytes) -> Form | None:
    """Return what `data` is, if it is a key or certificate in DER."""
    from cryptography import x509  # noqa: PLC0415 - only for what is refused
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    if _is_pkcs12(data):
        return _PKCS12
    for read, form in (
        (x509.load_der_x509_certificate, _DER_CERTIFICATE),
        (lambda data: serialization.load_der_private_key(data, None), _DER_PRIVATE),
        (serialization.load_der_public_key, _DER_PUBLIC),
    ):
        try:
            read(data)
        except (ValueError, UnsupportedAlgorithm):
            continue
        except TypeError:  # encrypted
            return form
        return form
    return None


def _is_pkcs12(data: bytes) -> bool:
    """Return whether `data` begins as a PFX does (RFC 7292 section 4): version 3, then content."""
    try:
        pfx = der.Reader(data, "bad-key", _WHAT).within(der.SEQUENCE)
        return pfx.integer() == 3 and pfx.tag == der.SEQUENCE  # noqa: PLR2004 - the version
    except FormatError:
        return False


def _text(data: bytes) -> Form | None:
    """Return what `data` is, if it is a key in another text form."""
    if _OPENSSH_LINE.match(data):
        return _OPENSSH_ED25519 if data.startswith(b"ssh-ed25519") else _OPENSSH_PUBLIC
    if data.startswith(b"PuTTY-User-Key-File-"):
        return _PUTTY
    return _JWK if data.lstrip()[:1] == b"{" and b'"kty"' in data else None


def decoded(body: bytes) -> bytes:
    """Return what is in the `body` of a PEM block, nothing if it is damaged."""
    try:
        return b64decode(b"".join(body.split()).decode("ascii"), what=_WHAT)
    except (FormatError, UnicodeDecodeError):
        return b""


def filled(hint: str, path: Path) -> str:
    """Return `hint` with the names of the file at `path` and of one to make of it."""
    import shlex  # noqa: PLC0415 - only for what is refused

    text = str(path)
    old = shlex.quote(text) if text.isascii() and text.isprintable() else "FILE"
    return hint.format(old=old, new=shlex.quote(shown(f"{path.stem}.new.pem")))
