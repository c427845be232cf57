# SPDX-License-Identifier: Apache-2.0
"""The policy as a document, TOML (v1.0) or the same structure as JSON, read strictly.

    version = 1
    default = "deny"
    [trust]
    root = "trusted_root.json"      # relative to this file
    [signers.release]
    identity = "alice@example.com"
    issuer = "https://issuer.example"
    [[rule]]                        # the first that covers a model decides
    models = ["*"]                  # case-sensitive globs over the model's name
    signers = ["release"]

`schema` has every key, docs/policy.md explains them. A key that is not known is an error: a
misspelt rule must not be a rule that is not there.
"""

from __future__ import annotations

import os
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import read_trusted
from modelseal.formats.strict import as_kind, parse_json
from modelseal.policy import schema
from modelseal.policy.patterns import Glob, Regex
from modelseal.policy.reading import HINT, Reader
from modelseal.policy.rules import LogRules, MLServerRules, Policy, Revocation, Rule, StoreRules
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity, AcceptedKey
from modelseal.policy.workflows import ISSUERS, PLATFORMS, Workflow
from modelseal.trust import keys, signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.policy.reading import Place
    from modelseal.policy.signers import AcceptedSigner

    ReadFile = Callable[[Path, int, str], bytes]  # as `files.read_trusted`

LIMIT = 1024 * 1024  # bytes
_PEM = "-----BEGIN "
T = TypeVar("T")
C = TypeVar("C", Rule, Revocation)

# How a signer can be named, and the further keys that go with it.
_PATTERNS: dict[str, Callable[[str], str | Glob | Regex]] = {
    "identity": str,
    "identity_glob": Glob,
    "identity_regex": Regex,
}
_IDENTITY = (*_PATTERNS, *PLATFORMS, "issuer")
_KEY = ("public_key", "logged")
_CERTIFICATE = ("certificate_chain", "certificate_subject", "logged")


def load(path: Path, read: ReadFile = read_trusted) -> Policy:
    """Return the policy in the file `path`; `read` reads it, and each file that it names.

    Raises:
        UsageError, FormatError, Undecided: missing, not a policy, unreadable; also of a file that
            the policy names.
    """
    return from_bytes(read(path, LIMIT, "policy"), path, read)


def from_bytes(data: bytes, path: Path, read: ReadFile = read_trusted) -> Policy:
    """Return the policy in `data`, which was read from the file `path`; otherwise as `load`."""
    # What a policy names lies beside the file itself, not beside a link to it.
    folder = Path(os.path.realpath(path)).parent
    try:
        return parse(data.decode(), folder, read, digest=f"sha256:{sha256(data).hexdigest()}")
    except UnicodeDecodeError as error:
        message = f"'{shown(str(path))}': The policy is not UTF-8."
        raise FormatError("bad-policy", message, HINT) from error
    except (FormatError, UsageError) as error:
        message = f"'{shown(str(path))}': {error.message}"
        raise type(error)(error.code, message, error.hint) from error


def parse(text: str, folder: Path, read: ReadFile = read_trusted, *, digest: str = "") -> Policy:
    """Return the policy in `text`; paths in it are relative to `folder`.

    Raises:
        FormatError: not exactly the document above; the message has the line.
        UsageError, Undecided: a file that the policy names is missing, or cannot be read.
    """
    is_json = text.lstrip()[:1] == "{"  # no TOML begins like that
    document = _parse_json(text) if is_json else _parse_toml(text)
    return _Builder(Reader(text), folder, read).policy(document, digest)


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"The policy is not TOML: {shown(str(error))}."
        raise FormatError("bad-policy", message, HINT) from error


def _parse_json(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = as_kind(
            parse_json(text.encode(), what="policy", limit=LIMIT), dict, what="policy"
        )
    except FormatError as error:
        raise FormatError("bad-policy", error.message, HINT) from error
    return found


class _Builder:
    """Makes the values of the tables of a document."""

    def __init__(self, reader: Reader, folder: Path, read: ReadFile) -> None:
        self._reader = reader
        self._read_file = read
        self._folder = folder

    def policy(self, document: dict[str, Any], digest: str) -> Policy:
        """Return the whole policy.

        Raises:
            FormatError, UsageError, Undecided: see `parse`.
        """
        found = self._reader.table(document, schema.DOCUMENT, ())
        trust = found.get("trust", {})
        self._check_names(found)
        signers = (
            *(self._signer(name, table) for name, table in found.get("signers", {}).items()),
            *(self._publisher(name) for name in found.get("publishers", ())),
        )
        rules, revoked = self._each(Rule, found, "rule"), self._each(Revocation, found, "revoked")
        return self._made(
            (), None, Policy, signers=signers, rules=rules, revoked=revoked,
            mlserver=MLServerRules(**found.get("mlserver", {})),
            trust_root=self._folder / trust["root"] if "root" in trust else None,
            verifier=trust.get("verifier", "modelseal"),
            store=StoreRules(**found.get("store", {})), log=self._log(found.get("log")),
            digest=digest,
            allow_holes=found.get("exec", {}).get("allow_holes", ()),
        )  # fmt: skip

    def _log(self, table: dict[str, Any] | None) -> LogRules | None:
        return (
            None if table is None else LogRules(**{**table, "path": self._folder / table["path"]})
        )

    def _check_names(self, found: dict[str, Any]) -> None:
        known = {**found.get("signers", {}), **dict.fromkeys(found.get("publishers", ()))}
        for number, rule in enumerate(found.get("rule", ())):
            for name in rule["signers"]:
                self._reader.check_name(name, known, ("rule", number), "signers")
        for number, revocation in enumerate(found.get("revoked", ())):
            if "signer" in revocation:
                self._reader.check_name(revocation["signer"], known, ("revoked", number), "signer")

    def _each(self, kind: Callable[..., C], found: dict[str, Any], name: str) -> tuple[C, ...]:
        values = tuple(kind(**table) for table in found.get(name, ()))
        for number, value in enumerate(values):
            self._made((name, number), None, value.check)
        return values

    def _publisher(self, name: str) -> AcceptedSigner:
        from modelseal.policy import publishers  # noqa: PLC0415 - only for policies that name some

        return self._made((), "publishers", publishers.accepted, name)

    def _signer(self, name: str, table: dict[str, Any]) -> AcceptedSigner:
        place = ("signers", name)
        allowed = next(
            (
                keys
                for first, keys in (("public_key", _KEY), ("certificate_chain", _CERTIFICATE))
                if first in table
            ),
            _IDENTITY,
        )
        for key in table:
            if key not in allowed:
                message = f"The policy has '{key}' beside '{allowed[0]}', where it means nothing"
                raise self._reader.error(place, key, message)
        logged = table.get("logged", True)
        if allowed is _KEY:
            public = self._read(place, "public_key", table, signature.load_pem)
            return AcceptedKey(name, public, logged)
        if allowed is _CERTIFICATE:
            roots = self._read(place, "certificate_chain", table, keys.parse_certificates)
            return AcceptedAuthority(name, roots, table.get("certificate_subject"), logged)
        return self._identity(name, table, place)

    def _identity(self, name: str, table: dict[str, Any], place: Place) -> AcceptedIdentity:
        for several in (_PATTERNS, PLATFORMS):
            given = [key for key in several if key in table]
            if len(given) > 1:
                message = f"The policy has '{given[1]}' beside '{given[0]}': give one of them"
                raise self._reader.error(place, given[1], message)
        platform = next((key for key in PLATFORMS if key in table), None)
        workflow, issuer = None, table.get("issuer", "")
        if platform is not None:
            issuer = issuer or ISSUERS[platform]
            run = table[platform]
            workflow = self._made(place, platform, Workflow, platform=platform, **run)
        named_by = next((key for key in _PATTERNS if key in table), None)
        identity: str | Glob | Regex | None = None
        if named_by is not None:
            identity = self._made(place, named_by, _PATTERNS[named_by], table[named_by])
        if identity is None and workflow is None:
            kinds = ", ".join((*_PATTERNS, *PLATFORMS, "public_key, certificate_chain"))
            raise self._reader.error(place, None, f"[signers.{shown(name)}] has none of {kinds}")
        if not issuer:
            raise self._reader.error(place, None, f"[signers.{shown(name)}] has no 'issuer'")
        signer = AcceptedIdentity(name, identity, issuer, workflow)
        self._made(place, named_by, signer.check)
        return signer

    def _read(
        self, place: Place, key: str, table: dict[str, Any], parse: Callable[[bytes], T]
    ) -> T:
        """Return what is in the PEM text, or in the file that is named.

        Raises:
            FormatError: no such thing is in it. UsageError, Undecided: no such file, or unreadable.
        """
        value: str = table[key]
        pem = value.encode()
        if not value.lstrip().startswith(_PEM):
            pem = self._read_file(self._folder / value, keys.LIMIT, key.replace("_", " "))
        try:
            return parse(pem)
        except FormatError as error:
            message = f"The '{key}' of '{shown(str(place[-1]))}': {error.message.removesuffix('.')}"
            raise self._reader.error(place, key, message, error.hint) from error

    def _made(
        self,
        place: Place,
        key: str | None,
        make: Callable[..., T],
        /,
        *values: object,
        **named: object,
    ) -> T:
        """Return what `make` makes of the values of `key`, whose own checks name no line.

        Raises:
            FormatError: they do not go together.
        """
        try:
            return make(*values, **named)
        except UsageError as error:
            message = error.message.removesuffix(".")
            raise self._reader.error(place, key, message, f"{error.hint} {HINT}") from error
