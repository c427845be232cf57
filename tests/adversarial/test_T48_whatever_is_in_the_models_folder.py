# SPDX-License-Identifier: Apache-2.0
"""Whatever somebody writes into the models folder, a loader reads a signed and accepted tree."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path

from exec_site import ExecSite
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from in_store import snapshots

from modelseal.admission import upkeep
from modelseal.servers.mlserver import VerifiedModelRepository
from modelseal.servers.mlserver.refusal import Refused

NAMES = ("llm", "tok")
RUNTIME = "mlserver_sklearn.SKLearnModel"
FILES = ("weights.bin", "model-settings.json", "sub/more.bin", "model.sig")
NAME, FILE = st.sampled_from(NAMES), st.sampled_from(FILES)


def tree(folder):
    """Return the files below `folder` by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Folder(RuleBasedStateMachine):
    """Two names, three signed versions of each, an attacker, a server, an operator."""

    @initialize()
    def start(self):
        self.top = Path(tempfile.mkdtemp(prefix="modelseal-test-"))
        self.site = ExecSite(self.top / "site").prepare()
        self.site.policy.write_text(
            self.site.policy.read_text() + f'[mlserver]\nruntimes = ["{RUNTIME}"]\n'
        )
        (self.top / "config").mkdir()
        (self.top / "outside").write_text("evil")
        self.versions = {name: [self._version(name, n) for n in range(3)] for name in NAMES}
        self.signed = {
            name: [{k: v for k, v in tree(one).items() if k != "model.sig"} for one in versions]
            for name, versions in self.versions.items()
        }
        before = Path.cwd()
        os.chdir(self.top / "config")
        try:
            self.served = VerifiedModelRepository(
                str(self.top / "config"), models=str(self.site.models),
                policy=str(self.site.policy), store=str(self.site.store),
            )  # fmt: skip
        finally:
            os.chdir(before)

    def _version(self, name, number):
        folder = self.top / "signed" / f"{name}-{number}" / name
        (folder / "sub").mkdir(parents=True)
        (folder / "weights.bin").write_bytes(bytes([number]) * 5000)
        (folder / "sub" / "more.bin").write_bytes(b"more")
        (folder / "model-settings.json").write_text(
            json.dumps({"name": name, "implementation": RUNTIME, "parameters": {"uri": "."}})
        )
        return self.site.sign(folder)

    def _path(self, name, file=""):
        return self.site.models / name / file

    @rule(name=NAME, of=NAME, number=st.integers(0, 2))
    def put_a_version(self, name, of, number):
        self._clear(name)
        shutil.copytree(self.versions[of][number], self._path(name))

    @rule(name=NAME)
    def put_a_link_to_the_folder(self, name):
        self._clear(name)
        self._path(name).symlink_to(self.versions[name][0])

    @rule(name=NAME, file=FILE, of=NAME, number=st.integers(0, 2))
    def take_one_file_of_another(self, name, file, of, number):
        self._write(name, file, (self.versions[of][number] / file).read_bytes())

    @rule(name=NAME, file=FILE, data=st.binary(max_size=20))
    def write_anything(self, name, file, data):
        self._write(name, file, data)

    @rule(name=NAME, file=FILE, at=st.integers(0, 4000))
    def flip_a_bit(self, name, file, at):
        if self._path(name, file).is_file() and not self._path(name).is_symlink():
            data = bytearray(self._path(name, file).read_bytes())
            if data:
                data[at % len(data)] ^= 1
                self._write(name, file, bytes(data))

    @rule(name=NAME, extra=st.sampled_from(["x.py", "sub/x", "weights.bin ", ".hidden", "ü"]))
    def add_a_file(self, name, extra):
        self._write(name, extra, b"evil")

    @rule(name=NAME, file=FILE, how=st.sampled_from(["link", "hard link", "fifo", "nothing"]))
    def replace_a_file(self, name, file, how):
        path = self._path(name, file)
        if self._path(name).is_symlink() or not path.parent.is_dir():
            return
        path.unlink(missing_ok=True)
        if how == "link":
            path.symlink_to(self.top / "outside")
        elif how == "hard link":
            path.hardlink_to(self.top / "outside")
        elif how == "fifo":
            os.mkfifo(path)

    def _write(self, name, file, data):
        path = self._path(name, file)
        if not self._path(name).is_symlink() and path.parent.is_dir():
            path.unlink(missing_ok=True)
            path.write_bytes(data)

    def _clear(self, name):
        path = self._path(name)
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)

    @rule(name=NAME)
    def load(self, name):
        try:
            (found,) = asyncio.run(self.served.find(name))
        except Refused:
            return
        loaded = Path(found.parameters.uri)
        assert loaded.is_relative_to(self.site.store)
        assert tree(loaded) in self.signed[name]

    @rule()
    def list_models(self):
        for found in asyncio.run(self.served.list()):
            assert tree(Path(found.parameters.uri)) in self.signed[found.name]

    @rule(days=st.sampled_from([None, 0]), size=st.sampled_from([None, 0, 20_000]))
    def collect(self, days, size):
        upkeep.collect(self.site.store, keep_days=days, max_size=size)

    @precondition(lambda self: hasattr(self, "site") and self.site.store.exists())
    @invariant()
    def the_store_is_whole(self):
        for digest in snapshots(self.site.store):
            assert upkeep.verify(self.site.store, digest).state == "unchanged"

    def teardown(self):
        if hasattr(self, "top"):
            upkeep.collect(self.site.store, max_size=0)
            for folder in self.top.rglob("*"):
                if folder.is_dir() and not folder.is_symlink():
                    folder.chmod(0o700)
            shutil.rmtree(self.top)


TestFolder = Folder.TestCase
TestFolder.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
