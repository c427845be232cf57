# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import der, timestamp

hash_names = st.sampled_from(sorted(timestamp.HASHES.values()))
blobs = st.binary(max_size=70)
numbers = st.integers(-(2**160), 2**160)  # CAs of old wrote negative ones
names = blobs.map(lambda content: der.element(der.SEQUENCE, content))
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - next line
    lambda time: time.replace(tzinfo=UTC)
)
infos = st.builds(
    timestamp.Info, policy=st.binary(min_size=1, max_size=9), hash_name=hash_names, imprint=blobs,
    serial=numbers, time=times, nonce=st.none() | numbers,
)  # fmt: skip
named = st.sampled_from(["sha1", "sha256", "sha384"])


@st.composite
def tokens(draw: st.DrawFn) -> timestamp.Token:
    info, digest = draw(infos), draw(blobs)
    kinds = sorted(draw(st.sets(named, max_size=1)))
    hashes = tuple((name, draw(blobs)) for name in kinds)
    return timestamp.Token(
        info=info,
        content=timestamp.format_info(info),
        attributes=timestamp.format_attributes(digest, hashes),
        message_digest=digest,
        certificate_hashes=hashes,
        certificates=tuple(draw(st.lists(names, max_size=3))),
        issuer=draw(names),
        serial=draw(numbers),
        hash_name=draw(hash_names),
        algorithm=draw(st.sampled_from(sorted(timestamp.ALGORITHMS))),
        signature=draw(blobs),
    )


@given(tokens())
def test_a_timestamp_is_read_back(token):
    assert timestamp.parse(timestamp.to_bytes(token)) == token


@given(tokens(), st.data())
def test_a_bent_timestamp_is_refused_or_read(token, data):
    raw = bytearray(timestamp.to_bytes(token))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(FormatError):
        timestamp.parse(bytes(raw))


@given(st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F), st.binary(max_size=400))
def test_an_element_is_read_back(tag, content):
    reader = der.Reader(der.element(tag, content) + der.integer(7), "code", "value")
    assert reader.content(tag) == content
    assert reader.integer() == 7
    reader.end()


@given(st.binary(max_size=40))
def test_what_is_read_has_one_spelling(data):
    reader = der.Reader(data, "code", "value")
    with suppress(FormatError):
        tag = reader.tag
        content = reader.content()
        assert data.startswith(der.element(tag, content))
