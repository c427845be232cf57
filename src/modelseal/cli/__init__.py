# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command, imported only when that command runs.

A command is a module with `HELP`, `add_options(parser)` and `run(options) -> exit code`. argparse
and not click: start-up is most of the time of a small verification (docs/adr/0015-start-up.md).
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import modelseal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.cli._options import Parser

# name -> one line for --help; the command `name` is the module modelseal.cli.<name>
COMMANDS = {
    "sign": "Sign models, keyless with Sigstore or with a key.",
    "verify": "Verify who signed models, and every byte of them, offline.",
    "digest": "Print the digests of a model, as a signature would list them.",
    "diff": "Show which files and tensors of two models differ.",
    "key": "Make keys to sign with.",
    "inspect": "Show what a signature says, without checking it.",
    "instance": "Run a private Sigstore in one process.",
    "completion": "Print a completion script for bash, zsh or fish.",
    "demo": "Tell the whole story: train, sign, verify, tamper, be refused.",
}

# Start-up makes some 50,000 objects and no garbage: looking for it then is a fifth of the time of
# `verify`. Every 100,000 objects is often enough for commands that run for long.
_OBJECTS = 100_000  # made between two looks for garbage

_HELP = """\
Sign models, verify them offline, load only what was verified.

Examples:
  modelseal sign model/ --trust-config trust.json
  modelseal verify model/ --identity alice@example.com --issuer https://issuer.example
  modelseal inspect model/model.sig

Commands (modelseal COMMAND --help says more):
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `arguments` name, those of the process by default; end with its code.

    Raises:
        SystemExit: always, unless the process ends here.
    """
    gc.set_threshold(_OBJECTS)  # before anything large is imported
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name not in COMMANDS:
        top_parser().parse_args([name])
        raise SystemExit(0)  # unreachable: a name that is not known is an error
    from modelseal.cli import _run

    parser = command_parser(name)
    options = parser.parse(rest)
    code = _run.run(import_module(f"modelseal.cli.{name}").run, options)
    if arguments is None:
        _end(code)
    raise SystemExit(code)


def top_parser() -> Parser:
    """Return what parses the command line up to the command."""
    from modelseal.cli._options import Parser

    parser = Parser("modelseal", _HELP + "\n".join(f"  {n:12}{s}" for n, s in COMMANDS.items()))
    version = f"modelseal {modelseal.__version__}"
    parser.add_argument("--version", action="version", version=version, help="Print the version.")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="One of the above.")
    return parser


def command_parser(name: str) -> Parser:
    """Return what parses the options of the command `name`."""
    from modelseal.cli._options import Parser

    command = import_module(f"modelseal.cli.{name}")
    parser = Parser(f"modelseal {name}", command.HELP)
    command.add_options(parser)
    return parser


def _end(code: int) -> NoReturn:
    """End the process without taking it apart first, which takes longer than a verification.

    Whatever needs an end is behind a `with`, and stdout was flushed.
    """
    sys.stderr.flush()
    os._exit(code)
