# SPDX-License-Identifier: Apache-2.0
"""`modelseal policy`: write, check, explain and test policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._defaults import POLICY, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_overwrite, add_trust, trust_of
from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    UNDECIDED,
    answer,
    is_quiet,
    note,
    print_document,
    styled,
)
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from modelseal.admission.pin import Known
    from modelseal.cli._options import Options, Parser
    from modelseal.policy.cases import Case
    from modelseal.policy.explain import Explanation
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.verifier import Verifier

HELP = """\
Write, check, explain and test policies: who may release which model (docs/policy.md).

Examples:
  modelseal policy init --from model/ --key release.pub --out policy.toml
  modelseal policy check policy.toml
  modelseal policy explain model/ --policy policy.toml
  modelseal policy test cases.toml
"""

_ROOT = "trusted_root.json"  # beside a policy that `init` writes


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    commands = parser.commands()
    _add_init(commands.add_parser(
        "init", help="Write a policy for exactly the signer of a model.",
        description="Write a commented policy for exactly the signers of a model or bundle, after "
        "its signatures were verified. With --out the trusted root that vouches for them is "
        f"written beside it, as {_ROOT}.",
    ))  # fmt: skip
    check = commands.add_parser(
        "check", help="Check that a policy is right.",
        description="Check that a policy can be read, and say what may not have been meant.",
    )  # fmt: skip
    check.set_defaults(command=_check)
    check.add_argument("file", type=Path, metavar="FILE", help="The policy, TOML or JSON.")
    add_format(check)
    _add_explain(commands.add_parser(
        "explain", help="Say why a policy accepts or refuses a model.",
        description="Verify a model, and say which rule decides, what was checked, and what would "
        "have to change in the policy. Exit code: as that of verify.",
    ))  # fmt: skip
    test = commands.add_parser(
        "test", help="Compare verdicts with those that are expected.",
        description="Verify the models that a table names, and compare the verdicts with those "
        "that it expects. Exit code: 0 all as expected, 1 not all.",
    )  # fmt: skip
    test.set_defaults(command=_test)
    test.add_argument("file", type=Path, metavar="FILE", help="The table, TOML (docs/policy.md).")
    add_trust(test)
    add_format(test)


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    code: int = options.command(options)
    return code


def _add_init(init: Parser) -> None:
    init.set_defaults(command=_init)
    init.add_argument(
        "--from", dest="path", type=Path, required=True, metavar="PATH",
        help="A signed model, or a bundle.",
    )  # fmt: skip
    init.add_argument(
        "--key", dest="keys", action="append", default=[], metavar="PEM",
        help="The public key that signed. May be repeated.",
    )  # fmt: skip
    init.add_argument("--certificate-chain", metavar="PEM", help="The CA whose certificate signed.")
    init.add_argument("--out", type=Path, metavar="FILE", help="Where to write it.")
    add_overwrite(init)
    add_trust(init)
    add_defaults(init, TRUST)


def _add_explain(explain: Parser) -> None:
    explain.set_defaults(command=_explain)
    explain.add_argument("path", type=Path, metavar="MODEL", help="A file or folder.")
    explain.add_argument("--policy", metavar="FILE", help="The policy.")
    explain.add_argument("--bundle", type=Path, metavar="FILE", help="The bundle of the model.")
    explain.add_argument(
        "--name", metavar="NAME", help="The name by which rules know it. [default: of the path]"
    )
    add_trust(explain)
    add_format(explain)
    add_defaults(explain, POLICY, TRUST)


def _init(options: Options) -> int:
    from modelseal.admission.pin import pin
    from modelseal.policy.template import template
    from modelseal.verification.verifier import Verifier

    apply_defaults(options, TRUST)
    known, trust = _known(options), trust_of(options)
    by_identity = not known.keys and not known.roots
    root = trust.resolve() if by_identity or trust.is_named else None
    pinned = pin(options.path, Verifier(root), known)
    text = template(*pinned, None if root is None else _ROOT)
    if options.out is None:
        answer(text, end="")
    else:
        _write(options.out, text, root, overwrite=options.overwrite)
    return ACCEPTED


def _known(options: Options) -> Known:
    from modelseal.admission.pin import Known
    from modelseal.trust import keys

    if options.keys and options.certificate_chain is not None:
        message = "--key and --certificate-chain are of different kinds of signatures."
        raise UsageError("whose-signature", message, "Give one of them.")
    if options.certificate_chain is not None:
        return Known(roots=keys.load_certificates(Path(options.certificate_chain)))
    return Known(tuple(keys.load_public(Path(one)) for one in options.keys))


def _write(out: Path, text: str, root: TrustRoot | None, *, overwrite: bool) -> None:
    from modelseal import outputs

    files = {out: text.encode()}
    if root is not None:
        files[out.with_name(_ROOT)] = root.json
    for path in files:
        outputs.check(path, overwrite=overwrite)
    for path, data in files.items():
        outputs.write(path, data, overwrite=overwrite)
    if not is_quiet():
        for path in files:
            answer(f"written  {shown(str(path))}")


def _check(options: Options) -> int:
    from modelseal.policy import document, printed
    from modelseal.policy.remarks import remarks
    from modelseal.trust import trust_root

    policy = document.load(options.file)
    if policy.trust_root is not None:
        trust_root.from_file(policy.trust_root)
    found = remarks(policy)
    if options.output == "json":
        as_dict = printed.to_dict(policy)
        print_document("policy check", ACCEPTED, policy=as_dict, remarks=list(found))
        return ACCEPTED
    counts = f"{_count(policy.signers, 'signer')}, {_count(policy.rules, 'rule')}"
    if not is_quiet():
        answer(f"{styled('OK ', 'green')}{shown(str(options.file))}: {counts}, "
               f"{_count(policy.revoked, 'revocation')}")  # fmt: skip
    for remark in found:
        note(f"note: {remark}")
    return ACCEPTED


def _count(items: tuple[object, ...], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"


def _explain(options: Options) -> int:
    from modelseal.policy import document
    from modelseal.policy.explain import explain

    apply_defaults(options, POLICY, TRUST)
    if options.policy is None:
        message = "A policy is needed, to say why it accepts or refuses."
        raise UsageError("bad-options", message, "Name its file: --policy FILE")
    policy = document.load(Path(options.policy))
    name = _name(options.path) if options.name is None else options.name
    verdict = _verdict(options.path, name, policy, _verifier(options, policy), options.bundle)
    explained = explain(verdict, policy, name)
    code = _exit_code(verdict)
    if options.output == "json":
        print_document("policy explain", code, explanation=_to_dict(explained))
    else:
        _print(explained, len(policy.rules))
    return code


def _test(options: Options) -> int:
    from modelseal.policy import cases, document

    table = cases.load(options.file)
    policy = document.load(table.policy)
    verifier = _verifier(options, policy)
    results = [
        (case, _verdict(case.model, case.name, policy, verifier, case.bundle))
        for case in table.cases
    ]
    wrong = [verdict for case, verdict in results if not case.fits(verdict)]
    code = REFUSED if wrong else ACCEPTED
    if options.output == "json":
        print_document("policy test", code, cases=[_case_to_dict(*one) for one in results])
        return code
    for case, verdict in results:
        _print_case(case, verdict)
    if not is_quiet():
        note(f"{_count(table.cases, 'case')}, {len(wrong)} not as expected")
    return code


def _verifier(options: Options, policy: Policy) -> Verifier:
    from modelseal.admission.request import verifier_for

    return verifier_for(policy, trust_of(options))


def _verdict(
    path: Path, name: str, policy: Policy, verifier: Verifier, bundle: Path | None
) -> Verdict:
    """Return the verdict on the model at `path` as if it were named `name`; none that is raised."""
    from modelseal.admission.check import differences
    from modelseal.admission.road import judge

    return judge(path, name, policy, verifier, differences, bundle=bundle)


def _name(path: Path) -> str:
    import os

    return os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119 - a link stays one


def _exit_code(verdict: Verdict) -> int:
    return {"accepted": ACCEPTED, "refused": REFUSED, "undecided": UNDECIDED}[verdict.status]


def _print(explained: Explanation, rules: int) -> None:
    verdict, rule = explained.verdict, explained.rule
    answer(f"model    {shown(verdict.model)}")
    if rule is None:
        answer(f"rule     none of {rules}")
    else:
        answer(f"rule     {explained.number} of {rules}: models = {shown(str(list(rule.models)))}")
        wanted = f"{rule.threshold} of {len(rule.signers)}"
        answer(f"signers  {wanted}: {'; '.join(shown(one) for one in explained.accepted)}")
    for check in verdict.checks:
        mark = styled("passed", "green") if check.passed else styled("failed", "red")
        answer(f"{mark}   {check.name}: {shown(check.detail, 1000)}")
    outcome = f"{verdict.status}, with a warning" if verdict.warned else verdict.status
    answer(f"verdict  {outcome} [{verdict.code}] {shown(verdict.message, 1000)}")
    if verdict.hint:
        answer(f"hint     {shown(verdict.hint, 1000)}")
    if explained.change:
        answer("To accept it, if you know that it is right, the policy would have to say:")
        for line in explained.change.splitlines():
            answer(f"    {line}")


def _to_dict(explained: Explanation) -> dict[str, Any]:
    return {
        "rule": explained.number,
        "accepted": list(explained.accepted),
        "verdict": explained.verdict.to_dict(),
        "change": explained.change,
    }


def _print_case(case: Case, verdict: Verdict) -> None:
    name = shown(str(case.model))
    if case.fits(verdict):
        if not is_quiet():
            answer(f"{styled('OK ', 'green')}{name}: {case.expected}")
        return
    found = "warned" if verdict.warned else verdict.status
    answer(f"{styled('FAIL ', 'red')}{name}: expected {case.expected}, "
           f"found {found} [{verdict.code}] {shown(verdict.message, 1000)}")  # fmt: skip


def _case_to_dict(case: Case, verdict: Verdict) -> dict[str, Any]:
    expected = {"verdict": case.verdict, "code": case.code}
    return {"expected": expected, "as_expected": case.fits(verdict), **verdict.to_dict()}
