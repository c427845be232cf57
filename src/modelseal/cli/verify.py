# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    UNDECIDED,
    byte_progress,
    format_option,
    print_json,
    reporting_errors,
)
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from modelseal.model.hashing import Progress
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.seal.authenticate import Verifier
    from modelseal.seal.managed import Managed, TrustedKey
    from modelseal.seal.trust import TrustRoot


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--identity",
    "--certificate-identity",
    "identities",
    multiple=True,
    metavar="ID",
    help="Who must have signed: an e-mail address or a URI. May be repeated, with its issuer.",
)
@click.option(
    "--issuer",
    "--certificate-oidc-issuer",
    "issuers",
    multiple=True,
    metavar="URL",
    help="Who must have vouched for that identity.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="PEM",
    help="The public key that must have signed. May be repeated.",
)
@click.option(
    "--threshold",
    type=int,
    metavar="N",
    help="How many of several identities or keys must have signed. Default: all.",
)
@click.option("--certificate-chain", metavar="PEM", help="The CA whose certificate must have.")
@click.option("--bundle", metavar="FILE", help="The bundle, if it is not beside or inside.")
@click.option("--trusted-root", metavar="FILE", help="Believe this trusted root.")
@click.option("--trust-config", metavar="FILE", help="Believe the root in this trust config.")
@click.option("--instance", metavar="URL", help="Believe what this instance last published.")
@click.option(
    "--verifier",
    type=click.Choice(["modelseal", "sigstore", "both"]),
    default="modelseal",
    help="Whose checks of the signature count; with both, they must agree.",
)
@click.option("--staging", is_flag=True, help="Believe the Sigstore staging instance.")
@click.option("--refresh", is_flag=True, help="Ask the instance by TUF for its root of today.")
@click.option(
    "--trust-stat-cache",
    is_flag=True,
    help="Do not read files that look as at the last `sign --update`. Not proof; the answer says.",
)
@format_option
@reporting_errors
def command(
    paths: tuple[Path, ...],
    identities: tuple[str, ...],
    issuers: tuple[str, ...],
    keys: tuple[str, ...],
    threshold: int | None,
    certificate_chain: str | None,
    bundle: str | None,
    trusted_root: str | None,
    trust_config: str | None,
    instance: str | None,
    verifier: Verifier,
    output: str,
    *,
    staging: bool,
    refresh: bool,
    trust_stat_cache: bool,
) -> None:
    """Verify who signed models, and every byte of them, offline (unless with --refresh).

    Exit code: 0 all accepted, 1 one refused, 2 wrong usage, 3 one undecided.

    \b
    Examples:
      modelseal verify model/ --identity alice@example.com --issuer https://issuer.example \\
          --trusted-root trusted_root.json
      modelseal verify *.joblib --identity alice@example.com --issuer https://issuer.example \\
          --format json
      modelseal verify model/ --key release.pub
      modelseal verify model/ --key alice.pub --key bob.pub --key carol.pub --threshold 2
    """
    from modelseal.seal import trust

    _check_one_way(identities, issuers, keys, certificate_chain)
    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    several = threshold is not None or len(identities) > 1 or len(keys) > 1
    if several and (bundle is not None or certificate_chain is not None or trust_stat_cache):
        message = "--bundle and the like are for one signature, not for several."
        raise UsageError("bad-options", message)
    # A key is believed as it is; who saw its signature counts only where a root is named.
    named = (
        staging or refresh or any(one is not None for one in (trusted_root, trust_config, instance))
    )
    root = None
    if identities or named:
        root = trust.choose(
            trusted_root=trusted_root, trust_config=trust_config, instance=instance,
            staging=staging, refresh=refresh,
        )  # fmt: skip
    pairs = list(zip(identities, issuers, strict=True))
    with byte_progress("Verifying") as progress:
        if several:
            verdicts = _several(paths, pairs, keys, threshold, root, verifier, progress)
        elif root is not None and pairs:
            policy = _policy(pairs[0], verifier)
            verdicts = _by_identity(
                paths, policy, root, bundle, progress, trust_stat_cache=trust_stat_cache
            )
        else:
            believed = _believed(keys, certificate_chain)
            verdicts = _managed(
                paths, believed, root, bundle, progress, trust_stat_cache=trust_stat_cache
            )
    if output == "json":
        print_json([verdict.to_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict)
        for source in sorted({verdict.trust for verdict in verdicts} - {""}):
            click.echo(f"trust root: {shown(source)}", err=True)
    sys.exit(_exit_code(verdicts))


def _check_one_way(
    identities: tuple[str, ...], issuers: tuple[str, ...], keys: tuple[str, ...], chain: str | None
) -> None:
    if [bool(identities or issuers), bool(keys), chain is not None].count(True) != 1:
        raise UsageError(
            "whose-signature",
            "Say who must have signed, in one way.",
            "Give --identity and --issuer, or --key, or --certificate-chain.",
        )
    if len(identities) != len(issuers):
        raise UsageError("whose-signature", "--identity and --issuer go together.")


def _policy(pair: tuple[str, str], verifier: Verifier) -> Policy:
    from modelseal.policy.rules import Policy

    return Policy.for_signer(*pair, verifier)


def _by_identity(
    paths: tuple[Path, ...],
    policy: Policy,
    root: TrustRoot,
    bundle: str | None,
    progress: Progress | None,
    *,
    trust_stat_cache: bool,
) -> list[Verdict]:
    if not trust_stat_cache:
        from modelseal.policy.many import check_all

        return check_all(list(paths), policy, root, bundle, progress)
    from modelseal.model import stat_cache
    from modelseal.policy.verify import check

    return [
        check(path, policy, root, bundle, progress, cache=stat_cache.load(path)) for path in paths
    ]


def _managed(
    paths: tuple[Path, ...],
    believed: Managed,
    root: TrustRoot | None,
    bundle: str | None,
    progress: Progress | None,
    *,
    trust_stat_cache: bool,
) -> list[Verdict]:
    from modelseal.model import stat_cache
    from modelseal.policy.verify import check_managed

    caches = [stat_cache.load(path) if trust_stat_cache else None for path in paths]
    return [
        check_managed(path, believed, root, bundle, progress, cache=cache)
        for path, cache in zip(paths, caches, strict=True)
    ]


def _several(
    paths: tuple[Path, ...],
    pairs: list[tuple[str, str]],
    keys: tuple[str, ...],
    threshold: int | None,
    root: TrustRoot | None,
    verifier: Verifier,
    progress: Progress | None,
) -> list[Verdict]:
    from modelseal.policy.several import check_identities, check_keys

    if root is not None and pairs:
        wanted = len(set(pairs)) if threshold is None else threshold
        return [
            check_identities(path, pairs, wanted, root, verifier=verifier, progress=progress)
            for path in paths
        ]
    believed = [_key(key) for key in keys]
    wanted = len(believed) if threshold is None else threshold
    return [check_keys(path, believed, wanted, root, progress=progress) for path in paths]


def _key(path: str) -> TrustedKey:
    from modelseal.seal import keys, managed

    return managed.TrustedKey(keys.load_public(Path(path)))


def _believed(named: tuple[str, ...], chain: str | None) -> Managed:
    from modelseal.seal import keys, managed

    if named:
        return _key(named[0])
    return managed.TrustedChain(keys.load_certificates(Path(chain or "")))


def _print(verdict: Verdict) -> None:
    from modelseal.policy.verdict import STAT_CACHE

    name = shown(verdict.model)
    if verdict:
        when = f" at {verdict.time:%Y-%m-%d %H:%M:%S} UTC" if verdict.time else ""
        signed = f"signed by {shown(str(verdict.signer))}{when}"
        click.echo(click.style("OK ", fg="green", bold=True) + f"{name}: {signed}")
        for check in verdict.checks:
            if check.name == STAT_CACHE:
                click.echo(f"note: {check.detail}", err=True)
        for path in verdict.not_signed:
            click.echo(
                f"note: '{shown(path)}' was left out by the signer and not checked", err=True
            )
        return
    word = "FAIL " if verdict.status == "refused" else "UNDECIDED "
    click.echo(
        click.style(word, fg="red", bold=True) + f"{name}: [{verdict.code}] {verdict.message}"
    )
    if verdict.hint:
        click.echo(f"hint: {verdict.hint}", err=True)


def _exit_code(verdicts: list[Verdict]) -> int:
    statuses = {verdict.status for verdict in verdicts}
    if "refused" in statuses:
        return REFUSED
    return UNDECIDED if "undecided" in statuses else ACCEPTED
