# SPDX-License-Identifier: Apache-2.0
"""Write files whole or not at all, and know beforehand that they can be written.

A signature is public the moment a log has it, so `reserved` does in advance all that may fail: it
opens the folder, makes a file in it and fills that. Nothing shows at the path before `write`.

File systems differ in what they can do (bucket mounts, FUSE, network and USB volumes): what one
lacks is done in the next best way, and a file that was written is never reported as unwritten.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown
from modelseal.files import own_descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator

# What file systems answer to what they do not have, such as links, renames or fsync. Some answers
# mean other things too (EBUSY: the file is mounted there; ENOENT: no /proc): the next way tells.
_UNSUPPORTED = {
    errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EXDEV,
    errno.EBUSY, errno.EMLINK, errno.EISDIR, errno.ENOENT,
}  # fmt: skip
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_UNNAMED = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_PLACE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Output(Protocol):
    """A place that can be written."""

    def write(self, data: bytes) -> None:
        """Put `data` there.

        Raises:
            UsageError: somebody else has put a file there meanwhile ("already-exists").
            Undecided: it cannot be written after all.
        """


@contextmanager
def reserved(
    path: Path,
    *,
    overwrite: bool = False,
    mode: int = 0o644,
    size: int = 0,
    untrusted: Path | None = None,
) -> Iterator[Output]:
    """Give what writes `path`, at most `size` bytes; it can be written, as far as anyone can tell.

    What the operator named is written as by any tool: where a link leads to, or into a pipe or
    device, such as /dev/stdout. Below the folder `untrusted` others can put links, which could lead
    to any file of ours, so there nothing is followed, and only a regular file is replaced.

    Raises:
        UsageError: it exists and `overwrite` is false, or is not a file.
        FormatError: a link, pipe or device below `untrusted`. Undecided: it cannot be written.
    """
    with _translated(path):
        stream = _open_stream(path) if untrusted is None and _is_stream(path) else None
    if stream is not None:
        try:
            yield _Stream(stream, path)
        finally:
            os.close(stream)
        return
    with _translated(path):
        folder, name = _opened_folder(path, untrusted)
    file = _File(folder, name, path, overwrite=overwrite, mode=mode)
    try:
        with _translated(path):
            file.reserve(size, trusted=untrusted is None)
        yield file
    finally:
        file.close()


def check(path: Path, *, overwrite: bool = False, untrusted: Path | None = None) -> None:
    """Check what `reserved` checks, but open no pipe: its reader would take that for the end.

    Raises:
        UsageError, FormatError, Undecided: as `reserved`.
    """
    with _translated(path):
        if untrusted is None and _is_stream(path):
            return
    with reserved(path, overwrite=overwrite, untrusted=untrusted):
        pass


def write(path: Path, data: bytes, *, overwrite: bool = True, mode: int = 0o644) -> None:
    """Put `data` at `path`, which the operator named; any reader sees all of it or what was there.

    Raises:
        UsageError: it exists and `overwrite` is false, or is not a file.
        Undecided: it cannot be written.
    """
    with reserved(path, overwrite=overwrite, mode=mode) as output:
        output.write(data)


def already_exists(path: Path) -> UsageError:
    """Return the refusal to replace the file at `path`."""
    message = f"'{shown(str(path))}' already exists."
    return UsageError("already-exists", message, "Use --overwrite to replace it.")


def sync_folder(path: Path) -> None:
    """Make the names in folder `path` durable, where the file system can: a rename alone is not.

    Raises:
        OSError: it can, and fails.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _closing(fd):
        sync(fd)


def sync(fd: int) -> None:
    """Make what was written to `fd` durable, where the file system can.

    Raises:
        OSError: it can, and fails.
    """
    with _allowed_to_lack():
        os.fsync(fd)


class _Stream:
    """A pipe, a terminal or another device, open for writing."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd, self._path = fd, path

    def write(self, data: bytes) -> None:
        with _translated(self._path):
            _write_all(self._fd, data)


def _is_stream(path: Path) -> bool:
    """Return whether `path` leads to an open descriptor, a pipe or a device.

    Raises:
        UsageError: to a folder, socket or disk ("not-a-file"). OSError: cannot tell.
    """
    if own_descriptor(path) is not None:  # even a regular file behind it is not ours to replace
        return True
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
        raise _not_a_file(path)
    return not stat.S_ISREG(kind)


def _open_stream(path: Path) -> int:
    own = own_descriptor(path)
    return os.dup(own) if own is not None else os.open(path, os.O_WRONLY | os.O_NOCTTY)


class _File:
    """A regular file in the open `folder`, which is closed in the end."""

    def __init__(self, folder: int, name: str, path: Path, *, overwrite: bool, mode: int) -> None:
        self._folder, self._name, self._path = folder, name, path
        self._overwrite, self._mode = overwrite, mode
        self._unnamed: int | None = None

    def reserve(self, size: int, *, trusted: bool) -> None:
        """Check what is there now, and that a file of `size` bytes has its place in the folder."""
        self._check_existing(trusted=trusted)
        # Without a name, so that nobody sees it, and nothing of it is left when we are killed.
        with _allowed_to_lack():
            self._unnamed = os.open(".", _UNNAMED, self._mode, dir_fd=self._folder)
        if self._unnamed is not None:
            _fill(self._unnamed, bytes(size), self._mode)
            return
        with self._temporary(bytes(size)):
            pass  # not kept: others may take it for a part of a model

    def write(self, data: bytes) -> None:
        with _translated(self._path):
            ways = (self._link_unnamed, self._rename_temporary, self._write_in_place)
            for number, way in enumerate(ways, 1):
                try:
                    way(data)
                    break
                except OSError as error:
                    if error.errno not in _UNSUPPORTED or number == len(ways):
                        raise
        with suppress(OSError):  # it is there, even if it may be gone after a power failure
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
            with _closing(fd):
                os.fsync(fd)

    def close(self) -> None:
        if self._unnamed is not None:
            os.close(self._unnamed)
        os.close(self._folder)

    def _check_existing(self, *, trusted: bool) -> None:
        try:
            found = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(found.st_mode):
            raise _not_a_file(self._path) if trusted else _not_followed(self._path, found.st_mode)
        if not self._overwrite:
            raise already_exists(self._path)
        folder = os.fstat(self._folder)
        owners = {0, found.st_uid, folder.st_uid}
        if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:  # as in /tmp
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        try:
            os.close(os.open(self._name, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=self._folder))
        except OSError as error:
            # A file that may not be written can still be replaced, unless it is immutable (EPERM)
            # or mounted there read-only by itself (EROFS).
            if error.errno in {errno.EPERM, errno.EROFS}:
                raise

    def _link_unnamed(self, data: bytes) -> None:
        """Give the file that was reserved its name."""
        if self._unnamed is None:
            raise _unsupported()
        _fill(self._unnamed, data, self._mode)
        source = f"/proc/self/fd/{self._unnamed}"
        if not self._overwrite:
            os.link(source, self._name, dst_dir_fd=self._folder)
            return
        temporary = self._temporary_name()
        os.link(source, temporary, dst_dir_fd=self._folder)
        with self._removed(temporary):
            self._rename(temporary)

    def _rename_temporary(self, data: bytes) -> None:
        with self._temporary(data) as temporary:
            if self._overwrite:
                self._rename(temporary)
                return
            try:  # unlike a rename it fails when somebody else was faster
                os.link(temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                self._claim_and_rename(temporary)

    def _claim_and_rename(self, temporary: str) -> None:
        os.close(os.open(self._name, _NEW, self._mode, dir_fd=self._folder))
        try:
            self._rename(temporary)
        except BaseException:
            os.unlink(self._name, dir_fd=self._folder)
            raise

    def _write_in_place(self, data: bytes) -> None:
        """Write where nothing can be renamed, or where the file itself is mounted."""
        flags = _IN_PLACE | (os.O_TRUNC if self._overwrite else os.O_EXCL)
        fd = os.open(self._name, flags, self._mode, dir_fd=self._folder)
        try:
            with _closing(fd):
                _write_all(fd, data)
                sync(fd)
        except BaseException:
            if not self._overwrite:
                os.unlink(self._name, dir_fd=self._folder)
            raise

    def _rename(self, temporary: str) -> None:
        os.replace(temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _temporary_name(self) -> str:
        # Of 255 bytes at most, and whole characters of UTF-8, which some file systems insist on.
        start = os.fsdecode(os.fsencode(self._name)[:100].decode(errors="ignore").encode())
        return f".{start}.{os.urandom(8).hex()}.tmp"

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[str]:
        """Give the name of a file with `data`, which is removed unless it is renamed."""
        name = self._temporary_name()
        fd = os.open(name, _NEW, self._mode, dir_fd=self._folder)
        with self._removed(name):
            with _closing(fd):  # some can neither rename nor remove a file that is open
                _fill(fd, data, self._mode)
            yield name

    @contextmanager
    def _removed(self, name: str) -> Iterator[None]:
        """Remove the file `name` in the end, unless it was renamed."""
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(name, dir_fd=self._folder)


def _opened_folder(path: Path, untrusted: Path | None) -> tuple[int, str]:
    """Return a descriptor of the folder in which `path` really is, and its name there."""
    if untrusted is None:
        real = Path(os.path.realpath(path))
        return os.open(real.parent, _FOLDER), real.name
    root, folder = Path(os.path.realpath(untrusted)), Path(os.path.realpath(path.parent))
    if not folder.is_relative_to(root):
        raise _not_followed(path, stat.S_IFLNK)
    fd = os.open(root, _FOLDER)
    for part in folder.relative_to(root).parts:
        try:  # again without links: somebody may have put one there since
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd, path.name


def _fill(fd: int, data: bytes, mode: int) -> None:
    """Make `data` all that the new file behind `fd` has, on the disk."""
    os.lseek(fd, 0, os.SEEK_SET)
    _write_all(fd, data)
    found = os.fstat(fd)
    if found.st_size != len(data):
        os.ftruncate(fd, len(data))
    if stat.S_IMODE(found.st_mode) != mode:
        with _allowed_to_lack():  # some have no permissions of files
            os.fchmod(fd, mode)
    sync(fd)


@contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _unsupported() -> OSError:
    return OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@contextmanager
def _allowed_to_lack() -> Iterator[None]:
    """Let pass that the file system does not have what is tried."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn an OSError about writing `path` into an error that says what to do."""
    try:
        yield
    except FileExistsError as error:
        raise already_exists(path) from error
    except OSError as error:
        raise write_error(error, path) from error
    except ValueError as error:  # a NUL or half a character, which no path has
        message = f"'{shown(str(path))}' is not a path."
        raise UsageError("not-found", message, "Check the path.") from error


def write_error(error: OSError, path: Path) -> ModelSealError:
    """Return what `error` means when it came from writing `path`."""
    name = shown(str(path))
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return Undecided("disk-full", f"No space left to write '{name}'.", "Free some space.")
    if isinstance(error, FileNotFoundError):
        folder = shown(str(path.parent))
        message = f"'{name}' cannot be written: the folder '{folder}' does not exist."
        return Undecided("cannot-write", message, "Make the folder, or choose another place.")
    reason = error.strerror or "input/output error"
    message = f"'{name}' cannot be written: {reason}."
    return Undecided("cannot-write", message, "Choose another place, or free this one.")


def _not_a_file(path: Path) -> UsageError:
    message = f"'{shown(str(path))}' is there and is not a file that could be replaced."
    return UsageError("not-a-file", message, "Name a file.")


def _not_followed(path: Path, mode: int) -> FormatError:
    name = shown(str(path))
    if stat.S_ISLNK(mode):
        return FormatError(
            "symlink",
            f"'{name}' leads elsewhere by a symbolic link, which may be anybody's in a model.",
            "Remove the link, or name another place with --bundle.",
        )
    return FormatError(
        "special-file",
        f"'{name}' is there and is not a regular file.",
        "Remove it, or name another place with --bundle.",
    )
