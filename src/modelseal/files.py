# SPDX-License-Identifier: Apache-2.0
"""Read files with a bound, write them whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn an OSError about `name` into an error that says what to do.

    Raises:
        UsageError: missing. FormatError: a link, or no folder. Undecided: the rest.
    """
    try:
        yield
    except OSError as error:
        raise _read_error(error, shown(name)) from error
    except ValueError as error:
        raise _no_path(name) from error


def _read_error(error: OSError, name: str) -> ModelSealError:
    if isinstance(error, FileNotFoundError):
        return UsageError("not-found", f"'{name}' does not exist.", "Check the path.")
    if isinstance(error, PermissionError):
        message = f"'{name}' cannot be read: permission denied."
        return Undecided("unreadable", message, "Check its permissions.")
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        message = f"'{name}' is a symbolic link, or no folder where one is needed."
        return FormatError("symlink", message, "Give the file or folder itself.")
    if error.errno == errno.ENXIO:
        return not_regular(name)
    reason = error.strerror or "input/output error"
    return Undecided("io-error", f"'{name}' cannot be read: {reason}.", "Try again.")


def _no_path(name: str) -> UsageError:
    """Return the refusal of a name with a NUL or half a character, which no file has."""
    return UsageError("not-found", f"'{shown(name)}' is no path.", "Check the path.")


def not_regular(name: str) -> FormatError:
    """Return the refusal of `name` (already safe to show), which is a FIFO, device or the like."""
    message = f"'{name}' is not a regular file."
    return FormatError("special-file", message, "Give the file itself.")


def of_os_error(error: OSError) -> Undecided:
    """Return what `error` means where nobody nearer knows what was done to which file."""
    reason = shown(error.strerror or str(error) or type(error).__name__)
    if error.filename is None or isinstance(error.filename, int):  # a descriptor is not a name
        return Undecided("io-error", f"The operating system refuses: {reason}.")
    name = shown(os.fsdecode(error.filename))
    return Undecided(
        "io-error", f"'{name}' cannot be used: {reason}.", "Check that path and its permissions."
    )


def there(path: Path) -> bool:
    """Return whether there is anything at `path`, be it a dangling link.

    Raises:
        Undecided: cannot tell.
    """
    with translated(str(path)):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder itself, not a link to one.

    Raises:
        UsageError: missing. Undecided: cannot tell.
    """
    with translated(str(path)):
        return stat.S_ISDIR(path.lstat().st_mode)


def read_bounded(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of the regular file at `path`, at most `limit` of them.

    Links are followed in folders but not in the last component; a FIFO does not block.

    Raises:
        UsageError: missing. FormatError: too large or not a regular file. Undecided: unreadable.
    """
    with translated(str(path)):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return read_fd(fd, limit, what)


def read_fd(fd: int, limit: int, what: str) -> bytes:
    """Return the bytes behind `fd`, which is closed; otherwise as `read_bounded`."""
    with open(fd, "rb") as file, translated(f"the {what}"):
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise not_regular(f"the {what}")
        # Python sets aside as much memory as it is asked to read.
        data = file.read(min(found.st_size, limit) + 1)
        if found.st_size < len(data) <= limit:  # it grew, or is one whose size is not told
            data += file.read(limit + 1 - len(data))
    if len(data) > limit:
        raise FormatError("too-large", f"The {what} is larger than {limit} bytes.")
    return data


def write_atomic(path: Path, data: bytes, *, overwrite: bool = True, mode: int = 0o644) -> None:
    """Put `data` at `path` so that any reader sees all of it or the file that was there before.

    Raises:
        UsageError: it exists and `overwrite` is false. Undecided: it cannot be written.
    """
    import tempfile  # noqa: PLC0415 - verifying writes nothing

    try:
        start = os.fsencode(path.name)[:100].decode(errors="ignore")  # of 255 bytes at most
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{start}.", suffix=".tmp")
    except OSError as error:
        raise _write_error(error, path) from error
    except ValueError as error:
        raise _no_path(str(path)) from error
    temporary = Path(name)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike rename, fails when somebody was faster
        sync_folder(path.parent)
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        raise _write_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def exists(path: Path) -> UsageError:
    """Return the refusal to replace the file at `path`."""
    message = f"'{shown(str(path))}' already exists."
    return UsageError("already-exists", message, "Use --overwrite to replace it.")


def sync_folder(path: Path) -> None:
    """Make the names in folder `path` durable: a rename is not, until its folder is.

    Raises:
        OSError: it cannot be done.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_error(error: OSError, path: Path) -> ModelSealError:
    said = shown(str(path))
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return Undecided("disk-full", f"No space left to write '{said}'.", "Free some space.")
    reason = error.strerror or "input/output error"
    return Undecided(
        "cannot-write",
        f"'{said}' cannot be written: {reason}.",
        "Choose another place, or free this one.",
    )
