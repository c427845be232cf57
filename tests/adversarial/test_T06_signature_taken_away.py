# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil

import pytest


def test_stripped_signature(site, server):
    folder = site.signed("stripped")
    (folder / "model.sig").unlink()
    answer = server.load("stripped")
    assert answer.status == 400
    assert answer.error.endswith("[unsigned]")


def test_unsigned_folder_with_code(site, server):
    folder = site.write("unsigned", implementation="planted.Runtime")
    (folder / "planted.py").write_text(site.module())
    assert server.load("unsigned").error.endswith("[unsigned]")
    assert site.untouched


def test_signature_of_another_model(site, server):
    folder = site.signed("swapped-signature")
    other = site.write("other-signature", parameters={"uri": "./model.joblib", "version": "2"})
    site.sign(other)
    shutil.copy(other / "model.sig", folder / "model.sig")
    assert server.load("swapped-signature").error.endswith("[digest-mismatch]")


def test_a_folder_called_like_a_signature_hides_nothing(site, server):
    folder = site.signed("folder-for-signature")
    (folder / "model.sig.2").mkdir()
    (folder / "model.sig.2" / "planted.py").write_text(site.module())
    assert server.load(folder.name).error.endswith("[digest-mismatch]")
    assert site.untouched


JUNK = {
    "empty": b"",
    "page": b"<!doctype html>",
    "cut": b'{"mediaType": "appl',
    "list": b"[]",
    "binary": b"\xff" * 99,
}


@pytest.mark.parametrize("kind", JUNK)
def test_junk_for_a_signature(site, server, kind):
    folder = site.signed(f"sig-{kind}")
    (folder / "model.sig").write_bytes(JUNK[kind])
    answer = server.load(folder.name)
    assert answer.status == 400
    assert len(answer.error) < 2000
