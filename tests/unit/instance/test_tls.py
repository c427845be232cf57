# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest
from private_ca import FUTURE, PAST
from tls_files import tls_files

from modelseal.errors import UsageError
from modelseal.instance import tls


def load(files, url="https://sigstore.corp"):
    return tls.load(
        tls.server_context(), files.certificate, files.key, url=url, now=datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("names", "url"),
    [
        (["sigstore.corp"], "https://SIGSTORE.corp:8443"),
        (["other.corp", "*.corp"], "https://sigstore.corp"),
        (["127.0.0.1"], "https://127.0.0.1:1"),
        (["::1"], "https://[0:0::1]:1"),
    ],
)
def test_a_certificate_for_the_name_is_taken(tmp_path, names, url):
    assert load(tls_files(tmp_path, *names), url) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("names", "url"),
    [
        (["sigstore.corp"], "https://corp"),
        (["*.corp"], "https://a.b.corp"),
        (["*.corp"], "https://corp"),
        (["*.0.0.1"], "https://127.0.0.1"),
        (["127.0.0.2"], "https://127.0.0.1"),
    ],
)
def test_a_certificate_for_another_name_is_refused(tmp_path, names, url):
    with pytest.raises(UsageError, match="is not for") as caught:
        load(tls_files(tmp_path, *names), url)
    assert caught.value.code == "tls-certificate"


@pytest.mark.parametrize("period", [PAST, FUTURE])
def test_a_certificate_outside_its_time_is_refused(tmp_path, period):
    with pytest.raises(UsageError, match=r"is valid from .* only, and it is") as caught:
        load(tls_files(tmp_path, "sigstore.corp", period=period))
    assert "Renew" in caught.value.hint


def junk(files):
    files.certificate.write_text("junk")


def another_key(files):
    other = tls_files(files.key.parent / "other", "sigstore.corp")
    shutil.copy(other.key, files.key)


def junk_key(files):
    files.key.write_text("junk")


@pytest.mark.parametrize("damage", [junk, another_key, junk_key])
def test_files_that_cannot_be_used(tmp_path, damage):
    files = tls_files(tmp_path, "sigstore.corp")
    damage(files)
    with pytest.raises(UsageError) as caught:
        load(files)
    assert caught.value.code == "tls-certificate"


def test_files_that_are_missing(tmp_path):
    files = tls_files(tmp_path, "sigstore.corp")
    files.key.unlink()
    with pytest.raises(UsageError, match="TLS key"):
        load(files)
