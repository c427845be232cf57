# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["model.sig", "model-settings.json", "model.joblib"])
def test_file_behind_a_link(site, server, tmp_path, name):
    folder = site.signed(f"link-{name}")
    moved = tmp_path / name
    (folder / name).rename(moved)
    (folder / name).symlink_to(moved)
    answer = server.load(folder.name)
    assert answer.status == 400
    assert answer.error.endswith("[symlink]")


def test_model_folder_behind_a_link(site, server, tmp_path):
    folder = site.signed("linked-folder")
    folder.rename(tmp_path / "linked-folder")
    folder.symlink_to(tmp_path / "linked-folder")
    answer = server.load("linked-folder")
    assert answer.status == 400
    assert answer.error.endswith("[symlink]")
    assert server.index()["linked-folder"] == ("UNAVAILABLE", answer.error)


def test_hard_link_cannot_change_what_was_admitted(site, server, tmp_path):
    folder = site.signed("hard-linked")
    other_name = tmp_path / "other-name"
    other_name.hardlink_to(folder / "model.joblib")
    assert server.load("hard-linked").status == 200
    other_name.write_bytes(site.payload())
    assert server.infer("hard-linked", site.digits.rows) == site.digits.answers
    assert server.load("hard-linked").error.endswith("[digest-mismatch]")
    assert site.untouched
