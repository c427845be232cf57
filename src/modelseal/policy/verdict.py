# SPDX-License-Identifier: Apache-2.0
"""The answer about one model, with every check and its reason."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError, shown
from modelseal.model.bundles import is_folders_bundle
from modelseal.model.diff import ManifestDiff
from modelseal.model.scope import DEFAULT_IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from modelseal.formats.oms import Manifest
    from modelseal.notebook import Colour
    from modelseal.trust.signer import Signer
    from modelseal.verification.authentic import Authentic, Kind, TimeSource

Status = Literal["accepted", "refused", "undecided"]
SCHEMA = 1  # of `Verdict.to_dict`; grows when a key goes or changes its meaning
NOTE = "note"  # the check that says what is unusual about a good signature
NAMED = 3  # signers, or paths, named in a sentence
STAT_CACHE = "stat cache"  # the check that says that files were believed unread
_SAME = ManifestDiff()
_COLOURS: dict[Status, Colour] = {"accepted": "green", "refused": "red", "undecided": "amber"}


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


class Verdict:
    """Accepted, refused or undecided; true only if accepted.

    `code` is stable and for programs ("accepted" or a refusal's); `message` and `hint` are for
    people. `signatures` are those that counted, or those that hold but were not accepted; none when
    no signature holds. `manifest` is what they agree on, with what all of them left out. `trust`
    says what was believed to prove them. `until` is when they stop verifying, if they do.

    With `warned` the policy only warns about this model: it is accepted, and code, message and
    checks are those of the refusal that it would have been.

    Frozen, and no dataclass: to import those takes a tenth of a verification (ADR 15).
    """

    __slots__ = (
        "checks", "code", "diff", "hint", "manifest", "message", "model", "signatures", "status",
        "trust", "until", "warned",
    )  # fmt: skip

    def __init__(
        self,
        status: Status,
        model: str,
        code: str,
        message: str,
        hint: str = "",
        *,
        checks: tuple[Check, ...] = (),
        diff: ManifestDiff = _SAME,
        signatures: tuple[Authentic, ...] = (),
        manifest: Manifest | None = None,
        trust: str = "",
        until: datetime | None = None,
        warned: bool = False,
    ) -> None:
        put = partial(object.__setattr__, self)
        put("status", status)
        put("model", model)
        put("code", code)
        put("message", message)
        put("hint", hint)
        put("checks", checks)
        put("diff", diff)
        put("signatures", signatures)
        put("manifest", manifest)
        put("trust", trust)
        put("until", until)
        put("warned", warned)

    status: Status
    model: str
    code: str
    message: str
    hint: str
    checks: tuple[Check, ...]
    diff: ManifestDiff
    signatures: tuple[Authentic, ...]
    manifest: Manifest | None
    trust: str
    until: datetime | None
    warned: bool

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a verdict is not changed: '{name}'")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a verdict is not changed: '{name}'")

    def replace(self, **changes: Any) -> Verdict:  # noqa: ANN401 - as typed above
        """Return the same with other values for some of the fields."""
        return Verdict(**{**self._fields(), **changes})

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Verdict, **self._fields()), ()

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, Verdict) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.status, self.model, self.code, self.message, self.checks))

    def __bool__(self) -> bool:
        return self.status == "accepted"

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Return who signed, each once, if a signature held."""
        return tuple({one.signer.who: one.signer for one in self.signatures}.values())

    @property
    def signer(self) -> Signer | None:
        """Return who signed, the first of several, if a signature held."""
        return self.signatures[0].signer if self.signatures else None

    @property
    def time(self) -> datetime | None:
        """Return when it was signed (UTC), if the signature held and a trusted party saw it."""
        return self.signatures[0].time if self.signatures else None

    @property
    def time_source(self) -> TimeSource:
        """Return who vouches for `time`: "timestamp", "log", or "" if that is not known."""
        return self.signatures[0].time_source if self.signatures else ""

    @property
    def kind(self) -> Kind | None:
        """Return the kind of signature, if one held."""
        return self.signatures[0].kind if self.signatures else None

    @property
    def log_index(self) -> int | None:
        """Return the index in a transparency log whose entry was checked, if there is one."""
        logged = self.signatures[0].logged if self.signatures else None
        return logged.log_index if logged else None

    @property
    def ignored(self) -> tuple[str, ...]:
        """Return the paths that the signers left out of the signature."""
        return self.manifest.ignored if self.manifest else ()

    @property
    def not_signed(self) -> tuple[str, ...]:
        """Return what the signers chose to leave out beyond what every signer does."""
        return left_out(self.manifest) if self.manifest else ()

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
        return {
            "schema": SCHEMA,
            "model": self.model,
            "verdict": self.status,
            "warned": self.warned,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "checks": [
                {"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks
            ],
            "diff": self.diff.to_dict(),
            "signer": self.signer and _signer_to_dict(self.signer),
            "signers": [_signer_to_dict(signer) for signer in self.signers],
            "time": self.time and self.time.isoformat(),
            "verifies_until": self.until and self.until.isoformat(),
            "kind": self.kind,
            "log_index": self.log_index,
            "trust": self.trust or None,
            "ignored": list(self.ignored),
        }

    def _repr_html_(self) -> str:
        from modelseal import notebook  # noqa: PLC0415 - 2 ms that only notebooks need

        about = [("hint", self.hint), ("trust root", self.trust)]
        if self.time is not None:
            about.insert(0, ("signed at", f"{self.time:%Y-%m-%d %H:%M:%S} UTC"))
        if self.until is not None:
            about.append(("verifies until", f"{self.until:%Y-%m-%d %H:%M:%S} UTC"))
        about += [("not signed", path) for path in self.not_signed]
        checks = (
            ("✓" if check.passed else "✗", notebook.text(check.name), notebook.text(check.detail))
            for check in self.checks
        )
        return notebook.panel(
            "amber" if self.warned else _COLOURS[self.status],
            "ACCEPTED WITH A WARNING" if self.warned else self.status.upper(),
            self.model,
            notebook.paragraph(f"{notebook.text(self.message)} {notebook.code(self.code)}"),
            notebook.table((name, notebook.text(value)) for name, value in about if value),
            self.diff._repr_html_(),
            notebook.table(checks, ("", "check", "what was found")),
        )


def left_out(manifest: Manifest) -> tuple[str, ...]:
    """Return the paths that a signer chose to leave out beyond what every signer does."""
    ignored = manifest.ignored
    return tuple(p for p in ignored if p not in DEFAULT_IGNORED and not is_folders_bundle(p))


def named(signer: Signer) -> str:
    """Return the signer for a sentence."""
    return f"'{shown(signer.subject)}' ({shown(signer.issuer)})"


def listed(paths: Sequence[str]) -> str:
    """Return the first few of `paths` for a sentence."""
    names = ", ".join(f"'{shown(path, 80)}'" for path in paths[:NAMED])
    return names if len(paths) <= NAMED else f"{names} and {len(paths) - NAMED} more"


def _signer_to_dict(signer: Signer) -> dict[str, Any]:
    claims: dict[str, str] = {}
    for name, value in signer.claims:  # a certificate may have several names
        claims[name] = f"{claims[name]}, {value}" if name in claims else value
    return {
        "kind": signer.kind,
        "identity": signer.subject,
        "issuer": signer.issuer,
        "claims": claims,
    }


def from_error(model: str, error: ModelSealError, trust: str = "") -> Verdict:
    """Return the verdict that `error` means for `model`: Undecided is undecided, the rest a no.

    `trust` says what was believed to prove the signature. A UsageError says nothing about a model
    and is raised again.

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
        status, model, error.code, error.message, error.hint, checks=(check,), trust=trust
    )
