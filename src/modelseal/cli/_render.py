# SPDX-License-Identifier: Apache-2.0
"""How verdicts and signatures are printed: as text for people, or as one JSON document."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    UNDECIDED,
    answer,
    error_to_dict,
    exit_code,
    is_quiet,
    note,
    print_document,
    say,
    say_error,
    styled,
)
from modelseal.errors import shown
from modelseal.files import own_descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.cli._progress import Progress
    from modelseal.cli._sign_elsewhere import Elsewhere
    from modelseal.errors import ModelSealError
    from modelseal.policy.verdict import Verdict
    from modelseal.signing.signed import Signed

_STDOUT = 1  # the descriptor


def print_verdicts(
    verdicts: Sequence[Verdict],
    progress: Progress | None = None,
    *,
    as_json: bool,
    counted: bool = False,
    command: str = "verify",
    stream: TextIO | None = None,
) -> int:
    """Print the verdicts, in their order, and how many there are of each; return the exit code.

    The count of a single one is printed only if it is to be `counted`. Text goes to `stream`,
    stdout or stderr.
    """
    code = exit_code_for(verdicts)
    if as_json:
        print_document(command, code, verdicts=[verdict.to_dict() for verdict in verdicts])
        return code
    for verdict in verdicts:
        print_verdict(verdict, stream or sys.stdout)
    for source in sorted({verdict.trust for verdict in verdicts} - {""}):
        note(f"trust root: {shown(source)}")
    if len(verdicts) > 1 or counted:
        statuses = Counter("unsigned" if v.code == "unsigned" else v.status for v in verdicts)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        models = "1 model" if len(verdicts) == 1 else f"{len(verdicts)} models"
        note(f"{models}: {counts}{_work(progress)}")
    return code


def is_stdout(path: str | Path) -> bool:
    """Return whether `path` names stdout, so that what goes there is not to be mixed."""
    return own_descriptor(Path(path)) == _STDOUT


def print_signed(
    signed: Sequence[Signed],
    progress: Progress | None = None,
    *,
    of: int,
    failed: ModelSealError | None,
    as_json: bool,
) -> int:
    """Print what was signed, of so many models, and why the next one `failed`; return the code."""
    code = ACCEPTED if failed is None else exit_code(failed)
    if as_json:
        error = {} if failed is None else {"error": error_to_dict(failed)}
        print_document("sign", code, signed=[one.to_dict() for one in signed], **error)
        return code
    _print_signed(signed)
    if len(signed) > 1 and failed is None:
        note(f"{len(signed)} models signed{_work(progress)}")
    if failed is not None:
        say_error(failed)
        say(f"{len(signed)} of {of} models were signed before that, and stay signed")
    return code


def _print_signed(signed: Sequence[Signed]) -> None:
    for warning in (warning for one in signed for warning in one.warnings):
        say(f"warning: {warning}")
    if is_quiet():
        return
    for one in signed:
        tell, stream = (say, sys.stderr) if is_stdout(one.bundle) else (answer, sys.stdout)
        tell(styled("SIGNED ", "green", stream) + shown(str(one.path)))
        tell(f"  signer     {shown(str(one.signer))}")
        tell(f"  log index  {'not logged' if one.log_index is None else one.log_index}")
        tell(f"  bundle     {shown(str(one.bundle))}")


def print_signed_elsewhere(signed: Sequence[Elsewhere], *, as_json: bool) -> int:
    """Print what was signed in buckets; return the exit code."""
    if as_json:
        said = [{**one.signed.to_dict(), "model": one.uri, "bundle": one.bundle} for one in signed]
        print_document("sign", ACCEPTED, signed=said)
        return ACCEPTED
    for one in () if is_quiet() else signed:
        answer(styled("SIGNED ", "green") + shown(one.uri))
        answer(f"  signer     {shown(str(one.signed.signer))}")
        answer(f"  bundle     {shown(one.bundle)}")
    return ACCEPTED


def print_verdict(verdict: Verdict, stream: TextIO) -> None:
    """Print what was decided about one model, and what is to be said about it."""
    tell = say if stream is sys.stderr else answer
    name = shown(verdict.model)
    if verdict.warned:  # never quiet: somebody would have to look at it
        tell(
            f"{styled('WARNING ', 'yellow', stream)}{name}: accepted, for the policy only warns: "
            f"[{verdict.code}] {verdict.message}"
        )
        return
    if verdict:
        if not is_quiet():
            when = f" at {verdict.time:%Y-%m-%d %H:%M:%S} UTC" if verdict.time else ""
            names = ", ".join(shown(str(signer)) for signer in verdict.signers)
            signed = f"signed by {names}{when}"
            tell(f"{styled('OK ', 'green', stream)}{name}: {signed}")
            _print_notes(verdict)
        return
    word = "FAIL " if verdict.status == "refused" else "UNDECIDED "
    tell(f"{styled(word, 'red', stream)}{name}: [{verdict.code}] {verdict.message}")
    if verdict.hint:
        say(f"hint: {verdict.hint}")


def _print_notes(verdict: Verdict) -> None:
    from modelseal.policy.verdict import NOTE, STAT_CACHE

    for check in verdict.checks:
        if check.name in {NOTE, STAT_CACHE}:
            note(f"note: {check.detail}")
    if verdict.until is not None:
        note(f"note: this verifies until {verdict.until:%Y-%m-%d %H:%M:%S} UTC")
    for path in verdict.not_signed:
        note(f"note: '{shown(path)}' was left out by the signer and not checked")


def exit_code_for(verdicts: Sequence[Verdict]) -> int:
    """Return the exit code that these verdicts mean together."""
    statuses = {verdict.status for verdict in verdicts}
    if "refused" in statuses:
        return REFUSED
    return UNDECIDED if "undecided" in statuses else ACCEPTED


def _work(progress: Progress | None) -> str:
    """Return how much was read in which time, if that was counted."""
    if progress is None or not progress.done:
        return ""
    from rich.filesize import decimal

    rate = decimal(int(progress.done / max(progress.seconds, 0.001)))
    return f"; read {decimal(progress.done)} in {progress.seconds:.1f} s ({rate}/s)"
