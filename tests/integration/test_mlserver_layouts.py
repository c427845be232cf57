# SPDX-License-Identifier: Apache-2.0
"""Versions, nested folders, one model, folders that come and go, several servers on one store."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_store import snapshots
from patience import wait_until


def version(site, name, number):
    """Sign one version of a model in a folder of its own."""
    parameters = {"uri": "./model.joblib", "version": number}
    folder = site.write(f"{name}/{number}", name=name, parameters=parameters)
    site.sign(folder)
    return folder


def index(server):
    items = json.loads(server.post("/v2/repository/index").text)
    return {(one["name"], one.get("version")): (one["state"], one["reason"]) for one in items}


def ask(server, site, name, number=None):
    tensor = {"name": "rows", "shape": [1, 64], "datatype": "FP64", "data": site.digits.rows[:1]}
    middle = "" if number is None else f"/versions/{number}"
    answer = server.post(f"/v2/models/{name}{middle}/infer", {"inputs": [tensor]})
    return json.loads(answer.text).get("model_version") if answer.status == 200 else answer.status


@pytest.fixture(scope="module", params=[0, 2], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    with start_mlserver(site, workers=request.param, **verified_settings(site)) as server:
        yield site, server


def test_versions_come_and_go(serving):
    site, server = serving
    assert index(server) == {}
    version(site, "fraud", "1")
    version(site, "fraud", "2")
    assert server.load("fraud").status == 200
    assert index(server) == {("fraud", "1"): ("READY", ""), ("fraud", "2"): ("READY", "")}
    assert (ask(server, site, "fraud"), ask(server, site, "fraud", "1")) == ("2", "1")

    third = version(site, "fraud", "10")
    (third / "model.joblib").write_bytes(site.payload())
    assert server.load("fraud").status == 200
    state, reason = index(server)["fraud", "10"]
    assert (state, reason[-17:]) == ("UNAVAILABLE", "[digest-mismatch]")
    assert (ask(server, site, "fraud"), ask(server, site, "fraud", "10")) == ("2", 404)
    shutil.copy(site.models / "fraud/2" / "model.joblib", third)
    assert server.load("fraud").status == 200
    assert ask(server, site, "fraud") == "10"

    (site.models / "fraud/2" / "model.joblib").write_bytes(site.payload())
    assert server.load("fraud").status == 200, "the others are still good"
    assert index(server)["fraud", "2"][0] == "READY", "the accepted copy is kept"
    assert ask(server, site, "fraud", "2") == "2"

    shutil.rmtree(site.models / "fraud/1")
    assert server.load("fraud").status == 200
    assert ask(server, site, "fraud", "1") == 404
    assert set(index(server)) == {("fraud", "2"), ("fraud", "10")}
    shutil.rmtree(site.models / "fraud")
    assert server.load("fraud").status == 404
    assert index(server) == {}
    assert site.untouched


def test_nested_folders(serving):
    site, server = serving
    site.sign(site.write("team/vision/cats", name="cats"))
    assert server.load("cats").status == 200
    assert server.infer("cats", site.digits.rows) == site.digits.answers
    shutil.copytree(site.models / "team/vision/cats", site.models / "other/cats")
    assert server.load("cats").error.endswith("[ambiguous-model]")
    assert server.infer("cats", site.digits.rows) == site.digits.answers
    shutil.rmtree(site.models / "other")
    assert server.load("cats").status == 200
    assert server.load("team").status == 404


def test_the_models_folder_is_one_model(make_site, start_mlserver, verified_settings, tmp_path):
    site = make_site(tmp_path)
    site.signed("digits")
    (site.models / "digits").rename(tmp_path / "mounted")
    settings = verified_settings(site, models=str(tmp_path / "mounted"))
    with start_mlserver(site, workers=1, load_models_at_startup=True, **settings) as server:
        wait_until(lambda: server.index() == {"digits": ("READY", "")}, "the model to load")
        assert server.infer("digits", site.digits.rows) == site.digits.answers
        assert server.load("mounted").status == 404
        (tmp_path / "mounted" / "model.joblib").write_bytes(site.payload())
        assert server.load("digits").error.endswith("[digest-mismatch]")
    assert site.untouched


def test_two_servers_on_one_store(make_site, start_mlserver, verified_settings, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = make_site(tmp_path / "one"), make_site(tmp_path / "two")
    first.sign(*(first.write(f"m{n}") for n in range(4)))
    names = [f"m{n}" for n in range(4)]
    shared = verified_settings(second, models=str(first.models), store=str(first.store))
    with (
        start_mlserver(first, workers=2, **verified_settings(first)) as one,
        start_mlserver(second, workers=1, **shared) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        calls = [pool.submit(server.load, name) for name in names for server in (one, two)]
        assert {call.result().status for call in calls} == {200}
        assert len(snapshots(first.store)) == len(names)
        for server in (one, two):
            for name in names:
                assert server.infer(name, first.digits.rows) == first.digits.answers
