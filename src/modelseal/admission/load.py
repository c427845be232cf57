# SPDX-License-Identifier: Apache-2.0
"""For programs: the path of a verified copy of a model, for as long as it is needed."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import store as place
from modelseal.admission.admit import admit
from modelseal.policy.rules import Policy
from modelseal.trust import trust_root as trust

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def load(
    path: str | Path,
    *,
    identity: str,
    issuer: str,
    bundle: str | Path | None = None,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    store: str | Path | None = None,
) -> Iterator[Path]:
    """Give the path of a private, read-only, verified copy of the model, a folder or one file.

    Load from that path and nowhere else: whatever happens to the original meanwhile, the copy has
    the bytes that `identity`, vouched for by `issuer`, signed. Without `store` the copy goes at the
    end of the `with` block; with it, the copy stays there and the next load need not make it again.

        with modelseal.load("model/", identity="alice@example.com", issuer=ISSUER) as copy:
            model = joblib.load(copy / "model.joblib")

    Raises:
        PolicyRefused, Unverified, FormatError: decided: this is not what that signer signed.
        Undecided, UsageError: could not tell.
    """
    root = trust.choose(trusted_root=trusted_root, trust_config=trust_config, instance=instance)
    policy = Policy.for_signer(identity, issuer)
    signature = None if bundle is None else Path(bundle)
    if store is not None:
        yield admit(Path(path), policy, root, Path(store), bundle=signature).path
        return
    private = Path(tempfile.mkdtemp(prefix="modelseal-"))
    try:
        yield admit(Path(path), policy, root, private, bundle=signature).path
    finally:
        place.remove(private)
