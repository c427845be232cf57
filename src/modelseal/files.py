# SPDX-License-Identifier: Apache-2.0
"""Read files with a bound: those of the operator, and those that anybody may have put there."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 64 * 1024  # bytes that are read at once of what does not tell its size
_NO_TEMPORARY = "No usable temporary directory found in"  # as Python's tempfile says it


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn an OSError about `name` into an error that says what to do.

    Raises:
        UsageError: missing. FormatError: a link, or no folder. Undecided: the rest.
    """
    try:
        yield
    except OSError as error:
        raise _read_error(error, f"'{shown(name)}'") from error
    except ValueError as error:
        raise _not_a_path(f"'{shown(name)}'") from error


@contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Do as `translated` does; `subject` begins the message and is safe to show."""
    try:
        yield
    except OSError as error:
        raise _read_error(error, subject) from error
    except ValueError as error:
        raise _not_a_path(subject) from error


def _not_a_path(subject: str) -> UsageError:
    """Return the refusal of a name with a NUL or half a character, which no path has."""
    return UsageError("not-found", f"{subject} is not a path.", "Check the path.")


def _read_error(error: OSError, subject: str) -> ModelSealError:
    if isinstance(error, FileNotFoundError):
        return UsageError("not-found", f"{subject} does not exist.", "Check the path.")
    if isinstance(error, PermissionError):
        message = f"{subject} cannot be read: permission denied."
        return Undecided("unreadable", message, "Check its permissions.")
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        message = f"{subject} is a symbolic link, or not a folder where one is needed."
        return FormatError("symlink", message, "Give the file or folder itself.")
    if error.errno == errno.ENXIO:
        return _not_regular(subject)
    reason = error.strerror or "input/output error"
    return Undecided("io-error", f"{subject} cannot be read: {reason}.", "Try again.")


def not_regular(name: str) -> FormatError:
    """Return the refusal of `name` (already safe to show), which is a FIFO, device or the like."""
    return _not_regular(f"'{name}'")


def _not_regular(subject: str) -> FormatError:
    return FormatError("special-file", f"{subject} is not a regular file.", "Give the file itself.")


def of_os_error(error: OSError) -> Undecided:
    """Return what `error` means where nobody nearer knows what was done to which file."""
    reason = shown(error.strerror or str(error) or type(error).__name__)
    if reason.startswith(_NO_TEMPORARY):
        return no_temporary_folder(error)
    if error.filename is None or isinstance(error.filename, int):  # a descriptor is not a name
        return Undecided("io-error", f"The operating system refuses: {reason}.")
    name = shown(os.fsdecode(error.filename))
    return Undecided(
        "io-error", f"'{name}' cannot be used: {reason}.", "Check that path and its permissions."
    )


def no_temporary_folder(error: OSError) -> Undecided:
    """Return what `error` means when it came from making a temporary file or folder."""
    reason = shown(error.strerror or "input/output error").replace(_NO_TEMPORARY, "tried")
    return Undecided(
        "no-temporary-folder",
        f"No folder for temporary files can be written: {reason}.",
        "Set TMPDIR to a folder that can be written and has room.",
    )


def exists(path: Path) -> bool:
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


def read_trusted(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of a file that the operator named, at most `limit` of them.

    Links are followed: every file of a mounted Kubernetes ConfigMap or Secret is one. Pipes are
    read to their end: /dev/stdin, and what a shell makes of `<(command)`.

    Raises:
        UsageError: missing, or not a file. FormatError: too large. Undecided: unreadable.
    """
    subject = f"The {what} '{shown(str(path))}'"
    with _translated(subject):
        try:
            with _opened(path) as fd:
                return read_fd(fd, limit, subject)
        except OSError as error:
            why = _NOT_A_FILE.get(error.errno or 0)
            if why is None:
                raise
            raise UsageError("not-a-file", f"{subject} {why}.", "Check the path.") from error


def read_again(path: Path, limit: int, what: str) -> bytes:
    """Return what `read_trusted` does, of a regular file only, and without ever waiting.

    A server that reads its files again while it runs must not be stopped by a pipe.

    Raises:
        FormatError: also if it is a pipe, device or socket ("special-file").
    """
    subject = f"The {what} '{shown(str(path))}'"
    with _translated(subject), _opened(path, os.O_NONBLOCK) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_regular(subject)
        return read_fd(fd, limit, subject)


_NOT_A_FILE = {
    errno.EISDIR: "is a folder",
    errno.ENOTDIR: "is named as if a file were a folder",
    errno.ELOOP: "is a symbolic link that leads to itself",
    errno.ENXIO: "is a socket",
}


def is_stream(path: Path) -> bool:
    """Return whether `path` leads to a pipe, device or socket, of which nobody makes a model.

    Raises:
        Undecided: cannot tell.
    """
    with translated(str(path)):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def own_descriptor(path: Path) -> int | None:
    """Return the number of the descriptor of this process that `path` names, such as /dev/stdin.

    Opening such a path anew fails for sockets, and for a terminal after `su`; of a regular file it
    forgets the position.
    """
    match = _DESCRIPTOR.fullmatch(str(path))
    if match is None:
        return None
    return int(match["number"]) if match["number"] else _STREAMS[match["stream"]]


_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_DESCRIPTOR = re.compile(
    r"/dev/(?P<stream>stdin|stdout|stderr)|(?:/dev|/proc/self)/fd/(?P<number>[0-9]{1,7})"
)


def lock(fd: int, *, wait: bool = True, shared: bool = False) -> bool:
    """Lock the file or folder behind `fd` until it is closed; return whether that can be done.

    Several may hold a `shared` lock at once, and nobody another one then. On some network and FUSE
    volumes there are no locks.

    Raises:
        BlockingIOError: another process holds the lock, and is not to be waited for.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(fd, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


_NO_LOCKS = {
    errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK, errno.EPERM,
    errno.EBADF,  # NFS, for what is not open for writing, such as folders
}  # fmt: skip


def read_untrusted(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of a file that lies where whoever wrote the model can write.

    It must be a regular file of at most `limit` bytes. A link as the last component is not
    followed, since it could lead to any file of ours, and a FIFO does not block.

    Raises:
        UsageError: missing. FormatError: too large, a link, not a regular file.
        Undecided: unreadable.
    """
    subject = f"The {what} '{shown(str(path))}'"
    with _translated(subject), _opened(path, os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_regular(subject)
        return read_fd(fd, limit, subject)


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    own = None if flags else own_descriptor(path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags) if own is None else os.dup(own)
    try:
        yield fd
    finally:
        os.close(fd)


def read_fd(fd: int, limit: int, subject: str) -> bytes:
    """Return all that is left behind `fd`, which stays open; `subject` begins what is refused.

    Raises:
        FormatError: more than `limit` bytes. OSError: it cannot be read.
    """
    # Python sets aside as much memory as it is asked to read. Pipes and /proc say 0.
    size = os.fstat(fd).st_size
    parts: list[bytes] = []
    length, wanted = 0, min(size, limit) + 1
    while length <= limit and (part := os.read(fd, wanted)):
        parts.append(part)
        length += len(part)
        wanted = min(max(size - length + 1, _CHUNK), limit + 1 - length)
    if length > limit:
        raise FormatError("too-large", f"{subject} is larger than {limit} bytes.")
    return b"".join(parts)
