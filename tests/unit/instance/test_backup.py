# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import shutil
import tarfile
from contextlib import closing
from datetime import UTC, datetime

import pytest

from modelseal.errors import FormatError, Undecided, UsageError
from modelseal.instance import backup, entries, services, state
from modelseal.instance.database import Database


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("instance")
    state.create(folder, datetime.now(UTC))
    state.with_url(state.load(folder), "http://127.0.0.1:1")
    return folder


@pytest.fixture(scope="module")
def archive(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "backup.tar"
    backup.back_up(data, path)
    return path


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("log.db")
    }


def test_a_backup_is_restored_as_it_was(data, archive, tmp_path):
    assert archive.stat().st_mode & 0o777 == 0o600
    assert backup.restore(archive, tmp_path / "new") == 1
    assert files(tmp_path / "new" / "state") == files(data / "state")
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*")}
    assert modes == {0}


def test_a_backup_while_the_log_grows_is_of_one_moment(data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    loaded = state.load(copy)
    with closing(Database(loaded.database)) as database:
        log = services.assemble(loaded, database, None).log
        log.add(entries.Entry("hashedrekord", b"before"))
        assert backup.back_up(copy, tmp_path / "b.tar") == 2
        log.add(entries.Entry("hashedrekord", b"after"))
    assert backup.restore(tmp_path / "b.tar", tmp_path / "new") == 2
    assert not list(tmp_path.glob(".backup-*"))


def test_nothing_is_overwritten(data, archive, tmp_path):
    with pytest.raises(UsageError) as caught:
        backup.back_up(data, archive)
    assert caught.value.code == "already-exists"
    with pytest.raises(UsageError) as caught:
        backup.restore(archive, data)
    assert caught.value.code == "already-exists"


def test_a_running_folder_is_not_restored_into(archive, tmp_path):
    with state.locked(tmp_path), pytest.raises(Undecided) as caught:
        backup.restore(archive, tmp_path)
    assert caught.value.code == "instance-locked"


def rewritten(archive, change):
    """Return the archive with its members as `change` makes them of a dict."""
    with tarfile.open(archive) as source:
        members = {info.name: source.extractfile(info).read() for info in source}
    change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            target.addfile(info, io.BytesIO(body))
    return out.getvalue()


def cut(archive):
    return archive.read_bytes()[:30_000]


def cut_between_members(archive):
    return rewritten(archive, lambda members: members.pop("log.db"))


def empty(_archive):
    return b""


def no_manifest(archive):
    return rewritten(archive, lambda members: members.pop("manifest.json"))


def junk(_archive):
    return b"junk" * 1000


def flipped(archive):
    return rewritten(archive, lambda members: members.update({"keys/log.pem": b"x"}))


def one_more(archive):
    return rewritten(archive, lambda members: members.update({"keys/more.pem": b"x"}))


def _manifest(archive, change):
    def changed(members):
        manifest = json.loads(members["manifest.json"])
        change(manifest, members)
        members["manifest.json"] = json.dumps(manifest).encode()

    return rewritten(archive, changed)


def newer(archive):
    return _manifest(archive, lambda manifest, _: manifest.update(version=2))


def outside(archive):
    def change(manifest, members):
        manifest["files"]["../../evil"] = manifest["files"].pop("instance.json")
        members["../../evil"] = members.pop("instance.json")

    return _manifest(archive, change)


def other_key(archive):
    def change(manifest, members):
        manifest["files"]["keys/log.pem"] = manifest["files"]["keys/tuf.pem"]
        members["keys/log.pem"] = members["keys/tuf.pem"]

    return _manifest(archive, change)


@pytest.mark.parametrize(
    "bend",
    [cut, cut_between_members, empty, no_manifest, junk, flipped, one_more, newer, outside,
     other_key],
)  # fmt: skip
def test_half_a_backup_is_refused_and_leaves_nothing(archive, tmp_path, bend):
    bent = tmp_path / "bent.tar"
    bent.write_bytes(bend(archive))
    with pytest.raises(FormatError) as caught:
        backup.restore(bent, tmp_path / "new")
    assert caught.value.code == "bad-backup"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]
    assert not (tmp_path / "evil").exists()


def test_a_backup_that_is_not_there(tmp_path):
    with pytest.raises(UsageError) as caught:
        backup.restore(tmp_path / "none.tar", tmp_path / "new")
    assert caught.value.code == "not-found"


def test_a_damaged_instance_is_not_backed_up(data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    shutil.copy(copy / "state/keys/tuf.pem", copy / "state/keys/log.pem")
    with pytest.raises(Undecided) as caught:
        backup.back_up(copy, tmp_path / "b.tar")
    assert caught.value.code == "instance-damaged"
    assert not (tmp_path / "b.tar").exists()
