# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json


def test_settings_deeper_down_are_no_model(site, server):
    folder = site.signed("outer")
    inner = folder / "x" / "y"
    inner.mkdir(parents=True)
    values = {"name": "inner", "implementation": "planted.Runtime"}
    (inner / "model-settings.json").write_text(json.dumps(values))
    (inner / "planted.py").write_text(site.module())
    index = server.index()
    assert "inner" not in index
    assert "[digest-mismatch]" in index["outer"][1]
    assert server.load("inner").status == 404
    assert server.load("outer").status == 400
    for name in ("outer/x/y", "../models/outer", "..", "."):
        assert server.load(name).status == 404
    assert site.untouched
