# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle


def test_the_payload_is_live(make_site, tmp_path):
    site = make_site(tmp_path)
    pickle.loads(site.payload())
    assert not site.untouched


def test_edited_settings_are_not_read(site, server):
    folder = site.signed("edited-settings", implementation="plain.Runtime")
    values = json.loads((folder / "model-settings.json").read_text())
    values["implementation"] = "mlserver_sklearn.SKLearnModel"
    (folder / "model-settings.json").write_text(json.dumps(values))
    (folder / "model.joblib").write_bytes(site.payload())
    answer = server.load("edited-settings")
    assert answer.status == 400
    assert "changed: 'model-settings.json', 'model.joblib'. [digest-mismatch]" in answer.error
    assert site.untouched


def test_signed_settings_cannot_name_a_runtime_that_the_operator_did_not_allow(site, server):
    site.signed("other-runtime", implementation="os.system")
    answer = server.load("other-runtime")
    assert answer.status == 400
    assert "runtime 'os.system'. [runtime-not-allowed]" in answer.error
    assert server.index()["other-runtime"] == ("UNAVAILABLE", answer.error)
