# SPDX-License-Identifier: Apache-2.0
"""For programs: the path of a verified copy of a model, for as long as it is needed."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from modelseal.admission import store as place
from modelseal.admission.admit import admit
from modelseal.admission.request import asked
from modelseal.arguments import no_empty_values
from modelseal.files import no_temporary_folder, of_os_error
from modelseal.model.digests import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.admission.request import Request
    from modelseal.policy.rules import Policy
    from modelseal.verification.verifier import Verifier


@contextmanager
@no_empty_values
def load(
    path: str | Path,
    *,
    bundle: str | Path | None = None,
    store: str | Path | None = None,
    workers: int | None = None,
    **request: Unpack[Request],
) -> Iterator[Path]:
    """Give the path of a private, read-only, verified copy of the model, a folder or one file.

    Load from that path and nowhere else: whatever happens to the original meanwhile, the copy has
    the bytes that were signed by somebody whom you accept, see `modelseal.Request`. Without `store`
    the copy goes at the end of the `with` block; with it, the copy stays there and the next load
    need not make it again. A URI (docs/sources.md) is fetched first. At most `workers` processors
    are used, by default all.

        with modelseal.load("model/", identity="alice@example.com", issuer=ISSUER) as copy:
            model = joblib.load(copy / "model.joblib")

    Raises:
        PolicyRefused: decided: this is not what such a signer signed.
        FormatError, Undecided, UsageError: could not tell.
    """
    reading = Reading(workers)
    reading.check()
    with ExitStack() as stack:
        try:
            policy, verifier = asked(**request)
            signature = None if bundle is None else Path(bundle)
            if isinstance(path, str) and ":" in path:
                path = stack.enter_context(_fetched(path, policy, verifier, signature))
            folder = stack.enter_context(temporary_store()) if store is None else Path(store)
            snapshot = admit(
                Path(path), policy, verifier, folder, bundle=signature, reading=reading
            )
        except OSError as error:
            raise of_os_error(error) from error
        if snapshot.lease is not None:
            stack.callback(snapshot.lease.close)
        yield snapshot.path


@contextmanager
def _fetched(
    path: str, policy: Policy, verifier: Verifier, bundle: Path | None
) -> Iterator[str | Path]:
    """Give where the model is on this machine until the end of the block, if `path` is a URI."""
    from modelseal.admission import fetch  # noqa: PLC0415 - only for URIs
    from modelseal.sources.uri import is_uri  # noqa: PLC0415 - as above

    if not is_uri(path):
        yield path
        return
    asker = fetch.Asker(policy, verifier, bundle)
    with fetch.fetched_temporarily(fetch.find(path), asker, lambda _: None) as folder:
        yield folder


@contextmanager
def temporary_store() -> Iterator[Path]:
    """Give a private folder that is removed at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="modelseal-"))
    except OSError as error:
        raise no_temporary_folder(error) from error
    try:
        yield folder
    finally:
        place.remove(folder)
