# SPDX-License-Identifier: Apache-2.0
"""Every byte of a model: many small files, large ones, shards; against the limit and the peers.

Everything lies in the page cache. The limits are loops over the same bytes that do nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import blake3

from benchmarks.parts import BIN, MIB, PEERS, Row, alternated, measured, run
from modelseal.formats import oms
from modelseal.model import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts import Sizes

SMALL, SMALL_SIZE = 20_000, 4096
MEDIUM, MEDIUM_SIZE = 2_000, MIB
SHARD = 256 * MIB
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def rows(folder: Path, sizes: Sizes) -> Iterator[Row]:
    key = folder / "release.key"
    run(BIN / "modelseal", "key", "generate", key)
    yield from _small(folder, key)
    yield from _medium(folder, key)
    yield from _one(folder, key, min(2048 * MIB, sizes.largest))
    yield from _sharded(folder, min(4096 * MIB, sizes.largest))


def _small(folder: Path, key: Path) -> Iterator[Row]:
    model = folder / "small"
    for number in range(SMALL):
        path = model / f"{number // 1000:02}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL_SIZE))
    ours, theirs = _commands(model, key)
    times = alternated(5, lambda: run(*ours), lambda: _loop(model), lambda: run(*theirs))
    what = f"verify {SMALL:,} x 4 KiB by key"
    yield Row(f"{what} / model_signing", times[0], times[2], goal=0.12, limit=times[1])
    cpu = measured(5, *ours)
    start = measured(5, BIN / "modelseal", "--version")
    yield Row(
        "  its CPU time a file / target",
        (cpu.cpu - start.cpu) / SMALL * 1000, 15, goal=1.0, unit="us",
        limit=times[1] / SMALL * 1000,
    )  # fmt: skip
    yield Row("  its peak memory / target", cpu.memory, 60, goal=1.0, unit="MiB")
    shutil.rmtree(model)


def _medium(folder: Path, key: Path) -> Iterator[Row]:
    model = folder / "medium"
    model.mkdir()
    for number in range(MEDIUM):
        (model / f"{number:05}.bin").write_bytes(os.urandom(MEDIUM_SIZE))
    ours, theirs = _commands(model, key)
    limit = _side_by_side([(path, 0, MEDIUM_SIZE) for path in model.glob("*.bin")])
    times = alternated(5, lambda: run(*ours), limit, lambda: run(*theirs))
    what = f"verify {MEDIUM:,} x 1 MiB by key / model_signing"
    yield Row(what, times[0], times[2], goal=0.5, limit=times[1])
    shutil.rmtree(model)


def _one(folder: Path, key: Path, size: int) -> Iterator[Row]:
    model = folder / "one"
    model.mkdir()
    _large(model / "large.bin", size)
    ours, theirs = _commands(model, key)
    small = folder / "start"
    small.mkdir()
    (small / "small.bin").write_bytes(b"small")
    start, _ = _commands(small, key)
    times = alternated(
        3, lambda: run(*ours), lambda: _in_memory(size), lambda: run(*theirs), lambda: run(*start)
    )
    what = f"verify {size // MIB:,} MiB, one file"
    limit = times[1] + times[3]
    yield Row(f"{what} / model_signing", times[0], times[2], goal=1.0, limit=limit)
    yield Row(f"{what} / hashlib in memory + start-up", times[0], limit, goal=1 / 0.95)
    yield Row("  its peak memory / target", measured(1, *ours).memory, 100, 1.0, "MiB")
    shutil.rmtree(model)


def _sharded(folder: Path, size: int) -> Iterator[Row]:
    model = folder / "sharded"
    model.mkdir()
    large = model / "large.bin"
    _large(large, size)
    shards = [(large, start, min(start + SHARD, size)) for start in range(0, size, SHARD)]
    how = oms.serialization(shard_size=SHARD)
    times = alternated(3, lambda: manifest.of_folder(model, how=how), _side_by_side(shards))
    yield Row(f"{size // MIB:,} MiB by shards / hashlib in 2 threads", *times, goal=1 / 0.95)
    by_blake3 = oms.serialization("blake3")
    b3sum = shutil.which("b3sum")
    peer, name = (
        (lambda: run(b3sum, large), "b3sum")
        if b3sum
        else (lambda: blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(large), "mmap")
    )
    ours = lambda: manifest.of_folder(model, how=by_blake3)  # noqa: E731
    times = alternated(3, ours, peer)
    yield Row(f"{size // MIB:,} MiB by BLAKE3 / {name}", *times, goal=1.0)
    command = (BIN / "modelseal", "digest", model, "--hash-type", "blake3")
    yield Row("  its peak memory / target", measured(1, *command).memory, 100, 1.0, "MiB")
    shutil.rmtree(model)


def _commands(model: Path, key: Path) -> tuple[tuple, tuple]:
    """Sign the model; return the commands with which we and model_signing verify it."""
    run(BIN / "modelseal", "sign", model, "--key", key)
    public, bundle = key.with_suffix(".pub"), model / "model.sig"
    (python,) = sorted(PEERS.glob("model-signing-*/bin/python"))[-1:]
    return (
        (BIN / "modelseal", "verify", model, "--key", public),
        (python, "-m", "model_signing", "verify", "key", model, "--signature", bundle,
         "--public_key", public),
    )  # fmt: skip


def _large(path: Path, size: int) -> None:
    block = os.urandom(16 * MIB)
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)


def _loop(model: Path) -> None:
    """Open, hash and check every file, in one thread, and nothing else."""
    buffer = bytearray(SMALL_SIZE + 1)
    view = memoryview(buffer)
    for folder, _, files in os.walk(model):
        fd = os.open(folder, os.O_RDONLY)
        for part in files:
            file = os.open(part, FLAGS, dir_fd=fd)
            before = os.fstat(file)
            hashlib.sha256(view[: os.readv(file, [buffer])]).digest()
            assert os.fstat(file).st_ctime_ns == before.st_ctime_ns
            os.close(file)
        os.close(fd)


def _in_memory(size: int) -> None:
    hasher, block = hashlib.sha256(), bytes(MIB)
    for _ in range(size // MIB):
        hasher.update(block)


def _side_by_side(parts: list[tuple[Path, int, int]]):
    """Return what reads and hashes those parts of files in two threads, and nothing else."""

    def hashed(share: list[tuple[Path, int, int]]) -> None:
        buffer = memoryview(bytearray(MIB))
        for path, start, end in share:
            hasher, fd, at = hashlib.sha256(), os.open(path, os.O_RDONLY), start
            while at < end:
                count = os.preadv(fd, [buffer[: end - at]], at)
                hasher.update(buffer[:count])
                at += count
            os.close(fd)

    def work() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(hashed, (parts[::2], parts[1::2])))

    return work
