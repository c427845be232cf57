# SPDX-License-Identifier: Apache-2.0
"""A policy that must be signed itself: verified like any model, before a word of it is believed.

The signature lies beside it, as `modelseal sign policy.toml` puts it there. What the policy says
about trust does not count for its own signature.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission.admit import admit
from modelseal.admission.load import temporary_store
from modelseal.errors import PolicyRefused, Unverified, UsageError, shown
from modelseal.files import read_trusted
from modelseal.policy import document
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedIdentity, AcceptedKey
from modelseal.trust import keys
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from modelseal.policy.document import ReadFile
    from modelseal.policy.signers import AcceptedSigner
    from modelseal.trust.choice import Trust

_NAME = "expected"
_IDENTITY, _ISSUER = "identity=", ",issuer="


def load(path: Path, signer: str, trust: Trust, read: ReadFile = read_trusted) -> Policy:
    """Return the policy in the file `path`, which `signer` must have signed.

    `signer` is the file of a public key, or "identity=ID,issuer=URL". `read` reads the files that
    the policy names.

    Raises:
        Unverified: it is not signed, or by somebody else, or was changed ("policy-not-signed").
        UsageError, FormatError, Undecided: as `document.load`; of the key or the trusted root.
    """
    accepted = signer_of(signer)
    needs_root = isinstance(accepted, AcceptedIdentity) or trust.is_named
    verifier = Verifier(trust.resolve() if needs_root else None)
    real = Path(os.path.realpath(path))
    with temporary_store() as store:
        try:
            copy = admit(real, Policy.for_signers([accepted]), verifier, store).path
        except PolicyRefused as error:
            message = f"The policy '{shown(str(path))}' is not accepted: {error.message}"
            hint = f"Have it signed by {shown(str(accepted))}: modelseal sign POLICY. {error.hint}"
            raise Unverified("policy-not-signed", message, hint) from error
        data = read(copy, document.LIMIT, "policy")  # ours: no link, no pipe
    return document.from_bytes(data, path, read)


def signer_of(text: str) -> AcceptedSigner:
    """Return the signer that `text` names, see `load`.

    Raises:
        UsageError: it is neither. FormatError, Undecided: there is no public key in the file.
    """
    if not text.startswith(_IDENTITY):
        return AcceptedKey(_NAME, keys.load_public(Path(text)))
    identity, found, issuer = text.removeprefix(_IDENTITY).rpartition(_ISSUER)
    if not found or not identity or not issuer:
        message = f"'{shown(text)}' does not say who signs the policy."
        raise UsageError("whose-signature", message, "Write: identity=ID,issuer=URL")
    return AcceptedIdentity(_NAME, identity, issuer)
