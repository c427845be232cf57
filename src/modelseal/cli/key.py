# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal key`."""

from __future__ import annotations

from pathlib import Path

import click

from modelseal.cli._run import overwrite_option, reporting_errors
from modelseal.errors import shown


@click.group()
def command() -> None:
    """Make keys to sign with."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--curve",
    type=click.Choice(["p256", "p384", "p521"]),
    default="p256",
    show_default=True,
    help="P-256 is what every client verifies.",
)
@click.option("--password-env", metavar="NAME", help="Encrypt it with the password in NAME.")
@overwrite_option
@reporting_errors
def generate(path: Path, curve: str, password_env: str | None, *, overwrite: bool) -> None:
    """Write a new private key to PATH, and its public key beside it, ending in .pub.

    \b
    Examples:
      modelseal key generate release.key
      modelseal key generate release.key --curve p384 --password-env KEY_PASSWORD
    """
    from modelseal.seal import keys

    password = keys.password_from(password_env)
    public = keys.generate(path, curve, password, overwrite=overwrite)
    click.echo(f"private key  {shown(str(path))}")
    click.echo(f"public key   {shown(str(public))}")
