# SPDX-License-Identifier: Apache-2.0
"""The services to sign with: trust configs by TUF, or from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigstore.errors import Error, TUFError
from sigstore.models import ClientTrustConfig

from modelseal.errors import FormatError, shown
from modelseal.files import read_trusted
from modelseal.trust import _tuf, instances, published

if TYPE_CHECKING:
    from modelseal.trust.choice import Trust

_CONFIG_LIMIT = 4 * 1024 * 1024  # bytes


def services(trust: Trust) -> ClientTrustConfig:
    """Return the services to sign with, which `trust` names; an instance's come by TUF.

    Raises:
        UsageError, FormatError, Undecided: no such file, no trust config, instance unreachable.
    """
    path = trust.services_file()
    if path is not None:
        return in_trust_config(read_trusted(path, _CONFIG_LIMIT, "trust config"), str(path))
    return fetched(trust.instance, staging=trust.staging)


def fetched(instance: str | None = None, *, staging: bool = False) -> ClientTrustConfig:
    """Return the services that an instance, by default the public one, publishes by TUF.

    Raises:
        UsageError, FormatError, Undecided: not trusted, unreachable, or not a trust config.
    """
    url, name = published.url_of(instance, staging=staging)
    where = published.folders(url)
    if not published.is_trusted(url):
        raise published.not_trusted(name)
    try:
        with instances.locked(url):
            return ClientTrustConfig.from_tuf(url)
    except (TUFError, OSError) as error:
        cause = error.__cause__ if isinstance(error, TUFError) else error
        raise _tuf.error_of(cause or error, name, where) from error
    except (ValueError, Error) as error:
        message = f"What {name} publishes is no trust config: {shown(str(error))}."
        raise FormatError("trust-config", message, "Tell its operator.") from error


def in_trust_config(data: bytes, source: str) -> ClientTrustConfig:
    """Return the client trust config in `data`, which came from `source`.

    Raises:
        FormatError: it is not one ("trust-config").
    """
    try:
        return ClientTrustConfig.from_json(data.decode())
    except (ValueError, Error) as error:
        message = f"'{shown(source)}' is not a Sigstore client trust config."
        hint = "Make one with: modelseal instance trust-config --data DIR --out FILE"
        raise FormatError("trust-config", message, hint) from error
