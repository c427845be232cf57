# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.errors import FormatError
from modelseal.instance import pki
from modelseal.instance.refused import Refused
from modelseal.instance.tsa import TimestampAuthority

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START.timestamp() + 86400
IMPRINT = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
QUERY = tsp.TimeStampReq({"version": "v1", "message_imprint": IMPRINT, "nonce": 5}).dump()


@pytest.fixture(scope="module")
def tsa():
    key, root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    return TimestampAuthority(key, pki.tsa_chain(key.public_key(), root, START))


@pytest.mark.parametrize("now", [0, START.timestamp() - 1, START.timestamp() + 3651 * 86400])
def test_no_time_outside_the_life_of_the_certificate(tsa, now):
    with pytest.raises(Refused) as error:
        tsa.respond(QUERY, now)
    assert (error.value.status, error.value.code) == (503, "clock")


@pytest.mark.parametrize(
    "query",
    [
        b"", QUERY[:-1], QUERY + b"\0", b"\x30\x80" * 5000, QUERY.replace(b"\2\1\5", b"\7\1\5"),
        QUERY.replace(b"\2\1\5", b"\5\1\5"),
    ],
)  # fmt: skip
def test_what_is_no_query(tsa, query):
    with pytest.raises(FormatError):
        tsa.respond(query, NOW)


def test_the_time_is_in_whole_seconds_and_never_early(tsa):
    response = tsp.TimeStampResp.load(tsa.respond(QUERY, NOW + 0.999))
    token = response["time_stamp_token"]["content"]
    info = token["encap_content_info"]["content"].parsed.native
    assert info["gen_time"].timestamp() == NOW
    assert info["nonce"] == 5
    assert token["certificates"].native is None
