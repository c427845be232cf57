# SPDX-License-Identifier: Apache-2.0
"""A commented policy for exactly the signers of one model, for an operator to go on from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelseal.errors import shown
from modelseal.policy.printed import run_table, signer_table, to_toml_table
from modelseal.policy.workflows import of_claims

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelseal.policy.rules import Policy
    from modelseal.policy.signers import AcceptedSigner
    from modelseal.trust.signer import Signer
    from modelseal.verification.authentic import Authentic

_HEAD = """\
# Accepts {models} by {whom}, and nothing else.
#
# Written by `modelseal policy init` from signatures that were verified:
{signatures}#
# When a signer is another or has a new key, the model is refused, and the message names the ones
# below. Ask them on another channel before you put a new one here. All keys: docs/policy.md

version = 1
default = "deny"
"""
_NO_ROOT = """
# [trust]
# root = "trusted_root.json"    # whose logs and timestamps say when it was signed
"""
_MORE = """\
# max_age = "180d"                        # signed at most so long ago, by a trusted time
# rollback = "deny"                       # never a version signed before one that was accepted
# formats = ["safetensors", "json"]       # what the contents of files may be
# ignore_unsigned = [".DS_Store"]         # files that may be there unsigned; they are not loaded
# mode = "warn"                           # accept what is refused, and say so; for a trial

# [[revoked]]                             # what no longer counts, whatever the rules say
# digest = "sha256:..."
# reason = "..."
"""


def template(policy: Policy, signatures: Sequence[Authentic], model: str, root: str | None) -> str:
    """Return the document of `policy`, whose one rule is about `model`, with comments.

    `root` is the file of the trusted root, relative to the policy.
    """
    (rule,) = policy.rules
    names = [f"{shown(str(one))}" for one in policy.signers]
    lines = [f"#   {line}\n" for one in signatures for line in _described(one)]
    head = _HEAD.format(
        models="every model" if model == "*" else f"the model {json.dumps(shown(model))}",
        whom=" and ".join(names),
        signatures="".join(lines),
    )
    trust = _NO_ROOT if root is None else f"\n{to_toml_table({'trust': {'root': root}})}"
    by = {one.signer.who: one.signer for one in signatures}.values()
    signers = "".join(
        _signer(accepted, next(one for one in by if accepted.accepts(one)))
        for accepted in policy.signers
    )
    fields: dict[str, Any] = {"models": list(rule.models), "signers": list(rule.signers)}
    if rule.threshold > 1:
        fields["threshold"] = rule.threshold
    if rule.allow_ignored:
        fields["allow_ignored"] = list(rule.allow_ignored)
    return f"{head}{trust}{signers}\n{to_toml_table({'rule': [fields]})}{_MORE}"


def _signer(accepted: AcceptedSigner, signer: Signer) -> str:
    table = f"\n{to_toml_table({'signers': {accepted.name: signer_table(accepted)}})}"
    run = of_claims(signer)
    if run is None:
        return table
    values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in run_table(run).items())
    return (
        f"{table}# In place of the identity, every run of this workflow for such a reference:\n"
        f"# {run.platform} = {{ {values} }}\n"
    )


def _described(one: Authentic) -> Iterator[str]:
    yield f"signed by    {shown(str(one.signer))}"
    yield f"signed at    {f'{one.time:%Y-%m-%d %H:%M:%S} UTC' if one.time else 'unknown'}"
    if one.logged is not None:
        yield f"log index    {one.logged.log_index}"
    yield f"trust root   {shown(one.trust)}"
