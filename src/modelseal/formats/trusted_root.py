# SPDX-License-Identifier: Apache-2.0
"""The Sigstore trusted root: whose keys and certificates are believed, and for which times.

Source: sigstore/protobuf-specs, protos/sigstore_trustroot.proto, in the JSON mapping of Protocol
Buffers. Unknown members are ignored: roots outlive the clients that read them, and a member can
only name more that is trusted, never less of what is read here.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.formats.strict import (
    as_kind,
    b64encode,
    member,
    optional,
    parse_proto,
    proto_bytes,
)

LIMIT = 4 * 1024 * 1024  # bytes; the public trusted root has some 7 kB
MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)

_WHAT = "trusted root"
_MAX_ITEMS = 256
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")  # RFC 3339
_MICROSECONDS = 6


class Period(NamedTuple):
    """A closed interval of time; without an `end` it lasts (`TimeRange` of common.proto)."""

    start: datetime
    end: datetime | None = None

    def covers(self, time: datetime) -> bool:
        """Return whether `time` is in it; its ends are."""
        return self.start <= time and (self.end is None or time <= self.end)


class LogKey(NamedTuple):
    """The key of a transparency log, of signatures or of certificates.

    Its checkpoints name it by the start of `checkpoint_id`; without one by that of `log_id`.
    """

    base_url: str
    log_id: bytes
    key: bytes
    key_details: str
    period: Period
    checkpoint_id: bytes | None = None


class Authority(NamedTuple):
    """A chain of DER certificates, leaf or intermediate first, root last."""

    uri: str
    chain: tuple[bytes, ...]
    period: Period


class TrustedRoot(NamedTuple):
    """What one instance of Sigstore asks to be believed."""

    logs: tuple[LogKey, ...] = ()
    ct_logs: tuple[LogKey, ...] = ()
    certificate_authorities: tuple[Authority, ...] = ()
    timestamp_authorities: tuple[Authority, ...] = ()


def parse(data: bytes) -> TrustedRoot:
    """Return the trusted root in `data`.

    Raises:
        FormatError: too large, not JSON, another media type, or a member of the wrong shape.
    """
    obj = parse_proto(data, what=_WHAT, limit=LIMIT)
    if member(obj, "mediaType", str, what=_WHAT) not in MEDIA_TYPES:
        raise FormatError(
            "trust-root",
            "This is not a Sigstore trusted root of a known version.",
            "A trust config goes to --trust-config, a trusted root to --trusted-root.",
        )
    return TrustedRoot(
        logs=tuple(_log(item, "tlogs") for item in _items(obj, "tlogs")),
        ct_logs=tuple(_log(item, "ctlogs") for item in _items(obj, "ctlogs")),
        certificate_authorities=_authorities(obj, "certificateAuthorities"),
        timestamp_authorities=_authorities(obj, "timestampAuthorities"),
    )


def _items(obj: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = optional(obj, name, list, what=_WHAT) or []
    if len(items) > _MAX_ITEMS:
        raise FormatError("too-many", f"The {_WHAT} has more than {_MAX_ITEMS} {name}.")
    return [as_kind(item, dict, what=name) for item in items]


def _bytes(obj: dict[str, Any], name: str, what: str) -> bytes:
    return proto_bytes(member(obj, name, str, what=what), what=f"{name} of the {what}")


def _log(obj: dict[str, Any], what: str) -> LogKey:
    if member(obj, "hashAlgorithm", str, what=what) != "SHA2_256":
        raise FormatError("trust-root", "A log of the trusted root does not use SHA-256.")
    key = member(obj, "publicKey", dict, what=what)
    checkpoint = optional(obj, "checkpointKeyId", dict, what=what)
    return LogKey(
        base_url=optional(obj, "baseUrl", str, what=what) or "",
        log_id=_bytes(member(obj, "logId", dict, what=what), "keyId", what),
        key=_bytes(key, "rawBytes", what),
        key_details=member(key, "keyDetails", str, what=what),
        period=_period(member(key, "validFor", dict, what=what), what),
        checkpoint_id=_bytes(checkpoint, "keyId", what) if checkpoint else None,
    )


def _authorities(obj: dict[str, Any], name: str) -> tuple[Authority, ...]:
    return tuple(_authority(item, name) for item in _items(obj, name))


def _authority(obj: dict[str, Any], what: str) -> Authority:
    chain = optional(obj, "certChain", dict, what=what) or {}
    return Authority(
        uri=optional(obj, "uri", str, what=what) or "",
        chain=tuple(_bytes(item, "rawBytes", what) for item in _items(chain, "certificates")),
        period=_period(member(obj, "validFor", dict, what=what), what),
    )


def _period(obj: dict[str, Any], what: str) -> Period:
    end = optional(obj, "end", str, what=what)
    start = _time(member(obj, "start", str, what=what))
    return Period(start, None if end is None else _time(end))


def _time(text: str) -> datetime:
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError  # noqa: TRY301 - one message for both ways to be no time
        fraction = match[1] or ""
        # Python keeps microseconds; a nanosecond more or less is no difference to a validity
        cut = text.replace(fraction, fraction[: 1 + _MICROSECONDS], 1) if fraction else text
        return datetime.fromisoformat(cut).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"'{shown(text, 40)}' in the trusted root is not a time of RFC 3339."
        raise FormatError("trust-root", message) from error


def to_bytes(root: TrustedRoot) -> bytes:
    """Return the JSON of `root`; `parse` reads it back as the same value."""
    obj = {
        "mediaType": MEDIA_TYPES[0],
        "tlogs": [_log_dict(log) for log in root.logs],
        "certificateAuthorities": [_authority_dict(a) for a in root.certificate_authorities],
        "ctlogs": [_log_dict(log) for log in root.ct_logs],
        "timestampAuthorities": [_authority_dict(a) for a in root.timestamp_authorities],
    }
    return json.dumps(obj).encode()


def _log_dict(log: LogKey) -> dict[str, Any]:
    obj = {
        "baseUrl": log.base_url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(log.key),
            "keyDetails": log.key_details,
            "validFor": _period_dict(log.period),
        },
        "logId": {"keyId": b64encode(log.log_id)},
    }
    if log.checkpoint_id is not None:
        obj["checkpointKeyId"] = {"keyId": b64encode(log.checkpoint_id)}
    return obj


def _authority_dict(authority: Authority) -> dict[str, Any]:
    return {
        "uri": authority.uri,
        "certChain": {"certificates": [{"rawBytes": b64encode(c)} for c in authority.chain]},
        "validFor": _period_dict(authority.period),
    }


def _period_dict(period: Period) -> dict[str, str]:
    times = {"start": period.start} | ({} if period.end is None else {"end": period.end})
    return {name: time.isoformat().replace("+00:00", "Z") for name, time in times.items()}
