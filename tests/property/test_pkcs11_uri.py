# SPDX-License-Identifier: Apache-2.0
"""PKCS#11 URIs: what is written is read back, and what cannot be obeyed is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import UsageError
from modelseal.formats import pkcs11_uri
from modelseal.formats.pkcs11_uri import Pkcs11Uri

TEXT = st.none() | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30
)
URIS = st.builds(
    Pkcs11Uri,
    token=TEXT, serial=TEXT, manufacturer=TEXT, model=TEXT, label=TEXT,
    id=st.none() | st.binary(min_size=1, max_size=30), module_path=TEXT, pin_source=TEXT,
)  # fmt: skip


@given(URIS)
def test_what_is_written_is_read_back(uri):
    assert pkcs11_uri.parse(pkcs11_uri.to_text(uri)) == uri


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    for whole in (text, f"pkcs11:{text}", f"pkcs11:token=a?{text}"):
        try:
            read = pkcs11_uri.parse(whole)
        except UsageError:
            continue
        assert pkcs11_uri.parse(pkcs11_uri.to_text(read)) == read


def test_examples_of_the_rfc():
    uri = (
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.;"
        "model=1.0;object=my-certificate;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=1"
        "?pin-source=file:/etc/token_pin"
    )
    read = pkcs11_uri.parse(uri)
    assert read.token == "Software PKCS#11 softtoken"
    assert read.manufacturer == "Snake Oil, Inc."
    assert read.id == bytes.fromhex("69953e5cf4bdec91")
    assert read.pin_source == "file:/etc/token_pin"
    assert pkcs11_uri.parse("PKCS11:") == Pkcs11Uri()


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs12:token=a", "pkcs11:token=a;token=b", "pkcs11:slot-id=1", "pkcs11:token=",
        "pkcs11:token", "pkcs11:token=a b", "pkcs11:token=%4", "pkcs11:token=%00",
        "pkcs11:token=%ff", "pkcs11:type=public", "pkcs11:x-vendor=1",
        "pkcs11:object=a?module-name=softhsm2",
        "pkcs11:" + "a" * 5000,
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused(uri):
    with pytest.raises(UsageError) as caught:
        pkcs11_uri.parse(uri)
    assert caught.value.code == "bad-key-uri"


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=a?pin-value=8642", "pkcs11:token=a;pin-value=8642",
        "pkcs11:token=a?module-path=/m&pin-value=8642&x", "pkcs11:token=a?Pin-Value=8642",
        "pkcs11:token=a?module-path=/m;pin-value=8642",
    ],
)  # fmt: skip
def test_a_pin_in_the_uri_is_refused_and_not_repeated(uri):
    with pytest.raises(UsageError) as caught:
        pkcs11_uri.parse(uri)
    assert "8642" not in f"{caught.value} {caught.value.hint}"
