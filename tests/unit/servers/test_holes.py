# SPDX-License-Identifier: Apache-2.0
"""The table of known holes: every row of it is seen, however it is written."""

from __future__ import annotations

import re

import pytest

from modelseal.errors import PolicyRefused, UsageError
from modelseal.servers import holes

TABLE = holes.table()
BY_NAME = {hole.name: hole for hole in TABLE.holes}

# What an operator would start, which opens nothing.
HARMLESS = [
    ["llama-server", "-m", "/store/a.gguf", "--host", "127.0.0.1", "-hft", "token"],
    ["tritonserver", "--model-repository=/store/a", "--model-control-mode=none"],
    ["tritonserver", "--model-repository", "/store/a", "--model-control-mode", "none"],
    ["vllm", "serve", "/store/a", "--served-model-name", "a", "--max-model-len", "100"],
    ["python", "-m", "vllm.entrypoints.openai.api_server", "--model", "/store/a"],
    ["python", "-m", "sglang.launch_server", "--model-path", "/store/a", "--load-format", "auto"],
    ["text-generation-launcher", "--model-id", "/store/a", "--trust-remote-code=false"],
    ["mlserver", "start", "/store/a"],
    ["torchserve", "--start", "--models", "a=/store/a.mar"],
    ["tensorflow_model_server", "--port=0", "--rest_api_port=8501", "--model_base_path=/store/a"],
    ["bentoml", "serve", "service:Digits", "--working-dir", "."],
    ["serve", "run", "app:app"],
    ["uvicorn", "app:app", "--port", "8000"],
    ["python", "-m", "http.server", "--directory", "/store/a"],
    ["python", "app.py", "--no-trust-remote-code", "ollamax", "ray-of-light"],
]
ENVIRONMENT = {"PATH": "/usr/bin", "HF_HUB_OFFLINE": "1", "VLLM_USE_MODELSCOPE": "False"}


def command_of(hole):
    """Return a harmless command of the server of `hole`, without what its row says is missing."""
    server = TABLE.servers[hole.server]
    if server.programs:
        return [server.programs[0], "-m", "/store/a", "--port=0"]
    return ["python", "app.py"]


def names(command, variables=None):
    return [one.hole.name for one in holes.opened(command, {**ENVIRONMENT, **(variables or {})})]


def sample(glob):
    return glob.replace("*", "X")


@pytest.mark.parametrize("command", HARMLESS, ids=lambda c: c[0])
def test_harmless_commands_open_nothing(command):
    assert names(command) == []


@pytest.mark.parametrize("hole", TABLE.holes, ids=lambda hole: hole.name)
def test_a_row_is_complete(hole):
    assert hole.server in TABLE.servers
    assert hole.source.startswith("https://")
    assert re.fullmatch(r"[a-z0-9-]+", hole.name)
    assert not hole.does.endswith(".")
    assert hole.instead.endswith(".")
    assert hole.options or hole.variables or hole.words or hole.missing or hole.always, (
        "nothing opens it"
    )
    assert [name for name in BY_NAME if name == hole.name] == [hole.name]


OPTIONS = [(hole, option) for hole in TABLE.holes for option in hole.options]


@pytest.mark.parametrize(("hole", "option"), OPTIONS, ids=lambda one: getattr(one, "name", one))
def test_every_option(hole, option):
    base = command_of(hole)
    value = sample(hole.values[0]) if hole.values else "value"
    for spelling in {option, re.sub(r"(?<=\w)-", "_", option)}:
        assert hole.name in names([*base, spelling, value])
        assert hole.name in names(["env", "A=1", "nice", *base, spelling, value])
        assert hole.name in names(["sh", "-c", " ".join(["exec", *base, spelling, value])])
        if spelling.startswith("--"):
            assert hole.name in names([*base, f"{spelling}={value}"])
    if hole.values:
        assert names([*base, option, "none"]) == []
        assert hole.name in names([*base, option, value.upper()])
    if hole.shortest and option.startswith(hole.shortest):
        assert hole.name in names([*base, f"{hole.shortest}={value}"])
        assert hole.name in names([*base, hole.shortest, value])


VARIABLES = [(hole, sample(one)) for hole in TABLE.holes for one in hole.variables]


@pytest.mark.parametrize(("hole", "variable"), VARIABLES, ids=lambda one: getattr(one, "name", one))
def test_every_variable(hole, variable):
    base = command_of(hole)
    assert names(base, {variable: "true"}) == [hole.name]
    assert names(["env", f"{variable}=1", *base]) == [hole.name]
    assert names(["sh", "-c", f"{variable}=1 exec {' '.join(base)}"]) == [hole.name]
    for off in ("", "0", "false", "False", "no", "off"):
        assert names(base, {variable: off}) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["llama-server"], "llama-server-router"),
        (["/opt/llama.cpp/build/bin/llama-server", "--port", "1"], "llama-server-router"),
        (["llama-server", "-m", "/a", "--fim-qwen-7b-default"], "llama-server-download"),
        (["tritonserver", "--model-con", "poll"], "triton-model-control"),
        (["python3", "-mvllm.entrypoints.x", "--config=c.yaml"], "vllm-config-file"),
        (["uv", "run", "vllm", "serve", "/a", "--tool_server=demo"], "vllm-tool-server"),
        (["vllm", "serve", "/a", "--hf-overrides", '{"trust_remote_code": true}'],
         "trust-remote-code"),
        (["bentoml", "serve", "--arg", "trust_remote_code=true"], "trust-remote-code"),
        (["python", "-c", "load(trust_remote_code=True)"], "trust-remote-code"),
        (["torchserve", "--models", "a=/a.mar", "b=https://example.com/b.mar"], "torchserve-url"),
        (["torchserve", "--models=https://example.com/b.mar"], "torchserve-url"),
        (["tensorflow_model_server", "--model_base_path=/a"], "tensorflow-serving-reload"),
        (["tensorflow_model_server", "--port=8500", "--model_base_path=/a"],
         "tensorflow-serving-reload"),
        (["ollama", "serve"], "ollama-api"),
        (["serve", "run", "--runtime-env-json", "{}", "app:app"], "ray-runtime-environment"),
    ],
)  # fmt: skip
def test_other_spellings(command, expected):
    assert expected in names(command)


def test_every_row_is_shown_by_a_test():
    tested = {hole.name for hole, _ in (*OPTIONS, *VARIABLES)}
    assert {hole.name for hole in TABLE.holes} - tested == {
        "torchserve-url", "tensorflow-serving-reload", "ollama-api",
    }  # fmt: skip


def test_what_is_refused_is_explained():
    command = ["tritonserver", "--model-control-mode=explicit", "--model-repository=s3://x"]
    with pytest.raises(PolicyRefused) as caught:
        holes.check(command, ENVIRONMENT, ())
    error = caught.value
    assert error.code == "known-hole"
    assert "'--model-control-mode' opens a known hole of Triton: models are loaded" in error.message
    assert "from a bucket" in error.message
    assert 'allow_holes = ["triton-model-control", "triton-remote-repository"]' in error.hint
    assert BY_NAME["triton-model-control"].source in error.hint
    assert [check.passed for check in error.verdict.checks] == [False, False]


def test_what_the_policy_allows():
    command = ["tritonserver", "--model-control-mode=explicit"]
    (one,) = holes.check(command, ENVIRONMENT, ["triton-model-control"])
    assert one.hole.name == "triton-model-control"
    with pytest.raises(UsageError) as caught:
        holes.check(command, ENVIRONMENT, ["triton-model-controls"])
    assert caught.value.code == "unknown-hole"
    assert "Did you mean 'triton-model-control'?" in caught.value.hint


def test_what_no_shell_could_read():
    assert "vllm-tool-server" in names(["sh", "-c", "vllm serve 'a --tool-server=x"])
