# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal trust`: which instances of Sigstore this machine trusts."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, is_quiet, print_document, styled
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.cli._options import Options, Parser
    from modelseal.trust.instances import Instance

HELP = """\
Choose which instances of Sigstore this machine trusts by their URL.

Examples:
  modelseal trust add https://sigstore.example root.json
  modelseal trust add https://sigstore.example --fingerprint sha256:1f0c...
  modelseal trust list
  modelseal verify model/ --instance https://sigstore.example --identity ...
"""

_ADD = """\
Trust the instance at URL from now on, for `sign --instance URL` and `verify --instance URL`. What
it publishes is fetched by TUF, and followed when its keys change.

Trust begins with its root.json, which must come from its operator by a way that is trusted itself;
or with the SHA-256 of that file, and the file is fetched from the instance. The sigstore command
then trusts the instance too.
"""


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    commands = parser.commands()
    add = commands.add_parser("add", description=_ADD, help="Trust an instance.")
    add.set_defaults(command=_add)
    _add_url(add)
    add.add_argument(
        "root", nargs="?", type=Path, metavar="ROOT", help="The root.json from its operator."
    )
    add.add_argument(
        "--fingerprint", metavar="SHA256", help="The SHA-256 of its root.json, from its operator."
    )
    add_format(add)
    listing = commands.add_parser(
        "list", help="List the instances that are trusted.",
        description="List the instances that are trusted, and how old is what is known of them.",
    )  # fmt: skip
    listing.set_defaults(command=_list)
    add_format(listing)
    remove = commands.add_parser(
        "remove", help="Stop trusting an instance.",
        description="Stop trusting an instance, and forget what it published.",
    )  # fmt: skip
    remove.set_defaults(command=_remove)
    _add_url(remove)
    add_format(remove)


def _add_url(parser: Parser) -> None:
    parser.add_argument("url", metavar="URL", help="Where the instance is.")


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    options.command(options)
    return ACCEPTED


def _add(options: Options) -> None:
    from modelseal.trust import published

    url = published.url_of(options.url, staging=False)[0]
    if (options.root is None) == (options.fingerprint is None):
        raise UsageError(
            "root-needed",
            "Give either the root.json of the instance, or the --fingerprint of that file.",
            "Its operator has them, with: modelseal instance root",
        )
    from modelseal.trust import _tuf, instances

    if options.root is not None:
        from modelseal.files import read_trusted

        root, source = read_trusted(options.root, _tuf.ROOT_LIMIT, "TUF root"), str(options.root)
    else:
        root = _tuf.find_root(url, _tuf.parse_fingerprint(options.fingerprint))
        source = f"the TUF root of {url}"
    _tuf.check_root(root, source)
    _tuf.add(url, root)
    instance = instances.look_up(url)
    if options.output == "json":
        print_document("trust add", ACCEPTED, instances=[_to_dict(instance)])
    elif not is_quiet():
        answer(styled("TRUSTED ", "green") + shown(url))
        _print_details(instance)


def _list(options: Options) -> None:
    from modelseal.trust import instances

    found = instances.known()
    if options.output == "json":
        print_document("trust list", ACCEPTED, instances=[_to_dict(instance) for instance in found])
        return
    for instance in found:
        name = f" ({instance.name})" if instance.name else ""
        answer(f"{shown(instance.url)}{name}")
        _print_details(instance)


def _remove(options: Options) -> None:
    from modelseal.trust import instances, published

    url = published.url_of(options.url, staging=False)[0]
    instances.forget(url)
    if options.output == "json":
        print_document("trust remove", ACCEPTED, removed=url)
    elif not is_quiet():
        answer(f"'{shown(url)}' is not trusted any more.")


def _print_details(instance: Instance) -> None:
    for label, text in _details(instance):
        answer(f"  {label:13} {text}")


def _details(instance: Instance) -> Iterator[tuple[str, str]]:
    root, trusted_root = instance.tuf_root, instance.trusted_root
    if trusted_root is None:
        yield "trusted root", styled("none that can be used: verify --refresh fetches it", "red")
    else:
        newest = trusted_root.newest_key
        yield "trusted root", f"sha256:{sha256(trusted_root.json).hexdigest()}"
        yield "newest key", "of no readable date" if newest is None else f"{newest:%Y-%m-%d}"
    yield "current", _until(instance.current_until)
    if root is not None:
        yield "TUF root", f"version {root.version}, sha256:{root.sha256}"
        yield "", _until(root.expires)


def _until(moment: datetime | None) -> str:
    if moment is None:
        return "never refreshed by TUF"
    if moment <= datetime.now(UTC):
        return styled(f"expired on {moment:%Y-%m-%d}", "yellow")
    return f"until {moment:%Y-%m-%d}"


def _to_dict(instance: Instance) -> dict[str, Any]:
    root, trusted_root = instance.tuf_root, instance.trusted_root
    return {
        "url": instance.url,
        "name": instance.name,
        "trusted_root": trusted_root and {
            "sha256": sha256(trusted_root.json).hexdigest(),
            "newest_key": _iso(trusted_root.newest_key),
        },
        "current_until": _iso(instance.current_until),
        "tuf_root": root and {
            "version": root.version, "expires": _iso(root.expires), "sha256": root.sha256,
        },
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
