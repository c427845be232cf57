# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal key`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._options import add_overwrite
from modelseal.cli._run import ACCEPTED, answer, is_quiet
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Make keys to sign with.
"""

_GENERATE = """\
Write a new private key to PATH, and its public key beside it, ending in .pub.

Examples:
  modelseal key generate release.key
  modelseal key generate release.key --type p384 --password-env KEY_PASSWORD
"""


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    command = parser.commands().add_parser(
        "generate", description=_GENERATE, help="Write a new private key, and its public key."
    )
    command.add_argument("path", type=Path, metavar="PATH", help="Where the private key goes.")
    command.add_argument(
        "--type",
        "--curve",
        dest="kind",
        choices=("p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096"),
        default="p256",
        help="P-256 is what every client verifies; folders are signed by it, P-384 and P-521 "
        "only. [default: p256]",
    )
    command.add_argument(
        "--password-env", metavar="NAME", help="Encrypt it with the password in NAME."
    )
    add_overwrite(command)


def run(options: Options) -> int:
    """Make a key; return the exit code."""
    from modelseal.trust import private_keys

    password = private_keys.password_from(options.password_env)
    public = private_keys.generate(
        options.path, options.kind, password, overwrite=options.overwrite
    )
    if not is_quiet():
        answer(f"private key  {shown(str(options.path))}")
        answer(f"public key   {shown(str(public))}")
    return ACCEPTED
