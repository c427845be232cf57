# SPDX-License-Identifier: Apache-2.0
"""Which keys and certificates are believed, and where they came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import read_bounded
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.seal import published

LIMIT = 4 * 1024 * 1024  # bytes; the public trusted root has some 7 kB
_WHAT = "trusted root"


@dataclass(frozen=True)
class TrustRoot:
    """A Sigstore trusted root (protobuf JSON) and, for people, where it came from."""

    json: bytes
    source: str


def from_file(path: Path) -> TrustRoot:
    """Return the trusted root in the file `path`.

    Raises:
        UsageError, FormatError, Undecided: missing, not a trusted root, unreadable.
    """
    return _parsed(read_bounded(path, LIMIT, _WHAT), str(path))


def from_trust_config(path: Path) -> TrustRoot:
    """Return the trusted root inside the client trust config `path`.

    Raises:
        UsageError, FormatError, Undecided: as `from_file`.
    """
    what = "trust config"
    data = parse_json(read_bounded(path, LIMIT, what), what=what, limit=LIMIT)
    inner = member(as_kind(data, dict, what=what), "trustedRoot", dict, what=what)
    return _parsed(json.dumps(inner).encode(), str(path))


def choose(
    *,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    staging: bool = False,
) -> TrustRoot:
    """Return the one trust root that was asked for; the public-good instance when none was.

    Offline: what an instance published is taken from the local cache.

    Raises:
        UsageError: more than one was asked for; otherwise as `from_file`.
    """
    only_one(trusted_root, trust_config, instance, staging or None)
    if trusted_root is not None:
        return from_file(Path(trusted_root))
    if trust_config is not None:
        return from_trust_config(Path(trust_config))
    data, source = published.cached_root(instance, staging=staging)
    return _parsed(data, source)


def only_one(*options: object) -> None:
    """Check that at most one of `options` is given.

    Raises:
        UsageError: more than one.
    """
    if sum(option is not None for option in options) > 1:
        raise UsageError(
            "conflicting-trust",
            "More than one source of trust was given.",
            "Use one of --trusted-root, --trust-config, --instance and --staging.",
        )


def _parsed(data: bytes, source: str) -> TrustRoot:
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT), dict, what=_WHAT)
    media_type = member(obj, "mediaType", str, what=_WHAT)
    if not media_type.startswith("application/vnd.dev.sigstore.trustedroot"):
        raise FormatError(
            "trust-root",
            f"'{shown(source)}' is not a Sigstore trusted root.",
            "A trust config goes to --trust-config, a trusted root to --trusted-root.",
        )
    return TrustRoot(data, f"{source} (sha256 {hashlib.sha256(data).hexdigest()[:12]})")
