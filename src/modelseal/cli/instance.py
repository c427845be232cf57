# SPDX-License-Identifier: Apache-2.0
"""`modelseal instance`: a private Sigstore in one process."""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli import _instance_view
from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, flush, say
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.cli._options import Options, Parser

HELP = """\
Run a private Sigstore in one process: for development, tests, air-gapped sites.

Examples:
  modelseal instance up --data sigstore/ --port 8100
  modelseal instance token --data sigstore/ --identity alice@example.com
  modelseal instance trust-config --data sigstore/ --out trust.json
"""

_DOCUMENTS = {  # what clients need, by the name of the command that prints it
    "trust-config": "client trust config (trusted root and signing config)",
    "trusted-root": "trusted root",
    "signing-config": "signing config",
    "root": "TUF root, which `modelseal trust add` takes",
}
_PASSWORD_LIMIT = 4096  # bytes
_PORTS = range(1 << 16)
_MAX_DAYS = 365


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    commands = parser.commands()
    _add_up(commands.add_parser(
        "up", help="Start the instance.",
        description="Start the instance; the first line on stdout is its URL, once it answers.",
    ))  # fmt: skip
    _add_token(commands.add_parser(
        "token", help="Print an identity token.",
        description="Print an identity token, good for an hour; whoever can read DIR can be "
        "anyone.",
    ))  # fmt: skip
    _add_hash_password(commands.add_parser(
        "hash-password", help="Print a line for the --users file.",
        description="Ask for a password and print the line for the --users file that lets "
        "IDENTITY sign in.",
    ))  # fmt: skip
    _add_backup(commands.add_parser(
        "backup", help="Back up the instance, also while it runs.",
        description="Write settings, keys and log, as of one moment, to a file that only you can "
        "read. Whoever has it can sign as anyone.",
    ))  # fmt: skip
    _add_restore(commands.add_parser(
        "restore", help="Put a backup into a folder without an instance.",
        description="Put a backup into a folder without an instance, checked like an instance "
        "that starts.",
    ))  # fmt: skip
    _add_rotate(commands.add_parser(
        "rotate", help="Give services new keys.",
        description="Give services new keys. The next start publishes them; they sign from a "
        "given day on. What the old ones signed stays good.",
    ))  # fmt: skip
    for name, add, what in _VIEWS:
        _add_view(commands.add_parser(name, help=what, description=what), name, add)
    for name, what in _DOCUMENTS.items():
        _add_document(commands.add_parser(
            name, help=f"Print the {what}.",
            description=f"Print the {what}, or write it to a file.",
        ), name)  # fmt: skip


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    code: int | None = options.command(options)
    return ACCEPTED if code is None else code


_VIEWS = (
    ("status", add_format, "Show what the instance is and has."),
    ("doctor", add_format,
     "Check keys, both logs to the last byte, clock, disk and permissions."),
    ("log", _instance_view.add_log, "List the entries of the transparency log, newest first."),
    ("certificates", _instance_view.add_log,
     "List the certificates in the certificate transparency log, newest first."),
)  # fmt: skip


def _add_view(parser: Parser, name: str, add: Callable[[Parser], None]) -> None:
    parser.set_defaults(command=_view, view=name)
    _add_data(parser)
    add(parser)


def _view(options: Options) -> int:
    data = _data(options)
    if options.view == "status":
        return _instance_view.show_status(data, options)
    if options.view == "doctor":
        return _instance_view.show_doctor(data, options)
    return _instance_view.show_log(data, options, "ct" if options.view == "certificates" else "log")


def _add_token(token: Parser) -> None:
    token.set_defaults(command=_token)
    _add_data(token)
    token.add_argument(
        "--identity", required=True, metavar="ID", help="Who signs: an e-mail address or a URI."
    )
    token.add_argument(
        "--audience", default="sigstore", help="Whom the token is for. [default: sigstore]"
    )


def _add_hash_password(password: Parser) -> None:
    password.set_defaults(command=_hash_password)
    password.add_argument("identity", metavar="IDENTITY", help="Who may sign in.")
    password.add_argument(
        "--password-stdin", action="store_true", help="Read the password from stdin, one line."
    )


def _add_data(parser: Parser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="Folder of the instance. [default: modelseal/instance in the user's data folder]",
    )  # fmt: skip


def _data(options: Options) -> Path:
    if options.data is not None:
        given: Path = options.data
        return given
    from modelseal import home

    return home.folder("data", "modelseal") / "instance"


def _add_up(parser: Parser) -> None:
    parser.set_defaults(command=_up)
    _add_data(parser)
    parser.add_argument(
        "--host", default="127.0.0.1",
        help="Address or name to listen on. [default: 127.0.0.1]",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, default=0,
        help="Port; 0 keeps the one that the instance had, or takes a free one.",
    )  # fmt: skip
    parser.add_argument(
        "--public-url", default="", metavar="URL",
        help="URL under which clients reach the instance, such as https://sigstore.example.com: "
        "its issuer, and in all that it publishes. Remembered.",
    )  # fmt: skip
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE",
        help="Serve https with this PEM certificate chain. SIGHUP reads it again.",
    )  # fmt: skip
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM key of the certificate.")
    parser.add_argument(
        "--proxy", default="", metavar="ADDRESS",
        help="Believe the X-Forwarded-For of the reverse proxy at this IP address.",
    )  # fmt: skip
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text",
        help="How to write events on stderr. [default: text]",
    )  # fmt: skip
    parser.add_argument(
        "--users", type=Path, metavar="FILE",
        help="Ask for passwords on the sign-in page; lines come from hash-password. SIGHUP reads "
        "it again.",
    )  # fmt: skip

    parser.add_argument(
        "--issuers", type=Path, metavar="FILE",
        help="Take identity tokens of the issuers in this TOML file, such as GitHub Actions; the "
        "sign-in page is then closed without --users.",
    )  # fmt: skip


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in _PORTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_PORTS[-1]}")
    return int(text)


def _up(options: Options) -> None:
    from modelseal.instance import logs
    from modelseal.instance.listening import Listening
    from modelseal.instance.upstream import read_issuers
    from modelseal.instance.users import UsersFile

    try:
        from modelseal.instance.server import serve
    except ImportError as error:
        raise UsageError(
            "extra-missing",
            f"Running an instance needs {error.name}, which is not installed.",
            "Install it with: pip install 'modelseal[instance]'",
        ) from error

    logs.configure(as_json=options.log_format == "json")
    serve(
        _data(options),
        listening=Listening(
            options.host, options.port, options.public_url,
            options.tls_certificate, options.tls_key, options.proxy,
        ),
        users=None if options.users is None else UsersFile(options.users),
        upstream=None if options.issuers is None else read_issuers(options.issuers),
        ready=_ready,
    )  # fmt: skip


def _ready(url: str) -> None:
    answer(url)
    flush()  # whoever waits for the line reads a pipe


def _token(options: Options) -> None:
    import time

    from modelseal.instance import state, tokens

    who = tokens.parse_identity(options.identity)
    at_rest = state.started(_data(options))
    answer(
        tokens.mint(at_rest.keys.oidc, at_rest.url, who, audience=options.audience, now=time.time())
    )


def _hash_password(options: Options) -> None:
    from modelseal.instance.tokens import parse_identity
    from modelseal.instance.users import format_user

    parse_identity(options.identity)  # before anybody types a password
    password = _password_from_stdin() if options.password_stdin else _typed_password()
    answer(format_user(options.identity, password))


def _password_from_stdin() -> str:
    data = sys.stdin.buffer.read(_PASSWORD_LIMIT + 1) if sys.stdin else b""
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        message = "The password on stdin is not UTF-8, as browsers send it."
        raise UsageError("no-password", message, "Convert it.") from error
    if len(lines) != 1 or len(data) > _PASSWORD_LIMIT:
        message = "Stdin does not have one line with the password."
        raise UsageError("no-password", message, "printf '%s' \"$PASSWORD\" | modelseal ...")
    return lines[0]


def _typed_password() -> str:
    import warnings
    from getpass import GetPassWarning, getpass

    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)  # it would be shown while it is typed
        try:
            # Not on stdout, which goes to the file; not as an option, which other users can see.
            password = getpass("Password: ", sys.stderr)
            again = getpass("Repeat for confirmation: ", sys.stderr)
        except (GetPassWarning, EOFError, AttributeError) as error:  # the last for closed stdin
            message = "There is no terminal at which to type the password."
            raise UsageError("no-password", message, "Pipe it in: --password-stdin") from error
    if password != again:
        raise UsageError("no-password", "The two passwords differ.", "Type it twice.")
    return password


def _add_backup(parser: Parser) -> None:
    parser.set_defaults(command=_back_up)
    _add_data(parser)
    parser.add_argument("--out", type=Path, metavar="F", required=True, help="A new file.")


def _back_up(options: Options) -> None:
    from modelseal.instance import backup

    size = backup.back_up(_data(options), options.out)
    say(f"Backed up the instance with {size} log entries to {shown(str(options.out))}.")
    say("It holds the private keys: keep it as safe as the instance.")


def _add_restore(parser: Parser) -> None:
    parser.set_defaults(command=_restore)
    _add_data(parser)
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="A file of `backup`.")


def _restore(options: Options) -> None:
    from modelseal.instance import backup

    size = backup.restore(options.backup, _data(options))
    say(f"Restored an instance with {size} log entries.")
    say(
        "Entries that it took after the backup are lost, and whoever saw them will see a forked "
        "log: tell those who monitor it."
    )


def _add_rotate(parser: Parser) -> None:
    parser.set_defaults(command=_rotate)
    _add_data(parser)
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE",
        help="ca, ct, log or tsa. [default: all of them]",
    )  # fmt: skip
    parser.add_argument(
        "--in", dest="days", type=_days, default=7, metavar="DAYS",
        help="When the new keys begin to sign: clients need the time to learn of them. "
        "[default: 7]",
    )  # fmt: skip


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 0 to {_MAX_DAYS}")
    return int(text)


def _rotate(options: Options) -> None:
    from datetime import UTC, datetime, timedelta

    from modelseal.instance import keys, state

    names = list(dict.fromkeys(options.services)) or list(keys.ROTATED)
    if unknown := [name for name in names if name not in keys.ROTATED]:
        raise UsageError(
            "bad-options", f"{shown(unknown[0])!r} has no key that can be rotated.",
            f"The services are {', '.join(keys.ROTATED)}.",
        )  # fmt: skip
    now = datetime.now(UTC)
    at = now + timedelta(days=options.days)
    with state.locked(_data(options)):
        state.rotate(_data(options), names, at, now)
    say(f"New keys of {', '.join(names)} sign from {at:%Y-%m-%d %H:%M} UTC on.")
    say(
        "Start the instance: it publishes them by TUF. Where a trust config or trusted root was "
        "handed out as a file, hand out the new one before that day."
    )


def _add_document(parser: Parser, name: str) -> None:
    parser.set_defaults(command=_document, document=name)
    _add_data(parser)
    parser.add_argument(
        "--instance", dest="url", metavar="URL", help="Ask a running instance instead."
    )
    parser.add_argument("--out", type=Path, metavar="F", help="Write to this file.")
    if name == "root":
        parser.add_argument(
            "--fingerprint", action="store_true", help="Print its SHA-256, not the root."
        )


def _document(options: Options) -> None:
    from modelseal import outputs
    from modelseal.instance import fetch

    if options.url is not None and options.data is not None:
        raise UsageError("bad-options", "Give --data or --instance, not both.")
    if options.url is None:
        body = fetch.from_folder(_data(options), options.document)
    else:
        body = fetch.from_url(options.url, options.document)
        say(
            f"warning: this {_DOCUMENTS[options.document]} was downloaded, and nothing vouches "
            "for it: compare it with the operator's."
        )
    if options.document == "root" and options.fingerprint:
        body = f"sha256:{sha256(body).hexdigest()}\n".encode()
    if options.out is None:
        answer(body.decode(), end="")
    else:
        outputs.write(options.out, body)
