# SPDX-License-Identifier: Apache-2.0
"""Passwords for the sign-in page: a file with a line `identity:scrypt$N$r$p$salt$hash` a user."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import scrypt
from hmac import compare_digest
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import read_trusted
from modelseal.formats.strict import b64decode, b64encode
from modelseal.instance.tokens import parse_identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COST, _BLOCK, _PARALLEL = 2**15, 8, 1  # 32 MiB and some 60 ms a guess, two at once: app.py
_MEMORY = 64 << 20
_SALT_SIZE = 16
_HASH_SIZE = 32
_PREFIX = f"scrypt${_COST}${_BLOCK}${_PARALLEL}$"
_FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class _Password:
    salt: bytes
    digest: bytes


@dataclass(frozen=True)
class Users:
    """Who may sign in, and with what password."""

    passwords: Mapping[str, _Password]

    def accept(self, identity: str, password: str) -> bool:
        """Return whether `password` is that of `identity`; takes as long for unknown ones."""
        expected = self.passwords.get(identity, _NOBODY)
        digest = _hash(password, expected.salt)
        return compare_digest(digest, expected.digest) and expected is not _NOBODY


class UsersFile:
    """The users in a file, as they were when it was last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._users = read_users(path)

    def reload(self) -> None:
        """Read the file again; when it cannot be, the users stay as they are.

        Raises:
            UsageError: as `read_users`.
        """
        self._users = read_users(self._path)

    def accept(self, identity: str, password: str) -> bool:
        """Return whether `password` is that of `identity`."""
        return self._users.accept(identity, password)


_NOBODY = _Password(secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_HASH_SIZE))


def format_user(identity: str, password: str) -> str:
    """Return the line for the users file.

    Raises:
        UsageError: not an identity, or an empty password.
    """
    parse_identity(identity)
    if not password:
        raise UsageError("no-password", "The password is empty.")
    salt = secrets.token_bytes(_SALT_SIZE)
    return f"{identity}:{_PREFIX}{b64encode(salt)}${b64encode(_hash(password, salt))}"


def read_users(path: Path) -> Users:
    """Return the users in the file at `path`; empty lines and lines after `#` do not count.

    Raises:
        UsageError: the file cannot be read, or has a line of another form, or nobody in it.
    """
    try:
        lines = read_trusted(path, _FILE_LIMIT, "users file").decode().splitlines()
    except UnicodeDecodeError as error:
        message = f"The users file '{shown(str(path))}' is not UTF-8."
        raise UsageError("users-file", message) from error
    passwords: dict[str, _Password] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            identity, password = _parse_user(line)
        except (UsageError, FormatError) as error:
            raise UsageError(
                "users-file",
                f"Line {number} of the users file is not identity:hash.",
                "Make lines with: modelseal instance hash-password IDENTITY",
            ) from error
        if identity in passwords:
            raise UsageError("users-file", f"Line {number} of the users file names a user again.")
        passwords[identity] = password
    if not passwords:
        raise UsageError("users-file", "The users file has nobody in it.")
    return Users(passwords)


def _parse_user(line: str) -> tuple[str, _Password]:
    identity, _, digest = line.rpartition(":")
    salt, _, value = digest.removeprefix(_PREFIX).partition("$")
    password = _Password(b64decode(salt, what="salt"), b64decode(value, what="hash"))
    sizes = (len(password.salt), len(password.digest))
    if not digest.startswith(_PREFIX) or sizes != (_SALT_SIZE, _HASH_SIZE):
        raise FormatError("users-file", "Not a password hash of the one kind that is made.")
    return parse_identity(identity).value, password


def _hash(password: str, salt: bytes) -> bytes:
    return scrypt(
        password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL,
        maxmem=_MEMORY, dklen=_HASH_SIZE,
    )  # fmt: skip
