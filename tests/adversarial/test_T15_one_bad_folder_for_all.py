# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE


def test_refused_model_does_not_stop_the_start(
    make_site, start_mlserver, verified_settings, tmp_path
):
    site = make_site(tmp_path)
    bad, _ = folders = [site.write("bad-model"), site.write("good-model")]
    site.sign(*folders)
    (bad / "model.joblib").write_bytes(site.payload())
    settings = {**verified_settings(site), "load_models_at_startup": True}
    with start_mlserver(site, workers=1, **settings) as server:
        index = server.index()
        assert index["bad-model"][1].endswith("[digest-mismatch]")
        assert server.load("good-model").status == 200
        assert server.infer("good-model", site.digits.rows) == site.digits.answers
    strict = {**verified_settings(site, strict_startup=True), "load_models_at_startup": True}
    (site.config / "settings.json").write_text(json.dumps(strict))
    command = [Path(sys.executable).with_name("mlserver"), "start", site.config]
    ended = subprocess.run(
        command, cwd=site.config, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert "[digest-mismatch]" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert site.untouched
