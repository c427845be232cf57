# SPDX-License-Identifier: Apache-2.0
"""Options that say who must have signed, for the commands that verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from modelseal.cli._options import add_trust, trust_of
from modelseal.errors import UsageError

if TYPE_CHECKING:
    from modelseal.admission.request import Request
    from modelseal.cli._options import Options, Parser


def add_signers(parser: Parser) -> None:
    """Add the options that `request_of` reads."""
    add = parser.add_argument
    who = parser.add_argument_group("who must have signed")
    who.add_argument(
        "--identity", "--certificate-identity", "--cert-identity", dest="identities",
        action="append", default=[], metavar="ID",
        help="An e-mail address or a URI. May be repeated, with its issuer.",
    )  # fmt: skip
    who.add_argument(
        "--issuer", "--certificate-oidc-issuer", "--cert-oidc-issuer", dest="issuers",
        action="append", default=[], metavar="URL",
        help="Who must have vouched for that identity.",
    )  # fmt: skip
    who.add_argument(
        "--key", dest="keys", action="append", default=[],
        metavar="PEM", help="The owner of this public key. May be repeated.",
    )  # fmt: skip
    who.add_argument(
        "--certificate-chain", metavar="PEM", help="Somebody with a certificate of this CA."
    )
    who.add_argument(
        "--certificate-subject", metavar="NAME",
        help="Whose certificate of that CA: its subject, or a name in it.",
    )  # fmt: skip
    who.add_argument(
        "--publisher", dest="publishers", action="append", default=[], metavar="NAME",
        help="This known publisher (modelseal publishers list). May be repeated.",
    )  # fmt: skip
    who.add_argument(
        "--policy", metavar="FILE", help="Whoever this policy accepts (docs/policy.md)."
    )
    who.add_argument(
        "--policy-signer", metavar="SIGNER",
        help="Who must have signed that policy: the file of a public key, or "
        "identity=ID,issuer=URL.",
    )  # fmt: skip
    who.add_argument(
        "--threshold", type=int, metavar="N",
        help="How many of several identities or keys must have signed. [default: all]",
    )  # fmt: skip
    who.add_argument(
        "--not-logged", "--insecure-ignore-tlog", dest="logged", action="store_const", const=False,
        help="Take signatures by --key or --certificate-chain that are in no log, though the "
        "trusted root names one.",
    )  # fmt: skip
    add_trust(parser)
    add(
        "--verifier", choices=("modelseal", "sigstore", "both"),
        help="Whose checks of the signature count; with both, they must agree. "
        "[default: modelseal]",
    )  # fmt: skip
    add(
        "--ignore-unsigned", action="append", default=[], metavar="PATTERN",
        help="Let files be there that nobody signed: a glob over their names, a folder with / at "
        "the end. May be repeated.",
    )  # fmt: skip


def request_of(options: Options) -> Request:
    """Return what the options of `add_signers` ask for, as the functions of the package take it.

    Raises:
        UsageError: an identity without its issuer, or the other way round.
    """
    if len(options.identities) != len(options.issuers):
        raise UsageError("whose-signature", "--identity and --issuer go together.")
    request: Request = {"trust": trust_of(options)}
    if options.identities:
        request["signers"] = list(zip(options.identities, options.issuers, strict=True))
    given = ((name, getattr(options, dest)) for name, dest in _ARGUMENTS.items())
    return cast("Request", {**request, **{k: v for k, v in given if v not in (None, [])}})


# The names of arguments of the package, and of options that mean the same.
_ARGUMENTS = {
    "key": "keys",
    "certificate_authority": "certificate_chain",
    "certificate_subject": "certificate_subject",
    "publisher": "publishers",
    "policy": "policy",
    "policy_signer": "policy_signer",
    "logged": "logged",
    "threshold": "threshold",
    "verifier": "verifier",
    "ignore_unsigned": "ignore_unsigned",
}
