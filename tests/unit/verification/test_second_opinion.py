# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from modelseal.errors import FormatError
from modelseal.formats import bundle as bundle_format
from modelseal.trust import anchors
from modelseal.verification.second_opinion import SecondOpinion


def test_both_readers_must_read_the_same_statement(forge, monkeypatch):
    """Else what one of them checked is not what the other reads the files from."""
    payload = b'{"_type": "https://in-toto.io/Statement/v1"}'
    data = json.dumps(forge.statement(payload)).encode()
    bundle = bundle_format.parse(data)
    opinion = SecondOpinion(forge.trust, anchors.load(forge.trust))
    read = SecondOpinion._check_statement
    assert opinion.check(bundle, data, None)
    monkeypatch.setattr(
        SecondOpinion,
        "_check_statement",
        lambda self, *arguments: (b"another statement", read(self, *arguments)[1]),
    )
    with pytest.raises(FormatError, match="Two readers disagree"):
        opinion.check(bundle, data, None)
