# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed while they work on a store. Run as a program: FOLDER SCENARIO ROUNDS.

FOLDER has policy.toml and the signed model `model`. Prints JSON: how many processes were killed,
and what was wrong afterwards. A scenario is killed before and after each call that it makes to the
operating system, or at random moments, several processes at once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

from modelseal.admission import chain, upkeep
from modelseal.admission.admit import admit
from modelseal.admission.request import verifier_for
from modelseal.policy import document
from modelseal.trust.choice import Trust

SYSTEM = {"posix", "fcntl", "_io"}  # the modules of calls to the operating system


class Scene:
    """A store that was used once, a model that is to be admitted, a log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = document.load(folder / "policy.toml")
        self.verifier = verifier_for(self.policy, Trust())
        self.model, self.store = folder / "model", folder / "store"
        self.expected = {
            path.relative_to(self.model): path.read_bytes()
            for path in self.model.rglob("*")
            if path.is_file() and path.name != "model.sig"
        }

    def admit(self) -> Path:
        snapshot = admit(self.model, self.policy, self.verifier, self.store)
        snapshot.lease.close()
        return snapshot.path

    def collect(self) -> None:
        upkeep.collect(self.store, max_size=0)

    def clean(self) -> None:
        if self.store.exists():
            upkeep.collect(self.store, max_size=0)
            shutil.rmtree(self.store)
        for file in self.folder.glob("decisions.jsonl*"):
            file.unlink()

    def wrong(self) -> list[str]:
        """Return what is wrong: now, and after the next start."""
        found = [f"half-made: {one}" for one in self._altered()]
        path = self.admit()
        copied = {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}
        found += ["not what was signed"] if copied != self.expected else []
        names = {one.name for one in self.store.iterdir()} - {".lock", ".snapshots"}
        found += [f"left: {name}" for name in names - {path.name}]
        records = {one.name for one in (self.store / ".snapshots").iterdir()}
        found += [f"left: {name}" for name in records - {f"{path.name}.json"}]
        found += [one.message for one in chain.verify([self.policy.log.path]).problems]
        return found

    def _altered(self) -> list[str]:
        if not self.store.exists():
            return []
        names = upkeep.digests(self.store)
        return [one for one in names if upkeep.verify(self.store, one).state != "unchanged"]


def fork(work) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    finally:
        os._exit(0)


def count_calls(work, kill_at=None) -> int:
    """Return how many calls `work` makes to the operating system, each with its return."""
    count = 0

    def profile(_frame, event, function):
        nonlocal count
        if event in {"c_call", "c_return"} and getattr(function, "__module__", None) in SYSTEM:
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def killed_at_every_call(scene: Scene, work, before, step: int) -> tuple[int, list[str]]:
    scene.clean()
    before()
    total = count_calls(work)
    wrong, killed = [], 0
    for number in range(1, total + 1, step):
        scene.clean()
        before()
        pid = fork(partial(count_calls, work, number))
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        wrong += [f"call {number}: {one}" for one in scene.wrong()]
    return killed, wrong


def killed_at_random(scene: Scene, rounds: int) -> tuple[int, list[str]]:
    """Kill three processes that admit the model, and one that removes it, all at once."""
    scene.clean()
    began = time.monotonic()
    scene.admit()
    longest = 3 * (time.monotonic() - began)
    wrong, killed = [], 0
    dice = random.Random(rounds)
    for number in range(rounds):
        if number % 4 == 0:
            scene.clean()
        running = [fork(scene.admit) for _ in range(3)] + [fork(scene.collect)]
        time.sleep(dice.random() * longest)
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        wrong += [f"round {number}: {one}" for one in scene.wrong()]
    return killed, wrong


def main(folder: str, scenario: str, rounds: str) -> None:
    scene = Scene(Path(folder))
    if scenario == "admit":
        result = killed_at_every_call(scene, scene.admit, lambda: None, int(rounds))
    elif scenario == "collect":
        result = killed_at_every_call(scene, scene.collect, scene.admit, int(rounds))
    else:
        result = killed_at_random(scene, int(rounds))
    print(json.dumps({"killed": result[0], "wrong": result[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
