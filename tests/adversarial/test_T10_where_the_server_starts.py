# SPDX-License-Identifier: Apache-2.0
"""Python imports from the working directory and the start folder: neither may be the attacker's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from modelseal.errors import UsageError
from modelseal.servers import start


def _checked(site, *, begin=None, models=None, policy="policy.toml", store=None, path=()):
    return start.checked(
        models or site.models, Path(policy), store or site.store,
        start=begin or site.config, import_path=path,
    )  # fmt: skip


@pytest.fixture
def own(make_site, tmp_path, monkeypatch):
    site = make_site(tmp_path)
    monkeypatch.chdir(site.config)
    return site


def test_folders_apart_are_fine(own):
    places = _checked(own, path=[".", "", str(own.config), "/usr/lib/python3"])
    assert (places.models, places.store) == (own.models, own.store)


def _refused(call):
    with pytest.raises(UsageError) as refused:
        call()
    assert refused.value.code == "models-too-near"


def test_working_directory_inside_models(own, monkeypatch):
    (own.models / "m").mkdir()
    for inside in (own.models, own.models / "m"):
        monkeypatch.chdir(inside)
        _refused(lambda: _checked(own))


def test_start_folder_inside_models_or_around_them(own):
    (own.models / "config").mkdir()
    (own.models / "config" / "policy.toml").write_text(own.policy_text())
    for begin in (own.models, own.models / "config", own.folder):
        _refused(lambda begin=begin: _checked(own, begin=begin))


def test_import_path_inside_models_or_one_above(own):
    for entry in (own.models / "lib", own.models, own.folder):
        _refused(lambda entry=entry: _checked(own, path=[str(entry)]))


def test_links_do_not_hide_it(own, tmp_path):
    (tmp_path / "alias").symlink_to(own.models)
    _refused(lambda: _checked(own, models=tmp_path / "alias", path=[str(own.models)]))


def test_policy_trust_and_store_are_not_among_the_models(own):
    inside = own.models / "policy.toml"
    inside.write_text(own.policy_text())
    _refused(lambda: _checked(own, policy=str(inside)))
    _refused(lambda: _checked(own, store=own.models / "store"))
    (own.models / "root.json").write_bytes(own.instance.trusted_root.read_bytes())
    text = own.policy_text().replace(str(own.instance.trusted_root), str(own.models / "root.json"))
    (own.config / "policy.toml").write_text(text)
    _refused(lambda: _checked(own))


def test_real_server_ends_with_one_sentence(own, verified_settings):
    """Also when MLServer has started a worker before, which it would wait for for ever."""
    settings = {"parallel_workers": 1, "load_models_at_startup": False}
    (own.config / "settings.json").write_text(json.dumps({**settings, **verified_settings(own)}))
    command = [Path(sys.executable).with_name("mlserver"), "start", own.config]
    ended = subprocess.run(
        command, cwd=own.models, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert "[models-too-near]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_variables_that_workers_would_merge_into_signed_settings(own, verified_settings):
    (own.config / "settings.json").write_text(json.dumps(verified_settings(own)))
    (own.config / ".env").write_text('MLSERVER_MODEL_EXTRA={"predict_fn": "predict_proba"}\n')
    command = [Path(sys.executable).with_name("mlserver"), "start", own.config]
    ended = subprocess.run(
        command, cwd=own.config, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert "[unsigned-settings]" in ended.stderr
