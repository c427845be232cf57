# SPDX-License-Identifier: Apache-2.0
"""Trusted roots, log bodies and SCTs: what is written is read back, and nothing else crashes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import rekor, sct, trusted_root
from modelseal.trust import embedded as roots

texts = st.text(st.characters(codec="utf-8"), max_size=20)
blobs = st.binary(max_size=40)
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1970, 9000))
times = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
periods = st.builds(trusted_root.Period, times, st.none() | times)
logs = st.lists(
    st.builds(trusted_root.LogKey, texts, blobs, blobs, texts, periods, st.none() | blobs),
    max_size=3,
)
authorities = st.lists(
    st.builds(trusted_root.Authority, texts, st.lists(blobs, max_size=3).map(tuple), periods),
    max_size=3,
)
trusted_roots = st.builds(
    trusted_root.TrustedRoot,
    logs.map(tuple), logs.map(tuple), authorities.map(tuple), authorities.map(tuple),
)  # fmt: skip


@given(trusted_roots)
def test_trusted_roots_are_read_back(root):
    assert trusted_root.parse(trusted_root.to_bytes(root)) == root


@pytest.mark.parametrize("name", [roots.PUBLIC_GOOD, roots.STAGING])
def test_the_public_trusted_roots_are_read_back(name):
    root = trusted_root.parse(roots.embedded(name))
    assert root.logs
    assert trusted_root.parse(trusted_root.to_bytes(root)) == root


@given(times, times)
def test_a_period_has_both_its_ends(first, second):
    period = trusted_root.Period(min(first, second), max(first, second))
    assert period.covers(period.start)
    assert period.covers(period.end)
    assert not period.covers(datetime(9500, 1, 1, tzinfo=UTC))


@given(st.sampled_from([b"{", b"[", b'"start": ', b"\xff", b"null"]), st.integers(0, 6000))
def test_a_damaged_trusted_root_is_refused_or_read(junk, at):
    data = roots.embedded(roots.PUBLIC_GOOD)
    with suppress(FormatError):
        trusted_root.parse(data[:at] + junk + data[at + len(junk) :])


signatures = st.builds(
    rekor.LoggedSignature, blobs, blobs, st.sampled_from(["x509Certificate", "publicKey"]),
    st.sampled_from(["", "PKIX_ECDSA_P256_SHA_256"]),
)  # fmt: skip
bodies = st.builds(
    rekor.Body,
    st.sampled_from([rekor.HASHEDREKORD_V2, rekor.DSSE_V2]),
    st.sampled_from(["sha256", "sha384", "sha512"]),
    blobs,
    signatures.map(lambda one: (one,)),
)


@given(bodies)
def test_bodies_of_version_2_are_read_back(body):
    assert rekor.parse(rekor.to_bytes(body)) == body


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_what_is_no_body_is_refused(data):
    with pytest.raises(FormatError):
        rekor.parse(data)


scts = st.builds(
    sct.Sct, st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1), blobs, blobs,
    st.sampled_from([sct.SHA256_ECDSA, sct.SHA256_RSA]),
)  # fmt: skip


@given(st.lists(scts, max_size=3))
def test_scts_with_extensions_are_read_back(items):
    assert sct.parse_sct_list(sct.format_sct_list(items)) == items


@given(st.integers(0, 2**64 - 1), blobs, blobs)
def test_a_precertificate_leaf_ends_in_its_extensions(timestamp, tbs, extensions):
    leaf = sct.precert_leaf(timestamp, bytes(32), tbs, extensions)
    assert leaf.endswith(len(extensions).to_bytes(2, "big") + extensions)
