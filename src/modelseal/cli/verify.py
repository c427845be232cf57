# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import JOBS, SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_jobs, path_or_uri, reading_of
from modelseal.cli._progress import byte_progress
from modelseal.cli._signers import add_signers, request_of
from modelseal.errors import UsageError

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser
    from modelseal.model.digests import Reading
    from modelseal.model.stat_cache import StatCache
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.verification.verifier import Verifier

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
  modelseal verify --recursive models/ --key release.pub
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add(
        "paths", nargs="+", type=path_or_uri, metavar="PATH",
        help="Models: files or folders, or URIs of models elsewhere (docs/sources.md).",
    )  # fmt: skip
    add_signers(parser)
    add(
        "--recursive", action="store_true",
        help="Verify all models in these folders, however deep; an unsigned one is refused.",
    )  # fmt: skip
    add("--bundle", metavar="FILE", help="The bundle, if it is not beside or inside.")
    add(
        "--trust-stat-cache", action="store_true",
        help="Do not read files that look as at the last `sign --update`. "
        "Not proof; the answer says.",
    )  # fmt: skip
    add(
        "--fail-fast", action="store_true",
        help="Read no more of a model when one of its files has changed.",
    )  # fmt: skip
    add_jobs(parser)
    add_format(parser)
    add_defaults(parser, SIGNER, TRUST, JOBS)


def run(options: Options) -> int:
    """Verify; return the exit code."""
    from modelseal.admission.request import asked

    apply_defaults(options, SIGNER, TRUST, JOBS)
    _check(options)
    elsewhere = [one for one in options.paths if isinstance(one, str)]
    options.paths = [one for one in options.paths if isinstance(one, Path)]
    if options.recursive:
        options.paths = _models_in(options.paths)
    policy, verifier = asked(**request_of(options))
    with byte_progress("Verifying", options.paths) as progress:
        reading = reading_of(options, progress)._replace(fail_fast=options.fail_fast)
        verdicts = _verdicts(options, policy, verifier, reading)
    verdicts += [_elsewhere(one, options, policy, verifier) for one in elsewhere]
    from modelseal.cli._render import print_verdicts

    return print_verdicts(
        verdicts, progress, as_json=options.output == "json", counted=options.recursive
    )


def _check(options: Options) -> None:
    """Check that the options go together."""
    several = len(options.paths) != 1 or options.recursive
    if any(isinstance(one, str) for one in options.paths):
        _check_elsewhere(options)
    if options.bundle is not None and several:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    signers = max(len(options.identities), len(options.keys))
    wanted = signers if options.threshold is None else options.threshold
    if options.bundle is not None and wanted > 1:
        raise UsageError(
            "bad-options",
            f"--bundle names one signature, and {wanted} signers must have signed.",
            "Leave out --bundle, or verify one signer at a time.",
        )


def _check_elsewhere(options: Options) -> None:
    for flag in ("recursive", "trust_stat_cache"):
        if getattr(options, flag):
            message = f"--{flag.replace('_', '-')} is about folders, not about URIs."
            raise UsageError("bad-options", message, "Leave it out, or name folders.")


def _models_in(paths: list[Path]) -> list[Path]:
    from modelseal.admission.discover import discover

    return list(dict.fromkeys(model for path in paths for model in discover(path)))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _elsewhere(uri: str, options: Options, policy: Policy, verifier: Verifier) -> Verdict:
    """Return the verdict on the model at `uri`, which is downloaded to a temporary folder."""
    from modelseal.admission.fetch import Asker, check_remote, find

    remote = find(uri)
    with byte_progress("Fetching", size=remote.resolved.size) as progress:
        asker = Asker(policy, verifier, _path(options.bundle))
        return check_remote(remote, asker, progress or (lambda _: None))


def _verdicts(
    options: Options, policy: Policy, verifier: Verifier, reading: Reading
) -> list[Verdict]:
    if len(options.paths) > 1 and not options.trust_stat_cache:
        from modelseal.admission.many import check_all

        return check_all(options.paths, policy, verifier, reading)
    from modelseal.admission.check import check

    caches: list[StatCache | None] = [None for _ in options.paths]
    if options.trust_stat_cache:
        from modelseal.model import stat_cache

        caches = [stat_cache.load(path) for path in options.paths]
    return [
        check(path, policy, verifier, _path(options.bundle), reading._replace(cache=cache))
        for path, cache in zip(options.paths, caches, strict=True)
    ]
