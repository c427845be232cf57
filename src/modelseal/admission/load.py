# SPDX-License-Identifier: Apache-2.0
"""For programs: the path of a verified copy of a model, for as long as it is needed."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import store as place
from modelseal.admission.admit import admit
from modelseal.files import no_temporary_folder, of_os_error
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
    with ExitStack() as stack:
        try:
            root = trust.choose(
                trusted_root=trusted_root, trust_config=trust_config, instance=instance
            )
            policy = Policy.for_signer(identity, issuer)
            signature = None if bundle is None else Path(bundle)
            folder = stack.enter_context(_temporary_store()) if store is None else Path(store)
            copy = admit(Path(path), policy, root, folder, bundle=signature).path
        except OSError as error:
            raise of_os_error(error) from error
        yield copy


@contextmanager
def _temporary_store() -> Iterator[Path]:
    """Give a private folder that is removed at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="modelseal-"))
    except OSError as error:
        raise no_temporary_folder(error) from error
    try:
        yield folder
    finally:
        place.remove(folder)
