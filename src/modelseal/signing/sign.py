# SPDX-License-Identifier: Apache-2.0
"""Sign models: hash first, sign in once, write each bundle whole."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from modelseal import outputs
from modelseal.arguments import no_empty_values
from modelseal.errors import UsageError, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats.strict import b64encode
from modelseal.model.bundles import OLD_FILE_SUFFIX
from modelseal.model.digests import PLAIN, Reading
from modelseal.model.scope import check_ignored
from modelseal.signing.plan import SignOptions, make_plan
from modelseal.signing.signed import Signed, signer_of, time_of
from modelseal.trust.choice import Trust
from modelseal.verification.checks import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from modelseal.signing.plan import Plan
    from modelseal.signing.signers import Signer

    Places = tuple[outputs.Output, ...]

_LEGACY = (".sig", ".crt", OLD_FILE_SUFFIX)


@no_empty_values
def sign(
    path: str | Path,
    *,
    identity_token: str | None = None,
    trust: str | Path | Trust | None = None,
    bundle: str | Path | None = None,
    overwrite: bool = False,
    add: bool = False,
    workers: int | None = None,
    instance: str | None = None,
    trust_config: str | Path | None = None,
) -> Signed:
    """Sign the model at `path` (a file or a folder) and return where its bundle is.

    A file gets a plain artifact signature beside it, FILE.sigstore.json; a folder an OMS signature
    inside it, model.sig. Without `identity_token` the identity is that of the CI system, or the
    browser opens. `trust` says whose services sign: the file of a trust config, the URL of an
    instance, or a `Trust`. By default it is the public Sigstore instance, which publishes the
    identity for ever. With `add` the signature joins those that are there. At
    most `workers` processors are used, by default all. `instance` and `trust_config` are older
    names for `trust`.

    Raises:
        UsageError, FormatError, Undecided, SignInNeeded: nothing was written.
    """
    chosen = Trust.of_arguments(trust, instance=instance, trust_config=trust_config)
    (signed,) = sign_all(
        [path],
        identity_token=identity_token,
        trust=chosen,
        bundle=bundle,
        overwrite=overwrite,
        options=SignOptions(add=add),
        reading=Reading(workers),
    )
    return signed


@no_empty_values
def sign_all(
    paths: Sequence[str | Path],
    *,
    identity_token: str | None = None,
    trust: Trust | None = None,
    bundle: str | Path | None = None,
    overwrite: bool = False,
    legacy_files: bool = False,
    reading: Reading = PLAIN,
    signer: Signer | None = None,
    options: SignOptions | None = None,
    done: list[Signed] | None = None,
) -> list[Signed]:
    """Sign several models with one sign-in, or with `signer` and none; otherwise as `sign`.

    `legacy_files` also writes FILE.sig, FILE.crt and FILE.sigstore, as older clients did.

    With `done` each is added to that list as soon as it is signed, so that it is known if a later
    one fails.

    Raises:
        UsageError, FormatError, Undecided, SignInNeeded: models before the failing one are signed.
    """
    trust = trust or Trust()
    trust.check()
    reading.check()
    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    options = options or SignOptions()
    check_ignored([Path(path) for path in paths], options.ignored)
    overwrite = overwrite or options.update
    by = "sha256" if signer is None else signer.artifact_hash
    plans = [
        make_plan(Path(p), bundle, options, by, overwrite=overwrite, reading=reading) for p in paths
    ]
    if signer is not None:
        signer.check({plan.kind for plan in plans}, certificate=legacy_files)
    _check_different(plans)
    reserve = partial(_reserved, overwrite=overwrite, legacy_files=legacy_files)
    with (
        _writable(plans, reserve) as writable,  # before anything is public
        _keyless(identity_token, trust) if signer is None else nullcontext(signer) as session,
    ):
        signed = [] if done is None else done
        for plan, places in writable:
            signed.append(_signed(plan, session, places))
        return signed


@contextmanager
def _writable(
    plans: Sequence[Plan], reserve: Callable[[Plan], AbstractContextManager[Places]]
) -> Iterator[Iterator[tuple[Plan, Places]]]:
    """Give the models with the places of what is written for them, all of which can be written.

    Raises:
        UsageError, FormatError, Undecided: a place cannot be written, or is that of two models.
    """
    _check_different(plans)
    if len(plans) == 1:
        with reserve(plans[0]) as places:
            yield iter([(plans[0], places)])
        return
    for plan in plans:  # not kept: that would take file descriptors for each
        with reserve(plan):
            pass
    yield _one_by_one(plans, reserve)


def _one_by_one(
    plans: Sequence[Plan], reserve: Callable[[Plan], AbstractContextManager[Places]]
) -> Iterator[tuple[Plan, Places]]:
    for plan in plans:
        with reserve(plan) as places:
            yield plan, places


def _check_different(plans: Sequence[Plan]) -> None:
    """Check that no two bundles go to one place: the second signature would be lost."""
    known: dict[Path, Path] = {}
    for plan in plans:
        place = plan.place.path
        real = Path(os.path.realpath(place.parent), place.name)
        if real in known:
            raise UsageError(
                "named-twice",
                f"'{shown(str(known[real]))}' and '{shown(str(plan.path))}' are one model.",
                "Name each model once.",
            )
        known[real] = plan.path


@contextmanager
def _reserved(plan: Plan, *, overwrite: bool, legacy_files: bool) -> Iterator[Places]:
    """Give the places of the bundle of `plan` and, after it, of its legacy files."""
    wanted = [(plan.place.path, plan.place.untrusted)]
    if legacy_files and plan.kind == "artifact":
        folder = plan.path.parent
        wanted += [(plan.path.with_name(plan.path.name + one), folder) for one in _LEGACY]
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(
                outputs.reserved(path, overwrite=overwrite, size=plan.size, untrusted=untrusted)
            )
            for path, untrusted in wanted
        )


@contextmanager
def _keyless(raw_token: str | None, trust: Trust) -> Iterator[Signer]:
    """Give a signer that is signed in."""
    from modelseal.signing._sigstore import signing  # noqa: PLC0415 - sigstore-python takes 400 ms to import
    from modelseal.trust import _sigstore as roots  # noqa: PLC0415 - sigstore-python takes 400 ms to import

    with signing.session(roots.services(trust), raw_token) as session:
        yield session


def _signed(plan: Plan, session: Signer, places: Places) -> Signed:
    """Sign the model of `plan` and write its bundle and legacy files to `places`."""
    sign = session.artifact if plan.kind == "artifact" else session.statement
    data = sign(plan.message)
    bundle, *legacy = places
    bundle.write(data)
    if legacy:
        for place, one in zip(legacy, _legacy(data), strict=True):
            place.write(one)
    return _described(plan, data)


def _legacy(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what sigstore-python 1 to 2 wrote: base64 signature, PEM certificate, bundle."""
    parsed = bundle_format.parse(data)
    signature = content.signature_of(parsed)
    certificate = load_der_x509_certificate(parsed.certificates[0])
    return b64encode(signature).encode(), certificate.public_bytes(Encoding.PEM), data


def _described(plan: Plan, data: bytes) -> Signed:
    parsed = bundle_format.parse(data)
    return Signed(
        path=plan.path,
        bundle=plan.place.path,
        kind=plan.kind,
        signer=signer_of(parsed),
        time=time_of(parsed),
        log_index=parsed.entries[0].log_index if parsed.entries else None,
        files=len(plan.manifest.file_names()),
        pointers=plan.pointers,
    )
