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
    from modelseal.policy.verdict import Verdict
    from modelseal.seal.authenticate import Verifier


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--identity",
    "--certificate-identity",
    required=True,
    metavar="ID",
    help="Who must have signed: an e-mail address or a URI.",
)
@click.option(
    "--issuer",
    "--certificate-oidc-issuer",
    required=True,
    metavar="URL",
    help="Who must have vouched for that identity.",
)
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
@format_option
@reporting_errors
def command(
    paths: tuple[Path, ...],
    identity: str,
    issuer: str,
    bundle: str | None,
    trusted_root: str | None,
    trust_config: str | None,
    instance: str | None,
    verifier: Verifier,
    output: str,
    *,
    staging: bool,
) -> None:
    """Verify who signed models, and every byte of them, offline.

    Exit code: 0 all accepted, 1 one refused, 2 wrong usage, 3 one undecided.

    \b
    Examples:
      modelseal verify model/ --identity alice@example.com --issuer https://issuer.example \\
          --trusted-root trusted_root.json
      modelseal verify *.joblib --identity alice@example.com --issuer https://issuer.example \\
          --format json
    """
    from modelseal.policy.many import check_all
    from modelseal.policy.rules import Policy
    from modelseal.seal import trust

    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    root = trust.choose(
        trusted_root=trusted_root, trust_config=trust_config, instance=instance, staging=staging
    )
    policy = Policy.for_signer(identity, issuer, verifier)
    with byte_progress("Verifying") as progress:
        verdicts = check_all(list(paths), policy, root, bundle, progress)
    if output == "json":
        print_json([verdict.to_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict)
    sys.exit(_exit_code(verdicts))


def _print(verdict: Verdict) -> None:
    name = shown(verdict.model)
    if verdict:
        signed = f"signed by {shown(str(verdict.signer))} at {verdict.time:%Y-%m-%d %H:%M:%S} UTC"
        click.echo(click.style("OK ", fg="green", bold=True) + f"{name}: {signed}")
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
