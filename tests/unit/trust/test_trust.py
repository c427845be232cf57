# SPDX-License-Identifier: Apache-2.0
"""What is said about the trust root that is believed: which one, and how old."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

import pytest

from modelseal.admission.check import check
from modelseal.errors import UsageError
from modelseal.policy.rules import Policy
from modelseal.trust import embedded as roots
from modelseal.trust import published
from modelseal.trust import trust_root as trust
from modelseal.verification.verifier import Verifier


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user who has never used Sigstore."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def newest(data):
    root = json.loads(data)
    logs = [log["publicKey"] for log in (*root["tlogs"], *root["ctlogs"])]
    authorities = (*root["certificateAuthorities"], *root["timestampAuthorities"])
    return max(one["validFor"]["start"] for one in (*logs, *authorities))[:10]


def test_the_age_is_that_of_the_newest_key_not_of_the_file(tmp_path):
    data = roots.embedded(roots.PUBLIC_GOOD)
    path = tmp_path / "root.json"
    path.write_bytes(data)
    os.utime(path, (4_000_000_000, 4_000_000_000))
    assert trust.choose(trusted_root=path).source.endswith(f"newest key of {newest(data)}")


def test_a_root_of_this_release_says_so():
    assert "as in this release" in trust.choose().source


def test_a_root_of_tuf_says_until_when_it_is_current(home):
    folder = quote(published.PUBLIC_GOOD_URL, safe="")
    cache = home / "cache" / "sigstore-python" / "tuf" / folder
    cache.mkdir(parents=True)
    (cache / "trusted_root.json").write_bytes(roots.embedded(roots.PUBLIC_GOOD))
    assert "never refreshed" in trust.choose().source

    data = home / "data" / "sigstore-python" / "tuf" / folder
    data.mkdir(parents=True)
    timestamp = {"signed": {"expires": "2031-02-03T04:05:06Z"}}
    (data / "timestamp.json").write_text(json.dumps(timestamp))
    assert "by TUF current until 2031-02-03T04:05:06Z" in trust.choose().source
    (data / "timestamp.json").write_text("[]")
    assert "never refreshed" in trust.choose().source


def test_a_refusal_says_which_root_was_believed(tmp_path):
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    root = trust.choose()
    verdict = check(
        model, Policy.for_signer("a@example.com", "https://example.com"), Verifier(root)
    )
    assert verdict.code == "unsigned"
    assert verdict.to_dict()["trust"] == root.source
    assert root.source in verdict._repr_html_()


def test_a_file_cannot_be_refreshed(tmp_path):
    path = tmp_path / "root.json"
    path.write_bytes(roots.embedded(roots.PUBLIC_GOOD))
    for one in ({"trusted_root": path}, {"trust_config": path}):
        with pytest.raises(UsageError, match="refreshed"):
            trust.choose(refresh=True, **one)
