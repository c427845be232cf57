# SPDX-License-Identifier: Apache-2.0
"""The answer about one model, with every check and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError, shown
from modelseal.model.diff import ManifestDiff
from modelseal.model.scope import BUNDLE_NAMES, DEFAULT_IGNORED

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.trust.signer import Signer
    from modelseal.verification.authenticate import Authenticated

Status = Literal["accepted", "refused", "undecided"]
_COLOURS = {"accepted": "#1a7f37", "refused": "#cf222e", "undecided": "#9a6700"}
NOTE = "note"  # the check that says what is unusual about a good signature
STAT_CACHE = "stat cache"  # the check that says that files were believed unread


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


class Verdict(NamedTuple):
    """Accepted, refused or undecided; true only if accepted.

    `code` is stable and for programs ("accepted" or a refusal's); `message` and `hint` are for
    people. `authenticated` is None when the signature itself did not hold; `believed` is then the
    trust root that was to prove it.
    """

    status: Status
    model: str
    code: str
    message: str
    hint: str = ""
    checks: tuple[Check, ...] = ()
    diff: ManifestDiff = ManifestDiff()
    authenticated: Authenticated | None = None
    believed: str = ""

    @property
    def trust(self) -> str:
        """Return which trust root was believed, and how old it is."""
        return self.authenticated.trust if self.authenticated else self.believed

    def __bool__(self) -> bool:
        return self.status == "accepted"

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    @property
    def signer(self) -> Signer | None:
        """Return who signed, if the signature held."""
        return self.authenticated.signer if self.authenticated else None

    @property
    def time(self) -> datetime | None:
        """Return when it was signed (UTC), if the signature held."""
        return self.authenticated.time if self.authenticated else None

    @property
    def not_signed(self) -> tuple[str, ...]:
        """Return what the signer chose to leave out beyond what every signer does."""
        return left_out(self.authenticated) if self.authenticated else ()

    def raise_for_refusal(self) -> None:
        """Do nothing if accepted.

        Raises:
            PolicyRefused: refused. Undecided: could not tell.
        """
        if self.status == "undecided":
            raise Undecided(self.code, self.message, self.hint)
        if self.status == "refused":
            raise PolicyRefused(self)

    def __str__(self) -> str:
        return f"{self.status}: {shown(self.model)}: {self.message} [{self.code}]"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the same that the command line prints."""
        found = self.authenticated
        return {
            "model": self.model,
            "verdict": self.status,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "checks": [
                {"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks
            ],
            "diff": self.diff.to_dict(),
            "signer": found
            and {
                "identity": found.signer.subject,
                "issuer": found.signer.issuer,
                "claims": dict(found.signer.claims),
            },
            "time": found and found.time and found.time.isoformat(),
            "kind": found and found.kind,
            "log_index": found and found.log_index,
            "trust": self.trust or None,
            "ignored": list(found.manifest.ignored) if found else [],
        }

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'✓' if c.passed else '✗'}</td><td>{_html(c.name)}</td>"
            f"<td>{_html(c.detail)}</td></tr>"
            for c in self.checks
        )
        hint = f"<p><em>{_html(self.hint)}</em></p>" if self.hint else ""
        hint += f"<p>trust root: {_html(self.trust)}</p>" if self.trust else ""
        hint += "".join(f"<p>not signed: <code>{_html(p)}</code></p>" for p in self.not_signed)
        return (
            f'<div style="border-left:4px solid {_COLOURS[self.status]};padding-left:10px">'
            f'<p><b style="color:{_COLOURS[self.status]}">{self.status.upper()}</b> '
            f"<code>{_html(self.model)}</code><br>{_html(self.message)} "
            f"<code>{_html(self.code)}</code></p>{hint}{self.diff._repr_html_()}<table>{rows}</table></div>"
        )


def left_out(found: Authenticated) -> tuple[str, ...]:
    """Return the paths that the signer chose to leave out beyond what every signer does."""
    known = DEFAULT_IGNORED | BUNDLE_NAMES
    return tuple(path for path in found.manifest.ignored if path not in known)


def _html(text: str) -> str:
    from html import escape  # noqa: PLC0415 - 2 ms that only notebooks need

    return escape(shown(text, 500))


def from_error(model: str, error: ModelSealError, believed: str = "") -> Verdict:
    """Return the verdict that `error` means for `model`: Undecided is undecided, the rest a no.

    `believed` says which trust root was to prove the signature.

    A UsageError says nothing about a model and is raised again.

    Raises:
        UsageError: if `error` is one.
    """
    if isinstance(error, UsageError):
        raise error
    if isinstance(error, PolicyRefused):
        return error.verdict
    status: Status = "undecided" if isinstance(error, Undecided) else "refused"
    check = Check(name="signature", passed=False, detail=error.message)
    return Verdict(
        status, model, error.code, error.message, error.hint, (check,), believed=believed
    )
