# SPDX-License-Identifier: Apache-2.0
"""Which files are bundles of a model, in which order, and what only looks like one."""

from __future__ import annotations

import pytest
from in_process import answers, invoke

from modelseal.errors import ModelSealError
from modelseal.model.bundles import bundle_names, next_bundle, signed_name
from modelseal.model.find import find_bundles

FOLDER_NAMES = (
    "model.sig", "model.sig.2", "model.sig.9", "model.sigstore.json", "result.sigstore",
    ".kaggle/signing.json", "skill.oms.sig",
)  # fmt: skip
FILE_NAMES = (
    "a.sigstore.json", "a.sigstore.json.2", "a.sigstore.json.9", "a.sigstore", "a.sigstore.2",
)  # fmt: skip


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "release.key"
    assert invoke("key", "generate", path).exit_code == 0
    return path


@pytest.fixture
def model(tmp_path):
    """Return a folder with one file in a folder of models."""
    folder = tmp_path / "models" / "model"
    folder.mkdir(parents=True)
    (folder / "a").write_text("weights")
    return folder


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")


def sign(key, path):
    done = invoke("sign", path, "--key", key)
    assert done.exit_code == 0, done.output


def verdict(key, path, *options):
    done = invoke("verify", path, "--key", key.with_suffix(".pub"), "--format", "json", *options)
    (found,) = answers(done.stdout)
    return found


def code(path):
    with pytest.raises(ModelSealError) as error:
        next(find_bundles(path))
    return error.value.code


def found(path):
    return [one.relative_to(path.parent if path.is_file() else path).as_posix()
            for one in find_bundles(path)]  # fmt: skip


@pytest.mark.parametrize("name", FOLDER_NAMES)
def test_each_name_of_a_folders_bundle_verifies(key, model, name):
    sign(key, model)
    (model / name).parent.mkdir(exist_ok=True)
    (model / "model.sig").rename(model / name)
    assert verdict(key, model)["code"] == "accepted"


@pytest.mark.parametrize("name", FILE_NAMES)
def test_each_name_of_a_files_bundle_verifies(key, model, name):
    sign(key, model / "a")
    (model / "a.sigstore.json").rename(model / name)
    assert verdict(key, model / "a")["code"] == "accepted"


def test_all_that_are_there_are_bundles_in_a_fixed_order(model):
    put(model, *reversed(FOLDER_NAMES), *reversed(FILE_NAMES))
    assert found(model) == list(FOLDER_NAMES)
    assert bundle_names(model) == set(FOLDER_NAMES)
    assert found(model / "a") == list(FILE_NAMES)


def test_the_good_one_of_several_is_found(key, model):
    sign(key, model)
    (model / "model.sig").rename(model / "skill.oms.sig")
    put(model, "model.sig", "result.sigstore")
    assert verdict(key, model)["code"] == "accepted"


def test_of_two_oms_signatures_none_counts(key, model):
    sign(key, model)
    (model / "model.sig").rename(model / "skill.oms.sig")
    put(model, "other.oms.sig")
    assert verdict(key, model)["code"] == "ambiguous-bundle"
    assert bundle_names(model) == frozenset()


def test_what_is_no_bundle_is_not_hidden_by_its_name(key, model):
    put(model, "a.oms.sig", "b.oms.sig")
    sign(key, model)
    put(
        model,
        "c.oms.sig",
        "model.sig.10",
        "model.sigstore",
        "x.sigstore.json",
        "sub/result.sigstore",
    )
    assert verdict(key, model)["diff"]["added"] == [
        "c.oms.sig", "model.sig.10", "model.sigstore", "sub/result.sigstore", "x.sigstore.json",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*FOLDER_NAMES, ".kaggle"])
def test_a_folder_called_like_a_bundle_is_compared(key, model, name):
    sign(key, model)
    if name == "model.sig":
        (model / name).rename(model / "result.sigstore")
    (model / name).mkdir(parents=True)
    put(model, f"{name}/payload.py")
    assert verdict(key, model)["diff"]["added"] == [f"{name}/payload.py"]


def test_a_signed_file_called_like_a_bundle_is_compared(key, model):
    put(model, "a.oms.sig", "b.oms.sig")
    sign(key, model)
    assert verdict(key, model)["code"] == "accepted"
    (model / "a.oms.sig").write_text("altered")
    found = verdict(key, model)["diff"]
    assert (found["changed"], found["missing"]) == (["a.oms.sig"], [])
    (model / "b.oms.sig").unlink()
    found = verdict(key, model)["diff"]
    assert (found["changed"], found["missing"]) == ([], ["b.oms.sig"])


def test_kaggles_folder_is_not_looked_for_behind_a_link(model, tmp_path):
    put(tmp_path, "elsewhere/signing.json")
    (model / ".kaggle").symlink_to(tmp_path / "elsewhere")
    assert bundle_names(model) == frozenset()
    assert code(model) == "unsigned"


def test_the_bundle_that_is_named_is_the_only_one(key, model):
    sign(key, model)
    (model / "model.sig").rename(model / "mine.json")
    put(model, "result.sigstore")
    assert verdict(key, model)["code"] != "accepted"
    assert verdict(key, model, "--bundle", model / "mine.json")["code"] == "accepted"
    assert verdict(key, model, "--bundle", model / "none")["code"] == "unsigned"


def test_further_bundles_get_the_next_number(model):
    first = model / "model.sig"
    assert next_bundle(first) == first
    put(model, "model.sig", "model.sig.2")
    assert next_bundle(first).name == "model.sig.3"


@pytest.mark.parametrize(("name", "file"), [
    ("a.bin.sigstore.json", "a.bin"), ("a.bin.sigstore.json.3", "a.bin"), ("a.sigstore", "a"),
    ("model.sig", None), (".sigstore.json", None), ("a.bin", None), ("a.sigstore.10", None),
])  # fmt: skip
def test_the_file_that_a_bundle_lies_beside(name, file):
    assert signed_name(name) == file


# -- hints ---------------------------------------------------------------------------------------


def hint(path):
    with pytest.raises(ModelSealError) as error:
        next(find_bundles(path))
    assert error.value.code == "unsigned"
    return error.value.hint


def test_a_folder_of_signed_models_names_them(model):
    put(model, "model.sig")
    top = model.parent
    assert hint(top) == "'model' in it is signed: verify that, or all of them with --recursive."
    for number in range(5):
        put(top, f"m{number}/result.sigstore", f"plain{number}/a")
    told = hint(top)
    assert told.startswith("'m0', 'm1', 'm2' and more in it are signed: verify those, or all of ")
    assert hint(top.parent).startswith("'models/m0', "), "as hubs lay models out by owner"


def test_a_folder_of_signed_files_names_them(model):
    put(model, "a.sigstore.json", "missing.sigstore.json")
    assert hint(model) == "'a' in it is signed: verify that, or all of them with --recursive."


def test_a_part_of_a_signed_model_names_the_model(model, monkeypatch):
    put(model, "model.sig", "sub/b")
    for part in ("a", "sub", "sub/b"):
        assert hint(model / part) == f"It is a part of the signed model '{model}': verify that."
    monkeypatch.chdir(model.parent)
    assert "signed model 'model'" in hint(model / "a")


def test_where_nothing_is_signed_the_hint_says_how_to_sign(model):
    assert "modelseal sign" in hint(model)
    assert "modelseal sign" in hint(model / "a")


@pytest.mark.parametrize(("name", "content", "told"), [
    ("a.sig", "MEUCIQ==", None),
    ("a.asc", "-----BEGIN PGP SIGNATURE-----", "'a.asc' near it is a PGP signature. Check it with"),
    ("a.bundle", '{"base64Signature": "MEUC"}', "'a.bundle' near it is a bundle in the form"),
    ("a.intoto.jsonl", '{"payload": "", "payloadType": "", "signatures": []}', "DSSE envelope"),
])  # fmt: skip
def test_signatures_of_other_kinds_are_named(model, name, content, told):
    (model / name).write_text(content)
    for path in (model, model / "a"):
        assert ("modelseal sign" if told is None else told) in hint(path)


def test_a_bundle_of_another_name_is_named(key, model):
    sign(key, model / "a")
    (model / "a.sigstore.json").rename(model / "a.bundle")
    assert hint(model / "a") == (
        "'a.bundle' near it is a bundle: if it signs this, name it with --bundle."
    )
    assert verdict(key, model / "a", "--bundle", model / "a.bundle")["code"] == "accepted"


def test_a_bundle_in_place_of_a_model_is_named(key, model):
    sign(key, model)
    (model / "model.sig").rename(model.parent / "bundle")
    assert hint(model.parent / "bundle") == "It is a bundle itself: name the model that it signs."


def test_a_kernel_of_the_hub_is_named(model):
    put(model, "metadata.json", "metadata.json.sigstore")
    assert "kernels verify-signature" in hint(model)


def test_hints_are_bounded_and_printable(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    for number in range(30):
        put(top, f"{number:02}{'x' * 200}\x1b[2J\n/model.sig")
    told = hint(top)
    assert told.isprintable()
    assert len(told) < 400
