# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal evidence`: what an auditor gets about a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._options import add_format, add_trust, trust_of
from modelseal.cli._render import print_verdicts
from modelseal.cli._run import answer, is_quiet, note, print_document
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Put all that a verdict on a model rests on into a folder, for an auditor.

The signatures, what they sign, the verdict with its checks, the policy, the
trusted root, the accepted keys, and the lines of the log of decisions; with a
README of the commands that check it: modelseal, cosign, sigstore-python and
sha256sum, all of them offline. The model itself is not copied.

Exit code: 0 the model is accepted, 1 refused, 3 undecided. The folder is
written in any case.

Examples:
  modelseal evidence models/digits --policy policy.toml --out evidence/
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("path", type=Path, metavar="PATH", help="The model: a file or a folder.")
    add("--policy", type=Path, required=True, metavar="FILE", help="The policy of the server.")
    add("--out", type=Path, required=True, metavar="DIR", help="The folder, which must be new.")
    add("--bundle", type=Path, metavar="FILE", help="The bundle, if not beside or inside.")
    add_trust(parser)
    add_format(parser)


def run(options: Options) -> int:
    """Write the evidence; return the exit code of the verdict."""
    from modelseal.admission import dossier
    from modelseal.admission.request import verifier_for
    from modelseal.policy import document

    policy = document.load(options.policy)
    verifier = verifier_for(policy, trust_of(options))
    done = dossier.write(
        options.path, options.policy, policy, verifier, options.out, bundle=options.bundle
    )
    if options.output == "json":
        code = {"accepted": 0, "refused": 1, "undecided": 3}[done.verdict.status]
        print_document(
            "evidence", code, folder=str(done.folder), files=list(done.files),
            decisions=done.decisions, verdict=done.verdict.to_dict(),
        )  # fmt: skip
        return code
    code = print_verdicts([done.verdict], as_json=False)
    if not is_quiet():
        answer(f"EVIDENCE {shown(str(done.folder))}: {len(done.files)} files")
        note(f"{done.decisions} lines of the log of decisions are about this model")
    return code
