# SPDX-License-Identifier: Apache-2.0
"""Read files with a bound, write them whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown


def read_bounded(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of the regular file at `path`, at most `limit` of them.

    Links are followed in folders but not in the last component; a FIFO does not block.

    Raises:
        UsageError: missing. FormatError: too large or not a regular file. Undecided: unreadable.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _read_error(error, path, what) from error
    return read_fd(fd, limit, what, path)


def read_fd(fd: int, limit: int, what: str, path: Path) -> bytes:
    """Return the bytes behind `fd`, which is closed; otherwise as `read_bounded`."""
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_regular(path, what)
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise _read_error(error, path, what) from error
    if len(data) > limit:
        raise FormatError("too-large", f"The {what} is larger than {limit} bytes.")
    return data


def _not_regular(path: Path, what: str) -> FormatError:
    message = f"The {what} '{shown(str(path))}' is not a regular file."
    return FormatError("special-file", message, "Give the file itself, not a link to it.")


def _read_error(error: OSError, path: Path, what: str) -> ModelSealError:
    said = shown(str(path))
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError("not-found", f"There is no {what} at '{said}'.", "Check the path.")
    if isinstance(error, IsADirectoryError) or error.errno in {errno.ELOOP, errno.ENXIO}:
        return _not_regular(path, what)
    reason = error.strerror or "input/output error"
    return Undecided("unreadable", f"The {what} '{said}' cannot be read: {reason}.")


def write_atomic(path: Path, data: bytes, *, overwrite: bool = True, mode: int = 0o644) -> None:
    """Put `data` at `path` so that any reader sees all of it or the file that was there before.

    Raises:
        UsageError: it exists and `overwrite` is false. Undecided: it cannot be written.
    """
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    except OSError as error:
        raise _write_error(error, path) from error
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
        _sync_folder(path.parent)
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


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_error(error: OSError, path: Path) -> ModelSealError:
    said = shown(str(path))
    if error.errno == errno.ENOSPC:
        return Undecided("disk-full", f"No space left to write '{said}'.", "Free some space.")
    reason = error.strerror or "input/output error"
    return Undecided(
        "cannot-write",
        f"'{said}' cannot be written: {reason}.",
        "Choose another place with --bundle.",
    )
