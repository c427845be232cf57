# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal fetch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format
from modelseal.cli._progress import byte_progress
from modelseal.cli._run import ACCEPTED, answer, flush, is_quiet, note, print_document, styled
from modelseal.cli._signers import add_signers, request_of
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from modelseal.admission.fetch import Asker, Fetched
    from modelseal.admission.fetch_pin import Pin
    from modelseal.cli._options import Options, Parser

HELP = """\
Fetch a model from a hub, bucket or registry, and verify it before anybody sees it.

First prints the immutable revision that the URI is now. The signatures are looked at before the
rest is downloaded. DIR appears, whole, once the model is accepted; it has only what was signed.

Examples:
  modelseal fetch hf://org/name --policy policy.toml --out name --pin name.lock
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("uri", metavar="URI", help="Where the model is (docs/sources.md).")
    add("--out", required=True, type=Path, metavar="DIR", help="The folder to make of it.")
    add(
        "--pin", type=Path, metavar="FILE",
        help="Write revision and root digest to this file, or fetch just those if it is there. "
        "If DIR is there too, verify it without asking anybody.",
    )  # fmt: skip
    add(
        "--unpack", action="store_true",
        help="Make DIR of what is in an archive. A signed archive is verified before; of any other "
        "the contents are, before anybody sees them.",
    )  # fmt: skip
    add("--bundle", metavar="FILE", help="The signature, if it is not with the model.")
    add_signers(parser)
    add_format(parser)
    add_defaults(parser, SIGNER, TRUST)


def run(options: Options) -> int:
    """Fetch; return the exit code."""
    from modelseal.admission import fetch_pin
    from modelseal.admission.fetch import Asker
    from modelseal.admission.request import asked

    apply_defaults(options, SIGNER, TRUST)
    if options.unpack and options.pin is not None:
        message = "A pin is of files as they were fetched, and --unpack changes them."
        raise UsageError("bad-options", message, "Leave out --pin, or --unpack.")
    policy, verifier = asked(**request_of(options))
    bundle = None if options.bundle is None else Path(options.bundle)
    asker = Asker(policy, verifier, bundle, options.unpack)
    pin = None if options.pin is None else fetch_pin.load(options.pin)
    fetched = _before(options, asker, pin) or _fetched(options, asker, pin)
    return _print(fetched, as_json=options.output == "json")


def _before(options: Options, asker: Asker, pin: Pin | None) -> Fetched | None:
    """Return what is there already, if it is what was pinned."""
    from modelseal.admission.fetch import fetched_before

    if pin is None:
        return None
    pin.check_uri(options.uri)
    found = fetched_before(options.out, asker, pin)
    if found is not None:
        note(f"nothing to fetch: '{shown(str(options.out))}' is what was pinned")
    return found


def _fetched(options: Options, asker: Asker, pin: Pin | None) -> Fetched:
    from modelseal.admission import fetch, fetch_pin

    remote = fetch.find(options.uri, pin)
    if options.output != "json" and not is_quiet():
        answer(f"revision {shown(remote.resolved.revision)}")
        flush()  # before anything that takes long
    with byte_progress("Fetching", size=remote.resolved.size) as progress:
        fetched = fetch.fetch(remote, options.out, asker, progress or (lambda _: None), pin=pin)
    if pin is None and options.pin is not None:
        fetch_pin.save(options.pin, fetch.pin_of(remote, fetched))
    return fetched


def _print(fetched: Fetched, *, as_json: bool) -> int:
    verdict = fetched.verdict
    if as_json:
        print_document(
            "fetch", ACCEPTED, path=str(fetched.path), revision=verdict.model,
            verdict=verdict.to_dict(),
        )  # fmt: skip
        return ACCEPTED
    from modelseal.cli._render import print_verdict

    print_verdict(verdict, sys.stdout)
    if not is_quiet():
        answer(f"{styled('FETCHED ', 'green')}{shown(str(fetched.path))}")
    return ACCEPTED
