# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest


@pytest.mark.parametrize("module", ["runtime.py", "mlserver_sklearn.py", "modelseal/__init__.py"])
def test_planted_module_never_runs(site, server, module):
    name = f"planted-{module.partition('.')[0].partition('/')[0]}"
    folder = site.signed(name)
    (folder / module).parent.mkdir(exist_ok=True)
    (folder / module).write_text(site.module())
    answer = server.load(name)
    assert answer.status == 400
    assert f"added: '{module}'. [digest-mismatch]" in answer.error
    assert site.untouched


def test_signed_module_does_not_shadow_an_installed_one(site, server):
    folder = site.write("shadowing")
    (folder / "mlserver_sklearn.py").write_text(site.module())
    (folder / "joblib.py").write_text(site.module())
    site.sign(folder)
    assert server.load("shadowing").status == 200
    assert server.infer("shadowing", site.digits.rows) == site.digits.answers
    assert site.untouched
