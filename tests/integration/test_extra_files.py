# SPDX-License-Identifier: Apache-2.0
"""Files that ordinary tools drop into a model: refused, named, and let be where that is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import hub
import huggingface_hub
import pytest
from in_process import invoke as run

import modelseal
from modelseal.errors import PolicyRefused

LITTER = {
    ".DS_Store": ".DS_Store",
    "sub/.DS_Store": "*.DS_Store",
    ".ipynb_checkpoints/notes-checkpoint.ipynb": ".ipynb_checkpoints/",
    "registered_model_meta": "registered_model_meta",
    "sub/Thumbs.db": "*/Thumbs.db",
}


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights")
    (tmp_path / "model" / "sub" / "config.json").write_bytes(b"{}")
    assert run("key", "generate", "k.key").exit_code == 0
    assert run("sign", "model", "--key", "k.key").exit_code == 0
    return Path("model")


def drop(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")


@pytest.mark.parametrize(("name", "pattern"), LITTER.items())
def test_an_extra_file_is_named_and_may_be_let_be(model, name, pattern):
    drop(model / name)
    done = run("verify", model, "--key", "k.pub")
    assert done.exit_code == 1
    assert "Every signed file is intact" in done.stdout
    assert f"'{name}'" in done.stdout
    assert "--ignore-unsigned" in done.stderr

    allowed = ("verify", model, "--key", "k.pub", "--ignore-unsigned", pattern)
    done = run(*allowed)
    assert done.exit_code == 0, done.output
    first = pattern.removesuffix("/") if pattern.endswith("/") else name
    assert f"'{first}'" in done.stderr  # the verdict says so
    (verdict,) = json.loads(run(*allowed, "--format", "json").stdout)["verdicts"]
    assert verdict["diff"]["ignored_unsigned"] == [first]

    (model / "weights.bin").write_bytes(b"WEIGHTS")
    assert "Every signed file" not in run(*allowed).stdout


@pytest.mark.parametrize("pattern", ["*", "*/", "weights.bin", "sub/"])
def test_no_pattern_lets_a_signed_file_be_another(model, pattern):
    verify = ("verify", model, "--key", "k.pub", "--ignore-unsigned", pattern, "--format", "json")
    (model / "weights.bin").write_bytes(b"WEIGHTS")
    (verdict,) = json.loads(run(*verify).stdout)["verdicts"]
    assert (verdict["verdict"], verdict["diff"]["changed"]) == ("refused", ["weights.bin"])
    (model / "sub" / "config.json").unlink()
    (verdict,) = json.loads(run(*verify).stdout)["verdicts"]
    assert (verdict["verdict"], verdict["diff"]["missing"]) == ("refused", ["sub/config.json"])


def test_a_copy_has_the_signed_files_only(model):
    for name in LITTER:
        drop(model / name)
    with pytest.raises(PolicyRefused), modelseal.load(model, key="k.pub"):
        pass
    with modelseal.load(model, key="k.pub", ignore_unsigned=["*"]) as copy:
        found = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
        assert found == {"weights.bin", "sub/config.json"}


def test_what_huggingface_hub_leaves_beside_a_download(model, tmp_path):
    files = {
        p.relative_to(model).as_posix(): p.read_bytes() for p in model.rglob("*") if p.is_file()
    }
    with hub.serving("org/name", files) as served:
        huggingface_hub.snapshot_download(
            "org/name", local_dir="here", endpoint=served.endpoint, token=False
        )
    assert (tmp_path / "here" / ".cache" / "huggingface").is_dir()
    done = run("verify", "here", "--key", "k.pub")
    assert (done.exit_code, "Every signed file is intact" in done.stdout) == (1, True)
    for pattern in (".cache/", ".cache/huggingface/", ".cache/huggingface/*"):
        done = run("verify", "here", "--key", "k.pub", "--ignore-unsigned", pattern)
        assert done.exit_code == 0, done.output
