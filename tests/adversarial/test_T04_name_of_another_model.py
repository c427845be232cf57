# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil


def test_settings_that_claim_the_name_of_another_model(site, server):
    site.signed("claimed")
    site.signed("impostor", name="claimed", parameters={"uri": "./model.joblib", "version": "v99"})
    assert server.load("claimed").status == 200
    assert server.infer("claimed", site.digits.rows) == site.digits.answers
    answer = server.load("impostor")
    assert answer.status == 400
    assert answer.error.endswith("[name-mismatch]")
    assert server.index()["claimed"] == ("READY", "")


def test_signed_model_under_another_name(site, server):
    shutil.copytree(site.signed("original"), site.models / "renamed")
    answer = server.load("renamed")
    assert answer.status == 400
    assert answer.error.endswith("[name-mismatch]")


def test_signed_settings_without_a_name_fit_no_model(site, server):
    folder = site.signed("nameless", name=None)
    shutil.copytree(folder, site.models / "nameless-2")
    for name in ("nameless", "nameless-2"):
        answer = server.load(name)
        assert answer.status == 400
        assert answer.error.endswith("[name-missing]")
