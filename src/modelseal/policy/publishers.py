# SPDX-License-Identifier: Apache-2.0
"""A known publisher as a signer that rules can accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity
from modelseal.trust import publishers

if TYPE_CHECKING:
    from modelseal.policy.signers import AcceptedSigner


def accepted(name: str) -> AcceptedSigner:
    """Return the publisher called `name` as a signer of that name.

    By a certificate anybody whom its CA certifies is accepted: leaf certificates are renewed. Such
    signatures are in no log.

    Raises:
        UsageError: no such publisher ("unknown-publisher").
    """
    publisher = publishers.named(name)
    if publisher.method == "identity":
        return AcceptedIdentity(name, publisher.identity, publisher.issuer)
    from modelseal.trust import keys  # noqa: PLC0415 - X.509, only where wanted

    roots = keys.parse_certificates(publisher.root.encode())
    return AcceptedAuthority(name, roots, logged=False)
