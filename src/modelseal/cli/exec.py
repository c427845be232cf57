# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal exec`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.cli._defaults import JOBS, SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_jobs, add_trust, reading_of, trust_of
from modelseal.cli._progress import byte_progress
from modelseal.errors import PolicyRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.admission.admit import Snapshot
    from modelseal.admission.request import Request
    from modelseal.cli._options import Options, Parser
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.servers.confine import Wanted
    from modelseal.servers.exec import NamedModel
    from modelseal.verification.verifier import Verifier

    Confinement = tuple[Wanted, int]  # and the version of Landlock that is used

HELP = """\
Admit models, then run any server on the verified copies of them.

In the command {NAME} becomes the path of the copy of the model NAME, which is
also in the environment as MODELSEAL_MODEL_NAME. The command takes the place of
modelseal: same process, streams and signals, and its exit code. If a model is
refused it is never started.

With --confine it can open nothing else, even if its own code tries: not the
models where they lie, and no connection that --allow-connect does not name.

Exit code: that of the command; else 1 a model or the command refused, 2 wrong
usage, 3 undecided.

Examples:
  modelseal exec --policy policy.toml --model llm=/srv/models/llm -- \\
      vllm serve {llm} --port 8000
  modelseal exec --policy policy.toml --model digits=/srv/models/digits \\
      --confine --allow-read /srv/app -- uvicorn --app-dir /srv/app app:app
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
        "--metrics", type=Path, metavar="FILE",
        help="Write the decisions as Prometheus metrics there, for a textfile collector.",
    )  # fmt: skip
    add(
        "--online", action="store_true",
        help="Do not tell common libraries to stay off the network (HF_HUB_OFFLINE and others).",
    )  # fmt: skip
    confined = parser.add_argument_group("what the command may reach (Linux, by Landlock)")
    confined.add_argument(
        "--confine", nargs="?", const="strict", choices=("strict", "best-effort"),
        help="Let it read only the copies, the system and its own installation, and write only to "
        "a temporary folder of its own. With best-effort an older kernel does what it can.",
    )  # fmt: skip
    confined.add_argument(
        "--allow-read", action="append", default=[], type=Path, metavar="PATH",
        help="Let it read this file, or this folder and all in it. May be repeated.",
    )  # fmt: skip
    confined.add_argument(
        "--allow-write", action="append", default=[], type=Path, metavar="PATH",
        help="Let it write there too, such as to /dev/shm or a device. May be repeated.",
    )  # fmt: skip
    confined.add_argument(
        "--allow-connect", action="append", default=[], metavar="PORT",
        help="Let it connect to this TCP port. May be repeated. [default: none]",
    )  # fmt: skip
    add_jobs(parser)
    add_format(parser)
    add_defaults(parser, SIGNER, TRUST, JOBS)


def run(options: Options) -> int:
    """Run the command; return an exit code only if it was not started."""
    from modelseal.cli._render import print_verdicts
    from modelseal.cli._run import note, say
    from modelseal.servers import exec as servers
    from modelseal.servers import holes, remote_code

    apply_defaults(options, SIGNER, TRUST, JOBS)
    models = servers.named_models(options.models)
    program = servers.check_command(options.words, models)
    for name in servers.not_named(options.words, models):
        note(f"note: {{{name}}} is not in the command, which must use ${servers.VARIABLE}{name}")
    confinement = _confinement(options, program, models)
    policy, verifier = _asked(options)
    opened = holes.check(options.words, servers.environment({}, online=True), policy.allow_holes)
    for one in opened:
        say(f"warning: allowed by the policy: {one.hole.name}: {one.by}: {one.hole.does}")
    copies, decisions = _admitted(options, models, policy, verifier)
    verdicts = [one.verdict for one in decisions]
    if options.metrics is not None:
        _write_metrics(options, decisions, policy, verifier)
    if len(copies) < len(models):
        return print_verdicts(
            verdicts, as_json=options.output == "json", command="exec", stream=sys.stderr
        )
    if any(one.hole.code_in_model for one in opened):
        for copy in copies.values():
            remote_code.check(copy)
    print_verdicts(verdicts, as_json=False, stream=sys.stderr)  # stdout is the command's
    paths = {name: copy.path for name, copy in copies.items()}
    command = servers.filled(options.words, paths)
    variables = servers.environment(paths, online=options.online)
    for copy in copies.values():
        if copy.lease is not None:  # nobody removes the copy while the server runs
            copy.lease.survive_exec()
    if confinement is not None:
        variables |= _confined(program, paths.values(), confinement)
    return servers.become(program, command, variables)


def _confinement(
    options: Options, program: Path, models: tuple[NamedModel, ...]
) -> Confinement | None:
    """Return what --confine and what goes with it ask for, checked; None if nothing."""
    from modelseal.cli._run import say
    from modelseal.servers import confine, landlock

    if options.confine is None:
        if options.allow_read or options.allow_write or options.allow_connect:
            message = "--allow-read, --allow-write and --allow-connect need --confine."
            raise UsageError("bad-options", message, "Add it; without it everything is allowed.")
        return None
    wanted = confine.Wanted(
        tuple(options.allow_read),
        tuple(options.allow_write),
        tuple(map(confine.port, options.allow_connect)),
    )
    version = confine.version(best_effort=options.confine == "best-effort")
    for missing in landlock.not_enforced(version):
        say(f"warning: not enforced by this kernel: {missing}")
    confine.check(program, [model.path for model in models], wanted)
    return wanted, version


def _confined(program: Path, copies: Iterable[Path], confinement: Confinement) -> dict[str, str]:
    """Confine this process; return the variables that the command needs then."""
    from modelseal.servers import confine, landlock

    wanted, version = confinement
    copies = tuple(copies)
    confine.check_read_only(copies, wanted)
    private = confine.private_folder()
    landlock.restrict(confine.allowed(program, copies, private, wanted), version)
    return confine.variables(private)


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


class _Decision(NamedTuple):
    """What was decided about a model, in how many seconds and by hashing how many bytes."""

    verdict: Verdict
    seconds: float
    hashed: int


def _admitted(
    options: Options, models: tuple[NamedModel, ...], policy: Policy, verifier: Verifier
) -> tuple[dict[str, Snapshot], list[_Decision]]:
    """Return the copies of the models that were accepted, by name, and all decisions."""
    from modelseal.admission.admit import admit

    store = _store(options)
    server = f"exec {os.path.basename(options.words[0])}"  # noqa: PTH119 - text
    copies: dict[str, Snapshot] = {}
    decisions = []
    hashed = 0
    with byte_progress("Admitting", [model.path for model in models]) as progress:

        def count(size: int) -> None:
            nonlocal hashed
            hashed += size
            if progress is not None:
                progress(size)

        reading = reading_of(options, count)
        for model in models:
            began, hashed = time.monotonic(), 0
            try:
                copies[model.name] = admit(
                    model.path, policy, verifier, store, reading=reading, server=server
                )
                verdict = copies[model.name].verdict
            except PolicyRefused as error:
                verdict = error.verdict
            decisions.append(_Decision(verdict, time.monotonic() - began, hashed))
    return copies, decisions


def _store(options: Options) -> Path:
    from modelseal.admission.store import default_folder

    store: Path = options.store or default_folder()
    return store


def _write_metrics(
    options: Options, decisions: list[_Decision], policy: Policy, verifier: Verifier
) -> None:
    from modelseal.servers.metrics import Decided, write_textfile

    found = [
        Decided(one.model, one.status, one.code, seconds, hashed, one.until)
        for one, seconds, hashed in decisions
    ]
    write_textfile(options.metrics, found, policy, verifier, _store(options))
