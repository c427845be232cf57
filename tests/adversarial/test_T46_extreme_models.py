# SPDX-License-Identifier: Apache-2.0
"""Models of a size, shape or name that nobody expects, files that change while they are read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from exec_site import ExecSite
from in_store import snapshots
from patience import PATIENCE

from modelseal.admission.admit import admit
from modelseal.admission.request import verifier_for
from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError
from modelseal.model.digests import Reading
from modelseal.policy import document
from modelseal.trust.choice import Trust

TERABYTE = 10**12


@pytest.fixture
def site(tmp_path):
    return ExecSite(tmp_path / "site").prepare()


@pytest.fixture
def admitted(site):
    def call(model, **more):
        policy = document.load(site.policy)
        return admit(model, policy, verifier_for(policy, Trust()), site.store, **more)

    return call


def test_a_sparse_terabyte_is_not_copied(site, admitted):
    model = site.model("llm")
    os.truncate(model / "weights.bin", TERABYTE)
    read = []
    with pytest.raises(ModelSealError) as refused:
        admitted(model, reading=Reading(progress=read.append))
    assert refused.value.code == "store-full"
    assert read == []
    assert snapshots(site.store) == set()


def test_a_sparse_terabyte_is_not_hashed_when_the_store_has_the_good_copy(site, admitted):
    model = site.model("llm")
    admitted(model)
    os.truncate(model / "weights.bin", TERABYTE)
    read = []
    with pytest.raises(PolicyRefused) as refused:
        admitted(model, reading=Reading(progress=read.append))
    diff = refused.value.verdict.diff
    assert (refused.value.code, diff.changed) == ("digest-mismatch", ("weights.bin",))
    assert diff.sizes == (("weights.bin", 11, TERABYTE),)
    assert read == []


def test_what_the_policy_lets_the_store_have(site, admitted):
    site.policy.write_text(site.policy.read_text() + '[store]\nmax_size = "100kB"\n')
    large = site.model("large", weights_bin=os.urandom(150_000))
    with pytest.raises(Undecided) as refused:
        admitted(large)
    assert refused.value.code == "store-full"
    one, two = (site.model(n, weights_bin=os.urandom(60_000)) for n in ("one", "two"))
    first = admitted(one)
    with pytest.raises(Undecided):
        admitted(two)
    first.lease.close()
    second = admitted(two)
    assert snapshots(site.store) == {second.path.name}


LIMITED = """
import resource, sys
from pathlib import Path
from modelseal.admission.admit import admit
from modelseal.admission.request import verifier_for
from modelseal.errors import ModelSealError
from modelseal.policy import document
from modelseal.trust.choice import Trust
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
policy = document.load(Path(sys.argv[1]))
try:
    admit(Path(sys.argv[2]), policy, verifier_for(policy, Trust()), Path(sys.argv[3]))
except ModelSealError as error:
    print(error.code)
"""


def test_a_limit_of_the_size_of_files(site):
    model = site.model("llm", weights_bin=os.urandom(200_000))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, site.policy, model, site.store], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "store-full\n", done.stderr
    assert snapshots(site.store) == set()


class Writer:
    """Changes a file in a thread, again and again, until the end of the block."""

    def __init__(self, change):
        self._change, self._stop = change, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.is_set():
            self._change()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(PATIENCE)


def _grow(file):
    with file.open("ab") as stream:
        stream.write(b"more")


def _shrink_and_grow(file):
    size = file.stat().st_size
    os.truncate(file, size // 2)
    os.truncate(file, size)


@pytest.mark.parametrize("change", [_grow, _shrink_and_grow])
def test_a_file_that_grows_or_shrinks_while_it_is_copied(site, admitted, change):
    weights = os.urandom(2_000_000)
    model = site.model("llm", weights_bin=weights)
    file = model / "weights.bin"
    ended = set()
    for _ in range(20):
        with Writer(lambda: change(file)):
            try:
                copy = admitted(model).path
            except ModelSealError as error:
                ended.add(error.code)
            else:  # only if the change came late
                assert (copy / "weights.bin").read_bytes() == weights
    assert ended <= {"digest-mismatch", "changed-while-reading"}
    assert ended


def test_names_of_255_bytes_and_paths_of_4096(site, admitted):
    model = site.models / "llm"
    model.mkdir()
    long = "ü" * 127 + "x"
    (model / long).write_text("x")
    site.sign(model)
    assert [path.name for path in admitted(model).path.iterdir()] == [long]

    deep = site.models / "deep"
    deep.mkdir()
    part = "d" * 200
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(30):  # a path of 6,000 bytes, which no single call can open
        os.mkdir(part, dir_fd=fd)
        inner = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=fd))
    os.close(fd)
    (deep / "model.sig").write_bytes((model / "model.sig").read_bytes())
    with pytest.raises(ModelSealError) as refused:
        admitted(deep)
    assert refused.value.code in {"bad-name", "name-too-long", "digest-mismatch"}
    assert len(str(refused.value)) < 2000
    assert snapshots(site.store)


def test_folders_of_any_depth_do_not_end_the_process(site, admitted):
    model = site.model("llm")
    fd = os.open(model, os.O_RDONLY)
    for _ in range(100):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    with pytest.raises(PolicyRefused) as refused:
        admitted(model)
    assert refused.value.code == "too-deep"


def test_a_manifest_of_a_million_entries(site, admitted):
    model = site.model("llm")
    entry = b'{"digest":"' + b"0" * 64 + b'","name":"file-%07d"},'
    with (model / "model.sig").open("wb") as file:
        file.write(b'{"dsseEnvelope":{"payload":[')
        for number in range(1_000_000):
            file.write(entry % number)
        file.write(b"0]}}")
    with pytest.raises(ModelSealError) as refused:
        admitted(model)
    assert refused.value.code == "too-large"


def test_names_that_look_alike_are_different(site, admitted):
    """A Cyrillic letter, another normal form, another case, spaces that do not show."""
    model = site.model("llm", weights_bin="good")
    admitted(model)
    for other in ("w\u0435ights.bin", "weights.bin ", "Weights.bin", "weights.bin\u200b"):
        (model / "weights.bin").rename(model / other)
        with pytest.raises(PolicyRefused) as refused:
            admitted(model)
        assert refused.value.verdict.diff.added == (other,)
        assert refused.value.verdict.diff.missing == ("weights.bin",)
        (model / other).rename(model / "weights.bin")
    both = site.models / "both"
    both.mkdir()
    (both / "e\u0301.bin").write_text("one")
    (both / "\u00e9.bin").write_text("two")
    site.sign(both)
    found = {path.name: path.read_text() for path in admitted(both).path.iterdir()}
    assert found == {"e\u0301.bin": "one", "\u00e9.bin": "two"}


def test_the_rules_of_one_name_are_not_those_of_one_that_looks_like_it(site, admitted):
    site.policy.write_text(site.policy.read_text().replace('["*"]', '["llm"]'))
    model = site.model("llm")
    admitted(model)
    for name in ("llм", "LLM", "llm\u200b", "llm "):
        with pytest.raises(PolicyRefused) as refused:
            admitted(model.rename(site.models / name))
        assert refused.value.code == "no-rule"
        model = (site.models / name).rename(model)


def test_a_hard_link_from_outside_changes_no_copy(site, admitted, tmp_path):
    model = site.model("llm", weights_bin="good")
    (tmp_path / "outside").hardlink_to(model / "weights.bin")
    copy = admitted(model).path / "weights.bin"
    (tmp_path / "outside").write_text("evil")
    assert copy.read_text() == "good"
    assert copy.stat().st_nlink == 1


def test_bundles_of_another_model_and_of_an_older_version(site, admitted):
    one, other = site.model("one", weights_bin="one"), site.model("other", weights_bin="other")
    good = (one / "model.sig").read_bytes()
    (one / "model.sig").write_bytes((other / "model.sig").read_bytes())
    with pytest.raises(PolicyRefused) as refused:
        admitted(one)
    assert refused.value.code == "digest-mismatch"
    (one / "weights.bin").write_text("two")
    site.sign(one)
    (one / "model.sig").write_bytes(good)
    with pytest.raises(PolicyRefused):
        admitted(one)


def test_a_store_behind_a_link(site, admitted, tmp_path):
    model = site.model("llm")
    (tmp_path / "real").mkdir(mode=0o700)
    site.store.symlink_to(tmp_path / "real")
    copy = admitted(model).path
    assert copy.parent == tmp_path / "real"
    if os.geteuid() == 0:
        os.lchown(site.store, 54321, 54321)  # of somebody who may turn it elsewhere
        with pytest.raises(UsageError) as refused:
            admitted(model)
        assert refused.value.code == "store-not-private"
    site.store.unlink()
    site.store.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelSealError) as refused:
        admitted(model)
    assert refused.value.code == "store-unusable"
    assert not (tmp_path / "nowhere").exists()


def test_a_copy_in_the_store_is_never_a_link(site, admitted, tmp_path):
    """Not even one that the server's own user made."""
    model = site.model("llm", weights_bin="good")
    copy = admitted(model).path
    copy.rename(tmp_path / "moved")
    copy.symlink_to(tmp_path / "moved")
    with pytest.raises(ModelSealError):
        admitted(model)


def test_an_altered_copy_is_found_before_it_is_used_if_the_policy_says_so(site, admitted):
    model = site.model("llm", weights_bin="good")
    copy = admitted(model).path / "weights.bin"
    copy.chmod(0o600)
    copy.write_text("evil")
    site.policy.write_text(site.policy.read_text() + "[store]\nverify = true\n")
    with pytest.raises(Undecided) as refused:
        admitted(model)
    assert refused.value.code == "store-altered"


def test_a_store_that_is_read_only(site, admitted):
    model = site.model("llm")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", site.folder / "work"],
        capture_output=True, check=False,
    ).returncode:  # fmt: skip
        pytest.skip("needs the right to mount")
    try:
        policy = document.load(site.policy)
        with pytest.raises(Undecided) as refused:
            admit(model, policy, verifier_for(policy, Trust()), site.folder / "work")
        assert refused.value.code == "store-unusable"
        assert "Read-only file system" in refused.value.message
    finally:
        subprocess.run(["umount", site.folder / "work"], check=True)
