# SPDX-License-Identifier: Apache-2.0
"""The private folder that a model is downloaded into, beside where it will be.

FOLDER/.NAME.fetch/               mode 0700, locked by the process that uses it
FOLDER/.NAME.fetch/revision       what is being downloaded; of anything else nothing is kept
FOLDER/.NAME.fetch/parts/         files that are not whole yet
FOLDER/.NAME.fetch/model/NAME/    files that are

A transfer that failed leaves the folder, and the next one continues there. A refusal removes it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from modelseal import files, outputs
from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats.oms import check_name
from modelseal.model import names
from modelseal.sources.base import Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelseal.sources.base import Count, Source

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CLAIM = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 8  # files


class Staging:
    """The folder `path` for the model that will be called `name`."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.model = path / "model" / name
        self.parts = path / "parts"

    def prepare(self, revision: str) -> None:
        """Keep what is there of `revision`, and remove everything else."""
        mark = self.path / "revision"
        if not mark.exists() or mark.read_text() != revision:
            for one in (self.parts, self.model.parent):
                shutil.rmtree(one, ignore_errors=True)
            mark.write_text(revision)
        shutil.rmtree(self.parts / ".cache", ignore_errors=True)  # huggingface_hub begins anew
        self.parts.mkdir(exist_ok=True)
        self.model.mkdir(parents=True, exist_ok=True)

    def has(self, one: Object) -> bool:
        """Return whether the file `one` is already there; only what is whole ever is."""
        try:
            found = (self.model / names.to_disk(one.name)).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and one.size in {None, found.st_size}

    def settle(self, part: Path, name: str) -> None:
        """Move a file that is whole to its place in the model.

        Raises:
            FormatError: there is one of that name, or of a name that this file system takes for
                the same ("name-collision").
        """
        target = self.model / names.to_disk(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(target, _CLAIM, 0o666))
        except (FileExistsError, IsADirectoryError) as error:
            raise _collision(name) from error
        part.replace(target)
        with target.open("rb") as file:
            outputs.sync(file.fileno())

    def check_names(self, wanted: Sequence[Object]) -> None:
        """Check that the files have the names that they should have, to the letter.

        Raises:
            FormatError: the file system changed one ("name-collision").
        """
        found = set()
        for folder, _, here in os.walk(self.model):
            below = Path(folder).relative_to(self.model)
            found |= {names.of_path(below / name) for name in here}
        for one in wanted:
            if one.name not in found:
                raise _collision(one.name)

    def replace_model(self, make: Callable[[Path], None]) -> None:
        """Put what `make` puts into a new folder in the place of the model."""
        new = self.path / "unpacked"
        shutil.rmtree(new, ignore_errors=True)
        make(new)
        shutil.rmtree(self.model)
        new.rename(self.model)

    def publish(self, target: Path) -> None:
        """Make the model durable and known as `target`, all of it at once.

        Raises:
            UsageError: somebody has put something there meanwhile.
        """
        for folder, _, _ in os.walk(self.model, topdown=False):
            outputs.sync_folder(Path(folder))
        try:
            self.model.rename(target)
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise taken(target) from error
            raise
        outputs.sync_folder(target.parent)

    def has_bytes(self) -> bool:
        """Return whether there is anything that the next try can use."""
        return any(names for _, _, names in os.walk(self.path) if names != ["revision"])

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def taken(target: Path) -> UsageError:
    """Return the refusal to fetch into a folder that is there."""
    message = f"'{shown(str(target))}' already exists."
    return UsageError("already-exists", message, "Remove it, or name another folder.")


@contextmanager
def opened(target: Path) -> Iterator[Staging]:
    """Give the staging folder of `target`, locked, until the end of the block.

    What is to be kept for the next try stays, so whoever decides removes it. An OSError in the
    block is taken for one about writing there.

    Raises:
        UsageError: `target` exists. Undecided: somebody else fetches into it ("fetch-in-progress"),
            or the folder cannot be made.
    """
    if files.exists(target):
        raise taken(target)
    path = target.parent / f".{target.name}.fetch"
    with translated(target):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        fd = os.open(path, _FOLDER)
        try:
            _check_ours(fd, path)
            yield Staging(path, target.name)
        finally:
            os.close(fd)


def _check_ours(fd: int, path: Path) -> None:
    """Lock the folder behind `fd` and check that it is ours alone."""
    try:
        files.lock(fd, wait=False)
        same = os.path.samestat(os.fstat(fd), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        same = False
    if not same:  # locked, or removed by the one who had the lock
        raise Undecided(
            "fetch-in-progress",
            f"Another process fetches into the folder '{shown(str(path))}'.",
            "Wait for it, or name another folder with --out.",
        )
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        message = f"'{shown(str(path))}' belongs to somebody else, or others can use it."
        raise UsageError("staging-not-private", message, "Remove it.")


def download(source: Source, staging: Staging, wanted: Sequence[Object], count: Count) -> None:
    """Have the files `wanted` in the staging folder, several at once.

    Raises:
        FormatError, Undecided: as `Source.download`; a name that the file system changes.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed  # noqa: PLC0415 - 15 ms

    counting = _Counting(count)

    def one_of_them(one: Object) -> None:
        if staging.has(one):
            counting(one.size or 0)
        else:
            staging.settle(source.download(one, staging.parts, counting), one.name)

    pool = ThreadPoolExecutor(_AT_ONCE)
    running = [pool.submit(one_of_them, one) for one in wanted]
    try:
        for task in as_completed(running):
            task.result()
    except BaseException as error:
        counting.stopped = True
        # Whoever presses Ctrl-C does not wait for a server that has stopped sending.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
    staging.check_names(wanted)


class _Stopped(Exception):  # noqa: N818 - nothing is wrong with this file
    """Another file failed, or somebody pressed Ctrl-C."""


class _Counting:
    """Tells bytes of several threads one after the other, and ends all of them if one fails."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._lock = Lock()
        self.stopped = False

    def __call__(self, more: int) -> None:
        if self.stopped:
            raise _Stopped
        with self._lock:
            self._count(more)


def check_room(folder: Path, size: int) -> None:
    """Check that `size` more bytes have room in `folder`.

    Raises:
        Undecided: they have not ("disk-full").
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Undecided(
            "disk-full",
            f"The model has {size:,} bytes, and there is room for {free:,} in "
            f"'{shown(str(folder))}'.",
            "Free some space, or name another folder.",
        )


def checked(objects: Sequence[Object], most: int) -> tuple[Object, ...]:
    """Return `objects`, whose names can be those of files below a folder.

    Raises:
        FormatError: a name that leads elsewhere ("unsafe-name"), twice the same, or too many.
    """
    if len(objects) > most:
        raise FormatError("too-many-files", f"The model has more than {most:,} files.", "")
    seen: set[str] = set()
    for one in objects:
        try:
            if check_name(one.name) == "." or "\\" in one.name:
                raise _unsafe(one.name)
        except FormatError as error:
            raise _unsafe(one.name) from error
        if one.name in seen:
            raise _collision(one.name)
        seen.add(one.name)
    return tuple(objects)


def check_folder_name(name: str) -> None:
    """Check that `name` can be that of a folder or file of its own.

    Raises:
        FormatError: it has parts, or leads elsewhere ("unsafe-name").
    """
    if "/" in name:
        raise _unsafe(name)
    checked((Object(name, None),), 1)


def _unsafe(name: str) -> FormatError:
    message = f"The source lists a file '{shown(name)}', which is no name inside a model."
    return FormatError("unsafe-name", message, "Do not use this source.")


def _collision(name: str) -> FormatError:
    return FormatError(
        "name-collision",
        f"'{shown(name)}' has the place of another file: the folder takes two names for one.",
        "Fetch into a file system that tells upper from lower case.",
    )


@contextmanager
def translated(target: Path) -> Iterator[None]:
    """Turn an OSError about writing below `target` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise outputs.write_error(error, target) from error
