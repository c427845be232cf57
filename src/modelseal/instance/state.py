# SPDX-License-Identifier: Apache-2.0
"""What an instance is, on disk: its keys, its certificates, its name and its URL.

    DIR/lock                 held by the running process
    DIR/state/instance.json  url, origin, start
    DIR/state/log.db         everything that grows (see database.py)
    DIR/state/keys/*.pem     private keys, and the two certificate chains

`state` appears in one rename, so that it is whole or not there at all. An instance whose keys or
log are lost is refused, not repaired: a new log under an old key is a fork.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from modelseal.errors import FormatError, Undecided, shown
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.instance import pki
from modelseal.instance.database import Database
from modelseal.instance.files import sync_folder, write_whole
from modelseal.instance.tlog import TransparencyLog

if TYPE_CHECKING:
    from collections.abc import Iterator

# Clients compare validity with clocks of their own, so everything is valid an hour before birth.
_BACKDATED = timedelta(hours=1)
_SETTINGS_LIMIT = 1 << 16
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Chain = tuple[x509.Certificate, x509.Certificate]


@dataclass(frozen=True)
class Keys:
    """The private keys; the CA root and timestamp root keys are only used at birth."""

    ca: ec.EllipticCurvePrivateKey
    ct: ec.EllipticCurvePrivateKey
    log: ed25519.Ed25519PrivateKey
    oidc: ec.EllipticCurvePrivateKey
    tsa: ec.EllipticCurvePrivateKey
    tuf: ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class State:
    """An instance at rest. `start` is when everything becomes valid; `url` is empty at birth."""

    folder: Path
    url: str
    origin: str
    start: datetime
    keys: Keys
    ca_chain: Chain  # intermediate, root
    tsa_chain: Chain  # signer, root

    @property
    def database(self) -> Path:
        """Return the path of the SQLite file."""
        return self.folder / "log.db"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the lock of the data folder `data`, which is created when missing.

    Raises:
        Undecided: another process serves this folder, or it cannot be used.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(data)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(data, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Undecided(
                "instance-locked",
                f"Another process already serves the instance in {shown(str(data))}.",
                "Use that one, stop it first, or give another folder with --data.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def create(data: Path, now: datetime) -> None:
    """Make the state of a new instance under `data`, unless there is one. Call with the lock held.

    Raises:
        Undecided: the folder cannot be written.
    """
    if (data / "state").exists():
        return
    try:
        for left_over in data.glob(".birth-*"):  # a birth that was interrupted
            shutil.rmtree(left_over)
        nascent = Path(tempfile.mkdtemp(prefix=".birth-", dir=data))
        _give_birth(nascent, (now - _BACKDATED).replace(microsecond=0))
        nascent.rename(data / "state")
        sync_folder(data)
    except OSError as error:
        raise _unusable(data, error) from error


def load(data: Path) -> State:
    """Return the state under `data`.

    Raises:
        Undecided: there is none, or a part of it is missing or damaged.
    """
    folder = data / "state"
    if not folder.is_dir():
        raise _no_instance(data)
    try:
        settings = parse_json(
            (folder / "instance.json").read_bytes(), what="instance state", limit=_SETTINGS_LIMIT
        )
        settings = as_kind(settings, dict, what="instance state")
        state = State(
            folder=folder,
            url=member(settings, "url", str, what="instance state"),
            origin=member(settings, "origin", str, what="instance state"),
            start=datetime.strptime(
                member(settings, "start", str, what="instance state"), _TIME
            ).replace(tzinfo=UTC),
            keys=_load_keys(folder / "keys"),
            ca_chain=_load_chain(folder / "keys/ca-chain.pem"),
            tsa_chain=_load_chain(folder / "keys/tsa-chain.pem"),
        )
    except (OSError, ValueError, FormatError) as error:
        raise damaged(data, error) from error
    if not state.database.is_file():
        raise damaged(data, FileNotFoundError("log.db is missing"))
    for key, chain in ((state.keys.ca, state.ca_chain), (state.keys.tsa, state.tsa_chain)):
        if key.public_key() != chain[0].public_key():
            raise damaged(data, ValueError("a certificate is not that of its key"))
    return state


def started(data: Path) -> State:
    """Return the state under `data` of an instance that ran at least once, and so has a URL.

    Raises:
        Undecided: as for `load`, or it never ran.
    """
    state = load(data)
    if not state.url:
        raise _no_instance(data)
    return state


def with_url(state: State, url: str) -> State:
    """Return `state` at `url`, remembered on disk: the URL is part of what clients trust."""
    if state.url == url:
        return state
    _write_settings(state.folder, url, state.origin, state.start)
    return replace(state, url=url)


def damaged(data: Path, error: Exception) -> Undecided:
    """Return the refusal to run on a state that is not whole."""
    return Undecided(
        "instance-damaged",
        f"The instance in {shown(str(data))} is damaged: {shown(str(error))}.",
        "Restore the folder from a backup; an instance never repairs its keys or its log.",
    )


def _no_instance(data: Path) -> Undecided:
    return Undecided(
        "no-instance",
        f"There is no instance in {shown(str(data))}.",
        "Start one there with: modelseal instance up --data DIR",
    )


def _give_birth(folder: Path, start: datetime) -> None:
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    private = {
        name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "ct", "oidc", "tsa")
    }
    ca_root, tsa_root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # The two root keys are not kept: nothing needs them again, and a lost key cannot be stolen.
    ca_chain = pki.ca_chain(private["ca"].public_key(), ca_root, start)
    tsa_chain = pki.tsa_chain(private["tsa"].public_key(), tsa_root, start)
    for name, key in private.items():
        write_whole(keys / f"{name}.pem", _private_pem(key))
    log_key, tuf_key = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
    write_whole(keys / "log.pem", _private_pem(log_key))
    write_whole(keys / "tuf.pem", _private_pem(tuf_key))
    for name, chain in (("ca", ca_chain), ("tsa", tsa_chain)):
        write_whole(keys / f"{name}-chain.pem", b"".join(map(_certificate_pem, chain)))
    # A name that no other log has: clients and witnesses know logs by it.
    origin = f"log-{secrets.token_hex(8)}.modelseal.test"
    database = Database(folder / "log.db")
    TransparencyLog(log_key, origin, database).begin()
    database.close()
    _write_settings(folder, "", origin, start)


def _write_settings(folder: Path, url: str, origin: str, start: datetime) -> None:
    settings = {"url": url, "origin": origin, "start": start.strftime(_TIME)}
    write_whole(folder / "instance.json", rfc8785.dumps(settings))


def _load_keys(folder: Path) -> Keys:
    def load_key(name: str) -> object:
        data = (folder / f"{name}.pem").read_bytes()
        return serialization.load_pem_private_key(data, password=None)

    def ecdsa(name: str) -> ec.EllipticCurvePrivateKey:
        key = load_key(name)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise FormatError("bad-key", f"{name}.pem is not an ECDSA key")
        return key

    def edwards(name: str) -> ed25519.Ed25519PrivateKey:
        key = load_key(name)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise FormatError("bad-key", f"{name}.pem is not an Ed25519 key")
        return key

    return Keys(
        ca=ecdsa("ca"), ct=ecdsa("ct"), log=edwards("log"),
        oidc=ecdsa("oidc"), tsa=ecdsa("tsa"), tuf=edwards("tuf"),
    )  # fmt: skip


def _load_chain(path: Path) -> Chain:
    first, last = x509.load_pem_x509_certificates(path.read_bytes())
    return first, last


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _check_owner(data: Path) -> None:
    """Refuse a folder in which others could put a state of theirs; `state` itself is 0700."""
    info = data.stat()
    if info.st_uid != os.geteuid() or info.st_mode & stat.S_IWOTH:
        raise Undecided(
            "instance-folder",
            f"Other users can change what is in {shown(str(data))}.",
            "Give a folder of your own with --data.",
        )


def _unusable(data: Path, error: OSError) -> Undecided:
    return Undecided(
        "instance-folder",
        f"The folder {shown(str(data))} cannot be used: {shown(error.strerror or str(error))}.",
        "Give a folder that you may write with --data.",
    )
