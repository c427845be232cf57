# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command, imported only when that command runs."""

from __future__ import annotations

import atexit
import gc

# Start-up makes many objects and no garbage, and at the end all of it goes away with the process:
# looking for garbage then is a fifth of the time of `verify`. Every 20,000 objects is often enough
# for commands that run for long.
gc.set_threshold(20_000)
atexit.register(gc.freeze)

from importlib import import_module  # noqa: E402 - made after the limit above counts

import click  # noqa: E402 - as above

import modelseal  # noqa: E402 - as above

# name -> one line for --help; the command `name` lives in modelseal.cli.<name> as `command`
_COMMANDS = {
    "sign": "Sign models, keyless with Sigstore or with a key.",
    "verify": "Verify who signed models, and every byte of them, offline.",
    "digest": "Print the digests of a model, as a signature would list them.",
    "diff": "Show which files and tensors of two models differ.",
    "key": "Make keys to sign with.",
    "inspect": "Show what a signature says, without checking it.",
    "instance": "Run a private Sigstore in one process.",
    "demo": "Tell the whole story: train, sign, verify, tamper, be refused.",
}


class _Lazy(click.Group):
    """A group whose commands are imported on use, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"modelseal.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(modelseal.__version__, prog_name="modelseal")
def main() -> None:
    """Sign models, verify them offline, load only what was verified.

    \b
    Examples:
      modelseal sign model/ --trust-config trust.json
      modelseal verify model/ --identity alice@example.com --issuer https://issuer.example
      modelseal inspect model/model.sig
    """
