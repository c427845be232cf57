# SPDX-License-Identifier: Apache-2.0
"""Every key of the policy document: what it may be and what it means.

The reader (`document`), the published JSON Schema (docs/schema/policy.json) and the reference in
docs/policy.md all follow these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modelseal.model.content import FORMATS
from modelseal.policy.rules import (
    MODES,
    ON_REFUSED_RELOAD,
    ON_REVOKED,
    ROLLBACK,
    SYMLINKS,
)
from modelseal.verification.believed import CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "text", "texts", "text or texts", "integer", "boolean", "moment", "duration",
    "size", "table", "tables", "named tables",
]  # fmt: skip

VERSION = 1
DURATION = r"[1-9][0-9]{0,7}[shdw]"
SIZE = r"[1-9][0-9]{0,14}(B|kB|MB|GB|TB)"
DIGEST = r"(sha256|sha384|sha512|blake2b|blake3):[0-9a-f]{64,128}"
FINGERPRINT = r"sha256:[0-9a-f]{64}"


@dataclass(frozen=True)
class Key:
    """One key of a table: its kind, what it means, and what its value may be.

    `table` has the keys of a table or of tables. `pattern` is over the whole of a text.
    """

    kind: Kind
    meaning: str
    required: bool = False
    choices: tuple[str | int, ...] = ()
    pattern: str = ""
    table: Mapping[str, Key] | None = None


_RUN: dict[str, Key] = {
    "repository": Key(
        "text", "The repository, `owner/name`, or its URL. No wildcards.", required=True
    ),
    "workflow": Key("text", "The file of the workflow that was started.", required=True),
    "ref": Key(
        "text or texts",
        "Globs below `refs/heads/` or `refs/tags/`, or exact references.",
        required=True,
    ),
    "trigger": Key("text or texts", "What started the run, such as `push`."),
    "runner_environment": Key(
        "text or texts", "Where it ran, such as `github-hosted` or `gitlab-hosted`."
    ),
    "environment": Key("text or texts", "The deployment environment of the job."),
    "visibility": Key("text or texts", "`public`, `internal` or `private`."),
    "repository_id": Key(
        "text or texts", "The number of the repository, which nobody else gets when it is deleted."
    ),
    "owner_id": Key("text or texts", "The number of its owner, as above."),
}

SIGNER: dict[str, Key] = {
    "identity": Key("text", "An e-mail address or URI, compared exactly."),
    "identity_glob": Key(
        "text", "`*` is any text without `/` and `@`, `**` without `@`. Literal up to the owner."
    ),
    "identity_regex": Key("text", "RE2 syntax, over the whole identity. Literal up to the owner."),
    "issuer": Key(
        "text", "The OIDC issuer, compared exactly. With `github` or `gitlab` the public one."
    ),
    "github": Key("table", "A GitHub Actions workflow.", table=_RUN),
    "gitlab": Key("table", "A GitLab CI pipeline.", table=_RUN),
    "public_key": Key("text", "A PEM file, relative to the policy, or the PEM text itself."),
    "certificate_chain": Key(
        "text", "The CA certificates that may vouch for the signer: a PEM file, or PEM text."
    ),
    "certificate_subject": Key(
        "text", "Whose certificate: its subject (RFC 4514) or an alternative name."
    ),
    "logged": Key(
        "boolean",
        "`false`: signatures by this key or CA are in no log. Else they must be if the trusted "
        "root names logs.",
    ),
}

RULE: dict[str, Key] = {
    "models": Key(
        "texts", "Globs over the names of models; case matters on every system.", required=True
    ),
    "signers": Key("texts", "The names of accepted signers.", required=True),
    "threshold": Key("integer", "How many of them must have signed the same files. Default: 1."),
    "allow_ignored": Key("texts", "Globs over paths that signers may have left out."),
    "ignore_unsigned": Key(
        "texts", "Patterns of files that may be there unsigned. They are never loaded."
    ),
    "symlinks": Key(
        "text",
        "`signed`: links are followed if the signature says so. `deny`, `allow`: whatever it says.",
        choices=SYMLINKS,
    ),
    "formats": Key("texts", "What the contents of each file may be.", choices=FORMATS),
    "max_age": Key(
        "duration", "How long ago the model may have been signed: `90d`, `12h`.", pattern=DURATION
    ),
    "not_before": Key("moment", "The model was signed at this time or later."),
    "not_after": Key("moment", "The model was signed at this time or earlier."),
    "digests": Key("texts", "The accepted versions, by root digest.", pattern=DIGEST),
    "rollback": Key(
        "text",
        "`deny`: no version signed before the newest that was accepted under this name.",
        choices=ROLLBACK,
    ),
    "mode": Key(
        "text", "`warn`: accept what the rule refuses, and report it loudly.", choices=MODES
    ),
}

REVOKED: dict[str, Key] = {
    "reason": Key("text", "Why, for whoever is refused.", required=True),
    "digest": Key("text", "A version, or a file in any version.", pattern=DIGEST),
    "signer": Key("text", "The name of a signer."),
    "identity": Key("text", "The exact subject of signatures."),
    "key": Key("text", "The fingerprint of a public key.", pattern=FINGERPRINT),
    "log_index": Key("integer", "The index of a signature in the transparency log."),
    "not_before": Key("moment", "Signed at this time or later."),
    "not_after": Key("moment", "Signed at this time or earlier."),
}

STORE: dict[str, Key] = {
    "keep_days": Key(
        "integer", "Remove copies that no process uses and nobody asked for in so many days."
    ),
    "max_size": Key(
        "size",
        "What all copies may take on the disk: `200GB`. The least recently used go first, those in "
        "use never.",
        pattern=SIZE,
    ),
    "verify": Key("boolean", "Hash a copy again before it is used. Default: `false`."),
}

LOG: dict[str, Key] = {
    "path": Key("text", "The file of decisions, relative to the policy.", required=True),
    "keep_days": Key("integer", "How long decisions are kept. Default: 184, six months."),
}

MLSERVER: dict[str, Key] = {
    "runtimes": Key("texts", "The runtimes that signed settings may name."),
    "model_code": Key(
        "texts",
        "Globs over the names of models that may bring a runtime in their signed folder. Whoever "
        "signs such a model runs code in the server.",
    ),
    "on_revoked": Key(
        "text",
        "A loaded model that the policy no longer accepts: `unload` it (default), or only "
        "`report` it.",
        choices=ON_REVOKED,
    ),
    "on_refused_reload": Key(
        "text",
        "When the reload of a loaded model is refused: `keep` the accepted copy (default), or "
        "`unload` it.",
        choices=ON_REFUSED_RELOAD,
    ),
}

DOCUMENT: dict[str, Key] = {
    "version": Key("integer", "The version of this format.", required=True, choices=(VERSION,)),
    "default": Key(
        "text", "What holds for a model without a rule.", required=True, choices=("deny",)
    ),
    "trust": Key(
        "table",
        "What vouches for identities, times and logs.",
        table={
            "root": Key("text", "The trusted root, a file relative to the policy."),
            "verifier": Key("text", "Whose checks of signatures count.", choices=CHECKS),
        },
    ),
    "publishers": Key(
        "texts",
        "Known publishers (`modelseal publishers list`), which rules may name among their signers.",
    ),
    "signers": Key("named tables", "The accepted signers, by a name of your choice.", table=SIGNER),
    "rule": Key("tables", "The rules; the first that covers a model decides.", table=RULE),
    "revoked": Key("tables", "What no longer counts.", table=REVOKED),
    "store": Key("table", "The copies that servers load from.", table=STORE),
    "log": Key("table", "Where each decision of a server is written down.", table=LOG),
    "mlserver": Key(
        "table",
        "For MLServer.",
        table=MLSERVER,
    ),
    "exec": Key(
        "table",
        "For `modelseal exec`.",
        table={
            "allow_holes": Key(
                "texts",
                "Known holes of servers that a command may open, by name (docs/servers.md).",
                required=True,
            )
        },
    ),
}


def to_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document, in TOML or JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "modelseal policy",
        "description": "Which signers an operator accepts for which models.",
        **_object(DOCUMENT),
    }


def _object(table: Mapping[str, Key]) -> dict[str, Any]:
    required = [name for name, key in table.items() if key.required]
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: _value(key) for name, key in table.items()},
        "additionalProperties": False,
    }
    return {**found, "required": required} if required else found


def _value(key: Key) -> dict[str, Any]:
    return {"description": key.meaning.replace("`", ""), **_type(key)}


def _type(key: Key) -> dict[str, Any]:
    table = _object(key.table or {})
    types: dict[str, dict[str, Any]] = {
        "text": _text(key),
        "texts": _list(_text(key)),
        "text or texts": {"anyOf": [_text(key), _list(_text(key))]},
        "integer": {"enum": list(key.choices)}
        if key.choices
        else {"type": "integer", "minimum": 0},
        "boolean": {"type": "boolean"},
        # TOML has dates and times of its own; JSON has them as text.
        "moment": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"},
        "duration": _text(key),
        "size": _text(key),
        "table": table,
        "tables": {"type": "array", "items": table},
        "named tables": {"type": "object", "additionalProperties": table},
    }
    return types[key.kind]


def _text(key: Key) -> dict[str, Any]:
    if key.choices:
        return {"enum": list(key.choices)}
    if key.pattern:
        return {"type": "string", "pattern": f"^(?:{key.pattern})$"}
    return {"type": "string", "minLength": 1}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}
