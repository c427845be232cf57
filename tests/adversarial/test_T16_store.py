# SPDX-License-Identifier: Apache-2.0
"""The store: nobody else's, nothing half-made in it, many processes at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_store import snapshots
from patience import PATIENCE

from modelseal.admission import store as place
from modelseal.admission.admit import admit
from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError
from modelseal.model.digests import Reading
from modelseal.policy import document
from modelseal.policy.rules import Policy
from modelseal.trust import trust_root as trust
from modelseal.verification.verifier import Verifier


@pytest.fixture(scope="module")
def own(make_site, tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def admitted(own, tmp_path):
    """Give a function that admits a model into a store of this test."""
    policy = document.load(own.config / "policy.toml")
    verifier = Verifier(trust.from_file(policy.trust_root))

    def call(folder, store=tmp_path / "store", **more):
        return admit(folder, policy, verifier, store, **more)

    return call


def test_store_that_others_can_write_to(own, admitted, tmp_path):
    folder = own.signed("shared-store")
    for mode in (0o777, 0o770, 0o1777):
        shared = tmp_path / f"store-{mode:o}"
        shared.mkdir()
        shared.chmod(mode)
        with pytest.raises(UsageError) as refused:
            admitted(folder, shared)
        assert refused.value.code == "store-not-private"


def test_snapshot_is_read_only_and_holds_what_was_signed_only(own, admitted):
    folder = own.write("exact")
    (folder / "sub").mkdir()
    (folder / "sub" / "x.bin").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("not signed")
    own.sign(folder)
    snapshot = admitted(folder)
    found = {p.relative_to(snapshot.path).as_posix() for p in snapshot.path.rglob("*")}
    assert found == {"model-settings.json", "model.joblib", "sub", "sub/x.bin"}
    assert {p.stat().st_mode & 0o777 for p in snapshot.path.rglob("*") if p.is_file()} == {0o400}
    assert {p.stat().st_mode & 0o777 for p in (snapshot.path, snapshot.path / "sub")} == {0o500}


def test_refusal_leaves_nothing(own, admitted, tmp_path):
    folder = own.signed("leaves-nothing")
    (folder / "model.joblib").write_bytes(b"other")
    with pytest.raises(PolicyRefused) as refused:
        admitted(folder)
    assert refused.value.verdict.diff.changed == ("model.joblib",)
    assert refused.value.verdict.diff.sizes == (("model.joblib", None, 5),)
    (folder / "more.py").touch()
    with pytest.raises(PolicyRefused) as refused:
        admitted(folder)
    assert refused.value.verdict.diff.added == ("more.py",)
    assert ("more.py", None, 0) in refused.value.verdict.diff.sizes
    assert snapshots(tmp_path / "store") == set()


def test_full_disk_is_not_a_no_and_leaves_nothing(own, admitted, tmp_path, small_disk):
    folder = own.write("too-big")
    (folder / "weights.bin").write_bytes(os.urandom(3_000_000))
    own.sign(folder)
    with pytest.raises(Undecided) as undecided:
        admitted(folder, small_disk)
    assert undecided.value.code == "store-full"
    assert snapshots(small_disk) == set()


@pytest.fixture
def small_disk(tmp_path):
    """Give an empty folder on a disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]
    if subprocess.run(["mount", *options, disk], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_copies_of_killed_processes_are_swept_and_live_ones_kept(own, admitted, tmp_path):
    store = place.prepare(tmp_path / "store")
    dead, alive = store / ".tmp-dead", store / ".tmp-alive"
    for path in (dead, alive):
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "half").write_bytes(b"half")
        (path / "sub").chmod(0o500)
    fd = os.open(alive, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        admitted(own.signed("sweeper"))
        assert not dead.exists()
        assert (alive / "sub" / "half").exists()
    finally:
        os.close(fd)


def test_same_digest_by_many_at_once(own, admitted, tmp_path, monkeypatch):
    folder = own.write("popular")
    (folder / "weights.bin").write_bytes(os.urandom(2_000_000))
    own.sign(folder)
    copies, publish = [], place.publish
    monkeypatch.setattr(place, "publish", lambda *a: copies.append(a) or publish(*a))
    with ThreadPoolExecutor(8) as pool:
        paths = {s.path for s in pool.map(lambda _: admitted(folder), range(16))}
    assert len(paths) == 1
    assert len(copies) == 1
    assert len(snapshots(tmp_path / "store")) == 1


_ADMIT = """
import sys
from pathlib import Path
from modelseal.policy import document
from modelseal.policy.rules import Policy
from modelseal.trust import trust_root as trust
from modelseal.verification.verifier import Verifier
from modelseal.admission.admit import admit
policy = document.load(Path(sys.argv[1]))
verifier = Verifier(trust.from_file(policy.trust_root))
for folder in sys.argv[3:]:
    print(admit(Path(folder), policy, verifier, Path(sys.argv[2])).path)
"""


def test_many_processes_share_a_store(own, tmp_path):
    folders = [own.write(f"shared-{n}") for n in range(5)]
    own.sign(*folders)
    command = [sys.executable, "-c", _ADMIT, own.config / "policy.toml", tmp_path / "store"]
    running = [
        subprocess.Popen([*command, *folders], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {process.communicate(timeout=PATIENCE)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
    assert len(snapshots(tmp_path / "store")) == 5


def test_every_source_byte_is_read_once(own, admitted):
    folder = own.write("read-once")
    (folder / "weights.bin").write_bytes(os.urandom(1_500_000))
    own.sign(folder)
    read = []
    snapshot = admitted(folder, reading=Reading(progress=read.append))
    assert sum(read) == sum(p.stat().st_size for p in snapshot.path.rglob("*") if p.is_file())
    admitted(folder, reading=Reading(progress=read.append), unchanged=True)
    assert sum(read) == sum(p.stat().st_size for p in snapshot.path.rglob("*") if p.is_file())


def test_stored_digest_does_not_hide_a_changed_source(own, admitted):
    folder = own.signed("hit-then-changed")
    admitted(folder)
    weights = folder / "model.joblib"
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelSealError) as refused:
        admitted(folder)
    assert refused.value.code == "digest-mismatch"


def test_a_rule_that_only_warns_stores_nothing_altered_under_the_signed_digest(own, tmp_path):
    good = own.signed("warned-about")
    evil = own.folder / "elsewhere" / "warned-about"
    shutil.copytree(good, evil)
    (evil / "model.joblib").write_bytes(own.payload())
    policy = document.load(own.config / "policy.toml")
    lenient = Policy(
        signers=policy.signers, rules=(policy.rules[0]._replace(mode="warn"),),
        trust_root=policy.trust_root,
    )  # fmt: skip
    verifier = Verifier(trust.from_file(policy.trust_root))
    warned = admit(evil, lenient, verifier, tmp_path / "store")
    assert (warned.path / "model.joblib").read_bytes() == own.payload()
    strict = admit(good, policy, verifier, tmp_path / "store")
    assert (strict.path / "model.joblib").read_bytes() == (good / "model.joblib").read_bytes()
