# SPDX-License-Identifier: Apache-2.0
"""Every format reads back what it wrote, and hostile bytes give a FormatError or a value."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import bundle, dsse, intoto, oms
from modelseal.formats.strict import b64decode, b64encode, parse_json

ints = st.integers(0, 2**63 - 1)
blobs = st.binary(max_size=40)
text = st.text(st.characters(codec="utf-8"), max_size=30)
parts = text.filter(lambda t: t not in {"", ".", ".."} and "/" not in t and "\0" not in t)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)

envelopes = st.builds(
    dsse.Envelope,
    payload=blobs,
    payload_type=text,
    signatures=st.tuples(
        st.builds(dsse.Signature, sig=st.binary(min_size=1, max_size=9), keyid=st.none() | text)
    ),
)
proofs = st.builds(
    bundle.InclusionProof,
    log_index=ints,
    root_hash=blobs,
    tree_size=ints,
    hashes=st.lists(blobs, max_size=4).map(tuple),
    checkpoint=st.none() | text,
)
entries = st.builds(
    bundle.LogEntry,
    log_index=ints,
    log_id=blobs,
    kind=text,
    version=text,
    integrated_time=ints,
    promise=st.none() | st.binary(min_size=1, max_size=40),
    proof=st.none() | proofs,
    body=blobs,
)
messages = blobs.map(bundle.MessageSignature) | st.builds(
    bundle.MessageSignature, signature=blobs, digest=blobs, algorithm=text
)
_key_material = st.one_of(  # certificates, key hint, whether in a chain
    st.tuples(st.just(()), text, st.sampled_from([False])),
    st.tuples(st.tuples(blobs), st.none(), st.sampled_from([False])),
    st.tuples(
        st.lists(blobs, min_size=1, max_size=3).map(tuple), st.none(), st.sampled_from([True])
    ),
)


@st.composite
def bundles(draw: st.DrawFn) -> bundle.Bundle:
    certificates, hint, chained = draw(_key_material)
    return bundle.Bundle(
        media_type=draw(st.sampled_from(sorted(bundle.MEDIA_TYPES))),
        certificates=certificates,
        key_hint=hint,
        entries=tuple(draw(st.lists(entries, max_size=2))),
        timestamps=tuple(draw(st.lists(blobs, max_size=2))),
        content=draw(messages | envelopes),
        chained=chained,
    )


manifests = st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1, max_size=6).map(
    lambda found: oms.manifest([oms.Resource(n, d) for n, d in found.items()], ("model.sig",))
)


@given(bundles())
def test_bundle_round_trip(value: bundle.Bundle) -> None:
    assert bundle.parse(bundle.to_bytes(value)) == value


@given(envelopes)
def test_envelope_round_trip(value: dsse.Envelope) -> None:
    assert dsse.parse(json.loads(json.dumps(dsse.to_dict(value)))) == value


@given(manifests, text)
def test_manifest_round_trip_through_the_signed_bytes(value: oms.Manifest, name: str) -> None:
    payload = intoto.to_bytes(oms.to_statement(value, name))
    assert oms.from_statement(intoto.parse(payload)) == value


@given(manifests, st.randoms())
def test_a_manifest_in_any_order_is_the_same_manifest(value: oms.Manifest, random) -> None:
    shuffled = list(value.resources)
    random.shuffle(shuffled)
    assert oms.manifest(shuffled, value.ignored) == value


@given(st.binary(max_size=200))
def test_base64_has_one_spelling(data: bytes) -> None:
    assert b64decode(b64encode(data), what="x") == data


@given(st.text(alphabet="AQIDBA+/=-_ \n", max_size=12))
def test_base64_refuses_every_other_spelling(spelling: str) -> None:
    try:
        data = b64decode(spelling, what="x")
    except FormatError:
        return
    assert b64encode(data) == spelling


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=12,
)
members = st.sampled_from(
    [
        "mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope", "payload",
        "signatures", "certificate", "rawBytes", "tlogEntries", "_type", "subject", "predicate",
        "predicateType", "resources", "serialization", "digest", "name",
    ]
)  # fmt: skip
hostile = st.recursive(
    json_values | st.sampled_from([*bundle.MEDIA_TYPES, intoto.STATEMENT_TYPE, oms.PREDICATE_TYPE]),
    lambda inner: st.dictionaries(members, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=15,
)


@given(hostile)
def test_hostile_json_is_a_value_or_a_format_error(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (bundle.parse, intoto.parse, lambda d: oms.from_statement(intoto.parse(d))):
        with contextlib.suppress(FormatError):  # anything else fails the test
            parse(data)


@given(bundles(), st.data())
def test_one_changed_byte_is_another_value_or_refused(value: bundle.Bundle, data) -> None:
    raw = bytearray(bundle.to_bytes(value))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        parsed = bundle.parse(bytes(raw))
    except FormatError:
        return
    assert bundle.parse(bundle.to_bytes(parsed)) == parsed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not-json"),
        (b'{"a":1,"a":2}', "duplicate-member"),
        (b'{"a":NaN}', "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 10_000, "not-json"),
        (b"9" * 10_000, "not-json"),
        (b" " * 20_001, "too-large"),
        (b"[" + b"[]," * 9_000 + b"[]]", "too-many"),
    ],
)
def test_strict_json(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        parse_json(data, what="thing", limit=100_000 if data[:1] == b"[" else 20_000, items=15_000)
    assert refused.value.code == code
