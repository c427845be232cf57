# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format
from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    UNDECIDED,
    answer,
    byte_progress,
    print_json,
    say,
    styled,
)
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.cli._options import Options, Parser
    from modelseal.model.hashing import Progress
    from modelseal.model.stat_cache import StatCache
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.managed import Managed, TrustedKey

HELP = """\
Verify who signed models, and every byte of them, offline (unless with --refresh).

Exit code: 0 all accepted, 1 one refused, 2 wrong usage, 3 one undecided.

Examples:
  modelseal verify model/ --identity alice@example.com --issuer https://issuer.example \\
      --trusted-root trusted_root.json
  modelseal verify *.joblib --identity alice@example.com --issuer https://issuer.example \\
      --format json
  modelseal verify model/ --key release.pub
  modelseal verify model/ --key alice.pub --key bob.pub --key carol.pub --threshold 2
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="Models: files or folders.")
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
        "--threshold", type=int, metavar="N",
        help="How many of several identities or keys must have signed. [default: all]",
    )  # fmt: skip
    root = parser.add_argument_group("what is believed (default: the public Sigstore instance)")
    root.add_argument("--trusted-root", metavar="FILE", help="This trusted root.")
    root.add_argument("--trust-config", metavar="FILE", help="The root in this trust config.")
    root.add_argument("--instance", metavar="URL", help="What this instance last published.")
    root.add_argument("--staging", action="store_true", help="The Sigstore staging instance.")
    root.add_argument(
        "--refresh", action="store_true", help="Ask the instance by TUF for its root of today."
    )
    add("--bundle", metavar="FILE", help="The bundle, if it is not beside or inside.")
    add(
        "--verifier", choices=("modelseal", "sigstore", "both"), default="modelseal",
        help="Whose checks of the signature count; with both, they must agree. "
        "[default: modelseal]",
    )  # fmt: skip
    add(
        "--trust-stat-cache", action="store_true",
        help="Do not read files that look as at the last `sign --update`. "
        "Not proof; the answer says.",
    )  # fmt: skip
    add_format(parser)
    add_defaults(parser, SIGNER, TRUST)


def run(options: Options) -> int:
    """Verify; return the exit code."""
    apply_defaults(options, SIGNER, TRUST)
    _check(options)
    root = _root(options)
    with byte_progress("Verifying") as progress:
        verdicts = _verdicts(options, root, progress)
    if options.output == "json":
        print_json([verdict.to_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict)
        for source in sorted({verdict.trust for verdict in verdicts} - {""}):
            say(f"trust root: {shown(source)}")
    return _exit_code(verdicts)


def _check(options: Options) -> None:
    """Check that the options go together."""
    _check_one_way(options.identities, options.issuers, options.keys, options.certificate_chain)
    if options.bundle is not None and len(options.paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    alone = (options.bundle, options.certificate_chain, options.trust_stat_cache or None)
    if _are_several(options) and any(one is not None for one in alone):
        raise UsageError(
            "bad-options",
            "--bundle, --certificate-chain and --trust-stat-cache are for one signer, and several "
            "or a --threshold were given.",
            "Leave them out, or verify one signer at a time.",
        )


def _check_one_way(
    identities: Sequence[str], issuers: Sequence[str], keys: Sequence[str], chain: str | None
) -> None:
    if [bool(identities or issuers), bool(keys), chain is not None].count(True) != 1:
        raise UsageError(
            "whose-signature",
            "Say who must have signed, in one way.",
            "Give --identity and --issuer, or --key, or --certificate-chain.",
        )
    if len(identities) != len(issuers):
        raise UsageError("whose-signature", "--identity and --issuer go together.")


def _are_several(options: Options) -> bool:
    several: bool = (
        options.threshold is not None or len(options.identities) > 1 or len(options.keys) > 1
    )
    return several


def _root(options: Options) -> TrustRoot | None:
    """Return the root to believe; none for a key, which is believed as it is, unless one is named.

    Who saw the signature of a key counts only then.
    """
    named = (options.trusted_root, options.trust_config, options.instance)
    wanted = options.identities or options.staging or options.refresh
    if not wanted and all(one is None for one in named):
        return None
    from modelseal.trust import trust_root as trust

    return trust.choose(
        trusted_root=options.trusted_root, trust_config=options.trust_config,
        instance=options.instance, staging=options.staging, refresh=options.refresh,
    )  # fmt: skip


def _verdicts(options: Options, root: TrustRoot | None, progress: Progress | None) -> list[Verdict]:
    pairs = list(zip(options.identities, options.issuers, strict=True))
    if _are_several(options):
        return _several(options, pairs, root, progress)
    if root is not None and pairs:
        return _by_identity(options, pairs[0], root, progress)
    return _managed(options, root, progress)


def _by_identity(
    options: Options, pair: tuple[str, str], root: TrustRoot, progress: Progress | None
) -> list[Verdict]:
    from modelseal.policy.rules import Policy

    policy = Policy.for_signer(*pair, options.verifier)
    if not options.trust_stat_cache:
        from modelseal.admission.many import check_all

        return check_all(options.paths, policy, root, options.bundle, progress)
    from modelseal.admission.verify import check
    from modelseal.model import stat_cache

    return [
        check(path, policy, root, options.bundle, progress, cache=stat_cache.load(path))
        for path in options.paths
    ]


def _managed(options: Options, root: TrustRoot | None, progress: Progress | None) -> list[Verdict]:
    from modelseal.admission.verify import check_managed

    believed = _believed(options.keys, options.certificate_chain)
    caches: list[StatCache | None] = [None for _ in options.paths]
    if options.trust_stat_cache:
        from modelseal.model import stat_cache

        caches = [stat_cache.load(path) for path in options.paths]
    return [
        check_managed(path, believed, root, options.bundle, progress, cache=cache)
        for path, cache in zip(options.paths, caches, strict=True)
    ]


def _several(
    options: Options,
    pairs: list[tuple[str, str]],
    root: TrustRoot | None,
    progress: Progress | None,
) -> list[Verdict]:
    from modelseal.admission.several import check_identities, check_keys

    wanted = options.threshold
    if root is not None and pairs:
        wanted = len(set(pairs)) if wanted is None else wanted
        return [
            check_identities(
                path, pairs, wanted, root, verifier=options.verifier, progress=progress
            )
            for path in options.paths
        ]
    believed = [_key(key) for key in options.keys]
    wanted = len(believed) if wanted is None else wanted
    return [check_keys(path, believed, wanted, root, progress=progress) for path in options.paths]


def _key(path: str) -> TrustedKey:
    from modelseal.trust import keys
    from modelseal.verification import managed

    return managed.TrustedKey(keys.load_public(Path(path)))


def _believed(named: Sequence[str], chain: str | None) -> Managed:
    from modelseal.trust import keys
    from modelseal.verification import managed

    if named:
        return _key(named[0])
    return managed.TrustedChain(keys.load_certificates(Path(chain or "")))


def _print(verdict: Verdict) -> None:
    from modelseal.policy.verdict import NOTE, STAT_CACHE

    name = shown(verdict.model)
    if verdict:
        when = f" at {verdict.time:%Y-%m-%d %H:%M:%S} UTC" if verdict.time else ""
        signed = f"signed by {shown(str(verdict.signer))}{when}"
        answer(f"{styled('OK ', 'green')}{name}: {signed}")
        for check in verdict.checks:
            if check.name in {NOTE, STAT_CACHE}:
                say(f"note: {check.detail}")
        for path in verdict.not_signed:
            say(f"note: '{shown(path)}' was left out by the signer and not checked")
        return
    word = "FAIL " if verdict.status == "refused" else "UNDECIDED "
    answer(f"{styled(word, 'red')}{name}: [{verdict.code}] {verdict.message}")
    if verdict.hint:
        say(f"hint: {verdict.hint}")


def _exit_code(verdicts: list[Verdict]) -> int:
    statuses = {verdict.status for verdict in verdicts}
    if "refused" in statuses:
        return REFUSED
    return UNDECIDED if "undecided" in statuses else ACCEPTED
