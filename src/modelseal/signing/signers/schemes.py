# SPDX-License-Identifier: Apache-2.0
"""What `--key` names: a PEM file, or by the scheme of a URI a key that is held elsewhere.

A package adds a scheme with an entry point in the group `modelseal.keys`: its name is the scheme,
its object an `Opener`. Built-in schemes cannot be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelseal.errors import UsageError, shown
from modelseal.signing.signers.held import HeldKey
from modelseal.trust import private_keys

if TYPE_CHECKING:
    from modelseal.trust.private_keys import PrivateKey

Opener = Callable[[str, bytes | None], HeldKey]  # of the URI and the password or PIN

GROUP = "modelseal.keys"
# Two characters and more, as a drive's letter is no scheme; `./a:b` is a file (RFC 3986 4.2).
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def load(name: str, password: bytes | None = None) -> PrivateKey | HeldKey:
    """Return the private key in the PEM file `name`, or behind the URI `name`.

    Raises:
        UsageError: no such file, scheme or key, or an extra is missing. FormatError: no usable key.
        Undecided: unreadable, unreachable.
    """
    match = _URI.match(name)
    if match is None:
        return private_keys.load_private(Path(name), password)
    scheme = match[1].lower()
    opener = _BUILT_IN.get(scheme) or _installed(scheme)
    return opener(name, password)


def _pkcs11(uri: str, password: bytes | None) -> HeldKey:
    try:
        from modelseal.signing.signers import pkcs11  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("pkcs11") from error
    return pkcs11.open_key(uri, password)


def _awskms(uri: str, password: bytes | None) -> HeldKey:
    if password is not None:
        raise UsageError(
            "bad-options",
            "A key in AWS KMS has no password.",
            "Leave out --password-env; credentials are those of the AWS command line.",
        )
    try:
        from modelseal.signing.signers import kms  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("awskms") from error
    return kms.open_key(uri)


_BUILT_IN: dict[str, Opener] = {"pkcs11": _pkcs11, "awskms": _awskms}


def _installed(scheme: str) -> Opener:
    found = tuple(entry_points(group=GROUP, name=scheme))
    if len(found) == 1:
        return cast("Opener", found[0].load())
    known = ", ".join(sorted({*_BUILT_IN, *(e.name for e in entry_points(group=GROUP))}))
    raise UsageError(
        "bad-key-uri",
        f"The scheme '{shown(scheme, 40)}' of the key is known to "
        f"{'more than one package' if found else 'no package'}.",
        f"Known schemes: {known}. A file of that name is written './NAME'.",
    )


def _missing(extra: str) -> UsageError:
    return UsageError(
        "extra-missing",
        f"Keys of {extra} URIs need packages that are not installed.",
        f"Install them with: pip install 'modelseal[{extra}]'",
    )
