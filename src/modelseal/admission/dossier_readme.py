# SPDX-License-Identifier: Apache-2.0
"""The README of the evidence about a model: the commands that check it.

Names in it are anybody's. Each is quoted, so that a command that is copied does what it looks like.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import shown
from modelseal.formats import oms
from modelseal.policy.signers import AcceptedKey
from modelseal.trust import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.verification.authentic import Authentic

_START = """\
# Evidence about the model `{name}`

Written by `modelseal evidence`. All of it can be checked without a network, and without the machine
that it comes from.

The verdict of the policy, on {time}: **{status}**. {message}

## The files here

Nothing in this folder was changed since:

```sh
sha256sum --check SHA256SUMS
```

## The model, with modelseal

The signature, the policy, and every byte of the model. `MODEL` is the path of a copy of it, whose
last part is its name.

```sh
modelseal verify MODEL --policy policy-complete.toml{bundle}
```
"""
_SUMS = """
## The bytes of the model, with coreutils

`HERE` is the path of this folder.

```sh
cd MODEL && sha256sum --check HERE/model.sha256
```
"""
_COSIGN = """
## The signature{which}, with cosign

```sh
cosign {command}
```
"""
_SIGSTORE = """
## The signature{which}, with sigstore-python

It checks the signature, the certificate, the log and the time, and prints what was signed.

```python
from pathlib import Path

from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

bundle = Bundle.from_json(Path({bundle!r}).read_bytes())
verifier = Verifier(trusted_root=TrustedRoot.from_file("trusted_root.json"))
signer = Identity(identity={identity!r}, issuer={issuer!r})
print(verifier.verify_dsse(bundle, signer)[1].decode())
```
"""
_LOG = """
## The decisions

{lines} lines of the log of decisions are about this model: `decisions.jsonl`. In a line,
`policy_digest` is the SHA-256 of the policy that decided (today's is `policy.toml`), `root_digest`
names the version of the model (`manifest.json`), and `previous` is the SHA-256 of the line before,
without its end. `log.json` says whether the whole log was as it was written. Its operator verifies
it with:

```sh
modelseal log verify FILE
```
"""


class Contents(NamedTuple):
    """What the README is about: bundles, whether there are sums, and lines of the log."""

    bundles: tuple[str, ...]
    has_sums: bool
    decisions: int | None


def key_file(signer: str) -> str:
    """Return the path in the evidence of the public key of an accepted signer."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in signer)
    return f"signers/{plain[:100]}.pub"


def readme(verdict: Verdict, policy: Policy, contents: Contents) -> str:
    """Return the text."""
    only = f" --bundle {shlex.quote(contents.bundles[0])}" if len(contents.bundles) == 1 else ""
    name, now = shown(verdict.model).replace("`", "'"), datetime.now(UTC)
    return "".join((
        _START.format(
            name=name, time=f"{now:%Y-%m-%d %H:%M} UTC",
            status=verdict.status, message=verdict.message, bundle=only,
        ),
        _SUMS if contents.has_sums else "",
        *_peers(verdict, policy, contents),
        "" if contents.decisions is None else _LOG.format(lines=contents.decisions),
    ))  # fmt: skip


def _peers(verdict: Verdict, policy: Policy, contents: Contents) -> Iterator[str]:
    """Yield how other tools check each signature that counted."""
    paths = {path.removeprefix("bundles/"): path for path in contents.bundles}
    for number, one in enumerate(verdict.signatures, 1):
        bundle = paths.get(one.bundle)
        if bundle is None:
            continue
        which = f" {number}" if len(verdict.signatures) > 1 else ""
        signer = _cosign_signer(one, policy)
        if signer is not None:
            words = [*_cosign_kind(one), "--bundle", bundle, *signer]
            words += ["MODEL"] if one.kind == "artifact" else []
            yield _COSIGN.format(which=which, command=" ".join(map(shlex.quote, words)))
        if one.signer.kind == "identity" and one.kind == "oms":
            yield _SIGSTORE.format(
                which=which, bundle=bundle, identity=one.signer.subject, issuer=one.signer.issuer
            )


def _cosign_kind(one: Authentic) -> list[str]:
    if one.kind == "artifact":
        return ["verify-blob"]
    root = one.manifest.root().hex()
    options = ["--type", oms.PREDICATE_TYPE, "--digest", root, "--digestAlg", "sha256"]
    return ["verify-blob-attestation", *options]


def _cosign_signer(one: Authentic, policy: Policy) -> list[str] | None:
    """Return the options that say who must have signed; None if cosign has none for that."""
    if one.signer.kind == "identity":
        return [
            "--trusted-root", "trusted_root.json", "--certificate-identity", one.signer.subject,
            "--certificate-oidc-issuer", one.signer.issuer,
        ]  # fmt: skip
    log = ["--trusted-root", "trusted_root.json"] if one.logged else ["--insecure-ignore-tlog"]
    for accepted in policy.signers:
        if isinstance(accepted, AcceptedKey) and _fingerprint(accepted) == one.signer.subject:
            return ["--key", key_file(accepted.name), *log]
    return None


def _fingerprint(accepted: AcceptedKey) -> str:
    return f"sha256:{keys.hints(accepted.key)[0]}"
