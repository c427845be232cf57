# SPDX-License-Identifier: Apache-2.0
"""Every target on its corpus, whole and with random damage: the bounded part of `make fuzz`."""

from __future__ import annotations

import random
import runpy
from contextlib import suppress
from pathlib import Path

import pytest

from modelseal.errors import ModelSealError

HERE = Path(__file__).parent
TARGETS = {
    name: target
    for file in ("targets.py", "instance_targets.py")
    for name, target in runpy.run_path(str(HERE / file))["TARGETS"].items()
}
DAMAGES = 150


def damaged(data: bytes, chance: random.Random) -> bytes:
    raw = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(raw) + 1)
        match chance.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del raw[at : at + chance.randrange(1, 9)]
            case 2:
                raw[at:at] = raw[: chance.randrange(9)]
            case _:
                raw[at:at] = chance.choice([b'"', b"{", b"[", b"\0", b"\xff", b"9" * 30, b"\n\n"])
    return bytes(raw)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_declared_errors_comes_out(name):
    seeds = sorted((HERE / "corpus" / name).iterdir())
    assert seeds
    chance = random.Random(name)
    for seed in seeds:
        data = seed.read_bytes()
        for given in (data, *(damaged(data, chance) for _ in range(DAMAGES // len(seeds) + 1))):
            with suppress(ModelSealError):
                TARGETS[name](given)
