# SPDX-License-Identifier: Apache-2.0
"""A signed model as the bytes of its files, to be put where it can be fetched from."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from in_process import Result, invoke

MODELSEAL = [str(Path(sys.executable).with_name("modelseal"))]
FILES = {"config.json": b"{}", "weights/a.bin": b"a" * 70_000, "weights/b.bin": b"b" * 30_000}


class Signed(NamedTuple):
    """The files of a signed folder by name, the signature among them; and by which key."""

    files: dict[str, bytes]
    key: Path  # the public one
    private: Path

    def sign(self, folder: Path, files: dict[str, bytes], *more: object) -> dict[str, bytes]:
        """Return `files` and their signature by the same key, made in the new `folder`."""
        write(folder, files)
        done = invoke("sign", folder, "--key", self.private, *more)
        assert done.exit_code == 0, done.output
        return read(folder)

    def fetch(self, uri: str, out: Path, *more: object) -> Result:
        return invoke("fetch", uri, "--key", self.key, "--out", out, *more)


def signed_model(folder: Path) -> Signed:
    """Return a model that was signed in `folder`."""
    private = folder / "release.key"
    assert invoke("key", "generate", private).exit_code == 0
    unsigned = Signed({}, private.with_suffix(".pub"), private)
    return unsigned._replace(files=unsigned.sign(folder / "signed", FILES))


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def read(folder: Path) -> dict[str, bytes]:
    """Return what is in `folder`, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def left_beside(out: Path) -> list[str]:
    """Return what is in the folder of `out`, in which there is nothing else."""
    return sorted(path.name for path in out.parent.iterdir())


def tar(files, mode="w:gz", top=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@contextmanager
def running(command, log, environment=None):
    """Give the process of a server until the end of the block."""
    with (
        log.open("w") as said,
        subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, **(environment or {})},
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
