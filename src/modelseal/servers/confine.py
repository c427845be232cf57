# SPDX-License-Identifier: Apache-2.0
"""What a confined command may reach: the copies, the system, its own environment, what is allowed.

Where models come from must stay unreadable, and Landlock cannot take a folder out of another that
is allowed. So a model that lies within what the command may read is refused, with what to move.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal import files
from modelseal.admission.store import remove
from modelseal.errors import Undecided, UsageError, shown
from modelseal.servers import landlock
from modelseal.servers.landlock import READ, WRITE, Access, Allowed, not_enforced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store",
    "/gnu/store", "/proc", "/sys", "/run/systemd/resolve", "/run/resolvconf", "/run/nscd",
)  # fmt: skip
_DEVICES = {
    "/dev/null": READ | Access.WRITE_FILE, "/dev/zero": READ | Access.WRITE_FILE,
    "/dev/full": READ | Access.WRITE_FILE, "/dev/random": READ, "/dev/urandom": READ,
    "/dev/tty": READ | Access.WRITE_FILE | Access.DEVICE_CONTROL,
}  # fmt: skip
_PRIVATE = "modelseal-exec-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FIRST_LINE = 256  # bytes; BINPRM_BUF_SIZE of Linux
_MAX_PORT = 65_535


class Wanted(NamedTuple):
    """What the operator allows beyond the rest."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    ports: tuple[int, ...] = ()


def port(text: str) -> int:
    """Return the number in `text`.

    Raises:
        UsageError: it is none; a kernel restricts ports, whatever machine they are of.
    """
    if text.isascii() and text.isdigit() and 0 < int(text) <= _MAX_PORT:
        return int(text)
    message = f"'{shown(text)}' is not the number of a port."
    hint = "Landlock knows ports only: give the port, and leave hosts to a firewall."
    raise UsageError("bad-port", message, hint)


def version(*, best_effort: bool) -> int:
    """Return the ABI of Landlock in this kernel.

    Raises:
        Undecided: it cannot enforce all, and that is not to be had by best effort.
    """
    found = landlock.abi()
    missing = not_enforced(found)
    if missing and not best_effort:
        has = f"Landlock ABI {found}" if found else "no Landlock"
        message = f"This kernel cannot restrict {' and '.join(missing)}: it has {has}."
        hint = (
            "Use Linux 6.7 or later with Landlock switched on, which containers may have to allow, "
            "or accept less with --confine=best-effort."
        )
        raise Undecided("cannot-confine", message, hint)
    return found


def check(program: Path, models: Iterable[Path], wanted: Wanted) -> None:
    """Check that what is allowed exists, and that no model can be read where it lies.

    Raises:
        UsageError: it does not, or one can ("model-readable").
    """
    for path in (*wanted.read, *wanted.write):
        if not files.exists(path):
            message = f"'{shown(str(path))}' does not exist, so nothing in it can be allowed."
            raise UsageError("not-found", message, "Make it first, or correct the path.")
    readable = [*_readable(program, wanted), *wanted.write]
    for model in models:
        _check_out_of_reach(model, readable)


def _readable(program: Path, wanted: Wanted) -> list[Path]:
    return [*map(Path, _SYSTEM), *environment_of(program), *wanted.read]


def allowed(program: Path, copies: Iterable[Path], private: Path, wanted: Wanted) -> Allowed:
    """Return what the command may reach: `copies` to read, `private` to write, and the rest."""
    paths = [
        *((path, READ) for path in _readable(program, wanted)),
        *((path, READ & ~Access.EXECUTE) for path in copies),
        *((Path(path), access) for path, access in _DEVICES.items()),
        *((path, WRITE) for path in (*wanted.write, private)),
    ]
    return Allowed(tuple((p, access) for p, access in paths if p.exists()), wanted.ports)


def check_read_only(copies: Iterable[Path], wanted: Wanted) -> None:
    """Check that the command cannot write into the copies.

    Raises:
        UsageError: it can ("store-writable").
    """
    for copy in copies:
        for path in wanted.write:
            own = Path(os.path.realpath(path))
            if copy.is_relative_to(own) or own.is_relative_to(copy):
                message = f"The command could change the verified copy '{shown(str(copy))}'."
                hint = "Keep the store apart from what it may write, see --store and --allow-write."
                raise UsageError("store-writable", message, hint)


def _check_out_of_reach(model: Path, readable: Iterable[Path]) -> None:
    """Check that neither the model nor the folder that it lies in can be read."""
    real = Path(os.path.realpath(model))
    for path in readable:
        own = Path(os.path.realpath(path))
        if real.is_relative_to(own) or own.is_relative_to(real):
            message = (
                f"The model '{shown(str(real))}' could be read where it lies: the command may read "
                f"'{shown(str(path))}'."
            )
            hint = (
                "Keep models apart from programs and from what --allow-read and --allow-write name."
            )
            raise UsageError("model-readable", message, hint)


def environment_of(program: Path) -> list[Path]:
    """Return the folders that `program` belongs to: its installation, that of its interpreter."""
    found: list[Path] = []
    for path in _chain(program):
        for one in (path, Path(os.path.realpath(path))):
            found += _installation(one)
    return list(dict.fromkeys(found))


def _chain(program: Path) -> Iterator[Path]:
    """Yield the program, and the interpreter that its first line names, if it is a script."""
    yield program
    try:
        with program.open("rb") as file:
            line = file.read(_FIRST_LINE).split(b"\n")[0]
    except OSError:  # may be run, and not be read
        return
    if not line.startswith(b"#!"):
        return
    words = os.fsdecode(line[2:]).split()
    if words and Path(words[0]).name == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        found = shutil.which(names[0]) if names else None
        words = [found] if found else []
    if words:
        yield Path(words[0])


def _installation(program: Path) -> Iterator[Path]:
    """Yield what goes with a program: all of a Python environment, else the libraries beside it."""
    prefix = program.parent.parent
    if str(prefix) in {"/", "/usr"}:  # part of the system, which is readable
        return
    is_python = (
        (prefix / "pyvenv.cfg").exists()
        or (prefix / "conda-meta").is_dir()
        or any(prefix.glob("lib/python3*/os.py"))
    )
    if not is_python:
        yield program
        yield from (prefix / name for name in ("lib", "lib64") if program.parent.name == "bin")
        return
    yield prefix
    home = _home_of(prefix / "pyvenv.cfg")
    if home is not None:
        base = Path(os.path.realpath(home)).parent
        yield from (base / name for name in ("bin", "lib", "lib64", "share", "include"))


def _home_of(configuration: Path) -> str | None:
    """Return where the Python is that a virtual environment was made from."""
    try:
        text = configuration.read_text()
    except (OSError, ValueError):
        return None
    match = re.search(r"^home *= *(.+?) *$", text, re.MULTILINE)
    return match[1] if match else None


def private_folder() -> Path:
    """Return a new temporary folder, which is removed after the command has ended.

    That is when the next one starts: nothing of ours is left that could do it at the end. Until
    then the command holds a lock on the folder, by a descriptor that it inherits.

    Raises:
        Undecided: it cannot be made.
    """
    try:
        _sweep(Path(tempfile.gettempdir()))
        while True:
            path = Path(tempfile.mkdtemp(prefix=_PRIVATE))
            try:
                fd = os.open(path, _FOLDER)
            except FileNotFoundError:  # another one that starts has swept it away
                continue
            files.lock(fd)
            if path.exists():  # as above
                os.set_inheritable(fd, True)  # noqa: FBT003 - as os has it
                return path
            os.close(fd)
    except OSError as error:
        raise files.no_temporary_folder(error) from error


def _sweep(folder: Path) -> None:
    for path in folder.glob(f"{_PRIVATE}*"):
        try:
            fd = os.open(path, _FOLDER | os.O_CLOEXEC)
        except OSError:  # somebody else's, or gone
            continue
        try:
            if os.fstat(fd).st_uid == os.geteuid() and files.lock(fd, wait=False):
                remove(path)
        except BlockingIOError:  # in use
            pass
        finally:
            os.close(fd)


def variables(private: Path) -> dict[str, str]:
    """Return what sends temporary files and caches to the private folder."""
    names = ("HOME", "TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    return dict.fromkeys(names, str(private))
