# SPDX-License-Identifier: Apache-2.0
"""Somebody flips good and evil while the model is admitted: only signed bytes get in.

A race bites only on the first admission of a digest, so every try has a model signed afresh.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from itertools import cycle

import pytest
from in_store import snapshots
from patience import PATIENCE

from modelseal.admission.admit import admit
from modelseal.errors import ModelSealError
from modelseal.policy import document
from modelseal.trust import trust_root as trust
from modelseal.verification.verifier import Verifier

TRIES = 40
FLIPS = 10_000
GOOD, EVIL = b"good" * 100_000, b"evil" * 100_000


def _flip_file(folder, number):
    """Replace the file by the other one, whole, by rename."""
    spare = folder.parent / f"{folder.name}.{'evil' if number % 2 else 'good'}"
    os.link(spare, folder.parent / f"{folder.name}.new")
    (folder.parent / f"{folder.name}.new").replace(folder / "sub" / "weights.bin")


def _flip_link(folder, number):
    """Replace the file by a link to the other one, and back."""
    new = folder.parent / f"{folder.name}.new"
    spare = folder.parent / f"{folder.name}.{'evil' if number % 2 else 'good'}"
    new.symlink_to(spare) if number % 2 else os.link(spare, new)
    new.replace(folder / "sub" / "weights.bin")


def _flip_folder(folder, number):
    """Swap the whole inner folder."""
    other = folder.parent / f"{folder.name}.other"
    away = folder.parent / f"{folder.name}.away"
    (folder / "sub").rename(away)
    other.rename(folder / "sub")
    away.rename(other)


def _flip_in_place(folder, number):
    """Write the other bytes into the same file."""
    with (folder / "sub" / "weights.bin").open("r+b") as file:
        file.write(EVIL[:4096] if number % 2 else GOOD[:4096])


class Flipper:
    """Flips in a thread from the start to the end of the block."""

    def __init__(self, flip, folder):
        self.count = 0
        self._stop = False
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(flip, folder))

    def _run(self, flip, folder):
        for number in cycle(range(2)):
            if self._stop and number == 0:
                return
            flip(folder, number + 1)
            self.count += 1
            if self.count == FLIPS // TRIES:  # also makes the sum certain
                self._running.set()

    def __enter__(self):
        self._thread.start()
        self._running.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()


def _model(site, name):
    folder = site.models / name
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "weights.bin").write_bytes(GOOD)
    (folder / "name").write_text(name)  # another digest for every model
    other = site.models / f"{name}.other"
    other.mkdir()
    (other / "weights.bin").write_bytes(EVIL)
    (site.models / f"{name}.good").write_bytes(GOOD)
    (site.models / f"{name}.evil").write_bytes(EVIL)
    return folder


@pytest.mark.parametrize("flip", [_flip_file, _flip_link, _flip_folder, _flip_in_place])
def test_only_signed_bytes_get_in(make_site, tmp_path, flip):
    site = make_site(tmp_path)
    folders = [_model(site, f"model-{number}") for number in range(TRIES)]
    site.sign(*folders)
    policy = document.load(site.config / "policy.toml")
    verifier = Verifier(trust.from_file(policy.trust_root))
    flips = 0
    ended = Counter()
    for folder in folders:
        with Flipper(flip, folder) as flipper:
            try:
                snapshot = admit(folder, policy, verifier, site.store)
            except ModelSealError as error:
                ended[error.code] += 1
            else:
                ended["accepted"] += 1
                assert (snapshot.path / "sub" / "weights.bin").read_bytes() == GOOD
        flips += flipper.count
    assert flips >= FLIPS
    assert set(ended) - {"accepted"}, "the flips were never seen"
    assert len(snapshots(site.store)) == ended["accepted"]
    stored = [path for path in site.store.rglob("*") if path.is_file()]
    assert all(b"evil" not in path.read_bytes() for path in stored)
