# SPDX-License-Identifier: Apache-2.0
"""Landlock: this process and its children may from now on reach only what is listed.

The system calls of include/uapi/linux/landlock.h, by ctypes; docs/adr/0020-landlock-by-ctypes.md
says why. What a kernel cannot restrict depends on its version of the interface, the ABI.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import Undecided, shown

if TYPE_CHECKING:
    from pathlib import Path

NETWORK_ABI = 4  # the first that can restrict connections; Linux 6.7

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_BELOW_PATH, _PORT = 1, 2  # types of rules
_SET_NO_NEW_PRIVILEGES = 38  # prctl


class Access(IntFlag):
    """What can be done with a file or folder; LANDLOCK_ACCESS_FS_*."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_FOLDER = 1 << 3
    REMOVE_FOLDER = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_DEVICE = 1 << 6
    MAKE_FOLDER = 1 << 7
    MAKE_FILE = 1 << 8
    MAKE_SOCKET = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK_DEVICE = 1 << 11
    MAKE_LINK = 1 << 12
    MOVE = 1 << 13  # ABI 2
    TRUNCATE = 1 << 14  # ABI 3
    DEVICE_CONTROL = 1 << 15  # ABI 5


READ = Access.EXECUTE | Access.READ_FILE | Access.READ_FOLDER
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.REMOVE_FOLDER
    | Access.REMOVE_FILE
    | Access.MAKE_FOLDER
    | Access.MAKE_FILE
    | Access.MAKE_SOCKET
    | Access.MAKE_FIFO
    | Access.MAKE_LINK
    | Access.MOVE
    | Access.TRUNCATE
    | Access.DEVICE_CONTROL
)
_OF_A_FILE = (
    Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.DEVICE_CONTROL
)
_SINCE = {Access.MOVE: 2, Access.TRUNCATE: 3, Access.DEVICE_CONTROL: 5}
_CONNECT_TCP = 1 << 1  # LANDLOCK_ACCESS_NET_CONNECT_TCP
_SCOPES, _SCOPES_ABI = 0b11, 6  # no abstract sockets of others, no signals to others


class Allowed(NamedTuple):
    """What may be reached: paths with the access to them and all below, and ports to connect to."""

    paths: tuple[tuple[Path, Access], ...]
    ports: tuple[int, ...] = ()


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("paths", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what _pack_ means, and Python 3.14 wants to be told
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi() -> int:
    """Return the version of Landlock in this kernel; 0 if it has none, or it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def not_enforced(version: int) -> tuple[str, ...]:
    """Return what a kernel with this ABI cannot restrict, of what `restrict` is asked to."""
    missing = (
        (1, "reading and writing files"),
        (3, "truncating files"),
        (NETWORK_ABI, "connections to other machines"),
    )
    return tuple(what for since, what in missing if version < since)


def restrict(allowed: Allowed, version: int) -> None:
    """Restrict this thread and all that it starts, for ever, to what is allowed.

    `version` is the ABI to use, at most that of the kernel. Nothing is restricted if it is 0.

    Raises:
        Undecided: the kernel refuses.
    """
    if version < 1:
        return
    handled = _handled(version)
    ruleset = _Ruleset(
        handled,
        _CONNECT_TCP if version >= NETWORK_ABI else 0,
        _SCOPES if version >= _SCOPES_ABI else 0,
    )
    try:
        fd = _call(_CREATE_RULESET, ctypes.byref(ruleset), _size(version), 0)
        try:
            for path, access in allowed.paths:
                _allow_path(fd, path, access & handled)
            if version >= NETWORK_ABI:
                for port in allowed.ports:
                    rule = _PortRule(_CONNECT_TCP, port)
                    _call(_ADD_RULE, fd, _PORT, ctypes.byref(rule), 0)
            _forgo_privileges()
            _call(_RESTRICT_SELF, fd, 0)
        finally:
            os.close(fd)
    except OSError as error:
        reason = shown(error.strerror or str(error))
        message = f"The kernel does not confine the command: {reason}."
        hint = "See what else confines this process, such as a container's seccomp profile."
        raise Undecided("cannot-confine", message, hint) from error


def _handled(version: int) -> Access:
    """Return all accesses that this ABI knows, which are then denied where they are not allowed."""
    return Access(sum(one for one in Access if _SINCE.get(one, 1) <= version))


def _size(version: int) -> int:
    """Return how much of the structure this ABI knows."""
    fields = 3 if version >= _SCOPES_ABI else 2 if version >= NETWORK_ABI else 1
    return fields * ctypes.sizeof(ctypes.c_uint64)


def _allow_path(ruleset: int, path: Path, access: Access) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_A_FILE
        rule = _PathRule(access, fd)
        _call(_ADD_RULE, ruleset, _BELOW_PATH, ctypes.byref(rule), 0)
    finally:
        os.close(fd)


def _forgo_privileges() -> None:
    """Give up what setuid programs would add, without which the kernel restricts root alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise _last_error()


def _call(number: int, *arguments: object) -> int:
    """Return what the system call answers.

    Raises:
        OSError: it fails.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    values = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    answer: int = libc.syscall(ctypes.c_long(number), *values)
    if answer < 0:
        raise _last_error()
    return answer


def _last_error() -> OSError:
    number = ctypes.get_errno() or errno.EINVAL
    return OSError(number, os.strerror(number))
