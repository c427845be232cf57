# SPDX-License-Identifier: Apache-2.0
"""Who a certificate of Fulcio, the CA of Sigstore, says its owner is.

Source: sigstore/fulcio, docs/oid-info.md. The certificate must have been checked by the caller.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509

from modelseal.errors import FormatError
from modelseal.formats import der
from modelseal.trust.signer import Signer

# What hostile DER makes the library raise; not all of it is a ValueError.
UNREADABLE = (
    ValueError,
    TypeError,  # a bit string in a name
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_READ_LATER = ("extensions", "issuer", "subject", "not_valid_before_utc", "not_valid_after_utc")
_ARC = "1.3.6.1.4.1.57264.1."
_OTHER_NAME = x509.ObjectIdentifier(_ARC + "7")
_ISSUER_V1, _ISSUER_V2 = 1, 8
# Extensions up to .6 hold raw text, later ones a DER UTF8String.
_RAW_UP_TO = 6
_CLAIMS = {
    2: "github-workflow-trigger",
    3: "github-workflow-sha",
    4: "github-workflow-name",
    5: "github-workflow-repository",
    6: "github-workflow-ref",
    9: "build-signer-uri",
    10: "build-signer-digest",
    11: "runner-environment",
    12: "source-repository-uri",
    13: "source-repository-digest",
    14: "source-repository-ref",
    15: "source-repository-identifier",
    16: "source-repository-owner-uri",
    17: "source-repository-owner-identifier",
    18: "build-config-uri",
    19: "build-config-digest",
    20: "build-trigger",
    21: "run-invocation-uri",
    22: "source-repository-visibility",
    23: "deployment-environment",
}


def load(raw: bytes) -> x509.Certificate:
    """Return the certificate `raw` (DER), having read all of it: the library reads on demand.

    Raises:
        one of UNREADABLE: not a certificate, or a part of it is not what it should be.
    """
    certificate = x509.load_der_x509_certificate(raw)
    for name in _READ_LATER:
        getattr(certificate, name)
    return certificate


@lru_cache(maxsize=64)
def of_certificate(raw: bytes) -> Signer:
    """Return the identity in the signing certificate `raw` (DER).

    Raises:
        FormatError: not a certificate, or without exactly one subject and an issuer.
    """
    try:
        certificate = load(raw)
        extensions = {e.oid.dotted_string: e.value for e in certificate.extensions}
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE as error:
        raise FormatError("bad-certificate", "The bundle has no readable certificate.") from error
    subjects = [_subject(name) for name in names]
    if len(subjects) != 1:
        raise FormatError("bad-certificate", "The certificate must name exactly one subject.")
    found = {
        number: _text(number, extension.value)
        for number in (_ISSUER_V1, _ISSUER_V2, *_CLAIMS)
        if isinstance(extension := extensions.get(_ARC + str(number)), x509.UnrecognizedExtension)
    }
    issuer = found.get(_ISSUER_V2) or found.get(_ISSUER_V1)
    if not issuer:
        raise FormatError("bad-certificate", "The certificate does not say who vouched for it.")
    claims = tuple((word, found[number]) for number, word in _CLAIMS.items() if number in found)
    return Signer(subjects[0], issuer, claims)


def _subject(name: x509.GeneralName) -> str:
    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id == _OTHER_NAME:
        return _utf8_string(name.value)
    raise FormatError("bad-certificate", "The certificate names its subject in an unknown way.")


def _text(number: int, value: bytes) -> str:
    if number > _RAW_UP_TO:
        return _utf8_string(value)
    return _decoded(value)


def _utf8_string(data: bytes) -> str:
    """Return the text of a DER UTF8String."""
    reader = der.Reader(data, "bad-certificate", "claim of the certificate")
    text = reader.content(der.UTF8_STRING)
    reader.end()
    return _decoded(text)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise FormatError("bad-certificate", "A claim of the certificate is not text.") from error
