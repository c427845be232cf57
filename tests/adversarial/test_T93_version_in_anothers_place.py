# SPDX-License-Identifier: Apache-2.0
"""Folders of versions are renamed, doubled or linked, so that an old version becomes the newest."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def versions(site):
    """Give two signed versions of one model."""
    shutil.rmtree(site.models / "fraud", ignore_errors=True)
    for number in ("1", "2"):
        parameters = {"uri": "./model.joblib", "version": number}
        site.sign(site.write(f"fraud/{number}", name="fraud", parameters=parameters))
    yield site.models / "fraud"
    shutil.rmtree(site.models / "fraud", ignore_errors=True)
    shutil.rmtree(site.models / "team", ignore_errors=True)


def _code(server, name="fraud"):
    return server.load(name).error.rpartition("[")[2].rstrip("]")


def test_an_old_version_named_like_a_new_one(server, versions):
    (versions / "2").rename(versions / "gone")
    (versions / "1").rename(versions / "3")
    shutil.rmtree(versions / "gone")
    assert _code(server) == "version-mismatch"


def test_a_version_in_the_place_of_the_model(server, site, versions):
    (versions / "1").rename(site.models / "1")
    shutil.rmtree(versions)
    (site.models / "1").rename(site.models / "other")
    assert _code(server, "other") == "name-mismatch"
    shutil.rmtree(site.models / "other")


def test_a_version_of_another_model(server, site, versions):
    shutil.copytree(versions / "1", site.models / "team" / "card" / "1")
    assert _code(server, "card") == "name-mismatch"


def test_a_version_without_one(server, site, versions):
    shutil.rmtree(versions / "2")
    shutil.rmtree(versions / "1")
    site.sign(site.write("fraud/1", name="fraud"))
    assert _code(server) == "version-mismatch"


def test_one_version_twice(server, site, versions):
    shutil.rmtree(versions / "2")
    shutil.copytree(versions, site.models / "team" / "fraud")
    assert _code(server) == "ambiguous-model"


def test_a_link_as_a_version(server, site, versions):
    (versions / "3").symlink_to("1")
    shutil.rmtree(versions / "2")
    assert server.load("fraud").status == 200
    loaded = server.post("/v2/models/fraud/versions/3/infer", {"inputs": []})
    assert loaded.status == 404
