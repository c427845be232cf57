# SPDX-License-Identifier: Apache-2.0
"""Every error that leaves modelseal.

    ModelSealError          code, message, hint
    |-- UsageError          the call itself is wrong (exit code 2)
    |-- FormatError         a bundle, manifest or policy that is not what it claims to be (1)
    |-- Unverified          decided: this is not what that signer signed (1)
    |-- PolicyRefused       decided: authentic, but the policy does not accept it (1)
    `-- Undecided           could not tell: network, I/O, no trust root (3); keeps a model out too
        `-- SignInNeeded    could not sign: no identity at hand (4)

Codes are stable, lower-case-with-dashes, and may be relied upon by programs. Messages may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelseal.policy.verdict import Verdict

_TEXT_LIMIT = 200


class ModelSealError(Exception):
    """A refusal: `code` for programs, `message` (one sentence) and `hint` for people."""

    default_hint = "Run the command with --help."

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint or self.default_hint

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class UsageError(ModelSealError):
    """The call is wrong; nothing was looked at."""


class FormatError(ModelSealError):
    """Bytes that are not what they claim to be."""

    default_hint = "The file is damaged or not what its name says; get it again from its author."


class Unverified(ModelSealError):  # noqa: N818 - the design's word, read aloud: "raise Unverified"
    """Decided: not authentic."""

    default_hint = "Do not use this model; get it and its signature again from its author."


class PolicyRefused(ModelSealError):  # noqa: N818 - as above
    """Decided: authentic perhaps, but not accepted; `verdict` has every check."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code, verdict.message, verdict.hint)
        self.verdict = verdict


class Undecided(ModelSealError):  # noqa: N818 - as above
    """Could not decide; the model stays out."""

    default_hint = "Try again when the cause is gone; until then the model stays out."


class SignInNeeded(Undecided):
    """Signing needs an identity and none is at hand."""


def shown(text: str | bytes, limit: int = _TEXT_LIMIT) -> str:
    r"""Return `text` safe for a terminal, a log line and an HTTP body: one line, bounded, escaped.

    Names come from hostile models: a newline would forge a log line, a megabyte would break gRPC
    metadata. Control characters, bidirectional overrides and undecodable bytes are escaped.
    """
    raw = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    if raw.isprintable() and len(raw) <= limit:
        return raw
    cut = raw[: limit + 1]
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in cut
    )
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"
