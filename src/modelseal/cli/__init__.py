# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command, imported only when that command runs.

A command is a module with `HELP`, `add_options(parser)` and `run(options) -> exit code`. argparse
and not click: start-up is most of the time of a small verification (docs/adr/0015-start-up.md).
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

import modelseal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.cli._options import Parser
    from modelseal.cli._run import Call

# name -> one line for --help; the command `name` is the module modelseal.cli.<name>
COMMANDS = {
    "sign": "Sign models, keyless with Sigstore or with a key.",
    "verify": "Verify who signed models, and every byte of them, offline.",
    "report": "Report on all models below a folder, for people and for CI.",
    "fetch": "Fetch a model from a hub, bucket or registry, verified.",
    "digest": "Print the digests of a model, as a signature would list them.",
    "diff": "Show which files and tensors of two models differ.",
    "key": "Make keys to sign with.",
    "policy": "Write, check, explain and test policies.",
    "exec": "Run any server on admitted models only.",
    "server": "Look at a model server that runs.",
    "publishers": "Show which publishers of signed models are known.",
    "inspect": "Show what a signature says, without checking it.",
    "trust": "Choose which instances of Sigstore this machine trusts.",
    "store": "Look after the copies that servers load models from.",
    "log": "Verify the log of decisions of servers.",
    "evidence": "Collect all that a verdict on a model rests on, for an auditor.",
    "instance": "Run a private Sigstore in one process.",
    "monitor": "Watch a transparency log: that it only grows, and who signs.",
    "completion": "Print a completion script for bash, zsh or fish.",
    "demo": "Tell the whole story: train, sign, verify, tamper, be refused.",
}

# Start-up makes some 50,000 objects and no garbage: looking for it then is a fifth of the time of
# `verify`. Every 100,000 objects is often enough for commands that run for long.
_VERSION = ("-V", "--version")
_QUIET = ("-q", "--quiet")  # may stand before the command
_OBJECTS = 100_000  # made between two looks for garbage

_HELP = """\
Sign models, verify them offline, load only what was verified.

Examples:
  modelseal sign model/ --trust-config trust.json
  modelseal verify model/ --identity alice@example.com --issuer https://issuer.example
  modelseal inspect model/model.sig

Commands (modelseal help COMMAND says more):
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `arguments` name, those of the process by default; end with its code.

    Raises:
        SystemExit: always, unless the process ends here.
    """
    gc.set_threshold(_OBJECTS)  # before anything large is imported
    try:
        from modelseal.cli import _run

        code = _run.run(list(sys.argv[1:] if arguments is None else arguments), _call)
    except KeyboardInterrupt:  # while modules are imported; later `run` says so
        code = 130
    if arguments is None:
        _end(code)
    raise SystemExit(code)


def _call(words: Sequence[str]) -> Call:
    """Return the command that `words` name, with its options.

    Raises:
        UsageError: they are wrong. SystemExit: help or the version was asked for.
    """
    from modelseal.cli import _options, _run

    flags = list(takewhile(_QUIET.__contains__, words))
    name, *rest = words[len(flags) :] or ["--help"]
    if name == "help":
        name, *rest = [*rest, "--help"]
    if name in _VERSION:
        _run.answer(f"modelseal {modelseal.__version__}")
        raise SystemExit(0)
    if name.startswith("-"):
        top_parser().parse([name])
    if name not in COMMANDS:
        raise _options.unknown_command(None, name, [*COMMANDS, "help"])
    options = command_parser(name).parse([*flags, *rest])
    return _run.Call(options.called, import_module(f"modelseal.cli.{name}").run, options)


def top_parser() -> Parser:
    """Return what parses the command line up to the command."""
    from modelseal.cli._options import Parser

    parser = Parser("modelseal", _HELP + "\n".join(f"  {n:12}{s}" for n, s in COMMANDS.items()))
    parser.add_argument(*_VERSION, action="store_true", help="Print the version.")
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
    with suppress(OSError, AttributeError):  # nobody reads it; it was closed from the start
        sys.stderr.flush()
    os._exit(code)
