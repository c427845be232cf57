# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import b64decode

import pytest

from modelseal.errors import FormatError
from modelseal.trust import fulcio


@pytest.fixture
def der(forge) -> bytes:
    material = forge.artifact(b"x")["verificationMaterial"]
    return b64decode(material["certificate"]["rawBytes"])


def test_subject_and_issuer(der) -> None:
    found = fulcio.of_certificate(der)
    assert (found.subject, found.issuer) == ("alice@example.com", "http://127.0.0.1:1")


@pytest.mark.parametrize("tag", [0x83, 0xA3, 0xA5, 0x85, 0xA4, 0xA0, 0x87, 0x88, 0x82])
def test_names_of_other_kinds_are_refused_in_words(der, tag: int) -> None:
    at = der.index(b"\x81\x11alice@example.com")  # rfc822Name (RFC 5280 section 4.2.1.6)
    with pytest.raises(FormatError) as refused:
        fulcio.of_certificate(der[:at] + bytes([tag]) + der[at + 1 :])
    assert refused.value.code == "bad-certificate"


def test_a_certificate_of_an_unknown_version_is_refused_in_words(der) -> None:
    at = der.index(b"\xa0\x03\x02\x01\x02") + 4
    with pytest.raises(FormatError) as refused:
        fulcio.of_certificate(der[:at] + b"\x05" + der[at + 1 :])
    assert refused.value.code == "bad-certificate"
