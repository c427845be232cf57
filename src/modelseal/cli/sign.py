# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelseal.cli._run import (
    byte_progress,
    format_option,
    overwrite_option,
    print_json,
    reporting_errors,
)
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.seal.sign import Signed


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--instance", metavar="URL", help="Sign with this instance (trusted before).")
@click.option("--trust-config", metavar="FILE", help="Sign with the services in this trust config.")
@click.option("--staging", is_flag=True, help="Sign with the Sigstore staging instance.")
@click.option(
    "--identity-token",
    metavar="TOKEN",
    envvar="MODELSEAL_IDENTITY_TOKEN",
    help="OIDC token, or the file that holds it. Default: that of the CI system, or a browser.",
)
@click.option("--bundle", metavar="FILE", help="Where to write the bundle of a single model.")
@overwrite_option
@click.option("--legacy-files", is_flag=True, help="Also write FILE.sig, FILE.crt, FILE.sigstore.")
@format_option
@reporting_errors
def command(
    paths: tuple[Path, ...],
    instance: str | None,
    trust_config: str | None,
    identity_token: str | None,
    bundle: str | None,
    output: str,
    *,
    staging: bool,
    overwrite: bool,
    legacy_files: bool,
) -> None:
    """Sign models, keyless with Sigstore.

    A file gets FILE.sigstore.json beside it (what sigstore and cosign read), a folder an OpenSSF
    model signature, model.sig, inside it. Several models need one sign-in. The public instance
    publishes your identity for ever.

    \b
    Examples:
      modelseal sign model.joblib --trust-config trust.json
      modelseal sign models/*/ --instance https://sigstore.example
      modelseal sign model/ --identity-token "$TOKEN" --overwrite
    """
    from modelseal.seal.sign import sign_all

    with byte_progress("Hashing") as progress:
        made = sign_all(
            paths,
            identity_token=_token(identity_token),
            instance=instance,
            trust_config=trust_config,
            staging=staging,
            bundle=bundle,
            overwrite=overwrite,
            legacy_files=legacy_files,
            progress=progress,
        )
    if output == "json":
        print_json([signed.to_dict() for signed in made])
        return
    for signed in made:
        _print(signed)


def _print(signed: Signed) -> None:
    click.echo(click.style("SIGNED ", fg="green", bold=True) + shown(str(signed.path)))
    click.echo(f"  signer     {shown(str(signed.signer))}")
    click.echo(f"  log index  {signed.log_index}")
    click.echo(f"  bundle     {shown(str(signed.bundle))}")


def _token(value: str | None) -> str | None:
    """Return the token itself; like cosign, take a file in its place (a token has no slash)."""
    if value is None or value.count(".") == 2:  # noqa: PLR2004 - the form of a JWT
        return value
    from modelseal.files import read_bounded

    return read_bounded(Path(value), 64 * 1024, "identity token").decode(errors="replace").strip()
