# SPDX-License-Identifier: Apache-2.0
"""The repository in this process: what it hands out, what it remembers, what it answers."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from in_store import snapshots
from mlserver.handlers import DataPlane, ModelRepositoryHandlers
from mlserver.registry import MultiModelRegistry
from mlserver.types import RepositoryIndexRequest

from modelseal.errors import Undecided
from modelseal.servers.mlserver import VerifiedModelRepository, admissions, hooks
from modelseal.servers.mlserver.refusal import Refused, refused


@pytest.fixture
def own(make_site, tmp_path, monkeypatch):
    site = make_site(tmp_path)
    monkeypatch.chdir(site.config)
    return site


@pytest.fixture
def served(own):
    return VerifiedModelRepository(
        str(own.config), models="../models", policy="policy.toml", store="../store"
    )


@pytest.fixture
def admitted(monkeypatch):
    """Count the admissions that really happen."""
    real, names = admissions.admit, []

    def admit(model, *args, **more):
        names.append(model.name)
        return real(model, *args, **more)

    monkeypatch.setattr(admissions, "admit", admit)
    return names


def _index(served, *, ready=None):
    handlers = ModelRepositoryHandlers(served, MultiModelRegistry())
    answer = asyncio.run(handlers.index(RepositoryIndexRequest(ready=ready)))
    return {item.name: item.reason for item in answer.root}


def test_settings_point_into_the_snapshot(own, served):
    own.signed("digits", parameters={"uri": "./model.joblib", "version": "3"})
    (settings,) = asyncio.run(served.find("digits"))
    assert settings._source is None
    assert settings.parameters.uri.startswith(f"{own.store}/")
    assert settings.parameters.uri.endswith("/model.joblib")
    assert (settings.name, settings.version) == ("digits", "3")


def test_without_a_uri_the_folder_of_the_snapshot(own, served):
    own.signed("digits", parameters=None)
    (settings,) = asyncio.run(served.find("digits"))
    assert settings.parameters.uri.startswith(f"{own.store}/")


def test_index_explains_and_startup_leaves_out(own, served):
    own.write("unsigned")
    own.signed("signed")
    assert [settings.name for settings in asyncio.run(served.list())] == ["signed"]
    reasons = _index(served)
    assert reasons["signed"] == ""
    assert reasons["unsigned"].endswith("[unsigned]")
    assert _index(served, ready=True) == {}


def test_mlserver_still_has_what_we_hang_on():
    hooked = ((ModelRepositoryHandlers, "index"), (ModelRepositoryHandlers, "load"))
    for owner, name in (*hooked, (DataPlane, "metadata"), (MultiModelRegistry, "unload_version")):
        assert inspect.iscoroutinefunction(getattr(owner, name))
    parameters = inspect.signature(inspect.unwrap(ModelRepositoryHandlers.__init__)).parameters
    assert list(parameters) == ["self", "repository", "model_registry"]


def test_without_it_refused_models_are_left_out(own, served, monkeypatch):
    own.write("unsigned")
    plain = inspect.unwrap(ModelRepositoryHandlers.index)
    monkeypatch.setattr(ModelRepositoryHandlers, "index", plain)
    assert _index(served) == {}
    hooks.install()
    assert "unsigned" in _index(served)


def test_listing_does_not_admit_an_unchanged_folder_again(own, served, admitted):
    folder = own.signed("accepted")
    bad = own.signed("refused")
    (bad / "model.joblib").write_bytes(b"other")
    for _ in range(3):
        _index(served)
    assert sorted(admitted) == ["accepted", "refused"]
    (folder / "model.joblib").touch()
    _index(served)
    assert sorted(admitted) == ["accepted", "accepted", "refused"]


def test_a_folder_that_no_model_can_be_is_refused_once(own, served, admitted, caplog):
    folder = own.signed("linked")
    (folder / "link").symlink_to("/etc/passwd")
    own.signed("behind").rename(own.folder / "elsewhere")
    (own.models / "behind").symlink_to(own.folder / "elsewhere")
    for _ in range(3):
        reasons = _index(served)
        assert reasons["linked"].endswith("[symlink]")
        assert reasons["behind"].endswith("[symlink]")
    assert admitted == ["linked"]
    assert len([one for one in caplog.records if "refused" in one.getMessage()]) == 2

    (folder / "link").unlink()
    assert _index(served)["linked"] == ""


def test_loading_always_admits(own, served, admitted):
    own.signed("loaded")
    for _ in range(2):
        asyncio.run(served.find("loaded"))
    assert admitted == ["loaded", "loaded"]


def test_loading_and_listing_at_once_copy_once(own, served):
    own.signed("busy")

    async def many():
        return await asyncio.gather(*(served.find("busy") for _ in range(8)), served.list())

    asyncio.run(many())
    assert len(snapshots(own.store)) == 1


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../m", "a\0b", ".git", "x" * 256, "\udcff", "lost+found"]
)
def test_names_that_no_model_has(own, served, name):
    (own.models / "lost+found").mkdir()
    assert _index(served) == {}
    with pytest.raises(Refused) as missing:
        asyncio.run(served.find(name))
    assert missing.value.status_code == 404
    assert str(missing.value).isprintable()


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"inputs": "many"}, "bad-settings"),
        ({"parameters": {"version": ["1"]}}, "bad-settings"),
        ({"parameters": []}, "wrong-type"),
        ({"implementation": 7}, "wrong-type"),
    ],
)
def test_signed_settings_that_make_no_sense(own, served, settings, code):
    own.signed("odd", **settings)
    with pytest.raises(Refused) as no:
        asyncio.run(served.find("odd"))
    assert str(no.value).endswith(f"[{code}]")
    assert no.value.status_code == 400


def test_folder_without_settings(own, served):
    folder = own.write("bare")
    (folder / "model-settings.json").unlink()
    own.sign(folder)
    with pytest.raises(Refused, match=r"\[no-settings\]"):
        asyncio.run(served.find("bare"))


def test_a_fault_of_ours_is_a_500_without_details(own, served, monkeypatch):
    own.signed("fine")

    def broken(*_, **__):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(admissions, "admit", broken)
    with pytest.raises(Refused) as no:
        asyncio.run(served.find("fine"))
    assert no.value.status_code == 500
    assert str(no.value).endswith("[internal]")
    assert "secret" not in str(no.value)


def test_status_tells_whose_fault_it_is():
    for code, status in (("store-full", 500), ("unreadable", 400), ("changed-while-reading", 400)):
        assert refused("m", Undecided(code, "Said.")).status_code == status


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"models": "../nowhere"}, "no-models-folder"),
        ({"policy": "nowhere.toml"}, "not-found"),
        ({"store": "../models/store"}, "models-too-near"),
    ],
)
def test_what_is_wrong_at_the_start_ends_the_process_with_a_sentence(own, arguments, code):
    places = {"models": "../models", "policy": "policy.toml", "store": "../store", **arguments}
    with pytest.raises(SystemExit, match=rf"\[{code}\]"):
        VerifiedModelRepository(str(own.config), **places)


def test_a_folder_without_models_is_told(served, caplog):
    assert asyncio.run(served.list()) == []
    assert "no models in" in caplog.text


def test_models_beside_what_looks_like_a_model(own):
    """Whoever writes models cannot keep the server from starting by one file more."""
    own.signed("digits")
    (own.models / "model-settings.json").write_text("{}")
    (own.models / "model.sig").write_text("{}")
    served = VerifiedModelRepository(str(own.config), "../models", "policy.toml", "../store")
    assert [one.name for one in asyncio.run(served.list())] == ["digits"]


def test_a_policy_that_allows_no_runtime(own):
    before, _ = own.policy_text().split("[mlserver]")
    (own.config / "policy.toml").write_text(before)
    with pytest.raises(SystemExit, match=r"\[no-runtimes\]"):
        VerifiedModelRepository(str(own.config), "../models", "policy.toml", "../store")


def test_a_policy_without_a_trust_root(own):
    text = own.policy_text().replace(f'[trust]\nroot = "{own.instance.trusted_root}"\n', "")
    (own.config / "policy.toml").write_text(text)
    with pytest.raises(SystemExit, match=r"\[no-trust-root\]"):
        VerifiedModelRepository(str(own.config), "../models", "policy.toml", "../store")


def test_models_folder_that_goes_away(own, served):
    own.models.rmdir()
    with pytest.raises(Refused, match=r"\[models-unreadable\]") as no:
        _index(served)
    assert no.value.status_code == 500


def test_models_folder_behind_a_link_that_is_turned(own):
    (own.folder / "current").symlink_to(own.models)
    served = VerifiedModelRepository(
        str(own.config), models="../current", policy="policy.toml", store="../store"
    )
    own.signed("digits")
    asyncio.run(served.find("digits"))
    (own.models / "digits").rename(own.folder / "digits")
    (own.folder / "release-2").mkdir()
    (own.folder / "digits").rename(own.folder / "release-2" / "digits")
    (own.folder / "current").unlink()
    (own.folder / "current").symlink_to("release-2")
    asyncio.run(served.find("digits"))
