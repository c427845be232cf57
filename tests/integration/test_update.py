# SPDX-License-Identifier: Apache-2.0
"""Signing again reads what changed, going by the earlier bundle and the user's notes together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import invoke as run

from modelseal.formats import bundle, oms
from modelseal.model import stat_cache
from modelseal.verification.claim import claimed

LARGE = 8 * 1024 * 1024


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Two large files and two small ones, written long enough ago, and two keys."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -60_000_000_000)
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("large", "sub/large"):
        (folder / name).write_bytes(os.urandom(LARGE))
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("hello")
    for name in ("k", "other"):
        assert run("key", "generate", tmp_path / f"{name}.key").exit_code == 0
    return folder


def update(model, *options, key="k", path=None):
    """Sign with --update; return how many bytes the process read for it, by its own account."""
    before = bytes_read()
    done = run("sign", path or model, "--key", model.parent / f"{key}.key", "--update", *options)
    after = bytes_read()
    assert done.exit_code == 0, done.output
    return after - before


def bytes_read() -> int:
    (line,) = [n for n in Path("/proc/self/io").read_text().splitlines() if n.startswith("rchar")]
    return int(line.split()[1])


def verified(model, key="k", path=None):
    return run("verify", path or model, "--key", model.parent / f"{key}.pub").exit_code


def notes(path) -> Path:
    return stat_cache.path_of(Path(os.path.realpath(path)))


def signed(path) -> oms.Manifest:
    return claimed(bundle.parse(path.read_bytes()))[1]


@pytest.mark.parametrize(
    "options", [(), ("--shard-size", 1_000_000), ("--hash-type", "blake2b"), ("--allow-symlinks",)]
)
def test_only_what_changed_is_read(model, options):
    assert update(model, *options) > 2 * LARGE  # the first time, all
    assert update(model, *options) < LARGE / 8
    (model / "README.md").write_text("changed")
    assert update(model, *options) < LARGE / 8
    assert verified(model) == 0
    (model / "large").write_bytes(os.urandom(LARGE))
    assert LARGE < update(model, *options) < LARGE * 9 / 8
    assert verified(model) == 0
    (model / "sub" / "large").rename(model / "moved")  # unknown by that name
    assert LARGE < update(model, *options) < LARGE * 9 / 8
    assert verified(model) == 0


@pytest.mark.parametrize("options", [(), ("--oms",)])
def test_one_file_of_its_own(model, options):
    path = model / "large"
    assert update(model, *options, path=path) > LARGE
    assert update(model, *options, path=path) < LARGE / 8
    assert verified(model, path=path) == 0
    path.write_bytes(os.urandom(LARGE))
    assert update(model, *options, path=path) > LARGE
    assert verified(model, path=path) == 0


def test_verification_reads_everything(model):
    update(model)
    before = bytes_read()
    assert verified(model) == 0
    assert bytes_read() - before > 2 * LARGE


@pytest.mark.parametrize("spoilt", ["gone", "junk", "of another model"])
def test_without_the_earlier_bundle_all_is_read(model, spoilt):
    update(model)
    path = model / "model.sig"
    if spoilt == "gone":
        path.unlink()
    elif spoilt == "junk":
        path.write_text("{")
    else:
        (model.parent / "b").mkdir()
        (model.parent / "b" / "large").write_text("x")
        update(model, path=model.parent / "b")
        (model.parent / "b" / "model.sig").replace(path)
    assert update(model) > 2 * LARGE
    assert verified(model) == 0


def test_without_notes_all_is_read(model):
    update(model)
    notes(model).unlink()
    assert update(model) > 2 * LARGE
    assert verified(model) == 0


def test_a_digest_that_notes_and_bundle_do_not_share_is_not_signed(model):
    update(model)
    kept = notes(model).read_text()
    value = json.loads(kept)
    value["files"]["large"][1] = "00" * 32
    notes(model).write_text(json.dumps(value))
    assert LARGE < update(model) < LARGE * 9 / 8
    assert verified(model) == 0

    # The same for a bundle that somebody put in its place: one digest is of other bytes.
    content = (model / "large").read_bytes()
    (model / "large").write_bytes(os.urandom(LARGE))
    assert run("sign", model, "--key", model.parent / "other.key", "--overwrite").exit_code == 0
    (model / "large").write_bytes(content)
    assert LARGE < update(model) < LARGE * 9 / 8
    assert verified(model) == 0


def test_notes_of_another_model_are_not_believed(model):
    update(model)
    twin = model.parent / "twin"
    subprocess.run(["cp", "-a", model, twin], check=True)
    notes(twin).write_bytes(notes(model).read_bytes())
    notes(twin).chmod(0o600)
    assert update(model, path=twin) > 2 * LARGE


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_notes_that_others_can_read_or_write_are_not_believed(model, mode):
    update(model)
    notes(model).chmod(mode)
    assert update(model) > 2 * LARGE


def test_notes_that_are_a_link_are_not_believed(model):
    update(model)
    notes(model).rename(model.parent / "elsewhere")
    notes(model).symlink_to(model.parent / "elsewhere")
    assert update(model) > 2 * LARGE
    assert not notes(model).is_symlink()


@pytest.mark.parametrize("options", [("--hash-type", "blake3"), ("--shard-size", 1_000_000)])
def test_another_way_of_hashing_reads_everything(model, options):
    update(model)
    assert update(model, *options) > 2 * LARGE
    assert verified(model) == 0
    assert update(model, *options) < LARGE / 8
    assert update(model) > 2 * LARGE


def test_another_key_signs_again_what_did_not_change(model):
    update(model)
    assert update(model, key="other") < LARGE / 8
    assert (verified(model), verified(model, "other")) == (1, 0)


def test_notes_of_a_model_of_many_files_are_read(model):
    for number in range(6000):  # more values than a bundle may have
        (model / f"{number:04}").touch()
    update(model)
    assert update(model) < 2 * LARGE
    assert verified(model) == 0


def test_a_signer_that_fails_leaves_the_earlier_bundle(model):
    update(model)
    before = (model / "model.sig").read_bytes()
    (model / "README.md").write_text("changed")
    # All is hashed before it turns out that there is nothing to sign with.
    done = run("sign", model, "--update", "--identity-token", "a.b.c", "--trust-config", "no.json")
    assert done.exit_code != 0
    assert (model / "model.sig").read_bytes() == before
    assert update(model) < LARGE / 8
    assert verified(model) == 0


def test_a_process_that_is_killed_leaves_the_earlier_bundle(model):
    update(model)
    before = {path: path.read_bytes() for path in (model / "model.sig", notes(model))}
    with (model / "large").open("wb") as file:
        file.truncate(1 << 40)  # sparse; takes minutes to hash
    command = [sys.executable, "-m", "modelseal", "sign", str(model), "--update"]
    with subprocess.Popen([*command, "--key", str(model.parent / "k.key")]) as process:
        while "rchar: 1" not in (io := Path(f"/proc/{process.pid}/io").read_text()) or (
            int(io.split()[1]) < 200_000_000
        ):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in model.iterdir()) == [
        "README.md", "config.json", "large", "model.sig", "sub",
    ]  # fmt: skip
    (model / "large").write_bytes(b"small again")
    assert update(model) < LARGE / 8
    assert verified(model) == 0


def test_a_file_that_changes_while_it_is_hashed_is_not_signed(model):
    update(model)
    before = (model / "model.sig").read_bytes()
    with (model / "large").open("wb") as file:
        file.truncate(1 << 30)  # sparse, and long enough to hash
    command = ["sh", "-c", "while printf x; do :; done >> large"]
    with subprocess.Popen(command, cwd=model) as writer:
        while (model / "large").stat().st_size == 1 << 30:
            assert writer.poll() is None
        done = run("sign", model, "--key", model.parent / "k.key", "--update")
        writer.kill()
    assert (done.exit_code, "changed-while-reading" in done.output) == (3, True)
    assert (model / "model.sig").read_bytes() == before
    (model / "large").write_bytes(b"done")
    update(model)
    assert verified(model) == 0
