# SPDX-License-Identifier: Apache-2.0
"""Commands that open a known hole of a server are not started, unless the policy says so."""

from __future__ import annotations

import json

import pytest
from exec_site import ExecSite


@pytest.fixture
def site(tmp_path):
    site = ExecSite(tmp_path).prepare()
    for name in ("tritonserver", "vllm"):
        program = site.folder / name
        program.write_text('#!/bin/sh\necho started "$@"\n')
        program.chmod(0o755)
    return site


def test_a_hole_is_refused_by_name_and_allowed_by_name(site):
    llm = site.model("llm")
    command = ["--", site.folder / "tritonserver", "--model-control-mode=explicit", "{llm}"]

    refused = site.run(*command, llm=llm)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the model's files and code itself" in refused.stderr
    assert "[known-hole]" in refused.stderr
    assert 'allow_holes = ["triton-model-control"]' in refused.stderr
    assert not site.store.exists()

    site.allow("triton-model-control")
    allowed = site.run(*command, llm=llm)
    assert allowed.returncode == 0, allowed.stderr
    assert allowed.stdout.startswith("started --model-control-mode=explicit /")
    assert "warning: allowed by the policy: triton-model-control" in allowed.stderr


def test_a_variable_of_ours_is_seen(site):
    llm, allow = site.model("llm"), {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    done = site.run(site.folder / "vllm", "serve", "{llm}", llm=llm, env=allow)
    assert done.returncode == 1
    assert "load_lora_adapter" in done.stderr


def test_a_misspelt_name_in_the_policy(site):
    site.allow("triton-model-contrl")
    done = site.run("true", llm=site.model("llm"))
    assert done.returncode == 2
    assert "Did you mean 'triton-model-control'?" in done.stderr


TRUSTING = ["vllm", "serve", "{llm}", "--trust-remote-code"]


@pytest.mark.parametrize(
    "auto_map",
    [
        {"AutoConfig": "owner/name--configuration.Config"},
        {"AutoConfig": "configuration.Config", "AutoModel": "owner/name--modeling.Model"},
        {"AutoTokenizer": ["owner/name--tokenization.Slow", None]},
        {"AutoConfig": "missing.Config"},
        {"AutoConfig": "../configuration.Config"},
        {"AutoConfig": "nothing"},
    ],
)
def test_code_must_be_signed_even_where_it_is_allowed(site, auto_map):
    site.allow("trust-remote-code")
    llm = site.model(
        "llm", config_json=json.dumps({"text_config": {"auto_map": auto_map}}),
        configuration_py="class Config: pass\n",
    )  # fmt: skip
    done = site.run(site.folder / TRUSTING[0], *TRUSTING[1:], llm=llm)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[code-not-signed]" in done.stderr


def test_code_that_is_signed(site):
    config = {"auto_map": {"AutoConfig": "configuration.Config", "x": [None, "sub.module.X"]}}
    llm = site.model("llm", config_json=json.dumps(config), configuration_py="class Config: pass\n")
    (llm / "sub").mkdir()
    (llm / "sub" / "module.py").write_text("class X: pass\n")
    site.sign(llm)
    command = [site.folder / TRUSTING[0], *TRUSTING[1:]]

    assert "[known-hole]" in site.run(*command, llm=llm).stderr
    site.allow("trust-remote-code")
    done = site.run(*command, llm=llm)
    assert (done.returncode, done.stdout[:7]) == (0, "started"), done.stderr


def test_a_configuration_with_two_readings(site):
    site.allow("trust-remote-code")
    twice = '{"auto_map": {}, "auto_map": {"AutoConfig": "owner/name--x.C"}}'
    llm = site.model("llm", config_json=twice)
    done = site.run(site.folder / TRUSTING[0], *TRUSTING[1:], llm=llm)
    assert "[code-not-signed]" in done.stderr
    assert "has a member twice" in done.stderr
