# SPDX-License-Identifier: Apache-2.0
"""T44: where the signature of a model goes lies a link, to a file of whoever signs."""

from __future__ import annotations

import pytest
from in_process import invoke
from private_ca import Kind, chain, leaf


@pytest.fixture
def place(tmp_path):
    """A home with a file worth protecting, a model of somebody else, keys."""
    home, model = tmp_path / "home", tmp_path / "model"
    home.mkdir()
    (home / "authorized_keys").write_text("mine")
    model.mkdir()
    (model / "weights").write_text("weights")
    assert invoke("key", "generate", tmp_path / "k.key").exit_code == 0
    return tmp_path


def untouched(place):
    home = place / "home"
    return [path.name for path in home.iterdir()] == ["authorized_keys"] and (
        (home / "authorized_keys").read_text() == "mine"
    )


def refused(place, *options, path="model"):
    done = invoke("sign", place / path, "--key", place / "k.key", *options)
    return (done.exit_code, "[symlink]" in done.stderr) == (1, True) and untouched(place)


TARGETS = ["home/authorized_keys", "home/new", "home"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--update"]])
def test_in_a_folder(place, target, options):
    (place / "model" / "model.sig").symlink_to(place / target)
    assert refused(place, *options)
    named = ["--bundle", place / "model" / "model.sig"]
    assert refused(place, *options, *named)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--update"]])
def test_beside_a_file(place, target, options):
    (place / "model" / "weights.sigstore.json").symlink_to(place / target)
    assert refused(place, *options, path="model/weights")


def test_by_a_folder_in_the_model(place):
    (place / "model" / "signatures").symlink_to(place / "home")
    named = place / "model" / "signatures" / "authorized_keys"
    assert refused(place, "--overwrite", "--bundle", named)


def test_by_a_way_that_leads_back_into_the_model(place):
    """The operator's own link to the folder changes nothing: what lies in it is not theirs."""
    (place / "way").symlink_to(place / "model")
    (place / "model" / "model.sig").symlink_to(place / "home" / "authorized_keys")
    assert refused(place, "--overwrite", "--bundle", place / "way" / "model.sig")


@pytest.mark.parametrize("suffix", [".sig", ".crt", ".sigstore"])
def test_older_files(place, suffix):
    _, holder = reversed(chain(Kind("root"), leaf()))
    key, certificate = holder.write(place)
    (place / "model" / f"weights{suffix}").symlink_to(place / "home" / "authorized_keys")
    done = invoke(
        "sign", place / "model" / "weights", "--key", key, "--certificate", certificate,
        "--legacy-files", "--overwrite",
    )  # fmt: skip
    assert (done.exit_code, "[symlink]" in done.stderr, untouched(place)) == (1, True, True)
    assert not (place / "model" / "weights.sigstore.json").exists()
