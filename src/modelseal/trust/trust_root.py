# SPDX-License-Identifier: Apache-2.0
"""Which keys and certificates are believed, and where they came from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.arguments import no_empty_values
from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import read_trusted
from modelseal.formats import trusted_root as trusted_root_format
from modelseal.formats.strict import as_kind, member, parse_json, parse_proto
from modelseal.trust.choice import only_one

if TYPE_CHECKING:
    from datetime import datetime

LIMIT = 4 * 1024 * 1024  # bytes; the public trusted root has some 7 kB
_WHAT = "trusted root"


class TrustRoot(NamedTuple):
    """A Sigstore trusted root (protobuf JSON) and, for people, whence it came and how old it is.

    The date of a file means nothing. What tells its age is the newest key in it: whatever the
    instance brought into use or withdrew later, this root does not know. `parsed` is what was read
    of it already.
    """

    json: bytes
    source: str
    parsed: trusted_root_format.TrustedRoot | None = None

    @property
    def newest_key(self) -> datetime | None:
        """Return when the newest key or CA became valid; None if there is none, or unreadable."""
        if self.parsed is None:
            return None
        root = self.parsed
        logs = (*root.logs, *root.ct_logs)
        authorities = (*root.certificate_authorities, *root.timestamp_authorities)
        starts = [log.period.start for log in logs] + [one.period.start for one in authorities]
        return max(starts, default=None)


def from_file(path: Path) -> TrustRoot:
    """Return the trusted root in the file `path`.

    Raises:
        UsageError, FormatError, Undecided: missing, not a trusted root, unreadable.
    """
    return _parsed(read_trusted(path, LIMIT, _WHAT), str(path))


def from_trust_config(path: Path) -> TrustRoot:
    """Return the trusted root inside the client trust config `path`.

    Raises:
        UsageError, FormatError, Undecided: as `from_file`.
    """
    return in_trust_config(read_trusted(path, LIMIT, "trust config"), str(path))


def in_trust_config(data: bytes, source: str) -> TrustRoot:
    """Return the trusted root in the client trust config `data`, which came from `source`.

    Raises:
        FormatError: it is not a trust config, or the root in it is not one.
    """
    what = "trust config"
    obj = as_kind(parse_json(data, what=what, limit=LIMIT), dict, what=what)
    if "trustedRoot" not in obj:
        message = f"'{shown(source)}' is not a Sigstore client trust config."
        raise FormatError("trust-config", message, "A trusted root goes to --trusted-root.")
    inner = member(obj, "trustedRoot", dict, what=what)
    return _parsed(json.dumps(inner).encode(), source)


def from_any_file(path: Path, *, refresh: bool = False) -> TrustRoot:
    """Return the trusted root in the file `path`, be it one or a trust config.

    Raises:
        UsageError: missing, or to be refreshed. FormatError, Undecided: as `from_file`.
    """
    if refresh:
        raise _no_refresh()
    data = read_trusted(path, LIMIT, _WHAT)
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT), dict, what=_WHAT)
    if "trustedRoot" in obj:
        data = json.dumps(member(obj, "trustedRoot", dict, what=_WHAT)).encode()
    return _parsed(data, str(path))


@no_empty_values
def choose(
    *,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    staging: bool = False,
    refresh: bool = False,
) -> TrustRoot:
    """Return the one trust root that was asked for; the public-good instance when none was.

    Offline: what an instance published is taken from the local cache. With `refresh` TUF is asked
    first, and there is no root if it does not answer.

    Raises:
        UsageError: more than one was asked for, or a file is to be refreshed. Undecided: the
            instance is not trusted or does not answer. Otherwise as `from_file`.
    """
    only_one(trusted_root, trust_config, instance, staging or None)
    if refresh:
        if trusted_root is not None or trust_config is not None:
            raise _no_refresh()
        _refresh(instance, staging=staging)
    if trusted_root is not None:
        return from_file(Path(trusted_root))
    if trust_config is not None:
        return from_trust_config(Path(trust_config))
    from modelseal.trust import published  # noqa: PLC0415 - a root in a file needs none of it

    data, source = published.cached_root(instance, staging=staging)
    return _parsed(data, source)


def _refresh(instance: str | None, *, staging: bool) -> None:
    """Have TUF fetch what an instance publishes into the local cache."""
    from modelseal.trust import published  # noqa: PLC0415 - a root in a file needs none of it

    url, name = published.url_of(instance, staging=staging)
    if url in published.PUBLIC_URLS:
        from modelseal.trust import _sigstore as roots  # noqa: PLC0415 - 400 ms, only if asked for

        roots.fetched(instance, staging=staging)
    else:
        from modelseal.trust import _tuf  # noqa: PLC0415 - as above

        _tuf.refresh(url, name)


def _no_refresh() -> UsageError:
    return UsageError(
        "conflicting-trust",
        "A file cannot be refreshed.",
        "Use --refresh with --instance, --staging or the public instance.",
    )


def _parsed(data: bytes, source: str) -> TrustRoot:
    obj = parse_proto(data, what=_WHAT, limit=LIMIT)
    media_type = member(obj, "mediaType", str, what=_WHAT)
    if not media_type.startswith("application/vnd.dev.sigstore.trustedroot"):
        raise FormatError(
            "trust-root",
            f"'{shown(source)}' is not a Sigstore trusted root.",
            "A trust config goes to --trust-config, a trusted root to --trusted-root.",
        )
    try:
        parsed = trusted_root_format.parse(data)
    except FormatError:  # whoever uses the root says what is wrong with it
        parsed = None
    root = TrustRoot(data, source, parsed)
    digest, newest = hashlib.sha256(data).hexdigest()[:12], root.newest_key
    day = "no readable date" if newest is None else f"{newest:%Y-%m-%d}"
    return root._replace(source=f"{source} (sha256 {digest}), newest key of {day}")
