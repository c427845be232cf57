# SPDX-License-Identifier: Apache-2.0
"""`modelseal instance`: a private Sigstore in one process."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelseal.cli._run import reporting_errors

_DATA_HELP = "Folder of the instance. [default: modelseal/instance in the user's data folder]"

data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help=_DATA_HELP
)


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME", "")  # XDG Base Directory: relative paths do not count
    root = Path(base) if base.startswith("/") else Path.home() / ".local/share"
    return root / "modelseal" / "instance"


@click.group()
def command() -> None:
    """Run a private Sigstore in one process: for development, tests, air-gapped sites.

    \b
    Examples:
      modelseal instance up --data sigstore/ --port 8100
      modelseal instance token --data sigstore/ --identity alice@example.com
      modelseal instance trust-config --data sigstore/ --out trust.json
    """


@command.command()
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0,
    help="Port; 0 keeps the one that the instance had, or takes a free one.",
)  # fmt: skip
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="How to write events on stderr.",
)  # fmt: skip
@click.option(
    "--users", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Ask for passwords on the sign-in page; lines come from hash-password.",
)  # fmt: skip
@reporting_errors
def up(data: Path | None, host: str, port: int, log_format: str, users: Path | None) -> None:
    """Start the instance; the first line on stdout is its URL, once it answers."""
    from modelseal.errors import UsageError
    from modelseal.instance import logs
    from modelseal.instance.users import read_users

    try:
        from modelseal.instance.server import serve
    except ImportError as error:
        raise UsageError(
            "extra-missing",
            f"Running an instance needs {error.name}, which is not installed.",
            "Install it with: pip install 'modelseal[instance]'",
        ) from error

    logs.configure(as_json=log_format == "json")
    serve(
        data or _default_data(), host=host, port=port,
        users=None if users is None else read_users(users),
        ready=click.echo,
    )  # fmt: skip


@command.command()
@data_option
@click.option("--identity", required=True, help="Who signs: an e-mail address or a URI.")
@click.option("--audience", default="sigstore", show_default=True, help="Whom the token is for.")
@reporting_errors
def token(data: Path | None, identity: str, audience: str) -> None:
    """Print an identity token, good for an hour; whoever can read DIR can be anyone."""
    import time

    from modelseal.instance import state, tokens

    who = tokens.parse_identity(identity)
    at_rest = state.started(data or _default_data())
    click.echo(tokens.mint(at_rest.keys.oidc, at_rest.url, who, audience=audience, now=time.time()))


@command.command("hash-password")
@click.argument("identity")
@reporting_errors
def hash_password(identity: str) -> None:
    """Ask for a password and print the line for the --users file that lets IDENTITY sign in."""
    from modelseal.instance.users import format_user

    # Not on stdout, which goes to the file; not as an option, which other users can see.
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    click.echo(format_user(identity, password))


def _document_command(name: str, what: str) -> None:
    @command.command(name, help=f"Print the {what}, or write it to a file.")
    @data_option
    @click.option("--instance", "url", metavar="URL", help="Ask a running instance instead.")
    @click.option(
        "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
        help="Write to this file.",
    )  # fmt: skip
    @reporting_errors
    def document(data: Path | None, url: str | None, out: Path | None) -> None:
        from modelseal.errors import UsageError
        from modelseal.files import write_atomic
        from modelseal.instance import fetch

        if url is not None and data is not None:
            raise UsageError("bad-options", "Give --data or --instance, not both.")
        if url is None:
            body = fetch.from_folder(data or _default_data(), name)
        else:
            body = fetch.from_url(url, name)
            click.echo(
                f"warning: this {what} was downloaded, and nothing vouches for it: "
                "compare it with the operator's.",
                err=True,
            )
        if out is None:
            click.echo(body, nl=False)
        else:
            write_atomic(out, body)


_document_command("trust-config", "client trust config (trusted root and signing config)")
_document_command("trusted-root", "trusted root")
_document_command("signing-config", "signing config")
