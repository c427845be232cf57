# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal exec`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_trust, trust_of
from modelseal.cli._progress import byte_progress
from modelseal.errors import PolicyRefused, UsageError

if TYPE_CHECKING:
    from modelseal.admission.admit import Snapshot
    from modelseal.admission.request import Request
    from modelseal.cli._options import Options, Parser
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.servers.exec import NamedModel
    from modelseal.verification.verifier import Verifier

HELP = """\
Admit models, then run any server on the verified copies of them.

In the command {NAME} becomes the path of the copy of the model NAME, which is
also in the environment as MODELSEAL_MODEL_NAME. The command takes the place of
modelseal: same process, streams and signals, and its exit code. If a model is
refused it is never started.

Exit code: that of the command; else 1 a model or the command refused, 2 wrong
usage, 3 undecided.

Examples:
  modelseal exec --policy policy.toml --model llm=/srv/models/llm -- \\
      vllm serve {llm} --port 8000
  modelseal exec --policy policy.toml --model digits=models/digits -- \\
      uvicorn app:app
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.takes_command = True
    parser.usage = "modelseal exec [OPTIONS] --policy FILE --model NAME=PATH [--] COMMAND ..."
    add = parser.add_argument
    add(
        "--model", dest="models", action="append", default=[], metavar="NAME=PATH",
        help="Admit the model at this path, a file or a folder. May be repeated.",
    )  # fmt: skip
    add("--policy", metavar="FILE", help="Whoever this policy accepts (docs/policy.md).")
    add(
        "--policy-signer", metavar="SIGNER",
        help="Who must have signed that policy: the file of a public key, or "
        "identity=ID,issuer=URL.",
    )  # fmt: skip
    add_trust(parser)
    add(
        "--store", type=Path, metavar="DIR",
        help="Where the verified copies are kept. [default: a folder of the user's data]",
    )  # fmt: skip
    add(
        "--online", action="store_true",
        help="Do not tell common libraries to stay off the network (HF_HUB_OFFLINE and others).",
    )  # fmt: skip
    add_format(parser)
    add_defaults(parser, SIGNER, TRUST)


def run(options: Options) -> int:
    """Run the command; return an exit code only if it was not started."""
    from modelseal.cli._render import print_verdicts
    from modelseal.servers import exec as servers

    apply_defaults(options, SIGNER, TRUST)
    models = servers.named_models(options.models)
    servers.check_command(options.words, models)
    policy, verifier = _asked(options)
    copies, verdicts = _admitted(options, models, policy, verifier)
    if len(copies) < len(models):
        return print_verdicts(
            verdicts, as_json=options.output == "json", command="exec", stream=sys.stderr
        )
    print_verdicts(verdicts, as_json=False, stream=sys.stderr)  # stdout is the command's
    paths = {name: copy.path for name, copy in copies.items()}
    command = servers.filled(options.words, paths)
    variables = servers.environment(paths, online=options.online)
    for copy in copies.values():
        if copy.lease is not None:  # nobody removes the copy while the server runs
            copy.lease.survive_exec()
    return servers.become(servers.program_of(command), command, variables)


def _asked(options: Options) -> tuple[Policy, Verifier]:
    from modelseal.admission.request import asked

    if options.policy is None:
        message = "No policy says which models may be loaded."
        hint = "Give one with --policy; `modelseal policy init` writes one."
        raise UsageError("no-policy", message, hint)
    request: Request = {"policy": options.policy, "trust": trust_of(options)}
    if options.policy_signer is not None:
        request["policy_signer"] = options.policy_signer
    return asked(**request)


def _admitted(
    options: Options, models: tuple[NamedModel, ...], policy: Policy, verifier: Verifier
) -> tuple[dict[str, Snapshot], list[Verdict]]:
    """Return the copies of the models that were accepted, by name, and all verdicts."""
    from modelseal.admission.admit import admit
    from modelseal.admission.store import default_folder

    store = options.store or default_folder()
    copies: dict[str, Snapshot] = {}
    verdicts = []
    with byte_progress("Admitting", [model.path for model in models]) as progress:
        for model in models:
            try:
                copies[model.name] = admit(model.path, policy, verifier, store, progress=progress)
                verdicts.append(copies[model.name].verdict)
            except PolicyRefused as error:
                verdicts.append(error.verdict)
    return copies, verdicts
