# SPDX-License-Identifier: Apache-2.0
"""What the signed settings may choose, and what nobody signed may not fill in."""

from __future__ import annotations

import json

import pytest

ELSEWHERE = {
    "parent": "../..",
    "sibling": "../good/model.joblib",
    "absolute": "/etc/passwd",
    "remote": "s3://bucket/model",
    "file-url": "file:///etc/passwd",
    "missing": "./other.joblib",
    "query": "model.joblib?x",
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_uri_that_leaves_the_snapshot(site, server, kind):
    site.signed(f"uri-{kind}", parameters={"uri": ELSEWHERE[kind]})
    answer = server.load(f"uri-{kind}")
    assert answer.status == 400
    assert answer.error.endswith("[uri-outside]")


@pytest.mark.parametrize("key", ["environment_tarball", "environment_path"])
def test_environment_of_its_own(site, server, key):
    site.signed(f"own-{key}", parameters={"uri": "./model.joblib", key: "env.tar.gz"})
    assert server.load(f"own-{key}").error.endswith("[environment-not-allowed]")


def test_source_in_the_settings_does_not_open_the_import_path(site, server):
    folder = site.write("with-source", _source=str(site.models / "with-source" / "x.json"))
    (folder / "mlserver_sklearn.py").write_text(site.module())
    site.sign(folder)
    assert server.load("with-source").status == 200
    assert site.untouched


@pytest.mark.parametrize("key", ["URI", "Environment_Path", "ENVIRONMENT_TARBALL"])
def test_parameter_in_another_case(site, server, key):
    # pydantic-settings takes it for the one in lower case, and the first of two wins
    folder = site.write(f"case-{key}")
    outside = site.folder / f"{key}.joblib"
    outside.write_bytes(site.payload())
    settings = {
        "name": folder.name, "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {key: str(outside), "uri": "./model.joblib"},
    }  # fmt: skip
    (folder / "model-settings.json").write_text(json.dumps(settings))
    site.sign(folder)
    assert server.load(folder.name).error.endswith("[bad-settings]")
    assert site.untouched


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("IMPLEMENTATION", "os.system"),
        ("Name", "other"),
        ("PARAMETERS", {"uri": "/etc/passwd"}),
    ],
)
def test_setting_in_another_case(site, server, key, value):
    folder = site.write(f"case-{key}")
    settings = json.loads((folder / "model-settings.json").read_bytes())
    (folder / "model-settings.json").write_text(json.dumps({key: value, **settings}))
    site.sign(folder)
    assert server.load(folder.name).error.endswith("[bad-settings]")


@pytest.mark.parametrize("orders", [{"_cli_parse_args": True}, {"_env_file": "/etc/passwd"}])
def test_orders_to_the_library_that_reads_settings(site, server, orders):
    # with the first, pydantic-settings read the server's own command line, and ended it
    name = f"orders-{min(orders)}"
    site.signed(name, parameters={"uri": "./model.joblib", **orders}, self=1, **orders)
    assert server.load(name).status == 200
    assert server.infer(name, site.digits.rows) == site.digits.answers


@pytest.mark.parametrize("workers", [0, 1])
def test_environment_variables_fill_in_nothing(
    make_site, start_mlserver, verified_settings, tmp_path, workers
):
    site = make_site(tmp_path)
    site.signed("good-model", parameters=None)
    outside = tmp_path / "outside.joblib"
    outside.write_bytes(site.payload())
    env = {
        "MLSERVER_MODEL_URI": str(outside),
        "MLSERVER_MODEL_NAME": "other",
        "MLSERVER_MODEL_IMPLEMENTATION": "os.system",
        "MLSERVER_MODEL_ENVIRONMENT_TARBALL": str(outside),
    }
    with start_mlserver(site, workers=workers, env=env, **verified_settings(site)) as server:
        assert server.load("good-model").status == 200
        assert server.infer("good-model", site.digits.rows) == site.digits.answers
    assert site.untouched
